// Sorting and filtering; without this script every row is still there to read.
"use strict";
const byId = (id) => document.getElementById(id);
const body = byId("papers").tBodies[0];
const entries = [...body.rows].map((row) => {
  const plot = byId("plot-" + row.dataset.i);
  const text = row.textContent + " " + (plot ? plot.textContent : "");
  return { row, plot, text: text.toLowerCase() };
});
const AT_ONCE = 500;  // rows of the table; thousands take a browser seconds to lay out
const sections = [...document.querySelectorAll(".topic")];
const openAtFirst = sections.map((section) => section.open);

function filter() {
  const topic = byId("by-topic").value, verdict = byId("by-verdict").value;
  const words = byId("by-text").value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const { row, plot, text } of entries) {
    const keep = (!topic || row.dataset.topic === topic)
      && (!verdict || row.dataset.verdict === verdict)
      && words.every((word) => text.includes(word));
    shown += keep;
    row.hidden = !keep || shown > AT_ONCE;
    if (plot) plot.hidden = !keep;
  }
  const narrowed = shown < entries.length;
  sections.forEach((section, i) => {
    section.hidden = !section.querySelector("tbody:not([hidden])");
    section.open = narrowed ? shown <= 60 : openAtFirst[i];
  });
  byId("shown").textContent = `${shown} of ${entries.length} papers`
    + (shown > AT_ONCE ? `, the first ${AT_ONCE} in the table` : "");
}

function sort(column, heading) {
  const up = heading.getAttribute("aria-sort") !== "ascending";
  const order = new Intl.Collator("en", { numeric: true });
  const value = ({ row }) => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const keyed = entries.map((entry) => [value(entry), entry]);
  keyed.sort(([a], [b]) =>  // what is missing goes last either way
    (a === "") - (b === "") || (up ? order.compare(a, b) : order.compare(b, a)));
  keyed.forEach(([, entry], place) => { entries[place] = entry; });
  for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", up ? "ascending" : "descending");
  for (const { row } of entries) body.append(row);
  filter();
}

[...byId("papers").tHead.rows[0].cells].forEach((heading, column) => {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = heading.textContent;
  button.addEventListener("click", () => sort(column, heading));
  heading.replaceChildren(button);
});
let waiting;
byId("filters").addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(filter, 120);
});
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").hidden = false;
filter();  // a browser that restores a form on reload shows the rows that the form says
