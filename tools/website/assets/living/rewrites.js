// Lesson 07: one rewrite after the other. What ONNX Runtime then runs, kernel after kernel, and which operators have gone.
import { controls, html, sentence, svg, switchOff } from "./parts.js";
import { choice } from "./pixels.js";

const WIDTH = 1000; // units of the strip, for the slowest of the graphs
const HEIGHT = 60;

// How often each operator runs in a step, by its name.
export function counts({ ops }, operators) {
  const found = {};
  for (const op of ops) found[operators[op][0]] = (found[operators[op][0]] ?? 0) + 1;
  return found;
}

// Kernels and milliseconds of each kind in a step.
export function byKind({ ops, microseconds }, operators, kinds) {
  const found = kinds.map(() => ({ kernels: 0, ms: 0 }));
  ops.forEach((op, i) => {
    const one = found[operators[op][1]];
    one.kernels += 1;
    one.ms += microseconds[i] / 1000;
  });
  return found;
}

// From one step's counts to the next: [operator, before, after] of those whose number changes, the largest change first.
export function changes(before, after) {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names
    .map((name) => [name, before[name] ?? 0, after[name] ?? 0])
    .filter(([, was, is]) => was !== is)
    .sort((a, b) => Math.abs(b[2] - b[1]) - Math.abs(a[2] - a[1]));
}

const total = (step) => step.microseconds.reduce((sum, one) => sum + one, 0) / 1000;

// The strips of each kind as one path.
function strips({ ops, microseconds }, operators, kinds, scale) {
  const paths = kinds.map(() => "");
  let start = 0;
  ops.forEach((op, i) => {
    const width = microseconds[i] * scale;
    paths[operators[op][1]] += `M${start.toFixed(2)} 0h${width.toFixed(2)}v${HEIGHT}h${(-width).toFixed(2)}z`;
    start += width;
  });
  return paths;
}

export function live(stage, { kinds, operators, steps }) {
  const longest = Math.max(...steps.map(total));
  const sums = steps.map((step) => byKind(step, operators, kinds));
  const widest = Math.max(...sums.flat().map((one) => one.ms));
  const shown = kinds.map((_, k) => k).filter((k) => sums.some((step) => step[k].kernels));
  let at = 0;
  let alone = null; // the kind that is shown by itself
  const paths = kinds.map(([, colour]) => svg("path", { fill: colour }));
  const drawing = svg("svg", { class: "strips", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  drawing.append(...paths);
  const axis = html("p", { className: "scale" }, html("span", { textContent: "0" }), html("span", { textContent: `${longest.toFixed(1)} ms` }));
  const rows = shown.map((k) => {
    const [kind, colour] = kinds[k];
    const swatch = html("i");
    swatch.style.background = colour;
    const button = html("button", { type: "button", className: "kind" }, swatch, kind);
    button.addEventListener("click", () => {
      alone = alone === k ? null : k;
      draw();
    });
    const [number, time] = [html("td"), html("td")];
    const bar = html("div", { className: "bar-of-time" });
    bar.style.background = colour;
    const row = html("tr", {}, html("th", { scope: "row" }, button), number, time, html("td", { className: "wide" }, bar));
    return { k, button, number, time, bar, row };
  });
  const head = html("tr", {}, ...["show alone", "kernels", "ms"].map((name) => html("th", { scope: "col", textContent: name })), html("td", { className: "wide" }));
  const table = html("table", { className: "kinds" }, html("thead", {}, head), html("tbody", {}, ...rows.map(({ row }) => row)));
  const moved = html("ul", { className: "moved", ariaLabel: "operators whose number changed" });
  const says = sentence();
  function draw() {
    const step = steps[at];
    strips(step, operators, kinds, WIDTH / (1000 * longest)).forEach((path, k) => {
      paths[k].setAttribute("d", path);
      paths[k].classList.toggle("faint", alone !== null && alone !== k);
    });
    for (const { k, button, number, time, bar } of rows) {
      const { kernels, ms } = sums[at][k];
      number.textContent = kernels.toLocaleString("en");
      time.textContent = ms.toFixed(1);
      bar.style.width = `${(100 * ms) / widest}%`;
      button.setAttribute("aria-pressed", String(alone === k));
    }
    const differences = at ? changes(counts(steps[at - 1], operators), counts(step, operators)) : [];
    moved.replaceChildren(
      ...differences.map(([name, was, is]) => {
        const kind = is === 0 ? "gone" : is < was ? "fewer" : "added";
        return html("li", { className: kind }, html("code", { textContent: name }), ` ${was} → ${is}`);
      }),
    );
    const kernels = step.ops.length;
    const before = at ? steps[at - 1].ops.length : kernels;
    const by = Math.abs(kernels - before);
    const compared = !at ? "the graph that everybody starts with" : by ? `${by} ${kernels < before ? "fewer" : "more"} than before` : "as many as before";
    const gone = differences.filter(([, , is]) => is === 0).map(([name]) => name);
    const last = gone.length ? ` Gone altogether: ${gone.join(", ")}.` : "";
    const name = at ? `Up to ${step.name}` : `The ${step.name} graph`;
    says.textContent = `${name}: ${kernels.toLocaleString("en")} kernels (${compared}), ${total(step).toFixed(1)} ms in kernels.${last}`;
    drawing.setAttribute("aria-label", says.textContent);
    Object.assign(stage.dataset, { step: step.name, kernels, ms: total(step).toFixed(3) });
    switchOff(back, next, at === 0, at === steps.length - 1);
    row.querySelectorAll("input")[at].checked = true;
  }
  const go = (to) => {
    at = to;
    draw();
  };
  const row = choice("up to", steps.map(({ name }) => name), go);
  const back = html("button", { type: "button", textContent: "Back", onclick: () => go(at - 1) });
  const next = html("button", { type: "button", textContent: "Next rewrite", onclick: () => go(at + 1) });
  stage.append(controls(row, html("span", { className: "buttons" }, back, next)), drawing, axis, table, says, moved);
  draw();
}
