// The curves: days first, single readings for a short window, a click on a point shows its picture.
"use strict";

const READINGS_DAYS = 21;

class Chart {
  constructor(place) {
    this.place = place;
    this.box = place.querySelector(".plot");
    this.texts = JSON.parse(place.dataset.texts);
    this.point = place.querySelector(".point");
    this.readings = null;
    this.window = null;
    for (const button of place.querySelectorAll("[data-do]")) button.addEventListener("click", () => this.do(button.dataset.do));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    let width = 0;
    new ResizeObserver(() => {
      if (this.plot && this.box.clientWidth !== width) {
        width = this.box.clientWidth;
        this.plot.setSize({ width: this.width(), height: 300 });
        this.counts.setSize({ width: this.width(), height: 110 });
      }
    }).observe(this.box);
  }

  width() { return Math.max(240, this.box.clientWidth - 10); }

  async load() {
    try {
      const answer = await fetch(this.place.dataset.days);
      if (!answer.ok) throw new Error(answer.status);
      this.days = unpack(await answer.arrayBuffer());
    } catch {
      this.box.textContent = this.texts.failed;
      return;
    }
    const at = this.days.columns.at;
    this.whole = [at[0] - DAY_S, at[at.length - 1] + DAY_S];
    this.window = [...this.whole];
    this.draw();
  }

