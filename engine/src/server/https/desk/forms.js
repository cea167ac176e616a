// What a desk may ask for: the fields of each operation, as a dialog. The names of fields are those of /v1/flags.

import { at, el } from "./shown.js";
import { t } from "./texts.js";

const AUTH = ["bankid", "freja", "in_person", "passkey", "card_reader", "otp_app", "otp_sms", "password", "card_pin", "biometric", "three_d_secure", "other"];
const BY = ["self", "guardian", "trustee", "estate", "police"];
const REASONS = ["suspected-fraud", "stolen-identity", "lost-document", "scam", "precaution"];
const HOUR_MS = 3_600_000;

const option = (value, text) => el("option", { value, textContent: text });
const labelled = (key, field) => el("label", { className: "field" }, el("span", { textContent: t(key) }), field);
const select = (id, key, values, text) => labelled(key, el("select", { id }, ...values.map(value => option(value, t(`${text}.${value}`)))));

function radios(name, key, values, chosen) {
  const one = value => el("label", { className: "choice" }, el("input", { type: "radio", name, value, checked: value === chosen }), " ", el("span", { textContent: t(`${name}.${value}`) }));
  return el("fieldset", {}, el("legend", { textContent: t(key) }), ...values.map(one));
}

const chosen = name => document.querySelector(`#act-fields input[name=${name}]:checked`).value;
const text = id => at(id).value.trim();

/// Who asked and how they were known; every change says it.
const asked = () => [select("by", "field.requested_by", BY, "by"), select("auth", "field.authenticated_by", AUTH, "auth")];
const said = () => ({ requested_by: at("by").value, authenticated_by: at("auth").value });

/// A day as a date field has it, from now on.
function day(years) {
  const date = new Date();
  date.setFullYear(date.getFullYear() + years);
  return date.toISOString().slice(0, 10);
}

const until = value => labelled("field.until", el("input", { id: "until", type: "date", required: true, value, min: day(0) }));

function compromised(of) {
  const one = value => el("label", { className: "choice" }, el("input", { type: "checkbox", name: "compromised", value, checked: of.includes(value) }), " ", el("span", { textContent: t(`auth.${value}`) }));
  return el("fieldset", {}, el("legend", { textContent: t("field.compromised") }), el("div", { className: "columns" }, ...AUTH.map(one)));
}

/// Each operation: its fields, of what is known; and what they say. A field that the engine would refuse is refused here first
/// by the browser's own means.
const OPERATIONS = {
  raise: {
    fields(flag) {
      const [scope, above] = (flag?.scope ?? "any").split(":");
      const amount = labelled("field.amount", el("input", { id: "amount", type: "number", min: 1, step: 1, value: above?.endsWith("SEK") ? parseInt(above, 10) : "" }));
      const show = () => {
        amount.hidden = chosen("scope") !== "above";
        at("amount").required = !amount.hidden;
      };
      const scopes = radios("scope", "field.scope", ["any", "credit", "above"], scope);
      scopes.addEventListener("change", show);
      queueMicrotask(show);
      const reason = select("reason", "field.reason", REASONS, "reason");
      if (flag) reason.querySelector("select").value = flag.reason;
      return [radios("wish", "field.wish", ["verify", "deny"], flag?.wish ?? "verify"), scopes, amount, reason, until(flag?.until ?? day(1)), compromised(flag?.compromised ?? []), ...asked()];
    },
    says() {
      const scope = chosen("scope");
      const lost = [...document.querySelectorAll("#act-fields input[name=compromised]:checked")].map(box => box.value);
      return { wish: chosen("wish"), scope: scope === "above" ? `above:${text("amount")}SEK` : scope, reason: at("reason").value, until: at("until").value, compromised: lost, ...said() };
    },
  },
  extend: {
    fields: flag => [until(flag.until), ...asked()],
    says: () => ({ until: at("until").value, ...said() }),
  },
  pass: {
    fields: (flag, me) => [
      labelled("field.merchant", el("input", { id: "merchant", type: "text", required: true, maxLength: 48, autocomplete: "off" })),
      labelled("field.max", el("input", { id: "max", type: "number", required: true, min: 1, step: 1 })),
      labelled("field.hours", el("input", { id: "hours", type: "number", required: true, min: 1, max: me.pass_hours_max, step: 1, value: 4 })),
      ...asked(),
    ],
    says() {
      // A minute less than the most, for clocks that do not agree.
      const end = Date.now() + Number(text("hours")) * HOUR_MS - 60_000;
      return { merchant: text("merchant"), max: `${text("max")}SEK`, until: new Date(end).toISOString(), ...said() };
    },
  },
  lift: {
    fields: () => [...asked(), el("label", { className: "field choice" }, el("input", { id: "second", type: "checkbox" }), " ", el("span", { textContent: t("field.second_channel") }))],
    says: () => ({ ...said(), ...(at("second").checked ? { confirmed_by: "second-channel" } : {}) }),
  },
  lift_request: {
    fields: () => asked(),
    says: () => said(),
    of: flag => ({ registrar: flag.registrar }),
  },
  override: {
    fields: () => [],
    says: () => ({}),
    of: flag => ({ registrar: flag.registrar }),
  },
};

/// Asks for what an operation needs. `send` gets the operation and its idempotency key, and gives back what is wrong, or
/// nothing; the same answers under the same key are the same change, however often they are sent.
export function ask({ operation, title, note, flag, me, send }) {
  const { fields, says, of } = OPERATIONS[operation];
  const dialog = at("act"), form = at("act-form");
  at("act-title").textContent = title;
  at("act-note").textContent = note;
  at("act-do").textContent = title;
  at("act-said").textContent = "";
  at("act-fields").replaceChildren(...fields(flag, me));
  let key = null, sent = null;
  form.onsubmit = async event => {
    event.preventDefault();
    // An end that is counted from now stays what it was when the same is sent again.
    const wanted = JSON.stringify([...new FormData(form)].concat([...form.querySelectorAll("input, select")].map(field => field.type === "checkbox" || field.type === "radio" ? field.checked : field.value)));
    if (sent?.wanted !== wanted) {
      key = crypto.randomUUID();
      sent = { wanted, what: { operation, ...says(), ...(of ? of(flag) : {}) } };
    }
    at("act-do").disabled = true;
    at("act-said").textContent = "";
    const wrong = await send(sent.what, key);
    at("act-do").disabled = false;
    if (!wrong) return dialog.close();
    at("act-said").textContent = wrong.text;
    // What was refused was not done: the next try is another one.
    if (wrong.refused) sent = null;
  };
  dialog.showModal();
}

at("act-cancel").addEventListener("click", () => at("act").close());
// Closed, it keeps nothing.
at("act").addEventListener("close", () => at("act-fields").replaceChildren());
