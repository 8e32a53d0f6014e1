// The tokens of a code as cells to choose, coloured by their information.

const COLUMNS = 32; // cells in a line of a flat code

const span = (first, last) => (first === last ? `${first}` : `${first}–${last}`);
const between = (a, b) => range(Math.min(a, b), Math.max(a, b) + 1);

class Shades {
  constructor(palette, [low, high]) {
    Object.assign(this, { palette, low, high });
  }
  of(value) {
    const place = (value - this.low) / (this.high - this.low);
    return this.palette[Math.round(Math.min(1, Math.max(0, place)) * (this.palette.length - 1))];
  }
  fill(value) {
    return `rgb(${this.of(value).join(" ")})`;
  }
  ink(value) {
    const [red, green, blue] = this.of(value);
    return 0.3 * red + 0.59 * green + 0.11 * blue > 125 ? "#14181d" : "#fff";
  }
}

function colourBar(palette) {
  const stops = palette.map((colour) => `rgb(${colour.join(" ")})`).join(", ");
  const [low, high] = [make("span"), make("span")];
  const node = make("div", { class: "pl-scale" }, low, make("i", { style: `background:linear-gradient(to right, ${stops})` }), high);
  const show = ([from, to], unit) => {
    low.textContent = SHORT.format(from);
    high.textContent = `${SHORT.format(to)} ${unit}`;
  };
  return { node, show };
}

// Cells by token, in lines from top to bottom: levels of a pyramid, each as wide as its share, or lines of a flat code.
class Board {
  constructor({ count, budgets, pyramid }, listeners) {
    this.levels = budgets.map((budget, level) => range(level ? budgets[level - 1] : 0, budget));
    this.pyramid = pyramid;
    this.cells = range(0, count).map((token) => make("span", { class: "pl-cell", role: "option", tabindex: -1, "data-token": token, "data-level": Math.floor(Math.log2(token + 1)) }, make("i")));
    this.names = this.levels.map((tokens, level) => {
      const [first, last] = [tokens[0] + 1, tokens[tokens.length - 1] + 1];
      const words = pyramid ? [make("span", {}, make("em", {}, "Level "), `${level}`), make("small", {}, span(first, last))] : [span(first, last)];
      return make("button", { type: "button", class: "pl-level", tabindex: level ? -1 : 0, "data-name": level, "aria-label": `level ${level}, tokens ${span(first, last)}`,
        onclick: () => listeners.level(tokens) }, ...words);
    });
    this.lines = pyramid ? this.levels : this.flatLines(count);
    this.rows = this.lines.map((tokens) => this.row(tokens));
    this.focused = 0;
    this.node = make("div", { class: pyramid ? "pl-board" : "pl-board pl-flat", role: "listbox", "aria-multiselectable": "true", "aria-label": "tokens" });
    if (pyramid) this.names.forEach((name, line) => (name.style.gridArea = `${line + 1} / 1`));
    if (pyramid) this.rows.forEach((row, line) => (row.style.gridArea = `${line + 1} / 2`));
    this.node.append(...(pyramid ? this.names : []), ...this.rows);
    this.cells[0].tabIndex = 0;
    this.listen(listeners);
  }

  // The first line has one cell less, so that those below begin with a budget's first token: 1, 32, 64, 96.
  flatLines(count) {
    const lines = [range(0, Math.min(COLUMNS - 1, count))];
    for (let start = COLUMNS - 1; start < count; start += COLUMNS) lines.push(range(start, Math.min(start + COLUMNS, count)));
    return lines;
  }

  row(tokens) {
    const columns = this.pyramid ? tokens.length : Math.min(COLUMNS, this.cells.length);
    const row = make("div", { class: tokens.length > COLUMNS ? "pl-row pl-long" : "pl-row", style: `grid-template-columns:repeat(${columns}, minmax(0, 1fr))` });
    if (!this.pyramid) {
      this.levels.forEach((level, l) => {
        const at = tokens.indexOf(level[0]);
        if (at < 0) return;
        this.names[l].style.gridArea = `1 / ${at + 1} / auto / span ${Math.min(level.length, tokens.length - at)}`;
        row.append(this.names[l]);
      });
      tokens.forEach((token) => (this.cells[token].style.gridRow = 2));
    }
    row.append(...tokens.map((token) => this.cells[token]));
    return row;
  }

