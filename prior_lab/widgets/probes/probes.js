// The explorer: what was chosen, and the parts that show it.

const AXES = "The two principal axes of the objects’ features, turned onto those of the budget before.";
const VIEWS = [["objects", "Objects"], ["pictures", "Pictures"], ["frames", "Frames"]];

// A buffer as numbers, or none before it has come.
const numbers = (Kind, view) => (view?.byteLength ? new Kind(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength)) : new Kind(0));

function render({ model, el }) {
  const get = (name) => model.get(name);
  const scene = get("scene");
  const { budgets, taxonomies, objects } = scene;
  const owners = numbers(Int32Array, get("owners"));
  const frames = objects.map(() => []);
  owners.forEach((object, image) => frames[object].push(image));
  const at = () => budgets.indexOf(get("budget"));
  const level = () => taxonomies.findIndex(({ name }) => name === get("taxonomy"));
  const isOf = (what) => String(what.of) === String([get("group"), get("arm")]);
  let [said, neighbours] = [new Int16Array(0), new Int32Array(0)];

  const put = (values) => {
    Object.entries(values).forEach(([name, value]) => model.set(name, value));
    model.save_changes();
  };
  const choose = (i) => put({ budget: budgets[i] });
  const select = (object) => put({ selected: object });

  const sheet = new Sheet(scene.sheet);
  const card = new HoverCard(sheet, taxonomies);
  const hover = (point, place) => (place ? card.show(objects[map.owner(point)], map.image(point), place, map.width) : card.hide());
  const map = new EmbeddingMap({ ...scene, owners, sheet, hover, choose: select });
  const curves = new Curves(budgets, choose, (paper) => put({ paper }));
  const panel = new ObjectPanel(scene, sheet, select);
  const confusion = new ConfusionPanel(taxonomies);
  const slider = budgetSlider(budgets, choose);
  const group = chooser("token kind", (value) => {
    const arms = scene.groups[value];
    put({ group: value, arm: arms.includes(get("arm")) ? get("arm") : arms[0] });
  });
  const arm = chooser("ordering", (value) => put({ arm: value }));
  const taxonomy = segmented("labels", taxonomies.map(({ name }) => [name, name]), (value) => put({ taxonomy: value }));
  const view = segmented("what the map shows", VIEWS, (value) => put({ view: value }));
  const title = make("div", { class: "pl-heading" });
  const notice = make("div", { class: "pl-notice", role: "status" });
  const problem = make("div", { class: "pl-problem", role: "alert" });

  group.fill(Object.keys(scene.groups).map((name) => [name, name]));
  map.node.append(card.node, notice);
  const several = Object.keys(scene.groups).length > 1 ? [make("label", { class: "pl-group" }, "Tokens", group.node)] : [];
  const root = make("div", { class: "pl-explorer pl-probes" },
    make("div", { class: "pl-bar" },
      make("div", { class: "pl-chooser" }, ...several, make("label", { class: "pl-group" }, "Ordering", arm.node)),
      make("div", { class: "pl-group" }, "Labels", taxonomy.node)),
    slider.node, problem,
    make("div", { class: "pl-two" }, curves.node,
      make("section", { class: "pl-map-of" }, make("div", { class: "pl-bar" }, title, view.node), map.node,
        mapLegend(taxonomies[0].labels, scene.palette, (label) => map.set({ label })), make("p", { class: "pl-note" }, AXES))),
    panel.node, confusion.node);
  el.append(root);

  function showArm() {
    arm.fill(scene.groups[get("group")].map((label) => [label, label]));
    group.show(get("group"));
    arm.show(get("arm"));
    showLevel();
    showMap();
  }

  function showLevel() {
    taxonomy.show(get("taxonomy"));
    curves.show({ curves: get("curves")[get("group")], level: level(), taxonomy: get("taxonomy"), arm: get("arm"), paper: get("paper") });
    map.set({ level: level() });
    showNumbers();
  }

  function showBudget() {
    slider.show(at());
    curves.move(at());
    map.move(at());
    showNumbers();
  }

  // What depends on budget, label level and object alike.
  function showNumbers() {
    const [answers, found] = [get("answers"), get("map")];
    const selected = get("selected");
    const count = objects.length ? neighbours.length / budgets.length / objects.length : 0;
    const start = (at() * objects.length + selected) * count;
    const near = isOf(found) && !found.missing && count ? [...neighbours.subarray(start, start + count)] : null;
    const first = (level() * budgets.length + at()) * owners.length;
    const labels = isOf(answers) ? frames[selected].map((image) => said[first + image]) : [];
    panel.show({ selected, level: level(), said: labels, near, missing: isOf(found) ? found.missing : "" });
    if (isOf(answers)) confusion.show(answers.confusions[get("taxonomy")][at()], level(), answers.whose);
    root.dataset.shown = [get("group"), get("arm"), get("taxonomy"), get("budget"), selected].join("|");
  }

  function showAnswers() {
    said = numbers(Int16Array, get("said"));
    showNumbers();
  }

  function showMap() {
    const found = get("map");
    const isThere = isOf(found);
    map.missing.textContent = isThere ? found.missing : "";
    map.node.classList.toggle("pl-without", !(isThere && !found.missing));
    map.node.classList.toggle("pl-nowhere", isThere && Boolean(found.missing));
    if (!isThere || found.missing) return showNumbers();
    neighbours = numbers(Int32Array, get("neighbours"));
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
    title.textContent = `Map of ${plural(count, noun)}`;
    view.show(get("view"));
    map.set({ view: get("view") });
  };
  const showNotice = () => (notice.textContent = get("notice"));
  const showProblem = () => (problem.textContent = get("problem"));
  const listeners = [
    ["change:group", showArm], ["change:arm", showArm], ["change:taxonomy", showLevel], ["change:paper", showLevel], ["change:budget", showBudget],
    ["change:selected", showSelected], ["change:view", showView], ["change:answers", showAnswers], ["change:map", showMap],
    ["change:sheet", showSheet], ["change:notice", showNotice], ["change:problem", showProblem],
  ];
  listeners.forEach(([event, listener]) => model.on(event, listener));
  const room = new ResizeObserver(() => {
    curves.resize(curves.node.clientWidth);
    map.resize(map.node.clientWidth);
  });
  room.observe(root);
  said = numbers(Int16Array, get("said"));
  [showSheet, showSelected, showView, showArm, showBudget, showNotice, showProblem].forEach((show) => show());
  if (!get("map").of) model.send({ action: "ready" });
  return () => {
    room.disconnect();
    listeners.forEach(([event, listener]) => model.off(event, listener));
  };
}

export default { render };
