// How a person's flags are shown, on the page and on the paper. Everything becomes text of elements: nothing that an engine
// says is ever read as HTML.

import { amount, has, list, t, time } from "./texts.js";

export const at = id => document.getElementById(id);

/// An element with properties and children.
export function el(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter(child => child !== null));
  return element;
}

export const acts = flag => flag.standing === "active" || flag.standing === "lifting";

/// What a flag does, as a sentence.
export function sentence(flag) {
  const [scope, above] = flag.scope.split(":");
  return t(`flag.${flag.wish}.${scope}`, { amount: above ? amount(above) : "" });
}

/// Where the newest word about a flag is enforced.
export function enforced(flag) {
  const where = flag.enforced;
  if (!where) return t("flag.enforced.alone");
  let text = t("flag.enforced.count", where);
  if (where.held > 0) text += t("flag.enforced.held", where);
  if (where.ms !== null) text += t("flag.enforced.ms", where);
  if (where.slowest) text += t("flag.enforced.slowest", { member: where.slowest });
  const lacking = where.of - where.at - where.held;
  if (lacking > 0) {
    text += t("flag.enforced.missing", { members: list(where.missing) });
    if (lacking > where.missing.length) text += t("flag.enforced.more");
  }
  return text;
}

const standing = flag => t(`standing.${flag.standing}`, { time: flag.lifted_from ? time(flag.lifted_from) : "" });

/// One flag, with what may be done about it.
export function card(flag, buttons) {
  const rows = [
    ["flag.stands", standing(flag)],
    ["flag.why", t(`reason.${flag.reason}`)],
    ["flag.until", flag.until],
    ["flag.raised", t("flag.raised.by", { time: time(flag.raised_at), member: flag.registrar, who: t(`by.${flag.requested_by}`) })],
  ];
  if (flag.compromised.length) rows.push(["flag.compromised", list(flag.compromised.map(method => t(`auth.${method}`)))]);
  if (acts(flag)) rows.push(["flag.enforced", enforced(flag)]);
  if (flag.passes) rows.push(["flag.passes", String(flag.passes)]);
  if (flag.lift_requests) rows.push(["flag.requests", t("flag.requests.count", { n: flag.lift_requests })]);
  if (flag.override_waits) rows.push(["flag.waits", t("flag.waits.one")]);
  const terms = rows.flatMap(([key, text]) => [el("dt", { textContent: t(key) }), el("dd", { textContent: text })]);
  return el("li", { className: acts(flag) ? "acts" : "over" },
    el("h3", { textContent: sentence(flag) }),
    el("dl", {}, ...terms),
    flag.linked ? el("p", { textContent: t("flag.linked") }) : null,
    buttons.length ? el("p", { className: "row buttons" }, ...buttons) : null);
}

const kinds = text => list(text.split(", ").map(kind => (has(`kind.${kind}`) ? t(`kind.${kind}`) : kind)));

/// The sentences of an engine's report, in the reader's language. One that is not known is shown as the engine says it.
const LINES = [
  [/^held by (\S+), this engine, since it was raised$/, "line.held", text => text],
  [/^enforced for (.+): they are not screened without a number$/, "line.enforced", kinds],
  [/^enforced for (.+) only where the provider sends the number$/, "line.where.sent", kinds],
  [/^not enforced for money that comes back: refund, reversal$/, "line.money.back", text => text],
  [/^looks by desks are known since (\S+)$/, "line.looks.desks", time],
  [/^looks at payments are known since (\S+)$/, "line.looks.payments", time],
];

export function line(text) {
  for (const [form, key, said] of LINES) {
    const found = form.exec(text);
    if (found) return t(key, { 0: found[1] === undefined ? "" : said(found[1]) });
  }
  return text;
}

/// Who has looked; what would be the same line is one, with how often.
export function looks(all) {
  const lines = new Map();
  for (const look of all) {
    const came = [look.outcome && t(`outcome.${look.outcome}`), look.review && t(`review.${look.review}`)].filter(Boolean);
    const cells = [time(look.at), t(`member.${look.member_kind}`), t(`looked.${look.by}`), came.join(", ")];
    const key = cells.join("|");
    lines.set(key, { cells, times: (lines.get(key)?.times ?? 0) + 1 });
  }
  return [...lines.values()].map(({ cells: [when, ...cells], times }) => el("tr", {}, ...[times > 1 ? `${when} × ${times}` : when, ...cells].map(textContent => el("td", { textContent }))));
}

/// What the person gets on paper. It does not bear the number: paper is left lying about.
export function sheet(report, me) {
  const flags = report.flags.filter(acts);
  const parts = [el("h1", { textContent: t("sheet.title") }), el("p", { textContent: t("sheet.at", { member: me.member, time: time(new Date()) }) })];
  if (!flags.length) return [...parts, el("p", { textContent: t("sheet.none") })];
  for (const flag of flags) {
    parts.push(el("h2", { textContent: sentence(flag) }));
    const facts = [["flag.stands", standing(flag)], ["flag.until", flag.until], ["flag.raised", t("flag.raised.by", { time: time(flag.raised_at), member: flag.registrar, who: t(`by.${flag.requested_by}`) })], ["flag.enforced", enforced(flag)]];
    if (flag.compromised.length) facts.push(["flag.compromised", list(flag.compromised.map(method => t(`auth.${method}`)))]);
    parts.push(el("ul", {}, ...facts.map(([key, text]) => el("li", { textContent: `${t(key)}: ${text}` }))));
  }
  parts.push(el("p", { textContent: t("sheet.free") }));
  parts.push(el("h2", { textContent: t("where") }), el("ul", {}, ...report.enforcement.map(text => el("li", { textContent: line(text) }))));
  if (report.looks.length) parts.push(el("h2", { textContent: t("looked") }), el("table", {}, el("tbody", {}, ...looks(report.looks))));
  parts.push(el("h2", { textContent: t("sheet.lift") }), el("p", { textContent: t("sheet.lift.how", { member: list([...new Set(flags.map(flag => flag.registrar))]) }) }));
  parts.push(el("p", { textContent: t("sheet.reference", { reference: flags[0].subject.slice(0, 8) }) }));
  return parts;
}
