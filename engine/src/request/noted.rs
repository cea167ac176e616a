//! What screening has worked out of a request, for whoever keeps the request: identities are not read, and keys not made, a
//! second time.

use super::{KeyName, Keyring, KeysMade, LivePseudonyms, Request};
use sparr_protocol::contact;
use sparr_protocol::ids::Pseudonym;
use sparr_protocol::time::Timestamp;
use sparr_protocol::view::RequestView;

/// Identities of a request that was screened, and those of its keys that were needed.
#[derive(Clone, Copy, Debug)]
pub struct Noted {
    subject: Option<LivePseudonyms>,
    payee_subject: Option<LivePseudonyms>,
    merchant_org: Option<LivePseudonyms>,
    age_years: Option<u8>,
    event_time: Timestamp,
    keys: KeysMade,
}

impl Noted {
    /// Notes what is known of a request.
    pub(crate) fn of(request: &Request<'_>, keys: &KeysMade) -> Self {
        Self {
            subject: request.subject,
            payee_subject: request.payee_subject,
            merchant_org: request.merchant_org,
            age_years: request.age_years,
            event_time: request.event_time,
            keys: *keys,
        }
    }
}

impl<'a> Request<'a> {
    /// A request that was screened. `None` where `message` is not the one that was.
    pub(crate) fn noted(message: &'a [u8], noted: &Noted) -> Option<Self> {
        // Its forms were checked then.
        let view = RequestView::parse_rewritten(message).ok()?;
        Some(Self {
            view,
            subject: noted.subject,
            payee_subject: noted.payee_subject,
            merchant_org: noted.merchant_org,
            event_time: noted.event_time,
            age_years: noted.age_years,
            email: view.email().and_then(contact::email),
            domain: view.domain().and_then(contact::domain),
            known: None,
            made: Some(Box::new(noted.keys)),
        })
    }

    /// Makes the pseudonyms of these keys now, so that nobody waits for them later.
    pub(crate) fn make_keys(&mut self, names: impl Iterator<Item = KeyName>, keyring: &Keyring) {
        let mut keys = KeysMade::default();
        names.for_each(|name| keys[name as usize] = Some(self.key(name, keyring)));
        self.made = Some(Box::new(keys));
    }

    /// A key that was made already, whether or not the request carries it.
    pub(super) fn made(&self, name: KeyName) -> Option<Option<Pseudonym>> {
        self.made.as_ref().and_then(|keys| keys[name as usize])
    }

    /// The same under each live key: during a rotation there are two, and only one was made.
    pub(super) fn made_live(&self, name: KeyName, keyring: &Keyring) -> Option<LivePseudonyms> {
        if keyring.is_rotating() {
            return None;
        }
        let key = self.made(name).flatten()?;
        Some(LivePseudonyms { current: (keyring.current_id(), key), previous: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Known, NetworkKey};
    use sparr_protocol::codes::Kind;
    use sparr_protocol::ids::RequestId;
    use sparr_protocol::limits::FRAME_HEADER_BYTES;
    use sparr_protocol::request::{AuthorisationRequest, PanDigest};

    fn key(id: u16) -> NetworkKey {
        NetworkKey::new(id, [id as u8; 32].into())
    }

    /// What is kept of a noted request is what is kept of one that was read again, whichever keys were made, and during a
    /// rotation too.
    #[test]
    fn a_noted_request_is_known_by_the_same_pseudonyms() {
        let now = Timestamp::from_ms(1_795_348_800_000);
        let mut all = AuthorisationRequest::new(RequestId([9; 16]), Kind::Invoice, now);
        all.subject = Some("121212+1212".into());
        all.payee_subject = Some("191212121212".into());
        all.payer_account = Some("iban:SE4550000000058398257466".into());
        all.payee_account = Some("iban:SE4550000000058398257466".into());
        all.email = Some("Anna@Example.se".into());
        all.phone = Some("+46701740605".into());
        all.ip = "192.0.2.1".parse().ok();
        all.domain = Some("Shop.Example".to_owned());
        all.device_id = Some("d1".into());
        all.pan_digest = Some(PanDigest([3; 16]));
        let by_token = AuthorisationRequest { card_token: Some("tok-1".into()), ..all.clone() };
        for request in [all, by_token] {
            let mut frame = Vec::new();
            request.encode(&mut frame).expect("it fits");
            let message = &frame[FRAME_HEADER_BYTES..];
            for keyring in [Keyring::new(key(1), None), Keyring::new(key(2), Some(key(1)))] {
                let read = Request::parse(message, &keyring, now.date(), now)
                    .unwrap_or_else(|why| panic!("{why:?}"));
                let expected = Known::of(&read, &keyring);
                assert!(expected.all().count() >= 10);
                for made in [&KeyName::ALL[..], &[KeyName::Card, KeyName::Email], &[]] {
                    let mut keys = KeysMade::default();
                    made.iter().for_each(|name| keys[*name as usize] = Some(read.key(*name, &keyring)));
                    let noted = Noted::of(&read, &keys);
                    let again = Request::noted(message, &noted).expect("the same message");
                    assert_eq!(Known::of(&again, &keyring), expected, "{made:?}");
                    for name in KeyName::ALL {
                        assert_eq!(again.key(name, &keyring), read.key(name, &keyring), "{}", name.name());
                    }
                }
            }
        }
    }
}
