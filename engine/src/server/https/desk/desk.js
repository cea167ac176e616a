// The desk page: a number goes in, a person's flags come out, and what the desk may do about them.
//
// The number is in the field, and in `person` here, and in the bodies of requests: in no address, storage or title. The page
// forgets it when nobody touches it for a while.

import { ask } from "./forms.js";
import { acts, at, card, el, line, looks, sheet } from "./shown.js";
import { choose, current, has, speak, t, time } from "./texts.js";

let me = null, person = null, report = null;

/// Asks the engine. What is wrong comes back as words; `refused` says that nothing was changed for certain.
async function post(what, key) {
  const lost = { wrong: { text: t(key ? "lost" : "lost.look"), refused: false } };
  try {
    const headers = { "Content-Type": "application/json", ...(key ? { "Idempotency-Key": key } : {}) };
    const answer = await fetch("/v1/flags", { method: "POST", headers, body: JSON.stringify(what), cache: "no-store" });
    const said = await answer.json();
    if (answer.ok) return { said };
    if (said.code === "no_answer") return lost;
    return { wrong: { text: t("refused", { why: has(`refused.${said.code}`) ? t(`refused.${said.code}`) : said.detail || said.code }), refused: true } };
  } catch {
    return lost;
  }
}

function say(text, isWrong = false) {
  at("said").textContent = text;
  at("said").classList.toggle("wrong", isWrong);
}

const may = right => me?.rights.some(given => given.right === right) ?? false;
const button = (key, act, values, strong) => el("button", { type: "button", textContent: t(key, values), className: strong ? "strong" : "", onclick: act });

async function look(quietly) {
  const of = person;
  if (!quietly) say(t("looking"));
  const { said, wrong } = await post({ operation: "report", ...of });
  // Another person may stand at the desk by now.
  if (of !== person) return;
  if (wrong) {
    if (!quietly) forget();
    return say(wrong.text, true);
  }
  report = said;
  if (!quietly) say("");
  show();
  if (!quietly) at("person").focus();
}

function show() {
  at("person").hidden = !report;
  if (!report) return;
  at("standing").textContent = t(report.flagged ? "flagged" : "not.flagged");
  const own = report.flags.find(flag => flag.registrar === me.member && acts(flag));
  const actions = [];
  if (may("flag_raise")) actions.push(button(own ? "do.replace" : "do.raise", () => change("raise", own), {}, !own));
  actions.push(button("do.print", paper), button("do.refresh", () => look(false)));
  at("actions").replaceChildren(...actions);
  at("flags").replaceChildren(...report.flags.map(flag => card(flag, buttons(flag))));
  at("where").hidden = !report.enforcement.length;
  at("lines").replaceChildren(...report.enforcement.map(text => el("li", { textContent: line(text) })));
  at("looked").hidden = !report.looks.length;
  at("looks").replaceChildren(...looks(report.looks));
}

function buttons(flag) {
  if (!acts(flag)) return [];
  const member = { member: flag.registrar };
  const all = [];
  if (flag.registrar === me.member) {
    if (flag.standing === "active" && may("flag_pass")) all.push(button("do.pass", () => change("pass", flag)));
    if (flag.standing === "active" && may("flag_extend")) all.push(button("do.extend", () => change("extend", flag)));
    if (flag.standing === "active" && may("flag_lift")) all.push(button("do.lift", () => change("lift", flag)));
  } else if (may("flag_lift_request")) {
    all.push(button("do.lift_request", () => change("lift_request", flag), member));
  }
  if (may("flag_override")) all.push(button(flag.override_waits ? "do.override.second" : "do.override", () => change("override", flag), member));
  return all;
}

