// Maps of numbers and photographs as `litehrnet.course.draw.style.packed` and `packed_photo` hand them over.
import { svg } from "./parts.js";

// {shape, at(...indices), values} of a packed array.
export function unpack({ shape, step, base64 }) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const values = step === null ? new Float32Array(bytes.buffer) : Float32Array.from(bytes, (byte) => byte * step);
  const at = (...indices) => values[indices.reduce((sum, index, axis) => sum * shape[axis] + index, 0)];
  return { shape, values, at };
}

// The largest number of a map.
export const largest = (values) => values.reduce((top, value) => Math.max(top, value), -Infinity);

// A picture in SVG, stretched over x, y, width, height; set(href) shows another one.
export function photograph(href, place) {
  const element = svg("image", { ...place, href, preserveAspectRatio: "none" });
  return { element, set: (next) => element.setAttribute("href", next) };
}

// A map of numbers over x, y, width, height: none is clear, `top` is bright. paint(values, top) draws another one.
export function heat([h, w], place, colour = [255, 190, 40]) {
  const canvas = Object.assign(document.createElement("canvas"), { width: w, height: h });
  const element = svg("image", { ...place, preserveAspectRatio: "none", class: "heat" });
  const paint = (values, top) => {
    const pixels = new ImageData(w, h);
    for (let i = 0; i < w * h; i++) {
      const part = Math.max(0, Math.min(1, values[i] / top));
      pixels.data.set([...colour, Math.round(255 * part)], i * 4);
    }
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    element.setAttribute("href", canvas.toDataURL());
  };
  return { element, paint, canvas };
}

// Joints as small crosses at x, y.
export const crosses = (joints, kind = "joint") =>
  joints.map(([x, y]) => svg("path", { d: "M -3 0 L 3 0 M 0 -3 L 0 3", transform: `translate(${x} ${y})`, class: kind }));

// One choice among several, as a row of radio buttons.
let groups = 0;
export function choice(label, names, changed) {
  const row = document.createElement("fieldset");
  row.className = "choice";
  const legend = document.createElement("legend");
  legend.textContent = label;
  const group = `living-${groups++}`;
  const buttons = names.map((name, k) => {
    const input = Object.assign(document.createElement("input"), { type: "radio", name: group, checked: k === 0 });
    input.addEventListener("change", () => changed(k));
    const words = document.createElement("label");
    words.append(input, ` ${name}`);
    return words;
  });
  row.append(legend, ...buttons);
  return row;
}
