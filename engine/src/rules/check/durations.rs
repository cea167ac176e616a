//! Lengths of time as rules write them: `30s`, `10m`, `24h`, `7d`, `1h30m`.

const UNITS: [(&str, i64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads a length of time, in milliseconds: numbers with units, largest unit first, a minus in front if it is
/// negative.
pub(in crate::rules) fn parse_duration(text: &str) -> Option<i64> {
    let (sign, mut rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let mut total = 0i64;
    let mut last_unit = i64::MAX;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at(digits);
        let letters = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, behind) = behind.split_at(letters);
        let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit)?;
        if *unit_ms >= last_unit {
            return None;
        }
        last_unit = *unit_ms;
        total = number.parse::<i64>().ok()?.checked_mul(*unit_ms)?.checked_add(total)?;
        rest = behind;
    }
    Some(sign * total)
}

/// Writes a length of time in the same way.
pub(crate) fn duration_text(ms: i64) -> String {
    let mut rest = ms.unsigned_abs();
    let mut text = String::from(if ms < 0 { "-" } else { "" });
    for (name, unit) in UNITS.iter().rev() {
        let count = rest / unit.unsigned_abs();
        rest %= unit.unsigned_abs();
        if count > 0 {
            text.push_str(&format!("{count}{name}"));
        }
    }
    if ms == 0 { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_units_largest_first() {
        for (text, ms) in [
            ("30s", 30_000),
            ("10m", 600_000),
            ("24h", 86_400_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
            ("250ms", 250),
            ("-5m", -300_000),
        ] {
            assert_eq!(parse_duration(text), Some(ms), "{text}");
        }
        for bad in
            ["", "-", "10", "m", "10 m", "1.5h", "30m1h", "5m5m", "10min", "9223372036854775807d", "1w"]
        {
            assert_eq!(parse_duration(bad), None, "{bad:?}");
        }
        for text in ["1d", "1h30m", "250ms", "-5m", "0s"] {
            assert_eq!(duration_text(parse_duration(text).expect(text)), text);
        }
    }
}
