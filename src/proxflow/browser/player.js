// One exhibit on the stage: the slider, playing, pointing, zooming, turning.
const SECONDS = 7; // from the first moment to the last
const NEAR = 14; // dots within which one points at a particle

class Player {
  constructor(root) {
    this.root = root;
    const find = (name) => root.querySelector(name);
    this.canvas = find("canvas");
    this.tip = find(".tip");
    this.stage = find(".stage");
    this.slider = find(".time input");
    this.said = find(".time output");
    this.button = find(".play");
    this.marks = new Marks(this.canvas);
    this.hidden = new Set();
    this.pointed = null;
    this.playing = 0;
    this.due = false;
    new ResizeObserver(() => this.resize()).observe(this.stage);
    this.listen();
  }

  // Show an exhibit. keep: the moment and the view stay what they were, as when news of the same run come.
  open(exhibit, keep = false) {
    const before = keep && this.scene ? { time: this.scene.time(this.position), end: this.position >= this.scene.last } : null;
    const view = before && this.scene.width === exhibit.scene.axes.length ? this.camera : null;
    this.scene = new Scene(exhibit.scene);
    this.exhibit = exhibit;
    this.camera = new Camera(this.scene);
    if (view) {
      const { zoom, shift, yaw, pitch } = view;
      Object.assign(this.camera, { zoom, shift, yaw, pitch });
      this.camera.turn();
    }
    if (!keep) this.hidden.clear();
    if (!keep || (this.pointed && this.pointed.index >= this.scene.count)) this.pointed = null;
    this.curves = new Curves(
      this.root.querySelector(".curves"), exhibit.curves,
      exhibit.linked ? (step) => this.stop().seek(this.scene.position(step)) : null,
    );
    this.slider.max = this.scene.last;
    this.root.classList.toggle("still", this.scene.last === 0);
    this.root.classList.toggle("space", this.scene.width === 3);
    this.legend();
    const { axes, explanation, note, unit, paired } = this.scene;
    const between = paired && this.scene.last > 0 ? " Between two moments points go straight." : "";
    const apart = exhibit.curves && !exhibit.linked ? " The curves are of the training, the slider of the way." : "";
    this.root.querySelector(".note").textContent = `${explanation ? `${explanation}. ` : ""}${note}${between}${apart}`;
    this.canvas.setAttribute("aria-label", `Particles over the target: ${axes.join(", ")}; by ${unit}`);
    this.resize();
    this.seek(before && !before.end ? this.scene.position(before.time) : this.scene.last);
  }

  get position() {
    return Number(this.slider.value);
  }

  seek(position) {
    const inside = Math.min(Math.max(position, 0), this.scene.last);
    this.slider.value = inside;
    this.scene.at(inside);
    const words = this.scene.moment(inside);
    this.said.textContent = words;
    this.slider.setAttribute("aria-valuetext", words);
    this.curves.show(this.exhibit.linked ? this.scene.time(inside) : null);
    this.redraw();
    return this;
  }

  play() {
    if (this.scene.last === 0) return;
    if (this.position >= this.scene.last) this.seek(0);
    this.root.classList.add("playing");
    this.button.setAttribute("aria-label", "Pause");
    let before = performance.now();
    const frame = (now) => {
      // A tab in the background sleeps: it goes on where it was.
      const passed = Math.min(now - before, 100) / 1000;
      before = now;
      this.seek(this.position + (passed * this.scene.last) / SECONDS);
      if (this.position >= this.scene.last) this.stop();
      else this.playing = requestAnimationFrame(frame);
    };
    this.playing = requestAnimationFrame(frame);
  }

  stop() {
    cancelAnimationFrame(this.playing);
    this.playing = 0;
    this.root.classList.remove("playing");
    this.button.setAttribute("aria-label", "Play");
    return this;
  }

  legend() {
    const { scene } = this;
    const entries = [
      ["goal", "target", "var(--target)"],
      ["particles", `${scene.kind}s`, scene.classes.length ? "var(--ink)" : "var(--particles)"],
      ...scene.classes.slice(0, 12).map((name, code) => [code, name, `var(--class-${code % CLASS_COLOURS})`]),
    ];
    this.root.querySelector(".legend").replaceChildren(
      ...entries.map(([key, name, colour]) => {
        const dot = element("i");
        dot.style.background = colour;
        const made = element("button", { type: "button" }, dot, name);
        made.setAttribute("aria-pressed", String(!this.hidden.has(key)));
        made.addEventListener("click", () => {
          this.hidden.has(key) ? this.hidden.delete(key) : this.hidden.add(key);
          made.setAttribute("aria-pressed", String(!this.hidden.has(key)));
          this.redraw();
        });
        return made;
      }),
    );
  }

  resize() {
    if (!this.scene) return;
    const { clientWidth, clientHeight } = this.stage;
    if (!clientWidth || !clientHeight) return;
    const dense = Math.min(window.devicePixelRatio || 1, 3);
    this.canvas.width = Math.round(clientWidth * dense);
    this.canvas.height = Math.round(clientHeight * dense);
    this.camera.resize(clientWidth, clientHeight);
    this.redraw();
  }

