// The plots: uPlot for lines, a canvas for the heatmap. Lines differ by dashes as well as by colour.

/* global uPlot */

// A colour as the system's light or dark makes it.
const probe = document.body.appendChild(document.createElement("i"));
const css = name => { probe.style.color = `var(${name})`; return getComputedStyle(probe).color; };
const dark = matchMedia("(prefers-color-scheme: dark)");
// Told apart without colour by their dashes; picked so that they differ in lightness too.
const INKS = { light: ["#0b5cad", "#1b7f4d", "#b35900", "#8a1c7c", "#57606a"], dark: ["#78b7f5", "#6fd19b", "#ffb366", "#e59ae0", "#9aa4ae"] };
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [4, 4]];

export const short = (value, unit = "") => {
  if (value == null || !Number.isFinite(value)) return "–";
  const [size, word] = value >= 1e6 ? [1e6, "M"] : value >= 1e4 ? [1e3, "k"] : [1, ""];
  const digits = value / size >= 100 || Number.isInteger(value / size) ? 0 : value / size >= 10 ? 1 : 2;
  return (value / size).toFixed(digits) + word + unit;
};
export const micros = us => us == null ? "–" : us >= 1e6 ? short(us / 1e6, " s") : us >= 1e3 ? short(us / 1e3, " ms") : short(us, " µs");

const plots = [];

/// A plot of lines over time. `series` are [name, how a point gives a value].
export class Lines {
  constructor(id, series, { log = false, show = short, limit = null } = {}) {
    Object.assign(this, { root: document.getElementById(id), series, log, show, limit, data: null, range: null });
    plots.push(this);
  }

  build() {
    const inks = INKS[dark.matches ? "dark" : "light"];
    const axis = { stroke: css("--quiet"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), width: 1 } };
    const series = this.series.map(([label], at) => ({
      label, stroke: inks[at % inks.length], dash: DASHES[at % DASHES.length], width: 1.6, points: { show: false },
      value: (_, value) => this.show(value), spanGaps: false,
    }));
    if (this.limit) series.push({ label: this.limit[0], stroke: css("--alarm"), dash: [6, 6], width: 1.2, points: { show: false }, value: (_, value) => this.show(value) });
    this.plot?.destroy();
    this.plot = new uPlot({
      width: Math.max(this.root.clientWidth, 200), height: 240,
      scales: { x: { time: true }, y: this.log ? { distr: 3, log: 10 } : { range: (_, __, max) => [0, (max || 1) * 1.08] } },
      axes: [axis, { ...axis, size: 62, values: (_, ticks) => ticks.map(tick => tick == null ? "" : this.show(tick)) }],
      series: [{ value: (_, at) => at == null ? "–" : new Date(at * 1e3).toLocaleTimeString() }, ...series],
      cursor: { sync: { key: "sparr" }, drag: { x: true, y: false } },
      hooks: { setSelect: [plot => {
        const { left, width } = plot.select;
        if (width > 4) dispatchEvent(new CustomEvent("zoomed", { detail: [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")] }));
      }] },
    }, this.data ?? [[]].concat(series.map(() => [])), this.root);
  }

  set(points, range) {
    this.range = range;
    const rows = this.series.map(([, value]) => points.map(point => value(point) ?? null));
    if (this.limit) rows.push(points.map(() => this.limit[1]()));
    // A logarithm has no zero.
    this.data = [points.map(point => point.at_ms / 1e3), ...rows.map(row => this.log ? row.map(value => value > 0 ? value : null) : row)];
    if (!this.plot) this.build();
    this.plot.setData(this.data, false);
    const [from, to] = range;
    this.plot.batch(() => { this.plot.setScale("x", { min: from, max: to }); });
  }
}

/// The heatmap: a column for each point, a row for each cell.
export class Heat {
  constructor(id, said) {
    Object.assign(this, { canvas: document.getElementById(id), said: document.getElementById(said), points: [], at: null });
    this.canvas.addEventListener("pointermove", event => { this.at = event.offsetX / this.canvas.clientWidth; this.tell(); });
    this.canvas.addEventListener("keydown", event => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step || !this.points.length) return;
      event.preventDefault();
      this.at = Math.min(.999, Math.max(0, (this.at ?? 1) + step / this.points.length));
      this.tell();
    });
    plots.push(this);
  }

  set(points, cells, stage, budget) {
    Object.assign(this, { points, cells, stage, budget });
    this.draw();
    this.tell();
  }

  draw() {
    const { canvas, points, cells, stage } = this;
    const scale = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth * scale, canvas.clientHeight * scale];
    Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    const gutter = 58 * scale;
    const ink = css("--strong");
    context.font = `${11 * scale}px system-ui`;
    context.fillStyle = css("--quiet");
    const rows = cells?.length ?? 1;
    const y = cell => height - (cell + 1) / rows * height;
    for (let cell = 0; cell < rows; cell += 4) context.fillText(micros(cells?.[cell]), 0, y(cell) + height / rows);
    const most = Math.max(1, ...points.flatMap(point => point.times[stage]?.cells ?? []));
    const column = (width - gutter) / Math.max(points.length, 1);
    context.fillStyle = ink;
    points.forEach((point, at) => (point.times[stage]?.cells ?? []).forEach((count, cell) => {
      if (!count) return;
      // The rare is what is looked for: a single slow request is still seen.
      context.globalAlpha = .12 + .88 * Math.log1p(count) / Math.log1p(most);
      context.fillRect(gutter + at * column, y(cell), Math.max(column - .5, 1), height / rows - .5);
    }));
    context.globalAlpha = 1;
    if (this.budget && cells) {
      const place = height - (2 * Math.log2(this.budget) / rows) * height;
      context.strokeStyle = css("--alarm");
      context.setLineDash([6 * scale, 5 * scale]);
      context.beginPath(); context.moveTo(gutter, place); context.lineTo(width, place); context.stroke();
      context.setLineDash([]);
    }
  }

  tell() {
    const times = this.points.map(point => point.times[this.stage]);
    const slowest = times.reduce((most, time) => Math.max(most, time?.max ?? 0), 0);
    this.canvas.setAttribute("aria-label", `${this.stage}: ${this.points.length} moments, the longest took ${micros(slowest)}`);
    const point = this.at == null ? null : this.points[Math.floor(this.at * this.points.length)];
    const time = point?.times[this.stage];
    this.said.textContent = !point ? "" : `${new Date(point.at_ms).toLocaleTimeString()}: ` +
      (time ? `p50 ${micros(time.p50)}, p99 ${micros(time.p99)}, longest ${micros(time.max)}` : "no requests");
  }
}

const again = () => plots.forEach(plot => {
  if (plot instanceof Lines) { plot.build(); if (plot.range) plot.plot.setScale("x", { min: plot.range[0], max: plot.range[1] }); } else plot.draw();
});
dark.addEventListener("change", again);
let waiting;
addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(again, 150); });
