// Curves over the budgets: one for every arm with its interval, baselines as thin lines, a cursor at the budget, and a
// table of the values there. All is drawn here, so the cursor moves without a kernel.

const PLOT = { left: 44, right: 14, top: 14, bottom: 40, inset: 10 };
const LETTER = 5.7; // pixels of a letter of a label, on average
const LEAST_GAP = 13; // pixels between the middles of two labels above each other
const UNKNOWN = "–";

const MARKERS = {
  circle: (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`,
  square: (x, y, r) => `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}z`,
  diamond: (x, y, r) => `M${x} ${y - 1.3 * r}l${1.3 * r} ${1.3 * r}l${-1.3 * r} ${1.3 * r}l${-1.3 * r} ${-1.3 * r}z`,
  "triangle-up": (x, y, r) => `M${x} ${y - 1.2 * r}l${1.2 * r} ${2.2 * r}h${-2.4 * r}z`,
  "triangle-down": (x, y, r) => `M${x} ${y + 1.2 * r}l${1.2 * r} ${-2.2 * r}h${-2.4 * r}z`,
  cross: (x, y, r) => {
    const [a, b] = [0.45 * r, 1.2 * r];
    return `M${x - a} ${y - b}h${2 * a}v${b - a}h${b - a}v${2 * a}h${a - b}v${b - a}h${-2 * a}v${a - b}h${a - b}v${-2 * a}h${b - a}z`;
  },
  pentagon: (x, y, r) => `M${range(0, 5).map((k) => `${x + 1.2 * r * Math.sin((2 * Math.PI * k) / 5)} ${y - 1.2 * r * Math.cos((2 * Math.PI * k) / 5)}`).join("L")}z`,
};

const marker = (symbol, x, y, r) => (MARKERS[symbol.replace("-open", "")] ?? MARKERS.circle)(x, y, r);

// Round values for an axis that hold some others, at most seven of them, and their decimals.
function roundTicks(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const span = Math.max(high - low, 1e-9 + 0.02 * Math.abs(high));
  const least = low >= 0 ? Math.max(0, low - 0.04 * span) : low - 0.04 * span; // the lowest line stays off the axis
  const power = Math.floor(Math.log10(span)) - 1;
  const step = [1, 2, 5, 10, 20, 50, 100].map((size) => size * 10 ** power).find((size) => Math.ceil(high / size - 1e-9) - Math.floor(least / size + 1e-9) <= 6);
  const first = Math.floor(least / step + 1e-9);
  const last = Math.max(Math.ceil(high / step - 1e-9), first + 1);
  return { ticks: range(first, last + 1).map((i) => i * step), digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
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
  constructor({ slider, label, height = 252 }) {
    Object.assign(this, { slider, budgets: slider.budgets, at: 0, width: 0, height });
    this.svg = draw("svg", { class: "pl-plot", role: "group", tabindex: 0, "aria-label": `${label}; arrow keys move the budget, space plays` });
    this.legend = make("table", { class: "pl-values" });
    this.node = make("div", { class: "pl-curves" }, this.svg, this.legend);
    this.svg.addEventListener("pointerdown", (event) => this.pick(event));
    this.svg.addEventListener("pointermove", (event) => event.buttons === 1 && this.pick(event));
    this.svg.addEventListener("keydown", (event) => slider.follow(event));
  }

  pick({ clientX }) {
    const place = (clientX - this.svg.getBoundingClientRect().left - this.x(0)) / (this.x(1) - this.x(0));
    this.slider.stop();
    this.slider.choose(this.budgets[Math.min(this.budgets.length - 1, Math.max(0, Math.round(place)))]);
  }

  get right() {
    const letters = Math.max(0, ...(this.baselines ?? []).map((one) => this.baselineLabel(one).length));
    return this.width - PLOT.right - LETTER * letters;
  }

  x(budget) {
    const room = this.right - PLOT.left - 2 * PLOT.inset;
    return PLOT.left + PLOT.inset + (budget * room) / Math.max(1, this.budgets.length - 1);
  }

  y(value) {
    const [first, last] = [this.ticks[0], this.ticks.at(-1)];
    return this.height - PLOT.bottom - ((value - first) / (last - first)) * (this.height - PLOT.top - PLOT.bottom);
  }

  // `arms` are {label, colour, symbol, value, low, high, printed}, each number by budget; a value may be null, so may low
  // and high, and `printed`, numbers from elsewhere, may be missing or hold nulls. One with a `dash` instead of a colour
  // and a symbol is no arm but stands beside them. `shown` is the arm that stands out.
  show({ arms, baselines = [], decimals, unit = "", shown = null }) {
    Object.assign(this, { arms, baselines, decimals, unit, shown });
    this.build();
  }

  resize() {
    const width = this.node.clientWidth;
    if (!width || Math.abs(width - this.width) < 1) return;
    this.width = width;
    if (this.arms) this.build();
  }

  build() {
    if (!this.width) return;
    const known = this.arms.flatMap(({ value, low, high, printed }) => [...value, ...(low ?? []), ...(high ?? []), ...(printed ?? [])]);
    const { ticks, digits } = roundTicks([...known, ...this.baselines.map((one) => one.value)].filter((value) => value !== null));
    Object.assign(this, { ticks, digits });
    this.cursor = draw("g", { class: "pl-cursor" }, draw("line", { y1: PLOT.top, y2: this.height - PLOT.bottom }));
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    this.svg.style.height = `${this.height}px`;
    this.svg.replaceChildren(...this.axes(), this.cursor, ...this.baselineLines(), ...this.arms.flatMap((one) => this.curve(one)));
    this.move(this.at);
  }

  axes() {
    const [left, floor, top] = [PLOT.left, this.height - PLOT.bottom, this.ticks.length - 1];
    return [
      ...this.ticks.map((value, i) => draw("path", { class: i ? "pl-gridline" : "pl-baseline", d: `M${left} ${this.y(value)}H${this.right}` })),
      ...this.ticks.map((value, i) => draw("text", { x: left - 6, y: this.y(value) + 4, class: "pl-left" },
        i === top && this.unit ? `${value.toFixed(this.digits)} ${this.unit}` : value.toFixed(this.digits))),
      ...this.budgets.map((budget, i) => draw("text", { x: this.x(i), y: floor + 16, class: "pl-middle" }, `${budget}`)),
      draw("text", { x: (left + this.right) / 2, y: this.height - 5, class: "pl-middle" }, "tokens in the prefix (budget)"),
    ];
  }

  baselineLabel({ label, value }) {
    return `${label} ${value.toFixed(0)}`;
  }

  baselineLines() {
    const heights = spaced(this.baselines.map((one) => this.y(one.value) + 4));
    return this.baselines.flatMap((one, i) => [
      draw("path", { class: "pl-compare", d: `M${PLOT.left} ${this.y(one.value)}H${this.right}` }),
      draw("text", { x: this.right + 5, y: heights[i] }, this.baselineLabel(one)),
    ]);
  }

  curve({ label, colour, symbol, value, low, high, printed, dash }) {
    const places = (values) => values.map((one, i) => [i, one]).filter(([, one]) => one !== null).map(([i, one]) => [this.x(i), this.y(one)]);
    const line = (points) => `M${points.map((point) => point.join(" ")).join("L")}`;
    const own = places(value);
    if (dash) return [draw("path", { class: "pl-compare", "stroke-dasharray": dash, d: line(own) })];
    const parts = low ? [draw("path", { class: "pl-band", fill: colour, d: `${line([...places(high), ...places(low).reverse()])}z` })] : [];
    parts.push(draw("path", { class: label === this.shown ? "pl-stroke pl-main-line" : "pl-stroke", stroke: colour, d: line(own) }),
      ...own.map(([x, y]) => draw("path", { class: symbol.endsWith("-open") ? "pl-hollow" : undefined, fill: colour, stroke: colour, d: marker(symbol, x, y, 3.6) })));
    const known = places(printed ?? []);
    if (!known.length) return parts;
    return [...parts, draw("path", { class: "pl-printed", stroke: colour, d: line(known) }),
      ...known.map(([x, y]) => draw("path", { class: "pl-hollow pl-from-paper", stroke: colour, d: marker(symbol, x, y, 4) }))];
  }

  // To another budget: the cursor and the values move, the curves stay.
  move(at) {
    this.at = at;
    if (!this.arms || !this.width) return;
    this.cursor.setAttribute("transform", `translate(${this.x(at)} 0)`);
    this.cursor.replaceChildren(this.cursor.firstChild, ...this.arms.filter(({ value, dash }) => !dash && value[at] !== null).map(({ value, colour }) => draw("circle", { cy: this.y(value[at]), r: 7, stroke: colour })));
    const cell = (text, kind) => make("td", kind ? { class: kind } : {}, text);
    const write = (value) => value === null ? UNKNOWN : `${value.toFixed(this.decimals)}${this.unit ? ` ${this.unit}` : ""}`;
    const isPrinted = this.arms.some(({ printed }) => printed);
    const hasIntervals = this.arms.some(({ low }) => low);
    const rows = this.arms.map((one) => make("tr", one.label === this.shown ? { class: "pl-shown-arm" } : {},
      make("th", { scope: "row" }, this.swatch(one), one.label), cell(write(one.value[at]), "pl-value"),
      ...(hasIntervals ? [cell(one.low && one.low[at] !== null ? `${one.low[at].toFixed(this.decimals)} to ${one.high[at].toFixed(this.decimals)}` : UNKNOWN)] : []),
      ...(isPrinted ? [cell(write(one.printed?.[at] ?? null))] : [])));
    const heads = [plural(this.budgets[at], "token"), ...(hasIntervals ? ["95 % interval"] : []), ...(isPrinted ? ["paper"] : [])];
    this.legend.replaceChildren(make("tr", {}, make("td"), ...heads.map((text) => make("th", { scope: "col" }, text))), ...rows);
  }

  swatch({ symbol, colour, dash }) {
    if (dash) return draw("svg", { class: "pl-swatch", viewBox: "0 0 26 12", "aria-hidden": "true" }, draw("path", { class: "pl-compare", "stroke-dasharray": dash, d: "M0 6H26" }));
    const hollow = symbol.endsWith("-open") ? "pl-hollow" : undefined;
    return draw("svg", { class: "pl-swatch", viewBox: "0 0 26 12", "aria-hidden": "true" }, draw("path", { class: "pl-stroke", stroke: colour, d: "M0 6H26" }),
      draw("path", { class: hollow, fill: colour, stroke: colour, d: marker(symbol, 13, 6, 4) }));
  }
}
