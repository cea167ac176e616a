//! What stands in `config/edge/iso8583.toml`: the layout, and what codes of networks mean.

use super::layout::Layout;
use crate::edge::answers::Answers;
use crate::edge::table::{self, Findings};
use sparr_protocol::codes::{Channel, EntryMode, Kind};

/// A table for card messages.
#[derive(Clone, Debug)]
pub struct Tables {
    /// How messages are written.
    pub layout: Layout,
    /// How many digits of a card number `card_bin` carries, where the number has at least 16; of a shorter one it is six.
    pub(super) card_bin_digits: usize,
    /// First two digits of the processing code.
    pub(super) kinds: Vec<(String, Kind)>,
    /// First two digits of the point-of-service entry mode.
    pub(super) entry_modes: Vec<(String, EntryMode)>,
    /// Point-of-service condition code.
    pub(super) channels: Vec<(String, Channel)>,
    /// Field 39.
    pub answers: Answers<String>,
}

/// A code of so many digits, as a key of a table.
fn digits(count: usize) -> impl Fn(&str) -> Option<String> {
    move |text| {
        (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.to_owned())
    }
}

impl Tables {
    /// Reads a table; `None` where anything was found.
    pub fn read(text: &str, findings: &mut Findings) -> Option<Self> {
        table::read(text, findings, |whole, findings| {
            whole.only(
                &["standard", "message", "elements", "card", "kind", "entry_mode", "channel", "answer"],
                findings,
            );
            whole.need("standard", "\"iso8583\"", findings, |name| (name == "iso8583").then_some(()));
            let layout = Layout::read(whole, findings);
            let card = whole.section("card", findings);
            card.only(&["bin_digits"], findings);
            let bin = |text: &str| text.parse().ok().filter(|digits| (6..=8).contains(digits));
            let card_bin_digits = card.need("bin_digits", "\"6\", \"7\" or \"8\"", findings, bin);
            let two = "two digits";
            let kinds = whole.section("kind", findings).all(
                two,
                "a kind of request",
                findings,
                digits(2),
                Kind::parse,
            );
            let entry_modes = whole.section("entry_mode", findings).all(
                two,
                "an entry mode of requests",
                findings,
                digits(2),
                EntryMode::parse,
            );
            let channels = whole.section("channel", findings).all(
                two,
                "a channel of requests",
                findings,
                digits(2),
                Channel::parse,
            );
            let field_39 = |code: &str| {
                let legal = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
                legal.then(|| code.to_owned())
            };
            let answers =
                Answers::read(whole, findings, "a response code of two letters or digits", field_39);
            Some(Self {
                layout: layout?,
                card_bin_digits: card_bin_digits?,
                kinds,
                entry_modes,
                channels,
                answers: answers?,
            })
        })
    }
}
