// The slider of bytes. Few bytes get more room than many, as on a logarithmic scale that begins at zero; under it lie the
// levels of the chosen file. Arrows go from one change of the chosen picture to the next, with shift byte by byte.

const SOFT = 16; // bytes up to which the scale is nearly even
const STEPS = 2000; // of the slider itself
const TICKS = [0, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000];

class ByteSlider {
  constructor({ choose, settle, rates, pace }) {
    Object.assign(this, { choose, settle, cut: 0, longest: 1, stops: [0], clock: null, rate: rates[0] });
    const byHand = () => this.take(this.bytes(+this.input.value));
    this.input = make("input", { type: "range", class: "pl-range", min: 0, max: STEPS, step: 1, "aria-label": "bytes that have arrived", oninput: byHand });
    this.input.addEventListener("keydown", (event) => this.listen(event));
    this.strip = make("div", { class: "pl-strip" });
    this.ticks = make("div", { class: "pl-ticks" });
    this.button = iconButton("play", "play", () => this.play());
    this.readout = make("div", { class: "pl-readout" });
    this.pace = segmented("bit rate of the play button", rates.map((rate) => [`${rate}`, fixed(rate, 0)]), (rate) => pace(+rate));
    this.node = make("div", { class: "pl-bar pl-budget pl-bytes" }, this.button,
      make("div", { class: "pl-slider" }, this.input, this.strip, this.ticks), this.readout);
  }

  place(bytes) {
    return Math.log1p(bytes / SOFT) / Math.log1p(this.longest / SOFT);
  }

  bytes(position) {
    return Math.round(SOFT * Math.expm1((position / STEPS) * Math.log1p(this.longest / SOFT)));
  }

  take(bytes) {
    this.stop();
    this.choose(Math.min(this.longest, Math.max(0, bytes)));
  }

  listen(event) {
    const [next, before] = [this.stops.find((stop) => stop > this.cut), this.stops.findLast((stop) => stop < this.cut)];
    const up = event.shiftKey ? this.cut + 1 : next ?? this.longest;
    const down = event.shiftKey ? this.cut - 1 : before ?? 0;
    const to = { ArrowRight: up, ArrowUp: up, ArrowLeft: down, ArrowDown: down, PageUp: this.cut + 10, PageDown: this.cut - 10, Home: 0, End: this.longest }[event.key];
    if (to === undefined && event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === " ") this.play();
    else this.take(to);
  }

  // Bytes arrive at the chosen rate, from the beginning where all are there; the kernel is told at the end.
  play() {
    if (this.clock !== null) return this.stop();
    let [from, begun] = [this.cut >= this.longest ? 0 : this.cut, performance.now()];
    const step = (now) => {
      const cut = Math.min(this.longest, from + Math.floor((Math.max(0, now - begun) * this.rate) / 8000));
      if (cut !== this.cut) this.choose(cut, true);
      if (cut < this.longest) this.clock = requestAnimationFrame(step);
      else this.stop();
    };
    this.restart = () => ([from, begun] = [this.cut, performance.now()]);
    this.clock = requestAnimationFrame(step);
    return this.showClock();
  }

  stop() {
    if (this.clock === null) return;
    cancelAnimationFrame(this.clock);
    this.clock = null;
    this.showClock();
    this.settle();
  }

  showClock() {
    const name = this.clock === null ? "play" : "pause";
    this.button.replaceChildren(icon(name));
    this.button.title = name;
    this.button.setAttribute("aria-label", name);
  }

  showRate(rate) {
    this.rate = rate;
    this.pace.show(`${rate}`);
    if (this.clock !== null) this.restart();
  }

  // Another page, or another file: `parts` are its header and its levels, as {start, end, label, shade, words}.
  fit({ longest, stops, parts }) {
    Object.assign(this, { longest, stops });
    const left = (bytes) => `${100 * this.place(bytes)}%`;
    this.pieces = parts.map(({ start, end, label, shade, words }) => make("span", { class: "pl-piece", title: words,
      style: `left:${left(start)};width:${100 * (this.place(end) - this.place(start))}%;${shade}` }, label));
    this.parts = parts;
    this.strip.replaceChildren(...this.pieces);
    const far = TICKS.filter((tick) => tick < longest && this.place(tick) < 0.94);
    this.ticks.replaceChildren(...[...far, longest].map((tick) =>
      make("button", { type: "button", tabindex: -1, style: `left:${left(tick)}`, onclick: () => this.take(tick) }, fixed(tick, 0))));
  }

  show(cut, words) {
    this.cut = cut;
    this.input.value = STEPS * this.place(cut);
    this.input.style.setProperty("--fill", `${100 * this.place(cut)}%`);
    this.input.setAttribute("aria-valuetext", `${plural(cut, "byte")}; ${words}`);
    this.pieces.forEach((piece, i) => piece.classList.toggle("pl-yet", this.parts[i].start >= cut));
    this.readout.replaceChildren(make("b", {}, fixed(cut, 0)), ` ${cut === 1 ? "byte" : "bytes"}`);
  }
}
