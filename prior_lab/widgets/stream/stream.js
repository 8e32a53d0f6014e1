// The stream explorer. Pictures of the images on screen after every level and of every still-image file are here, so
// bytes, bit rates, the policy and the chosen file need no kernel; only other images and other arms are asked for.

const IDLE_MS = 600; // after which the kernel is told to prepare the next page
const HEADER_WORDS = "header: which codec wrote the file";
const HOW = "Click a picture of a code to see its file. Of WebP, JPEG and JPEG XL: the best whole file of at most so many bytes. Of progressive JPEG: one file, as far as its scans are whole.";

// The policy: all levels, or those that reach a target.
function policy(put) {
  const ends = segmented("where files end", [["all", "last level"], ["own", "own level"]], (value) => put({ adaptive: value === "own" }));
  const input = make("input", { type: "number", class: "pl-number", min: 0, max: 1, step: 0.05, "aria-label": "target SSIM" });
  const take = () => {
    const target = Math.min(1, Math.max(0, +input.value));
    if (input.value !== "" && Number.isFinite(target)) put({ target });
  };
  input.addEventListener("input", take);
  const wish = make("label", { class: "pl-group" }, "at SSIM", input);
  const show = (adaptive, target) => {
    ends.show(adaptive ? "own" : "all");
    wish.hidden = !adaptive;
    if (+input.value !== target) input.value = `${+target.toFixed(4)}`;
  };
  return { node: make("div", { class: "pl-group" }, "Files end at", ends.node, wish), show };
}

