//! Points and lengths of time as CEL writes and reads them, with time zones.

use super::Failure;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;

/// 0001-01-01T00:00:00Z, nanoseconds since 1970.
const FIRST: i128 = -62_135_596_800 * SECOND as i128;

/// 9999-12-31T23:59:59.999999999Z, nanoseconds since 1970.
const LAST: i128 = 253_402_300_800 * SECOND as i128 - 1;

/// A point in time of the years 1 to 9999.
pub(super) fn in_range(ns: i128) -> Result<i128, Failure> {
    if (FIRST..=LAST).contains(&ns) { Ok(ns) } else { Err(Failure::Range("a point in time")) }
}

/// The point in time of so many seconds since 1970.
pub(super) fn of_seconds(seconds: i64) -> Result<i128, Failure> {
    in_range(i128::from(seconds) * i128::from(SECOND))
}

/// Whole seconds since 1970, rounded down.
pub(super) fn seconds(ns: i128) -> i64 {
    // A point in time is in range, so its seconds fit.
    ns.div_euclid(i128::from(SECOND)) as i64
}

/// Reads a time of RFC 3339, with its offset.
pub(super) fn parse_time(text: &str) -> Result<i128, Failure> {
    read_time(text).ok_or(Failure::Form("a time of RFC 3339")).and_then(in_range)
}

fn read_time(text: &str) -> Option<i128> {
    let (civil, offset) = match text.strip_suffix('Z') {
        Some(civil) => (civil, 0),
        None => {
            let at = text.len().checked_sub(6)?;
            let sign = text.as_bytes().get(at).filter(|sign| matches!(sign, b'+' | b'-'))?;
            let seconds = i128::from(clock(text.get(at + 1..)?)?);
            (text.get(..at)?, if *sign == b'-' { -seconds } else { seconds })
        }
    };
    let (seconds, part) = civil.split_once('.').unwrap_or((civil, "0"));
    let shape: String = seconds.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let digits = !part.is_empty() && part.len() <= 9 && part.bytes().all(|byte| byte.is_ascii_digit());
    if shape != "0000-00-00T00:00:00" || !digits || seconds.ends_with("60") {
        return None;
    }
    let ns = part.parse::<i128>().ok()? * 10i128.pow(9 - part.len() as u32);
    let since = seconds.parse::<DateTime>().ok()?.duration_since(EPOCH).as_nanos();
    Some(since + ns - offset * i128::from(SECOND))
}

/// Writes a time of RFC 3339, in UTC.
pub(super) fn time_text(ns: i128) -> Result<String, Failure> {
    civil(ns).map(|there| format!("{there}Z")).ok_or(Failure::Range("a point in time"))
}

/// Midnight of the first of January 1970.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// What calendar and clock show so many nanoseconds after [`EPOCH`].
fn civil(ns: i128) -> Option<DateTime> {
    EPOCH.checked_add(jiff::SignedDuration::try_from_nanos_i128(ns)?).ok()
}

/// Reads a length of time: numbers with units, a sign in front. Days are sparr's own.
pub(super) fn parse_length(text: &str) -> Result<i64, Failure> {
    const UNITS: [(&str, i64); 7] = [
        ("ns", 1),
        ("us", 1_000),
        ("ms", 1_000_000),
        ("s", SECOND),
        ("m", 60 * SECOND),
        ("h", 3_600 * SECOND),
        ("d", 86_400 * SECOND),
    ];
    let form = Failure::Form("a length of time");
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(form);
    }
    let mut total = 0i128;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, behind) = rest.split_at(digits);
        let letters = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, behind) = behind.split_at(letters);
        rest = behind;
        let Some((_, unit)) = UNITS.iter().find(|(name, _)| *name == unit) else { return Err(form) };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() + part.len() == 0 || part.contains('.') {
            return Err(form);
        }
        let digits = |text: &str| if text.is_empty() { Ok(0) } else { text.parse::<i64>() };
        let range = |_| Failure::Range("a length of time");
        let whole = i128::from(digits(whole).map_err(range)?) * i128::from(*unit);
        // Below a nanosecond nothing counts: eighteen places are more than any unit has.
        let part = &part[..part.len().min(18)];
        let scale = 10i128.pow(part.len() as u32);
        let part = i128::from(digits(part).map_err(range)?) * i128::from(*unit) / scale;
        total = total.saturating_add(whole + part);
    }
    i64::try_from(sign * total).map_err(|_| Failure::Range("a length of time"))
}

