// Rows of pictures of one size.

// Raw RGB into a picture.
function copyRgb(out, bytes, from) {
  for (let p = 0, s = from; p < out.length; p += 4, s += 3) {
    out[p] = bytes[s];
    out[p + 1] = bytes[s + 1];
    out[p + 2] = bytes[s + 2];
    out[p + 3] = 255;
  }
}

// A row is {label, colour}. Its name, its numbers and its tiles are one line, whatever their number: `columns` only tells
// how wide a tile is.
class TileGrid {
  constructor([height, width], hover = () => {}) {
    Object.assign(this, { width, height, hover, built: "", contexts: [], numbers: [] });
    this.node = make("div", { class: "pl-grid" });
  }

  build(rows, captions, columns = captions.length) {
    const asked = JSON.stringify([rows, captions, columns]);
    if (asked === this.built) return;
    this.built = asked;
    this.node.style.setProperty("--columns", Math.max(1, columns));
    this.numbers = rows.map(() => make("span", { class: "pl-numbers" }));
    const head = make("div", { class: "pl-line" }, make("div", { class: "pl-corner" }),
      ...captions.map((text) => make("div", { class: "pl-caption", title: text }, make("span", {}, text))));
    const tiles = rows.map(({ label }, row) => captions.map((caption, image) =>
      make("canvas", { class: "pl-tile", width: this.width, height: this.height, role: "img", "aria-label": `${caption}, ${label}`,
        onpointerenter: () => this.hover(row, image), onpointerleave: () => this.hover() })));
    this.contexts = tiles.map((line) => line.map((tile) => tile.getContext("2d")));
    const lines = rows.map(({ label, colour }, row) => make("div", { class: "pl-line" },
      make("div", { class: "pl-rowhead" }, make("span", { class: "pl-name", style: `--colour:${colour || "transparent"}` }, label), this.numbers[row]),
      ...tiles[row]));
    this.node.replaceChildren(head, ...lines);
  }

  // `fill` writes RGBA into the pixels of a tile.
  paint(row, image, fill) {
    const picture = new ImageData(this.width, this.height);
    fill(picture.data);
    this.contexts[row][image].putImageData(picture, 0, 0);
  }
}
