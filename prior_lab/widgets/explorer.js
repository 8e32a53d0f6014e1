// The live half of the budget explorer. All budgets are here, so sliding, playing and switching the view need no kernel;
// only other images are asked for. The same file runs inside an exported page, where the model is a plain object.

const GAIN = 4; // amplification of the added view
const WORST = 0.25; // absolute error drawn with the last colour of the palette; images lie in 0 to 1
const STEP_MS = 900; // pace of the play button

// name, word on the button, and what the tiles show when the slider is at `now` tokens and its last stop was `before`
const VIEWS = [
  ["image", "Image", (now) => `Decoded from the first ${now === 1 ? "token" : `${now} tokens`}.`],
  ["added", "Added", (now, before) => before
    ? `What tokens ${before + 1} to ${now} added: mid-grey is no change, differences are ${GAIN} times enlarged.`
    : "The first step is the picture itself."],
  ["error", "Error", (now) => `Distance to the truth with ${now === 1 ? "one token" : `${now} tokens`}, mean of the three colours.`],
];

const ICONS = {
  play: "M4 2.5v11l9-5.5z",
  pause: "M4 3h3v10H4zM9 3h3v10H9z",
  previous: "M10 3 5 8l5 5",
  next: "M6 3l5 5-5 5",
  shuffle: "M2 4.5h2.5l6 7H14M2 11.5h2.5l1.8-2.1M8.7 6.6l1.8-2.1H14M12 2.5l2 2-2 2M12 9.5l2 2-2 2",
};

// JupyterLab takes arrow keys and letters as its own commands unless the focused element itself says otherwise.
const CONTROLS = ["button", "input", "select"];

function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  if (CONTROLS.includes(tag)) node.setAttribute("data-lm-suppress-shortcuts", "true");
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", name === "play" || name === "pause" ? "pl-icon pl-solid" : "pl-icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

function iconButton(name, label, onclick) {
  return make("button", { type: "button", class: "pl-button", title: label, "aria-label": label, onclick }, icon(name));
}

function segmented(label, options, pick) {
  const buttons = options.map(([value, text]) =>
    make("button", { type: "button", "data-value": value, onclick: () => pick(value) }, text),
  );
  const node = make("div", { class: "pl-segmented", role: "group", "aria-label": label }, ...buttons);
  const show = (value) => buttons.forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.value === value)));
  return { node, show };
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