/// Writes a length of time in seconds.
pub(super) fn length_text(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let (whole, part) = (ns.unsigned_abs() / SECOND as u64, ns.unsigned_abs() % SECOND as u64);
    if part == 0 {
        return format!("{sign}{whole}s");
    }
    let part = format!("{part:09}");
    format!("{sign}{whole}.{}s", part.trim_end_matches('0'))
}

/// What is read off a calendar or a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::rules) enum CalendarPart {
    FullYear,
    /// 0 January – 11 December.
    Month,
    /// 1–31.
    Date,
    /// 0–30.
    DayOfMonth,
    /// 0 Sunday – 6 Saturday.
    DayOfWeek,
    /// 0–365.
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

impl CalendarPart {
    /// All, with the functions that read them.
    pub(in crate::rules) const ALL: [(&'static str, Self); 10] = [
        ("getFullYear", Self::FullYear),
        ("getMonth", Self::Month),
        ("getDate", Self::Date),
        ("getDayOfMonth", Self::DayOfMonth),
        ("getDayOfWeek", Self::DayOfWeek),
        ("getDayOfYear", Self::DayOfYear),
        ("getHours", Self::Hours),
        ("getMinutes", Self::Minutes),
        ("getSeconds", Self::Seconds),
        ("getMilliseconds", Self::Milliseconds),
    ];

    /// The part of a function's name.
    pub(in crate::rules) fn of(function: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == function).map(|(_, part)| *part)
    }

    /// Reads it off a point in time, nanoseconds since 1970; none where its zone puts it behind the year 9999.
    pub(in crate::rules) fn read(self, ns: i128, zone: &TimeZone) -> Option<i64> {
        // Zones know two days less than the calendar has: at its ends the last offset known holds.
        let second = i64::try_from(ns.div_euclid(i128::from(SECOND))).ok()?;
        let known =
            Timestamp::from_second(second).unwrap_or(if ns < 0 { Timestamp::MIN } else { Timestamp::MAX });
        let offset = zone.to_offset(known).seconds();
        let there = civil(ns + i128::from(offset) * i128::from(SECOND))?;
        Some(i64::from(match self {
            Self::FullYear => there.year(),
            Self::Month => i16::from(there.month()) - 1,
            Self::Date => i16::from(there.day()),
            Self::DayOfMonth => i16::from(there.day()) - 1,
            Self::DayOfWeek => i16::from(there.weekday().to_sunday_zero_offset()),
            Self::DayOfYear => there.day_of_year() - 1,
            Self::Hours => i16::from(there.hour()),
            Self::Minutes => i16::from(there.minute()),
            Self::Seconds => i16::from(there.second()),
            Self::Milliseconds => there.millisecond(),
        }))
    }

    /// Reads it off a length of time, nanoseconds: hours, minutes and seconds are the whole length, milliseconds
    /// what is left of a second.
    pub(super) fn of_length(self, ns: i64) -> Option<i64> {
        match self {
            Self::Hours => Some(ns / (3_600 * SECOND)),
            Self::Minutes => Some(ns / (60 * SECOND)),
            Self::Seconds => Some(ns / SECOND),
            Self::Milliseconds => Some(ns % SECOND / 1_000_000),
            Self::FullYear
            | Self::Month
            | Self::Date
            | Self::DayOfMonth
            | Self::DayOfWeek
            | Self::DayOfYear => None,
        }
    }
}

/// Reads a part off a point in time, in nanoseconds since 1970.
pub(super) fn calendar(part: CalendarPart, ns: i128, zone: &TimeZone) -> Result<i64, Failure> {
    part.read(ns, zone).ok_or(Failure::Range("a point in time"))
}

/// The time zone of a name such as `Europe/Stockholm`, or of a fixed offset such as `-09:30` or `02:00`.
pub(in crate::rules) fn zone(name: &str) -> Result<TimeZone, Failure> {
    fixed(name)
        .or_else(|| TimeZone::get(name).ok())
        .ok_or(Failure::Form("a time zone, such as Europe/Stockholm or +01:00"))
}

fn fixed(text: &str) -> Option<TimeZone> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    Offset::from_seconds(sign * clock(rest)?).ok().map(TimeZone::fixed)
}

/// Seconds of `02:30`.
fn clock(text: &str) -> Option<i32> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str, most: i32| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<i32>().ok()).flatten().filter(|number| *number <= most)
    };
    Some(number(hours, 23)? * 3_600 + number(minutes, 59)? * 60)
}
