// Runs before the page's module, also where that one cannot: it says what is wrong, in place of "Loading" for ever.
(() => {
  try {
    const theme = localStorage.getItem("theme"); // as chosen on the course's pages, where this page belongs to their site
    if (theme === "light" || theme === "dark") document.documentElement.style.colorScheme = theme;
  } catch {
    /* pages opened from disk may have no storage */
  }
  const say = (text) => {
    const status = document.getElementById("status");
    if (!status) return;
    status.textContent = text;
    status.dataset.kind = "error";
  };
  const about = (source) => `A part of this page is missing or cannot run (${source}): run "make demo" again.`;
  const started = () => document.body.classList.contains("started");

  // A module that cannot be fetched, or one that it needs, fires "error" at its own script element.
  window.addEventListener(
    "error",
    (event) => {
      if (started()) return;
      const source = event.target?.getAttribute?.("src") ?? event.message ?? "a script";
      document.addEventListener("DOMContentLoaded", () => say(about(source)));
      say(about(source));
    },
    true,
  );
  window.addEventListener("DOMContentLoaded", () => {
    if (location.protocol === "file:") {
      say('This page works only when it comes from its server: run "make demo" and open the address that it prints.');
    }
  });
})();
