// Pictures of every image by every method: an image is a line, a method a column.

// The best picture that so many bytes give, or -1.
function arrived(needs, cut) {
  let at = -1;
  while (at + 1 < needs.length && needs[at + 1] <= cut) at++;
  return at;
}

// The first picture that reaches a target, or the best.
function lastOf(ssim, target) {
  const at = ssim.findIndex((value) => value >= target);
  return at < 0 ? ssim.length - 1 : at;
}

const EXTENT = {
  arm: (stream, at, of) => `${at + 1} of ${of} levels`,
  file: (stream, at) => plural(stream.needs[at], "byte"),
  scans: (stream, at) => `${at + 1} of ${stream.steps} scans`,
};

const broken = (word) => word.replace("progressive", "progres\u00adsive"); // where there is little room

class Sheet {
  constructor([height, width], choose) {
    Object.assign(this, { height, width, choose, places: [] });
    this.node = make("div", { class: "pl-grid pl-streams" });
  }

  build({ captions, rows }) {
    this.rows = rows;
    this.node.style.setProperty("--columns", rows.length + 1);
    this.means = rows.map(() => make("em", { class: "pl-mean" }));
    const [first, ...more] = [["Truth", ""], ...rows.map(({ label }) => label.split(", "))].map(([name, kind = ""], place) => {
      const colour = place ? rows[place - 1].colour : "transparent";
      return make("div", { class: "pl-caption pl-method", style: `--colour:${colour}` }, make("b", {}, name), make("small", {}, broken(kind)), place ? this.means[place - 1] : make("em", { class: "pl-mean" }));
    });
    const head = make("div", { class: "pl-line" }, make("div", { class: "pl-corner" }), first, ...more);
    this.places = captions.map((caption, image) => rows.map((row, column) => this.cell(row, column, caption, image)));
    this.truths = captions.map((caption) => make("canvas", { class: "pl-tile", width: this.width, height: this.height, role: "img", "aria-label": `${caption}, truth` }));
    const lines = captions.map((caption, image) => make("div", { class: "pl-line" },
      make("div", { class: "pl-rowhead" }, make("span", { class: "pl-caught", title: caption }, caption)),
      make("div", { class: "pl-spot" }, this.truths[image]), ...this.places[image].map(({ node }) => node)));
    this.node.replaceChildren(head, ...lines);
  }

  cell(row, column, caption, image) {
    const tile = make("canvas", { class: "pl-tile", width: this.width, height: this.height, role: "img", "aria-label": `${caption}, ${row.label}` });
    const [lacks, worth, extent] = ["pl-lacks", "pl-worth", "pl-extent"].map((name) => make("span", { class: name }));
    const frame = row.kind === "arm"
      ? make("button", { type: "button", class: "pl-frame", title: "show this file", "aria-label": `${caption}, ${row.label}: show this file`, onclick: () => this.choose([column, image]) }, tile, lacks)
      : make("div", { class: "pl-frame" }, tile, lacks);
    return { node: make("div", { class: "pl-spot" }, frame, worth, extent), tile: tile.getContext("2d"), frame, lacks, worth, extent, shown: null };
  }

  draw(context, bytes, layer) {
    const picture = new ImageData(this.width, this.height);
    copyRgb(picture.data, bytes, layer * this.width * this.height * 3);
    context.putImageData(picture, 0, 0);
  }

  paintTruth(bytes) {
    this.truths.forEach((tile, image) => this.draw(tile.getContext("2d"), bytes, image));
  }

  // Only what changes is drawn.
  paint(bytes, { cut, adaptive, target, chosen }) {
    const shown = this.rows.map(({ kind, images }) => images.map(({ needs, ssim, steps }) => {
      const isShort = adaptive && kind === "arm";
      const last = isShort ? lastOf(ssim, target) : needs.length - 1;
      return { at: Math.min(arrived(needs, cut), last), of: isShort ? last + 1 : steps };
    }));
    this.places.forEach((line, image) => {
      const values = line.map((_, column) => this.rows[column].images[image].ssim[shown[column][image].at] ?? -1);
      line.forEach((place, column) => {
        const { at, of } = shown[column][image];
        place.frame.setAttribute("aria-pressed", String(chosen[0] === column && chosen[1] === image));
        place.worth.classList.toggle("pl-best", at >= 0 && values[column] === Math.max(...values));
        const isReached = adaptive && this.rows[column].kind === "arm" && values[column] >= target;
        const mark = `${at} ${of} ${isReached}`;
        if (mark === place.shown) return;
        place.shown = mark;
        this.fill(place, this.rows[column].kind, this.rows[column].images[image], { at, of, isReached }, bytes);
      });
    });
    this.means.forEach((node, column) => {
      const there = shown[column].map(({ at }, image) => this.rows[column].images[image].ssim[at]).filter((value) => value !== undefined);
      node.textContent = there.length === this.places.length ? `mean ${fixed(mean(there), 3)}` : there.length ? `${there.length} of ${this.places.length} images` : "";
    });
    return shown;
  }

  fill(place, kind, stream, { at, of, isReached }, bytes) {
    const isThere = at >= 0;
    place.frame.classList.toggle("pl-absent", !isThere);
    place.lacks.textContent = isThere ? "" : stream.needs.length ? `needs\n${fixed(stream.needs[0], 0)} bytes` : "needs more";
    place.worth.replaceChildren(...(isThere ? [make("i", {}, "SSIM "), fixed(stream.ssim[at], 3)] : []));
    place.extent.textContent = isThere ? `${EXTENT[kind](stream, at, of)}${isReached ? " ✓" : ""}` : "";
    if (isThere) this.draw(place.tile, bytes, stream.layer + at);
    else place.tile.clearRect(0, 0, this.width, this.height);
  }
}
