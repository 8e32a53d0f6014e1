// A picture for every stop of one slider or two; all are there, so nothing waits for a kernel.

// The slider of budgets, for stops of any kind.
class StopSlider extends BudgetSlider {
  constructor({ name, stops, unit, choose }) {
    super({ budgets: stops, choose, label: name });
    this.unit = unit;
    this.node.prepend(make("div", { class: "pl-flip-name" }, name));
  }

  show(stop) {
    super.show(stop);
    this.input.setAttribute("aria-valuetext", `${stop} ${this.unit}`);
    this.readout.replaceChildren(make("b", {}, stop), ` ${this.unit}`);
  }
}

function render({ model, el }) {
  const frame = new Frame(model, el, "pl-flip");
  const get = (name) => frame.get(name);
  const picture = make("div", { class: "pl-flip-picture" });
  const caption = make("div", { class: "pl-note", role: "status" });
  const sliders = get("sliders").map(({ name, stops, unit }, which) =>
    new StopSlider({ name, stops, unit, choose: (stop) => {
      frame.put({ places: get("places").map((place, other) => (other === which ? stops.indexOf(stop) : place)) });
      show();
    } }));

  function show() {
    const places = get("places");
    sliders.forEach((slider, which) => slider.show(get("sliders")[which].stops[places[which]]));
    const page = places.reduce((number, place, which) => number * get("sliders")[which].stops.length + place, 0);
    picture.innerHTML = get("pictures")[page];
    caption.textContent = get("captions")[page];
    frame.root.dataset.shown = JSON.stringify(places);
  }

  frame.fill(...sliders.map((slider) => slider.node), frame.problem, picture, caption);
  frame.on("change:places", show);
  frame.cleaners.push(() => sliders.forEach((slider) => slider.stop()));
  show();
  return () => frame.close();
}

export default { render };
