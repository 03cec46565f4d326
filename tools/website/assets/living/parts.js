// What the living figures share: drawing in SVG, sliders, and a sentence that says what is shown.
const NAMESPACE = "http://www.w3.org/2000/svg";

// An SVG element with attributes and children (elements or text).
export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// An HTML element with properties and children.
export function html(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

// A labelled slider: {row, input, set(value, min, max)}. Its value is beside it, and is what a screen reader says.
export function slider(label, { min, max, value, step = 1, show = String }, changed) {
  const output = html("output");
  const input = html("input", { type: "range", min, max, step, value });
  const tell = () => {
    output.textContent = show(Number(input.value));
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", () => {
    tell();
    changed(Number(input.value));
  });
  // A swipe that the browser takes for scrolling changes nothing.
  let before = value;
  input.addEventListener("pointerdown", () => (before = input.value));
  input.addEventListener("pointercancel", () => {
    if (input.value === String(before)) return;
    input.value = before;
    input.dispatchEvent(new Event("input"));
  });
  tell();
  const set = (next, low = input.min, high = input.max) => {
    Object.assign(input, { min: low, max: high });
    input.value = next;
    tell();
  };
  return { row: html("label", { className: "slider" }, html("span", { textContent: label }), input, output), input, set };
}

// A row of controls; it is not printed.
export const controls = (...children) => html("div", { className: "living-controls" }, ...children);

// Switch off the button that leads nowhere; whoever has just pressed it by key goes on from the other one.
export function switchOff(back, next, first, last) {
  const held = document.activeElement;
  Object.assign(back, { disabled: first });
  Object.assign(next, { disabled: last });
  if (held === next && last && !first) back.focus();
  if (held === back && first && !last) next.focus();
}

// The sentence below a living figure; it is read aloud when it changes.
export function sentence() {
  const line = html("p", { className: "living-says" });
  line.setAttribute("aria-live", "polite");
  return line;
}
