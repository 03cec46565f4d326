// Lesson 06: drag the true joint by parts of a pixel; the map, its largest value, the quarter step and the error follow.
// The map is made for the joint, so it does not take the place of the picture, which shows a real one.
import { gaussian, read, STRIDE } from "./heatmap.js";
import { controls, html, sentence, slider, svg } from "./parts.js";

export const beside = true;

const SIDE = 9; // heatmap pixels that are shown
const UNIT = 40;

export function live(stage, { sigma }) {
  const state = { x: 17.2, y: 15.4 }; // input pixels
  const most = (SIDE - 1) * STRIDE;
  const size = SIDE * UNIT;
  const drawing = svg("svg", { class: "quarter", viewBox: `0 0 ${size} ${size}`, role: "img" });
  const cells = svg("g");
  for (let i = 0; i < SIDE * SIDE; i++) {
    const [x, y] = [(i % SIDE) * UNIT, Math.floor(i / SIDE) * UNIT];
    cells.append(svg("rect", { x, y, width: UNIT, height: UNIT }), svg("text", { x: x + UNIT / 2, y: y + UNIT - 3 }));
  }
  const at = (pixels) => (pixels / STRIDE + 0.5) * UNIT;
  const truth = svg("circle", { r: 9, class: "truth" });
  const line = svg("line", { class: "step" });
  const peak = svg("circle", { r: 6, class: "peak" });
  const found = svg("path", { d: "M -7 0 L 7 0 M 0 -7 L 0 7", class: "found" });
  drawing.append(cells, line, peak, truth, found);
  const says = sentence();
  const draw = () => {
    const map = gaussian(state.x, state.y, SIDE, SIDE, sigma);
    map.flat().forEach((value, i) => {
      const [cell, text] = [cells.children[2 * i], cells.children[2 * i + 1]];
      cell.style.fillOpacity = value.toFixed(3);
      text.textContent = value.toFixed(2);
      text.setAttribute("class", value < 0.65 ? "" : value < 0.85 ? "middle" : "strong"); // the filling's
    });
    const answer = read(map);
    const [px, py] = answer.peak.map((side) => (side + 0.5) * UNIT);
    const [fx, fy] = answer.joint.map(at);
    const put = (element, places) => Object.entries(places).forEach(([name, value]) => element.setAttribute(name, value));
    put(peak, { cx: px, cy: py });
    put(line, { x1: px, y1: py, x2: fx, y2: fy });
    put(truth, { cx: at(state.x), cy: at(state.y) });
    put(found, { transform: `translate(${fx} ${fy})` });
    const error = (point) => Math.hypot(point[0] - state.x, point[1] - state.y).toFixed(2);
    const rough = answer.peak.map((side) => side * STRIDE);
    says.textContent =
      `Truth ${state.x.toFixed(1)}, ${state.y.toFixed(1)}. Largest value at ${rough.join(", ")}: ` +
      `${error(rough)} input pixels off. With the quarter step ${answer.joint.join(", ")}: ${error(answer.joint)} off.`;
    Object.assign(stage.dataset, { joint: answer.joint.join(), peak: answer.peak.join() });
    drawing.setAttribute("aria-label", says.textContent);
  };
  const show = (value) => value.toFixed(1);
  const sliders = ["x", "y"].map((axis) =>
    slider(`true ${axis}`, { min: 0, max: most, step: 0.1, value: state[axis], show }, (value) => {
      state[axis] = value;
      draw();
    }),
  );
  const drag = (event) => {
    const frame = drawing.getBoundingClientRect();
    const inside = (value) => Math.max(0, Math.min(most, Math.round(value * 10) / 10));
    state.x = inside((((event.clientX - frame.left) / frame.width) * SIDE - 0.5) * STRIDE);
    state.y = inside((((event.clientY - frame.top) / frame.height) * SIDE - 0.5) * STRIDE);
    sliders.forEach((one, k) => one.set(state["xy"[k]]));
    draw();
  };
  drawing.addEventListener("pointerdown", (event) => {
    drawing.setPointerCapture(event.pointerId);
    drag(event);
  });
  drawing.addEventListener("pointermove", (event) => drawing.hasPointerCapture(event.pointerId) && drag(event));
  const key = html("p", { className: "axes" });
  key.innerHTML = '<i class="truth"></i> truth <i class="peak"></i> largest value <b>+</b> after the quarter step';
  const what = html("p", { textContent: "The heatmap that training asks for: move the true joint, and see what is read from it." });
  stage.append(what, controls(...sliders.map((one) => one.row)), drawing, key, says);
  draw();
}
