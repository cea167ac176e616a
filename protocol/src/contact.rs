//! Contact values in canonical form: e-mail address, phone number, domain.
//!
//! Canonical forms are written into a buffer on the stack: a look-up key is made of them and nothing is kept.

/// Longest canonical value.
pub const CANONICAL_BYTES_MAX: usize = crate::limits::TEXT_BYTES_MAX;

/// A canonical value in a buffer of its own.
pub struct Canonical {
    bytes: [u8; CANONICAL_BYTES_MAX],
    len: u8,
}

impl Canonical {
    fn lower_case(text: &str) -> Self {
        let mut canonical = Self { bytes: [0; CANONICAL_BYTES_MAX], len: text.len() as u8 };
        let bytes = &mut canonical.bytes[..text.len()];
        bytes.copy_from_slice(text.as_bytes());
        bytes.make_ascii_lowercase();
        canonical
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl Drop for Canonical {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.bytes[..usize::from(self.len)]);
    }
}

/// An e-mail address in lower case. Plus-tags and dots are kept: folding them is a provider's habit, no standard.
///
/// The local part's characters are those of RFC 5321's dot-string; quoted strings are refused.
pub fn email(text: &str) -> Option<Canonical> {
    let (local, domain) = text.rsplit_once('@')?;
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-.".contains(&byte);
    let local_is_dot_string = !local.is_empty()
        && local.len() <= 64
        && local.bytes().all(atom)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..");
    (text.len() <= CANONICAL_BYTES_MAX && local_is_dot_string && is_domain(domain))
        .then(|| Canonical::lower_case(text))
}

/// The domain of an e-mail address, as it was written.
pub fn email_domain(address: &str) -> Option<&str> {
    address.rsplit_once('@').map(|(_, domain)| domain)
}

/// A host name in lower case without a trailing dot; internationalised names travel as `xn--…`.
pub fn domain(text: &str) -> Option<Canonical> {
    is_domain(text).then(|| Canonical::lower_case(text))
}

/// RFC 1123 host name of at least two labels, the last of which is letters or an `xn--` form (RFC 3696, section 2).
fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let top = text.rsplit('.').next().unwrap_or_default();
    let top_is_a_name = top.bytes().all(|byte| byte.is_ascii_alphabetic()) || top.starts_with("xn--");
    text.len() <= 253 && text.contains('.') && top_is_a_name && text.split('.').all(label)
}

/// A phone number in E.164: `+`, a country code that does not begin with 0, 7 to 15 digits in all.
pub fn phone(text: &str) -> Option<&str> {
    let digits = text.strip_prefix('+')?.as_bytes();
    let spelled = digits.iter().all(u8::is_ascii_digit) && digits.first() != Some(&b'0');
    (spelled && (7..=15).contains(&digits.len())).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::test_data;

    #[test]
    fn contact_values_have_one_form() {
        let ok = |found: Option<Canonical>| found.map(|canonical| canonical.as_str().to_owned());
        assert_eq!(ok(email("Anna.Berg+shop@Example.SE")).as_deref(), Some("anna.berg+shop@example.se"));
        assert_eq!(ok(domain("XN--Frken-Gra.example")).as_deref(), Some("xn--frken-gra.example"));
        for bad in ["", "a", "a@", "@b.se", "a@b", "a b@c.se", "a@b..se", ".a@b.se", "å@b.se", "a@-b.se"] {
            assert!(email(bad).is_none(), "{bad:?}");
        }
        for good in ["+46701234567", "+4670123"] {
            assert_eq!(phone(good), Some(good));
        }
        for bad in ["0701234567", "+0701234567", "+46 70 123", "+46", "+1234567890123456", "46701234567"] {
            assert_eq!(phone(bad), None, "{bad:?}");
        }
    }

    /// What a peer's validator accepts as an e-mail address or a domain is accepted here, but for what this form
    /// leaves out by name; what it refuses is refused.
    #[test]
    fn peers_values_are_classified_alike() {
        // The peer refuses it by a list of top-level domains; this is syntax alone.
        const OTHERWISE: &[&str] = &["11.twitter"];
        let Some(path) =
            test_data("peer-tests/net-values/validators_values.jsonl", "agreement on e-mail and domains")
        else {
            return;
        };
        let (mut checked, mut disagreements) = (0, Vec::new());
        for line in std::fs::read_to_string(path).expect("readable").lines() {
            let case: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let (kind, value) = (case["kind"].as_str().unwrap_or(""), case["value"].as_str().unwrap_or(""));
            let ours = match kind {
                "email" => email(value).is_some(),
                "domain" => domain(value).is_some(),
                _ => continue,
            };
            checked += 1;
            let left_out = !value.is_ascii() || value.contains(['"', '[', '_']) || value.ends_with('.');
            if (case["valid"] == false || !left_out) && !OTHERWISE.contains(&value) {
                disagreements.extend((ours != (case["valid"] == true)).then(|| format!("{kind} {value:?}")));
            }
        }
        assert_eq!(disagreements, Vec::<String>::new());
        assert!(checked > 20, "only {checked} values");
    }
}
