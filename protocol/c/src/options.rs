//! How a client connects, as a caller in C says it.
#![expect(unsafe_code, reason = "texts of a C ABI are pointers that only the caller can vouch for")]

use crate::abi::sparr_status::{self, *};
use crate::client::{Blocking, TIMEOUT_DEFAULT};
use sparr_protocol::client::{ClientConfig, FailPolicy, Identity};
use sparr_protocol::codes::Kind;
use std::ffi::{CStr, c_char};
use std::net::ToSocketAddrs as _;
use std::path::Path;
use std::time::Duration;

/// How a client connects.
#[repr(C)]
pub struct sparr_options {
    /// Address of the engine, `host:port`.
    pub connect: *const c_char,
    /// Name that the engine's certificate must carry; NULL: the address without its port.
    pub engine_name: *const c_char,
    /// Folder with cert.pem, key.pem and ca.pem.
    pub identity: *const c_char,
    /// What to do with a request of each kind that was not screened: `card_payment=decline,invoice=hold,…`, with one of
    /// approve, challenge, hold and decline. `*=decline` is for every kind that is not named. There is no default.
    pub fail_policy: *const c_char,
    /// Longest wait for an answer, microseconds; 0: 250 ms.
    pub timeout_us: u32,
}

/// A text of the caller's.
///
/// # Safety
///
/// `text` is NULL, or ends with a zero byte and stays as it is during `'a`.
pub(crate) unsafe fn text<'a>(text: *const c_char) -> Result<&'a str, sparr_status> {
    if text.is_null() {
        return Err(SPARR_NULL_ARGUMENT);
    }
    // SAFETY: not NULL, and the caller vouches for the rest.
    unsafe { CStr::from_ptr(text) }.to_str().map_err(|_| SPARR_INVALID_ARGUMENT)
}

/// A client that connects as the options say; otherwise a status, and words for it.
///
/// # Safety
///
/// The texts of the options are NULL or valid.
pub(crate) unsafe fn make(options: &sparr_options) -> Result<Blocking, (sparr_status, String)> {
    let given = |pointer: *const c_char, name: &str| {
        // SAFETY: as the function says.
        unsafe { text(pointer) }.map_err(|status| (status, format!("{name} is NULL or not UTF-8")))
    };
    let connect = given(options.connect, "connect")?;
    let identity = Identity::from_dir(Path::new(given(options.identity, "identity")?))
        .map_err(|error| (SPARR_IDENTITY, error.to_string()))?;
    let policy = fail_policy(given(options.fail_policy, "fail_policy")?)
        .map_err(|problem| (SPARR_FAIL_POLICY, problem))?;
    let engine = connect.to_socket_addrs().ok().and_then(|mut all| all.next());
    let engine =
        engine.ok_or_else(|| (SPARR_INVALID_ARGUMENT, "connect is no address and port".to_owned()))?;
    let mut config = ClientConfig::new(engine, identity, policy);
    let host = connect.rsplit_once(':').map_or(connect, |(host, _)| host);
    config.engine_name = host.trim_matches(['[', ']']).to_owned();
    if !options.engine_name.is_null() {
        config.engine_name = given(options.engine_name, "engine_name")?.to_owned();
    }
    config.timeout = match options.timeout_us {
        0 => TIMEOUT_DEFAULT,
        us => Duration::from_micros(us.into()),
    };
    Blocking::start(config).map_err(|error| (SPARR_PANIC, error.to_string()))
}

/// Reads `kind=fallback` pairs; `*` stands for every kind that is not named.
fn fail_policy(text: &str) -> Result<FailPolicy, String> {
    let mut named = Vec::new();
    let mut others = None;
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let Some((kind, fallback)) = pair.split_once('=') else {
            return Err("fail policy: pairs of kind=fallback are expected".to_owned());
        };
        match kind.trim() {
            "*" => others = Some(fallback.trim()),
            kind => named.push((kind, fallback.trim())),
        }
    }
    let all = Kind::ALL.iter().map(|kind| kind.name());
    let filled = others.into_iter().flat_map(|fallback| all.clone().map(move |kind| (kind, fallback)));
    FailPolicy::from_pairs(filled.chain(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_says_something_about_every_kind_or_is_none() {
        use sparr_protocol::client::Fallback;
        let policy = fail_policy("*=decline, invoice=hold").expect("complete");
        assert_eq!(policy.for_kind(Kind::Invoice), Fallback::Hold);
        assert_eq!(policy.for_kind(Kind::CardPayment), Fallback::Decline);
        for incomplete in ["", "invoice=hold", "*=open", "cheque=hold,*=hold", "hold"] {
            assert!(fail_policy(incomplete).is_err(), "{incomplete}");
        }
    }
}
