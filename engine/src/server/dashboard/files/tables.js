// What is told in words and tables. Everything is put in as text, never as HTML.

import { micros, short } from "./charts.js";

const at = id => document.getElementById(id);
export const say = (id, text) => { const node = at(id); if (node.textContent !== text) node.textContent = text; };

const fill = (id, rows, empty) => {
  const body = at(id).tBodies[0];
  const width = at(id).tHead?.rows[0].cells.length ?? 2;
  const lines = rows.length ? rows : [[empty]];
  body.replaceChildren(...lines.map(cells => {
    const row = document.createElement("tr");
    cells.forEach(cell => {
      const field = row.appendChild(document.createElement("td"));
      if (typeof cell === "number") { field.className = "n"; field.textContent = short(cell); field.dataset.value = cell; } else field.textContent = cell ?? "–";
      if (cells.length === 1) field.colSpan = width;
    });
    return row;
  }));
};

const sum = (points, value) => points.reduce((total, point) => total + (value(point) ?? 0), 0);
export const answered = point => sum(Object.values(point.answers), n => n);
export const refused = point => sum(Object.values(point.not_screened), n => n);

export function tiles(points, now) {
  const last = points.at(-1);
  if (!last) return;
  const seconds = last.took_ms / 1e3 || 1;
  say("rate", short((answered(last) + refused(last)) / seconds));
  at("rate").dataset.value = (answered(last) + refused(last)) / seconds;
  say("rate-more", ["approve", "challenge", "decline"].map(name => `${name} ${short(last.answers[name] / seconds)}`).join(" · "));
  const whole = last.times.whole;
  say("p99", whole ? micros(whole.p99) : "–");
  at("p99").dataset.value = whole?.p99 ?? "";
  const within = whole && whole.p99 <= now.budget_us;
  say("p99-more", whole ? `${within ? "within" : "over"} the budget of ${micros(now.budget_us)} · p50 ${micros(whole.p50)}` : "no requests");
  say("refused", short(refused(last) / seconds, "/s"));
  say("refused-more", `${short(sum(points, refused))} in the span`);
  say("age", now.exchange ? short(now.staleness_ms, " ms") : "0 ms");
  say("age-more", now.exchange ? (now.degraded[0] ?? "green") : "its own journal is the exchange");
}

export function alarms(now, connected) {
  const said = [];
  if (!connected) said.push("The page does not hear from the engine: what it shows is old.");
  if (!now) return show(said);
  Object.entries(now.checks).filter(([, passed]) => !passed).forEach(([name]) => said.push(`Not ready: ${name}.`));
  if (now.reload && !now.reload.succeeded) said.push("The last load of rules was refused; what decided before goes on.");
  if (now.journal === "full") said.push("The disk is full: raises are refused, lifts go on.");
  if (now.journal === "failed") said.push("The journal failed: changes are refused until it was read again.");
  if (now.exchange && !now.exchange.linked) said.push("No link to the other engines: screening goes on with what is known.");
  now.degraded.forEach(name => said.push(`The state is ${name}: ${short(now.staleness_ms)} ms old.`));
  now.alerts.standing.forEach(one => said.push(`${one.said} (${one.name}, since ${one.since})`));
  if (now.alerts.more) said.push(`${now.alerts.more} more alerts stand.`);
  (now.exchange?.engines ?? []).filter(one => !one.own && (one.behind_ms != null || one.held_back)).forEach(one => said.push(`Of ${one.engine}, something is missing here${one.held_back ? ` (held back: ${one.held_back})` : ""}.`));
  show(said);
}

const show = said => at("alarms").replaceChildren(...said.map(text => Object.assign(document.createElement("li"), { textContent: text })));

