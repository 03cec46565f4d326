// Lesson 07: two networks, block after block: one moves its channels, the other only follows which is which.
import { controls, html, sentence, svg, switchOff } from "./parts.js";

const UNIT = 34;

export function live(stage, { orders }) {
  const n = orders[0].length;
  const half = n / 2;
  let at = 0;
  // One row: a cell for each content, at its place, with the number that the public network knows it by.
  const rowOf = (kind) => {
    const drawing = svg("svg", { class: `channels ${kind}`, viewBox: `0 0 ${n * UNIT} ${UNIT + 8}`, role: "img" });
    const cells = orders[0].map((_, content) => {
      const text = svg("text", { x: UNIT / 2, y: UNIT / 2 + 5 });
      const cell = svg("g", { class: content < half ? "low" : "high" }, svg("rect", { x: 1, y: 1, width: UNIT - 2, height: UNIT - 2 }), text);
      const under = svg("rect", { x: 3, y: UNIT + 2, width: UNIT - 6, height: 4, class: "worked" });
      cell.append(under);
      drawing.append(cell);
      return { cell, text };
    });
    const show = (places, labels) => {
      cells.forEach(({ cell, text }, content) => {
        cell.style.transform = `translateX(${places[content] * UNIT}px)`;
        cell.classList.toggle("works", labels[content] >= half);
        text.textContent = labels[content];
      });
      drawing.dataset.labels = places.map((_, position) => labels[places.indexOf(position)]).join();
      drawing.dataset.contents = places.map((_, position) => places.indexOf(position)).join();
      drawing.setAttribute("aria-label", `${kind}: ${drawing.dataset.labels}`);
    };
    return { drawing, show };
  };
  const [left, right] = [rowOf("moves"), rowOf("follows")];
  const says = sentence();
  const draw = () => {
    const numbers = orders[at]; // of the content that began at each position
    left.show(numbers, numbers); // in the public network each content is where its number says
    right.show(numbers.map((_, position) => position), numbers);
    const before = at + 1 < orders.length ? `Before block ${at + 1}` : `After block ${at}`;
    const distance = at ? numbers.filter((number, content) => number !== orders[at - 1][content]).length : 0;
    says.textContent = `${before}: the public network has moved ${distance} of ${n} channels, the fused one none: only its list has changed.`;
    if (!at) says.textContent = `${before}: both have the same order. The block works on the underlined channels.`;
    switchOff(back, next, at === 0, at === orders.length - 1);
  };
  const move = (by) => () => {
    at += by;
    draw();
  };
  const back = html("button", { type: "button", textContent: "Back", onclick: move(-1) });
  const next = html("button", { type: "button", textContent: "Next block", onclick: move(1) });
  stage.append(
    controls(back, next),
    html("p", { textContent: "The public network moves the channels:" }),
    left.drawing,
    html("p", { textContent: "The fused one leaves them and changes the list:" }),
    right.drawing,
    says,
  );
  draw();
}
