// The frame of an explorer, and its line to the kernel: what it is asked, and what is said when no answer comes.

const LOST = "The kernel was restarted; run this cell again.";
const SILENT = "No answer from the kernel yet. If it is busy with another cell, this goes on by itself; if it was restarted, run this cell again.";
const BRIEF_MS = 120; // what is answered within this needs no words
const SHORT_MS = 400; // nor, within this, a paler picture: what turns pale is drawn twice more
const PATIENCE_MS = 4000; // until a kernel that has not even taken note of a question is said to be silent

class Frame {
  constructor(model, el, kind) {
    this.model = model;
    this.title = model.get("title"); // of an exported page, which has no kernel
    this.root = make("div", { class: `pl-explorer ${kind}` });
    this.lost = make("div", { class: "pl-problem", role: "alert" });
    this.problem = make("div", { class: "pl-problem", role: "alert" });
    this.notice = make("div", { class: "pl-notice", role: "status" });
    this.needing = []; // what is useless without a kernel
    this.isLost = false;
    this.listeners = [];
    this.cleaners = [() => this.quiet()];
    el.append(this.root);
    this.on("change:problem", () => this.showProblem());
    this.on("change:notice", () => (this.notice.textContent = this.model.get("notice")));
    this.on("msg:custom", (message) => this.hear(message));
    // JupyterLab marks the views of a dead line, and takes the mark back when only the network was gone.
    this.on("comm_live_update", () => setTimeout(() => (el.closest(".jupyter-widgets-disconnected") ? this.lose() : this.regain())));
  }

  // Put the children in; `title` stands above an exported page.
  fill(...children) {
    if (this.title) this.root.append(make("h1", { class: "pl-title" }, this.title));
    this.root.append(this.lost, ...children);
    this.showProblem();
    this.notice.textContent = this.model.get("notice");
  }

  on(event, listener) {
    this.listeners.push([event, listener]);
    this.model.on(event, listener);
  }

  // An observer of size or the like, ended with the explorer.
  fitting(observe) {
    const observer = new ResizeObserver(() => observe());
    observer.observe(this.root);
    this.cleaners.push(() => observer.disconnect());
  }

  close() {
    this.listeners.forEach(([event, listener]) => this.model.off(event, listener));
    this.cleaners.forEach((clean) => clean());
  }

  get(name) {
    return this.model.get(name);
  }

  // Settings that are drawn here at once; the kernel is told, and nothing depends on its answer.
  put(values) {
    Object.entries(values).forEach(([name, value]) => this.model.set(name, value));
    this.model.save_changes();
  }

  // A question of which the kernel takes note at once, and which it answers when it is done; `words` tell meanwhile what
  // it is doing.
  ask(question, words = "") {
    if (this.title) return;
    this.quiet();
    this.paling = setTimeout(() => this.root.classList.add("pl-busy"), SHORT_MS);
    if (words) this.waiting = setTimeout(() => (this.notice.textContent = words), BRIEF_MS);
    this.timer = setTimeout(() => (this.lost.textContent = SILENT), PATIENCE_MS);
    try {
      this.model.send(question);
    } catch {
      this.lose();
    }
  }

  // The kernel has taken note, or it has answered.
  hear({ heard, answered } = {}) {
    if (!heard && !answered) return;
    clearTimeout(this.timer);
    this.lost.textContent = "";
    if (answered) this.settle();
  }

  quiet() {
    clearTimeout(this.timer);
    clearTimeout(this.waiting);
    clearTimeout(this.paling);
  }

  settle() {
    clearTimeout(this.waiting);
    clearTimeout(this.paling);
    this.root.classList.remove("pl-busy");
    this.notice.textContent = this.model.get("notice");
  }

  lose() {
    this.quiet();
    this.settle();
    this.notice.textContent = "";
    this.lost.textContent = LOST;
    this.needing.forEach((node) => (node.inert = true));
    this.isLost = true;
    this.onLost?.();
  }

  regain() {
    if (!this.isLost) return;
    this.isLost = false;
    this.lost.textContent = "";
    this.needing.forEach((node) => (node.inert = false));
  }

  showProblem() {
    this.problem.textContent = this.model.get("problem");
    if (this.model.get("problem")) this.settle();
  }
}
