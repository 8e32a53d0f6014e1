// The plane of two settings: what the surrogate makes of it as shades, the trials as marks, ticks on log or linear axes.

const MARGIN = { left: 62, right: 12, top: 10, bottom: 44 };

// Values worth a tick: decades where the logarithm counts, else both ends and the middle.
function axisTicks({ low, high, log }) {
  if (!log) return [low, (low + high) / 2, high];
  const decades = range(Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9) + 1).map((power) => 10 ** power);
  return decades.length > 1 ? decades : [low, Math.sqrt(low * high), high];
}

const placeOn = ({ low, high, log }, value) => (log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low));

const inShort = (value) => (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e4) ? value.toExponential(0).replace("e+", "e") : `${Number(value.toPrecision(2))}`);

class Plane {
  constructor({ palette, side, pick }) {
    Object.assign(this, { palette, side, pick, width: 0, height: 340 });
    this.small = new OffscreenCanvas(side, side);
    this.canvas = make("canvas", { class: "pl-shades", "aria-hidden": "true" });
    this.svg = draw("svg", { class: "pl-marks", role: "group", "aria-label": "trials in the plane of two settings" });
    this.node = make("div", { class: "pl-plane" }, this.canvas, this.svg);
  }

  resize() {
    const width = this.node.clientWidth;
    if (!width || Math.abs(width - this.width) < 1) return;
    this.width = width;
    if (this.shown) this.show(this.shown);
  }

  // `values` are row by row from below, or nothing where there is no surrogate; `axes` the one across and the one up;
  // `marks` {number, place: [across, up], stage, words, worth}.
  show(shown) {
    this.shown = shown;
    if (!this.width) return;
    const { values, limits: [low, high], axes: [across, up], marks, chosen } = shown;
    const [w, h] = [this.width - MARGIN.left - MARGIN.right, this.height - MARGIN.top - MARGIN.bottom];
    const x = (place) => MARGIN.left + place * w;
    const y = (place) => MARGIN.top + (1 - place) * h;
    Object.assign(this.canvas.style, { left: `${MARGIN.left}px`, top: `${MARGIN.top}px`, width: `${w}px`, height: `${h}px` });
    this.canvas.hidden = !values;
    if (values) this.shade(values, low, high, w, h);
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    this.svg.style.height = `${this.height}px`;
    const floor = this.height - MARGIN.bottom;
    this.svg.replaceChildren(
      draw("rect", { class: "pl-rim", x: MARGIN.left, y: MARGIN.top, width: w, height: h }),
      ...axisTicks(across).map((value) => draw("text", { class: "pl-middle", x: x(placeOn(across, value)), y: floor + 16 }, inShort(value))),
      ...axisTicks(up).map((value) => draw("text", { class: "pl-left", x: MARGIN.left - 7, y: y(placeOn(up, value)) + 4 }, inShort(value))),
      draw("text", { class: "pl-middle pl-name", x: x(0.5), y: this.height - 6 }, across.words),
      draw("text", { class: "pl-middle pl-name", transform: `translate(13 ${y(0.5)}) rotate(-90)` }, up.words),
      ...marks.map((mark) => this.mark(mark, x(mark.place[0]), y(mark.place[1]), mark.number === chosen)),
    );
  }

  shade(values, low, high, width, height) {
    const [context, side] = [this.small.getContext("2d"), this.side];
    const image = context.createImageData(side, side);
    values.forEach((value, i) => {
      const [row, column] = [side - 1 - Math.floor(i / side), i % side];
      const shade = Math.min(1, Math.max(0, (value - low) / Math.max(high - low, 1e-12)));
      image.data.set([...this.palette[Math.round(shade * (this.palette.length - 1))], 255], 4 * (row * side + column));
    });
    context.putImageData(image, 0, 0);
    const ratio = window.devicePixelRatio || 1;
    [this.canvas.width, this.canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    const large = this.canvas.getContext("2d");
    large.imageSmoothingEnabled = true;
    large.drawImage(this.small, 0.5, 0.5, side - 1, side - 1, 0, 0, this.canvas.width, this.canvas.height);
  }

  mark({ number, stage, words, isSound }, x, y, isChosen) {
    const shape = !isSound ? "cross" : stage === "anchor" ? "triangle-up" : stage === "broad" ? "circle" : "diamond";
    const classes = ["pl-trial", isChosen && "pl-chosen-trial"].filter(Boolean).join(" ");
    return draw("path", { class: classes, d: marker(shape, x, y, isChosen ? 7 : 5), tabindex: 0, role: "button", "data-trial": number, "aria-label": words,
      onclick: () => this.pick(number), onkeydown: (event) => (event.key === "Enter" || event.key === " ") && (event.preventDefault(), this.pick(number)) }, draw("title", {}, words));
  }
}
