//! What stands in `config/edge/iso20022.toml`: namespaces, kinds, schemes of accounts, statuses and reasons.

use crate::edge::answers::Answers;
use crate::edge::table::{self, Findings};
use crate::rules::Code;
use sparr_protocol::codes::Kind;
use sparr_protocol::place::Country;

/// A table for transfers in XML.
#[derive(Clone, Debug)]
pub struct Tables {
    /// Names of messages beside their standard namespace: national ones.
    pub(super) namespaces: Vec<(String, String)>,
    /// What makes a transfer another kind: an element's path, its text, and the kind. The first that holds.
    pub(super) kinds: Vec<(String, String, Kind)>,
    /// Scheme of an account that is no IBAN, by the code or the proprietary name of its scheme.
    pub(super) account_schemes: Vec<(String, String)>,
    /// The country whose persons and organisations are known by their Swedish numbers.
    pub(super) home: Country,
    /// Status and reason of a pacs.002.
    pub answers: Answers<Status>,
}

/// What a pacs.002 says of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// `TxSts`: four letters of the external code set.
    pub status: String,
    /// `StsRsnInf/Rsn/Cd`: four letters or digits.
    pub reason: Option<String>,
}

impl Status {
    /// Reads `RJCT FRAD`, or `ACCP`.
    fn parse(text: &str) -> Option<Self> {
        let is_code = |code: &str| {
            code.len() == 4 && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        };
        let (status, reason) = match text.split_once(' ') {
            Some((status, reason)) => (status, Some(reason)),
            None => (text, None),
        };
        (is_code(status) && reason.is_none_or(is_code))
            .then(|| Self { status: status.to_owned(), reason: reason.map(str::to_owned) })
    }
}

/// Messages that are read, by their short names.
pub(super) const READ: [&str; 2] = ["pacs.008", "pain.001"];

/// Schemes of accounts that a request knows.
const SCHEMES: [&str; 4] = ["bban", "bg", "pg", "swish"];

impl Tables {
    /// Reads a table; `None` where anything was found.
    pub fn read(text: &str, findings: &mut Findings) -> Option<Self> {
        table::read(text, findings, |whole, findings| {
            whole.only(&["standard", "namespace", "kind", "account_scheme", "party", "answer"], findings);
            whole.need("standard", "\"iso20022\"", findings, |name| (name == "iso20022").then_some(()));
            let any = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let namespaces = whole.section("namespace", findings).all(
                "a namespace",
                "pacs.008 or pain.001",
                findings,
                any,
                |name| READ.contains(&name).then(|| name.to_owned()),
            );
            let mut kinds = Vec::new();
            for entry in whole.list("kind", findings) {
                entry.only(&["path", "text", "kind"], findings);
                let path = entry.need("path", "a path such as PmtTpInf/LclInstrm/Cd", findings, any);
                let text = entry.need("text", "a text", findings, any);
                let kind = entry.need("kind", "transfer, instant, payout or refund", findings, |name| {
                    Kind::parse(name).filter(|kind| {
                        matches!(kind, Kind::Transfer | Kind::Instant | Kind::Payout | Kind::Refund)
                    })
                });
                if let (Some(path), Some(text), Some(kind)) = (path, text, kind) {
                    kinds.push((path, text, kind));
                }
            }
            let account_schemes = whole.section("account_scheme", findings).all(
                "a scheme's code or proprietary name",
                "bban, bg, pg or swish",
                findings,
                any,
                |name| SCHEMES.contains(&name).then(|| name.to_owned()),
            );
            let party = whole.section("party", findings);
            party.only(&["home_country"], findings);
            let home = party.need("home_country", "a two-letter country", findings, Country::parse);
            if home.is_some_and(|home| home.alpha2() != "SE") {
                let swedish = "only Swedish numbers can be checked: `home_country` is \"SE\"";
                findings.say(Code::Value, 0..0, swedish);
            }
            let answers = Answers::read(
                whole,
                findings,
                "a status and, where it has one, a reason: \"RJCT FRAD\"",
                Status::parse,
            );
            Some(Self { namespaces, kinds, account_schemes, home: home?, answers: answers? })
        })
    }
}
