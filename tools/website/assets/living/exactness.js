// Lesson 04: the map of exact pairs. Pointer, touch, arrow keys or sliders name a pair and draw its windows below. (A pair
// of the large map is too small for a finger.)
import { differing, isExact, poolParams } from "./pooling.js";
import { controls, html, sentence, slider, svg } from "./parts.js";
import { live as windows } from "./windows.js";

const UNIT = 10;

export function live(stage, { maxInput, maxOutput, marked = [], label = "" }) {
  const names = new Set(marked.map((pair) => pair.join()));
  const state = { n: Math.min(11, maxInput), m: Math.min(4, maxOutput) };
  const box = `0 0 ${maxInput * UNIT} ${maxOutput * UNIT}`;
  const map = svg("svg", { class: "exactness", viewBox: box, tabindex: 0, role: "application" });
  map.setAttribute("aria-label", "Pairs of sizes; arrow keys choose one");
  const place = (n, m) => ({ x: (n - 1) * UNIT, y: (maxOutput - m) * UNIT });
  for (let n = 1; n <= maxInput; n++) {
    for (let m = 1; m <= Math.min(n, maxOutput); m++) {
      const kind = isExact(n, m) ? "exact" : "inexact";
      map.append(svg("rect", { ...place(n, m), width: UNIT, height: UNIT, class: kind }));
    }
  }
  const radius = Math.max(UNIT / 3, (maxInput * UNIT) / 75); // at least 5 pixels on a phone
  const rings = svg("g", { class: "rings" });
  for (const [n, m] of marked) {
    const { x, y } = place(n, m);
    if (n <= maxInput && m <= maxOutput) rings.append(svg("circle", { cx: x + UNIT / 2, cy: y + UNIT / 2, r: radius }));
  }
  const cursor = svg("rect", { width: UNIT, height: UNIT, class: "cursor" });
  map.append(rings, cursor);
  const says = sentence();
  const below = html("div", { className: "living inner" });
  const draw = () => {
    const { n, m } = state;
    input.set(n, 1, maxInput);
    output.set(m, 1, Math.min(n, maxOutput));
    for (const [name, value] of Object.entries(place(n, m))) cursor.setAttribute(name, value);
    const [kernel, stride] = poolParams(n, m);
    const other = differing(n, m);
    const verdict = other ? `${other} of ${m} windows differ` : "exact";
    const ring = names.has([n, m].join()) ? ` ${label}.` : "";
    says.textContent = `${n} to ${m}: kernel ${kernel}, stride ${stride}, remainder ${n % m}: ${verdict}.${ring}`;
    below.replaceChildren();
    windows(below, { input: n, output: m });
    below.querySelector(".living-controls").remove(); // the map is the control
    below.querySelector(".living-says").remove();
  };
  const choose = (n, m) => {
    n = Math.max(1, Math.min(maxInput, n));
    m = Math.max(1, Math.min(maxOutput, m, n));
    if (n === state.n && m === state.m) return;
    Object.assign(state, { n, m });
    draw();
  };
  const input = slider("input size", { min: 1, max: maxInput, value: state.n }, (n) => choose(n, state.m));
  const output = slider("output size", { min: 1, max: maxOutput, value: state.m }, (m) => choose(state.n, m));
  const point = (event) => {
    const frame = map.getBoundingClientRect();
    const n = Math.floor(((event.clientX - frame.left) / frame.width) * maxInput) + 1;
    choose(n, maxOutput - Math.floor(((event.clientY - frame.top) / frame.height) * maxOutput));
  };
  map.addEventListener("pointermove", point);
  map.addEventListener("pointerdown", point);
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  map.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    choose(state.n + step[0], state.m + step[1]);
  });
  const key = (kind, words) => html("span", {}, html("span", { className: `key ${kind}` }), ` ${words}`);
  const show = controls(key("exact", "exact"), key("inexact", "right size, other values"));
  if (marked.length) {
    const tick = html("input", { type: "checkbox", checked: true });
    tick.addEventListener("change", () => rings.toggleAttribute("hidden", !tick.checked));
    show.append(html("label", {}, tick, ` ${label}`));
  }
  stage.append(show, map, html("p", { className: "axes", textContent: "→ input size, ↑ output size (pixels)" }), controls(input.row, output.row), says, below);
  draw();
}
