// The information explorer. Choosing tokens is drawn here at once, and of prefixes the numbers are here too; of any other
// selection the kernel works out the standard error, which takes all images. It decodes the pictures once the number is
// painted.

const SETTLED_MS = 50; // after which a number is painted, and pictures are asked for if no other number came
const HINT = "Click, drag or shift-click tokens; click a name for a whole level.";
const NO_ERROR = "The standard error of this selection needs a kernel.";

// "tokens 1 to 3 and 8", numbered from 1, as the kernel has it.
function inWords(tokens) {
  if (!tokens.length) return "no token";
  const runs = [];
  for (const token of tokens) {
    if (runs.at(-1)?.[1] === token - 1) runs.at(-1)[1] = token;
    else runs.push([token, token]);
  }
  const words = runs.map(([first, last]) => (first === last ? `${first + 1}` : `${first + 1} to ${last + 1}`));
  const last = words.pop();
  return `token${tokens.length > 1 ? "s" : ""} ${words.length ? `${words.join(", ")} and ${last}` : last}`;
}

function render({ model, el }) {
  const frame = new Frame(model, el, "pl-information");
  const get = (name) => frame.get(name);
  let [board, slider, asking] = [null, null, null];

  const set = (name, words) => (value) => frame.ask({ action: "set", name, value }, words(value));
  const arm = chooser("model", set("arm", (label) => `Encoding all images with ${label}, if that is still to be done.`));
  arm.fill(get("arms").map((label) => [label, label]));
  const choice = imageChooser(get("choices"), set("choice", () => "Measuring."));
  const unit = segmented("unit", [["bit", "bit"], ["nat", "nat"]], set("unit", () => ""));
  const images = make("span", { class: "pl-images" });
  const [place, slot] = [make("div", { class: "pl-place" }), make("div", { class: "pl-slot" })];
  const scale = colourBar(get("palette"));
  const note = make("div", { class: "pl-note" });
  const sum = sumPanel();
  const curve = curvePlot((k, value) => note.replaceChildren(k === undefined ? HINT : `The first ${k} tokens together: ${written(value, get("unit"))}.`));
  const words = make("div", { class: "pl-heading" });
  const shown = make("div", { class: "pl-shown", hidden: "" }, words);
  const grid = new TileGrid(get("size"));
  const health = make("ul", { class: "pl-health" });

  const select = (tokens) => frame.put({ tokens: [...tokens].sort((a, b) => a - b) });
  const prefix = (budget) => select(range(0, budget));
  const button = (text, tokens) => make("button", { type: "button", class: "pl-text", onclick: () => select(tokens()) }, text);
  const head = make("div", { class: "pl-head" }, make("div", { class: "pl-heading" }, "Information of each token"),
    button("All", () => range(0, get("outline").count)), button("None", () => []), scale.node);

  const choosers = make("div", { class: "pl-chooser" }, ...(get("arms").length > 1 ? [arm.node] : []), choice.node);
  frame.needing.push(choosers, unit.node);
  frame.onLost = () => {
    showChoice();
    showEstimate();
  };
  frame.fill(
    make("div", { class: "pl-bar" }, ...(frame.title ? [] : [choosers]), images, ...(frame.title ? [] : [unit.node])),
    slot, frame.notice, frame.problem,
    make("div", { class: "pl-main" },
      make("div", { class: "pl-field" }, head, place, note),
      make("div", { class: "pl-side" }, sum.node, curve.node)),
    health, shown, grid.node,
  );

  function explain(token) {
    note.replaceChildren(token === undefined || !get("cells").information ? HINT : describe(token));
  }

  function describe(token) {
    const { information, standard_error: error, corrected, unit: name } = get("cells");
    const level = Math.floor(Math.log2(token + 1));
    const where = get("outline").pyramid ? `Token ${token + 1}, level ${level}` : `Token ${token + 1}`;
    return `${where}: ${written(information[token])} ${plusMinus(information[token], error[token], name)}; corrected ${written(corrected[token], name)}`;
  }

  function build() {
    const outline = get("outline");
    board = new Board(outline, {
      choose: (tokens, adds, before = board.chosen) => {
        const chosen = new Set(before);
        tokens.forEach((token) => (adds ? chosen.add(token) : chosen.delete(token)));
        if (chosen.size !== board.chosen.size || [...chosen].some((token) => !board.chosen.has(token))) select(chosen);
      },
      hover: explain,
      level: (tokens) => {
        const all = tokens.every((token) => board.chosen.has(token));
        select(all ? [...board.chosen].filter((token) => !tokens.includes(token)) : new Set([...board.chosen, ...tokens]));
      },
    });
    slider?.stop();
    slider = new BudgetSlider({ budgets: outline.budgets, choose: prefix, label: "prefix" });
    place.replaceChildren(board.node);
    slot.replaceChildren(slider.node);
    showSelection();
    showCells();
  }

  // The slider is pale where the selection is no prefix of its own, and stands at the longest one inside.
  function showSelection() {
    const tokens = get("tokens");
    const run = tokens.findIndex((token, i) => token !== i);
    const inside = run < 0 ? tokens.length : run;
    const { budgets } = get("outline");
    const budget = budgets.findLast((one) => one <= inside) ?? budgets[0];
    board.select(tokens);
    slider.show(budget, inside === tokens.length && tokens.length === budget ? "" : `${tokens.length} selected`);
    showEstimate();
  }

  function showChoice() {
    arm.show(get("arm"));
    choice.show(get("choice"));
    unit.show(get("unit"));
  }

  function showCells() {
    const cells = get("cells");
    showChoice();
    frame.root.classList.toggle("pl-empty", !cells.information);
    if (!cells.information || cells.information.length !== get("outline").count) return health.replaceChildren();
    scale.show(cells.range, cells.unit);
    board.colour(new Shades(get("palette"), cells.range), cells.information, describe);
    images.textContent = cells.images;
    health.replaceChildren(...cells.warnings.map((sentence) => make("li", {}, sentence)));
    explain();
    return showEstimate();
  }

  // The numbers of the selected tokens, or null while only the kernel has them.
  function known() {
    const [tokens, cells, estimate] = [get("tokens"), get("cells"), get("estimate")];
    if (!cells.information) return null;
    const isPrefix = tokens.every((token, i) => token === i);
    if (isPrefix && cells.prefixes[tokens.length]) return cells.prefixes[tokens.length];
    if (String(estimate.tokens) === String(tokens) && estimate.unit === cells.unit) return estimate;
    return frame.title || frame.isLost ? added(tokens, cells) : null;
  }

  // Without a kernel: information adds up, its standard error does not.
  function added(tokens, { information, corrected, unit: name }) {
    const of = (values) => tokens.reduce((total, token) => total + values[token], 0);
    const total = information.reduce((a, b) => a + b, 0);
    return { tokens, value: of(information), corrected: of(corrected), standard_error: null, low: null, high: null, share: total > 0 ? of(information) / total : null,
      count: tokens.length, words: inWords(tokens), decoding: "What this selection decodes to needs a kernel.", caution: NO_ERROR, unit: name, pictures: null };
  }

  function showEstimate() {
    const [estimate, cells, outline] = [known(), get("cells"), get("outline")];
    sum.node.classList.toggle("pl-stale", !estimate);
    if (!cells.information) return sum.show({}, outline.count);
    if (!estimate) return undefined;
    frame.settle();
    sum.show(estimate, outline.count);
    curve.show(cells.information, outline.budgets, estimate);
    words.textContent = estimate.decoding;
    shown.hidden = false;
    clearTimeout(asking);
    if (frame.title) showDecoded(estimate);
    else if (String(estimate.pictures) !== String(get("page").of)) {
      if (frame.isLost) grid.node.classList.add("pl-stale");
      else asking = setTimeout(() => model.send({ action: "pictures" }), SETTLED_MS);
    }
    frame.root.dataset.estimate = JSON.stringify([get("arm"), get("choice"), estimate.words, estimate.value, estimate.unit]);
    return undefined;
  }

  function paint(bytes, captions, rows) {
    grid.build(rows.map(([label]) => ({ label })), captions);
    const [height, width] = get("size");
    rows.forEach(([, layer], row) => captions.forEach((_, image) =>
      grid.paint(row, image, (out) => copyRgb(out, bytes, (layer * captions.length + image) * height * width * 3))));
    grid.node.classList.remove("pl-stale");
  }

  const rowName = (length) => (length === 1 ? "First token" : `First ${length}`);

  async function showPictures() {
    const [page, pixels] = [get("page"), get("pixels")];
    if (!page.captions || frame.title) return;
    const bytes = await inflate(pixels);
    if (page !== get("page") || pixels !== get("pixels")) return; // overtaken by newer ones
    paint(bytes, page.captions, [["Truth", 0], ...(page.prefix ? [[rowName(page.prefix), 1]] : [])]);
    frame.root.dataset.pictures = page.of.join(" ");
  }

  // In an exported page: the pictures of every budget are there, the truth before them.
  async function showDecoded({ pictures }) {
    const { budgets } = get("outline");
    const at = pictures ? budgets.indexOf(pictures[2]) : -1;
    paint(await inflate(get("decoded")), get("page").captions, [["Truth", 0], ...(at < 0 ? [] : [[rowName(budgets[at]), at + 1]])]);
    frame.root.dataset.pictures = String(pictures);
  }

  frame.on("change:outline", build);
  frame.on("change:tokens", showSelection);
  frame.on("change:cells", showCells);
  frame.on("change:estimate", showEstimate);
  frame.on("change:page", showPictures);
  frame.on("change:unit", showChoice);
  build();
  showPictures();
  explain();
  if (!get("cells").information && !frame.title) frame.ask({ action: "ready" });
  return () => {
    slider.stop();
    clearTimeout(asking);
    frame.close();
  };
}

export default { render };
