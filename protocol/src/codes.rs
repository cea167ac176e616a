//! The enumerations of a request: a number on the wire, a name in JSON and in rules, one table for both.
//!
//! Zero is never a value: an absent field is zero with its presence bit clear. Numbers are forever; a retired one
//! keeps its line. A number that this version does not know is an error for that field, never a default.

/// Declares enumerations that travel as one byte.
macro_rules! codes {
    ($(
        $(#[$doc:meta])*
        $name:ident { $( $(#[$vdoc:meta])* $variant:ident = $number:literal $text:literal ),+ $(,)? }
    )+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $( $(#[$vdoc])* #[doc = concat!("`", $text, "`")] $variant = $number ),+ }

        impl $name {
            /// Every value, in wire order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value that this number stands for, if this version knows it.
            #[inline]
            pub const fn from_wire(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }

            /// The number on the wire.
            #[inline]
            pub const fn wire(self) -> u8 { self as u8 }

            /// The name in JSON, rules and column maps.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The value of this name.
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    )+};
}
pub(crate) use codes;

codes! {
    /// What the payment or the event is.
    Kind {
        CardPayment = 1 "card_payment",
        Invoice = 2 "invoice",
        Transfer = 3 "transfer",
        Instant = 4 "instant",
        AccountOpening = 5 "account_opening",
        Refund = 6 "refund",
        Payout = 7 "payout",
        Reversal = 8 "reversal",
        AccountVerification = 9 "account_verification",
        TokenProvisioning = 10 "token_provisioning",
        PayeeAdded = 11 "payee_added",
        CredentialChange = 12 "credential_change",
    }

    /// Where in the payment's life the question is asked.
    Stage {
        /// Before the cardholder is asked to authenticate.
        PreAuthentication = 1 "pre_authentication",
        /// At authorisation: the default.
        Authorisation = 2 "authorisation",
    }

    /// The channel through which the payer came.
    Channel {
        Web = 1 "web",
        App = 2 "app",
        PointOfSale = 3 "pos",
        Atm = 4 "atm",
        MailOrTelephone = 5 "moto",
        Branch = 6 "branch",
        CallCentre = 7 "call_centre",
        Api = 8 "api",
        UnknownChannel = 255 "unknown",
    }

    /// How the card's data entered (the family of ISO 8583 data element 22).
    EntryMode {
        Manual = 1 "manual",
        Magstripe = 2 "magstripe",
        Chip = 3 "chip",
        Contactless = 4 "contactless",
        Ecommerce = 5 "ecommerce",
        CredentialOnFile = 6 "credential_on_file",
        QrCode = 7 "qr_code",
        /// A chip card that was read by its stripe.
        Fallback = 8 "fallback",
        UnknownEntry = 255 "unknown",
    }

    /// Who set the payment going.
    Initiation {
        Customer = 1 "customer",
        Merchant = 2 "merchant",
        Recurring = 3 "recurring",
    }

    /// What kind of number the subject is.
    SubjectKind {
        /// A Swedish personnummer or samordningsnummer: the default.
        SePerson = 1 "se_person",
        /// A Swedish organisationsnummer; a sole trader's is the person's own number.
        SeOrganisation = 2 "se_organisation",
        /// An identifier of another country, with `subject_country`.
        Foreign = 3 "foreign",
    }

    /// Whether the payee's name agrees with the account's holder.
    NameMatch {
        Match = 1 "match",
        Close = 2 "close",
        NoMatch = 3 "no",
        UnknownMatch = 255 "unknown",
    }

    /// What kind of token `card_token` is.
    CardTokenKind {
        /// The member's own vault token: the default.
        Vault = 1 "vault",
        /// A network token (EMVCo payment token), which looks like a card number by design.
        Network = 2 "network",
    }

    /// How the card is funded.
    Funding {
        Credit = 1 "credit",
        Debit = 2 "debit",
        Prepaid = 3 "prepaid",
        Charge = 4 "charge",
        DeferredDebit = 5 "deferred_debit",
        UnknownFunding = 255 "unknown",
    }

    /// The wallet that presented the card.
    Wallet {
        NoWallet = 1 "none",
        ApplePay = 2 "apple_pay",
        GooglePay = 3 "google_pay",
        SamsungPay = 4 "samsung_pay",
        ClickToPay = 5 "click_to_pay",
        OtherWallet = 254 "other",
        UnknownWallet = 255 "unknown",
    }

    /// Result of the address check.
    Avs {
        Match = 1 "match",
        Partial = 2 "partial",
        NoMatch = 3 "no_match",
        Unavailable = 4 "unavailable",
        NotChecked = 5 "not_checked",
        UnknownAvs = 255 "unknown",
    }

    /// Result of the card verification value's check.
    Cvv {
        Match = 1 "match",
        NoMatch = 2 "no_match",
        NotGiven = 3 "not_given",
        Unavailable = 4 "unavailable",
        UnknownCvv = 255 "unknown",
    }

    /// Method of a customer's authentication. A flag names the methods that its person reported compromised.
    AuthMethod {
        BankId = 1 "bankid",
        Freja = 2 "freja",
        ThreeDSecure = 3 "three_d_secure",
        OtpSms = 4 "otp_sms",
        OtpApp = 5 "otp_app",
        Passkey = 6 "passkey",
        CardReader = 7 "card_reader",
        Biometric = 8 "biometric",
        Password = 9 "password",
        CardPin = 10 "card_pin",
        InPerson = 11 "in_person",
        OtherMethod = 15 "other",
    }

    /// Result of a customer's authentication.
    AuthResult {
        Passed = 1 "passed",
        Failed = 2 "failed",
        Abandoned = 3 "abandoned",
        /// 3-D Secure "attempts": the issuer did not take part, nobody was authenticated.
        Attempted = 4 "attempted",
        Unavailable = 5 "unavailable",
        UnknownResult = 255 "unknown",
    }

    /// 3-D Secure transaction status (EMVCo), by its letter.
    TransStatus {
        Y = 1 "Y",
        N = 2 "N",
        U = 3 "U",
        A = 4 "A",
        C = 5 "C",
        D = 6 "D",
        R = 7 "R",
        I = 8 "I",
    }

    /// The exemption from strong customer authentication that was claimed.
    ScaExemption {
        NoExemption = 1 "none",
        LowValue = 2 "low_value",
        RiskAnalysis = 3 "risk_analysis",
        TrustedBeneficiary = 4 "trusted_beneficiary",
        Recurring = 5 "recurring",
        SecureCorporate = 6 "secure_corporate",
        MerchantInitiated = 7 "merchant_initiated",
        OneLeg = 8 "one_leg",
    }

    /// What is known of remote access: a screen is shared, or a remote-control tool runs.
    RemoteAccess {
        No = 1 "no",
        Yes = 2 "yes",
        UnknownAccess = 255 "unknown",
    }

    /// How the goods reach the buyer.
    DeliveryType {
        Home = 1 "home",
        ParcelLocker = 2 "parcel_locker",
        PickupPoint = 3 "pickup_point",
        Store = 4 "store",
        Digital = 5 "digital",
        NoDelivery = 6 "none",
        UnknownDelivery = 255 "unknown",
    }

    /// The final word on one screening.
    Outcome {
        /// No objection. It says nothing of funds.
        Approve = 1 "approve",
        /// Ask for strong authentication first.
        Challenge = 2 "challenge",
        /// Do not carry it out.
        Decline = 3 "decline",
    }

    /// What a person must look at, beside the outcome. A passed challenge never clears it.
    Review {
        NoReview = 1 "none",
        /// Let it go and look at it afterwards.
        After = 2 "after",
        /// Hold an irreversible payment before it is executed.
        Hold = 3 "hold",
    }

    /// Role of a caller, from its certificate.
    Role {
        Gateway = 1 "gateway",
        Desk = 2 "desk",
        Analyst = 3 "analyst",
        Risk = 4 "risk",
        Operator = 5 "operator",
        Centre = 6 "centre",
        Police = 7 "police",
    }

    /// What the person who asked for a flag wants to happen.
    Wish {
        /// Ask for authentication before each payment in scope.
        Verify = 1 "verify",
        /// Decline each payment in scope.
        Deny = 2 "deny",
    }

    /// Which payments a flag covers.
    ScopeKind {
        /// Everything but money that comes back (reversals and refunds).
        Any = 1 "any",
        /// Credit in the person's name: invoices and new accounts.
        Credit = 2 "credit",
        /// Payments above an amount, and those whose amount cannot be compared with it.
        Above = 3 "above",
    }

    /// Why a flag was asked for.
    FlagReason {
        SuspectedFraud = 1 "suspected-fraud",
        StolenIdentity = 2 "stolen-identity",
        LostDocument = 3 "lost-document",
        Scam = 4 "scam",
        Precaution = 5 "precaution",
    }

    /// On whose behalf a flag is raised or lifted.
    RequestedBy {
        Person = 1 "self",
        Guardian = 2 "guardian",
        Trustee = 3 "trustee",
        Estate = 4 "estate",
        Police = 5 "police",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name or number that two variants share would make a value ambiguous on the wire or in a rule.
    #[test]
    fn every_code_round_trips_by_number_and_by_name() {
        macro_rules! round_trip {
            ($($name:ident)+) => {$(
                for value in $name::ALL {
                    assert_eq!($name::from_wire(value.wire()), Some(*value));
                    assert_eq!($name::parse(value.name()), Some(*value));
                    assert_ne!(value.wire(), 0, "{} is zero, which means absent", value.name());
                }
                let known: Vec<u8> = $name::ALL.iter().map(|value| value.wire()).collect();
                for number in 0..=u8::MAX {
                    assert_eq!($name::from_wire(number).is_some(), known.contains(&number));
                }
            )+};
        }
        round_trip!(Kind Stage Channel EntryMode Initiation SubjectKind NameMatch CardTokenKind Funding Wallet Avs
            Cvv AuthMethod AuthResult TransStatus ScaExemption RemoteAccess DeliveryType Outcome Review Role Wish
            ScopeKind FlagReason RequestedBy);
    }

    /// Compromised methods are a set of bits in a record; each method needs one.
    #[test]
    fn authentication_methods_fit_a_sixteen_bit_set() {
        assert!(AuthMethod::ALL.iter().all(|method| method.wire() < 16));
    }
}
