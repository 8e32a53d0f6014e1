// The numbers: the information of the selected tokens, and that of every prefix.

const decimals = (value) => (Math.abs(value) < 1000 ? 2 : 1);

function written(value, unit) {
  const text = fixed(value, decimals(value));
  return unit ? `${text} ${unit}` : text;
}

const plusMinus = (value, error, unit) => (error === null ? unit : `± ${fixed(error, decimals(value))} ${unit}`);

const line = (name, text) => make("div", {}, make("dt", {}, name), make("dd", {}, text));

function sumPanel() {
  const node = make("div", { class: "pl-sums", "aria-live": "polite" });
  const show = (estimate, count) => {
    if (!estimate.words) return node.replaceChildren(make("div", { class: "pl-what" }, "Information"), make("div", { class: "pl-sum" }, make("b", {}, "…")));
    const { value, standard_error: error, low, high, corrected, share, unit } = estimate;
    const sum = make("div", { class: "pl-sum" }, make("b", {}, written(value)),
      make("span", {}, plusMinus(value, error, unit)));
    node.replaceChildren(make("div", { class: "pl-what", title: estimate.words }, `Information of ${estimate.words}`), sum, make("dl", {},
      line("95 % interval", low === null ? "not known" : `${written(low)} to ${written(high)}`),
      line("bias-corrected", written(corrected, unit)),
      line("tokens", `${estimate.count} of ${count}`),
      line("share of all", share === null ? "–" : `${(100 * share).toFixed(1)} %`)));
    if (estimate.caution) node.append(make("div", { class: "pl-caution" }, estimate.caution));
  };
  return { node, show };
}

// I of the first k tokens against k, and where the selection lies: above the curve, it tells more than as long a prefix.
function curvePlot(hover) {
  const [even, rise] = ["pl-even", "pl-rise"].map((name) => draw("path", { class: name }));
  const svg = draw("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none" }, even, rise);
  const dot = make("div", { class: "pl-dot" });
  const [top, axis] = [make("span", { class: "pl-top" }), make("div", { class: "pl-axis" })];
  const area = make("div", { class: "pl-area" }, svg, dot, top);
  const node = make("figure", { class: "pl-curve" }, make("figcaption", {}, "First k tokens together"), area, axis);
  let sums = [];
  area.addEventListener("pointermove", (event) => {
    const box = area.getBoundingClientRect();
    const k = Math.round(((event.clientX - box.left) / box.width) * (sums.length - 1));
    if (sums.length) hover(k, sums[Math.min(Math.max(k, 0), sums.length - 1)]);
  });
  area.addEventListener("pointerleave", () => hover());
  const show = (values, budgets, estimate) => {
    let sum = 0;
    sums = [0, ...values.map((value) => (sum += value))];
    const count = values.length;
    const total = Math.max(sums[count], estimate.value || 0, 1e-9);
    const place = (k, value) => `${(100 * k) / count} ${100 - (100 * value) / total}`;
    rise.setAttribute("d", `M${sums.map((sum, k) => place(k, sum)).join("L")}`);
    even.setAttribute("d", `M0 100L${place(count, sums[count])}`);
    dot.style.left = `${(100 * estimate.count) / count}%`;
    dot.style.bottom = `${(100 * estimate.value) / total}%`;
    top.textContent = written(total, estimate.unit);
    const roomy = budgets.filter((budget) => budget * 9 > count);
    axis.replaceChildren(make("span", { class: "pl-zero" }, "0"), ...roomy.map((budget) => make("span", { style: `left:${(100 * budget) / count}%` }, `${budget}`)));
  };
  return { node, show };
}