  listen({ choose, hover }) {
    const tokenAt = ({ clientX, clientY }) => document.elementFromPoint(clientX, clientY)?.closest?.(".pl-cell");
    let drag = null; // the selection before, where it began, and whether it adds
    this.node.addEventListener("pointerdown", (event) => {
      const cell = event.target.closest(".pl-cell");
      if (!cell || event.button !== 0) return;
      event.preventDefault();
      const token = +cell.dataset.token;
      if (event.shiftKey) choose(between(this.focused, token), true);
      else {
        drag = { before: new Set(this.chosen), from: token, adds: !this.chosen.has(token) };
        this.node.setPointerCapture(event.pointerId);
        choose([token], drag.adds);
      }
      this.focus(token);
    });
    this.node.addEventListener("pointermove", (event) => {
      const cell = tokenAt(event);
      const token = cell && this.node.contains(cell) ? +cell.dataset.token : undefined;
      hover(token);
      if (drag && token !== undefined) choose(between(drag.from, token), drag.adds, drag.before);
    });
    this.node.addEventListener("pointerleave", () => hover());
    for (const end of ["pointerup", "pointercancel"]) this.node.addEventListener(end, () => (drag = null));
    this.node.addEventListener("focusin", ({ target }) => target.dataset.token && hover(+target.dataset.token));
    this.node.addEventListener("focusout", () => hover());
    this.node.addEventListener("keydown", (event) => {
      if (event.target.dataset.name) return this.walk(event);
      if (!event.target.dataset.token) return;
      const from = +event.target.dataset.token;
      const to = this.neighbour(from, event.key);
      if (event.key === " " || event.key === "Enter") choose([from], !this.chosen.has(from));
      else if (to === undefined) return;
      else {
        if (event.shiftKey) choose(between(from, to), true);
        this.focus(to);
      }
      event.preventDefault();
      event.stopPropagation();
    });
  }

  // From one name to the next, which are one stop of the Tab key, as the cells are.
  walk(event) {
    const from = +event.target.dataset.name;
    const last = this.names.length - 1;
    const back = Math.max(0, from - 1);
    const on = Math.min(last, from + 1);
    const to = { ArrowUp: back, ArrowLeft: back, ArrowDown: on, ArrowRight: on, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    this.names[from].tabIndex = -1;
    this.names[to].tabIndex = 0;
    this.names[to].focus();
    event.preventDefault();
    event.stopPropagation();
  }

  neighbour(token, key) {
    const line = this.lines.findIndex((tokens) => tokens.includes(token));
    const at = this.lines[line].indexOf(token);
    const jump = (other) => {
      const tokens = this.lines[other];
      if (!tokens) return token;
      return tokens[this.pyramid ? Math.floor(((at + 0.5) / this.lines[line].length) * tokens.length) : Math.min(at, tokens.length - 1)];
    };
    const moves = {
      ArrowLeft: () => Math.max(0, token - 1), ArrowRight: () => Math.min(this.cells.length - 1, token + 1),
      ArrowUp: () => jump(line - 1), ArrowDown: () => jump(line + 1), Home: () => 0, End: () => this.cells.length - 1,
    };
    return moves[key]?.();
  }

  focus(token) {
    this.cells[this.focused].tabIndex = -1;
    this.cells[token].tabIndex = 0;
    this.focused = token;
    this.cells[token].focus({ preventScroll: true });
  }

  // Neighbours of a line that are both selected share one outline.
  select(tokens) {
    this.chosen = new Set(tokens);
    for (const line of this.lines) {
      line.forEach((token, at) => {
        const [before, here, after] = [line[at - 1], token, line[at + 1]].map((t) => t !== undefined && this.chosen.has(t));
        const { classList } = this.cells[token];
        classList.toggle("pl-in", here);
        classList.toggle("pl-first", here && !before);
        classList.toggle("pl-last", here && !after);
        this.cells[token].setAttribute("aria-selected", String(here));
      });
    }
    this.levels.forEach((level, l) => this.names[l].setAttribute("aria-pressed", String(level.every((t) => this.chosen.has(t)))));
  }

  colour(shades, values, describe) {
    this.cells.forEach((cell, token) => {
      const value = values[token];
      const roomy = this.pyramid && token < 31; // up to 16 cells in a line have room for the number
      cell.style.setProperty("--shade", shades.fill(value));
      cell.style.setProperty("--on-shade", shades.ink(value));
      cell.firstChild.textContent = roomy ? value.toFixed(value >= 9.95 ? 0 : value >= 0.995 ? 1 : 2) : "";
      cell.setAttribute("aria-label", describe(token));
    });
  }
}