function render({ model, el }) {
  const frame = new Frame(model, el, "pl-stream");
  const get = (name) => frame.get(name);
  let [bytes, page, colours] = [null, null, null]; // the pictures of `page`; all change together
  let idle = null;

  const images = pager(get("choices"), (question) => frame.ask(question));
  const choosers = range(0, Math.min(2, get("arms").length)).map((place) => {
    const one = chooser(place ? "second model" : "first model", (label) => frame.ask({ action: "arm", place, label }, `Opening ${label}.`));
    one.fill(get("arms").map((label) => [label, label]));
    return one;
  });
  const slider = new ByteSlider({
    rates: get("rates"),
    choose: (cut, isLive = false) => (isLive ? model.set("cut", cut) : frame.put({ cut })),
    settle: () => model.save_changes(),
    pace: (rate) => frame.put({ rate }),
  });
  const ends = policy((values) => frame.put(values));
  const sheet = new Sheet(get("size"), (chosen) => frame.put({ chosen }));
  const [file, table] = [new FileView("the chosen file"), new PolicyTable()];
  const note = make("div", { class: "pl-note" });
  const [said, rest] = [make("span", { class: "pl-said" }), make("span", { class: "pl-rest" })];
  const asking = [images.node, ...(get("arms").length > 1 ? [make("div", { class: "pl-group" }, "Models", ...choosers.map(({ node }) => node))] : [])];
  frame.needing.push(...asking);
  frame.onLost = () => page && showChoice();
  frame.fill(
    ...(frame.title ? [] : [make("div", { class: "pl-bar" }, ...asking)]),
    slider.node,
    make("div", { class: "pl-bar pl-ways" }, make("div", { class: "pl-group" }, "Play at", slider.pace.node, "bit/s"), ends.node),
    make("div", { class: "pl-bar pl-line-of-words" }, said, rest),
    frame.problem, frame.notice,
    make("div", { class: "pl-two" }, make("div", { class: "pl-field" }, sheet.node, note),
      make("div", { class: "pl-side" }, file.node, table.node)),
  );

  const settings = () => ({ cut: get("cut"), adaptive: get("adaptive"), target: get("target"), chosen: get("chosen") });
  const arms = () => page.rows.filter(({ kind }) => kind === "arm");
  const stream = () => page.rows[get("chosen")[0]].images[get("chosen")[1]];

  // How many bytes the chosen file has, as far as it is sent.
  function sent() {
    const { needs, ssim, bytes: all } = stream();
    return get("adaptive") ? needs[lastOf(ssim, get("target"))] : all;
  }

  function told() {
    const { needs, steps } = stream();
    const [cut, size] = [get("cut"), sent()];
    if (cut >= size) return `all of its ${plural(size, "byte")} are there.`;
    const whole = arrived(needs, cut);
    const start = needs[whole] ?? 0;
    const next = whole < 0 ? "the header and level 0" : `level ${whole + 1}`;
    return `${whole + 1} of ${steps} levels; ${cut - start} of ${needs[whole + 1] - start} bytes of ${next} are there.`;
  }

  // The file that was chosen: its levels under the slider, its bytes beside the pictures.
  function showFile() {
    const [arm, image] = get("chosen");
    const one = stream();
    const end = sent();
    const levels = one.marks.map(([start, , , stop], level) => ({ start, end: stop, label: `${level}`, shade: colours.shade(level), words: `level ${level}: bytes ${start} to ${stop}` }));
    const parts = [{ start: 0, end: one.marks[0][0], label: "", shade: "", words: HEADER_WORDS }, ...levels.filter(({ end: stop }) => stop <= end)];
    const others = page.rows.flatMap(({ kind, images: streams }) => (kind === "arm" ? [] : streams[image].needs.slice(0, 1)));
    const stops = [...new Set([0, ...one.needs.filter((need) => need <= end), ...others, page.longest])].sort((a, b) => a - b);
    slider.fit({ longest: page.longest, stops, parts });
    file.show({ heading: `${page.captions[image]}, ${page.rows[arm].label}`, file: one.file, marks: one.marks, colours });
  }

  function paint() {
    if (!bytes) return;
    const [cut, raw] = [get("cut"), get("raw")];
    sheet.paint(bytes, settings());
    const words = told();
    slider.show(cut, words);
    file.cut(cut, sent());
    const [arm, image] = get("chosen");
    said.replaceChildren(make("b", {}, `${page.captions[image]}, ${page.rows[arm].label.split(", ")[0]}`), `: ${words}`);
    rest.textContent = `${fixed((100 * cut) / raw, 2)} % of ${fixed(raw, 0)} raw bytes`;
    frame.root.dataset.painted = [cut, get("adaptive"), get("target"), get("chosen"), page.position, page.order].join(" ");
  }

  function showPolicy() {
    ends.show(get("adaptive"), get("target"));
    if (!bytes) return;
    table.node.hidden = !get("adaptive");
    if (get("adaptive")) table.show(arms(), get("target"));
    showFile();
    paint();
  }

  function showChosen() {
    if (!bytes) return;
    showFile();
    paint();
  }

  function showChoice() {
    images.show(page);
    choosers.forEach((one, place) => {
      one.node.hidden = place >= get("shown").length;
      one.show(get("shown")[place]);
    });
  }

  async function turn() {
    const next = get("page");
    const inflated = await inflate(get("pixels"));
    if (next !== get("page")) return; // overtaken by a newer page
    slider.stop();
    [page, bytes, colours] = [next, inflated, new LevelColours(get("palette"))];
    sheet.build(page);
    sheet.paintTruth(bytes);
    note.textContent = `${HOW} ${page.origins}`;
    showChoice();
    frame.settle();
    showPolicy();
    clearTimeout(idle);
    if (!frame.title) idle = setTimeout(() => model.send({ action: "prepare" }), IDLE_MS);
  }

  frame.on("change:cut", paint);
  frame.on("change:chosen", showChosen);
  frame.on("change:adaptive", showPolicy);
  frame.on("change:target", showPolicy);
  frame.on("change:rate", () => slider.showRate(get("rate")));
  frame.on("change:page", turn);
  slider.showRate(get("rate"));
  ends.show(get("adaptive"), get("target"));
  turn();
  return () => {
    slider.stop();
    clearTimeout(idle);
    frame.close();
  };
}

export default { render };
