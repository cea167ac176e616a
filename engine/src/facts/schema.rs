//! THE field table: every field that a rule can read, with its type, its reader and its meaning.
//!
//! Rules compile to places in this table and know nothing of stores or bytes. A field that is not here does not
//! exist for rules; a personal value is here only as "present or absent", never as digits.

use super::Facts;
use crate::request::About;
use core::net::IpAddr;
use sparr_protocol::codes::{
    AuthMethod, AuthResult, Avs, CardTokenKind, Channel, Cvv, DeliveryType, EntryMode, Funding, Initiation,
    Kind, NameMatch, RemoteAccess, ScaExemption, Stage, SubjectKind, TransStatus, Wallet, Wish,
};
use sparr_protocol::indicator::{Attestation, Grade, IndicatorRole};
use sparr_protocol::money::Currency;
use sparr_protocol::place::Country;
use sparr_protocol::time::Timestamp;

/// A closed set of named values behind a field: rules write the name, facts hold the number.
pub struct CodeDomain {
    /// What the values are, for messages: `channel`, `country`.
    pub name: &'static str,
    /// The number of a name.
    pub parse: fn(&str) -> Option<u16>,
    /// The name of a number.
    pub name_of: fn(u16) -> &'static str,
    /// Every name, for "did you mean" and for completion.
    pub names: fn() -> Vec<&'static str>,
}

