// What stands around the map: its legend, what the pointer is on, the selected object with its neighbours, confusions.

const NONE = "no label";

// Thumbnails of all images on one sheet; nothing is drawn before it has come.
class Sheet {
  constructor({ side, columns }) {
    Object.assign(this, { side, columns, bitmap: null });
  }
  async load(bytes) {
    this.bitmap = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
  }
  draw(context, image, x, y, size) {
    if (!this.bitmap) return;
    const [column, line] = [image % this.columns, Math.floor(image / this.columns)];
    context.drawImage(this.bitmap, column * this.side, line * this.side, this.side, this.side, x, y, size, size);
  }
  tile() {
    return make("canvas", { class: "pl-tile", width: this.side, height: this.side, role: "img" });
  }
  put(tile, image, label) {
    tile.setAttribute("aria-label", label);
    this.draw(tile.getContext("2d"), image, 0, 0, this.side);
  }
}

function mapLegend(labels, palette, enter) {
  const mark = (i) => draw("svg", { viewBox: "-7 -7 14 14", "aria-hidden": "true" }, draw("path", { fill: palette[i], d: marker(SHAPES[i % SHAPES.length], 0, 0, 5) }));
  const entries = labels.map((label, i) => make("span", { onpointerenter: () => enter(i), onpointerleave: () => enter(null) }, mark(i), label));
  return make("div", { class: "pl-labels" }, ...entries);
}

// Beside a point of the map: its picture and all its labels.
class HoverCard {
  constructor(sheet, taxonomies) {
    Object.assign(this, { sheet, taxonomies, tile: sheet.tile(), words: make("div") });
    this.node = make("div", { class: "pl-card", hidden: "" }, this.tile, this.words);
  }
  show(object, image, [x, y], width) {
    this.sheet.put(this.tile, image, object.name);
    const lines = this.taxonomies.map(({ name, labels }, level) => [name, labels[object.labels[level]] ?? NONE]);
    this.words.replaceChildren(make("b", {}, object.name), make("dl", {}, ...lines.map(([name, label]) => make("div", {}, make("dt", {}, name), make("dd", {}, label)))));
    const isLeft = x > width / 2;
    Object.assign(this.node.style, { left: isLeft ? "" : `${x + 16}px`, right: isLeft ? `${width - x + 16}px` : "", top: `${Math.max(4, y - 48)}px` });
    this.node.hidden = false;
  }
  hide() {
    this.node.hidden = true;
  }
}

class ObjectPanel {
  constructor({ objects, firsts, taxonomies }, sheet, choose) {
    Object.assign(this, { objects, firsts, taxonomies, sheet, choose });
    this.picker = chooser("object", (value) => choose(+value));
    const groups = objects.map(({ name, labels }, i) => [i, name, taxonomies[0].labels[labels[0]] ?? NONE]);
    this.picker.fill(groups.sort((a, b) => a[2].localeCompare(b[2]) || a[1].localeCompare(b[1])));
    this.tile = sheet.tile();
    this.words = make("div", { class: "pl-says" });
    this.heading = make("div", { class: "pl-heading" });
    this.row = make("div", { class: "pl-near" });
    this.node = make("section", { class: "pl-object" },
      make("div", { class: "pl-chosen" }, make("div", { class: "pl-heading" }, "Selected object"), this.picker.node, make("div", { class: "pl-self" }, this.tile, this.words)),
      make("div", { class: "pl-others" }, this.heading, this.row));
  }

  label(object, level) {
    return this.taxonomies[level].labels[this.objects[object].labels[level]];
  }

  // `predicted` are the labels that the probe gives the object's frames; `near` its neighbours, or null where there are none.
  show({ selected, level, predicted, near, missing }) {
    this.picker.show(String(selected));
    this.sheet.put(this.tile, this.firsts[selected], this.objects[selected].name);
    this.tell(selected, level, predicted);
    if (near) return this.neighbours(selected, level, near);
    this.heading.replaceChildren("Nearest objects");
    this.row.replaceChildren(make("p", { class: "pl-note" }, missing || "Once the images are encoded, the nearest objects stand here."));
  }

