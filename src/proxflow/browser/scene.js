// Points at moments, unpacked from base64. A position is a moment's number, with fractions between two moments.
const LOST = -32768;

function unpack(text, Kind) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Kind(bytes.buffer);
}

class Scene {
  constructor(raw) {
    Object.assign(this, raw);
    this.width = raw.axes.length;
    this.last = raw.times.length - 1;
    this.places = this.unquantised(unpack(raw.places, Int16Array));
    this.goal = this.unquantised(unpack(raw.goal, Int16Array));
    this.codes = unpack(raw.codes, Uint8Array);
    this.goal_codes = unpack(raw.goal_codes, Uint8Array);
    this.here = new Float32Array(this.count * this.width);
    this.at(this.last);
  }

  unquantised(levels) {
    const found = new Float32Array(levels.length);
    for (let i = 0; i < levels.length; i++) {
      const [low, high] = this.box[i % this.width];
      found[i] = levels[i] === LOST ? NaN : low + ((levels[i] + 32767) / 65534) * (high - low);
    }
    return found;
  }

  // Where the particles are: on the straight line between two moments, or at the nearer one if rows are not the same
  // particles from one to the next.
  at(position) {
    const size = this.here.length;
    const shown = this.paired ? position : Math.round(position);
    const before = Math.min(Math.floor(shown), this.last);
    const after = Math.min(before + 1, this.last);
    const share = shown - before;
    for (let i = 0; i < size; i++) {
      const from = this.places[before * size + i];
      this.here[i] = share === 0 ? from : from + share * (this.places[after * size + i] - from);
    }
    return this.here;
  }

  time(position) {
    const before = Math.min(Math.floor(position), this.last);
    const after = Math.min(before + 1, this.last);
    return this.times[before] + (position - before) * (this.times[after] - this.times[before]);
  }

  position(time) {
    if (time <= this.times[0]) return 0;
    for (let i = 1; i <= this.last; i++) {
      if (time <= this.times[i]) return i - 1 + (time - this.times[i - 1]) / (this.times[i] - this.times[i - 1]);
    }
    return this.last;
  }

  moment(position) {
    const time = this.time(this.paired ? position : Math.round(position));
    return this.unit === "step" ? `step ${Math.round(time).toLocaleString("en")}` : `${Math.round(time)} ${this.unit}`;
  }

  // What a point is called: the particle's or target point's own name, or its number.
  title(index, ofGoal) {
    const names = ofGoal ? this.goal_rows : this.rows;
    return names ? names[index] : `${ofGoal ? "target row" : this.called} ${index}`;
  }

  label(index, ofGoal) {
    const codes = ofGoal ? this.goal_codes : this.codes;
    return this.classes.length ? this.classes[codes[index]] : "";
  }
}
