// What explorers are built of. These files are joined into one module, in the order that `canvas.py` tells; each
// explorer adds its own drawing. The same module runs in JupyterLab and in an exported page.

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  play: "M4 2.5v11l9-5.5z",
  pause: "M4 3h3v10H4zM9 3h3v10H9z",
  previous: "M10 3 5 8l5 5",
  next: "M6 3l5 5-5 5",
  shuffle: "M2 4.5h2.5l6 7H14M2 11.5h2.5l1.8-2.1M8.7 6.6l1.8-2.1H14M12 2.5l2 2-2 2M12 9.5l2 2-2 2",
};

// JupyterLab takes arrow keys and letters as its own commands unless the focused element itself says otherwise.
const CONTROLS = ["button", "input", "select"];

function dress(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined) node.setAttribute(name, value);
  }
  if (CONTROLS.includes(node.localName) || "tabindex" in properties) node.setAttribute("data-lm-suppress-shortcuts", "true");
  node.append(...children);
  return node;
}

const make = (tag, properties = {}, ...children) => dress(document.createElement(tag), properties, children);
const draw = (tag, properties = {}, ...children) => dress(document.createElementNS(SVG, tag), properties, children);

function icon(name) {
  const solid = name === "play" || name === "pause";
  return draw("svg", { viewBox: "0 0 16 16", class: solid ? "pl-icon pl-solid" : "pl-icon", "aria-hidden": "true" }, draw("path", { d: ICONS[name] }));
}

function iconButton(name, label, onclick) {
  return make("button", { type: "button", class: "pl-button", title: label, "aria-label": label, onclick }, icon(name));
}

// ------------------------------------------------------------------ words and numbers

// Kept, for making one takes longer than all the rest of drawing.
const FORMATS = [0, 1, 2, 3, 4, 5].map((digits) => new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
const SHORT = new Intl.NumberFormat("en-US", { maximumFractionDigits: 3 });

const fixed = (value, digits) => FORMATS[digits].format(value);
const plural = (count, noun) => `${fixed(count, 0)} ${noun}${count === 1 ? "" : "s"}`;
const range = (start, stop) => Array.from({ length: stop - start }, (_, i) => start + i);
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

// A buffer as numbers, or none before it has come.
const numbers = (Kind, view) => (view?.byteLength ? new Kind(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength)) : new Kind(0));

async function inflate(view) {
  const stream = new Blob([view]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
