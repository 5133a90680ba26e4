"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("thead button").forEach((button) => {
    button.addEventListener("click", () => {
      const head = button.closest("th"), at = head.cellIndex, body = table.tBodies[0];
      const up = head.getAttribute("aria-sort") === "descending";
      for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => {
        const cell = row.cells[at], number = cell.dataset.value;
        return number === undefined ? cell.textContent.trim() : number === "" ? -Infinity : +number;
      };
      const rows = Array.from(body.rows, (row) => [value(row), row]);
      rows.sort(([a], [b]) => (typeof a === "number" ? a - b : a.localeCompare(b)) * (up ? 1 : -1));
      body.append(...rows.map((pair) => pair[1]));
    });
  });
}
for (const box of document.querySelectorAll("input[data-filter]")) {
  box.addEventListener("input", () => {
    const words = box.value.trim().toLowerCase();
    let shown = 0;
    for (const one of document.querySelectorAll(box.dataset.filter)) {
      one.hidden = !one.textContent.toLowerCase().includes(words);
      shown += !one.hidden;
    }
    const told = box.parentNode.querySelector("output");
    if (told) told.textContent = words ? shown + " shown" : "";
  });
}
const heat = document.getElementById("heat");
if (heat) heat.addEventListener("click", () => {
  const on = document.body.classList.toggle("heat");
  heat.setAttribute("aria-pressed", on);
});
const theme = document.getElementById("theme");
theme.addEventListener("click", () => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme || (dark ? "dark" : "light");
  document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
});
for (const one of document.querySelectorAll(".tools, #theme")) one.hidden = false;
