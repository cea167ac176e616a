//! Answers to the identity check, on the wire: how many, and texts one behind the other.

use super::{ExchangeError, Operation};
use crate::codec;
use crate::personal::Personal;

pub(super) fn write(answers: &[Personal], out: &mut Vec<u8>) {
    // More than fit in a count do not fit in a frame either.
    let count = u8::try_from(answers.len()).unwrap_or(u8::MAX);
    out.push(count);
    answers.iter().take(count.into()).for_each(|answer| codec::write_text(answer.expose(), out));
}

/// Reads what [`write`] wrote, and gives back what follows it.
pub(super) fn read(bytes: &[u8]) -> Result<(Operation, &[u8]), ExchangeError> {
    let (&count, mut rest) = bytes.split_first().ok_or(ExchangeError::Length)?;
    let mut answers = Vec::new();
    for _ in 0..count {
        let (text, after) = codec::read_text(rest).map_err(|_| ExchangeError::Value("answers"))?;
        answers.push(text.into());
        rest = after;
    }
    Ok((Operation::IdentityCheck { answers }, rest))
}
