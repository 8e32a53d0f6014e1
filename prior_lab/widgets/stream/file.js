// One file, byte by byte: its header, and of each level the length, the payload and the checksum.

const ACROSS = 16; // bytes in a line
const LINES = 20; // that are seen at once

// Colours of levels: payloads have them in full, lengths half, checksums less.
class LevelColours {
  constructor(palette) {
    this.palette = palette;
  }
  shade(level) {
    const [r, g, b] = this.palette[level];
    const ink = 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#111" : "#fff";
    return `--level:rgb(${r} ${g} ${b});--on-level:${ink}`;
  }
}

class FileView {
  constructor(label) {
    this.heading = make("div", { class: "pl-heading" });
    this.sheet = make("div", { class: "pl-hex", role: "group", tabindex: 0 });
    this.legend = make("div", { class: "pl-legend" });
    this.node = make("section", { class: "pl-file", "aria-label": label }, this.heading, this.sheet, this.legend);
    this.cells = [];
  }

  show({ heading, file, marks, colours }) {
    this.heading.textContent = heading;
    this.size = file.length / 2;
    const kinds = range(0, this.size).map(() => ["pl-header", ""]);
    marks.forEach(([start, from, to, end], level) => {
      const put = (kind, first, stop) => range(first, stop).forEach((at) => (kinds[at] = [kind, colours.shade(level)]));
      put("pl-length", start, from);
      put("pl-payload", from, to);
      put("pl-check", to, end);
    });
    this.cells = kinds.map(([kind, style], at) => make("span", { class: `pl-octet ${kind}`, style }, file.slice(2 * at, 2 * at + 2)));
    this.lines = range(0, Math.ceil(this.size / ACROSS)).map((row) => make("div", { class: "pl-hexline" },
      make("span", { class: "pl-offset" }, `${row * ACROSS}`), ...this.cells.slice(row * ACROSS, (row + 1) * ACROSS)));
    this.sheet.replaceChildren(...this.lines);
    const key = (kind, style, words) => make("span", { class: "pl-key" }, make("i", { class: `pl-octet ${kind}`, style }), words);
    this.legend.replaceChildren(key("pl-header", "", "header"), make("span", { class: "pl-key" }, "levels",
      ...marks.map((_, level) => make("i", { class: "pl-octet pl-payload", style: colours.shade(level) }, `${level}`))),
    key("pl-length", colours.shade(marks.length >> 1), "length"), key("pl-check", colours.shade(marks.length >> 1), "checksum"));
  }

  // Of a file that is too long to be seen whole, the part where bytes arrive.
  follow(at) {
    const line = this.lines[Math.floor(Math.max(0, at) / ACROSS)];
    this.sheet.scrollTop = line.offsetTop - this.sheet.clientHeight / 2;
  }

  // How many bytes are there, of those that are sent at all.
  cut(cut, sent) {
    this.sheet.setAttribute("aria-label", `The file in hexadecimal numbers: ${Math.min(cut, sent)} of ${sent} bytes are there.`);
    this.lines.forEach((line, row) => line.classList.toggle("pl-unsent", row * ACROSS >= sent));
    this.cells.forEach((cell, at) => {
      cell.classList.toggle("pl-yet", at >= cut && at < sent);
      cell.classList.toggle("pl-unsent", at >= sent);
    });
    if (this.lines.length > LINES) this.follow(Math.min(cut, sent - 1));
  }
}

// The files of a page under the adaptive policy, beside files that are all cut where those end on average.
class PolicyTable {
  constructor() {
    this.heading = make("div", { class: "pl-heading" }, "Files that end at their own level");
    this.words = make("div", { class: "pl-said" });
    this.table = make("table", { class: "pl-values" });
    this.node = make("section", { class: "pl-policy" }, this.heading, this.words, this.table);
  }

  show(arms, target) {
    const rows = arms.flatMap(({ label, colour, images }) => {
      const ends = images.map(({ ssim }) => lastOf(ssim, target));
      const own = { bytes: mean(images.map(({ needs }, i) => needs[ends[i]])), worth: images.map(({ ssim }, i) => ssim[ends[i]]) };
      const cut = Math.round(own.bytes);
      const there = images.map(({ needs, ssim }) => ssim[arrived(needs, cut)]).filter((value) => value !== undefined);
      const same = { bytes: mean(images.map((one) => Math.min(cut, one.bytes))), worth: there };
      const [name, kind = ""] = label.split(", ");
      const head = make("th", { scope: "rowgroup", rowspan: 2 }, make("span", { class: "pl-name", style: `--colour:${colour}` }, name, make("small", {}, kind)));
      return [[head, "own level", own], [null, `cut at ${cut}`, same]];
    });
    const cell = (text, strong) => make("td", strong ? { class: "pl-value" } : {}, text);
    this.words.textContent = `At SSIM ${fixed(target, 2)}; and all files cut at as many bytes as those have on average.`;
    this.table.replaceChildren(
      make("tr", {}, ...["", "files end", "bytes", "SSIM", "reach it"].map((text) => make("th", { scope: "col" }, text))),
      ...rows.map(([name, words, { bytes, worth }]) => make("tr", {}, ...(name ? [name] : []), cell(words), cell(fixed(bytes, 1)),
        cell(worth.length ? fixed(mean(worth), 3) : UNKNOWN), cell(`${worth.filter((value) => value >= target).length} of ${arms[0].images.length}`, true))));
  }
}
