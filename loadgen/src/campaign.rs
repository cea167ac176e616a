//! Fraud that is put into the stream, so that it is known what should have been found.

use crate::people::Population;
use crate::random::Random;
use crate::workload::{at_home, of_person, payee_account, payer_account, set_amount};
use sparr_protocol::codes::{Channel, Cvv, DeliveryType, EntryMode, Initiation, Kind, NameMatch};
use sparr_protocol::ids::RequestId;
use sparr_protocol::place::{Country, Mcc};
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::time::Timestamp;

/// A kind of fraud, once in a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Campaign {
    /// Stolen cards are tried out: small amounts at one shop from one address.
    CardTesting,
    /// Somebody else gets into people's accounts: a new credential, a new payee, and the money moves.
    AccountTakeover,
    /// Many people are talked into paying one account.
    MuleTransfers,
    /// A shop that takes money and sends nothing. Nobody has reported it yet, so only what it sells can tell.
    FakeShop,
    /// Goods on credit in the names of people who asked for a flag.
    FlaggedPersons,
}

const MINUTE_MS: u64 = 60_000;

impl Campaign {
    /// Every campaign.
    pub const ALL: [Self; 5] =
        [Self::CardTesting, Self::AccountTakeover, Self::MuleTransfers, Self::FakeShop, Self::FlaggedPersons];

    /// What it is called in tables and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CardTesting => "card_testing",
            Self::AccountTakeover => "account_takeover",
            Self::MuleTransfers => "mule_transfers",
            Self::FakeShop => "fake_shop",
            Self::FlaggedPersons => "flagged_persons",
        }
    }

    /// How many requests it makes.
    pub const fn requests(self) -> u64 {
        match self {
            Self::CardTesting => 90,
            Self::AccountTakeover => 24 * STEPS_OF_A_TAKEOVER,
            Self::MuleTransfers => 40,
            Self::FakeShop => 60,
            Self::FlaggedPersons => 30,
        }
    }

    /// When its request with this number is made, ms since midnight.
    pub(crate) const fn at_ms(self, number: u64) -> u64 {
        match self {
            Self::CardTesting => 3 * 60 * MINUTE_MS + number * 6_000,
            Self::AccountTakeover => 10 * 60 * MINUTE_MS + number * 4 * MINUTE_MS,
            Self::MuleTransfers => 13 * 60 * MINUTE_MS + number * 7 * MINUTE_MS,
            Self::FakeShop => 18 * 60 * MINUTE_MS + number * 3 * MINUTE_MS,
            Self::FlaggedPersons => 8 * 60 * MINUTE_MS + number * 20 * MINUTE_MS,
        }
    }

    /// Makes one of its requests, and says in whose name.
    pub(crate) fn request(
        self,
        number: u64,
        population: &Population,
        random: &mut Random,
        now: Timestamp,
    ) -> (u64, AuthorisationRequest) {
        let id = RequestId(random.bytes());
        let payment_id = Some(format!("C{:08x}_{:08x}", random.below(1 << 32), number));
        let (person, mut request) = match self {
            Self::CardTesting => {
                let person = population.unflagged_payer(number * 17 + 3);
                (person, card_testing(id, number, random, now))
            }
            Self::AccountTakeover => {
                let victim = population.unflagged_payer(number / STEPS_OF_A_TAKEOVER * 31 + 11);
                (victim, takeover(id, victim, number, random, now))
            }
            Self::MuleTransfers => {
                let victim = population.unflagged_payer(number * 29 + 5);
                (victim, to_the_mule(id, victim, random, now))
            }
            Self::FakeShop => {
                let victim = population.unflagged_payer(number * 41 + 17);
                (victim, fake_shop(id, victim, random, now))
            }
            Self::FlaggedPersons => {
                let payers = population.flagged_payers();
                let victim = if payers == 0 {
                    population.unflagged_payer(number)
                } else {
                    population.flagged_payer(number * 13 % payers)
                };
                (victim, in_the_name_of(id, victim, number, random, now))
            }
        };
        request.payment_id = payment_id;
        (person, request)
    }
}

impl Population {
    /// A payer without a flag.
    const fn unflagged_payer(&self, number: u64) -> u64 {
        let person = number % self.people;
        if self.flag_of(person).is_some() { person - 1 } else { person }
    }
}

