// Draws a scene: axes, the target, the particles, and the way of the one that is pointed at.
const CLASS_COLOURS = 8;

class Marks {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    this.recolour();
  }

  recolour() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    this.colour = {
      ink: colour("ink"), quiet: colour("quiet"), line: colour("line"), paper: colour("paper"),
      goal: colour("target"), particles: colour("particles"), accent: colour("accent"),
      classes: Array.from({ length: CLASS_COLOURS }, (_, index) => colour(`class-${index}`)),
    };
    this.font = `11px ${getComputedStyle(this.canvas).fontFamily}`;
  }

  ofClass(code) {
    return this.colour.classes[code % CLASS_COLOURS];
  }

  // hidden: what the legend has switched off, "goal", "particles" or classes' numbers. Returns the dots, for pointing.
  draw(scene, camera, { hidden, pointed }) {
    const { pen, canvas } = this;
    const dense = canvas.width / camera.width;
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    pen.clearRect(0, 0, camera.width, camera.height);
    pen.font = this.font;
    if (scene.width === 1) return this.line(scene, camera, hidden, pointed);
    if (scene.width === 3) this.walls(scene, camera);
    pen.save();
    if (scene.width === 2) {
      this.axes(scene, camera);
      pen.beginPath();
      pen.rect(MARGIN.left, 0, camera.width - MARGIN.left, camera.height - MARGIN.bottom + 4);
      pen.clip();
    }
    const dots = [
      ...this.dots(scene, camera, scene.goal, scene.goal_codes, true, hidden),
      ...this.dots(scene, camera, scene.here, scene.codes, false, hidden),
    ];
    const reach = camera.flat ? 1 : Math.hypot(...camera.half.map((half, axis) => half * camera.scale[axis]));
    if (!camera.flat) dots.sort((one, other) => other.depth - one.depth);
    const size = [this.size(scene.goal.length / scene.width), this.size(scene.count)];
    const grow = Math.min(Math.sqrt(camera.zoom), 2.5);
    for (const dot of dots) {
      const fade = camera.flat ? 1 : 0.8 - (0.4 * dot.depth) / reach;
      pen.globalAlpha = (dot.goal ? 0.6 : 0.78) * Math.min(Math.max(fade, 0.25), 1);
      pen.fillStyle = dot.code !== null ? this.ofClass(dot.code) : dot.goal ? this.colour.goal : this.colour.particles;
      if (dot.goal && dot.code !== null) pen.globalAlpha *= 0.45;
      pen.beginPath();
      pen.arc(dot.x, dot.y, size[dot.goal ? 0 : 1] * grow, 0, 2 * Math.PI);
      pen.fill();
    }
    pen.globalAlpha = 1;
    if (pointed) this.point(scene, camera, pointed);
    pen.restore();
    return dots;
  }

  size(count) {
    return Math.min(Math.max(75 / Math.sqrt(Math.max(count, 1)), 1.3), 3.2);
  }

  dots(scene, camera, points, codes, goal, hidden) {
    if (hidden.has(goal ? "goal" : "particles")) return [];
    const found = [];
    const classes = scene.classes.length > 0;
    for (let start = 0, index = 0; start < points.length; start += scene.width, index++) {
      if (Number.isNaN(points[start]) || (classes && hidden.has(codes[index]))) continue;
      const [x, y, depth] = camera.project(points, start);
      if (x < -20 || y < -20 || x > camera.width + 20 || y > camera.height + 20) continue;
      found.push({ x, y, depth, index, goal, code: classes ? codes[index] : null });
    }
    return found;
  }

  // A ring around the point, and of a particle its whole way: walked in full, ahead dashed.
  point(scene, camera, { index, goal, position }) {
    const { pen } = this;
    const points = goal ? scene.goal : scene.here;
    const [x, y] = camera.project(points, index * scene.width);
    pen.strokeStyle = this.colour.accent;
    if (!goal && scene.paired) {
      const size = scene.here.length;
      const legs = [[], []];
      for (let moment = 0; moment <= scene.last; moment++) {
        const start = moment * size + index * scene.width;
        if (Number.isNaN(scene.places[start])) continue;
        legs[moment <= position ? 0 : 1].push(camera.project(scene.places, start));
      }
      legs[0].push([x, y]);
      legs[1].unshift([x, y]);
      pen.lineWidth = 1.25;
      legs.forEach((leg, ahead) => {
        pen.setLineDash(ahead ? [2, 4] : []);
        pen.beginPath();
        leg.forEach(([a, b], n) => (n ? pen.lineTo(a, b) : pen.moveTo(a, b)));
        pen.stroke();
      });
      pen.setLineDash([]);
    }
    if (Number.isNaN(x)) return;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(x, y, 6, 0, 2 * Math.PI);
    pen.stroke();
  }

  axes(scene, camera) {
    const { pen } = this;
    const floor = camera.height - MARGIN.bottom + 4;
    pen.strokeStyle = this.colour.line;
    pen.fillStyle = this.colour.quiet;
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(MARGIN.left - 0.5, MARGIN.top);
    pen.lineTo(MARGIN.left - 0.5, Math.round(floor) + 0.5);
    pen.lineTo(camera.width - MARGIN.right, Math.round(floor) + 0.5);
    pen.stroke();
    this.ticksAcross(camera, floor);
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    const [low, high] = [camera.value(1, floor), camera.value(1, MARGIN.top)];
    for (const value of ticks(low, high, camera.height / 60)) {
      const y = camera.project([camera.middle[0], value], 0)[1];
      if (y < MARGIN.top + 24 || y > floor - 6) continue;
      pen.fillText(short(value), MARGIN.left - 7, y);
    }
    pen.fillStyle = this.colour.ink;
    pen.textAlign = "left";
    pen.textBaseline = "top";
    this.words(scene.axes[1], MARGIN.left + 6, 4, camera.width / 2);
    pen.textAlign = "right";
    pen.textBaseline = "bottom";
    this.words(scene.axes[0], camera.width - MARGIN.right, floor - 4, camera.width / 2);
  }

  ticksAcross(camera, floor) {
    const { pen } = this;
    pen.fillStyle = this.colour.quiet;
    pen.textAlign = "center";
    pen.textBaseline = "top";
    const [low, high] = [camera.value(0, MARGIN.left), camera.value(0, camera.width - MARGIN.right)];
    for (const value of ticks(low, high, camera.width / 80)) {
      const x = camera.project([value, camera.middle[1]], 0)[0];
      if (x > MARGIN.left + 4 && x < camera.width - MARGIN.right) pen.fillText(short(value), x, floor + 8);
    }
  }

  words(text, x, y, room) {
    const { pen } = this;
    let shown = text;
    while (shown.length > 4 && pen.measureText(shown).width > room) shown = `${shown.slice(0, -2).trimEnd()}…`;
    // Readable over dots.
    pen.lineWidth = 3;
    pen.strokeStyle = this.colour.paper;
    pen.strokeText(shown, x, y);
    pen.fillText(shown, x, y);
  }

  // The twelve edges of the box, and the axes' names at the ends of three that meet.
  walls(scene, camera) {
    const { pen } = this;
    const corner = (bits) =>
      camera.project(camera.middle.map((middle, axis) => middle + (bits & (1 << axis) ? 1 : -1) * camera.half[axis]), 0);
    const corners = Array.from({ length: 8 }, (_, bits) => corner(bits));
    const nearest = corners.reduce((best, one, bits) => (one[2] < corners[best][2] ? bits : best), 0);
    pen.strokeStyle = this.colour.line;
    pen.lineWidth = 1;
    for (let bits = 0; bits < 8; bits++) {
      for (let axis = 0; axis < 3; axis++) {
        const other = bits ^ (1 << axis);
        if (other < bits || bits === nearest || other === nearest) continue;
        pen.beginPath();
        pen.moveTo(corners[bits][0], corners[bits][1]);
        pen.lineTo(corners[other][0], corners[other][1]);
        pen.stroke();
      }
    }
    pen.fillStyle = this.colour.quiet;
    pen.textBaseline = "middle";
    const floor = camera.pitch >= 0 ? 0 : 4;
    scene.axes.forEach((name, axis) => {
      // Along the nearest edge of that direction which is not hidden inside the drawing.
      const edges = [];
      for (let bits = 0; bits < 8; bits++) {
        if (bits & (1 << axis) || (axis < 2 && (bits & 4) !== floor)) continue;
        const [a, b] = [corners[bits], corners[bits | (1 << axis)]];
        edges.push({ x: (a[0] + b[0]) / 2, y: (a[1] + b[1]) / 2, depth: a[2] + b[2] });
      }
      const chosen = axis < 2 ? edges.sort((a, b) => b.y - a.y)[0] : edges.sort((a, b) => a.x - b.x)[0];
      const left = chosen.x < camera.centre[0] + camera.shift[0];
      pen.textAlign = left ? "right" : "left";
      // Inside the picture, also where it is narrow.
      const room = Math.min(pen.measureText(name).width, camera.width / 2) + 4;
      const x = left ? Math.max(chosen.x - 8, room) : Math.min(chosen.x + 8, camera.width - room);
      this.words(name, x, chosen.y + (axis < 2 ? 8 : 0), camera.width / 2);
    });
  }

  // One feature: shares of the clouds in forty bins, and below them the points themselves.
  line(scene, camera, hidden, pointed) {
    const { pen } = this;
    const strip = 46;
    const floor = camera.height - MARGIN.bottom - strip;
    const [low, high] = scene.limits[0];
    const bins = (points) => {
      const found = new Array(40).fill(0);
      for (const value of points) {
        const bin = Math.floor((40 * (value - low)) / (high - low));
        if (bin >= 0 && bin < 40) found[bin] += 1 / points.length;
      }
      return found;
    };
    const [theirs, ours] = [bins(scene.goal), bins(scene.here)];
    const top = 1.05 * Math.min(Math.max(...theirs, ...ours), 5 * Math.max(...theirs, 1e-9));
    const x = (bin) => camera.project([low + (bin * (high - low)) / 40], 0)[0];
    const y = (share) => floor - (floor - MARGIN.top) * Math.min(share / top, 1);
    const stairs = (shares) => {
      pen.beginPath();
      pen.moveTo(x(0), floor);
      shares.forEach((share, bin) => {
        pen.lineTo(x(bin), y(share));
        pen.lineTo(x(bin + 1), y(share));
      });
      pen.lineTo(x(40), floor);
    };
    if (!hidden.has("goal")) {
      stairs(theirs);
      pen.fillStyle = this.colour.goal;
      pen.globalAlpha = 0.5;
      pen.fill();
      pen.globalAlpha = 1;
    }
    if (!hidden.has("particles")) {
      stairs(ours);
      pen.strokeStyle = this.colour.particles;
      pen.lineWidth = 1.75;
      pen.stroke();
    }
    pen.strokeStyle = this.colour.line;
    pen.lineWidth = 1;
    pen.strokeRect(MARGIN.left, Math.round(floor) + 0.5, camera.width - MARGIN.left - MARGIN.right, 0);
    const base = camera.height - MARGIN.bottom;
    this.ticksAcross(camera, base);
    pen.fillStyle = this.colour.ink;
    pen.textAlign = "right";
    pen.textBaseline = "top";
    this.words(scene.axes[0], camera.width - MARGIN.right, base + 20, camera.width - 60);
    const dots = [];
    for (const goal of [true, false]) {
      if (hidden.has(goal ? "goal" : "particles")) continue;
      const points = goal ? scene.goal : scene.here;
      pen.globalAlpha = 0.6;
      for (let index = 0; index < points.length; index++) {
        const code = scene.classes.length ? (goal ? scene.goal_codes : scene.codes)[index] : null;
        if (Number.isNaN(points[index]) || hidden.has(code)) continue;
        const dot = {
          x: camera.project(points, index)[0], index, goal, code, depth: 0,
          y: floor + 8 + (goal ? 0 : strip / 2 - 2) + ((index * 7919) % 16),
        };
        pen.fillStyle = code !== null ? this.ofClass(code) : goal ? this.colour.goal : this.colour.particles;
        const ringed = pointed && pointed.goal === goal && pointed.index === index;
        if (ringed) [pen.globalAlpha, pen.fillStyle] = [1, this.colour.accent];
        pen.beginPath();
        pen.arc(dot.x, dot.y, ringed ? 5 : 1.8, 0, 2 * Math.PI);
        pen.fill();
        pen.globalAlpha = 0.6;
        dots.push(dot);
      }
    }
    pen.globalAlpha = 1;
    return dots;
  }
}
