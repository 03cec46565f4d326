// A figure by itself, within the page: fitted to the screen, larger by pinch, wheel, button or key. Escape, ✕ and the way
// back close it. Without script, and with a key that opens a new tab, the link leads to the figure's file.
"use strict";

const MOST = 8; // times as large as fitted

function viewer() {
  const make = (name, properties, ...children) => {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  };
  const button = (textContent, ariaLabel, onclick) => make("button", { type: "button", textContent, ariaLabel, onclick });
  const picture = make("img", {});
  const stage = make("div", { className: "stage", tabIndex: 0 }, picture);
  const file = make("a", { textContent: "File", title: "The figure's file" });
  const words = make("p", {});
  const bar = make(
    "div",
    { className: "tools" },
    file,
    button("−", "Smaller", () => zoom(scale / 1.5)),
    button("+", "Larger", () => zoom(scale * 1.5)),
    button("✕", "Close", () => dialog.close()),
  );
  const dialog = make("dialog", { className: "viewer", ariaLabel: "Figure" }, bar, stage, words);

  let scale = 1;
  let [width, height] = [1, 1]; // of the picture, fitted
  // As large as `to`, with the point (x, y) of the screen where it is; without a point, the middle of the stage.
  function zoom(to, x, y) {
    const box = stage.getBoundingClientRect();
    const before = picture.getBoundingClientRect();
    x ??= box.left + box.width / 2;
    y ??= box.top + box.height / 2;
    const [across, down] = [(x - before.left) / before.width, (y - before.top) / before.height];
    scale = Math.max(1, Math.min(MOST, to));
    Object.assign(picture.style, { width: `${width * scale}px`, height: `${height * scale}px` });
    const after = picture.getBoundingClientRect();
    stage.scrollBy(after.left + across * after.width - x, after.top + down * after.height - y);
  }
  function fit() {
    const ratio = picture.getAttribute("width") / picture.getAttribute("height");
    width = Math.min(stage.clientWidth, stage.clientHeight * ratio);
    height = width / ratio;
    zoom(1);
  }
  function open(link) {
    const shown = link.querySelector("img");
    for (const name of ["src", "alt", "width", "height"]) picture.setAttribute(name, shown.getAttribute(name));
    file.href = link.href;
    words.textContent = link.closest("figure").querySelector("figcaption")?.textContent ?? "";
    link.focus({ preventScroll: true }); // where the focus returns to
    document.body.append(dialog);
    dialog.showModal();
    history.pushState({ viewer: true }, "");
    fit();
    stage.focus();
  }

  if (history.state?.viewer) history.replaceState(null, ""); // the page was loaded again while a figure was open
  addEventListener("popstate", () => dialog.open && dialog.close());
  dialog.addEventListener("close", () => history.state?.viewer && history.back());
  addEventListener("resize", () => dialog.open && fit());
  stage.addEventListener("click", (event) => event.target === stage && dialog.close());
  picture.addEventListener("dblclick", (event) => zoom(scale > 1 ? 1 : 2.5, event.clientX, event.clientY));
  dialog.addEventListener("keydown", ({ key }) => {
    if (key === "+" || key === "-") zoom(key === "+" ? scale * 1.5 : scale / 1.5);
  });
  const wheel = (event) => {
    if (!event.ctrlKey) return; // a pinch on a touchpad, too
    event.preventDefault();
    zoom(scale * Math.exp(-event.deltaY / 200), event.clientX, event.clientY);
  };
  let apart = 0; // of two fingers
  const pinch = (event) => {
    if (event.touches.length !== 2) return;
    event.preventDefault();
    const [a, b] = event.touches;
    const now = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
    if (event.type === "touchmove") zoom((scale * now) / apart, (a.clientX + b.clientX) / 2, (a.clientY + b.clientY) / 2);
    apart = now;
  };
  stage.addEventListener("wheel", wheel, { passive: false });
  stage.addEventListener("touchstart", pinch, { passive: false });
  stage.addEventListener("touchmove", pinch, { passive: false });

  document.addEventListener("click", (event) => {
    const link = event.target.closest("figure.drawn a.full");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(link);
  });
}

viewer();
