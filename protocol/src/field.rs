//! The one list of a request's fields: number, name, type. The request, its view, JSON and column maps are made of it.
//!
//! A field's number is its bit in the presence set and is forever; a retired field keeps its line.

/// Hands the list of optional fields to a macro: first those of fixed size, then the texts in the order in which
/// they travel. Each line: variant, member, type, number, name.
macro_rules! with_request_fields {
    ($with:ident) => {
        $with! {
            scalars {
                /// Channel through which the payer came.
                Channel channel: crate::codes::Channel = 2 "channel",
                /// How the card's data entered.
                EntryMode entry_mode: crate::codes::EntryMode = 3 "entry_mode",
                /// Who set the payment going.
                Initiation initiation: crate::codes::Initiation = 4 "initiation",
                /// Amount in minor units of `currency`.
                AmountMinor amount_minor: i64 = 6 "amount_minor",
                /// ISO 4217 currency of the amount.
                Currency currency: crate::money::Currency = 7 "currency",
                /// Merchant category code, ISO 18245.
                Mcc mcc: crate::place::Mcc = 10 "mcc",
                /// Country of the merchant.
                MerchantCountry merchant_country: crate::place::Country = 11 "merchant_country",
                /// What kind of number `subject` is; absent means a Swedish person.
                SubjectKind subject_kind: crate::codes::SubjectKind = 15 "subject_kind",
                /// Country of a foreign subject.
                SubjectCountry subject_country: crate::place::Country = 16 "subject_country",
                /// Days since the payer became the member's customer.
                CustomerSinceDays customer_since_days: u32 = 18 "customer_since_days",
                /// Days since the payer's credential was last changed.
                CredentialAgeDays credential_age_days: u32 = 19 "credential_age_days",
                /// Days since the device was first seen with this payer.
                DeviceAgeDays device_age_days: u32 = 20 "device_age_days",
                /// Whether the payee's name agrees with the account's holder.
                PayeeNameMatch payee_name_match: crate::codes::NameMatch = 23 "payee_name_match",
                /// Days since the payer first paid this payee.
                PayeeFirstUsedDays payee_first_used_days: u32 = 24 "payee_first_used_days",
                /// What kind of token `card_token` is; absent means the member's own vault.
                CardTokenKind card_token_kind: crate::codes::CardTokenKind = 26 "card_token_kind",
                /// Network-keyed digest of the card number, made inside the client's card zone.
                PanDigest pan_digest: crate::request::PanDigest = 28 "pan_digest",
                /// First six to eight digits of the card number.
                CardBin card_bin: crate::card::CardBin = 29 "card_bin",
                /// Country of the card's issuer.
                IssuerCountry issuer_country: crate::place::Country = 30 "issuer_country",
                /// How the card is funded.
                Funding funding: crate::codes::Funding = 31 "funding",
                /// Wallet that presented the card.
                Wallet wallet: crate::codes::Wallet = 32 "wallet",
                /// Result of the address check.
                Avs avs: crate::codes::Avs = 33 "avs",
                /// Result of the card verification value's check.
                Cvv cvv: crate::codes::Cvv = 34 "cvv",
                /// Whether the payer can be asked to authenticate; absent means yes.
                ChallengePossible challenge_possible: bool = 35 "challenge_possible",
                /// Method of the authentication that was done.
                AuthMethod auth_method: crate::codes::AuthMethod = 36 "auth.method",
                /// Its result.
                AuthResult auth_result: crate::codes::AuthResult = 37 "auth.result",
                /// When it was done.
                AuthTime auth_time: crate::time::Timestamp = 38 "auth.time",
                /// The request whose challenge it answers; absent means this request.
                AuthOfRequestId auth_of_request_id: crate::ids::RequestId = 39 "auth.of_request_id",
                /// 3-D Secure transaction status.
                AuthTransStatus auth_trans_status: crate::codes::TransStatus = 40 "auth.trans_status",
                /// Electronic commerce indicator, 0–99.
                AuthEci auth_eci: crate::request::Eci = 41 "auth.eci",
                /// Exemption from strong customer authentication that was claimed.
                AuthScaExemption auth_sca_exemption: crate::codes::ScaExemption = 42 "auth.sca_exemption",
                /// IP address of the payer's device.
                Ip ip: core::net::IpAddr = 44 "ip",
                /// Whether a screen is shared or a remote-control tool runs.
                RemoteAccess remote_access: crate::codes::RemoteAccess = 47 "remote_access",
                /// How the goods reach the buyer.
                DeliveryType delivery_type: crate::codes::DeliveryType = 49 "delivery_type",
                /// Country of the billing address.
                BillingCountry billing_country: crate::place::Country = 50 "billing_country",
                /// Country of the shipping address.
                ShippingCountry shipping_country: crate::place::Country = 51 "shipping_country",
            }
            texts {
                /// The member's id of the payment, at most 32 bytes: joins its requests, result and label.
                PaymentId payment_id: String = 1 "payment_id",
                /// The payment that a refund or reversal belongs to, at most 32 bytes.
                OriginalPaymentId original_payment_id: String = 5 "original_payment_id",
                /// The member's own id of the merchant.
                MerchantId merchant_id: String = 8 "merchant_id",
                /// The merchant's organisationsnummer.
                MerchantOrg merchant_org: String = 9 "merchant_org",
                /// The terminal's id.
                TerminalId terminal_id: String = 12 "terminal_id",
                /// Domain of the web shop.
                Domain domain: String = 13 "domain",
                /// The payer's personal or organisation number.
                Subject subject: crate::personal::Personal = 14 "subject",
                /// The payer's account, with its scheme: `iban:…`.
                PayerAccount payer_account: crate::personal::Personal = 17 "payer_account",
                /// The payee's account, with its scheme.
                PayeeAccount payee_account: crate::personal::Personal = 21 "payee_account",
                /// The payee's Swedish personal or organisation number.
                PayeeSubject payee_subject: crate::personal::Personal = 22 "payee_subject",
                /// The member's or network's token of the card.
                CardToken card_token: crate::personal::Personal = 25 "card_token",
                /// Payment account reference, 29 characters: the same at every member.
                Par par: crate::personal::Personal = 27 "par",
                /// The member's own id of the payer's device.
                DeviceId device_id: crate::personal::Personal = 43 "device_id",
                /// The payer's e-mail address.
                Email email: crate::personal::Personal = 45 "email",
                /// The payer's phone number in E.164.
                Phone phone: crate::personal::Personal = 46 "phone",
                /// The member's own key of the delivery address.
                DeliveryKey delivery_key: crate::personal::Personal = 48 "delivery_key",
            }
        }
    };
}
pub(crate) use with_request_fields;

