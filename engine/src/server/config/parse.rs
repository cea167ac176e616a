//! The file's text, with the place of what is wrong and the key that was probably meant.

use super::{Written, keys};
use sparr_protocol::text::nearest;

/// Reads the keys of a file.
pub(super) fn parse(text: &str) -> Result<Written, String> {
    toml::from_str(text).map_err(|error| {
        let (line, column) = error.span().map_or((1, 1), |span| {
            let before = &text[..span.start.min(text.len())];
            (before.matches('\n').count() + 1, before.chars().rev().take_while(|c| *c != '\n').count() + 1)
        });
        let hint = unknown_key(error.message()).map_or_else(String::new, |key| {
            nearest(key, keys::names()).map_or_else(String::new, |near| format!("; did you mean {near:?}?"))
        });
        format!("line {line}, column {column}: {}{hint}", error.message())
    })
}

fn unknown_key(message: &str) -> Option<&str> {
    message.strip_prefix("unknown field `")?.split('`').next()
}