/// Cards whose holders nobody knows: the request names no person.
fn card_testing(id: RequestId, number: u64, random: &mut Random, now: Timestamp) -> AuthorisationRequest {
    let mut request = AuthorisationRequest::new(id, Kind::CardPayment, now);
    request.card_token = Some(format!("tok_stolen_{number:05}").into());
    request.merchant_id = Some("m00006".to_owned());
    request.mcc = Mcc::from_wire(5_912);
    request.merchant_country = Country::parse("SE");
    request.channel = Some(Channel::Web);
    request.entry_mode = Some(EntryMode::Ecommerce);
    request.initiation = Some(Initiation::Customer);
    request.challenge_possible = Some(true);
    request.ip = Some(core::net::IpAddr::from([203, 0, 113, 66]));
    request.device_id = Some(format!("dev-bot-{}", number % 7).into());
    request.cvv = Some(Cvv::Match);
    set_amount(&mut request, 100 + random.below(4_000) as i64);
    request
}

/// Requests that one taken-over account makes.
const STEPS_OF_A_TAKEOVER: u64 = 4;

fn takeover(
    id: RequestId,
    victim: u64,
    number: u64,
    random: &mut Random,
    now: Timestamp,
) -> AuthorisationRequest {
    let kind = match number % STEPS_OF_A_TAKEOVER {
        0 => Kind::CredentialChange,
        1 => Kind::PayeeAdded,
        _ => Kind::Transfer,
    };
    let mut request = of_person(id, kind, now, victim);
    at_home(&mut request, victim, Channel::App);
    request.device_id = Some(format!("dev-thief-{:04}", number / STEPS_OF_A_TAKEOVER).into());
    request.device_age_days = Some(0);
    request.credential_age_days = Some(0);
    request.payer_account = Some(payer_account(victim).into());
    if kind == Kind::Transfer {
        request.payee_account = Some(payee_account(9_000_000_000 + victim).into());
        request.payee_first_used_days = Some(0);
        request.payee_name_match = Some(NameMatch::Close);
        set_amount(&mut request, 600_000 + random.below(3_400_000) as i64);
    }
    request
}

fn to_the_mule(id: RequestId, victim: u64, random: &mut Random, now: Timestamp) -> AuthorisationRequest {
    let mut request = of_person(id, Kind::Instant, now, victim);
    at_home(&mut request, victim, Channel::App);
    request.payer_account = Some(payer_account(victim).into());
    request.payee_account = Some(payee_account(8_000_000_001).into());
    request.payee_first_used_days = Some(0);
    request.payee_name_match = Some(NameMatch::Match);
    request.credential_age_days = Some(400);
    set_amount(&mut request, 150_000 + random.below(800_000) as i64);
    request
}

fn fake_shop(id: RequestId, victim: u64, random: &mut Random, now: Timestamp) -> AuthorisationRequest {
    let mut request = of_person(id, Kind::CardPayment, now, victim);
    at_home(&mut request, victim, Channel::Web);
    request.card_token = Some(format!("tok_{:012x}", victim * 40_503 + 7).into());
    request.merchant_id = Some("m99999".to_owned());
    request.mcc = Mcc::from_wire(5_651);
    request.merchant_country = Country::parse("SE");
    request.issuer_country = Country::parse("SE");
    request.domain = Some("jackor-outlet.example".to_owned());
    request.entry_mode = Some(EntryMode::Ecommerce);
    request.initiation = Some(Initiation::Customer);
    request.challenge_possible = Some(true);
    request.cvv = Some(Cvv::Match);
    set_amount(&mut request, 49_900 + random.below(10) as i64 * 10_000);
    request
}

fn in_the_name_of(
    id: RequestId,
    victim: u64,
    number: u64,
    random: &mut Random,
    now: Timestamp,
) -> AuthorisationRequest {
    let mut request = of_person(id, Kind::Invoice, now, victim);
    at_home(&mut request, victim, Channel::Web);
    request.device_id = Some(format!("dev-credit-{:04}", number / 5).into());
    request.device_age_days = Some(0);
    request.merchant_id = Some(format!("m{:05}", number * 3));
    request.merchant_country = Country::parse("SE");
    request.domain = Some(format!("shop{}.example", number * 3));
    request.email = Some(format!("leverans{number}@example.net").into());
    request.delivery_type = Some(DeliveryType::ParcelLocker);
    request.challenge_possible = Some(true);
    set_amount(&mut request, 350_000 + random.below(900_000) as i64);
    request
}