export function tables(points, now) {
  const last = points.at(-1);
  const reasons = {};
  points.forEach(point => Object.entries(point.not_screened).forEach(([why, n]) => { reasons[why] = (reasons[why] ?? 0) + n; }));
  fill("reasons", Object.entries(reasons).sort((a, b) => b[1] - a[1]).map(([why, n]) => [why, n, last?.not_screened[why] ?? 0]), "none in this span");

  const hits = {};
  points.forEach(point => Object.entries(point.rules).forEach(([id, some]) => { hits[id] = (hits[id] ?? [0, 0, 0]).map((n, place) => n + some[place]); }));
  const rules = Object.entries(now.rules).map(([id, all]) => [id, ...(hits[id] ?? [0, 0, 0]), all.enforced + all.shadow, all.precision == null ? "–" : `${(all.precision * 100).toFixed(1)} %`]);
  const hit = rules.filter(rule => rule[3] + rule[4] > 0).sort((a, b) => b[1] + b[2] - a[1] - a[2] || b[4] - a[4]);
  fill("rules", hit, "no rule has hit");
  say("rules-quiet", hit.length < rules.length ? `${rules.length - hit.length} of ${rules.length} rules have not hit since the start.` : "");

  const asked = {};
  points.forEach(point => Object.entries(point.callers).forEach(([name, some]) => { asked[name] = (asked[name] ?? 0) + some[0] + some[1] + some[2]; }));
  const seconds = last?.took_ms / 1e3 || 1;
  fill("callers", Object.entries(asked).sort((a, b) => b[1] - a[1]).map(([name, n]) => {
    const [decided, refused, operations] = last?.callers[name] ?? [0, 0, 0];
    return [name, (decided + refused) / seconds, refused / seconds, operations / seconds, n];
  }), "nobody in this span");

  const exchange = now.exchange;
  const ms = value => value == null ? "–" : `${value} ms`;
  say("exchange-line", !exchange ? "None: this engine's own journal is the exchange."
    : `${exchange.linked ? "Linked" : "No link"}; everywhere after p50 ${ms(exchange.propagation_ms.p50)}, p99 ${ms(exchange.propagation_ms.p99)}, max ${ms(exchange.propagation_ms.max)}; ${exchange.waiting} own records wait for the broker.`);
  const stands = one => one.own ? "this engine" : (one.live ? `heard ${one.heard_ms} ms ago` : one.heard_ms == null ? "not heard since the start" : `silent for ${(one.heard_ms / 1e3).toFixed(0)} s`)
    + (one.behind_ms == null ? "" : `, we lack something for ${one.behind_ms} ms`) + (one.held_back ? `, held back: ${one.held_back}` : "");
  at("engines").hidden = !exchange;
  fill("engines", (exchange?.engines ?? []).sort((a, b) => b.lacks - a.lacks).map(one => [one.engine, stands(one), one.lacks]), "none");

  say("reload-line", now.reload ? `Last load ${now.reload.at}: ${now.reload.succeeded ? now.reload.said : "refused"}` : "Loaded at the start.");
  at("reload-errors").hidden = !now.reload || now.reload.succeeded;
  say("reload-errors", now.reload && !now.reload.succeeded ? now.reload.said : "");
  fill("history", now.history.map(one => [one.at, one.how, one.by, one.rules, one.digest.slice(0, 12)]), "no history");

  const { standing, more, events } = now.alerts;
  say("noticed-line", standing.length ? `Alerts that stand, see above: ${standing.length + more}.` : "Nothing stands.");
  fill("noticed", events.map(one => [one.at, `${one.name}${one.about ? ` ${one.about}` : ""} ${one.begins ? "begins" : "ends"}`, one.said]), "nothing since the start");

  fill("holds", [
    ["Rule set", now.rule_set ? `${now.rule_set.rules} rules, ${now.rule_set.digest}` : "none: nothing is screened"],
    ["Position", `engine ${now.position.engine}, epoch ${now.position.epoch}, ${now.position.index} records`],
    ["Journal", now.journal],
    ["Flags", `${now.flags.subjects} subjects, ${now.flags.active} active`],
    ["Indicators", `${now.indicators.known} known, ${now.indicators.acting} act here`],
    ["Velocity", `${now.velocity.keys} keys, ${short(now.velocity.bytes / 1048576)} MiB`],
    ["Recent requests", `${now.recent.requests}, ${short(now.recent.bytes / 1048576)} MiB, ${now.recent.missed} missed`],
    ["Decision log", now.decision_log ? `${now.decision_log.written} answers, ${now.decision_log.waiting} on their way, ${now.decision_log.dropped} missing, ${now.decision_log.gaps} gaps${now.decision_log.well ? "" : "; IT CANNOT BE WRITTEN"}` : "off: every answer says unlogged"],
    ["Canary", !now.canary ? "none is set: nobody checks that flags act" : now.canary.last ? `${now.canary.last} ${now.canary.seconds_ago} s ago; ${Object.entries(now.canary.fates).map(([fate, n]) => `${n} ${fate}`).join(", ")}` : "none has come yet"],
    ["Recalls", String(now.recalls)],
    ["Version", now.version],
  ], "");
}
