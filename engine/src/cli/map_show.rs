//! What `sparr map` says of each message: for people, and for scripts. No value of a message is in it.

use crate::edge::{Item, Place};
use serde_json::{Value, json};

/// A message and its number in the file, from 1.
pub(super) struct Shown<'i> {
    pub(super) number: usize,
    pub(super) item: &'i Item,
}

/// Two or three lines for people.
pub(super) fn report_text(shown: &Shown<'_>) -> String {
    let Shown { number, item } = shown;
    let name = if item.message.is_empty() { String::new() } else { format!(" {}", item.message) };
    let head = format!("message {number}{name} ({})", item.place);
    match &item.mapped {
        Err(refused) => format!("{head}: refused: {refused}"),
        Ok(mapped) => {
            let used: Vec<_> =
                mapped.used.iter().map(|used| format!("{} as {}", used.element, used.field)).collect();
            // Elements with one reason stand together.
            let mut left: Vec<(&str, Vec<&str>)> = Vec::new();
            for one in &mapped.left {
                match left.iter_mut().find(|(why, _)| *why == one.why) {
                    Some((_, elements)) => elements.push(&one.element),
                    None => left.push((one.why, vec![&one.element])),
                }
            }
            let left: Vec<_> =
                left.into_iter().map(|(why, elements)| format!("{} ({why})", elements.join(", "))).collect();
            let left =
                if left.is_empty() { String::new() } else { format!("\n  not used: {}", left.join("; ")) };
            format!("{head}: request {}\n  used: {}{left}", mapped.request.request_id, used.join(", "))
        }
    }
}

/// One object for scripts.
pub(super) fn report_json(shown: &Shown<'_>) -> Value {
    let Shown { number, item } = shown;
    let mut object = json!({ "number": number, "message": item.message, "at": place(item.place) });
    let (key, value) = match &item.mapped {
        Err(refused) => (
            "refused",
            json!({
                "code": refused.refusal.name(), "element": refused.element, "at": place(refused.place),
                "problem": refused.to_string(),
            }),
        ),
        Ok(mapped) => {
            let used = mapped.used.iter().map(|one| json!({ "element": one.element, "field": one.field }));
            let left = mapped.left.iter().map(|one| json!({ "element": one.element, "why": one.why }));
            let value = json!({
                "request_id": mapped.request.request_id.to_string(),
                "used": used.collect::<Vec<_>>(), "not_used": left.collect::<Vec<_>>(),
            });
            ("mapped", value)
        }
    };
    object[key] = value;
    object
}

fn place(place: Place) -> Value {
    match place {
        Place::Byte(byte) => json!({ "byte": byte }),
        Place::Line(line, column) => json!({ "line": line, "column": column }),
    }
}
