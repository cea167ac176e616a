//! The exchange's part of the configuration: other members, and the legal basis of sharing.

use crate::policy::{LegalBasis, Sharing};
use crate::server::dev::OTHER_MEMBERS;
use serde::Deserialize;
use sparr_protocol::ids::MemberName;
use sparr_protocol::indicator::IndicatorKind;
use sparr_protocol::member::{MemberKey, MemberKind};
use sparr_protocol::time::Timestamp;
use std::collections::BTreeMap;

/// A member as the file names it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenMember {
    kind: String,
    key: Option<String>,
}

/// A legal basis as the file writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenBasis {
    kinds: Vec<String>,
    reference: String,
    assessment: String,
    valid_until: String,
}

/// A member that is known without an admission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredMember {
    /// Its name.
    pub member: MemberName,
    /// What kind of organisation it is.
    pub kind: MemberKind,
    /// Its signing key; zeros where it signs nothing.
    pub key: MemberKey,
}

pub(super) fn kind(key: &str, text: &str) -> Result<MemberKind, String> {
    MemberKind::parse(text).ok_or_else(|| {
        let kinds: Vec<&str> = MemberKind::ALL.iter().map(|kind| kind.name()).collect();
        format!("{key}: {text:?} is no kind of member; there are {}", kinds.join(", "))
    })
}

/// Reads 64 hexadecimal digits.
pub(crate) fn member_key(text: &str) -> Option<MemberKey> {
    let mut key = [0; 32];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != key.len() || !rest.is_empty() {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(pairs) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
    }
    Some(key)
}

pub(super) fn members(
    written: BTreeMap<String, WrittenMember>,
    dev: bool,
) -> Result<Vec<ConfiguredMember>, Vec<String>> {
    let (mut members, mut errors) = (Vec::new(), Vec::new());
    if dev && written.is_empty() {
        let known = OTHER_MEMBERS.iter().filter_map(|(name, kind)| {
            Some(ConfiguredMember { member: MemberName::parse(name)?, kind: *kind, key: [0; 32] })
        });
        return Ok(known.collect());
    }
    for (name, WrittenMember { kind: text, key }) in written {
        let at = format!("members.{name}");
        let member = MemberName::parse(&name).ok_or_else(|| {
            format!("{at}: a member's name is 1 to 24 lower-case letters, digits and inner hyphens")
        });
        let key = match key {
            None => Ok([0; 32]),
            Some(text) => member_key(&text)
                .ok_or_else(|| format!("{at}.key: expected 64 hexadecimal digits, a public key")),
        };
        match (member, kind(&format!("{at}.kind"), &text), key) {
            (Ok(member), Ok(kind), Ok(key)) => members.push(ConfiguredMember { member, kind, key }),
            (member, kind, key) => errors.extend([member.err(), kind.err(), key.err()].into_iter().flatten()),
        }
    }
    if errors.is_empty() { Ok(members) } else { Err(errors) }
}

pub(super) fn sharing(written: Vec<WrittenBasis>, dev: bool) -> Result<Sharing, Vec<String>> {
    let (mut sharing, mut errors) = (Sharing::default(), Vec::new());
    if dev && written.is_empty() {
        for kind in IndicatorKind::ALL {
            let (reference, assessment) = ("development".to_owned(), "no real data".to_owned());
            let valid_until = Timestamp::from_ms(i64::MAX);
            sharing.allow(*kind, LegalBasis { reference, assessment, valid_until });
        }
        return Ok(sharing);
    }
    for (at, basis) in written.into_iter().enumerate() {
        let at = format!("legal_basis {}", at + 1);
        let valid_until = format!("{}T00:00:00Z", basis.valid_until);
        let Some(valid_until) = Timestamp::parse(&valid_until) else {
            errors.push(format!("{at}.valid_until: {:?} is no date such as 2027-12-31", basis.valid_until));
            continue;
        };
        for (key, text) in [("reference", &basis.reference), ("assessment", &basis.assessment)] {
            if text.is_empty() || text.len() > 100 {
                errors.push(format!("{at}.{key}: 1 to 100 characters"));
            }
        }
        for name in &basis.kinds {
            match IndicatorKind::parse(name) {
                None => errors.push(format!("{at}.kinds: no indicator is of kind {name:?}")),
                Some(kind) if kind.is_local() => {
                    errors.push(format!("{at}.kinds: {name} means something at its own member alone"));
                }
                Some(kind) => {
                    let (reference, assessment) = (basis.reference.clone(), basis.assessment.clone());
                    sharing.allow(kind, LegalBasis { reference, assessment, valid_until });
                }
            }
        }
    }
    if errors.is_empty() { Ok(sharing) } else { Err(errors) }
}
