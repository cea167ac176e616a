//! Ordinary payments of a Nordic provider: cards, invoices, transfers and instant payments of a fixed population.

pub use crate::people::{Population, personal_number};
use crate::random::{Random, Zipf};
use sparr_protocol::codes::{Avs, Channel, Cvv, EntryMode, Funding, Initiation, Kind, NameMatch};
use sparr_protocol::ids::RequestId;
use sparr_protocol::money::Currency;
use sparr_protocol::place::{Country, Mcc};
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::time::Timestamp;

/// An endless stream of valid requests; the same seed gives the same stream.
#[derive(Clone, Debug)]
pub struct Workload {
    random: Random,
    payers: Zipf,
    merchants: Zipf,
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
        Self {
            random: Random::new(seed),
            // The busiest payer pays three times as often as the idlest; the busiest shop sells to one in 150.
            payers: Zipf::new(population.people, population.people / 2),
            merchants: Zipf::new(population.merchants, 20),
        }
    }

    /// The next request, as of `now`.
    pub fn next_request(&mut self, now: Timestamp) -> AuthorisationRequest {
        self.next_payment(now).1
    }

    /// The next request and who pays.
    pub(crate) fn next_payment(&mut self, now: Timestamp) -> (u64, AuthorisationRequest) {
        let person = self.payers.draw(&mut self.random);
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
        let mut request = of_person(RequestId(self.random.bytes()), kind, now, person);
        request.payment_id =
            Some(format!("P{:08x}_{:08x}", self.random.below(1 << 32), self.random.below(1 << 32)));
        match kind {
            Kind::CardPayment | Kind::Refund => self.card(&mut request, person),
            Kind::Invoice | Kind::AccountOpening => self.credit(&mut request, person),
            Kind::Transfer | Kind::Instant | Kind::Payout => self.transfer(&mut request, person),
            Kind::PayeeAdded | Kind::CredentialChange => at_home(&mut request, person, Channel::App),
            Kind::Reversal | Kind::AccountVerification | Kind::TokenProvisioning => {}
        }
        (person, request)
    }

    /// Randomness for whoever continues the stream.
    pub(crate) fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    fn card(&mut self, request: &mut AuthorisationRequest, person: u64) {
        let merchant = self.merchants.draw(&mut self.random);
        let (mcc, largest) = SHOPS[(merchant % SHOPS.len() as u64) as usize];
        let online = merchant.is_multiple_of(3);
        self.shop(request, merchant, mcc, largest);
        request.card_token = Some(format!("tok_{:012x}", person * 40_503 + 7).into());
        request.issuer_country = Country::parse("SE");
        request.funding = Some(if person.is_multiple_of(4) { Funding::Credit } else { Funding::Debit });
        if online {
            at_home(request, person, Channel::Web);
            request.entry_mode = Some(EntryMode::Ecommerce);
            request.domain = Some(format!("shop{merchant}.example"));
            request.email = Some(format!("person{person}@{}", self.random.pick(DOMAINS)).into());
            request.cvv = Some(if self.random.per_mille(4) { Cvv::NoMatch } else { Cvv::Match });
            request.avs = Some(if self.random.per_mille(30) { Avs::NoMatch } else { Avs::Match });
            request.billing_country = Country::parse("SE");
            request.shipping_country = Country::parse(if self.random.per_mille(15) { "DE" } else { "SE" });
            // Subscriptions: nobody sits in front of a screen.
            let recurring = self.random.per_mille(100);
            request.initiation = Some(if recurring { Initiation::Recurring } else { Initiation::Customer });
            request.challenge_possible = Some(!recurring);
        } else {
            request.initiation = Some(Initiation::Customer);
            request.channel = Some(Channel::PointOfSale);
            request.entry_mode = Some(EntryMode::Contactless);
            request.terminal_id = Some(format!("T{merchant:06}"));
        }
    }

    fn credit(&mut self, request: &mut AuthorisationRequest, person: u64) {
        let merchant = self.merchants.draw(&mut self.random);
        self.shop(request, merchant, 5_651, 400_000);
        at_home(request, person, Channel::Web);
        request.domain = Some(format!("shop{merchant}.example"));
        request.email = Some(format!("person{person}@{}", self.random.pick(DOMAINS)).into());
        request.phone = Some(format!("+4670{:07}", person % 10_000_000).into());
    }

    fn transfer(&mut self, request: &mut AuthorisationRequest, person: u64) {
        let payee = self.payers.draw(&mut self.random);
        at_home(request, person, Channel::App);
        request.payer_account = Some(payer_account(person).into());
        request.payee_account = Some(payee_account(payee).into());
        request.payee_name_match =
            Some(if self.random.per_mille(20) { NameMatch::NoMatch } else { NameMatch::Match });
        request.payee_first_used_days = Some(self.random.below(700) as u32);
        request.credential_age_days = Some(self.random.below(1_200) as u32);
        let largest = 800_000;
        self.amount(request, largest);
    }

    fn shop(&mut self, request: &mut AuthorisationRequest, merchant: u64, mcc: u16, largest: u64) {
        request.merchant_id = Some(format!("m{merchant:05}"));
        request.mcc = Mcc::from_wire(mcc);
        request.merchant_country = Country::parse("SE");
        self.amount(request, largest);
    }

    fn amount(&mut self, request: &mut AuthorisationRequest, largest: u64) {
        set_amount(request, 500 + self.random.skewed(largest) as i64);
    }
}

/// A request of somebody, with what the provider knows of its customers.
pub(crate) fn of_person(id: RequestId, kind: Kind, now: Timestamp, person: u64) -> AuthorisationRequest {
    let mut request = AuthorisationRequest::new(id, kind, now);
    request.subject = Some(personal_number(person).into());
    request.customer_since_days = Some((person * 37 % 4_000) as u32);
    request
}

/// The payer's own device and address. Addresses are of the range for carriers' shared addresses (RFC 6598).
pub(crate) fn at_home(request: &mut AuthorisationRequest, person: u64, channel: Channel) {
    request.channel = Some(channel);
    request.device_id = Some(format!("dev-{:08x}", person * 2_654_435_761 % 0xFFFF_FFFF).into());
    request.device_age_days = Some((person * 13 % 900) as u32 + 1);
    let [_, high, middle, low] = (person as u32).to_be_bytes();
    request.ip = Some(core::net::IpAddr::from([100, 64 + (high & 63), middle, low]));
}

pub(crate) fn set_amount(request: &mut AuthorisationRequest, amount_minor: i64) {
    request.amount_minor = Some(amount_minor);
    request.currency = Some(Currency::SEK);
}

pub(crate) fn payer_account(person: u64) -> String {
    format!("bban:{:011}", 50_000_000_000 + person)
}

pub(crate) fn payee_account(payee: u64) -> String {
    format!("bban:{:011}", 60_000_000_000 + payee)
}
