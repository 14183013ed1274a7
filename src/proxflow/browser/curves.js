// The history's curves, one small panel each, with one cursor through all of them.
const SVG = "http://www.w3.org/2000/svg";

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}

function drawn(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// The median of the numbers around each, gaps left out.
function smoothed(values, reach) {
  return values.map((value, index) => {
    if (value === null) return null;
    const near = values.slice(Math.max(0, index - reach), index + reach + 1).filter((one) => one !== null);
    return near.sort((a, b) => a - b)[near.length >> 1];
  });
}

class Curves {
  // choose: called with a step when somebody points at one; null where steps are not the slider's.
  constructor(box, curves, choose) {
    this.curves = curves;
    this.panels = [];
    box.replaceChildren();
    if (!curves) return;
    const [first, last] = [curves.steps[0], curves.steps[curves.steps.length - 1]];
    this.across = (step) => (last > first ? (1000 * (step - first)) / (last - first) : 500);
    for (const panel of curves.panels) this.panels.push(this.panel(box, panel, choose, first, last));
  }

  panel(box, panel, choose, first, last) {
    const numbers = panel.values.filter((value) => value !== null);
    const known = panel.bound === undefined ? numbers : [...numbers, panel.bound];
    let [low, high] = [Math.min(...known), Math.max(...known)];
    const logarithmic = numbers.length > 0 && low > 0 && Math.max(...numbers) > 5 * Math.min(...numbers);
    const form = logarithmic ? Math.log : (value) => value;
    if (!(high > low)) [low, high] = [low - (Math.abs(low) / 2 || 0.5), high + (Math.abs(high) / 2 || 0.5)];
    const y = (value) => 96 - (92 * (form(value) - form(low))) / (form(high) - form(low));
    const svg = drawn("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", "aria-hidden": "true" });
    const long = panel.values.length > 200;
    svg.append(this.path(panel.values, y, long ? "faint" : "curve"));
    if (long) svg.append(this.path(smoothed(panel.values, Math.ceil(panel.values.length / 100)), y, "curve"));
    if (panel.bound !== undefined && numbers.length) {
      svg.append(drawn("line", { class: "bound", x1: 0, x2: 1000, y1: y(panel.bound), y2: y(panel.bound) }));
    }
    const cursor = drawn("line", { class: "cursor", y1: 0, y2: 100 });
    if (choose) svg.append(cursor);
    const value = element("output");
    const head = element("div", { className: "name" }, element("span", { textContent: panel.title }), value);
    if (logarithmic) head.firstChild.append(element("small", { textContent: " log" }));
    const field = element("div", { className: "field" }, svg);
    if (numbers.length) {
      field.append(
        element("span", { className: "high", textContent: short(high, 3) }),
        element("span", { className: "low", textContent: short(low, 3) }),
      );
    }
    const foot = element(
      "div", { className: "foot" },
      element("span", { textContent: first.toLocaleString("en") }),
      element("span", { textContent: numbers.length ? "step" : "no finite number" }),
      element("span", { textContent: last.toLocaleString("en") }),
    );
    box.append(element("div", { className: choose ? "panel linked" : "panel" }, head, field, foot));
    if (choose) this.listen(field, choose, first, last);
    return { values: panel.values, cursor, value };
  }

  listen(field, choose, first, last) {
    const pick = (event) => {
      const { left, width } = field.getBoundingClientRect();
      choose(first + ((event.clientX - left) / width) * (last - first));
    };
    field.addEventListener("pointerdown", (event) => {
      field.setPointerCapture(event.pointerId);
      pick(event);
    });
    field.addEventListener("pointermove", (event) => event.buttons && pick(event));
  }

  // Gaps break the line; a number between two gaps is a dot, for which the line's round cap serves.
  path(values, y, kind) {
    let pen = false;
    let way = "";
    values.forEach((value, index) => {
      if (value === null) return (pen = false);
      way += `${pen ? "L" : "M"}${this.across(this.curves.steps[index]).toFixed(1)} ${y(value).toFixed(2)}`;
      way += pen ? "" : "h0";
      pen = true;
    });
    return drawn("path", { class: kind, d: way });
  }

  // Put the cursor at a step, and beside each title the number there; null: the last numbers, without a cursor.
  show(step) {
    if (!this.curves) return;
    const { steps } = this.curves;
    const at = step === null ? Infinity : step;
    let index = steps.findIndex((one) => one >= at - 0.5);
    if (index < 0) index = steps.length - 1;
    const x = this.across(Math.min(at, steps[steps.length - 1]));
    for (const panel of this.panels) {
      if (step !== null) {
        panel.cursor.setAttribute("x1", x);
        panel.cursor.setAttribute("x2", x);
      }
      const value = panel.values[index];
      panel.value.textContent = value === null ? "–" : short(value);
    }
  }
}