/// How a field is read. `None` is absent.
#[derive(Clone, Copy)]
pub enum Read {
    /// A truth value.
    Bool(fn(&Facts<'_>) -> Option<bool>),
    /// A whole number.
    Int(fn(&Facts<'_>) -> Option<i64>),
    /// An amount in minor units: a whole number that is never compared with a fraction.
    Money(fn(&Facts<'_>) -> Option<i64>),
    /// A text that is not personal.
    Text(for<'f> fn(&'f Facts<'_>) -> Option<&'f str>),
    /// A text that belongs to a person's thing: rules compare it with lists, and no explanation shows it.
    Opaque(for<'f> fn(&'f Facts<'_>) -> Option<&'f str>),
    /// One of a closed set of names.
    Code(&'static CodeDomain, fn(&Facts<'_>) -> Option<u16>),
    /// An IP address: to be looked up in sets of prefixes.
    Ip(fn(&Facts<'_>) -> Option<IpAddr>),
    /// A point in time.
    Time(fn(&Facts<'_>) -> Option<Timestamp>),
    /// A personal value: only whether it is there.
    Presence(fn(&Facts<'_>) -> bool),
}

/// One field of the table.
pub struct FieldDef {
    /// The name in rules, dotted where it belongs to a group.
    pub name: &'static str,
    /// What it means, for documentation and completion.
    pub meaning: &'static str,
    /// How it is read.
    pub read: Read,
}

/// Place of a field in [`FIELDS`], and behind them in [`INDICATOR_FIELDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldIndex(u16);

impl FieldIndex {
    /// The field of this name.
    pub fn find(name: &str) -> Option<Self> {
        FIELDS.iter().position(|field| field.name == name).map(|at| Self(at as u16))
    }

    /// What is known of one of the request's values: `hit`, `grade` and their like.
    pub fn of_indicator(slot: About, attribute: &str) -> Option<Self> {
        let name = format!("indicator({}).{attribute}", slot.name());
        let at = INDICATOR_FIELDS.iter().position(|field| field.name == name)?;
        Some(Self((FIELDS.len() + at) as u16))
    }

    /// Which of the request's values the field is about, and which of its attributes, where it is about indicators.
    pub fn indicator(self) -> Option<(About, &'static str)> {
        let (slot, attribute) = self.def().name.strip_prefix("indicator(")?.split_once(").")?;
        Some((About::parse(slot)?, attribute))
    }

    /// The field's line in the table.
    pub fn def(self) -> &'static FieldDef {
        let at = usize::from(self.0);
        if at < FIELDS.len() { &FIELDS[at] } else { &INDICATOR_FIELDS[at - FIELDS.len()] }
    }
}

/// Makes the domain of an enumeration of [`sparr_protocol::codes`].
macro_rules! code_domain {
    ($($domain:ident = $ty:ident $name:literal;)+) => {$(
        static $domain: CodeDomain = CodeDomain {
            name: $name,
            parse: |name| $ty::parse(name).map(|value| value.wire().into()),
            name_of: |number| {
                u8::try_from(number).ok().and_then($ty::from_wire).map_or("?", $ty::name)
            },
            names: || $ty::ALL.iter().map(|value| value.name()).collect(),
        };
    )+};
}
code_domain! {
    KIND = Kind "kind";
    STAGE = Stage "stage";
    CHANNEL = Channel "channel";
    ENTRY_MODE = EntryMode "entry mode";
    INITIATION = Initiation "initiation";
    SUBJECT_KIND = SubjectKind "kind of subject";
    NAME_MATCH = NameMatch "name match";
    CARD_TOKEN_KIND = CardTokenKind "kind of card token";
    FUNDING = Funding "funding";
    WALLET = Wallet "wallet";
    AVS = Avs "AVS result";
    CVV = Cvv "CVV result";
    AUTH_METHOD = AuthMethod "authentication method";
    AUTH_RESULT = AuthResult "authentication result";
    TRANS_STATUS = TransStatus "3-D Secure status";
    SCA_EXEMPTION = ScaExemption "SCA exemption";
    REMOTE_ACCESS = RemoteAccess "remote access";
    DELIVERY_TYPE = DeliveryType "delivery type";
    GRADE = Grade "grade";
    INDICATOR_ROLE = IndicatorRole "indicator role";
    ATTESTED = Attestation "attestation";
}

static COUNTRY: CodeDomain = CodeDomain {
    name: "country",
    parse: |alpha2| Country::parse(alpha2).map(Country::wire),
    name_of: |number| Country::from_wire(number).map_or("??", Country::alpha2),
    names: || (0..1_000).filter_map(Country::from_wire).map(Country::alpha2).collect(),
};

static CURRENCY: CodeDomain = CodeDomain {
    name: "currency",
    parse: |code| Currency::parse(code).map(Currency::wire),
    name_of: |number| Currency::from_wire(number).map_or("???", Currency::code),
    names: || (0..1_000).filter_map(Currency::from_wire).map(Currency::code).collect(),
};

/// A line of the table.
const fn field(name: &'static str, read: Read, meaning: &'static str) -> FieldDef {
    FieldDef { name, meaning, read }
}

/// Reads an enumeration off the request.
macro_rules! code {
    ($domain:ident, $member:ident) => {
        Read::Code(&$domain, |facts| facts.request.view().$member().map(|value| value.wire().into()))
    };
}
/// Reads a number of days off the request.
macro_rules! days {
    ($member:ident) => {
        Read::Int(|facts| facts.request.view().$member().map(i64::from))
    };
}
/// Reads a text off the request.
macro_rules! text {
    ($member:ident) => {
        Read::Text(|facts| facts.request.view().$member())
    };
}
/// Reads whether a personal value is there.
macro_rules! presence {
    ($member:ident) => {
        Read::Presence(|facts| facts.request.view().$member().is_some())
    };
}

/// What may be known of one of the request's values, as rules write it: `indicator(email).hit`.
macro_rules! indicator_fields {
    ($($slot:ident $name:literal),+ $(,)?) => {
        /// What rules read of indicators: for each value of a request the same attributes.
        pub static INDICATOR_FIELDS: &[FieldDef] = &[$(
            field(
                concat!("indicator(", $name, ").hit"),
                Read::Bool(|f| f.indicator(About::$slot).map(|one| one.hit)),
                "Whether an indicator acts on it",
            ),
            field(
                concat!("indicator(", $name, ").contested"),
                Read::Bool(|f| f.indicator(About::$slot).map(|one| one.contested)),
                "Whether somebody disagrees with one: it can ask for a review alone",
            ),
            field(
                concat!("indicator(", $name, ").grade"),
                Read::Code(&GRADE, |f| f.indicator(About::$slot).filter(|one| one.hit).map(|one| one.grade.wire().into())),
                "How well the strongest was looked into",
            ),
            field(
                concat!("indicator(", $name, ").class"),
                Read::Text(|f| f.indicator(About::$slot).filter(|one| one.hit).map(|one| one.class.as_str())),
                "What the strongest is evidence of",
            ),
            field(
                concat!("indicator(", $name, ").role"),
                Read::Code(&INDICATOR_ROLE, |f| {
                    f.indicator(About::$slot).filter(|one| one.hit)?.role.map(|role| role.wire().into())
                }),
                "In which role it was seen",
            ),
            field(
                concat!("indicator(", $name, ").attested"),
                Read::Code(&ATTESTED, |f| {
                    f.indicator(About::$slot).filter(|one| one.hit)?.attested.map(|by| by.wire().into())
                }),
                "Who says that the police have it; absent for a draft of the member's own",
            ),
            field(
                concat!("indicator(", $name, ").sources"),
                Read::Int(|f| f.indicator(About::$slot).map(|one| one.sources.into())),
                "Members that found it, each by itself",
            ),
        )+];
    };
}
indicator_fields! {
    Subject "subject", PayeeSubject "payee_subject", Account "account", Payee "payee", Email "email",
    EmailDomain "email_domain", Phone "phone", Ip "ip", Domain "domain", Device "device", Card "card", Par "par",
    PanDigest "pan_digest", MerchantOrg "merchant_org",
}

/// Every field that a rule can read by a name of its own.
pub static FIELDS: &[FieldDef] = &[
    field(
        "kind",
        Read::Code(&KIND, |f| Some(f.request.view().kind().wire().into())),
        "What the payment or event is",
    ),
    field(
        "stage",
        Read::Code(&STAGE, |f| Some(f.request.view().stage().wire().into())),
        "Before authentication or at authorisation",
    ),
    field("event_time", Read::Time(|f| Some(f.request.event_time())), "When it happened"),
    field(
        "hour",
        Read::Int(|f| Some(f.local().hour().into())),
        "Hour of the event, 0–23, in the rule set's time zone",
    ),
    field(
        "weekday",
        Read::Int(|f| Some(f.local().weekday().to_monday_one_offset().into())),
        "Weekday of the event, 1 Monday – 7 Sunday, in the rule set's time zone",
    ),
    field("channel", code!(CHANNEL, channel), "Channel through which the payer came"),
    field("entry_mode", code!(ENTRY_MODE, entry_mode), "How the card's data entered"),
    field("initiation", code!(INITIATION, initiation), "Who set the payment going"),
    field("payment_id", text!(payment_id), "The member's id of the payment"),
    field(
        "original_payment_id",
        text!(original_payment_id),
        "The payment that a refund or reversal belongs to",
    ),
    field(
        "amount_minor",
        Read::Money(|f| f.request.view().amount_minor()),
        "Amount in minor units (öre, cents) of its own currency",
    ),
    field(
        "amount_base_minor",
        Read::Money(|f| f.amount_base_minor()),
        "Amount in minor units of the rule set's base currency",
    ),
    field(
        "currency",
        Read::Code(&CURRENCY, |f| f.request.view().currency().map(Currency::wire)),
        "Currency of the amount",
    ),
    field("merchant_id", text!(merchant_id), "The member's own id of the merchant"),
    field("merchant_org", presence!(merchant_org), "Whether the merchant's organisationsnummer is there"),
    field(
        "mcc",
        Read::Int(|f| f.request.view().mcc().map(|mcc| mcc.wire().into())),
        "Merchant category code",
    ),
    field("merchant_country", code!(COUNTRY, merchant_country), "Country of the merchant"),
    field("terminal_id", text!(terminal_id), "The terminal's id"),
    field("domain", Read::Text(|f| f.request.domain()), "Domain of the web shop, lower case"),
    field("subject", presence!(subject), "Whether the payer's personal or organisation number is there"),
    field(
        "subject.kind",
        code!(SUBJECT_KIND, subject_kind),
        "What kind of number it is, where the request says so",
    ),
    field("subject.country", code!(COUNTRY, subject_country), "Country of a foreign subject"),
    field(
        "age_years",
        Read::Int(|f| f.request.age_years().map(i64::from)),
        "Age of a payer with a Swedish personal number",
    ),
    field("payer_account", presence!(payer_account), "Whether the payer's account is there"),
    field("customer_since_days", days!(customer_since_days), "Days since the payer became a customer"),
    field("credential_age_days", days!(credential_age_days), "Days since the payer's credential was changed"),
    field("device_age_days", days!(device_age_days), "Days since the device was first seen with this payer"),
    field("payee_account", presence!(payee_account), "Whether the payee's account is there"),
    field("payee_subject", presence!(payee_subject), "Whether the payee's number is there"),
    field(
        "payee_name_match",
        code!(NAME_MATCH, payee_name_match),
        "Whether the payee's name agrees with the account's holder",
    ),
    field(
        "payee_first_used_days",
        days!(payee_first_used_days),
        "Days since the payer first paid this payee",
    ),
    field("card_token", presence!(card_token), "Whether a card token is there"),
    field("card_token_kind", code!(CARD_TOKEN_KIND, card_token_kind), "What kind of token it is"),
    field("par", presence!(par), "Whether a payment account reference is there"),
    field("pan_digest", presence!(pan_digest), "Whether a keyed digest of the card number is there"),
    field(
        "card_bin",
        Read::Int(|f| f.request.view().card_bin().map(|bin| bin.value().into())),
        "First six to eight digits of the card number, as a number",
    ),
    field("issuer_country", code!(COUNTRY, issuer_country), "Country of the card's issuer"),
    field("funding", code!(FUNDING, funding), "How the card is funded"),
    field("wallet", code!(WALLET, wallet), "Wallet that presented the card"),
    field("avs", code!(AVS, avs), "Result of the address check"),
    field("cvv", code!(CVV, cvv), "Result of the card verification value's check"),
    field(
        "challenge_possible",
        Read::Bool(|f| f.request.view().challenge_possible()),
        "Whether the payer can be asked to authenticate",
    ),
    field("auth.method", code!(AUTH_METHOD, auth_method), "Method of the authentication that was done"),
    field("auth.result", code!(AUTH_RESULT, auth_result), "Its result"),
    field("auth.time", Read::Time(|f| f.request.view().auth_time()), "When it was done"),
    field("auth.trans_status", code!(TRANS_STATUS, auth_trans_status), "3-D Secure transaction status"),
    field(
        "auth.eci",
        Read::Int(|f| f.request.view().auth_eci().map(|eci| eci.wire().into())),
        "Electronic commerce indicator",
    ),
    field(
        "auth.sca_exemption",
        code!(SCA_EXEMPTION, auth_sca_exemption),
        "Exemption from strong authentication that was claimed",
    ),
    field("device_id", Read::Opaque(|f| f.request.view().device_id()), "The device's id; never shown"),
    field("ip", Read::Ip(|f| f.request.view().ip()), "IP address of the payer's device"),
    field("email", presence!(email), "Whether an e-mail address is there"),
    field(
        "email_domain",
        Read::Text(|f| f.request.email_domain()),
        "Domain of the e-mail address, lower case",
    ),
    field("phone", presence!(phone), "Whether a phone number is there"),
    field(
        "remote_access",
        code!(REMOTE_ACCESS, remote_access),
        "Whether a screen is shared or a remote-control tool runs",
    ),
    field("delivery_key", presence!(delivery_key), "Whether a delivery address is there"),
    field("delivery_type", code!(DELIVERY_TYPE, delivery_type), "How the goods reach the buyer"),
    field("billing_country", code!(COUNTRY, billing_country), "Country of the billing address"),
    field("shipping_country", code!(COUNTRY, shipping_country), "Country of the shipping address"),
    field(
        "flag.verify",
        Read::Bool(|f| Some(f.flags.wishes(Wish::Verify))),
        "A flag acts on this payment whose person wants to be asked",
    ),
    field(
        "flag.deny",
        Read::Bool(|f| Some(f.flags.wishes(Wish::Deny))),
        "A flag acts on this payment whose person wants it declined",
    ),
];
