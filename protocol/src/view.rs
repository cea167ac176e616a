//! An authorisation request as an engine reads it: in place, every field checked, nothing copied.

use crate::card::{is_par, looks_like_card_number};
use crate::codec::{self, TextError, Truncated};
use crate::codes::{CardTokenKind, Kind, Stage};
use crate::contact;
use crate::field::{Field, KNOWN_PRESENCE, with_request_fields};
use crate::ids::RequestId;
use crate::limits::PAYMENT_ID_BYTES_MAX;
use crate::request::{ArchivedRequestHead, RequestHead, Scalar};
use crate::time::Timestamp;
use rkyv::rend::unaligned::{i64_ule, u16_ule, u32_ule, u64_ule};

/// A checked view over a request's bytes.
#[derive(Clone, Copy)]
pub struct RequestView<'a> {
    head: &'a ArchivedRequestHead,
    texts: Texts<'a>,
    message: &'a [u8],
}

/// Why bytes are no request. Where a field is at fault it is named; the id stays readable in the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Shorter than it says, or than a request can be.
    #[error(transparent)]
    Truncated(#[from] Truncated),
    /// Bytes follow the last text.
    #[error("{0} bytes follow the last text")]
    TrailingBytes(usize),
    /// A field's value is not legal.
    #[error("{}: {fault}", field.name())]
    Field {
        /// Which field.
        field: Field,
        /// What is wrong with it.
        fault: FieldFault,
    },
}

/// What is wrong with a field. None of the variants carries the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FieldFault {
    /// A number that stands for nothing in this version.
    #[error("a value that this version does not know")]
    UnknownValue,
    /// Bytes are set although the field is absent, or reserved bytes are not zero.
    #[error("set although it is absent or reserved")]
    NotZero,
    /// Not UTF-8, empty, too long, or with a control character.
    #[error("not a text of 1 to 254 printable characters")]
    Text,
    /// Not in the canonical form of its kind of value.
    #[error("not in the form of its kind of value")]
    Form,
    /// It carries what looks like a card number.
    #[error("looks like a card number, which this protocol never carries")]
    CardNumber,
}

/// Little-endian archived integers to native ones.
pub(crate) trait Native: Copy {
    type Native: Copy;
    fn native(self) -> Self::Native;
}
macro_rules! native {
    ($($archived:ty => $native:ty),+) => {$(
        impl Native for $archived {
            type Native = $native;
            fn native(self) -> $native { self.into() }
        }
    )+};
}
native!(u8 => u8, u16_ule => u16, u32_ule => u32, u64_ule => u64, i64_ule => i64, [u8; 16] => [u8; 16]);

