// The live half of the probe explorer, in parts that are one module. All budgets and label levels are here, so sliding
// and switching need no kernel; it is asked once for the map of an arm, whose model it loads.
// This part: what the others are built of.

const SVG = "http://www.w3.org/2000/svg";
const LEAST_GAP = 13; // pixels between the middles of two labels above each other

// JupyterLab takes arrow keys and letters as its own commands unless the focused element itself says otherwise.
const QUIET = { "data-lm-suppress-shortcuts": "true" };

function dress(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

const make = (tag, properties = {}, ...children) => dress(document.createElement(tag), properties, children);
const draw = (tag, properties = {}, ...children) => dress(document.createElementNS(SVG, tag), properties, children);

const plural = (count, noun) => `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
const percent = (value) => `${value.toFixed(1)} %`;

function segmented(label, options, pick) {
  const buttons = options.map(([value, text]) => make("button", { ...QUIET, type: "button", "data-value": value, onclick: () => pick(value) }, text));
  const node = make("div", { class: "pl-segmented", role: "group", "aria-label": label }, ...buttons);
  const show = (value) => buttons.forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.value === value)));
  return { node, show };
}

// A drop-down; `fill` gives it other options, as [value, text] or [value, text, heading that it stands under].
function chooser(label, pick) {
  const node = make("select", { ...QUIET, class: "pl-select", "aria-label": label, onchange: () => pick(node.value) });
  const fill = (options) => {
    const headings = new Map();
    node.replaceChildren();
    for (const [value, text, heading] of options) {
      if (heading && !headings.has(heading)) headings.set(heading, node.appendChild(make("optgroup", { label: heading })));
      (headings.get(heading) ?? node).append(make("option", { value }, text));
    }
  };
  return { node, fill, show: (value) => (node.value = value) };
}

function budgetSlider(budgets, choose) {
  const last = Math.max(1, budgets.length - 1);
  const input = make("input", { ...QUIET, type: "range", class: "pl-range", min: 0, max: budgets.length - 1, step: 1, "aria-label": "budget",
    oninput: () => choose(+input.value) });
  const ticks = budgets.map((budget, i) =>
    make("button", { ...QUIET, type: "button", tabindex: -1, style: `left:${(100 * i) / last}%`, onclick: () => choose(i) }, `${budget}`));
  const readout = make("div", { class: "pl-readout" });
  const node = make("div", { class: "pl-bar pl-budget" }, make("div", { class: "pl-slider" }, input, make("div", { class: "pl-ticks" }, ...ticks)), readout);
  const show = (at) => {
    input.value = at;
    input.style.setProperty("--fill", `${(100 * at) / last}%`);
    input.setAttribute("aria-valuetext", plural(budgets[at], "token"));
    ticks.forEach((tick, i) => tick.classList.toggle("pl-here", i === at));
    readout.replaceChildren(make("b", {}, `${budgets[at]}`), budgets[at] === 1 ? " token" : " tokens");
  };
  return { node, show };
}

// Thumbnails of all images on one sheet; nothing is drawn before it has come.
class Sheet {
  constructor({ side, columns }) {
    Object.assign(this, { side, columns, bitmap: null });
  }
  async load(bytes) {
    this.bitmap = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
  }
  draw(context, image, x, y, size) {
    if (!this.bitmap) return;
    const [column, line] = [image % this.columns, Math.floor(image / this.columns)];
    context.drawImage(this.bitmap, column * this.side, line * this.side, this.side, this.side, x, y, size, size);
  }
  tile() {
    return make("canvas", { class: "pl-tile", width: this.side, height: this.side, role: "img" });
  }
  put(tile, image, label) {
    tile.setAttribute("aria-label", label);
    this.draw(tile.getContext("2d"), image, 0, 0, this.side);
  }
}