macro_rules! field_enum {
    (
        scalars { $( $(#[$sdoc:meta])* $sv:ident $s:ident: $st:ty = $sn:literal $sname:literal, )* }
        texts { $( $(#[$tdoc:meta])* $tv:ident $t:ident: $tt:ty = $tn:literal $tname:literal, )* }
    ) => {
        /// A field of an authorisation request, as errors, presence bits and maps name it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Field {
            $( $(#[$tdoc])* $tv = $tn, )*
            $( $(#[$sdoc])* $sv = $sn, )*
            /// Idempotency key. Always present, like the fields after it.
            RequestId = 128,
            /// What the payment is.
            Kind = 129,
            /// Where in its life the question is asked.
            Stage = 130,
            /// When it happened.
            EventTime = 131,
            /// Microseconds left when the client sent it; 0 for none.
            DeadlineUs = 132,
            /// Oldest exchange state that the client accepts, ms; 0 for the member's default.
            MaxStalenessMs = 133,
            /// The presence set or the reserved bytes: a bit or byte that this version does not know is set.
            Reserved = 255,
        }

        impl Field {
            /// Every field that may be absent.
            pub const OPTIONAL: &'static [Self] = &[$(Self::$tv,)* $(Self::$sv,)*];
            /// Every field that is always present.
            pub const ALWAYS: &'static [Self] = &[
                Self::RequestId, Self::Kind, Self::Stage, Self::EventTime, Self::DeadlineUs, Self::MaxStalenessMs,
            ];
            /// The texts, in the order in which they travel.
            pub const TEXTS: &'static [Self] = &[$(Self::$tv),*];

            /// The name in JSON, rules and column maps.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$tv => $tname,)*
                    $(Self::$sv => $sname,)*
                    Self::RequestId => "request_id",
                    Self::Kind => "kind",
                    Self::Stage => "stage",
                    Self::EventTime => "event_time",
                    Self::DeadlineUs => "deadline_us",
                    Self::MaxStalenessMs => "max_staleness_ms",
                    Self::Reserved => "reserved",
                }
            }

            /// The field of this number.
            pub const fn from_wire(number: u8) -> Option<Self> {
                match number {
                    $($tn => Some(Self::$tv),)*
                    $($sn => Some(Self::$sv),)*
                    128 => Some(Self::RequestId),
                    129 => Some(Self::Kind),
                    130 => Some(Self::Stage),
                    131 => Some(Self::EventTime),
                    132 => Some(Self::DeadlineUs),
                    133 => Some(Self::MaxStalenessMs),
                    255 => Some(Self::Reserved),
                    _ => None,
                }
            }
        }
    };
}
with_request_fields!(field_enum);

impl Field {
    /// The number on the wire.
    pub const fn wire(self) -> u8 {
        self as u8
    }

    /// The field of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::OPTIONAL.iter().chain(Self::ALWAYS).copied().find(|field| field.name() == name)
    }

    /// The bit of an optional field in the presence set.
    pub(crate) const fn presence(self) -> u64 {
        1 << self.wire()
    }
}

/// Every bit that this version knows.
pub(crate) const KNOWN_PRESENCE: u64 = {
    let mut bits = 0;
    let mut at = 0;
    while at < Field::OPTIONAL.len() {
        assert!(Field::OPTIONAL[at].wire() < 64, "an optional field's number is its bit in 64");
        assert!(bits & Field::OPTIONAL[at].presence() == 0, "two fields share a number");
        bits |= Field::OPTIONAL[at].presence();
        at += 1;
    }
    bits
};
