//! What the tests of `sparr map` share: tables, messages that are written by a layout, and the values that must stay inside.

use sparr_engine::edge::table::Findings;
use sparr_engine::edge::{EventTime, Item, iso8583, iso20022};
use sparr_engine::rules::SourceFile;
use sparr_protocol::time::Timestamp;
use std::fs;
use std::path::{Path, PathBuf};

/// A moment at which every time of the test messages is near.
pub(crate) fn now() -> Timestamp {
    Timestamp::parse("2026-11-23T13:20:05Z").expect("a time")
}

/// A file of `config/`.
pub(crate) fn config(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config").join(name)
}

pub(crate) fn shipped(name: &str) -> String {
    fs::read_to_string(config(name)).expect("readable")
}

fn findings(text: &str) -> Findings {
    let reasons = SourceFile { name: "reasons.toml".into(), text: shipped("reasons.toml") };
    Findings::new("table.toml", text, reasons)
}

/// What is said of a table, and the table if nothing is.
pub(crate) fn cards(text: &str) -> Result<iso8583::Tables, String> {
    let mut findings = findings(text);
    iso8583::Tables::read(text, &mut findings).ok_or_else(|| findings.render())
}

pub(crate) fn transfers(text: &str) -> Result<iso20022::Tables, String> {
    let mut findings = findings(text);
    iso20022::Tables::read(text, &mut findings).ok_or_else(|| findings.render())
}

pub(crate) fn card_items(file: &[u8], tables: &iso8583::Tables) -> Vec<Item> {
    iso8583::items(file, tables, None, EventTime::Message(now()))
}

pub(crate) fn transfer_items(file: &[u8], tables: &iso20022::Tables) -> Vec<Item> {
    iso20022::items(file, tables, EventTime::Message(now()), now())
}

/// What became of a message, on one line: its refusal and place, or the request's fields in the order of their names, without
/// the ids.
pub(crate) fn outcome(item: &Item) -> String {
    match &item.mapped {
        Err(refused) => {
            let element =
                if refused.element.is_empty() { String::new() } else { format!(" {}", refused.element) };
            format!("{}: {}{element} at {}", item.message, refused.refusal.name(), refused.place)
        }
        Ok(mapped) => {
            let mut fields: Vec<_> = mapped.request.texts_by_name();
            fields.retain(|(name, _)| !matches!(*name, "request_id" | "stage"));
            fields.sort();
            let fields: Vec<_> = fields.into_iter().map(|(name, text)| format!("{name}={text}")).collect();
            format!("{}: {}", item.message, fields.join(" "))
        }
    }
}

/// How the tests write a message: the encodings of a layout.
#[derive(Clone, Copy)]
pub(crate) struct Written {
    pub(crate) mti: &'static str,
    pub(crate) bitmap: &'static str,
    pub(crate) length: &'static str,
    pub(crate) numeric: &'static str,
    pub(crate) text: &'static str,
}

/// As the shipped table has it.
pub(crate) const ASCII: Written =
    Written { mti: "ascii", bitmap: "hex", length: "ascii", numeric: "ascii", text: "ascii" };

impl Written {
    /// The shipped table with these encodings, and messages that follow each other by two bytes of length.
    pub(crate) fn table(self, framing: &str) -> String {
        let mut table = shipped("edge/iso8583.toml");
        let keys = [
            ("framing", framing),
            ("mti", self.mti),
            ("bitmap", self.bitmap),
            ("length", self.length),
            ("numeric", self.numeric),
            ("text", self.text),
            ("track", self.text),
        ];
        for (key, value) in keys {
            let line =
                table.lines().find(|line| line.starts_with(&format!("{key} = "))).expect(key).to_owned();
            table = table.replacen(&line, &format!("{key} = \"{value}\""), 1);
        }
        table
    }

