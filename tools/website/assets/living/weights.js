// Lesson 01: one pixel of the smallest map sets the weight of a block of pixels of branch 0.
import { controls, sentence, svg } from "./parts.js";
import { choice, photograph, unpack } from "./pixels.js";

const UNIT = 40;

// The rows or columns of a map of `large` pixels that nearest upsampling fills from pixel k of `small`: [first, last].
export function covered(k, small, large) {
  const all = Array.from({ length: large }, (_, i) => i).filter((i) => Math.floor((i * small) / large) === k);
  return [all[0], all.at(-1)];
}

export function live(stage, { photos, channels, branch, weights }) {
  const values = unpack(weights); // pictures, channels, h, w
  const [, , h, w] = values.shape;
  const [height, width] = branch;
  const state = { photo: 0, channel: 0, row: Math.floor(h / 2), column: Math.floor(w / 2) };
  const grid = svg("svg", { class: "weights", viewBox: `0 0 ${w * UNIT} ${h * UNIT}`, tabindex: 0, role: "application" });
  grid.setAttribute("aria-label", "The small map of weights; arrow keys choose a pixel");
  const cells = svg("g");
  for (let i = 0; i < h * w; i++) {
    const [x, y] = [(i % w) * UNIT, Math.floor(i / w) * UNIT];
    cells.append(svg("rect", { x, y, width: UNIT, height: UNIT }), svg("text", { x: x + UNIT / 2, y: y + UNIT / 2 + 5 }));
  }
  const cursor = svg("rect", { width: UNIT, height: UNIT, class: "cursor" });
  grid.append(cells, cursor);
  const large = svg("svg", { class: "branch", viewBox: `0 0 ${width} ${height}`, role: "img" });
  const behind = photograph(photos[0], { x: 0, y: 0, width, height });
  const mesh = svg("path", { class: "mesh" });
  const xs = Array.from({ length: width + 1 }, (_, x) => `M ${x} 0 V ${height}`);
  const ys = Array.from({ length: height + 1 }, (_, y) => `M 0 ${y} H ${width}`);
  mesh.setAttribute("d", [...xs, ...ys].join(" "));
  const lit = svg("rect", { class: "lit" });
  large.append(behind.element, mesh, lit);
  const says = sentence();
  const put = (element, places) => Object.entries(places).forEach(([name, value]) => element.setAttribute(name, value));
  const draw = () => {
    const { photo, channel, row, column } = state;
    for (let i = 0; i < h * w; i++) {
      const value = values.at(photo, channel, Math.floor(i / w), i % w);
      const [cell, text] = [cells.children[2 * i], cells.children[2 * i + 1]];
      cell.style.fillOpacity = (0.6 * value).toFixed(3); // below it the number can be read in both themes
      text.textContent = value.toFixed(2);
    }
    const [first, last] = covered(row, h, height);
    const [start, end] = covered(column, w, width);
    const value = values.at(photo, channel, row, column);
    put(cursor, { x: column * UNIT, y: row * UNIT });
    put(lit, { x: start, y: first, width: end - start + 1, height: last - first + 1 });
    behind.set(photos[photo]);
    const count = (end - start + 1) * (last - first + 1);
    says.textContent =
      `Channel ${channels[channel]}, row ${row}, column ${column} of ${h}x${w}: weight ${value.toFixed(3)}. It multiplies ` +
      `rows ${first} to ${last}, columns ${start} to ${end} of branch 0: ${count} pixels of ${height}x${width}.`;
    large.setAttribute("aria-label", says.textContent);
  };
  const choose = (row, column) => {
    state.row = Math.max(0, Math.min(h - 1, row));
    state.column = Math.max(0, Math.min(w - 1, column));
    draw();
  };
  const point = (event) => {
    const frame = grid.getBoundingClientRect();
    const scale = Math.min(frame.width / w, frame.height / h); // the drawing is centred where its frame is wider
    const x = event.clientX - frame.left - (frame.width - scale * w) / 2;
    const y = event.clientY - frame.top - (frame.height - scale * h) / 2;
    choose(Math.floor(y / scale), Math.floor(x / scale));
  };
  grid.addEventListener("pointermove", (event) => event.pointerType !== "touch" && point(event));
  grid.addEventListener("pointerdown", point);
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  grid.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    choose(state.row + step[0], state.column + step[1]);
  });
  const pair = document.createElement("div");
  pair.className = "pair";
  pair.append(grid, large);
  const set = (name) => (k) => {
    state[name] = k;
    draw();
  };
  const numbers = photos.map((_, k) => String(k + 1));
  stage.append(controls(choice("picture", numbers, set("photo")), choice("channel", channels, set("channel"))), pair, says);
  draw();
}
