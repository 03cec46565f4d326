// Lesson 06: the mistakes, switched on one by one: the crop, a heatmap and the joints of one person.
import { controls, sentence, svg } from "./parts.js";
import { choice, crosses, heat, largest, photograph, unpack } from "./pixels.js";

const STRIDE = 4;

export function live(stage, { joint, size, skeleton, ways }) {
  const [height, width] = size;
  const maps = ways.map((way) => unpack(way.map));
  const top = Math.max(...maps.map((map) => largest(map.values)), 1e-6); // one scale for all, so that a faint map looks faint
  const half = STRIDE / 2;
  const place = { x: -half, y: -half, width: maps[0].shape[1] * STRIDE, height: maps[0].shape[0] * STRIDE };
  const whole = { x: -0.5, y: -0.5, width, height };
  const panel = () => svg("svg", { class: "person", viewBox: `0 0 ${width} ${height}`, role: "img" });
  const [left, right] = [panel(), panel()];
  const [pose, behind] = [photograph("", whole), photograph("", whole)];
  behind.element.classList.add("pale");
  const bones = svg("g", { class: "bones" });
  const layer = heat(maps[0].shape, place);
  left.append(pose.element, bones);
  right.append(behind.element, layer.element);
  const says = sentence();
  const draw = (k) => {
    const way = ways[k];
    pose.set(way.photo);
    behind.set(way.photo);
    const line = ([a, b]) => svg("line", { x1: way.joints[a][0], y1: way.joints[a][1], x2: way.joints[b][0], y2: way.joints[b][1] });
    bones.replaceChildren(...skeleton.map(line), ...crosses(way.joints));
    layer.paint(maps[k].values, top);
    const moved = way.joints.map(([x, y], i) => Math.hypot(x - ways[0].joints[i][0], y - ways[0].joints[i][1]));
    const far = moved.filter((distance) => distance > STRIDE).length;
    const change = k ? ` ${far} of ${moved.length} joints are elsewhere in the crop (by more than ${STRIDE} pixels).` : "";
    const rate = way.oks === null ? "" : ` OKS ${way.oks.toFixed(2)}.`;
    says.textContent = `${way.name}: the peak of the ${joint} is ${largest(maps[k].values).toFixed(2)}.${rate}${change}`;
    left.setAttribute("aria-label", `The pose on the crop: ${way.name}`);
    right.setAttribute("aria-label", `The heatmap of the ${joint}: ${way.name}`);
    stage.dataset.way = k;
  };
  const pair = document.createElement("div");
  pair.className = "pair people";
  pair.append(left, right);
  stage.append(controls(choice("the input is", ways.map((way) => way.name), draw)), pair, says);
  draw(0);
}