  tell(selected, level, predicted) {
    const { name, labels } = this.taxonomies[level];
    const truth = this.objects[selected].labels[level];
    const counts = new Map();
    for (const label of predicted) if (label >= 0) counts.set(label, (counts.get(label) ?? 0) + 1);
    const rows = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 3);
    const kind = (label) => (truth < 0 ? "" : label === truth ? "pl-correct" : "pl-wrong");
    this.words.replaceChildren(make("div", {}, make("small", {}, name), make("b", {}, this.label(selected, level) ?? `no label of level ${name}`)),
      make("div", {}, make("small", {}, `the probe predicts, for ${plural(predicted.length, "frame")}`),
        ...rows.map(([label, count]) => make("span", { class: kind(label) }, labels[label], make("em", {}, `${count}`)))));
  }

  neighbours(selected, level, near) {
    const truth = this.label(selected, level);
    const alike = (other) => this.label(other, level) === truth;
    const shared = near.filter(alike).length;
    this.heading.replaceChildren(truth === undefined ? "Nearest objects" : `Nearest objects: ${shared} of ${near.length} are ${truth}`);
    if (this.row.querySelectorAll(".pl-neighbour").length !== near.length) this.row.replaceChildren(...near.map(() => this.neighbour()));
    near.forEach((other, place) => {
      const node = this.row.children[place];
      const [tile, words] = node.children;
      const label = this.label(other, level);
      const known = truth !== undefined && label !== undefined;
      node.className = `pl-neighbour ${known ? (alike(other) ? "pl-correct" : "pl-wrong") : ""}`;
      node.title = this.objects[other].name;
      node.dataset.object = other;
      this.sheet.put(tile, this.firsts[other], `${this.objects[other].name}, ${label ?? NONE}`);
      words.textContent = label ?? NONE;
    });
  }

  neighbour() {
    return make("button", { type: "button", onclick: ({ currentTarget }) => this.choose(+currentTarget.dataset.object) }, this.sheet.tile(), make("span"));
  }
}

// What the first image of the selected object finds among those of another source, such as another artist.
class FoundPanel {
  constructor({ objects, firsts, sources, sourceOf }, owners, sheet, choose) {
    Object.assign(this, { objects, firsts, sources, sourceOf, owners, sheet });
    this.picker = chooser("among whose images", choose);
    this.heading = make("div", { class: "pl-heading" });
    this.row = make("div", { class: "pl-near" });
    this.node = make("section", { class: "pl-found" }, make("div", { class: "pl-bar" }, this.heading, named("among", this.picker)), this.row);
    this.node.hidden = sources.length < 2;
    this.picker.fill(sources.map((name) => [name, name]));
  }

  // `found` are images, the most similar first; -1 where there are fewer.
  show(selected, source, found) {
    const images = found.filter((image) => image >= 0);
    const place = images.findIndex((image) => this.owners[image] === selected);
    const own = this.sources[this.sourceOf[this.firsts[selected]]];
    this.picker.show(source);
    this.heading.replaceChildren(`${this.objects[selected].name} of ${own}: ${images.length ? (place < 0 ? "its own is further down" : `its own is at place ${place + 1}`) : "nothing found yet"}`);
    this.row.replaceChildren(...images.map((image) => this.tile(image, selected)));
  }

  tile(image, selected) {
    const [owner, tile] = [this.owners[image], this.sheet.tile()];
    this.sheet.put(tile, image, this.objects[owner].name);
    return make("div", { class: `pl-neighbour ${owner === selected ? "pl-correct" : "pl-wrong"}`, title: this.objects[owner].name }, tile, make("span", {}, this.objects[owner].name));
  }
}

class ConfusionPanel {
  constructor(taxonomies) {
    this.taxonomies = taxonomies;
    this.heading = make("div", { class: "pl-heading" });
    this.note = make("div", { class: "pl-note" });
    this.body = make("div");
    this.node = make("section", { class: "pl-confusion" }, this.heading, this.note, this.body);
  }

  show(found, level, whose) {
    const { labels } = this.taxonomies[level];
    const wrong = found.total - found.correct;
    this.heading.replaceChildren(`Confusions of the probe of ${whose}`);
    const near = found.near ? `; ${fixed(found.near, 0)} of the ${fixed(wrong, 0)} errors stay within the correct ${this.taxonomies[0].name} label` : "";
    this.note.replaceChildren(`${fixed(found.correct, 0)} of ${plural(found.total, "frame")} correct${near}.${found.matrix ? " Rows are labels, columns predictions." : ""}`);
    this.body.replaceChildren(found.matrix ? this.matrix(found.matrix, labels) : this.list(found.rows, labels));
  }

  matrix(counts, labels) {
    const cell = (count, sum, isCorrect) => make("td", { class: isCorrect ? "pl-correct" : "pl-wrong", style: `--share:${sum ? Math.round((100 * count) / sum) : 0}%` }, count ? `${count}` : "");
    const rows = counts.map((row, truth) => {
      const sum = row.reduce((a, b) => a + b, 0);
      return make("tr", {}, make("th", { scope: "row" }, labels[truth]), ...row.map((count, predicted) => cell(count, sum, truth === predicted)));
    });
    return make("table", { class: "pl-matrix" }, make("tr", {}, make("td"), ...labels.map((label) => make("th", { scope: "col" }, make("span", {}, label)))), ...rows);
  }

  list(rows, labels) {
    const most = Math.max(1, ...rows.map((row) => row[2]));
    return make("ul", { class: "pl-taken" }, ...rows.map(([truth, predicted, count, of]) =>
      make("li", { title: `${count} of ${of} frames of ${labels[truth]} are predicted as ${labels[predicted]}` },
        make("span", {}, labels[truth], make("i", {}, " → "), labels[predicted]), make("b", { style: `--part:${(100 * count) / most}%` }, `${count}`), make("small", {}, `of ${of}`))));
  }
}
