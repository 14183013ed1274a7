// From data to dots of the canvas: one to three coordinates, zoomed, shifted and, in space, turned.
const MARGIN = { left: 44, right: 14, top: 12, bottom: 34 };

class Camera {
  constructor(scene) {
    this.scene = scene;
    this.middle = scene.limits.map(([low, high]) => (low + high) / 2);
    this.half = scene.limits.map(([low, high]) => (high - low) / 2);
    this.flat = scene.width < 3;
    this.resize(600, 400);
    this.reset();
  }

  reset() {
    Object.assign(this, { zoom: 1, shift: [0, 0], yaw: -0.95, pitch: 0.35 });
    this.turn();
  }

  get moved() {
    return this.zoom !== 1 || this.shift[0] !== 0 || this.shift[1] !== 0;
  }

  resize(width, height) {
    Object.assign(this, { width, height });
    const room = this.flat
      ? [width - MARGIN.left - MARGIN.right, height - MARGIN.top - MARGIN.bottom]
      : [width - 24, height - 24];
    this.centre = this.flat ? [MARGIN.left + room[0] / 2, MARGIN.top + room[1] / 2] : [width / 2, height / 2];
    if (this.flat) {
      this.scale = this.half.map((half, axis) => room[axis] / (2 * half));
      if (this.scene.equal && this.scene.width === 2) this.scale.fill(Math.min(...this.scale));
    } else {
      // The longest diagonal fits however the box is turned.
      const sides = this.scene.equal ? this.half : [1, 1, 1];
      const unit = Math.min(...room) / (1.7 * Math.hypot(...sides));
      this.scale = this.half.map((half, axis) => (unit * sides[axis]) / half);
    }
  }

  turn() {
    const [a, b] = [this.yaw, this.pitch];
    const [ca, sa, cb, sb] = [Math.cos(a), Math.sin(a), Math.cos(b), Math.sin(b)];
    this.right = [ca, -sa, 0];
    this.up = [sa * sb, ca * sb, cb];
    this.away = [sa * cb, ca * cb, -sb];
  }

  // [across, down, depth] of the point that begins at `start`; depth grows away from the eye.
  project(points, start) {
    if (this.flat) {
      const x = this.centre[0] + this.shift[0] + (points[start] - this.middle[0]) * this.scale[0] * this.zoom;
      if (this.scene.width === 1) return [x, 0, 0];
      return [x, this.centre[1] + this.shift[1] - (points[start + 1] - this.middle[1]) * this.scale[1] * this.zoom, 0];
    }
    let [across, up, away] = [0, 0, 0];
    for (let axis = 0; axis < 3; axis++) {
      const value = (points[start + axis] - this.middle[axis]) * this.scale[axis];
      across += value * this.right[axis];
      up += value * this.up[axis];
      away += value * this.away[axis];
    }
    return [
      this.centre[0] + this.shift[0] + across * this.zoom,
      this.centre[1] + this.shift[1] - up * this.zoom,
      away,
    ];
  }

  // The data at a dot; in the plane only.
  value(axis, dot) {
    const sign = axis === 0 ? 1 : -1;
    return this.middle[axis] + (sign * (dot - this.centre[axis] - this.shift[axis])) / (this.scale[axis] * this.zoom);
  }

  zoomAt(factor, x, y) {
    const zoom = Math.min(Math.max(this.zoom * factor, 0.2), 200);
    const ratio = zoom / this.zoom;
    this.shift = [
      x - this.centre[0] - (x - this.centre[0] - this.shift[0]) * ratio,
      y - this.centre[1] - (y - this.centre[1] - this.shift[1]) * ratio,
    ];
    if (Math.abs(zoom - 1) < 1e-9 && ratio < 1) this.shift = [0, 0];
    this.zoom = zoom;
  }

  pan(dx, dy) {
    this.shift = [this.shift[0] + dx, this.shift[1] + dy];
  }

  rotate(dx, dy) {
    this.yaw -= dx * 0.008;
    this.pitch = Math.min(Math.max(this.pitch + dy * 0.008, -1.5), 1.5);
    this.turn();
  }
}

// About `count` round numbers between low and high.
function ticks(low, high, count) {
  const rough = (high - low) / Math.max(count, 1);
  if (!(rough > 0) || !isFinite(rough)) return [];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((times) => times * power >= rough) * power;
  const found = [];
  for (let n = Math.ceil(low / step); n * step <= high && found.length < 50; n++) found.push(n * step);
  return found;
}

function short(value, digits = 4) {
  if (!isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(1).replace("e+", "e").replace("-", "−");
  return String(Number(value.toPrecision(digits))).replace("-", "−");
}