  redraw() {
    if (this.due) return;
    this.due = true;
    requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.due = false;
    const pointed = this.pointed && { ...this.pointed, position: this.position };
    this.dots = this.marks.draw(this.scene, this.camera, { hidden: this.hidden, pointed });
    this.canvas.style.touchAction = this.camera.moved || !this.camera.flat ? "none" : "pan-y";
    this.label();
  }

  // The particle nearest to a dot of the canvas; a target point only where no particle is near.
  nearest(x, y) {
    let best = null;
    let least = NEAR;
    for (const dot of this.dots || []) {
      const far = Math.hypot(dot.x - x, dot.y - y) + (dot.goal ? NEAR / 2 : 0);
      if (far < least) [best, least] = [dot, far];
    }
    return best && { index: best.index, goal: best.goal };
  }

  pointAt(found) {
    const same = found && this.pointed ? found.index === this.pointed.index && found.goal === this.pointed.goal : found === this.pointed;
    if (same) return;
    this.pointed = found;
    this.redraw();
  }

  label() {
    const dot = this.pointed && this.dots.find((one) => one.index === this.pointed.index && one.goal === this.pointed.goal);
    this.tip.hidden = !dot;
    if (!dot) return;
    const { scene } = this;
    const points = dot.goal ? scene.goal : scene.here;
    const lines = [element("b", { textContent: scene.title(dot.index, dot.goal) })];
    const kind = scene.label(dot.index, dot.goal);
    if (kind) lines.push(element("span", { textContent: kind }));
    if (dot.goal && scene.goal_rows) lines.push(element("span", { textContent: "target" }));
    scene.axes.forEach((name, axis) => {
      const words = name.replace(/ \(\d+% of variance\)$/, "");
      lines.push(element("span", { textContent: `${words}  ${short(points[dot.index * scene.width + axis])}` }));
    });
    this.tip.replaceChildren(...lines);
    const { clientWidth, clientHeight } = this.stage;
    const { offsetWidth, offsetHeight } = this.tip;
    const left = dot.x + 14 + offsetWidth > clientWidth ? dot.x - 14 - offsetWidth : dot.x + 14;
    const top = Math.min(Math.max(dot.y - offsetHeight / 2, 4), clientHeight - offsetHeight - 4);
    this.tip.style.transform = `translate(${Math.round(Math.max(left, 4))}px, ${Math.round(top)}px)`;
  }

  listen() {
    const { canvas, slider } = this;
    this.button.addEventListener("click", () => (this.playing ? this.stop() : this.play()));
    slider.addEventListener("input", () => this.stop().seek(this.position));
    slider.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      const next = by > 0 ? Math.floor(this.position + 1.001) : Math.ceil(this.position - 1.001);
      this.stop().seek(next);
    });
    const held = new Map();
    const spot = (event) => {
      const { left, top } = canvas.getBoundingClientRect();
      return [event.clientX - left, event.clientY - top];
    };
    canvas.addEventListener("pointerdown", (event) => {
      held.set(event.pointerId, spot(event));
      canvas.setPointerCapture(event.pointerId);
      if (event.pointerType !== "mouse") this.pointAt(this.nearest(...spot(event)));
    });
    canvas.addEventListener("pointermove", (event) => {
      const now = spot(event);
      const before = held.get(event.pointerId);
      if (!before) return this.pointAt(this.nearest(...now));
      const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
      if (held.size === 2) {
        const other = [...held].find(([id]) => id !== event.pointerId)[1];
        const grown = Math.hypot(now[0] - other[0], now[1] - other[1]) / Math.max(Math.hypot(before[0] - other[0], before[1] - other[1]), 1);
        this.camera.zoomAt(grown, (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      } else if (this.camera.flat || event.shiftKey) this.camera.pan(dx, this.scene.width === 1 ? 0 : dy);
      else this.camera.rotate(dx, dy);
      held.set(event.pointerId, now);
      this.redraw();
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => held.delete(event.pointerId));
    canvas.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.pointAt(null));
    canvas.addEventListener("dblclick", () => this.whole());
    // The wheel scrolls the page, as everywhere, unless the picture was clicked first, or Ctrl is held.
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && document.activeElement !== canvas) return;
      event.preventDefault();
      this.camera.zoomAt(Math.exp(-event.deltaY * 0.002), ...spot(event));
      this.redraw();
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
    this.root.querySelector(".zoom").addEventListener("click", (event) => {
      const kind = event.target.dataset.zoom;
      if (kind === "reset") this.whole();
      else if (kind) this.closer(kind === "in" ? 1.5 : 1 / 1.5);
    });
  }

  key(event) {
    const by = { ArrowLeft: [24, 0], ArrowRight: [-24, 0], ArrowUp: [0, 24], ArrowDown: [0, -24] }[event.key];
    if (by && this.camera.flat) this.camera.pan(...by);
    else if (by) this.camera.rotate(...by);
    else if (event.key === "+" || event.key === "=") this.closer(1.25);
    else if (event.key === "-") this.closer(0.8);
    else if (event.key === "0") this.whole();
    else if (event.key === " ") this.playing ? this.stop() : this.play();
    else return;
    event.preventDefault();
    this.redraw();
  }

  closer(factor) {
    this.camera.zoomAt(factor, ...this.camera.centre);
    this.redraw();
  }

  whole() {
    this.camera.reset();
    this.redraw();
  }
}
