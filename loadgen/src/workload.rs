//! A Nordic provider's day in small: cards, invoices, transfers and instant payments of a fixed population.
//!
//! Personal numbers are of the form that Skatteverket publishes for tests: serial numbers 980 to 999, which are
//! given to nobody.

use crate::random::Random;
use sparr_protocol::codes::{Avs, Channel, Cvv, EntryMode, Funding, Initiation, Kind, NameMatch};
use sparr_protocol::ids::RequestId;
use sparr_protocol::money::Currency;
use sparr_protocol::place::{Country, Mcc};
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::time::{Date, Timestamp};

/// How many of whom there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Population {
    /// Payers.
    pub people: u64,
    /// Shops.
    pub merchants: u64,
}

impl Default for Population {
    fn default() -> Self {
        Self { people: 100_000, merchants: 5_000 }
    }
}

/// An endless stream of valid requests; the same seed gives the same stream.
#[derive(Clone, Debug)]
pub struct Workload {
    random: Random,
    population: Population,
}

/// Merchant categories with the largest amount that is usual there, in öre.
const SHOPS: &[(u16, u64)] = &[
    (5_411, 120_000),
    (5_812, 60_000),
    (5_541, 90_000),
    (5_732, 900_000),
    (5_651, 250_000),
    (4_111, 8_000),
    (5_912, 45_000),
    (7_995, 200_000),
];

const DOMAINS: &[&str] = &["example.se", "example.com", "post.example.org", "mail.example.net"];

impl Workload {
    /// A stream.
    pub fn new(seed: u64, population: Population) -> Self {
        Self { random: Random::new(seed), population }
    }

    /// The next request, as of `now`.
    pub fn next_request(&mut self, now: Timestamp) -> AuthorisationRequest {
        let person = self.random.skewed(self.population.people);
        let kind = match self.random.below(1_000) {
            0..780 => Kind::CardPayment,
            780..880 => Kind::Instant,
            880..940 => Kind::Transfer,
            940..985 => Kind::Invoice,
            985..993 => Kind::Refund,
            993..996 => Kind::PayeeAdded,
            996..998 => Kind::AccountOpening,
            _ => Kind::CredentialChange,
        };
        let mut request = AuthorisationRequest::new(RequestId(self.random.bytes()), kind, now);
        request.payment_id =
            Some(format!("P{:08x}_{:08x}", self.random.below(1 << 32), self.random.below(1 << 32)));
        request.subject = Some(personal_number(person).into());
        request.customer_since_days = Some((person * 37 % 4_000) as u32);
        request.device_id = Some(format!("dev-{:08x}", person * 2_654_435_761 % 0xFFFF_FFFF).into());
        request.device_age_days = Some((person * 13 % 900) as u32);
        request.ip = Some(core::net::IpAddr::from([198, 51, 100, (person % 254) as u8 + 1]));
        match kind {
            Kind::CardPayment | Kind::Refund => self.card(&mut request, person),
            Kind::Invoice | Kind::AccountOpening => self.credit(&mut request, person),
            Kind::Transfer | Kind::Instant | Kind::Payout => self.transfer(&mut request, person),
            Kind::PayeeAdded | Kind::CredentialChange => request.channel = Some(Channel::App),
            Kind::Reversal | Kind::AccountVerification | Kind::TokenProvisioning => {}
        }
        request
    }

    fn card(&mut self, request: &mut AuthorisationRequest, person: u64) {
        let merchant = self.random.skewed(self.population.merchants);
        let (mcc, largest) = SHOPS[(merchant % SHOPS.len() as u64) as usize];
        let online = merchant.is_multiple_of(3);
        self.shop(request, merchant, mcc, largest);
        request.card_token = Some(format!("tok_{:012x}", person * 40_503 + 7).into());
        request.issuer_country = Country::parse("SE");
        request.funding = Some(if person.is_multiple_of(4) { Funding::Credit } else { Funding::Debit });
        request.initiation = Some(Initiation::Customer);
        if online {
            request.channel = Some(Channel::Web);
            request.entry_mode = Some(EntryMode::Ecommerce);
            request.domain = Some(format!("shop{merchant}.example"));
            request.email = Some(format!("person{person}@{}", self.random.pick(DOMAINS)).into());
            request.cvv = Some(if self.random.per_mille(8) { Cvv::NoMatch } else { Cvv::Match });
            request.avs = Some(if self.random.per_mille(30) { Avs::NoMatch } else { Avs::Match });
            request.billing_country = Country::parse("SE");
            request.shipping_country = Country::parse(if self.random.per_mille(15) { "DE" } else { "SE" });
        } else {
            request.channel = Some(Channel::PointOfSale);
            request.entry_mode = Some(EntryMode::Contactless);
            request.terminal_id = Some(format!("T{merchant:06}"));
        }
    }

