// From key press to paint: a change is seen by a mutation observer, and painted two animation frames later.
(() => {
  const painted = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))));
  const mark = () => document.querySelector(".pl-explorer").dataset.painted;
  const cursor = () => document.querySelector(".pl-cursor")?.getAttribute("transform");

  // When `read` gives something else than now, and that is painted.
  const change = (selector, read) => new Promise((done) => {
    const before = read();
    const observer = new MutationObserver(() => {
      if ([before, undefined].includes(read())) return;
      observer.disconnect();
      done(painted());
    });
    observer.observe(document.querySelector(selector), { attributes: true, childList: true, subtree: true });
  });

  window.latency = {
    // The test calls this, presses a key, and waits for `result`.
    arm() {
      const slider = document.querySelector(".pl-range");
      const pressed = new Promise((done) => {
        slider.addEventListener("keydown", () => done(performance.now()), { once: true, capture: true });
      });
      const changes = [change(".pl-explorer", mark), change(".pl-curves", cursor)];
      const late = new Promise((_, fail) => setTimeout(() => fail(new Error(`nothing changed; now ${mark()} ${cursor()}`)), 10000));
      const times = Promise.all([pressed, ...changes]).then(([from, image, curve]) => ({ image: image - from, curve: curve - from }));
      this.result = Promise.race([times, late]);
    },
    // What is on screen: the pixels of all tiles as one number, and where the cursor stands.
    seen() {
      let sum = 0;
      for (const tile of document.querySelectorAll(".pl-tile")) {
        const { data } = tile.getContext("2d").getImageData(0, 0, tile.width, tile.height);
        for (let i = 0; i < data.length; i++) sum = (sum * 31 + data[i]) | 0;
      }
      return { pixels: sum, cursor: cursor() };
    },
  };
})();