function change(operation, flag) {
  const values = { member: flag?.registrar ?? me.member, hours: operation === "pass" ? me.pass_hours_max : me.lift_cooling_off_hours };
  const replaces = operation === "raise" && flag;
  const second = operation === "override" && flag.override_waits;
  const note = operation === "lift" && !me.lift_cooling_off_hours ? "note.lift.now" : `note.${replaces ? "replace" : operation}`;
  const title = t(second ? "do.override.second" : `do.${replaces ? "replace" : operation}`, values);
  const of = person;
  const send = async (what, key) => {
    const { said, wrong } = await post({ ...what, ...of }, key);
    if (wrong) return wrong;
    done(operation, said, flag);
    await look(true);
    follow(of, 3);
    return null;
  };
  ask({ operation, title, note: t(note, values), flag, me, send });
}

function done(operation, said, flag) {
  const waits = new Date(said.effective_from) - Date.now() > 60_000;
  if (said.second_person_needed) say(t("done.second"));
  else if (operation === "lift_request") say(t("done.lift_request", { member: flag.registrar }));
  else say(waits ? t("done.from", { time: time(said.effective_from) }) : t("done"));
}

/// Reads again until the change is enforced everywhere, a few times.
function follow(of, times) {
  const lacks = report?.flags.some(flag => acts(flag) && flag.enforced && flag.enforced.at + flag.enforced.held < flag.enforced.of);
  if (!lacks || times === 0) return;
  setTimeout(async () => {
    if (of !== person || at("act").open) return;
    await look(true);
    follow(of, times - 1);
  }, 1_000);
}

function paper() {
  at("sheet").replaceChildren(...sheet(report, me));
  print();
}

/// The next person must not see the one before.
function forget() {
  person = report = null;
  at("act").close();
  at("sheet").replaceChildren();
  for (const id of ["flags", "lines", "looks", "actions"]) at(id).replaceChildren();
  show();
}

function clear() {
  forget();
  at("find").reset();
  foreign();
  say("");
  at("number").focus();
}

function foreign() {
  const is = at("kind").value === "foreign";
  at("country-label").hidden = !is;
  at("country").required = is;
}

function who() {
  if (!me) return;
  const { id, member, engine_of: engine, role } = me;
  at("who").textContent = t(engine === member ? "who" : "who.elsewhere", { id, member, engine });
  at("look").disabled = !may("flag_report");
  if (!may("flag_report")) say(t("no.desk", { role }), true);
}

async function begin() {
  at("language").value = current();
  speak();
  try {
    const answer = await fetch("/v1/me", { cache: "no-store" });
    const said = await answer.json();
    if (!answer.ok) return say(t("refused", { why: has(`refused.${said.code}`) ? t(`refused.${said.code}`) : said.detail }), true);
    me = said;
    who();
  } catch {
    say(t("lost.look"), true);
  }
  at("number").focus();
}

at("find").addEventListener("submit", event => {
  event.preventDefault();
  forget();
  const kind = at("kind").value;
  person = { subject: at("number").value.trim(), subject_kind: kind, ...(kind === "foreign" ? { subject_country: at("country").value.toUpperCase() } : {}) };
  look(false);
});
at("kind").addEventListener("change", foreign);
at("clear").addEventListener("click", clear);
at("language").addEventListener("change", event => {
  choose(event.target.value);
  who();
  show();
});
addEventListener("keydown", event => {
  const isField = ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName);
  if (event.key !== "/" || isField || at("act").open) return;
  event.preventDefault();
  at("number").focus();
  at("number").select();
});

let touched = Date.now();
for (const kind of ["keydown", "pointerdown", "input"]) addEventListener(kind, () => { touched = Date.now(); }, { capture: true, passive: true });
setInterval(() => {
  const isIdle = Date.now() - touched > Number(document.body.dataset.idleSeconds) * 1_000;
  if (!isIdle || (!person && !at("number").value)) return;
  clear();
  say(t("forgotten"));
}, 1_000);
// A page that is gone back to shows nobody.
addEventListener("pagehide", clear);
addEventListener("afterprint", () => at("sheet").replaceChildren());

begin();
