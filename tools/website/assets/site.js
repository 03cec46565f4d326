// Dark mode, code that can be copied, and the heading that is being read. No library, no request to anybody.
"use strict";

const remembered = (() => {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null; // pages opened from disk may have no storage
  }
})();
if (remembered) document.documentElement.dataset.theme = remembered;

function toggleTheme() {
  const root = document.documentElement;
  const systemDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : systemDark;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("theme", root.dataset.theme);
  } catch {
    /* lasts for this page only */
  }
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

function addCopyButton(block) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await copyText(block.querySelector("pre").innerText.replace(/\n$/, ""));
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  block.append(button);
}

function followHeadings() {
  const links = new Map(
    [...document.querySelectorAll(".contents a")].map((link) => [decodeURIComponent(link.hash.slice(1)), link]),
  );
  const observer = new IntersectionObserver(
    (entries) => {
      const seen = entries.find((entry) => entry.isIntersecting);
      if (!seen) return;
      links.forEach((link) => link.classList.remove("here"));
      links.get(seen.target.id)?.classList.add("here");
    },
    { rootMargin: "0px 0px -75% 0px" },
  );
  links.forEach((_, id) => {
    const heading = document.getElementById(id);
    if (heading) observer.observe(heading);
  });
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelector(".theme")?.addEventListener("click", toggleTheme);
  document.querySelectorAll(".input, .prose .highlight, main > .highlight").forEach((block) => {
    if (block.querySelector("pre")) addCopyButton(block);
  });
  const contents = document.querySelector(".contents");
  if (contents && matchMedia("(max-width: 62rem)").matches) contents.open = false;
  followHeadings();
});
