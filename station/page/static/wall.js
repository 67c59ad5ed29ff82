// The wall's live updates: one stream a browser, which replaces the cards that changed and keeps the order of need.
"use strict";

const wall = document.getElementById("wall");
const summary = document.getElementById("summary");
const offline = document.getElementById("offline");
const filtered = wall.dataset.filtered === "yes";
let lostAt = null;

const stream = new EventSource(`/events?since=${wall.dataset.version}`);
stream.addEventListener("open", () => { lostAt = null; offline.hidden = true; });
stream.addEventListener("error", () => {
  lostAt = lostAt || new Date();
  offline.textContent = offline.dataset.text.replace("{time}", lostAt.toLocaleTimeString());
  offline.hidden = false;
});
stream.addEventListener("wall", (event) => {
  const news = JSON.parse(event.data);
  const focused = document.activeElement && document.activeElement.closest(".card");
  const focusedId = focused && focused.id;
  if (wall.dataset.empty && Object.keys(news.cards).length) { location.reload(); return; }
  for (const [id, html] of Object.entries(news.cards)) {
    const made = document.createElement("template");
    made.innerHTML = html.trim();
    const old = document.getElementById(id);
    if (old) old.replaceWith(made.content);
    else if (!filtered) wall.append(made.content);
  }
  if (news.summary.trim() !== summary.dataset.last) {
    summary.innerHTML = news.summary;
    summary.dataset.last = news.summary.trim();
  }
  const order = news.order.map((id) => document.getElementById(id)).filter(Boolean);
  const now = [...wall.children];
  if (order.some((card, place) => now[place] !== card)) wall.append(...order);
  const known = new Set(news.order);
  for (const card of [...wall.children]) if (!known.has(card.id)) card.remove();
  if (focusedId) document.querySelector(`#${focusedId} a`)?.focus({ preventScroll: true });
  renewTimes();
});
addEventListener("pagehide", () => stream.close());
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
