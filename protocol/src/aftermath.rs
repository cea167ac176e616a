//! What became of a payment, told afterwards: the final result within seconds, the label within weeks.
//!
//! Both are questions of their own kind, answered as an operation of the exchange is: durable, or refused. Telling the
//! same again changes nothing.

use crate::card::looks_like_card_number;
use crate::codec;
use crate::codes::codes;
use crate::exchange::ExchangeError;
use crate::frame::{self, MessageKind, TooLarge};
use crate::ids::RequestId;
use crate::limits::PAYMENT_ID_BYTES_MAX;
use crate::time::Timestamp;

codes! {
    /// What became of a payment.
    Final {
        /// The issuer or the payer's bank let it through.
        Authorised = 1 "authorised",
        /// The issuer or the payer's bank declined it.
        Declined = 2 "declined",
        /// The payer did not pass the challenge.
        ChallengeFailed = 3 "challenge_failed",
        /// The payer went away.
        Abandoned = 4 "abandoned",
        /// It was taken back.
        Reversed = 5 "reversed",
        /// Nobody went on with it in time.
        Expired = 6 "expired",
    }

    /// What a payment turned out to be.
    LabelClass {
        /// Somebody else paid with it.
        Unauthorised = 1 "unauthorised",
        /// Somebody else had taken over the payer's account.
        Takeover = 2 "takeover",
        /// The payer was talked into it.
        Scam = 3 "scam",
        /// It moved on money of a fraud.
        Mule = 4 "mule",
        /// The payer disputes what the payer bought.
        FirstParty = 5 "first_party",
        /// It was looked into, and nothing is wrong with it.
        Genuine = 6 "genuine",
    }
}

impl LabelClass {
    /// Whether it was fraud. Only `genuine` was none.
    pub const fn is_fraud(self) -> bool {
        match self {
            Self::Unauthorised | Self::Takeover | Self::Scam | Self::Mule | Self::FirstParty => true,
            Self::Genuine => false,
        }
    }
}

/// Longest reason code of a chargeback.
pub const CHARGEBACK_CODE_BYTES_MAX: usize = 16;

/// What became of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinalResult {
    /// Tells the answer apart; it is not kept.
    pub id: RequestId,
    /// The request.
    pub request_id: RequestId,
    /// What became of it.
    pub result: Final,
    /// ISO 8583 field 39, where there was an answer: two letters or digits.
    pub response_code: Option<[u8; 2]>,
    /// When that was. Of two results of one request the later one counts.
    pub time: Timestamp,
}

/// What one payment turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Tells the answer apart; it is not kept.
    pub id: RequestId,
    /// The payment, as its requests name it.
    pub payment_id: String,
    /// What it turned out to be.
    pub class: LabelClass,
    /// Reason code of the chargeback, where there was one.
    pub chargeback_code: Option<String>,
    /// Minor units, where it is known; never negative.
    pub amount_minor: Option<i64>,
    /// Since when it is known. Of two labels of one payment the later one counts.
    pub known_at: Timestamp,
}

codec::wire_struct! {
    struct ResultWire / ArchivedResultWire {
        id: [u8; 16],
        request_id: [u8; 16],
        time: i64,
        result: u8,
        response_code: [u8; 2],
        reserved: [u8; 5],
    }
}

codec::wire_struct! {
    struct LabelWire / ArchivedLabelWire {
        id: [u8; 16],
        known_at: i64,
        amount_minor: i64,
        class: u8,
        has_amount: u8,
        has_code: u8,
        reserved: [u8; 5],
    }
}

/// Where each field lies, for `WIRE.md`.
#[cfg(test)]
pub(crate) mod layouts {
    pub(crate) const FINAL: &[(&str, usize, usize)] = super::ResultWire::LAYOUT;
    pub(crate) const LABEL: &[(&str, usize, usize)] = super::LabelWire::LAYOUT;
}

fn zero(reserved: &[u8]) -> Result<(), ExchangeError> {
    if reserved.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(ExchangeError::Value("reserved")) }
}

/// Two letters or digits of ISO 8583 field 39.
pub fn response_code(text: &str) -> Option<[u8; 2]> {
    let code: [u8; 2] = text.as_bytes().try_into().ok()?;
    code.iter().all(u8::is_ascii_alphanumeric).then_some(code)
}

impl FinalResult {
    /// Appends one frame.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), TooLarge> {
        frame::append(MessageKind::FinalResult, out, |out| {
            let wire = ResultWire {
                id: self.id.0,
                request_id: self.request_id.0,
                time: self.time.ms(),
                result: self.result.wire(),
                response_code: self.response_code.unwrap_or_default(),
                reserved: [0; 5],
            };
            codec::write(&wire, out);
        })
    }

    /// Reads a message of kind [`FinalResult`](MessageKind::FinalResult).
    pub fn decode(message: &[u8]) -> Result<Self, ExchangeError> {
        let (wire, rest) = codec::read::<ResultWire>(message)?;
        zero(&wire.reserved)?;
        if !rest.is_empty() {
            return Err(ExchangeError::Length);
        }
        let code = match wire.response_code {
            [0, 0] => None,
            code if code.iter().all(u8::is_ascii_alphanumeric) => Some(code),
            _ => return Err(ExchangeError::Value("response_code")),
        };
        Ok(Self {
            id: RequestId(wire.id),
            request_id: RequestId(wire.request_id),
            result: Final::from_wire(wire.result).ok_or(ExchangeError::Value("result"))?,
            response_code: code,
            time: Timestamp::from_ms(wire.time.to_native()),
        })
    }
}

