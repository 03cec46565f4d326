// Lesson 01: two tiny branches, typed in; the tidy fuse step and the real one, line by line.
import { controls, html, sentence, switchOff } from "./parts.js";

const enlarge = (one) => [one, one, one, one];
const shrink = (map) => map.reduce((sum, value) => sum + value, 0) / map.length;
const add = (a, b) => a.map((value, i) => value + b[i]);

// What anyone would write from the paper's figure. x0: 2x2 in rows; x1: one number.
export const tidy = (x0, x1) => ({ y0: add(x0, enlarge(x1)), y1: shrink(x0) + x1 });

// The public code's lines, each with what it leaves: [code, box of y0 and out[0] (one box, two names), y1].
export function steps(x0, x1) {
  let box = [...x0];
  let y1 = null;
  const lines = [["y0 = out[0]", box, y1]];
  const line = (code, work) => {
    work();
    lines.push([code, box, y1]);
  };
  line("y0 += out[0]", () => (box = add(box, box)));
  line("y0 += enlarge(out[1])", () => (box = add(box, enlarge(x1))));
  line("y1 = shrink(out[0])", () => (y1 = shrink(box)));
  line("y1 += shrink(out[0])", () => (y1 += shrink(box)));
  line("y1 += out[1]", () => (y1 += x1));
  return lines;
}

const number = (value) => String(Math.round(value * 100) / 100);

function grid(values, name) {
  const cells = values.map((value) => html("span", { textContent: value === null ? "·" : number(value) }));
  const box = html("div", { className: values.length > 1 ? "grid four" : "grid" }, ...cells);
  return html("figure", { className: "small" }, box, html("figcaption", { textContent: name }));
}

export function live(stage, { x0, x1 }) {
  const state = { x0: [...x0], x1, at: 0 };
  const code = html("ol", { className: "lines" });
  const [real, plain] = ["the real lines", "the tidy sums"].map((name) => html("div", { className: "boxes", ariaLabel: name }));
  const says = sentence();
  const draw = () => {
    const lines = steps(state.x0, state.x1);
    const [, box, y1] = lines[state.at];
    code.replaceChildren(
      ...lines.map(([text], i) => {
        const item = html("li", { className: i === state.at ? "now" : i < state.at ? "ran" : "" }, html("code", { textContent: text }));
        if (i === state.at) item.setAttribute("aria-current", "step");
        return item;
      }),
    );
    const wanted = tidy(state.x0, state.x1);
    real.replaceChildren(grid(box, "one box, two names: y0 and out[0]"), grid([state.x1], "out[1]"), grid([y1], "y1"));
    plain.replaceChildren(grid(wanted.y0, "tidy y0"), grid([wanted.y1], "tidy y1"));
    const last = state.at === lines.length - 1;
    const changed = state.at > 0 ? "out[0] was changed by +=, because y0 is only another name for it." : "No copy is made.";
    const end = `Real: y0 = ${box.map(number).join(", ")} and y1 = ${y1 === null ? "" : number(y1)}. Tidy: ${wanted.y0.map(number).join(", ")} and ${number(wanted.y1)}.`;
    says.textContent = `Line ${state.at + 1} of ${lines.length}. ${last ? end : changed}`;
    Object.assign(stage.dataset, { y0: box.join(), y1: y1 ?? "" });
    switchOff(back, next, state.at === 0, last);
  };
  const move = (by) => () => {
    state.at += by;
    draw();
  };
  const back = html("button", { type: "button", textContent: "Back", onclick: move(-1) });
  const next = html("button", { type: "button", textContent: "Next line", onclick: move(1) });
  const field = (name, value, set) => {
    const input = html("input", { type: "number", value, step: "any" });
    input.addEventListener("input", () => {
      if (!Number.isFinite(input.valueAsNumber)) return; // while it is being typed
      set(input.valueAsNumber);
      draw();
    });
    return html("label", { className: "field" }, html("span", { textContent: name }), input);
  };
  const fields = state.x0.map((value, i) => field(`x0[${i >> 1}, ${i % 2}]`, value, (next) => (state.x0[i] = next)));
  const buttons = html("span", { className: "buttons" }, back, next);
  const numbers = controls(...fields, field("x1", state.x1, (value) => (state.x1 = value)), buttons);
  stage.append(numbers, html("div", { className: "pair" }, code, html("div", {}, real, plain)), says);
  draw();
}
