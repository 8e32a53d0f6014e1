// The probe explorer: what was chosen, and the parts that show it. All budgets and label levels are here, so sliding and
// switching need no kernel; it is asked once for the map of an arm, whose model it loads.

const AXES = "The two principal axes of the objects’ features, turned onto those of the budget before and scaled to fill the frame.";
const PAPER_NOTE = "Hollow and dotted: table 4 of the paper. Other data (MVImgNet 2), other labels, a larger model: compare how curves bend, not how high they lie.";
const VIEWS = [["objects", "Objects"], ["pictures", "Pictures"], ["frames", "Frames"]];

function render({ model, el }) {
  const frame = new Frame(model, el, "pl-probes");
  const get = (name) => frame.get(name);
  const scene = get("scene");
  const { budgets, taxonomies, objects } = scene;
  const owners = numbers(Int32Array, get("owners"));
  const frames = objects.map(() => []);
  owners.forEach((object, image) => frames[object].push(image));
  const at = () => budgets.indexOf(get("budget"));
  const level = () => taxonomies.findIndex(({ name }) => name === get("taxonomy"));
  const isOf = (what) => String(what.of) === String([get("group"), get("arm")]);
  let [predicted, neighbours, found] = [numbers(Int16Array, get("predicted")), new Int32Array(0), new Int32Array(0)];

  const select = (object) => frame.put({ selected: object });
  const slider = new BudgetSlider({ budgets, choose: (budget) => frame.put({ budget }) });
  const sheet = new Sheet(scene.sheet);
  const card = new HoverCard(sheet, taxonomies);
  const hover = (point, place) => (place ? card.show(objects[map.owner(point)], map.image(point), place, map.width) : card.hide());
  const map = new EmbeddingMap({ ...scene, owners, sheet, hover, choose: select, play: (event) => slider.listen(event) });
  const curves = new Curves({ slider, label: "probe accuracy against budget" });
  const panel = new ObjectPanel(scene, sheet, select);
  const among = new FoundPanel(scene, owners, sheet, (source) => frame.put({ source }));
  const confusion = new ConfusionPanel(taxonomies);
  const group = chooser("token kind", (label) => frame.ask({ action: "group", label }));
  const arm = chooser("ordering", (label) => frame.ask({ action: "arm", label }));
  const taxonomy = segmented("labels", taxonomies.map(({ name }) => [name, name]), (value) => frame.put({ taxonomy: value }));
  const view = segmented("what the map shows", VIEWS, (value) => frame.put({ view: value }));
  const [heading, title] = [make("div", { class: "pl-heading" }), make("div", { class: "pl-heading" })];
  const box = make("input", { type: "checkbox", onchange: () => frame.put({ paper: box.checked }) });
  const paper = make("label", { class: "pl-switch" }, box, "paper’s numbers");
  const paperNote = make("p", { class: "pl-note" }, PAPER_NOTE);

  group.fill(Object.keys(scene.groups).map((name) => [name, name]));
  map.node.append(card.node, frame.notice);
  const several = Object.keys(scene.groups).length > 1 ? [named("Tokens", group)] : [];
  const choosers = make("div", { class: "pl-chooser" }, ...several, named("Ordering", arm));
  frame.needing.push(choosers);
  frame.onLost = () => showArm();
  frame.fill(
    make("div", { class: "pl-bar" }, ...(frame.title ? [] : [choosers]), make("div", { class: "pl-group" }, "Labels", taxonomy.node)),
    slider.node, frame.problem,
    make("div", { class: "pl-two" },
      make("section", { class: "pl-accuracies" }, make("div", { class: "pl-bar" }, heading, paper), curves.node, paperNote),
      make("section", { class: "pl-map-of" }, make("div", { class: "pl-bar" }, title, view.node), map.node,
        mapLegend(taxonomies[0].labels, scene.palette, (label) => map.set({ label })), make("p", { class: "pl-note" }, AXES))),
    panel.node, among.node, confusion.node);

  function showArm() {
    arm.fill(scene.groups[get("group")].map((label) => [label, label]));
    group.show(get("group"));
    arm.show(get("arm"));
    showLevel();
    showMap();
  }

  function showLevel() {
    taxonomy.show(get("taxonomy"));
    showCurves();
    map.set({ level: level() });
    showNumbers();
  }

  function showCurves() {
    const [measured, here] = [get("curves")[get("group")], level()];
    const isPrinted = measured.arms.some((one) => one.paper?.[here].some((value) => value !== null));
    const arms = measured.arms.map((one) => ({ ...one, value: one.accuracy[here], low: one.low[here], high: one.high[here],
      printed: get("paper") && isPrinted ? one.paper?.[here] : undefined }));
    curves.show({ arms, baselines: measured.baselines.map((one) => ({ ...one, value: one.accuracy[here] })), decimals: 1, unit: "%", shown: get("arm") });
    heading.textContent = `Probe accuracy, ${get("taxonomy")}`;
    paper.hidden = !isPrinted;
    box.checked = get("paper");
    paperNote.hidden = !(get("paper") && isPrinted);
  }

  function showBudget() {
    slider.show(get("budget"));
    curves.move(at());
    map.move(at());
    showNumbers();
  }

  // What depends on budget, label level and object alike.
  function showNumbers() {
    const [answers, placed] = [get("answers"), get("map")];
    const selected = get("selected");
    const count = objects.length ? neighbours.length / budgets.length / objects.length : 0;
    const start = (at() * objects.length + selected) * count;
    const isPlaced = isOf(placed) && !placed.missing;
    const near = isPlaced && count ? [...neighbours.subarray(start, start + count)] : null;
    const first = (level() * budgets.length + at()) * owners.length;
    const labels = isOf(answers) ? frames[selected].map((image) => predicted[first + image]) : [];
    panel.show({ selected, level: level(), predicted: labels, near, missing: isOf(placed) ? placed.missing : "" });
    showFound(isPlaced);
    if (isOf(answers)) confusion.show(answers.confusions[get("taxonomy")][at()], level(), answers.whose);
    frame.root.dataset.shown = [get("group"), get("arm"), get("taxonomy"), get("budget"), selected].join("|");
  }

  function showFound(isPlaced) {
    const [source, selected] = [scene.sources.indexOf(get("source")), get("selected")];
    const ranks = found.length / budgets.length / scene.sources.length / objects.length || 0;
    const start = ((at() * scene.sources.length + source) * objects.length + selected) * ranks;
    if (source >= 0) among.show(selected, get("source"), isPlaced ? [...found.subarray(start, start + ranks)] : []);
  }

  function showAnswers() {
    predicted = numbers(Int16Array, get("predicted"));
    showNumbers();
  }

  function showMap() {
    const placed = get("map");
    const isThere = isOf(placed);
    map.missing.textContent = isThere ? placed.missing : "";
    map.node.classList.toggle("pl-without", !(isThere && !placed.missing));
    map.node.classList.toggle("pl-nowhere", isThere && Boolean(placed.missing));
    if (!isThere || placed.missing) return showNumbers();
    neighbours = numbers(Int32Array, get("neighbours"));
    found = numbers(Int32Array, get("found"));
    map.load(numbers(Float32Array, get("places")), budgets.length, at());
    return showNumbers();
  }

  async function showSheet() {
    if (!get("sheet").byteLength) return;
    await sheet.load(get("sheet"));
    map.refresh();
    showNumbers();
  }

  const showSelected = () => {
    map.set({ selected: get("selected") });
    showNumbers();
  };
  const showView = () => {
    const [count, noun] = get("view") === "frames" ? [owners.length, "frame"] : [objects.length, "object"];
    const part = noun === "object" && count < scene.probed ? ` of ${scene.probed.toLocaleString("en")}` : "";
    title.textContent = `Map of ${plural(count, noun)}${part}`;
    view.show(get("view"));
    map.set({ view: get("view") });
  };
  const events = {
    group: showArm, arm: showArm, taxonomy: showLevel, paper: showCurves, budget: showBudget, selected: showSelected, view: showView,
    source: showNumbers, answers: showAnswers, map: showMap, sheet: showSheet,
  };
  Object.entries(events).forEach(([name, show]) => frame.on(`change:${name}`, show));
  frame.fitting(() => {
    curves.resize();
    map.resize(map.node.clientWidth);
  });
  [showSheet, showSelected, showView, showArm, showBudget].forEach((show) => show());
  if (!get("map").of) frame.ask({ action: "ready" });
  return () => {
    slider.stop();
    frame.close();
  };
}

export default { render };
