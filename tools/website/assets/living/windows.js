// Lesson 04: sliders for n and m; the windows of both poolings slide, kernel, stride and remainder follow.
import { adaptiveWindows, computedWindows, differing, poolParams } from "./pooling.js";
import { controls, html, sentence, slider, svg } from "./parts.js";

const MOST = 40; // pixels
const WIDTH = 360;

// One panel: a row of pixels, and above it one bar per window, the first lowest. Bars move by CSS, where they may.
function panel(kind) {
  const drawing = svg("svg", { class: `windows ${kind}`, role: "img" });
  const pixels = svg("g", { class: "pixels" });
  const bars = svg("g", { class: "bars" });
  drawing.append(pixels, bars);
  const show = (n, windows, expected) => {
    const unit = WIDTH / n;
    const row = Math.max(8, Math.min(22, 200 / windows.length));
    const height = windows.length * row;
    drawing.setAttribute("viewBox", `0 0 ${WIDTH} ${height + 24}`);
    const pixel = (k) => svg("rect", { x: k * unit, y: height + 4, width: unit, height: 16 });
    pixels.replaceChildren(...Array.from({ length: n }, (_, k) => pixel(k)));
    while (bars.children.length > windows.length) bars.lastChild.remove();
    while (bars.children.length < windows.length) bars.append(svg("rect"));
    windows.forEach(([start, end], i) => {
      const same = start === expected[i][0] && end === expected[i][1];
      const bar = bars.children[i];
      bar.setAttribute("class", same ? "" : "other");
      const place = { x: start * unit + 1, y: height - (i + 1) * row + 1, width: (end - start) * unit - 2, height: row - 2 };
      for (const [name, value] of Object.entries(place)) bar.style.setProperty(name, `${value}px`);
      bar.dataset.window = `${start}-${end}`;
    });
    drawing.setAttribute("aria-label", `${kind}: ${windows.map((pair) => pair.join(" to ")).join(", ")}`);
  };
  return { drawing, show };
}

export function live(stage, { input, output }) {
  const state = { n: input, m: output };
  const adaptive = panel("adaptive");
  const computed = panel("computed");
  const titles = [html("p"), html("p")];
  const says = sentence();
  const draw = () => {
    const { n, m } = state;
    const right = adaptiveWindows(n, m);
    const [kernel, stride] = poolParams(n, m);
    adaptive.show(n, right, right);
    computed.show(n, computedWindows(n, m), right);
    titles[0].textContent = `adaptive: ${n} pixels to ${m}`;
    titles[1].textContent = `computed: kernel ${kernel}, stride ${stride}`;
    const other = differing(n, m);
    const verdict = other ? `${other} of ${m} windows differ (outlined).` : "All windows are the same.";
    says.textContent = `${n} = ${m} × ${stride} + ${n % m}: remainder ${n % m}. ${verdict}`;
  };
  const nSlider = slider("pixels n", { min: 1, max: MOST, value: state.n }, (n) => {
    state.n = n;
    state.m = Math.min(state.m, n);
    mSlider.set(state.m, 1, n);
    draw();
  });
  const mSlider = slider("outputs m", { min: 1, max: state.n, value: state.m }, (m) => {
    state.m = m;
    draw();
  });
  stage.append(
    controls(nSlider.row, mSlider.row),
    says, // in sight while a thumb is on a slider
    html(
      "div",
      { className: "pair" },
      html("div", {}, titles[0], adaptive.drawing),
      html("div", {}, titles[1], computed.drawing),
    ),
  );
  draw();
}
