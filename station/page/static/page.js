// What every page does: times that go on, forms that survive a lost connection.
"use strict";

function ago(seconds) {
  if (seconds < 120) return `${Math.max(0, Math.round(seconds))} s ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} d ago`;
}

function renewTimes() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const at = Date.parse(time.dateTime);
    if (!Number.isNaN(at)) time.textContent = ago((Date.now() - at) / 1000);
  }
}
setInterval(renewTimes, 10000);

// A draft is kept in this browser until the server has taken it; the form's own number makes it count once.
const DRAFT_MS = 7 * 86400e3;

function kept(form) { return `draft ${location.pathname} ${form.dataset.draft}`; }

function fieldsOf(form) {
  return [...form.elements].filter((field) => field.name && field.name !== "csrf" && field.type !== "password"
    && field.tagName !== "BUTTON");
}

function saveDraft(form) {
  const values = Object.fromEntries(fieldsOf(form).map((field) => [field.name, field.value]));
  try { localStorage.setItem(kept(form), JSON.stringify({ at: Date.now(), values })); } catch { /* a full store: no draft */ }
}

function dropDraft(form) { try { localStorage.removeItem(kept(form)); } catch { /* none was kept */ } }

function putBack(form) {
  let found = null;
  try { found = JSON.parse(localStorage.getItem(kept(form))); } catch { return; }
  if (!found || Date.now() - found.at > DRAFT_MS) return;
  for (const field of fieldsOf(form)) if (found.values[field.name] !== undefined) field.value = found.values[field.name];
  const details = form.closest("details");
  if (details) details.open = true;
  say(form, document.body.dataset.kept, false);
}

function say(form, text, bad) {
  let line = form.querySelector(".said-here");
  if (!line) {
    line = document.createElement("p");
    line.setAttribute("role", "status");
    form.append(line);
  }
  line.className = `said-here flash${bad ? " bad" : ""}`;
  line.textContent = text;
}

async function send(form, again) {
  const button = form.querySelector("button:not([type=button])");
  if (button) button.disabled = true;
  if (!again) say(form, document.body.dataset.sending, false);
  let answer;
  try {
    answer = await fetch(form.action, {
      method: "POST", headers: { "X-Sent": "1" }, body: new URLSearchParams(new FormData(form)),
    });
  } catch {
    say(form, document.body.dataset.unsent, true);
    if (button) button.disabled = false;
    waiting.add(form);
    return;
  }
  waiting.delete(form);
  const goal = answer.headers.get("X-Go");
  if (answer.ok && goal) {
    dropDraft(form);
    location.assign(goal);
    return;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const said = [...page.querySelectorAll("main .said, main .flash.bad")].map((one) => one.textContent.trim()).join(" ");
  say(form, said || `${answer.status}`, true);
  if (button) button.disabled = false;
}

const waiting = new Set();
function sendWaiting() { for (const form of [...waiting]) send(form, true); }
addEventListener("online", sendWaiting);
setInterval(sendWaiting, 10000);

for (const form of document.querySelectorAll("form[data-draft]")) {
  putBack(form);
  form.addEventListener("input", () => saveDraft(form));
  form.addEventListener("submit", (event) => { event.preventDefault(); send(form, false); });
}
for (const button of document.querySelectorAll("[data-print]")) button.addEventListener("click", () => print());