macro_rules! view {
    (
        scalars { $( $(#[$sdoc:meta])* $sv:ident $s:ident: $st:ty = $sn:literal $sname:literal, )* }
        texts { $( $(#[$tdoc:meta])* $tv:ident $t:ident: $tt:ty = $tn:literal $tname:literal, )* }
    ) => {
        #[derive(Clone, Copy, Default)]
        struct Texts<'a> { $($t: Option<&'a str>),* }

        impl<'a> RequestView<'a> {
            $(
                $(#[$sdoc])*
                #[inline]
                pub fn $s(&self) -> Option<$st> {
                    self.has(Field::$sv).then(|| <$st as Scalar>::from_wire(self.head.$s.native())).flatten()
                }
            )*
            $(
                $(#[$tdoc])*
                #[inline]
                pub fn $t(&self) -> Option<&'a str> {
                    self.texts.$t
                }
            )*

            /// The message with some of its texts replaced: `replace` gives the new text, or `None` where it stays.
            pub fn rewritten(&self, replace: impl Fn(Field, &'a str) -> Option<String>) -> Vec<u8> {
                let mut out = self.message[..codec::size::<RequestHead>()].to_vec();
                $(if let Some(text) = self.texts.$t {
                    codec::write_text(replace(Field::$tv, text).as_deref().unwrap_or(text), &mut out);
                })*
                out
            }

            /// Checks that every present scalar is a value and every absent one is zero.
            fn check_scalars(head: &ArchivedRequestHead) -> Result<(), RequestError> {
                let presence = head.presence.to_native();
                $(
                    let wire = head.$s.native();
                    let present = presence & Field::$sv.presence() != 0;
                    if present && <$st as Scalar>::from_wire(wire).is_none() {
                        return Err(fault(Field::$sv, FieldFault::UnknownValue));
                    }
                    if !present && wire != <$st as Scalar>::Wire::default() {
                        return Err(fault(Field::$sv, FieldFault::NotZero));
                    }
                )*
                Ok(())
            }

            fn split_texts(presence: u64, mut rest: &'a [u8]) -> Result<(Texts<'a>, &'a [u8]), RequestError> {
                let mut texts = Texts::default();
                $(if presence & Field::$tv.presence() != 0 {
                    let (text, after) = codec::read_text(rest).map_err(|error| match error {
                        TextError::Truncated(truncated) => RequestError::Truncated(truncated),
                        TextError::Utf8 | TextError::Empty | TextError::TooLong | TextError::ControlCharacter => {
                            fault(Field::$tv, FieldFault::Text)
                        }
                    })?;
                    texts.$t = Some(text);
                    rest = after;
                })*
                Ok((texts, rest))
            }
        }
    };
}
with_request_fields!(view);

fn fault(field: Field, fault: FieldFault) -> RequestError {
    RequestError::Field { field, fault }
}

impl<'a> RequestView<'a> {
    /// Views a message of kind [`Screen`](crate::frame::MessageKind::Screen) and checks all of it but the
    /// identities, whose century needs a calendar.
    pub fn parse(message: &'a [u8]) -> Result<Self, RequestError> {
        let view = Self::parse_rewritten(message)?;
        view.check_forms()?;
        view.check_no_card_number()?;
        Ok(view)
    }

    /// Views a message that was checked before and then [`rewritten`](Self::rewritten): its texts need not have the form
    /// of their kind any more.
    pub fn parse_rewritten(message: &'a [u8]) -> Result<Self, RequestError> {
        let (head, rest) = codec::read::<RequestHead>(message)?;
        let presence = head.presence.to_native();
        if presence & !KNOWN_PRESENCE != 0 || head.reserved != [0; 10] {
            return Err(fault(Field::Reserved, FieldFault::NotZero));
        }
        if Kind::from_wire(head.kind).is_none() {
            return Err(fault(Field::Kind, FieldFault::UnknownValue));
        }
        if Stage::from_wire(head.stage).is_none() {
            return Err(fault(Field::Stage, FieldFault::UnknownValue));
        }
        Self::check_scalars(head)?;
        let (texts, rest) = Self::split_texts(presence, rest)?;
        if !rest.is_empty() {
            return Err(RequestError::TrailingBytes(rest.len()));
        }
        Ok(Self { head, texts, message })
    }

    /// Values whose kind has one form.
    fn check_forms(&self) -> Result<(), RequestError> {
        let texts = &self.texts;
        let check = |field: Field, text: Option<&str>, legal: fn(&str) -> bool| match text {
            Some(text) if !legal(text) => Err(fault(field, FieldFault::Form)),
            Some(_) | None => Ok(()),
        };
        let short: fn(&str) -> bool = |text| text.len() <= PAYMENT_ID_BYTES_MAX;
        let account: fn(&str) -> bool = |text| crate::account::account(text).is_some();
        if self.amount_minor().is_some_and(i64::is_negative) {
            // Money that comes back is a kind of its own; a sum over signed amounts would hide what was spent.
            return Err(fault(Field::AmountMinor, FieldFault::Form));
        }
        check(Field::PaymentId, texts.payment_id, short)?;
        check(Field::OriginalPaymentId, texts.original_payment_id, short)?;
        check(Field::Domain, texts.domain, |text| contact::domain(text).is_some())?;
        check(Field::Email, texts.email, |text| contact::email(text).is_some())?;
        check(Field::Phone, texts.phone, |text| contact::phone(text).is_some())?;
        check(Field::PayerAccount, texts.payer_account, account)?;
        check(Field::PayeeAccount, texts.payee_account, account)?;
        check(Field::Par, texts.par, is_par)
    }

    /// No text carries a card number. Ids that a member makes are asked only whether they begin with this card's
    /// own first digits, because a tenth of all long numbers pass Luhn.
    fn check_no_card_number(&self) -> Result<(), RequestError> {
        let texts = &self.texts;
        let network_token = self.card_token_kind() == Some(CardTokenKind::Network);
        let card_token = texts.card_token.filter(|_| !network_token);
        for (field, text) in [
            (Field::PaymentId, texts.payment_id),
            (Field::OriginalPaymentId, texts.original_payment_id),
            (Field::Domain, texts.domain),
            (Field::Email, texts.email),
            (Field::DeliveryKey, texts.delivery_key),
            (Field::CardToken, card_token),
        ] {
            if text.is_some_and(looks_like_card_number) {
                return Err(fault(field, FieldFault::CardNumber));
            }
        }
        let Some(bin) = self.card_bin() else { return Ok(()) };
        for (field, text) in [
            (Field::MerchantId, texts.merchant_id),
            (Field::TerminalId, texts.terminal_id),
            (Field::DeviceId, texts.device_id),
        ] {
            if text.is_some_and(|text| bin.begins(text) && looks_like_card_number(text)) {
                return Err(fault(field, FieldFault::CardNumber));
            }
        }
        Ok(())
    }

    /// Whether an optional field is present.
    #[inline]
    pub fn has(&self, field: Field) -> bool {
        field.wire() < 64 && self.head.presence.to_native() & field.presence() != 0
    }

    /// Idempotency key.
    pub fn request_id(&self) -> RequestId {
        RequestId(self.head.request_id)
    }

    /// What the payment or event is.
    pub fn kind(&self) -> Kind {
        checked(Kind::from_wire(self.head.kind))
    }

    /// Where in the payment's life the question is asked.
    pub fn stage(&self) -> Stage {
        checked(Stage::from_wire(self.head.stage))
    }

    /// When it happened; `None` where the engine's clock at receipt shall say.
    pub fn event_time(&self) -> Option<Timestamp> {
        Some(self.head.event_time.to_native()).filter(|ms| *ms != 0).map(Timestamp::from_ms)
    }

    /// Microseconds left when the client sent it; 0 for none.
    pub fn deadline_us(&self) -> u32 {
        self.head.deadline_us.to_native()
    }

    /// Oldest exchange state that is accepted, ms; 0 for the member's default.
    pub fn max_staleness_ms(&self) -> u32 {
        self.head.max_staleness_ms.to_native()
    }

    /// The whole message, for a digest of its content. Two requests with equal bytes outside
    /// [`RequestView::CONTROL_BYTES`] ask the same question.
    pub fn message(&self) -> &'a [u8] {
        self.message
    }

    /// Where `deadline_us` and `max_staleness_ms` lie: a retry may change them and is still the same request.
    pub const CONTROL_BYTES: std::ops::Range<usize> = 96..104;

    /// `deadline_us` of a message that was not checked: who is in a hurry to refuse it need not read it.
    pub fn deadline_us_of(message: &[u8]) -> Option<u32> {
        message.get(Self::CONTROL_BYTES)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
    }
}

/// A value that `parse` has already checked.
fn checked<T>(value: Option<T>) -> T {
    let Some(value) = value else { unreachable!("RequestView::parse refuses unknown values") };
    value
}
