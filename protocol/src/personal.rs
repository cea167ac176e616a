//! Text about a person: it cannot be printed, and its memory is wiped.

use std::fmt;
use zeroize::Zeroizing;

/// A value about a person on its way to an engine: a number, an e-mail address, an account, a card token.
///
/// It has no `Display`; its `Debug` says only that something is there. The bytes are overwritten when it goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Personal(Zeroizing<String>);

impl Personal {
    /// The value. Whoever calls this takes over the duty not to write it anywhere.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Personal {
    fn from(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }
}

impl From<String> for Personal {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Personal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<personal>")
    }
}
