// The page: what the engine says goes in, what an operator asks for decides how much of it is shown.

import { Heat, Lines, micros, short } from "./charts.js";
import { alarms, refused, say, tables, tiles } from "./tables.js";

/// Points at most over the whole width.
const POINTS = 300;
const at = id => document.getElementById(id);

const seen = { points: [], cells: null, now: null, connected: false, span: 300, zoom: null, paused: false };
const per = value => point => value(point) / (point.took_ms / 1e3 || 1);
const plots = [
  new Lines("latency", [["p50", p => p.times.whole?.p50], ["p90", p => p.times.whole?.p90], ["p99", p => p.times.whole?.p99], ["p99.9", p => p.times.whole?.p999]], { log: true, show: micros, limit: ["budget", () => seen.now?.budget_us ?? null] }),
  new Lines("answers", [["approve", per(p => p.answers.approve)], ["challenge", per(p => p.answers.challenge)], ["decline", per(p => p.answers.decline)], ["not screened", per(refused)]], { show: value => short(value, "/s") }),
  new Lines("ages", [["state", p => p.staleness_ms * 1e3], ["commit p99", p => p.commits?.p99]], { show: micros }),
];
const heat = new Heat("heat", "heat-at");

function draw() {
  const { points, now } = seen;
  alarms(now, seen.connected);
  if (!now) return;
  say("who", `${now.member} · engine ${now.position.engine}`);
  say("state", seen.paused ? "paused" : now.ready ? "screening" : "not screening");
  document.title = `${now.ready ? "" : "! "}sparr ${now.member}`;
  tiles(points, now);
  const end = (points.at(-1)?.at_ms ?? now.at_ms) / 1e3;
  const range = seen.zoom ?? [end - seen.span, end];
  const shown = points.filter(point => point.at_ms / 1e3 >= range[0] && point.at_ms / 1e3 <= range[1]);
  plots.forEach(plot => plot.set(points, range));
  heat.set(shown, seen.cells, at("stage").value, now.budget_us);
  tables(shown, now);
  at("unzoom").disabled = !seen.zoom;
  document.body.dataset.points = points.length;
}

async function load() {
  const [past, now] = await Promise.all([fetch(`/api/history?seconds=${seen.span}&points=${POINTS}`), fetch("/api/now")].map(async answer => (await answer).json()));
  Object.assign(seen, { points: past.points, cells: past.cells_us, now });
  draw();
}

// A span of more seconds than points is loaded again when its next point is whole.
let loaded = 0;
function heard(event) {
  seen.connected = true;
  if (seen.paused) return;
  const { second, now } = JSON.parse(event.data);
  seen.now = now;
  const each = Math.ceil(seen.span / POINTS);
  if (each === 1 && second) {
    seen.points.push(second);
    seen.points.splice(0, Math.max(0, seen.points.length - seen.span));
    draw();
  } else if (++loaded % each === 0) {
    load().catch(lost);
  } else {
    draw();
  }
}

function lost() {
  seen.connected = false;
  draw();
}

function listen() {
  const events = new EventSource("/api/events");
  events.onmessage = heard;
  events.onopen = () => { load().then(() => { seen.connected = true; draw(); }).catch(lost); };
  events.onerror = lost;
}

function choose(seconds) {
  Object.assign(seen, { span: seconds, zoom: null });
  document.querySelector(`input[name=span][value="${seconds}"]`).checked = true;
  load().catch(lost);
}

function pause() {
  seen.paused = !seen.paused;
  at("pause").setAttribute("aria-pressed", seen.paused);
  at("pause").textContent = seen.paused ? "Go on" : "Pause";
  if (seen.paused) draw(); else load().catch(lost);
}

function zoom(range) {
  seen.zoom = range;
  draw();
}

at("spans").addEventListener("change", event => choose(Number(event.target.value)));
at("pause").addEventListener("click", pause);
at("unzoom").addEventListener("click", () => zoom(null));
at("stage").addEventListener("change", draw);
addEventListener("zoomed", event => zoom(event.detail));
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isField = ["BUTTON", "SELECT", "INPUT", "A"].includes(event.target.tagName);
  if (event.key === " " && !isField) { event.preventDefault(); pause(); }
  if (event.key === "Escape") zoom(null);
  const span = { 1: 60, 2: 300, 3: 900, 4: 3600 }[event.key];
  if (span && !["SELECT"].includes(event.target.tagName)) choose(span);
});
listen();
