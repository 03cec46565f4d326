// Dark mode, ticks, search, terms, code that can be copied, the heading that is being read. No library, no other host.
"use strict";

const memory = {
  get(name) {
    try {
      return localStorage.getItem(name);
    } catch {
      return null; // pages opened from disk may have no storage
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(name, value);
    } catch {
      /* lasts for this page only */
    }
  },
};

const root = document.documentElement;
root.classList.add("js");
if (memory.get("theme")) root.dataset.theme = memory.get("theme");

function toggleTheme() {
  const systemDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : systemDark;
  root.dataset.theme = dark ? "light" : "dark";
  memory.set("theme", root.dataset.theme);
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea"); // without permission or a secure page
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

async function copyBlock(button) {
  await copyText(button.closest(".bar").parentElement.querySelector("pre").innerText.replace(/\n$/, ""));
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

// The last heading above a line near the top is the one that is being read, whichever way the page is scrolled.
function followHeadings() {
  const links = [...document.querySelectorAll(".contents a")];
  const headings = links.map((link) => document.getElementById(decodeURIComponent(link.hash.slice(1))));
  let waiting = false;
  const mark = () => {
    waiting = false;
    const line = innerHeight / 4;
    let last = -1;
    headings.forEach((heading, k) => heading && heading.getBoundingClientRect().top <= line && (last = k));
    links.forEach((link, k) => link.classList.toggle("here", k === last));
  };
  addEventListener("scroll", () => waiting || ((waiting = true), requestAnimationFrame(mark)), { passive: true });
  mark();
}

// Figures of which a part is out of sight say so, until the reader has scrolled to their end: a button slides them on.
function markWideFigures() {
  const mark = (box) => {
    const hidden = box.scrollWidth - box.clientWidth - box.scrollLeft;
    box.parentElement.classList.toggle("more", box.clientWidth > 0 && hidden > 8);
  };
  const addButtons = (box) => {
    const make = (className, textContent, onclick) =>
      Object.assign(document.createElement("button"), { type: "button", className, textContent, onclick, tabIndex: -1 });
    const buttons = Object.assign(document.createElement("div"), { className: "pills", ariaHidden: true }); // keys scroll, too
    const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
    buttons.append(
      make("whole-figure", "whole", () => box.querySelector("a.full")?.click()),
      make("slide", "more ›", () => box.scrollBy({ left: 0.8 * box.clientWidth, behavior })),
    );
    box.parentElement.append(buttons);
  };
  const watch = new ResizeObserver((entries) => entries.forEach(({ target }) => mark(target.closest(".scroll"))));
  for (const box of document.querySelectorAll("figure.drawn > .scroll")) {
    addButtons(box);
    box.addEventListener("scroll", () => mark(box), { passive: true });
    watch.observe(box);
    const picture = box.querySelector("img");
    if (!picture) continue;
    watch.observe(picture);
    const tall = picture.getAttribute("height") > 1.2 * picture.getAttribute("width"); // a graph: it begins in the middle
    if (tall) box.scrollLeft = (box.scrollWidth - box.clientWidth) / 2;
  }
}

// On a phone the header leaves while one reads on, and is there again after an upward swipe. After a jump within the page
// it stays away, or it would cover what was jumped to.
function slideHeader() {
  const header = document.querySelector("header");
  let last = scrollY;
  let jumped = -Infinity;
  const jump = () => (jumped = performance.now());
  document.addEventListener("click", (event) => event.target.closest?.('a[href*="#"]') && jump());
  addEventListener("hashchange", jump);
  const move = () => {
    const by = scrollY - last;
    const top = scrollY < header.offsetHeight;
    if (Math.abs(by) < 6 && !top) return;
    header.classList.toggle("away", !top && (by > 0 || performance.now() - jumped < 1500));
    last = scrollY;
  };
  addEventListener("scroll", move, { passive: true });
}

// Where the list of lessons lies over the page, a tap beside it or Escape closes it.
function closeMenu() {
  const menu = document.getElementById("menu");
  const close = () => (menu.checked = false);
  document.addEventListener("click", (event) => {
    if (menu.checked && !event.target.closest(".side, header, .menu")) close();
  });
  addEventListener("keydown", (event) => event.key === "Escape" && close());
  document.querySelector(".side .contents")?.addEventListener("click", close);
}

// Lessons that are done: by the tick under the title, or by going on to the next one.
function keepTicks() {
  const done = new Set(JSON.parse(memory.get("done") ?? "[]"));
  const show = () =>
    document.querySelectorAll("[data-lesson]").forEach((one) => {
      if (one !== root) one.classList.toggle("done", done.has(one.dataset.lesson));
    });
  const here = root.dataset.lesson;
  const box = document.querySelector(".launch .done");
  const set = (value) => {
    value ? done.add(here) : done.delete(here);
    memory.set("done", JSON.stringify([...done]));
    if (box) box.checked = value;
    show();
  };
  if (box) {
    box.checked = done.has(here);
    box.addEventListener("change", () => set(box.checked));
  }
  if (here) document.querySelector(".turn a[rel=next]")?.addEventListener("click", () => set(true));
  show();
}

// The glossary's line beside a term, on hover and on focus; by touch the first tap shows it, and the second goes there.
function explainTerms() {
  const tip = Object.assign(document.createElement("div"), { className: "tip", id: "tip", hidden: true });
  tip.setAttribute("role", "tooltip");
  document.body.append(tip);
  let touched = false; // whether the last press was a finger's
  let tapped = null; // the link whose line a tap has shown
  const show = (link) => {
    tip.textContent = touched ? `${link.dataset.term} (Tap again for the glossary.)` : link.dataset.term;
    tip.hidden = false;
    const place = link.getBoundingClientRect();
    const left = Math.min(place.left, root.clientWidth - tip.offsetWidth - 12);
    const below = place.bottom + tip.offsetHeight + 12 < innerHeight;
    tip.style.left = `${Math.max(8, left) + scrollX}px`;
    tip.style.top = `${(below ? place.bottom + 6 : place.top - tip.offsetHeight - 6) + scrollY}px`;
    link.setAttribute("aria-describedby", "tip");
  };
  const hide = () => {
    tip.hidden = true;
    tapped = null;
  };
  addEventListener(
    "pointerdown",
    (event) => {
      touched = event.pointerType === "touch";
      if (touched && !event.target.closest?.("a[data-term]")) hide();
    },
    true,
  );
  for (const link of document.querySelectorAll("a[data-term]")) {
    link.addEventListener("click", (event) => {
      if (!touched || tapped === link) return;
      event.preventDefault();
      show(link);
      tapped = link;
    });
    link.addEventListener("mouseenter", () => show(link));
    link.addEventListener("focus", () => show(link));
    link.addEventListener("mouseleave", hide);
    link.addEventListener("blur", hide);
  }
  addEventListener("keydown", (event) => event.key === "Escape" && hide());
}

// Every word must begin a word of the entry. What a reader learns from comes before what one looks up: first lessons,
// terms and the cheat sheet where the heading has all words, then functions of that very name, then their text, then the
// repository's other texts, then the package's other entries. A name that only code has, such as pool_params, is looked
// for in the package first.
function rank(entries, query) {
  const fold = (text) => text.toLowerCase();
  const whole = fold(query).trim();
  const words = whole.split(/[^\p{L}\p{N}_]+/u).filter(Boolean);
  if (!words.length) return [];
  const starts = words.map((word) => new RegExp(`(?<![\\p{L}\\p{N}])${word}`, "u"));
  const each = starts.map((start) => new RegExp(start, "gu"));
  const name = /[\p{L}\p{N}][_.]\p{L}|\p{Ll}\p{Lu}/u.test(query.trim());
  const found = [];
  for (const entry of entries) {
    const [heading, page, text] = [entry.heading, entry.page, entry.text].map(fold);
    const inHeading = starts.every((start) => start.test(heading));
    const summary = entry.link.startsWith("cheat_sheet");
    let score = summary ? 0 : heading === whole ? 50 : heading.startsWith(whole) ? 20 : 0;
    starts.forEach((start, k) => {
      const often = Math.min(5, text.match(each[k])?.length ?? 0);
      const value = (start.test(heading) && 10) || (start.test(page) && 3 + often) || often;
      score = value && score >= 0 ? score + value : -Infinity;
    });
    if (score <= 0) continue;
    const ofCourse = /^(\d\d_|glossary|cheat_sheet)/.test(entry.link);
    if (ofCourse) score += 25 + (entry.heading === entry.page && 8);
    const ofPackage = entry.link.startsWith("api/");
    const called = heading === whole || heading.endsWith(`.${whole}`);
    const group = ofPackage ? (called ? (name ? 0 : 1) : 4) : !ofCourse ? 3 : inHeading ? 0 : 2;
    found.push([group, score, entry]);
  }
  return found.sort((a, b) => a[0] - b[0] || b[1] - a[1]).map(([, , entry]) => entry);
}

// The part of a text where the first of the words is found, or its beginning, with the words marked.
function excerpt(text, query, most = 120) {
  const words = query.toLowerCase().split(/[^\p{L}\p{N}_]+/u).filter(Boolean);
  const found = new RegExp(`(?<![\\p{L}\\p{N}])(${words.join("|")})`, "giu");
  const at = words.length ? text.search(found) : -1;
  const from = at < most / 2 ? 0 : text.lastIndexOf(" ", at - most / 4) + 1;
  let part = text.slice(from, from + most);
  if (from + most < text.length) part = `${part.replace(/\s+\S*$/, "")} …`;
  const small = document.createElement("small");
  if (from) small.append("… ");
  part.split(found).forEach((piece, k) => {
    small.append(k % 2 ? Object.assign(document.createElement("mark"), { textContent: piece }) : piece);
  });
  return small;
}

function search() {
  const dialog = document.querySelector("dialog.search");
  const field = dialog.querySelector("input");
  const list = dialog.querySelector("ol");
  const status = dialog.querySelector("[role=status]");
  const show = () => {
    const found = rank(window.COURSE_INDEX ?? [], field.value);
    const asked = field.value.trim();
    status.textContent = !window.COURSE_INDEX ? "Loading the index …" : asked ? `${found.length || "Nothing"} found` : "";
    list.replaceChildren(
      ...found.slice(0, 25).map(({ link, page, heading, text }) => {
        const anchor = Object.assign(document.createElement("a"), { href: root.dataset.root + link });
        const from = heading === page ? "" : ` · ${page}`;
        anchor.append(Object.assign(document.createElement("b"), { textContent: heading }), from, excerpt(text, field.value));
        anchor.addEventListener("click", () => dialog.close());
        const item = document.createElement("li");
        item.append(anchor);
        return item;
      }),
    );
  };
  const load = () => {
    if (window.COURSE_INDEX || document.getElementById("index")) return;
    const script = Object.assign(document.createElement("script"), { id: "index", onload: show });
    script.onerror = () => {
      script.remove(); // the next try loads it again
      status.textContent = "The index could not be loaded.";
    };
    script.src = `${root.dataset.root}assets/index.js`;
    document.head.append(script);
  };
  const open = () => {
    load();
    dialog.showModal();
    field.focus();
    show();
  };
  const button = document.querySelector(".find");
  for (const sign of ["pointerenter", "pointerdown", "focus"]) button.addEventListener(sign, load);
  button.addEventListener("click", open);
  field.addEventListener("input", show);
  dialog.querySelector("form").addEventListener("submit", (event) => {
    const first = list.querySelector("a");
    if (event.submitter?.ariaLabel === "Close" && document.activeElement !== field) return;
    event.preventDefault();
    if (first && field.value.trim()) first.click();
    else dialog.close();
  });
  dialog.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const stops = [field, ...list.querySelectorAll("a")];
    const next = stops.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
    stops[Math.max(0, Math.min(stops.length - 1, next))].focus();
    event.preventDefault();
  });
  addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input, textarea, [contenteditable]")) {
      event.preventDefault();
      open();
    }
  });
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelector(".theme").addEventListener("click", toggleTheme);
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".copy");
    if (button) copyBlock(button);
  });
  slideHeader();
  closeMenu();
  keepTicks();
  explainTerms();
  search();
  followHeadings();
  markWideFigures();
  const living = document.querySelectorAll("figure[data-fig]");
  if (living.length && location.protocol !== "file:") import("./living/start.js").then(({ start }) => start(living));
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => (one.open = true)));
});
