// The accuracy curves: one for every ordering with its interval, baselines as thin lines, and a cursor at the budget.

const PLOT = { height: 252, left: 42, right: 68, top: 10, bottom: 40, inset: 10 };
const PAPER_NOTE = "Hollow and dotted: table 4 of the paper. Other data (MVImgNet 2), other labels, a larger model: compare how curves bend, not how high they lie.";

const MARKERS = {
  circle: (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`,
  square: (x, y, r) => `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}z`,
  diamond: (x, y, r) => `M${x} ${y - 1.3 * r}l${1.3 * r} ${1.3 * r}l${-1.3 * r} ${1.3 * r}l${-1.3 * r} ${-1.3 * r}z`,
  "triangle-up": (x, y, r) => `M${x} ${y - 1.2 * r}l${1.2 * r} ${2.2 * r}h${-2.4 * r}z`,
};

const marker = ({ symbol }, x, y, r) => (MARKERS[symbol.replace("-open", "")] ?? MARKERS.circle)(x, y, r);

// Round values for the axis that hold some others, at most seven of them.
function roundTicks(values) {
  const [least, most] = [Math.max(0, Math.min(...values) - 0.5), Math.max(...values)]; // the lowest line stays off the axis
  const step = [0.5, 1, 2, 5, 10, 20].find((size) => Math.ceil(most / size) - Math.floor(least / size) <= 6);
  const [first, last] = [Math.floor(least / step), Math.max(Math.ceil(most / step), Math.floor(least / step) + 1)];
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

// Heights of labels that should stand at `wanted`, pushed apart where they would overlap.
function spaced(wanted) {
  const order = wanted.map((_, i) => i).sort((a, b) => wanted[a] - wanted[b]);
  const found = [...wanted];
  order.forEach((i, place) => {
    if (place) found[i] = Math.max(found[i], found[order[place - 1]] + LEAST_GAP);
  });
  return found;
}

class Curves {
  constructor(budgets, choose, switchPaper) {
    Object.assign(this, { budgets, choose, at: 0, width: 0 });
    this.svg = draw("svg", { class: "pl-plot", role: "img", "aria-label": "accuracy against budget" });
    this.heading = make("div", { class: "pl-heading" });
    this.legend = make("table", { class: "pl-values" });
    this.box = make("input", { ...QUIET, type: "checkbox", onchange: () => switchPaper(this.box.checked) });
    this.switch = make("label", { class: "pl-switch" }, this.box, "paper’s numbers");
    this.note = make("p", { class: "pl-note" }, PAPER_NOTE);
    this.node = make("section", { class: "pl-curves-of" }, make("div", { class: "pl-bar" }, this.heading, this.switch), this.svg, this.legend, this.note);
    this.svg.addEventListener("pointerdown", (event) => this.pick(event));
    this.svg.addEventListener("pointermove", (event) => event.buttons === 1 && this.pick(event));
  }

  pick({ clientX }) {
    const place = (clientX - this.svg.getBoundingClientRect().left - this.x(0)) / (this.x(1) - this.x(0));
    this.choose(Math.min(this.budgets.length - 1, Math.max(0, Math.round(place))));
  }

  x(budget) {
    const room = this.width - PLOT.left - PLOT.right - 2 * PLOT.inset;
    return PLOT.left + PLOT.inset + (budget * room) / Math.max(1, this.budgets.length - 1);
  }

  y(value) {
    const [first, last] = [this.ticks[0], this.ticks.at(-1)];
    return PLOT.height - PLOT.bottom - ((value - first) / (last - first)) * (PLOT.height - PLOT.top - PLOT.bottom);
  }

  // `level` is the number of the label level, `taxonomy` its name.
  show({ curves, level, taxonomy, arm, paper }) {
    this.arms = curves.arms.map((one) => ({ ...one, accuracy: one.accuracy[level], low: one.low[level], high: one.high[level], paper: one.paper?.[level] }));
    this.baselines = curves.baselines.map((one) => ({ ...one, accuracy: one.accuracy[level] }));
    const printed = this.arms.some((one) => one.paper?.some((value) => value !== null));
    this.paper = paper && printed;
    this.shown = arm;
    this.heading.replaceChildren(`Probe accuracy, ${taxonomy}`);
    this.switch.hidden = !printed;
    this.box.checked = paper;
    this.note.hidden = !this.paper;
    this.build();
  }

  resize(width) {
    if (!width || Math.abs(width - this.width) < 1) return;
    this.width = width;
    if (this.arms) this.build();
  }

  build() {
    const bounds = this.arms.flatMap(({ low, high, paper }) => [...low, ...high, ...((this.paper && paper) || []).filter((value) => value !== null)]);
    this.ticks = roundTicks([...bounds, ...this.baselines.map((one) => one.accuracy)]);
    this.cursor = draw("g", { class: "pl-cursor" }, draw("line", { y1: PLOT.top, y2: PLOT.height - PLOT.bottom }));
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${PLOT.height}`);
    this.svg.style.height = `${PLOT.height}px`;
    this.svg.replaceChildren(...this.axes(), this.cursor, ...this.baselineLines(), ...this.arms.flatMap((one) => this.curve(one)));
    this.move(this.at);
  }

  axes() {
    const [left, right, floor] = [PLOT.left, this.width - PLOT.right, PLOT.height - PLOT.bottom];
    const top = this.ticks.length - 1;
    return [
      ...this.ticks.map((value, i) => draw("path", { class: i ? "pl-gridline" : "pl-baseline", d: `M${left} ${this.y(value)}H${right}` })),
      ...this.ticks.map((value, i) => draw("text", { x: left - 6, y: this.y(value) + 4, class: "pl-left" }, i === top ? `${value} %` : `${value}`)),
      ...this.budgets.map((budget, i) => draw("text", { x: this.x(i), y: floor + 16, class: "pl-middle" }, `${budget}`)),
      draw("text", { x: (left + right) / 2, y: PLOT.height - 5, class: "pl-middle" }, "tokens in the prefix (budget)"),
    ];
  }

  baselineLines() {
    const right = this.width - PLOT.right;
    const heights = spaced(this.baselines.map((one) => this.y(one.accuracy) + 4));
    return this.baselines.flatMap(({ label, accuracy }, i) => [
      draw("path", { class: "pl-compare", d: `M${PLOT.left} ${this.y(accuracy)}H${right}` }),
      draw("text", { x: right + 5, y: heights[i] }, `${label} ${accuracy.toFixed(0)}`),
    ]);
  }

  curve({ label, colour, symbol, accuracy, low, high, paper }) {
    const line = (values) => values.map((value, i) => `${this.x(i)} ${this.y(value)}`).join("L");
    const back = low.map((value, i) => `${this.x(i)} ${this.y(value)}`).reverse().join("L");
    const parts = [
      draw("path", { class: "pl-band", fill: colour, d: `M${line(high)}L${back}z` }),
      draw("path", { class: label === this.shown ? "pl-line pl-main-line" : "pl-line", stroke: colour, d: `M${line(accuracy)}` }),
      ...accuracy.map((value, i) => draw("path", { class: symbol.endsWith("-open") ? "pl-hollow" : undefined, fill: colour, stroke: colour,
        d: marker({ symbol }, this.x(i), this.y(value), 3.6) })),
    ];
    if (!this.paper || !paper) return parts;
    const known = paper.map((value, i) => [i, value]).filter(([, value]) => value !== null);
    const places = known.map(([i, value]) => [this.x(i), this.y(value)]);
    return [...parts, draw("path", { class: "pl-printed", stroke: colour, d: `M${places.map((place) => place.join(" ")).join("L")}` }),
      ...places.map(([x, y]) => draw("path", { class: "pl-hollow pl-from-paper", stroke: colour, d: marker({ symbol }, x, y, 4) }))];
  }

  // To another budget: the cursor and the values move, the curves stay.
  move(at) {
    this.at = at;
    if (!this.arms || !this.width) return;
    this.cursor.setAttribute("transform", `translate(${this.x(at)} 0)`);
    this.cursor.replaceChildren(this.cursor.firstChild, ...this.arms.map(({ accuracy, colour }) =>
      draw("circle", { cy: this.y(accuracy[at]), r: 7, stroke: colour })));
    const cell = (text, kind) => make("td", kind ? { class: kind } : {}, text);
    const rows = this.arms.map((one) => make("tr", one.label === this.shown ? { class: "pl-shown-arm" } : {},
      make("th", { scope: "row" }, this.swatch(one), one.label), cell(percent(one.accuracy[at]), "pl-value"),
      cell(`${one.low[at].toFixed(1)} – ${one.high[at].toFixed(1)}`),
      ...(this.paper ? [cell(one.paper && one.paper[at] !== null ? percent(one.paper[at]) : "–")] : [])));
    const heads = [plural(this.budgets[at], "token"), "95 % interval", ...(this.paper ? ["paper"] : [])];
    this.legend.replaceChildren(make("tr", {}, make("td"), ...heads.map((text) => make("th", { scope: "col" }, text))), ...rows);
  }

  swatch(one) {
    const hollow = one.symbol.endsWith("-open") ? "pl-hollow" : undefined;
    return draw("svg", { class: "pl-swatch", viewBox: "0 0 26 12", "aria-hidden": "true" }, draw("path", { class: "pl-line", stroke: one.colour, d: "M0 6H26" }),
      draw("path", { class: hollow, fill: one.colour, stroke: one.colour, d: marker(one, 13, 6, 4) }));
  }
}