    /// A message: its type, and its elements in rising order.
    pub(crate) fn message(self, mti: &str, elements: &[(usize, &str)]) -> Vec<u8> {
        let mut bits = [0u8; 16];
        let secondary = elements.iter().any(|(number, _)| *number > 64);
        let numbers = elements.iter().map(|(number, _)| *number).chain(secondary.then_some(1));
        for number in numbers {
            bits[(number - 1) / 8] |= 0x80 >> ((number - 1) % 8);
        }
        let bits = &bits[..if secondary { 16 } else { 8 }];
        let mut out = digits(self.mti, mti);
        match self.bitmap {
            "binary" => out.extend_from_slice(bits),
            _ => out.extend(bits.iter().flat_map(|byte| format!("{byte:02X}").into_bytes())),
        }
        for (number, value) in elements {
            let (format, length) = format(*number);
            let longest: usize =
                format.trim_start_matches(|one: char| !one.is_ascii_digit()).parse().expect("a length");
            match (length, self.length) {
                (0, _) => {}
                (_, "hex") => {
                    let width = format!("{longest:X}").len();
                    out.extend(format!("{:0width$X}", value.len()).into_bytes());
                }
                (_, "binary") if longest < 256 => out.push(value.len() as u8),
                (_, "binary") => out.extend((value.len() as u16).to_be_bytes()),
                (width, written) => out.extend(digits(written, &format!("{:0width$}", value.len()))),
            }
            out.extend(if format.starts_with("n ") || format.starts_with("n.") {
                digits(self.numeric, value)
            } else {
                characters(self.text, value)
            });
        }
        out
    }
}

/// The format of an element in the shipped table, and the digits of its length.
fn format(number: usize) -> (String, usize) {
    let table = shipped("edge/iso8583.toml");
    let elements = table.split("[elements]").nth(1).expect("elements").to_owned();
    let line =
        elements.lines().find(|line| line.starts_with(&format!("{number} = "))).expect("in the layout");
    let format = line.split('"').nth(1).expect("a format").to_owned();
    let length = format.bytes().filter(|byte| *byte == b'.').count();
    (format, length)
}

fn digits(written: &str, text: &str) -> Vec<u8> {
    if written != "bcd" {
        return characters(written, text);
    }
    let even = if text.len() % 2 == 1 { format!("0{text}") } else { text.to_owned() };
    even.as_bytes().chunks(2).map(|pair| (pair[0] - b'0') << 4 | (pair[1] - b'0')).collect()
}

/// Code page 037, as far as the tests need it.
fn characters(written: &str, text: &str) -> Vec<u8> {
    let ebcdic = |byte: u8| match byte {
        b' ' => 0x40,
        b'0'..=b'9' => 0xF0 + (byte - b'0'),
        b'A'..=b'I' => 0xC1 + (byte - b'A'),
        b'J'..=b'R' => 0xD1 + (byte - b'J'),
        b'S'..=b'Z' => 0xE2 + (byte - b'S'),
        b'a'..=b'i' => 0x81 + (byte - b'a'),
        b'j'..=b'r' => 0x91 + (byte - b'j'),
        b's'..=b'z' => 0xA2 + (byte - b's'),
        b'=' => 0x7E,
        b'-' => 0x60,
        b'.' => 0x4B,
        other => panic!("{other}"),
    };
    text.bytes().map(|byte| if written == "ebcdic" { ebcdic(byte) } else { byte }).collect()
}

/// Changes a message in one way out of many: bytes flipped, cut off, doubled, put in, or moved.
pub(crate) fn mutated(whole: &[u8], random: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..=random(3) {
        if bytes.is_empty() {
            break;
        }
        let at = random(bytes.len());
        match random(6) {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << random(8),
            2 => bytes[at] = random(256) as u8,
            3 => bytes.insert(at, random(256) as u8),
            4 => drop(bytes.remove(at)),
            _ => {
                let until = (at + random(40)).min(bytes.len());
                let part = bytes[at..until].to_vec();
                let to = random(bytes.len());
                bytes.splice(to..to, part);
            }
        }
    }
    bytes
}

/// Numbers below a bound, from a seed (xorshift64*).
pub(crate) fn random(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed | 1;
    move |below| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % below.max(1)
    }
}
