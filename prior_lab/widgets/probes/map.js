// The map of the test images: every object, or every frame, where its features lie at the budget. Another budget moves
// all points at once, for they stay the same points. Colour and shape are those of the coarsest label.

const MOVING_MS = 200;
const REACH = 16; // pixels from the pointer to the middle of a point
const MARGIN = 18;
const DIM = 0.13;
const STRETCH = 1.7; // of one axis over the other, at most

const SHAPES = ["circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "pentagon"];
const APART = 1.15; // sides of a picture between the middles of two that are both drawn
const SIZES = { objects: 5.5, frames: 2.6, pictures: 15 }; // radius, or half the side
// Radius and width of the rings around what shares the selected object's label, the object itself, what is pointed at.
const RINGS = {
  objects: [[6, 1.3], [9, 2.4], [8, 1.5]],
  pictures: [[17, 1.6], [18.5, 3.5], [18, 2]],
  frames: [null, [4, 1.5], [5, 1.5]],
};

class EmbeddingMap {
  constructor({ objects, firsts, palette, owners, sheet, hover, choose, play }) {
    Object.assign(this, { objects, firsts, palette, owners, sheet, hover, choose, play, view: "objects", places: null, shown: 0, over: -1, selected: 0, level: 0, label: null, stamps: new Map() });
    this.canvas = make("canvas", { class: "pl-map", role: "application", tabindex: 0, "aria-label": "map of the test images; arrow keys go to the next object, space plays" });
    this.missing = make("div", { class: "pl-missing", role: "status" });
    this.node = make("div", { class: "pl-ground" }, this.canvas, this.missing);
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.canvas.addEventListener("pointermove", (event) => this.point(this.at(event), event));
    this.canvas.addEventListener("pointerleave", () => this.point(-1));
    this.canvas.addEventListener("click", (event) => {
      const found = this.at(event);
      if (found >= 0) this.choose(this.owner(found));
    });
    this.canvas.addEventListener("keydown", (event) => this.walk(event));
  }

  // From the selected object to the next in the direction of an arrow; Home and End are the first and the last one.
  walk(event) {
    if (event.key === " ") return this.play(event);
    const { length } = this.objects;
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const ends = { Home: 0, End: length - 1 };
    if (!(event.key in ways) && !(event.key in ends)) return undefined;
    event.preventDefault();
    event.stopPropagation();
    const found = event.key in ends ? ends[event.key] : this.places && this.next(ways[event.key]);
    return found === undefined || found < 0 ? undefined : this.choose(found);
  }

  // The object that lies nearest in a direction: what lies aside counts twice.
  next([right, down]) {
    const [x, y] = this.xy(this.selected);
    let [found, least] = [-1, Infinity];
    this.objects.forEach((_, object) => {
      const [dx, dy] = [this.xy(object)[0] - x, this.xy(object)[1] - y];
      const along = right * dx + down * dy;
      const distance = along + 2 * Math.abs(right * dy + down * dx);
      if (object !== this.selected && along > 0.5 && distance < least) [found, least] = [object, distance];
    });
    return found;
  }

  // Points are the objects and then the images.
  owner(point) {
    return point < this.objects.length ? point : this.owners[point - this.objects.length];
  }
  image(point) {
    return point < this.objects.length ? this.firsts[point] : point - this.objects.length;
  }
  get span() {
    const count = this.objects.length;
    return this.view === "frames" ? [count, count + this.owners.length] : [0, count];
  }

  // Places of every budget, and which of them to show.
  load(places, budgets, at) {
    const size = places.length / budgets;
    this.budgets = Array.from({ length: budgets }, (_, i) => places.subarray(i * size, (i + 1) * size));
    this.move(at);
  }

  // Where the points of a budget lie on the canvas: as large as all of them have room, and one axis wider than the other
  // where that fills it.
  layout(at) {
    const places = this.budgets[at];
    const [start, stop] = this.span;
    const [low, high] = [[Infinity, Infinity], [-Infinity, -Infinity]];
    for (let i = 2 * start; i < 2 * stop; i++) {
      low[i % 2] = Math.min(low[i % 2], places[i]);
      high[i % 2] = Math.max(high[i % 2], places[i]);
    }
    const room = [this.width, this.height];
    const fill = room.map((side, axis) => (side - 2 * MARGIN) / Math.max(1e-6, high[axis] - low[axis]));
    const scales = fill.map((scale) => Math.min(scale, STRETCH * Math.min(...fill)));
    return places.map((value, i) => room[i % 2] / 2 + (i % 2 ? -scales[1] : scales[0]) * (value - (low[i % 2] + high[i % 2]) / 2));
  }

  move(at, isSudden = false) {
    this.shown = at;
    if (!this.budgets || !this.width) return;
    const goal = this.layout(at);
    const from = this.places?.length === goal.length ? this.places : goal;
    const start = performance.now();
    const duration = isSudden || this.still.matches || from === goal ? 0 : MOVING_MS;
    cancelAnimationFrame(this.frame);
    const step = () => {
      const part = duration ? Math.min(1, (performance.now() - start) / duration) : 1;
      const eased = 1 - (1 - part) ** 3;
      this.places = goal.map((value, i) => from[i] + eased * (value - from[i]));
      this.paint();
      this.canvas.dataset.moved = `${at} ${part < 1 ? "moving" : "there"}`;
      if (part < 1) this.frame = requestAnimationFrame(step);
    };
    this.frame = requestAnimationFrame(step);
  }

  refresh() {
    if (!this.places) return;
    cancelAnimationFrame(this.repaint);
    this.repaint = requestAnimationFrame(() => this.paint());
  }

  set(properties) {
    const other = "view" in properties && properties.view !== this.view;
    Object.assign(this, properties);
    if (other) this.move(this.shown, true);
    else this.refresh();
  }

  resize(width) {
    const height = Math.round(Math.min(440, Math.max(270, 0.68 * width)));
    if (!width || (width === this.width && height === this.height)) return;
    Object.assign(this, { width, height });
    const scale = window.devicePixelRatio || 1;
    [this.canvas.width, this.canvas.height] = [width * scale, height * scale];
    this.node.style.height = `${height}px`;
    this.move(this.shown, true);
  }

  xy(point) {
    return [this.places[2 * point], this.places[2 * point + 1]];
  }

  at({ offsetX, offsetY }) {
    if (!this.places || this.node.classList.contains("pl-without")) return -1;
    let [found, least] = [-1, REACH ** 2];
    const [start, stop] = this.span;
    for (let point = start; point < stop; point++) {
      const [x, y] = this.xy(point);
      const distance = (x - offsetX) ** 2 + (y - offsetY) ** 2;
      if (distance < least) [found, least] = [point, distance];
    }
    return found;
  }

  point(found) {
    this.canvas.style.cursor = found >= 0 ? "pointer" : "";
    if (found === this.over) return;
    this.over = found;
    this.hover(found, found >= 0 ? this.xy(found) : null);
    this.refresh();
  }

  // The label that stands out: of what the pointer is on, or of the legend's entry.
  get focus() {
    if (this.label !== null) return [0, this.label];
    if (this.over < 0) return null;
    const value = this.objects[this.owner(this.over)].labels[this.level];
    return value < 0 ? null : [this.level, value];
  }

  paint() {
    const context = this.canvas.getContext("2d");
    const style = getComputedStyle(this.node);
    const theme = { ink: style.color, ground: style.backgroundColor, font: style.fontFamily };
    const scale = window.devicePixelRatio || 1;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    this.large = new Set(); // whose picture is drawn
    const [back, front] = this.sorted();
    context.globalAlpha = DIM;
    this.points(context, back, theme);
    context.globalAlpha = this.view === "frames" && !this.focus ? 0.75 : 1;
    this.points(context, front, theme);
    context.globalAlpha = 1;
    this.marks(context, theme);
  }

  sorted() {
    const { focus } = this;
    const [start, stop] = this.span;
    const parts = [[], []];
    for (let point = start; point < stop; point++) {
      const isIn = !focus || this.objects[this.owner(point)].labels[focus[0]] === focus[1];
      parts[+isIn].push(point);
    }
    return parts;
  }

  colour(point) {
    return this.palette[this.objects[this.owner(point)].labels[0]] ?? "#999";
  }

  points(context, points, { ground }) {
    if (this.view === "pictures") return this.pictures(context, points);
    const scale = window.devicePixelRatio || 1;
    context.save();
    context.resetTransform(); // whole pixels are copied much faster
    for (const point of points) {
      const [x, y] = this.xy(point);
      const { dot, half } = this.stamp(point, ground);
      context.drawImage(dot, Math.round(scale * x) - half, Math.round(scale * y) - half);
    }
    return context.restore();
  }

  // Pictures that would lie on others are left out, and a small mark tells where they are.
  pictures(context, points) {
    const drawn = [];
    const room = APART * 2 * SIZES.pictures;
    for (const point of points) {
      const [x, y] = this.xy(point);
      if (drawn.some(([u, v]) => Math.abs(u - x) < room && Math.abs(v - y) < room)) {
        context.fillStyle = this.colour(point);
        context.fill(new Path2D(marker(this.shape(point), x, y, 2.6)));
      } else drawn.push([x, y, point]);
    }
    for (const [, , point] of drawn) {
      this.large.add(point);
      this.picture(context, point);
    }
  }

  shape(point) {
    const label = this.objects[this.owner(point)].labels[0];
    return label < 0 ? "circle" : SHAPES[label % SHAPES.length];
  }

  // A mark in colour and shape, drawn once and then copied: two thousand of them would take longer than a frame.
  stamp(point, ground) {
    const [colour, shape] = [this.colour(point), this.view === "frames" ? "circle" : this.shape(point)];
    const key = [colour, shape, ground, this.view].join();
    if (!this.stamps.has(key)) {
      const scale = window.devicePixelRatio || 1;
      const half = Math.ceil(scale * (1.35 * SIZES[this.view] + 1));
      const dot = make("canvas", { width: 2 * half, height: 2 * half });
      const context = dot.getContext("2d");
      context.setTransform(scale, 0, 0, scale, half, half);
      const path = new Path2D(marker(shape, 0, 0, SIZES[this.view]));
      [context.fillStyle, context.strokeStyle, context.lineWidth] = [colour, ground, this.view === "frames" ? 0.6 : 1];
      context.fill(path);
      context.stroke(path);
      this.stamps.set(key, { dot, half });
    }
    return this.stamps.get(key);
  }

  circle(context, point, radius) {
    const [x, y] = this.xy(point);
    if (this.large.has(point)) return context.rect(x - radius, y - radius, 2 * radius, 2 * radius);
    const size = this.view === "pictures" ? 6 : radius; // around a mark in place of a picture
    context.moveTo(x + size, y);
    return context.arc(x, y, size, 0, 2 * Math.PI);
  }

  picture(context, point) {
    const [x, y] = this.xy(point);
    const half = SIZES.pictures;
    context.fillStyle = this.colour(point);
    context.fillRect(x - half - 2, y - half - 2, 2 * half + 4, 2 * half + 4);
    this.sheet.draw(context, this.image(point), x - half, y - half, 2 * half);
  }

  // Rings around the selected object and around what shares its label; the name of the selected.
  marks(context, { ink, ground, font }) {
    const [start, stop] = this.span;
    const label = this.objects[this.selected].labels[this.level];
    const ring = (points, radius, width) => {
      context.beginPath();
      for (const point of points) this.circle(context, point, radius);
      [context.lineWidth, context.strokeStyle] = [width, ink];
      context.stroke();
    };
    const own = [];
    const alike = [];
    for (let point = start; point < stop; point++) {
      const owner = this.owner(point);
      if (owner === this.selected) own.push(point);
      else if (label >= 0 && !this.focus && this.objects[owner].labels[this.level] === label) alike.push(point);
    }
    const [alikeRing, ownRing, overRing] = RINGS[this.view];
    if (alikeRing) ring(alike, ...alikeRing);
    const over = this.over >= start && this.over < stop ? [this.over] : [];
    this.points(context, [...own, ...over], { ground }); // once more, on top
    ring(own, ...ownRing);
    ring(over, ...overRing);
    this.name(context, { ink, ground, font });
  }

  name(context, { ink, ground, font }) {
    const [x, y] = this.xy(this.selected);
    const text = this.objects[this.selected].name;
    context.font = `600 12px ${font}`;
    context.textBaseline = "middle";
    const off = this.view === "pictures" ? 26 : 14;
    const width = context.measureText(text).width;
    const left = x + off + width > this.width - 4 ? Math.max(4, x - off - width) : x + off;
    [context.lineWidth, context.lineJoin, context.strokeStyle, context.fillStyle] = [4, "round", ground, ink];
    context.strokeText(text, left, y);
    context.fillText(text, left, y);
  }
}
