//! The messages of the service, as `protoc` would have made them.

use sparr_protocol::request::AuthorisationRequest;
use std::collections::HashMap;

/// A payment, by the names that rules know.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ScreenRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) request_id: Vec<u8>,
    #[prost(string, tag = "2")]
    pub(super) kind: String,
    #[prost(int64, optional, tag = "3")]
    pub(super) amount_minor: Option<i64>,
    #[prost(int64, optional, tag = "4")]
    pub(super) mcc: Option<i64>,
    #[prost(int64, optional, tag = "5")]
    pub(super) customer_since_days: Option<i64>,
    #[prost(int64, optional, tag = "6")]
    pub(super) device_age_days: Option<i64>,
    #[prost(int64, optional, tag = "7")]
    pub(super) payee_first_used_days: Option<i64>,
    #[prost(string, optional, tag = "8")]
    pub(super) channel: Option<String>,
    #[prost(string, optional, tag = "9")]
    pub(super) entry_mode: Option<String>,
    #[prost(string, optional, tag = "10")]
    pub(super) funding: Option<String>,
    #[prost(string, optional, tag = "11")]
    pub(super) wallet: Option<String>,
    #[prost(string, optional, tag = "12")]
    pub(super) cvv: Option<String>,
    #[prost(string, optional, tag = "13")]
    pub(super) avs: Option<String>,
    #[prost(string, optional, tag = "14")]
    pub(super) issuer_country: Option<String>,
    #[prost(string, optional, tag = "15")]
    pub(super) merchant_country: Option<String>,
    #[prost(string, optional, tag = "16")]
    pub(super) delivery_type: Option<String>,
    #[prost(string, optional, tag = "17")]
    pub(super) subject: Option<String>,
    #[prost(string, optional, tag = "18")]
    pub(super) card_token: Option<String>,
    #[prost(string, optional, tag = "19")]
    pub(super) device_id: Option<String>,
    #[prost(string, optional, tag = "20")]
    pub(super) ip: Option<String>,
    #[prost(string, optional, tag = "21")]
    pub(super) merchant_id: Option<String>,
    #[prost(string, optional, tag = "22")]
    pub(super) payment_id: Option<String>,
    #[prost(string, optional, tag = "23")]
    pub(super) email: Option<String>,
    /// The payer's local hour; the service's own where there is none.
    #[prost(int64, optional, tag = "24")]
    pub(super) hour: Option<i64>,
}

/// The answer.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ScreenAnswer {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) request_id: Vec<u8>,
    #[prost(string, tag = "2")]
    pub(super) outcome: String,
    #[prost(uint32, tag = "3")]
    pub(super) score: u32,
    /// The rules that hit.
    #[prost(uint32, repeated, tag = "4")]
    pub(super) rules: Vec<u32>,
}

impl From<&AuthorisationRequest> for ScreenRequest {
    fn from(request: &AuthorisationRequest) -> Self {
        let mut texts: HashMap<&str, String> = request.texts_by_name().into_iter().collect();
        let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
        Self {
            request_id: request.request_id.0.to_vec(),
            kind: texts.remove("kind").unwrap_or_default(),
            amount_minor: number(texts.remove("amount_minor")),
            mcc: number(texts.remove("mcc")),
            customer_since_days: number(texts.remove("customer_since_days")),
            device_age_days: number(texts.remove("device_age_days")),
            payee_first_used_days: number(texts.remove("payee_first_used_days")),
            channel: texts.remove("channel"),
            entry_mode: texts.remove("entry_mode"),
            funding: texts.remove("funding"),
            wallet: texts.remove("wallet"),
            cvv: texts.remove("cvv"),
            avs: texts.remove("avs"),
            issuer_country: texts.remove("issuer_country"),
            merchant_country: texts.remove("merchant_country"),
            delivery_type: texts.remove("delivery_type"),
            subject: texts.remove("subject"),
            card_token: texts.remove("card_token"),
            device_id: texts.remove("device_id"),
            ip: texts.remove("ip"),
            merchant_id: texts.remove("merchant_id"),
            payment_id: texts.remove("payment_id"),
            email: texts.remove("email"),
            hour: None,
        }
    }
}

impl ScreenRequest {
    /// Whole numbers that rules may ask for.
    pub(super) fn numbers(&self) -> [(&'static str, Option<i64>); 6] {
        [
            ("amount_minor", self.amount_minor),
            ("mcc", self.mcc),
            ("customer_since_days", self.customer_since_days),
            ("device_age_days", self.device_age_days),
            ("payee_first_used_days", self.payee_first_used_days),
            ("hour", self.hour),
        ]
    }

    /// Texts that rules may ask for.
    pub(super) fn texts(&self) -> [(&'static str, Option<&String>); 9] {
        [
            ("channel", self.channel.as_ref()),
            ("entry_mode", self.entry_mode.as_ref()),
            ("funding", self.funding.as_ref()),
            ("wallet", self.wallet.as_ref()),
            ("cvv", self.cvv.as_ref()),
            ("avs", self.avs.as_ref()),
            ("issuer_country", self.issuer_country.as_ref()),
            ("merchant_country", self.merchant_country.as_ref()),
            ("delivery_type", self.delivery_type.as_ref()),
        ]
    }

    /// What windows are kept by, in the order of [`REFERENCE_KEYS`](sparr_benches::rules::REFERENCE_KEYS).
    pub(super) fn keys(&self) -> [Option<&String>; 4] {
        [self.card_token.as_ref(), self.subject.as_ref(), self.device_id.as_ref(), self.ip.as_ref()]
    }
}