  draw() {
    const { columns, head } = this.days;
    this.box.replaceChildren();
    const at = Array.from(columns.at);
    const band = { fill: `${colour("estimate")}22`, series: [3, 2] };
    // Days without an estimate are bridged unless they are many for this animal: a hole that means something stays one.
    const seen = at.filter((_, n) => !Number.isNaN(columns.age[n]));
    const steps = seen.slice(1).map((one, n) => one - seen[n]).sort((a, b) => a - b);
    const longest = Math.max(14 * DAY_S, 3 * (steps[steps.length >> 1] || 0));
    const gaps = (plot, _, __, ___, found) => found.filter(([from, to]) => plot.posToVal(to, "x", true) - plot.posToVal(from, "x", true) > longest);
    const line = (label, name, more) => ({ label, stroke: colour(name), width: 1.5, points: { show: seen.length < 8 }, gaps, ...more });
    const t = this.texts;
    const axis = axisOf();
    const common = {
      width: this.width(), legend: { show: false }, cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false } },
      scales: { x: { time: true } },
    };
    const fromZero = { x: { time: true }, y: { range: (_, low, high) => [0, Math.max(1, high || 1)] } };
    const sync = (plot) => {
      const chosen = plot.select;
      if (chosen.width > 8) {
        this.show(plot.posToVal(chosen.left, "x"), plot.posToVal(chosen.left + chosen.width, "x"));
        plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
      }
    };
    this.plot = new uPlot({
      ...common, height: 300, bands: [band],
      series: [{},
        line(t.age, "true", { dash: [6, 4] }),
        line("", "estimate", { width: 0, points: { show: false } }),
        line("", "estimate", { width: 0, points: { show: false } }),
        line(t.light, "light", { width: 1.2 }),
        line(t.dark, "dark", { width: 1.2, dash: [2, 3] }),
        line(t.estimate, "estimate", { width: 2.5, points: { show: false } })],
      axes: [{ ...axis, values: dates, space: 60 }, { ...axis, label: t.weeks, labelSize: 18, size: 46 }],
      hooks: { setSelect: [sync], draw: [(plot) => this.drawMarks(plot, head.marks), (plot) => this.drawDays(plot), (plot) => this.drawReadings(plot)] },
    }, [at, ...["true", "low", "high", "light", "dark", "age"].map((name) => inWeeks(columns[name]))], this.box);
    this.counts = new uPlot({
      ...common, height: 110, scales: fromZero,
      series: [{}, line(t.count, "soft", { width: 0, fill: colour("soft"), paths: uPlot.paths.bars({ size: [0.9, 12] }), points: { show: false } })],
      axes: [{ ...axis, show: false }, { ...axis, label: t.count, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500], labelSize: 18, size: 46 }],
      hooks: { setSelect: [sync] },
    }, [at, plain(columns.readings)], this.box);
    this.plot.over.addEventListener("click", (event) => this.click(event));
    this.legend();
    this.show(...this.window);
  }

  legend() {
    const entries = [[this.texts.estimate, "estimate", 3, ""], [this.texts.light, "light", 1.5, ""],
      [this.texts.dark, "dark", 1.5, "2 3"], [this.texts.age, "true", 1.5, "6 4"]];
    const list = this.place.querySelector(".legend");
    list.replaceChildren(...entries.map(([text, name, width, dash]) => {
      const item = document.createElement("li");
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      svg.setAttribute("width", "28"); svg.setAttribute("height", "12");
      const drawn = document.createElementNS(svg.namespaceURI, "path");
      for (const [key, value] of Object.entries({ d: "M0 6H28", stroke: colour(name), "stroke-width": width, "stroke-dasharray": dash })) {
        drawn.setAttribute(key, value);
      }
      svg.append(drawn);
      item.append(svg, text);
      return item;
    }));
    const band = document.createElement("li");
    band.innerHTML = '<svg width="28" height="12"><rect width="28" height="12" fill="currentColor" fill-opacity=".15"/></svg>';
    band.append(this.texts.interval);
    list.append(band);
  }

  drawMarks(plot, marks) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour("mark");
    ctx.lineWidth = devicePixelRatio;
    for (const mark of marks) {
      const x = plot.valToPos(mark.at, "x", true);
      if (mark.until) {
        const end = Math.min(plot.valToPos(mark.until, "x", true), bbox.left + bbox.width);
        ctx.globalAlpha = 0.12;
        if (end > bbox.left && x < bbox.left + bbox.width) ctx.fillRect(Math.max(x, bbox.left), bbox.top, end - Math.max(x, bbox.left), bbox.height);
        ctx.globalAlpha = 1;
        continue;
      }
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
      ctx.beginPath(); ctx.moveTo(x, bbox.top); ctx.lineTo(x, bbox.top + bbox.height); ctx.stroke();
    }
    ctx.restore();
  }

  // With few days each is a mark of its own: a circle for the light phase, a square for the dark one.
  drawDays(plot) {
    const { at, light, dark, age } = this.days.columns;
    const { ctx, bbox } = plot;
    // A mark needs room: on a phone fewer days are marks than on a desk, the lines say the same.
    const { min, max } = plot.scales.x;
    const shown = age.filter((one, n) => !Number.isNaN(one) && at[n] >= min && at[n] <= max).length;
    const room = bbox.width / devicePixelRatio / Math.max(1, shown);
    if (this.readings || room < 7) return;
    const size = 3.5 * devicePixelRatio;
    ctx.save();
    ctx.beginPath(); ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height); ctx.clip();
    for (const [values, name] of [[light, "light"], [dark, "dark"]]) {
      ctx.fillStyle = colour(name);
      values.forEach((value, n) => {
        if (Number.isNaN(value)) return;
        const [x, y] = [plot.valToPos(at[n], "x", true), plot.valToPos(value / 7, "y", true)];
        ctx.beginPath();
        if (name === "dark") ctx.rect(x - size, y - size, 2 * size, 2 * size); else ctx.arc(x, y, size, 0, 7);
        ctx.fill();
      });
    }
    ctx.restore();
  }

  drawReadings(plot) {
    if (!this.readings) return;
    const { at, age, light, accepted } = this.readings.columns;
    const { ctx, bbox } = plot;
    const size = 4 * devicePixelRatio;
    ctx.save();
    ctx.beginPath(); ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height); ctx.clip();
    ctx.lineWidth = 1.5 * devicePixelRatio;
    for (let n = 0; n < at.length; n++) {
      const x = plot.valToPos(at[n], "x", true);
      // A capture without an estimate stands on the floor: it has a picture and a reason too.
      const y = Number.isNaN(age[n]) ? bbox.top + bbox.height - size : plot.valToPos(age[n] / 7, "y", true);
      ctx.strokeStyle = ctx.fillStyle = colour(light[n] === 0 ? "light" : light[n] === 1 ? "dark" : "soft");
      ctx.beginPath();
      if (!accepted[n]) {
        ctx.moveTo(x - size, y - size); ctx.lineTo(x + size, y + size); ctx.moveTo(x + size, y - size); ctx.lineTo(x - size, y + size); ctx.stroke();
      } else if (light[n] === 1) { ctx.rect(x - size, y - size, 2 * size, 2 * size); ctx.fill(); } else { ctx.arc(x, y, size, 0, 7); ctx.fill(); }
    }
    ctx.restore();
  }

  async click(event) {
    if (!this.readings) return;
    const { at, age, epoch, seq } = this.readings.columns;
    const rect = this.plot.over.getBoundingClientRect();
    const [left, top] = [event.clientX - rect.left, event.clientY - rect.top];
    let best = -1, nearest = 24 * 24;
    for (let n = 0; n < at.length; n++) {
      const x = this.plot.valToPos(at[n], "x") - left;
      const y = (Number.isNaN(age[n]) ? rect.height - 4 : this.plot.valToPos(age[n] / 7, "y")) - top;
      if (x * x + y * y < nearest) { nearest = x * x + y * y; best = n; }
    }
    if (best < 0) return;
    const [device, name] = this.readings.head.epochs[epoch[best]];
    const query = new URLSearchParams({ device, epoch: name, seq: String(seq[best]), part: "1" });
    const answer = await fetch(`/reading?${query}`);
    this.point.innerHTML = await answer.text();
  }

  do(what) {
    const [from, until] = this.window, width = until - from, middle = (from + until) / 2;
    if (what === "whole") this.show(...this.whole);
    if (what === "zoom_in") this.show(middle - Math.max(width / 4, DAY_S / 2), middle + Math.max(width / 4, DAY_S / 2));
    if (what === "zoom_out") this.show(middle - width, middle + width);
    if (what === "earlier") this.show(from - width / 2, until - width / 2);
    if (what === "later") this.show(from + width / 2, until + width / 2);
  }

  async show(from, until) {
    const width = Math.min(until - from, this.whole[1] - this.whole[0]);
    from = Math.min(Math.max(from, this.whole[0]), this.whole[1] - width);
    until = from + width;
    this.window = [from, until];
    for (const plot of [this.plot, this.counts]) plot.setScale("x", { min: from, max: until });
    const link = this.place.parentElement.querySelector(".as-readings");
    if (link) {
      const asked = new URL(link.href);
      asked.searchParams.set("from", String(from));
      asked.searchParams.set("until", String(until));
      link.href = asked.href;
    }
    const wanted = width <= READINGS_DAYS * DAY_S;
    if (!wanted) { this.readings = null; this.plot.redraw(false); return; }
    const key = `${from} ${until}`;
    this.asked = key;
    const answer = await fetch(`${this.place.dataset.readings}&from=${from}&until=${until}`);
    if (!answer.ok || this.asked !== key) return;
    this.readings = unpack(await answer.arrayBuffer());
    this.place.dataset.points = String(this.readings.head.rows);
    this.plot.redraw(false); // with true it would forget the window that was just set
  }
}

for (const place of document.querySelectorAll(".chart")) {
  const chart = new Chart(place);
  place.chart = chart;
  chart.load();
}
