// Controls: each is an object with its `node` and a `show` that brings it to what is chosen.

const STEP_MS = 900; // pace of the play button

// Buttons of which one is pressed; options are [value, words].
function segmented(label, options, pick) {
  const buttons = options.map(([value, words]) => make("button", { type: "button", "data-value": value, onclick: () => pick(value) }, words));
  const node = make("div", { class: "pl-segmented", role: "group", "aria-label": label }, ...buttons);
  const show = (value) => buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.value === value)));
  return { node, show };
}

// A drop-down; `fill` gives it other options, as [value, words] or [value, words, heading that it stands under].
function chooser(label, pick) {
  const node = make("select", { class: "pl-select", "aria-label": label, onchange: () => pick(node.value) });
  const fill = (options) => {
    const headings = new Map();
    node.replaceChildren();
    for (const [value, words, heading] of options) {
      if (heading && !headings.has(heading)) headings.set(heading, node.appendChild(make("optgroup", { label: heading })));
      (headings.get(heading) ?? node).append(make("option", { value }, words));
    }
  };
  return { node, fill, show: (value) => (node.value = value) };
}

// Which images, by label: the choices as `Pictures.choices` tells them.
function imageChooser(choices, pick) {
  const control = chooser("which images", pick);
  control.fill(choices.map(({ value, group, label, count }) => [value, `${label} (${fixed(count, 0)})`, group]));
  return control;
}

const named = (words, control) => make("label", { class: "pl-group" }, words, control.node);

// The slider of budgets with its play button. Arrows, Home and End move it, space plays.
class BudgetSlider {
  constructor({ budgets, choose, label = "budget" }) {
    Object.assign(this, { budgets, choose, at: 0, clock: null });
    const last = Math.max(1, budgets.length - 1);
    this.last = last;
    const byHand = (place) => {
      this.stop();
      choose(budgets[place]);
    };
    this.input = make("input", {
      type: "range", class: "pl-range", min: 0, max: budgets.length - 1, step: 1, "aria-label": label,
      oninput: () => byHand(+this.input.value),
      onclick: () => byHand(+this.input.value), // of a selection that is no prefix, the stop that it stands on
    });
    this.ticks = budgets.map((budget, i) =>
      make("button", { type: "button", tabindex: -1, style: `left:${(100 * i) / last}%`, onclick: () => byHand(i) }, `${budget}`));
    this.button = iconButton("play", "play", () => this.play());
    this.readout = make("div", { class: "pl-readout" });
    this.node = make("div", { class: "pl-bar pl-budget" }, this.button,
      make("div", { class: "pl-slider" }, this.input, make("div", { class: "pl-ticks" }, ...this.ticks)), this.readout);
    this.input.addEventListener("keydown", (event) => this.listen(event));
  }

  // Space plays; other elements that have the focus may hand their keys over.
  listen(event) {
    if (event.key !== " ") return;
    event.preventDefault();
    this.play();
  }

  // From another element: arrows to the side, Home and End move the budget, space plays.
  follow(event) {
    const { length } = this.budgets;
    const place = { ArrowLeft: this.at - 1, ArrowRight: this.at + 1, Home: 0, End: length - 1 }[event.key];
    if (place === undefined) return this.listen(event);
    event.preventDefault();
    event.stopPropagation();
    this.stop();
    return this.choose(this.budgets[Math.min(length - 1, Math.max(0, place))]);
  }

  play() {
    if (this.clock !== null) return this.stop();
    const step = () => this.choose(this.budgets[(this.at + 1) % this.budgets.length]);
    this.clock = setInterval(step, STEP_MS);
    step();
    return this.showClock();
  }

  stop() {
    clearInterval(this.clock);
    this.clock = null;
    this.showClock();
  }

  showClock() {
    const name = this.clock === null ? "play" : "pause";
    this.button.replaceChildren(icon(name));
    this.button.title = name;
    this.button.setAttribute("aria-label", name);
  }

  // What is shown may be no budget: then `instead` tells it in words, and the slider is pale, at the longest budget inside.
  show(budget, instead = "") {
    const { budgets, input, ticks } = this;
    this.at = Math.max(0, budgets.indexOf(budget));
    input.value = this.at;
    input.style.setProperty("--fill", `${(100 * this.at) / this.last}%`);
    input.setAttribute("aria-valuetext", instead || `${budget} of ${plural(budgets.at(-1), "token")}`);
    ticks.forEach((tick, i) => tick.classList.toggle("pl-here", !instead && i === this.at));
    this.node.classList.toggle("pl-off", Boolean(instead));
    this.readout.replaceChildren(...(instead ? [instead] : [make("b", {}, `${budget}`), ` of ${plural(budgets.at(-1), "token")}`]));
  }
}

// Which images: by label, and page by page.
function pager(choices, ask) {
  const select = imageChooser(choices, (label) => ask({ action: "choose", label }));
  const position = make("span", { class: "pl-position", "aria-live": "polite" });
  const node = make("div", { class: "pl-chooser" }, select.node,
    make("span", { class: "pl-pager" },
      iconButton("previous", "previous images", () => ask({ action: "previous" })), position,
      iconButton("next", "next images", () => ask({ action: "next" })),
      iconButton("shuffle", "shuffle the images", () => ask({ action: "shuffle" }))));
  const show = ({ choice, position: words }) => {
    select.show(choice);
    position.textContent = words;
  };
  return { node, show };
}
