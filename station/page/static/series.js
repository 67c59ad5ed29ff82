// Several small plots over one time axis: a device's health, its camera's view. The table below says the same.
"use strict";

const HEIGHT = 130;

class Series {
  constructor(place) {
    this.place = place;
    this.plots = [];
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    let width = 0;
    new ResizeObserver(() => {
      if (this.plots.length && place.clientWidth !== width) {
        width = place.clientWidth;
        for (const plot of this.plots) plot.setSize({ width: this.width(), height: HEIGHT });
      }
    }).observe(place);
  }

  width() { return Math.max(240, this.place.clientWidth - 10); }

  async load() {
    try {
      const answer = await fetch(this.place.dataset.from);
      if (!answer.ok) throw new Error(answer.status);
      this.found = unpack(await answer.arrayBuffer());
    } catch {
      this.place.textContent = this.place.dataset.failed;
      return;
    }
    this.draw();
  }

  draw() {
    if (!this.found) return;
    const { head, columns } = this.found;
    const at = Array.from(columns.at);
    this.place.replaceChildren();
    this.plots = [];
    for (const one of head.plots) {
      const all = one.series.map(({ name }) => plain(columns[name]));
      if (all.every((values) => values.every((value) => value === null))) continue;
      const title = document.createElement("p");
      title.className = "plot-title";
      title.textContent = one.label;
      this.place.append(title);
      const from = (values) => (one.limit ? [Math.min(0, values[0]), Math.max(one.limit * 1.1, values[1])] : values);
      this.plots.push(new uPlot({
        width: this.width(), height: HEIGHT, legend: { show: false }, cursor: { drag: { x: false, y: false }, points: { show: false } },
        scales: { x: { time: true }, y: { range: (_, low, high) => from(low === high ? [low - 1, high + 1] : [low, high + (high - low) * 0.1]) } },
        series: [{}, ...all.map(() => ({ stroke: colour("dark"), width: 1.5, points: { show: at.length < 40, size: 4 }, spanGaps: true }))],
        axes: [{ ...axisOf(), values: dates, space: 60 }, { ...axisOf(), size: 56 }],
        hooks: one.limit ? { draw: [(plot) => this.drawLimit(plot, one.limit)] } : {},
      }, [at, ...all], this.place));
    }
    this.place.dataset.drawn = String(this.plots.length);
  }

  drawLimit(plot, limit) {
    const y = plot.valToPos(limit, "y", true);
    plot.ctx.save();
    plot.ctx.strokeStyle = colour("bad");
    plot.ctx.setLineDash([6, 4]);
    plot.ctx.beginPath();
    plot.ctx.moveTo(plot.bbox.left, y);
    plot.ctx.lineTo(plot.bbox.left + plot.bbox.width, y);
    plot.ctx.stroke();
    plot.ctx.restore();
  }
}

for (const place of document.querySelectorAll(".series")) new Series(place).load();
