// What must hold of every explorer however wide the window is; each function returns what does not.
window.looks = {
  // Parts that stick out of the explorer, text that does not fit its cell, and scroll bars across.
  cutOff() {
    const room = document.querySelector(".prior-lab").getBoundingClientRect();
    const seen = (node) => !node.closest("svg") && !["OPTION", "OPTGROUP"].includes(node.tagName);
    const outside = [...document.querySelectorAll(".prior-lab *")].filter((node) => {
      const box = node.getBoundingClientRect();
      return box.width > 0 && seen(node) && (box.left < room.left - 1 || box.right > room.right + 1);
    });
    const tight = [...document.querySelectorAll(".prior-lab :is(th, td, button:not(.pl-level), li, dd, .pl-heading, .pl-says *)")];
    const spilled = tight.filter((node) => node.clientWidth > 0 && node.scrollWidth > node.clientWidth + 1);
    const scroller = document.querySelector(".jp-NotebookPanel-notebook .jp-WindowedPanel-outer");
    const bars = [document.documentElement, scroller].filter((node) => node && node.scrollWidth > node.clientWidth);
    return [...outside, ...spilled, ...bars].map((node) => `${node.tagName} ${node.className} ${node.textContent.slice(0, 20)}`);
  },
  // Pictures that are not in the line of their arm, or not under their caption.
  astray() {
    const [head, ...lines] = [...document.querySelectorAll(".pl-grid .pl-line")];
    const captions = [...head.querySelectorAll(".pl-caption")].map((node) => node.getBoundingClientRect());
    return lines.flatMap((line) => {
      const tiles = [...line.querySelectorAll(".pl-tile")].map((node) => node.getBoundingClientRect());
      if (tiles.length !== captions.length) return [`${tiles.length} pictures under ${captions.length} captions`];
      return tiles.flatMap((box, i) => {
        const isAside = Math.abs(box.left - captions[i].left) > 1 || Math.abs(box.top - tiles[0].top) > 1;
        return isAside || box.width < 20 || box.width > 160 ? [`picture ${i} of ${line.innerText}: ${JSON.stringify(box)}`] : [];
      });
    });
  },
  // Text whose contrast to its ground is too low to be read.
  pale() {
    const bright = (colour) => {
      const [r, g, b] = colour.match(/[\d.]+/g).map((part) => part / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (node) => {
      for (let at = node; at; at = at.parentElement) {
        const colour = getComputedStyle(at).backgroundColor;
        if (colour.startsWith("rgb(")) return colour;
      }
      return "rgb(255, 255, 255)";
    };
    const words = [...document.querySelectorAll(".pl-heading, .pl-note, .pl-readout, .pl-name, .pl-caption, .pl-values td, .pl-ticks button, .pl-select")];
    return words.filter((node) => node.getBoundingClientRect().width).flatMap((node) => {
      const [low, high] = [bright(getComputedStyle(node).color), bright(ground(node))].sort((a, b) => a - b);
      return (high + 0.05) / (low + 0.05) < 4 ? [`${node.className}: ${getComputedStyle(node).color} on ${ground(node)}`] : [];
    });
  },
};
