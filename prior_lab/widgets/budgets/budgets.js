// The budget explorer. All budgets of the images on screen are here, so sliding, playing, switching the view and moving
// the cursor of the curves need no kernel; only other images and other arms are asked for.

const GAIN = 4; // amplification of the added view
const WORST = 0.25; // absolute error drawn with the last colour of the palette; images lie in 0 to 1
const IDLE_MS = 300; // after which the kernel is told to prepare the next page

// name, word on the button, and what the tiles show when the slider is at `now` tokens and its last stop was `before`
const VIEWS = [
  ["image", "Image", (now) => `Decoded from the first ${now === 1 ? "token" : `${now} tokens`}.`],
  ["added", "Added", (now, before) => before
    ? `What tokens ${before + 1} to ${now} added: mid-grey is no change, differences are ${GAIN} times enlarged.`
    : "The first step is the picture itself."],
  ["error", "Error", (now) => `Distance to the truth with ${plural(now, "token")}, mean of the three colours.`],
];

// The layers of `pixels` are: the truth, then for each arm its budgets in order; each layer holds all images, RGB.
class Sprites {
  constructor(bytes, { budgets, count, size: [height, width] }) {
    Object.assign(this, { bytes, budgets, count, area: height * width });
  }
  start(layer, image) {
    return (layer * this.count + image) * this.area * 3;
  }
  draw(out, { arm, budget, view, image, palette }) {
    const truth = this.start(0, image);
    const layer = arm < 0 ? 0 : 1 + arm * this.budgets + budget;
    const from = this.start(layer, image);
    if (arm < 0 || view === "image" || (view === "added" && budget === 0)) copyRgb(out, this.bytes, from);
    else if (view === "added") this.difference(out, from, this.start(layer - 1, image));
    else this.error(out, from, truth, palette);
  }
  difference(out, now, before) {
    for (let p = 0, s = 0; p < out.length; p += 4, s += 3) {
      for (let c = 0; c < 3; c++) out[p + c] = 128 + GAIN * (this.bytes[now + s + c] - this.bytes[before + s + c]);
      out[p + 3] = 255;
    }
  }
  error(out, now, truth, palette) {
    for (let p = 0, s = 0; p < out.length; p += 4, s += 3) {
      let sum = 0;
      for (let c = 0; c < 3; c++) sum += Math.abs(this.bytes[now + s + c] - this.bytes[truth + s + c]);
      const colour = palette[Math.min(255, Math.round(sum / (3 * WORST)))];
      out[p] = colour[0];
      out[p + 1] = colour[1];
      out[p + 2] = colour[2];
      out[p + 3] = 255;
    }
  }
}

