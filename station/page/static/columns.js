// Columns of numbers as the page sends them, and what all its plots do alike.
"use strict";

const DAY_S = 86400;

function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const start = 4 + length;
  const columns = {};
  head.columns.forEach((name, place) => {
    columns[name] = new Float64Array(buffer, start + place * head.rows * 8, head.rows);
  });
  return { head, columns };
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const inWeeks = (values) => Array.from(values, (value) => (Number.isNaN(value) ? null : value / 7));
const plain = (values) => Array.from(values, (value) => (Number.isNaN(value) ? null : value));

// Days as "20 Oct", a year where it begins: 10/11 would be read two ways.
function dates(_, splits, __, ___, step) {
  let year = null;
  return splits.map((at) => {
    const day = new Date(at * 1000);
    const parts = step < DAY_S ? [day.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })] : [];
    if (step >= DAY_S || day.getHours() + day.getMinutes() === 0) parts.push(day.toLocaleDateString("en-GB", { day: "numeric", month: "short" }));
    if (day.getFullYear() !== year && step >= DAY_S) parts.push(String(year = day.getFullYear()));
    return parts.join("\n");
  });
}

function axisOf() {
  return { stroke: colour("ink"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line") } };
}
