// Lessons 00 and 06: from PyTorch's heatmaps to ONNX Runtime's, and to their difference, multiplied until it shows.
import { controls, html, sentence, slider, svg } from "./parts.js";
import { crosses, heat, largest, photograph, unpack } from "./pixels.js";

const STRIDE = 4; // input pixels in one heatmap pixel, whose centre is that of input pixel 4 h
const MOST = 8; // the difference is multiplied by up to 10^8

export function live(stage, { photo, size, maps, difference, joints }) {
  const [height, width] = size;
  const [torch, onnx] = maps.map(unpack);
  const apart = unpack(difference);
  const top = Math.max(largest(torch.values), 1e-12);
  const most = largest(apart.values);
  const half = STRIDE / 2;
  const place = { x: -half, y: -half, width: torch.shape[1] * STRIDE, height: torch.shape[0] * STRIDE };
  const layer = heat(torch.shape, place);
  const marks = svg("g");
  const drawing = svg("svg", { class: "person", viewBox: `0 0 ${width} ${height}`, role: "img" });
  const behind = photograph(photo, { x: -0.5, y: -0.5, width, height });
  behind.element.classList.add("pale");
  drawing.append(behind.element, layer.element, marks);
  const says = sentence();
  const names = ["PyTorch", "ONNX Runtime"];
  const power = (exponent) => `10${"⁰¹²³⁴⁵⁶⁷⁸"[exponent]}`;
  const show = (stop) => names[stop] ?? (stop === 2 ? "difference" : `× ${power(stop - 2)}`);
  const exponent = most.toExponential(1);
  const draw = (stop) => {
    const values = [torch.values, onnx.values][stop];
    if (values) {
      layer.paint(values, top);
      marks.replaceChildren(...crosses(joints[stop]));
      says.textContent = `${names[stop]}: the largest value is ${largest(values).toFixed(4)}. Move on: what changes?`;
    } else {
      const factor = 10 ** (stop - 2);
      layer.paint(apart.values.map((value) => value * factor), top);
      marks.replaceChildren();
      const seen = apart.values.filter((value) => value * factor > 0.05 * top).length;
      const times = stop === 2 ? "as it is" : `multiplied by ${power(stop - 2)}`;
      says.textContent = `The largest difference is ${exponent}; ${times}, ${seen} of ${apart.values.length} pixels can be seen.`;
    }
    stage.dataset.stop = stop;
    drawing.setAttribute("aria-label", says.textContent);
  };
  const row = slider("show", { min: 0, max: MOST + 2, value: 0, show }, draw).row;
  row.classList.add("wide");
  stage.append(controls(row), drawing, html("p", { className: "axes", textContent: "PyTorch → ONNX Runtime → difference × 1, × 10 and so on" }), says);
  draw(0);
}
