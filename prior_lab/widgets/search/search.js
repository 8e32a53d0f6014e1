// The search explorer: the plane of two settings, the objective trial by trial, and what became of the chosen trial. All
// of it is here, so nothing waits for a kernel.

const VIEWS = [["expected", "Expected"], ["uncertainty", "Uncertainty"], ["promise", "Promise"]];
const MEANING = {
  expected: "What the surrogate expects the objective to be; low (dark) is good.",
  uncertainty: "The standard deviation of that: dark where trials are near.",
  promise: "The logarithm of the improvement that is expected; bright is where it would look next.",
};
const STAGES = { broad: "first stage", refined: "second stage", anchor: "at full length" };

const settingWords = (name) => name.replace("model.", "").replaceAll("_", " ");

function progressPlot(pick) {
  const height = 170;
  const svg = draw("svg", { class: "pl-plot pl-progress", role: "group", "aria-label": "objective by trial" });
  let [width, last] = [0, null];
  const build = ({ trials, worth, chosen, measure }) => {
    last = { trials, worth, chosen, measure };
    if (!width) return;
    const sound = worth.filter((value) => value !== null);
    const { ticks, digits } = roundTicks(sound);
    const [left, floor] = [46, height - 34];
    const x = (i) => left + 10 + (i * (width - left - 24)) / Math.max(1, trials.length - 1);
    const y = (value) => floor - ((value - ticks[0]) / (ticks.at(-1) - ticks[0])) * (floor - 12);
    let best = Infinity;
    const steps = worth.map((value, i) => [i, (best = value === null || trials[i].stage === "anchor" ? best : Math.min(best, value))]).filter(([i, value]) => Number.isFinite(value) && trials[i].stage !== "anchor");
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.style.height = `${height}px`;
    svg.replaceChildren(
      ...ticks.map((value, i) => draw("path", { class: i ? "pl-gridline" : "pl-baseline", d: `M${left} ${y(value)}H${width - 8}` })),
      ...ticks.map((value) => draw("text", { class: "pl-left", x: left - 6, y: y(value) + 4 }, value.toFixed(digits))),
      draw("path", { class: "pl-best", d: steps.map(([i, value], k) => (k ? `H${x(i)}V${y(value)}` : `M${x(i)} ${y(value)}`)).join("") }),
      ...trials.map((trial, i) => worth[i] === null
        ? draw("path", { class: "pl-trial", d: marker("cross", x(i), y(ticks.at(-1)), 4), onclick: () => pick(trial.number) }, draw("title", {}, `trial ${trial.number}: diverged`))
        : draw("path", { class: trial.number === chosen ? "pl-trial pl-chosen-trial" : "pl-trial", "data-progress": trial.number,
          d: marker(trial.stage === "anchor" ? "triangle-up" : trial.stage === "broad" ? "circle" : "diamond", x(i), y(worth[i]), trial.number === chosen ? 6 : 4),
          onclick: () => pick(trial.number) }, draw("title", {}, `trial ${trial.number}: ${worth[i]}`))),
      draw("text", { class: "pl-middle", x: (left + width) / 2, y: height - 6 }, "trial, and the best so far"),
    );
  };
  const resize = () => {
    if (!svg.clientWidth || Math.abs(svg.clientWidth - width) < 1) return;
    width = svg.clientWidth;
    if (last) build(last);
  };
  return { node: svg, show: build, resize };
}