    fn credit(&mut self, request: &mut AuthorisationRequest, person: u64) {
        let merchant = self.random.skewed(self.population.merchants);
        self.shop(request, merchant, 5_651, 400_000);
        request.channel = Some(Channel::Web);
        request.domain = Some(format!("shop{merchant}.example"));
        request.email = Some(format!("person{person}@{}", self.random.pick(DOMAINS)).into());
        request.phone = Some(format!("+4670{:07}", person % 10_000_000).into());
    }

    fn transfer(&mut self, request: &mut AuthorisationRequest, person: u64) {
        let payee = self.random.skewed(self.population.people);
        request.channel = Some(Channel::App);
        request.payer_account = Some(format!("bban:{:011}", 50_000_000_000 + person).into());
        request.payee_account = Some(format!("bban:{:011}", 60_000_000_000 + payee).into());
        request.payee_name_match =
            Some(if self.random.per_mille(20) { NameMatch::NoMatch } else { NameMatch::Match });
        request.payee_first_used_days = Some(self.random.below(700) as u32);
        request.credential_age_days = Some(self.random.below(1_200) as u32);
        self.amount(request, 800_000);
    }

    fn shop(&mut self, request: &mut AuthorisationRequest, merchant: u64, mcc: u16, largest: u64) {
        request.merchant_id = Some(format!("m{merchant:05}"));
        request.mcc = Mcc::from_wire(mcc);
        request.merchant_country = Country::parse("SE");
        self.amount(request, largest);
    }

    fn amount(&mut self, request: &mut AuthorisationRequest, largest: u64) {
        request.amount_minor = Some(500 + self.random.skewed(largest) as i64);
        request.currency = Some(Currency::SEK);
    }
}

/// The personal number of the person with this index: a real date from 1935 on, a serial from 980 to 999, the right
/// check digit. There are more than half a million before they repeat.
pub fn personal_number(person: u64) -> String {
    const FIRST: Date = Date::new(1935, 1, 1);
    const DAYS: u64 = 26_000;
    const DAY_MS: i64 = 86_400_000;
    // A step that shares no factor with the number of days, so that neighbours are born on different days.
    let day = (person * 7_919) % DAYS;
    let birth = FIRST.start_utc().saturating_add_ms(day as i64 * DAY_MS).date();
    let serial = 980 + person / DAYS % 20;
    let without_check = format!("{:04}{:02}{:02}{serial}", birth.year, birth.month, birth.day);
    let sum: u32 = without_check[2..]
        .bytes()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit - b'0');
            if place % 2 == 0 { value * 2 / 10 + value * 2 % 10 } else { value }
        })
        .sum();
    format!("{without_check}{}", (10 - sum % 10) % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sparr_protocol::codes::SubjectKind;
    use sparr_protocol::frame::Next;
    use sparr_protocol::identity::Subject;
    use sparr_protocol::limits::REQUEST_FRAME_BYTES_MAX;
    use sparr_protocol::view::RequestView;
    use std::collections::HashSet;

    #[test]
    fn every_request_is_valid_and_the_same_seed_gives_the_same_stream() {
        let population = Population::default();
        let (mut one, mut same) = (Workload::new(7, population), Workload::new(7, population));
        let mut kinds = HashSet::new();
        for second in 0..20_000 {
            let request = one.next_request(Timestamp::from_ms(second * 1_000));
            assert!(request == same.next_request(Timestamp::from_ms(second * 1_000)));
            kinds.insert(request.kind);
            let mut bytes = Vec::new();
            request.encode(&mut bytes).expect("fits");
            let Next::Frame { frame, .. } = Next::parse(&bytes, REQUEST_FRAME_BYTES_MAX) else {
                panic!("a frame")
            };
            RequestView::parse(frame.open().expect("sound").1).map(|_| ()).expect("valid");
        }
        assert!(kinds.len() >= 7, "{kinds:?}");
    }

    #[test]
    fn people_have_different_test_numbers_that_parse() {
        let today = Date::new(2026, 11, 22);
        let mut numbers = HashSet::new();
        for person in 0..520_000 {
            let number = personal_number(person);
            if person % 97 == 0 {
                assert!(
                    Subject::parse(&number, SubjectKind::SePerson, None, today).is_ok(),
                    "person {person}"
                );
            }
            assert!((980..=999).contains(&number[8..11].parse::<u32>().expect("digits")));
            assert!(numbers.insert(number), "person {person} has somebody else's number");
        }
    }
}