function render({ model, el }) {
  const frame = new Frame(model, el, "pl-budgets");
  const get = (name) => frame.get(name);
  const budgets = get("budgets");
  const [tall, wide] = get("size");
  const metrics = get("metrics"); // {name, decimals, better, unit}
  let [sprites, page, arms] = [null, null, []]; // the pictures of `page` by `arms`; all change together
  let hovered = [];
  let idle = null;
  const at = () => budgets.indexOf(get("budget"));

  const images = pager(get("choices"), (question) => frame.ask(question));
  const kind = chooser("token kind", (label) => frame.ask({ action: "group", label }, `Loading the models of ${label}.`));
  kind.fill(get("groups").map((group) => [group, group]));
  const views = segmented("view", VIEWS, (view) => frame.put({ view }));
  const slider = new BudgetSlider({ budgets, choose: (budget) => frame.put({ budget }) });
  const grid = new TileGrid(get("size"), (...tile) => {
    hovered = tile;
    explain();
  });
  const note = make("div", { class: "pl-note" });
  const metric = segmented("metric", metrics.map(({ name }) => [name, name]), (name) => frame.put({ metric: name }));
  const curves = new Curves({ slider, label: "quality against budget", height: 264 });

  const asking = [images.node, ...(get("groups").length > 1 ? [named("Tokens", kind)] : [])];
  frame.needing.push(...asking);
  frame.onLost = () => page && showChoice();
  frame.fill(
    make("div", { class: "pl-bar" }, ...(frame.title ? [] : asking), views.node),
    slider.node, frame.problem, frame.notice,
    make("div", { class: "pl-beside" }, make("div", { class: "pl-pictures" }, grid.node, note),
      make("section", { class: "pl-quality" }, make("div", { class: "pl-bar" }, make("div", { class: "pl-heading" }, get("heading")), metric.node), curves.node)),
  );

  const scores = (name, arm) => page.scores[name][arm][at()];

  function explain() {
    const [row, image] = hovered;
    if (!page) return;
    if (row === undefined || image >= page.captions.length) {
      const [view, , words] = VIEWS.find(([name]) => name === get("view"));
      note.replaceChildren(words(budgets[at()], budgets[at() - 1]));
      if (view === "error") note.append(make("span", { class: "pl-ramp" }, "0", make("i"), `${WORST} and more`));
      return;
    }
    const caption = page.captions[image];
    if (row === 0) return note.replaceChildren(`${caption}: the truth`);
    const values = metrics.filter(({ name }) => page.scores[name]).map(({ name, decimals }) => `${name} ${fixed(scores(name, row - 1)[image], decimals)}`);
    note.replaceChildren(`${caption}: ${arms[row - 1].label} with ${plural(get("budget"), "token")}: ${values.join(", ")}`);
  }

  function writeNumbers() {
    grid.numbers.forEach((node) => node.replaceChildren());
    grid.numbers[0].append(make("span", {}, `${wide} × ${tall} pixels`));
    for (const { name, decimals, better } of metrics.filter((one) => ["SSIM", "L1"].includes(one.name))) {
      const means = arms.map((_, arm) => mean(scores(name, arm)));
      const best = better === "lower" ? Math.min(...means) : Math.max(...means);
      means.forEach((value, arm) => grid.numbers[arm + 1].append(
        make("span", { class: value === best && arms.length > 1 ? "pl-best" : "" }, make("i", {}, name), fixed(value, decimals))));
    }
  }

  function paint() {
    slider.show(get("budget"));
    views.show(get("view"));
    curves.move(at());
    if (!sprites) return;
    const [view, palette] = [get("view"), get("palette")];
    for (let row = 0; row <= arms.length; row++) {
      page.captions.forEach((_, image) => grid.paint(row, image, (out) => sprites.draw(out, { arm: row - 1, budget: at(), view, image, palette })));
    }
    writeNumbers();
    explain();
    frame.root.dataset.painted = [get("budget"), view, page.position, get("group")].join(", ");
  }

  function showChoice() {
    images.show(page);
    kind.show(get("group"));
  }

  async function turn() {
    const next = get("page");
    const bytes = await inflate(get("pixels"));
    if (next !== get("page")) return; // overtaken by a newer page
    [page, arms] = [next, get("arms")];
    sprites = new Sprites(bytes, { budgets: budgets.length, count: page.captions.length, size: [tall, wide] });
    grid.build([{ label: "Truth" }, ...arms], page.captions, page.columns);
    showChoice();
    frame.settle();
    paint();
    clearTimeout(idle);
    if (!frame.title) idle = setTimeout(() => model.send({ action: "prepare" }), IDLE_MS);
  }

  const showCurves = () => {
    const name = get("metric");
    const { decimals, unit } = metrics.find((one) => one.name === name);
    metric.show(name);
    curves.show({ arms: get("curves")[name], decimals, unit });
  };

  frame.on("change:budget", paint);
  frame.on("change:view", paint);
  frame.on("change:page", turn);
  frame.on("change:curves", showCurves);
  frame.on("change:metric", showCurves);
  frame.fitting(() => curves.resize());
  showCurves();
  paint();
  turn();
  return () => {
    slider.stop();
    clearTimeout(idle);
    frame.close();
  };
}

export default { render };
