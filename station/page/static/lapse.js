// One picture a week, played: a slider, buttons, nothing moves by itself, and nothing at all for who wants less motion.
"use strict";

const STEP_MS = 350;
const player = document.querySelector(".player");

if (player) {
  const shots = [...document.querySelectorAll(".shots a")];
  const picture = player.querySelector("img"), caption = player.querySelector(".caption");
  const slider = player.querySelector("input"), run = player.querySelector("[data-run]");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let timer = null;

  const ahead = new Map();
  const load = (place) => {
    const shot = shots[place];
    if (shot && !ahead.has(place)) { const made = new Image(); made.src = shot.dataset.whole; ahead.set(place, made); }
  };
  const show = (place) => {
    const at = Math.min(Math.max(place, 0), shots.length - 1);
    slider.value = String(at);
    slider.setAttribute("aria-valuetext", shots[at].textContent.trim());
    picture.src = shots[at].dataset.whole;
    caption.textContent = shots[at].textContent.trim();
    for (let next = at; next < at + 5; next++) load(next);
  };
  const pause = () => {
    clearInterval(timer);
    timer = null;
    run.textContent = player.dataset.play;
    caption.setAttribute("aria-live", "polite");
  };
  const play = () => {
    if (Number(slider.value) >= shots.length - 1) show(0);
    caption.setAttribute("aria-live", "off"); // read out three times a second it would be noise
    run.textContent = player.dataset.pause;
    timer = setInterval(() => {
      if (!picture.complete) return;
      if (Number(slider.value) >= shots.length - 1) pause(); else show(Number(slider.value) + 1);
    }, STEP_MS);
  };
  const obey = () => {
    if (still.matches) pause();
    run.hidden = still.matches;
    player.querySelector(".still").hidden = !still.matches;
  };
  run.addEventListener("click", () => (timer === null ? play() : pause()));
  slider.addEventListener("input", () => { pause(); show(Number(slider.value)); });
  for (const button of player.querySelectorAll("[data-step]")) {
    button.addEventListener("click", () => { pause(); show(Number(slider.value) + Number(button.dataset.step)); });
  }
  still.addEventListener("change", obey);
  addEventListener("pagehide", pause);
  player.hidden = false;
  obey();
  show(0);
}
