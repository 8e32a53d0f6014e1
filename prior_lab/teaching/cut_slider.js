// Lesson 1: one picture, cut short in several ways side by side. All cuts are here, so the slider needs no kernel.

// Of any noun; the shelf's counts tokens.
class CountSlider extends BudgetSlider {
  constructor({ noun, ...options }) {
    super({ ...options, label: `${noun}s kept` });
    this.noun = noun;
  }

  show(budget) {
    super.show(budget);
    const last = this.budgets.at(-1);
    this.input.setAttribute("aria-valuetext", `${budget} of ${plural(last, this.noun)}`);
    this.readout.replaceChildren(make("b", {}, fixed(budget, 0)), ` of ${plural(last, this.noun)}`);
  }
}

class ErrorCurves extends Curves {
  constructor({ noun, ...options }) {
    super(options);
    this.noun = noun;
  }

  axes() {
    const parts = super.axes();
    parts.at(-1).textContent = `${this.noun}s kept`;
    return parts;
  }
}

// `pixels` has the images, then for each way its stops in order; each layer holds all images, RGB.
class Layers {
  constructor(bytes, { stops, images, side }) {
    Object.assign(this, { bytes, stops, images, side });
  }

  paint(canvas, image, way = -1, stop = 0) {
    const layer = way < 0 ? 0 : 1 + way * this.stops + stop;
    const picture = new ImageData(this.side, this.side);
    copyRgb(picture.data, this.bytes, (layer * this.images + image) * this.side * this.side * 3);
    canvas.getContext("2d").putImageData(picture, 0, 0);
  }
}

function tile(side, label, colour) {
  const canvas = make("canvas", { class: "pl-tile", width: side, height: side, role: "img", "aria-label": label });
  const number = make("span", { class: "pl-off-by" });
  const node = make("figure", { class: "pl-cut" }, canvas,
    make("figcaption", {}, make("span", { class: "pl-name", style: `--colour:${colour}` }, label), number));
  return { node, canvas, number };
}

function render({ model, el }) {
  const frame = new Frame(model, el, "pl-cutting");
  const get = (name) => frame.get(name);
  const [stops, arms, captions, side, noun] = ["stops", "arms", "captions", "side", "noun"].map(get);
  let layers = null;
  const choose = (stop) => frame.put({ stop });
  const slider = new CountSlider({ budgets: stops, choose, noun });
  const curves = new ErrorCurves({ slider, noun, label: "levels off against numbers kept", height: 230 });
  const tiles = [tile(side, "the picture", "transparent"), ...arms.map(({ label, colour }) => tile(side, label, colour))];
  const choices = captions.map((caption) =>
    make("button", { type: "button", class: "pl-choice", title: caption, "aria-label": caption, onclick: () => frame.put({ image: caption }) },
      make("canvas", { width: side, height: side })));
  const name = make("span", { class: "pl-position", "aria-live": "polite" });

  frame.fill(
    make("div", { class: "pl-choices", role: "group", "aria-label": "which picture" }, ...choices, name),
    slider.node, frame.problem, frame.notice,
    make("div", { class: "pl-cuts", style: `--count:${tiles.length}` }, ...tiles.map(({ node }) => node)),
    make("div", { class: "pl-heading pl-above" }, "Error: levels off, of 0 to 255"),
    curves.node,
  );

  const at = () => Math.max(0, stops.indexOf(get("stop")));
  const image = () => Math.max(0, captions.indexOf(get("image")));

  function paint() {
    slider.show(get("stop"));
    curves.move(at());
    const off = get("off")[image()];
    arms.forEach((_, way) => (tiles[way + 1].number.textContent = `${fixed(off[way][at()], 1)} off`));
    if (!layers) return;
    tiles.forEach(({ canvas }, i) => layers.paint(canvas, image(), i - 1, at()));
    frame.root.dataset.painted = `${get("image")}, ${get("stop")}`;
  }

  function turn() {
    name.textContent = get("image");
    choices.forEach((node, i) => node.setAttribute("aria-pressed", String(i === image())));
    const off = get("off")[image()];
    curves.show({ arms: arms.map((arm, way) => ({ ...arm, value: off[way] })), decimals: 1 });
    paint();
  }

  async function unpack() {
    layers = new Layers(await inflate(get("pixels")), { stops: stops.length, images: captions.length, side });
    choices.forEach((node, i) => layers.paint(node.firstChild, i));
    paint();
  }

  frame.on("change:stop", paint);
  frame.on("change:image", turn);
  frame.fitting(() => curves.resize());
  turn();
  unpack();
  return () => {
    slider.stop();
    frame.close();
  };
}

export default { render };