function render({ model, el }) {
  const frame = new Frame(model, el, "pl-search");
  const get = (name) => frame.get(name);
  const [axes, trials, names] = [get("axes"), get("trials"), get("axes").map((axis) => axis.name)];
  const pick = (number) => frame.put({ trial: number });
  const options = names.map((name) => [name, settingWords(name)]);
  const swap = (name, other) => (value) => frame.put(value === get(other) ? { [name]: value, [other]: get(name) } : { [name]: value });
  const across = chooser("setting across", swap("across", "up"));
  const up = chooser("setting up", swap("up", "across"));
  [across, up].forEach((control) => control.fill(options));
  const view = segmented("what of the plane", VIEWS, (value) => frame.put({ view: value }));
  const price = chooser("price of a bit", (value) => frame.put({ price: Number(value) }));
  price.fill(get("prices").map((value) => [String(value), value ? inShort(value) : "nothing"]));
  const plane = new Plane({ palette: get("palette"), side: get("side"), pick });
  const scale = make("div", { class: "pl-scale" }, make("span"), make("i", { style: `background:linear-gradient(to right, ${get("palette").map((colour) => `rgb(${colour.join(" ")})`).join(", ")})` }), make("span"));
  const note = make("div", { class: "pl-note" });
  const progress = progressPlot(pick);
  const [heading, settings, found] = [make("div", { class: "pl-heading" }), make("table", { class: "pl-values" }), make("table", { class: "pl-values" })];
  const loss = draw("svg", { class: "pl-plot pl-loss", role: "img", "aria-label": "training loss of the trial" });

  frame.fill(
    make("div", { class: "pl-bar" }, named("across", across), named("up", up), view.node, named("a bit costs", price)),
    frame.notice, frame.problem,
    make("div", { class: "pl-both" },
      make("div", { class: "pl-field" }, plane.node, scale, note),
      make("div", { class: "pl-side" }, make("div", { class: "pl-heading" }, "Objective"), progress.node, heading, settings, found, loss)),
  );

  const cell = (text, kind) => make("td", kind ? { class: kind } : {}, text);
  const atPrice = () => Math.max(0, get("prices").findIndex((value) => Math.abs(value - get("price")) <= 1e-12 + 1e-6 * value));

  function showPlane() {
    across.show(get("across"));
    up.show(get("up"));
    view.show(get("view"));
    price.show(String(get("prices")[atPrice()]));
    const [i, j] = [names.indexOf(get("across")), names.indexOf(get("up"))];
    const worth = get("worth")[atPrice()];
    const key = i <= j ? `${names[i]} ${names[j]}` : `${names[j]} ${names[i]}`;
    const known = get("planes")[atPrice()][key]?.[get("view")];
    const side = get("side");
    const values = known && (i <= j ? known : range(0, side * side).map((k) => known[(k % side) * side + Math.floor(k / side)]));
    const limits = values ? [Math.min(...values), Math.max(...values)] : [0, 1];
    const marks = trials.map((trial, k) => ({ number: trial.number, stage: trial.stage, isSound: worth[k] !== null, place: [trial.point[i], trial.point[j]],
      words: `trial ${trial.number}, ${STAGES[trial.stage]}: ${worth[k] ?? "diverged"}` }));
    plane.show({ values, limits, axes: [i, j].map((at) => ({ ...axes[at], words: settingWords(names[at]) })), marks, chosen: get("trial") });
    scale.hidden = !values;
    scale.firstChild.textContent = SHORT.format(limits[0]);
    scale.lastChild.textContent = SHORT.format(limits[1]);
    note.textContent = values ? `${MEANING[get("view")]} Other settings as in the best trial.` : "No surrogate: it takes BoTorch and two sound trials.";
    showTrial();
  }

  function showTrial() {
    const worth = get("worth")[atPrice()];
    const k = Math.max(0, trials.findIndex((trial) => trial.number === get("trial")));
    const trial = trials[k];
    plane.shown && plane.show({ ...plane.shown, chosen: trial.number });
    progress.show({ trials, worth, chosen: trial.number });
    heading.textContent = `Trial ${trial.number}, ${STAGES[trial.stage]}, ${plural(trial.steps, "step")}: ${worth[k] === null ? "diverged" : worth[k].toPrecision(4)}`;
    settings.replaceChildren(...names.map((name, i) => make("tr", {}, make("th", { scope: "row" }, settingWords(name)), cell(trial.values[i].toPrecision(3), "pl-value"))));
    const shown = get("budgets").map((budget, at) => [budget, at]).filter((_, at, all) => at % 2 === 0 || at === all.length - 1);
    found.replaceChildren(
      make("tr", {}, make("th", { scope: "col" }, get("measure")), ...shown.map(([budget]) => make("th", { scope: "col" }, String(budget))), make("th", { scope: "col" }, "bits")),
      ...get("arms").map(({ label }, arm) => make("tr", {}, make("th", { scope: "row" }, label),
        ...shown.map(([, at]) => cell(trial.distortion[arm][at]?.toFixed(3) ?? UNKNOWN, "pl-value")), cell(trial.bits[arm] === null ? UNKNOWN : fixed(trial.bits[arm], 0)))));
    drawLoss(trial);
    frame.root.dataset.shown = JSON.stringify([get("across"), get("up"), get("view"), atPrice(), trial.number]);
  }

  function drawLoss(trial) {
    const [width, height] = [loss.clientWidth || 320, 110];
    const known = trial.curve.flat().filter((value) => value !== null);
    loss.setAttribute("viewBox", `0 0 ${width} ${height}`);
    loss.style.height = `${height}px`;
    if (known.length < 2) return loss.replaceChildren();
    const { ticks, digits } = roundTicks(known);
    const last = trial.curve_steps.at(-1);
    const x = (step) => 46 + ((width - 60) * step) / last;
    const y = (value) => height - 30 - ((value - ticks[0]) / (ticks.at(-1) - ticks[0])) * (height - 40);
    return loss.replaceChildren(
      ...[ticks[0], ticks.at(-1)].map((value, i) => draw("path", { class: i ? "pl-gridline" : "pl-baseline", d: `M46 ${y(value)}H${width - 8}` })),
      ...[ticks[0], ticks.at(-1)].map((value) => draw("text", { class: "pl-left", x: 40, y: y(value) + 4 }, value.toFixed(digits))),
      ...trial.curve.map((curve, arm) => draw("path", { class: "pl-stroke", stroke: get("arms")[arm].colour,
        d: `M${curve.map((value, i) => [trial.curve_steps[i], value]).filter(([, value]) => value !== null).map(([step, value]) => `${x(step)} ${y(value)}`).join("L")}` })),
      draw("text", { class: "pl-middle", x: width / 2, y: height - 6 }, `training loss, ${plural(last, "step")}`),
    );
  }

  ["across", "up", "view", "price"].forEach((name) => frame.on(`change:${name}`, showPlane));
  frame.on("change:trial", showTrial);
  frame.fitting(() => {
    plane.resize();
    progress.resize();
    showPlane();
  });
  showPlane();
  return () => frame.close();
}

export default { render };
