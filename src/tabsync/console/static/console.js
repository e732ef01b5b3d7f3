// The only script of ours: it says when a page that refreshes itself no longer does.
"use strict";

(function () {
  let last = new Date();

  function stale(is) {
    const told = document.getElementById("stale");
    if (!told) return;
    told.hidden = !is;
    told.querySelector("span").textContent = last.toISOString().slice(11, 19) + " UTC";
  }

  document.addEventListener("htmx:afterRequest", function (event) {
    if (event.detail.successful) last = new Date();
    stale(!event.detail.successful);
  });

  // A link to a runbook opens it.
  function reveal() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") target.open = true;
  }
  window.addEventListener("hashchange", reveal);
  document.addEventListener("DOMContentLoaded", reveal);

  // An open <details> stays open when the part of the page around it is replaced.
  let open = [];
  document.addEventListener("htmx:beforeSwap", function () {
    open = Array.from(document.querySelectorAll("details[open] > summary[id]"), (one) => one.id);
  });
  document.addEventListener("htmx:afterSwap", function () {
    for (const id of open) {
      const summary = document.getElementById(id);
      if (summary) summary.parentElement.open = true;
    }
  });
})();