/// Whether a text can be a payment's id: as a request carries it, and no card's number.
pub fn is_payment_id(text: &str) -> bool {
    (1..=PAYMENT_ID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte >= b' ' && byte != 0x7f)
        && !looks_like_card_number(text)
}

/// Whether a text can be a chargeback's reason code, such as `10.4`.
pub fn is_chargeback_code(text: &str) -> bool {
    (1..=CHARGEBACK_CODE_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

impl Label {
    /// Appends one frame. The texts were checked by whoever made the label.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), TooLarge> {
        frame::append(MessageKind::Label, out, |out| {
            let wire = LabelWire {
                id: self.id.0,
                known_at: self.known_at.ms(),
                amount_minor: self.amount_minor.unwrap_or_default(),
                class: self.class.wire(),
                has_amount: self.amount_minor.is_some().into(),
                has_code: self.chargeback_code.is_some().into(),
                reserved: [0; 5],
            };
            codec::write(&wire, out);
            codec::write_text(&self.payment_id, out);
            if let Some(code) = &self.chargeback_code {
                codec::write_text(code, out);
            }
        })
    }

    /// Reads a message of kind [`Label`](MessageKind::Label).
    pub fn decode(message: &[u8]) -> Result<Self, ExchangeError> {
        let (wire, rest) = codec::read::<LabelWire>(message)?;
        zero(&wire.reserved)?;
        let text = |rest| codec::read_text(rest).map_err(|_| ExchangeError::Value("text"));
        let (payment_id, rest) = text(rest)?;
        if !is_payment_id(payment_id) {
            return Err(ExchangeError::Value("payment_id"));
        }
        let (chargeback_code, rest) = match wire.has_code {
            0 => (None, rest),
            1 => text(rest).map(|(code, rest)| (Some(code), rest))?,
            _ => return Err(ExchangeError::Value("has_code")),
        };
        if chargeback_code.is_some_and(|code| !is_chargeback_code(code)) {
            return Err(ExchangeError::Value("chargeback_code"));
        }
        if !rest.is_empty() {
            return Err(ExchangeError::Length);
        }
        let amount_minor = match (wire.has_amount, wire.amount_minor.to_native()) {
            (0, 0) => None,
            (1, amount) if amount >= 0 => Some(amount),
            _ => return Err(ExchangeError::Value("amount_minor")),
        };
        Ok(Self {
            id: RequestId(wire.id),
            payment_id: payment_id.to_owned(),
            class: LabelClass::from_wire(wire.class).ok_or(ExchangeError::Value("class"))?,
            chargeback_code: chargeback_code.map(str::to_owned),
            amount_minor,
            known_at: Timestamp::from_ms(wire.known_at.to_native()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Next;
    use crate::limits::REQUEST_FRAME_BYTES_MAX;

    fn message(bytes: &[u8]) -> Vec<u8> {
        let Next::Frame { frame, .. } = Next::parse(bytes, REQUEST_FRAME_BYTES_MAX) else {
            panic!("one whole frame")
        };
        frame.open().expect("whole").1.to_vec()
    }

    #[test]
    fn results_and_labels_come_back_as_they_were_and_no_other_byte_is_taken() {
        let result = FinalResult {
            id: RequestId([1; 16]),
            request_id: RequestId([2; 16]),
            result: Final::Declined,
            response_code: response_code("51"),
            time: Timestamp::from_ms(1_781_524_800_000),
        };
        let mut bytes = Vec::new();
        result.encode(&mut bytes).expect("short");
        let whole = message(&bytes);
        assert_eq!(FinalResult::decode(&whole), Ok(result));
        for (at, value) in [(40, 0), (40, 7), (41, b'!'), (43, 1)] {
            let mut broken = whole.clone();
            broken[at] = value;
            assert!(FinalResult::decode(&broken).is_err(), "byte {at}");
        }
        assert_eq!(FinalResult::decode(&whole[..47]).map(|_| ()), Err(ExchangeError::Length));
        assert!(FinalResult::decode(&[&whole[..], &[0]].concat()).is_err());

        let label = Label {
            id: RequestId([3; 16]),
            payment_id: "p-1".to_owned(),
            class: LabelClass::Scam,
            chargeback_code: Some("13.1".to_owned()),
            amount_minor: Some(5_716),
            known_at: Timestamp::from_ms(1_781_524_800_000),
        };
        for label in [label.clone(), Label { chargeback_code: None, amount_minor: None, ..label.clone() }] {
            let mut bytes = Vec::new();
            label.encode(&mut bytes).expect("short");
            let whole = message(&bytes);
            assert_eq!(Label::decode(&whole), Ok(label));
            for cut in 0..whole.len() {
                assert!(Label::decode(&whole[..cut]).is_err(), "cut at {cut}");
            }
        }
        // A published test number of a card scheme is no payment's id.
        let card = Label { payment_id: "4111111111111111".to_owned(), ..label };
        let mut bytes = Vec::new();
        card.encode(&mut bytes).expect("short");
        assert_eq!(Label::decode(&message(&bytes)), Err(ExchangeError::Value("payment_id")));
    }
}