async function inflate(view) {
  const stream = new Blob([view]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// ------------------------------------------------------------------ pictures

// The layers of `pixels` are: the truth, then for each arm its budgets in order; each layer holds all images, RGB.
class Sprites {
  constructor(bytes, { budgets, count, size: [height, width] }) {
    Object.assign(this, { bytes, budgets, count, height, width, area: height * width });
  }
  start(layer, image) {
    return (layer * this.count + image) * this.area * 3;
  }
  draw(canvas, { arm, budget, view, image, palette }) {
    const picture = new ImageData(this.width, this.height);
    const truth = this.start(0, image);
    const layer = arm < 0 ? 0 : 1 + arm * this.budgets + budget;
    const from = this.start(layer, image);
    if (arm < 0 || view === "image" || (view === "added" && budget === 0)) this.copy(picture.data, from);
    else if (view === "added") this.difference(picture.data, from, this.start(layer - 1, image));
    else this.error(picture.data, from, truth, palette);
    canvas.getContext("2d").putImageData(picture, 0, 0);
  }
  copy(out, from) {
    for (let p = 0, s = from; p < out.length; p += 4, s += 3) {
      out[p] = this.bytes[s];
      out[p + 1] = this.bytes[s + 1];
      out[p + 2] = this.bytes[s + 2];
      out[p + 3] = 255;
    }
  }
  difference(out, now, before) {
    for (let p = 0, s = 0; p < out.length; p += 4, s += 3) {
      for (let c = 0; c < 3; c++) out[p + c] = 128 + GAIN * (this.bytes[now + s + c] - this.bytes[before + s + c]);
      out[p + 3] = 255;
    }
  }
  error(out, now, truth, palette) {
    for (let p = 0, s = 0; p < out.length; p += 4, s += 3) {
      let sum = 0;
      for (let c = 0; c < 3; c++) sum += Math.abs(this.bytes[now + s + c] - this.bytes[truth + s + c]);
      const colour = palette[Math.min(255, Math.round(sum / (3 * WORST)))];
      out[p] = colour[0];
      out[p + 1] = colour[1];
      out[p + 2] = colour[2];
      out[p + 3] = 255;
    }
  }
}

// ------------------------------------------------------------------ controls

function budgetSlider(budgets, choose, togglePlay) {
  const last = budgets.length - 1;
  const input = make("input", {
    type: "range", class: "pl-range", min: 0, max: last, step: 1, "aria-label": "budget",
    oninput: () => choose(budgets[+input.value]),
    onkeydown: (event) => {
      if (event.key !== " ") return;
      event.preventDefault();
      togglePlay();
    },
  });
  const ticks = budgets.map((budget, i) =>
    make("button", { type: "button", tabindex: -1, style: `left:${(100 * i) / last}%`, onclick: () => choose(budget) }, `${budget}`),
  );
  const node = make("div", { class: "pl-slider" }, input, make("div", { class: "pl-ticks" }, ...ticks));
  const show = (budget) => {
    const at = budgets.indexOf(budget);
    input.value = at;
    input.setAttribute("aria-valuetext", `${budget} of ${budgets[last]} tokens`);
    input.style.setProperty("--fill", `${(100 * at) / last}%`);
    ticks.forEach((tick, i) => tick.classList.toggle("pl-here", i === at));
  };
  return { node, input, show };
}

function imageChooser(choices, ask) {
  const select = make("select", { class: "pl-select", "aria-label": "which images",
    onchange: () => ask({ action: "choose", label: select.value }) });
  const groups = new Map();
  for (const { value, group, label, count } of choices) {
    const option = make("option", { value }, `${label} (${count})`);
    if (!group) select.append(option);
    else {
      if (!groups.has(group)) groups.set(group, select.appendChild(make("optgroup", { label: group })));
      groups.get(group).append(option);
    }
  }
  const position = make("span", { class: "pl-position", "aria-live": "polite" });
  const node = make("div", { class: "pl-chooser" }, select,
    make("span", { class: "pl-pager" },
      iconButton("previous", "previous images", () => ask({ action: "previous" })), position,
      iconButton("next", "next images", () => ask({ action: "next" })),
      iconButton("shuffle", "shuffle the images", () => ask({ action: "shuffle" }))));
  const show = (page) => {
    select.value = page.choice;
    position.textContent = page.position;
  };
  return { node, show };
}

function imageGrid(rows, width, height, hover) {
  const node = make("div", { class: "pl-grid" });
  let tiles = [];
  let numbers = [];
  const build = (captions) => {
    node.replaceChildren(make("div", { class: "pl-corner" }),
      ...captions.map((text) => make("div", { class: "pl-caption", title: text }, make("span", {}, text))));
    tiles = [];
    numbers = [];
    rows.forEach(({ label, colour }, row) => {
      const figures = make("span", { class: "pl-numbers" });
      node.append(make("div", { class: "pl-rowhead" },
        make("span", { class: "pl-name", style: `--colour:${colour || "transparent"}` }, label), figures));
      numbers.push(figures);
      tiles.push(captions.map((caption, image) => {
        const canvas = make("canvas", { class: "pl-tile", width, height, role: "img",
          onpointerenter: () => hover(row, image), onpointerleave: () => hover() });
        canvas.setAttribute("aria-label", `${caption}, ${label}`);
        node.append(canvas);
        return canvas;
      }));
    });
  };
  return { node, build, tile: (row, image) => tiles[row][image], numbers: (row) => numbers[row] };
}

// ------------------------------------------------------------------ the explorer

function render({ model, el }) {
  const budgets = model.get("budgets");
  const arms = model.get("arms");
  const [tall, wide] = model.get("size");
  const palette = model.get("palette");
  const title = model.get("title"); // of an exported page, which cannot ask for other images
  const metrics = model.get("metrics"); // {name, decimals, better}
  let sprites = null; // the pictures of `page`; both change together
  let page = null;
  let clock = null;
  let hovered = [];

  const put = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  const choose = (budget) => put("budget", budget);
  const at = () => budgets.indexOf(model.get("budget"));

  const stop = () => {
    clearInterval(clock);
    clock = null;
    showClock();
  };
  const play = () => {
    if (clock !== null) return stop();
    choose(budgets[(at() + 1) % budgets.length]);
    clock = setInterval(() => choose(budgets[(at() + 1) % budgets.length]), STEP_MS);
    showClock();
  };
  const playButton = iconButton("play", "play", play);
  const showClock = () => {
    const name = clock === null ? "play" : "pause";
    playButton.replaceChildren(icon(name));
    playButton.title = name;
    playButton.setAttribute("aria-label", name);
  };
  const byHand = (budget) => {
    stop();
    choose(budget);
  };

  const root = make("div", { class: "pl-explorer" });
  const ask = (request) => {
    root.classList.add("pl-busy");
    model.send(request);
  };
  const chooser = imageChooser(model.get("choices"), ask);
  const views = segmented("view", VIEWS, (view) => put("view", view));
  const slider = budgetSlider(budgets, byHand, play);
  const readout = make("div", { class: "pl-readout" });
  const grid = imageGrid([{ label: "Truth" }, ...arms], wide, tall, (...tile) => {
    hovered = tile;
    explain();
  });
  const note = make("div", { class: "pl-note" });
  const problem = make("div", { class: "pl-problem", role: "alert" });
  const legend = make("div", { class: "pl-legend" });
  const metricSwitch = segmented("metric", metrics.map(({ name }) => [name, name]), (name) => put("metric", name));

  const groups = model.get("groups");
  const kinds = !title && groups.length > 1 && make("label", { class: "pl-group" }, "Tokens",
    make("select", { class: "pl-select", "aria-label": "token kind", onchange: (event) => ask({ action: "group", label: event.target.value }) },
      ...groups.map((group) => make("option", { value: group, ...(group === model.get("group") && { selected: "" }) }, group))));

  root.append(
    make("div", { class: "pl-bar" }, title ? make("h1", { class: "pl-title" }, title) : chooser.node, ...(kinds ? [kinds] : []), views.node),
    make("div", { class: "pl-bar pl-budget" }, playButton, slider.node, readout),
    grid.node, note, problem,
    make("div", { class: "pl-bar pl-curves" }, make("div", { class: "pl-heading" }, model.get("heading")), metricSwitch.node),
    legend,
  );
  el.append(root);

  const scores = (metric, arm) => page.scores[metric][arm][at()];

  function explain() {
    const [row, image] = hovered;
    if (row === undefined) {
      const [view, , words] = VIEWS.find(([name]) => name === model.get("view"));
      note.replaceChildren(words(budgets[at()], budgets[at() - 1]));
      if (view === "error") note.append(make("span", { class: "pl-ramp" }, "0", make("i"), `${WORST} and more`));
      return;
    }
    const caption = page.captions[image];
    if (row === 0) return note.replaceChildren(`${caption}: the truth`);
    const values = metrics.filter(({ name }) => page.scores[name]).map(({ name, decimals }) => `${name} ${scores(name, row - 1)[image].toFixed(decimals)}`);
    note.replaceChildren(`${caption}: ${arms[row - 1].label} with ${model.get("budget")} tokens: ${values.join(", ")}`);
  }

  function writeNumbers() {
    grid.numbers(0).append(make("span", {}, `${wide} × ${tall} pixels`));
    for (const { name, decimals, better } of metrics.filter((metric) => ["SSIM", "L1"].includes(metric.name))) {
      const means = arms.map((_, arm) => mean(scores(name, arm)));
      const best = better === "lower" ? Math.min(...means) : Math.max(...means);
      means.forEach((value, arm) => {
        const line = make("span", { class: value === best && arms.length > 1 ? "pl-best" : "" },
          make("i", {}, name), value.toFixed(decimals));
        grid.numbers(arm + 1).append(line);
      });
    }
  }

  function writeLegend() {
    const { name, decimals } = metrics.find((metric) => metric.name === model.get("metric"));
    legend.replaceChildren(...model.get("curves")[name].map(({ label, colour, value, low, high }) => {
      const entry = make("span", {}, make("i", { style: `--colour:${colour}` }), label, make("b", {}, value[at()].toFixed(decimals)));
      if (low) entry.append(make("small", {}, `${low[at()].toFixed(decimals)} to ${high[at()].toFixed(decimals)}`));
      return entry;
    }));
  }

  function paint() {
    writeLegend();
    slider.show(model.get("budget"));
    views.show(model.get("view"));
    readout.replaceChildren(make("b", {}, `${model.get("budget")}`), ` of ${budgets[budgets.length - 1]} tokens`);
    if (!sprites) return;
    for (let row = 0; row <= arms.length; row++) {
      grid.numbers(row).replaceChildren();
      for (let image = 0; image < page.captions.length; image++) {
        sprites.draw(grid.tile(row, image), { arm: row - 1, budget: at(), view: model.get("view"), image, palette });
      }
    }
    writeNumbers();
    explain();
    root.dataset.painted = `${model.get("budget")} ${model.get("view")} ${page.position}`;
  }

  async function turn() {
    const next = model.get("page");
    const bytes = await inflate(model.get("pixels"));
    if (next !== model.get("page")) return; // overtaken by a newer page
    page = next;
    sprites = new Sprites(bytes, { budgets: budgets.length, count: page.captions.length, size: [tall, wide] });
    root.style.setProperty("--columns", page.columns);
    grid.build(page.captions);
    chooser.show(page);
    root.classList.remove("pl-busy");
    paint();
  }

  const showMetric = () => {
    metricSwitch.show(model.get("metric"));
    writeLegend();
  };
  const showProblem = () => {
    problem.textContent = model.get("problem");
    root.classList.remove("pl-busy");
  };
  const answered = () => root.classList.remove("pl-busy");
  const listeners = [
    ["change:budget", paint], ["change:view", paint], ["change:page", turn], ["change:curves", writeLegend], ["change:metric", showMetric],
    ["change:problem", showProblem], ["msg:custom", answered],
  ];
  listeners.forEach(([event, listener]) => model.on(event, listener));
  // A plotly figure fits itself to its place only when the window changes: tell it when the cell does, and when it is new.
  const fit = () => requestAnimationFrame(() => window.dispatchEvent(new Event("resize")));
  const width = new ResizeObserver(fit);
  width.observe(root);
  document.addEventListener("plotlywidget-after-render", fit);
  showMetric();
  showProblem();
  paint();
  turn();
  return () => {
    clearInterval(clock);
    width.disconnect();
    document.removeEventListener("plotlywidget-after-render", fit);
    listeners.forEach(([event, listener]) => model.off(event, listener));
  };
}

export default { render };
