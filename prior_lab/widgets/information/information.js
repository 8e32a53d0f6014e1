// The live half of the information explorer. Choosing tokens is drawn here at once; the kernel then tells their
// information, which needs all images for its standard error, and decodes the pictures once the number is painted.

const COLUMNS = 32; // cells in a line of a flat code
const SETTLED_MS = 50; // after which a number is painted, and pictures are asked for if no other number came
const HINT = "Click, drag or shift-click tokens; click a name for a whole level.";

// JupyterLab takes arrow keys and letters as its own commands unless the focused element itself says otherwise.
const QUIET = { "data-lm-suppress-shortcuts": "true" };

function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

function segmented(label, options, pick) {
  const buttons = options.map((value) => make("button", { ...QUIET, type: "button", "data-value": value, onclick: () => pick(value) }, value));
  const node = make("div", { class: "pl-segmented", role: "group", "aria-label": label }, ...buttons);
  const show = (value) => buttons.forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.value === value)));
  return { node, show };
}

async function inflate(view) {
  const stream = new Blob([view]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const range = (start, stop) => Array.from({ length: stop - start }, (_, i) => start + i);
const span = (first, last) => (first === last ? `${first}` : `${first}–${last}`);
const between = (a, b) => range(Math.min(a, b), Math.max(a, b) + 1);

const decimals = (value) => (Math.abs(value) < 1000 ? 2 : 1);
// Kept, for making one takes longer than all the rest of drawing.
const FORMATS = [0, 1, 2, 3].map((digits) => new Intl.NumberFormat("en-US", { minimumFractionDigits: digits < 3 ? digits : 0, maximumFractionDigits: digits }));

function written(value, unit, digits = decimals(value)) {
  const text = FORMATS[digits].format(value);
  return unit ? `${text} ${unit}` : text;
}

const plusMinus = (value, error, unit) => (error === null ? unit : `± ${written(error, unit, decimals(value))}`);

// ------------------------------------------------------------------ colours

class Shades {
  constructor(palette, [low, high]) {
    Object.assign(this, { palette, low, high });
  }
  of(value) {
    const place = (value - this.low) / (this.high - this.low);
    return this.palette[Math.round(Math.min(1, Math.max(0, place)) * (this.palette.length - 1))];
  }
  fill(value) {
    return `rgb(${this.of(value).join(" ")})`;
  }
  ink(value) {
    const [red, green, blue] = this.of(value);
    return 0.3 * red + 0.59 * green + 0.11 * blue > 125 ? "#14181d" : "#fff";
  }
}

function colourBar(palette) {
  const stops = palette.map((colour) => `rgb(${colour.join(" ")})`).join(", ");
  const [low, high] = [make("span"), make("span")];
  const node = make("div", { class: "pl-scale" }, low, make("i", { style: `background:linear-gradient(to right, ${stops})` }), high);
  const show = ([from, to], unit) => {
    low.textContent = written(from, "", 3);
    high.textContent = written(to, unit, 3);
  };
  return { node, show };
}

// ------------------------------------------------------------------ the tokens

// Cells by token, in lines from top to bottom: levels of a pyramid, each as wide as its share, or lines of a flat code.
class Board {
  constructor({ count, budgets, pyramid }, listeners) {
    this.levels = budgets.map((budget, level) => range(level ? budgets[level - 1] : 0, budget));
    this.pyramid = pyramid;
    this.cells = range(0, count).map((token) => make("span", { ...QUIET, class: "pl-cell", role: "option", tabindex: -1, "data-token": token, "data-level": Math.floor(Math.log2(token + 1)) }, make("i")));
    this.names = this.levels.map((tokens, level) => {
      const [first, last] = [tokens[0] + 1, tokens[tokens.length - 1] + 1];
      const words = pyramid ? [make("span", {}, make("em", {}, "Level "), `${level}`), make("small", {}, span(first, last))] : [span(first, last)];
      return make("button", { ...QUIET, type: "button", class: "pl-level", "aria-label": `level ${level}, tokens ${span(first, last)}`,
        onclick: () => listeners.level(tokens) }, ...words);
    });
    this.lines = pyramid ? this.levels : this.flatLines(count);
    this.rows = this.lines.map((tokens) => this.row(tokens));
    this.focused = 0;
    this.node = make("div", { class: pyramid ? "pl-board" : "pl-board pl-flat", role: "listbox", "aria-multiselectable": "true", "aria-label": "tokens" });
    this.rows.forEach((row, line) => this.node.append(...(pyramid ? [this.names[line], row] : [row])));
    this.cells[0].tabIndex = 0;
    this.listen(listeners);
  }

  // The first line has one cell less, so that those below begin with a budget's first token: 1, 32, 64, 96.
  flatLines(count) {
    const lines = [range(0, Math.min(COLUMNS - 1, count))];
    for (let start = COLUMNS - 1; start < count; start += COLUMNS) lines.push(range(start, Math.min(start + COLUMNS, count)));
    return lines;
  }

  row(tokens) {
    const columns = this.pyramid ? tokens.length : Math.min(COLUMNS, this.cells.length);
    const row = make("div", { class: tokens.length > COLUMNS ? "pl-row pl-long" : "pl-row", style: `grid-template-columns:repeat(${columns}, minmax(0, 1fr))` });
    if (!this.pyramid) {
      this.levels.forEach((level, l) => {
        const at = tokens.indexOf(level[0]);
        if (at < 0) return;
        this.names[l].style.gridArea = `1 / ${at + 1} / auto / span ${Math.min(level.length, tokens.length - at)}`;
        row.append(this.names[l]);
      });
      tokens.forEach((token) => (this.cells[token].style.gridRow = 2));
    }
    row.append(...tokens.map((token) => this.cells[token]));
    return row;
  }

  listen({ choose, hover }) {
    const tokenAt = ({ clientX, clientY }) => document.elementFromPoint(clientX, clientY)?.closest?.(".pl-cell");
    let drag = null; // the selection before, where it began, and whether it adds
    this.node.addEventListener("pointerdown", (event) => {
      const cell = event.target.closest(".pl-cell");
      if (!cell || event.button !== 0) return;
      event.preventDefault();
      const token = +cell.dataset.token;
      if (event.shiftKey) choose(between(this.focused, token), true);
      else {
        drag = { before: new Set(this.chosen), from: token, adds: !this.chosen.has(token) };
        this.node.setPointerCapture(event.pointerId);
        choose([token], drag.adds);
      }
      this.focus(token);
    });
    this.node.addEventListener("pointermove", (event) => {
      const cell = tokenAt(event);
      const token = cell && this.node.contains(cell) ? +cell.dataset.token : undefined;
      hover(token);
      if (drag && token !== undefined) choose(between(drag.from, token), drag.adds, drag.before);
    });
    this.node.addEventListener("pointerleave", () => hover());
    for (const end of ["pointerup", "pointercancel"]) this.node.addEventListener(end, () => (drag = null));
    this.node.addEventListener("focusin", ({ target }) => target.dataset.token && hover(+target.dataset.token));
    this.node.addEventListener("focusout", () => hover());
    this.node.addEventListener("keydown", (event) => {
      if (!event.target.dataset.token) return;
      const from = +event.target.dataset.token;
      const to = this.neighbour(from, event.key);
      if (event.key === " " || event.key === "Enter") choose([from], !this.chosen.has(from));
      else if (to === undefined) return;
      else {
        if (event.shiftKey) choose(between(from, to), true);
        this.focus(to);
      }
      event.preventDefault();
      event.stopPropagation();
    });
  }

  neighbour(token, key) {
    const line = this.lines.findIndex((tokens) => tokens.includes(token));
    const at = this.lines[line].indexOf(token);
    const jump = (other) => {
      const tokens = this.lines[other];
      if (!tokens) return token;
      return tokens[this.pyramid ? Math.floor(((at + 0.5) / this.lines[line].length) * tokens.length) : Math.min(at, tokens.length - 1)];
    };
    const moves = {
      ArrowLeft: () => Math.max(0, token - 1), ArrowRight: () => Math.min(this.cells.length - 1, token + 1),
      ArrowUp: () => jump(line - 1), ArrowDown: () => jump(line + 1), Home: () => 0, End: () => this.cells.length - 1,
    };
    return moves[key]?.();
  }

  focus(token) {
    this.cells[this.focused].tabIndex = -1;
    this.cells[token].tabIndex = 0;
    this.focused = token;
    this.cells[token].focus({ preventScroll: true });
  }

  // Neighbours of a line that are both selected share one outline.
  select(tokens) {
    this.chosen = new Set(tokens);
    for (const line of this.lines) {
      line.forEach((token, at) => {
        const [before, here, after] = [line[at - 1], token, line[at + 1]].map((t) => t !== undefined && this.chosen.has(t));
        const { classList } = this.cells[token];
        classList.toggle("pl-in", here);
        classList.toggle("pl-first", here && !before);
        classList.toggle("pl-last", here && !after);
        this.cells[token].setAttribute("aria-selected", String(here));
      });
    }
    this.levels.forEach((level, l) => this.names[l].setAttribute("aria-pressed", String(level.every((t) => this.chosen.has(t)))));
  }

  colour(shades, values, describe) {
    this.cells.forEach((cell, token) => {
      const value = values[token];
      const roomy = this.pyramid && token < 31; // up to 16 cells in a line have room for the number
      cell.style.setProperty("--shade", shades.fill(value));
      cell.style.setProperty("--on-shade", shades.ink(value));
      cell.firstChild.textContent = roomy ? value.toFixed(value >= 9.95 ? 0 : value >= 0.995 ? 1 : 2) : "";
      cell.setAttribute("aria-label", describe(token));
    });
  }
}

function budgetSlider(budgets, choose) {
  const last = Math.max(1, budgets.length - 1);
  const pick = () => choose(budgets[+input.value]);
  const input = make("input", { ...QUIET, type: "range", class: "pl-range", min: 0, max: budgets.length - 1, step: 1, "aria-label": "prefix", oninput: pick, onclick: pick });
  const ticks = budgets.map((budget, i) =>
    make("button", { ...QUIET, type: "button", tabindex: -1, style: `left:${(100 * i) / last}%`, onclick: () => choose(budget) }, `${budget}`));
  const node = make("div", { class: "pl-slider" }, input, make("div", { class: "pl-ticks" }, ...ticks));
  // Pale where the selection is none of these prefixes, at the longest one inside it.
  const show = (tokens) => {
    const run = tokens.findIndex((token, at) => token !== at);
    const inside = run < 0 ? tokens.length : run;
    const at = Math.max(0, budgets.findLastIndex((budget) => budget <= inside));
    const exact = tokens.length === budgets[at] && inside === tokens.length;
    input.value = at;
    node.classList.toggle("pl-off", !exact);
    input.setAttribute("aria-valuetext", exact ? `the first ${budgets[at]} tokens` : "the selection is none of these prefixes");
    input.style.setProperty("--fill", `${(100 * at) / last}%`);
    ticks.forEach((tick, i) => tick.classList.toggle("pl-here", exact && i === at));
  };
  return { node, show };
}

// ------------------------------------------------------------------ the numbers

const line = (name, text) => make("div", {}, make("dt", {}, name), make("dd", {}, text));

function panel() {
  const node = make("div", { class: "pl-told", "aria-live": "polite" });
  const show = (told, count) => {
    if (!told.words) return node.replaceChildren(make("div", { class: "pl-what" }, "Information"), make("div", { class: "pl-sum" }, make("b", {}, "…")));
    const { value, standard_error: error, low, high, corrected, share, unit } = told;
    const sum = make("div", { class: "pl-sum" }, make("b", {}, written(value)),
      make("span", {}, plusMinus(value, error, unit)));
    node.replaceChildren(make("div", { class: "pl-what", title: told.words }, `Information of ${told.words}`), sum, make("dl", {},
      line("95 % interval", low === null ? "not known" : `${written(low)} to ${written(high)}`),
      line("bias-corrected", written(corrected, unit)),
      line("tokens", `${told.count} of ${count}`),
      line("share of all", share === null ? "–" : `${(100 * share).toFixed(1)} %`)));
    if (told.caution) node.append(make("div", { class: "pl-caution" }, told.caution));
  };
  return { node, show };
}

const SVG = "http://www.w3.org/2000/svg";

// I of the first k tokens against k, and where the selection lies: above the curve, it tells more than as long a prefix.
function curvePlot(hover) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("preserveAspectRatio", "none");
  const [even, rise] = ["pl-even", "pl-rise"].map((name) => {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", name);
    return svg.appendChild(path);
  });
  const dot = make("div", { class: "pl-dot" });
  const [top, axis] = [make("span", { class: "pl-top" }), make("div", { class: "pl-axis" })];
  const area = make("div", { class: "pl-area" }, svg, dot, top);
  const node = make("figure", { class: "pl-curve" }, make("figcaption", {}, "First k tokens together"), area, axis);
  let sums = [];
  area.addEventListener("pointermove", (event) => {
    const box = area.getBoundingClientRect();
    const k = Math.round(((event.clientX - box.left) / box.width) * (sums.length - 1));
    if (sums.length) hover(k, sums[Math.min(Math.max(k, 0), sums.length - 1)]);
  });
  area.addEventListener("pointerleave", () => hover());
  const show = (values, budgets, told) => {
    let sum = 0;
    sums = [0, ...values.map((value) => (sum += value))];
    const count = values.length;
    const total = Math.max(sums[count], told.value || 0, 1e-9);
    const place = (k, value) => `${(100 * k) / count} ${100 - (100 * value) / total}`;
    rise.setAttribute("d", `M${sums.map((sum, k) => place(k, sum)).join("L")}`);
    even.setAttribute("d", `M0 100L${place(count, sums[count])}`);
    dot.style.left = `${(100 * told.count) / count}%`;
    dot.style.bottom = `${(100 * told.value) / total}%`;
    top.textContent = written(total, told.unit);
    const roomy = budgets.filter((budget) => budget * 9 > count);
    axis.replaceChildren(make("span", { class: "pl-zero" }, "0"), ...roomy.map((budget) => make("span", { style: `left:${(100 * budget) / count}%` }, `${budget}`)));
  };
  return { node, show };
}

// ------------------------------------------------------------------ the pictures

function pictureGrid([height, width]) {
  const node = make("div", { class: "pl-grid" });
  let [tiles, built] = [[], ""]; // kept from one selection to the next

  const build = (rows, captions) => {
    node.style.setProperty("--columns", captions.length);
    node.replaceChildren(make("div", { class: "pl-corner" }),
      ...captions.map((text) => make("div", { class: "pl-caption", title: text }, make("span", {}, text))));
    tiles = rows.flatMap((label) => {
      const row = captions.map((caption) => make("canvas", { class: "pl-tile", width, height, role: "img", "aria-label": `${caption}, ${label}` }));
      node.append(make("div", { class: "pl-rowhead" }, make("span", { class: "pl-name", style: "--colour:transparent" }, label)), ...row);
      return row.map((canvas) => canvas.getContext("2d"));
    });
  };

  const show = (bytes, { captions, prefix }) => {
    const rows = ["Truth", ...(prefix ? [prefix === 1 ? "First token" : `First ${prefix}`] : [])];
    const asked = JSON.stringify([rows, captions]);
    if (asked !== built) build(rows, captions);
    built = asked;
    const picture = new ImageData(width, height);
    const { data } = picture;
    tiles.forEach((tile, place) => {
      for (let p = 0, s = place * height * width * 3; p < data.length; p += 4, s += 3) {
        data[p] = bytes[s];
        data[p + 1] = bytes[s + 1];
        data[p + 2] = bytes[s + 2];
        data[p + 3] = 255;
      }
      tile.putImageData(picture, 0, 0);
    });
  };
  return { node, show };
}

function chooser(label, rows, pick) {
  const select = make("select", { ...QUIET, class: "pl-select", "aria-label": label, onchange: () => pick(select.value) });
  const groups = new Map();
  for (const { value, group, label: words, count } of rows) {
    const option = make("option", { value }, count ? `${words} (${written(count, "", 0)})` : words);
    if (!group) select.append(option);
    else {
      if (!groups.has(group)) groups.set(group, select.appendChild(make("optgroup", { label: group })));
      groups.get(group).append(option);
    }
  }
  return select;
}

// ------------------------------------------------------------------ the explorer

function render({ model, el }) {
  let board = null;
  let slider = null;
  let asking = null;

  const put = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  const root = make("div", { class: "pl-explorer pl-information" });
  const busily = (name) => (value) => {
    root.classList.toggle("pl-busy", value !== model.get(name));
    put(name, value);
  };
  const arm = chooser("model", model.get("arms").map((label) => ({ value: label, label })), busily("arm"));
  const choice = chooser("which images", model.get("choices"), busily("choice"));
  const images = make("span", { class: "pl-images" });
  const unit = segmented("unit", ["bit", "nat"], (value) => put("unit", value));
  const place = make("div", { class: "pl-place" });
  const scale = colourBar(model.get("palette"));
  const head = make("div", { class: "pl-head" }, make("div", { class: "pl-heading" }, "Information of each token"), scale.node);
  const slot = make("div", { class: "pl-slot" });
  const note = make("div", { class: "pl-note" });
  const told = panel();
  const curve = curvePlot((k, value) => note.replaceChildren(k === undefined ? HINT : `The first ${k} tokens together: ${written(value, model.get("unit"))}.`));
  const words = make("div", { class: "pl-heading" });
  const shown = make("div", { class: "pl-bar pl-shown", hidden: "" }, words);
  const pictures = pictureGrid(model.get("size"));
  const health = make("ul", { class: "pl-health" });
  const notice = make("div", { class: "pl-notice", role: "status" });
  const problem = make("div", { class: "pl-problem", role: "alert" });

  const select = (tokens) => put("tokens", [...tokens].sort((a, b) => a - b));
  const prefix = (budget) => select(range(0, budget));
  const button = (text, tokens) => make("button", { ...QUIET, type: "button", class: "pl-text", onclick: () => select(tokens()) }, text);

  root.append(
    make("div", { class: "pl-bar" },
      make("div", { class: "pl-chooser" }, ...(model.get("arms").length > 1 ? [arm] : []), choice), images, unit.node),
    notice, problem,
    make("div", { class: "pl-main" },
      make("div", { class: "pl-field" }, head, place, note,
        make("div", { class: "pl-prefix" }, make("span", { class: "pl-lead" }, "Prefix"), slot,
          button("All", () => range(0, model.get("outline").count)), button("None", () => []))),
      make("div", { class: "pl-side" }, told.node, curve.node)),
    health, shown, pictures.node,
  );
  el.append(root);

  function explain(token) {
    const cells = model.get("cells");
    note.replaceChildren(token === undefined || !cells.information ? HINT : describe(token));
  }

  function describe(token) {
    const { information, standard_error: error, corrected, unit: name } = model.get("cells");
    const level = Math.floor(Math.log2(token + 1));
    const where = model.get("outline").pyramid ? `Token ${token + 1}, level ${level}` : `Token ${token + 1}`;
    return `${where}: ${written(information[token])} ${plusMinus(information[token], error[token], name)}; corrected ${written(corrected[token], name)}`;
  }

  function build() {
    const outline = model.get("outline");
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
    slider = budgetSlider(outline.budgets, prefix);
    place.replaceChildren(board.node);
    slot.replaceChildren(slider.node);
    showSelection();
    showCells();
  }

  function showSelection() {
    const tokens = model.get("tokens");
    board.select(tokens);
    slider.show(tokens);
  }

  function showCells() {
    const cells = model.get("cells");
    showUnit();
    arm.value = model.get("arm");
    choice.value = model.get("choice");
    root.classList.toggle("pl-empty", !cells.information);
    if (!cells.information || cells.information.length !== model.get("outline").count) return;
    scale.show(cells.range, cells.unit);
    board.colour(new Shades(model.get("palette"), cells.range), cells.information, describe);
    images.textContent = cells.images;
    health.replaceChildren(...cells.warnings.map((sentence) => make("li", {}, sentence)));
    explain();
  }

  function showTold() {
    const [numbers, cells, outline] = ["told", "cells", "outline"].map((name) => model.get(name));
    told.show(numbers, outline.count);
    if (!numbers.words || !cells.information) return;
    root.classList.remove("pl-busy");
    curve.show(cells.information, outline.budgets, numbers);
    words.textContent = numbers.decoding;
    shown.hidden = false;
    clearTimeout(asking);
    const wanted = String(numbers.pictures) !== String(model.get("page").of);
    if (wanted) asking = setTimeout(() => model.send({ action: "pictures" }), SETTLED_MS);
    root.dataset.told = JSON.stringify([model.get("arm"), model.get("choice"), numbers.words, numbers.value, numbers.unit]);
  }

  async function showPictures() {
    const [page, pixels] = [model.get("page"), model.get("pixels")];
    if (!page.captions) return;
    const bytes = await inflate(pixels);
    if (page !== model.get("page") || pixels !== model.get("pixels")) return; // overtaken by newer ones
    pictures.show(bytes, page);
    root.dataset.pictures = page.of.join(" ");
  }

  const showUnit = () => unit.show(model.get("unit"));
  const showNotice = () => (notice.textContent = model.get("notice"));
  const showProblem = () => {
    problem.textContent = model.get("problem");
    if (model.get("problem")) root.classList.remove("pl-busy");
    arm.value = model.get("arm");
  };
  const listeners = [
    ["change:outline", build], ["change:tokens", showSelection], ["change:cells", showCells], ["change:told", showTold], ["change:page", showPictures],
    ["change:notice", showNotice], ["change:problem", showProblem], ["change:unit", showUnit],
  ];
  listeners.forEach(([event, listener]) => model.on(event, listener));
  build();
  showTold();
  showPictures();
  showNotice();
  showProblem();
  explain();
  if (!model.get("cells").information) model.send({ action: "ready" });
  return () => listeners.forEach(([event, listener]) => model.off(event, listener));
}

export default { render };
