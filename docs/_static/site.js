// Explorers on a page are pages of their own: they follow the site's theme and are as tall as what they show.
const inside = (frame) => { try { return frame.contentDocument; } catch { return null; } }; // null where files are opened without a server

function dress(frame) {
  const page = inside(frame);
  if (!page?.body) return;
  page.documentElement.style.colorScheme = document.documentElement.dataset.theme === "dark" ? "dark" : "light";
}

function settle(frame) {
  const page = inside(frame);
  const main = page?.querySelector("main");
  if (!main || page.documentElement.dataset.settled) return;
  page.documentElement.dataset.settled = "yes";
  page.documentElement.style.background = "transparent";
  Object.assign(page.body.style, { padding: "2px 2px 6px", background: "transparent" });
  page.body.style.setProperty("overflow-y", "hidden");
  if (frame.classList.contains("untitled")) page.querySelector(".pl-title")?.remove();
  dress(frame);
  const fit = () => (frame.style.height = `${Math.ceil(main.getBoundingClientRect().bottom + page.defaultView.scrollY) + 8}px`);
  new page.defaultView.ResizeObserver(fit).observe(main);
  fit();
}

const frames = () => [...document.querySelectorAll(".live-explorer")];
frames().forEach((frame) => {
  frame.addEventListener("load", () => settle(frame));
  if (inside(frame)?.readyState === "complete") settle(frame);
});
new MutationObserver(() => frames().forEach(dress)).observe(document.documentElement, { attributeFilter: ["data-theme"] });
