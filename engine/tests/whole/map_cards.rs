//! Messages of ISO 8583: what each given file gives, every encoding, every refusal, and what changed messages say.

use crate::map_support::{ASCII, Written, card_items, cards, mutated, outcome, random, shipped};
use crate::support::{of_tier, seed};
use sparr_engine::edge::Refusal;
use sparr_protocol::testing::test_data;

/// A published test number, which belongs to nobody.
pub(crate) const PAN: &str = "4111111111111111";

/// A purchase in a shop.
pub(crate) fn purchase() -> Vec<(usize, &'static str)> {
    vec![
        (2, PAN),
        (3, "000000"),
        (4, "000000057416"),
        (7, "1123132000"),
        (11, "100331"),
        (12, "142000"),
        (18, "5732"),
        (22, "051"),
        (25, "00"),
        (32, "40002"),
        (35, "4111111111111111=30121010000000000000"),
        (37, "632713100331"),
        (41, "TERM0001"),
        (42, "SHOP-1         "),
        (43, "KAFFE OCH BULLAR         GOTEBORG     SE"),
        (49, "752"),
        (102, "SE4550000000058398257466"),
    ]
}

const MAPPED: &str = "amount_minor=57416 card_bin=41111111 channel=pos currency=SEK entry_mode=chip \
    event_time=1795440000000 kind=card_payment mcc=5732 merchant_country=SE merchant_id=SHOP-1 \
    payer_account=iban:SE4550000000058398257466 payment_id=632713100331 terminal_id=TERM0001";

fn only(bytes: &[u8], table: &str) -> String {
    let tables = cards(table).expect("a sound table");
    let items = card_items(bytes, &tables);
    assert_eq!(items.len(), 1, "one message");
    outcome(&items[0])
}

#[test]
fn every_given_file_gives_its_request_or_its_refusal() {
    let Some(folder) = test_data("peer-tests/iso8583", "what a peer's messages of ISO 8583 give") else {
        return;
    };
    let read = |name: &str| std::fs::read(folder.join(name)).expect("readable");
    let shipped = shipped("edge/iso8583.toml").replace("framing = \"lines\"", "framing = \"one\"");
    // The peer's track is EBCDIC, and its signed amounts have eight characters with their sign.
    let peers = shipped.replace("track = \"ascii\"", "track = \"ebcdic\"").replace("\"x+n 8\"", "\"x+n 7\"");
    let hex_length = peers.replace("length = \"ascii\"", "length = \"hex\"");
    for (file, table, expected) in [
        ("error_message.dat", &shipped, "0400: truncated 55 at byte 185"),
        ("financial_transaction_message_response.dat", &shipped, "0210: response at byte 0"),
        (
            "iso_reversal_message_advice.dat",
            &shipped,
            "0420: event_time=1767946006000 kind=reversal payment_id=100331.0109080646",
        ),
        (
            "iso_reversal_message_advice_unexpected_field.dat",
            &shipped,
            "0420: event_time=1767946006000 kind=reversal payment_id=100331.0109080646",
        ),
        ("iso_reversal_message_response.dat", &shipped, "0410: response at byte 0"),
        ("iso_reversal_repeat_message_response.dat", &shipped, "0410: response at byte 0"),
        ("message_with_indicate_numeric.dat", &peers, "0800: network_management at byte 0"),
        ("message_with_error_indicate_numeric.dat", &peers, "0800: network_management at byte 0"),
        ("message_with_hex_length.dat", &hex_length, "0800: network_management at byte 0"),
        ("network_management_message.dat", &shipped, "0800: network_management at byte 0"),
        ("network_management_message_with_error_track.dat", &peers, "0800: network_management at byte 0"),
        // Not messages, but descriptions of some.
        ("attributes_data_elements.dat", &shipped, ": not_iso8583 at byte 0"),
        ("specification_ver_1987.json", &shipped, ": not_iso8583 at byte 0"),
        ("specification_without_encoding_ver_1987.json", &shipped, ": not_iso8583 at byte 0"),
        ("iso_reversal_message.json", &shipped, ": not_iso8583 at byte 0"),
    ] {
        assert_eq!(only(&read(file), table), expected, "{file}");
    }
    // Messages about the line are refused by their type; read to their end all the same, they are what the peer says.
    let layout = |table: &str| cards(table).expect("a sound table").layout;
    let elements = |file: &str, table: &str| {
        let bytes = read(file);
        let message = sparr_engine::edge::iso8583::message::read(&bytes, 0, &layout(table));
        match message {
            Ok(message) => message
                .elements
                .iter()
                .map(|element| format!("{}={}", element.number, element.value.expose()))
                .collect::<Vec<_>>()
                .join(" "),
            Err(refused) => format!("{} {} at {}", refused.refusal.name(), refused.element, refused.place),
        }
    };
    let first = "7=0420090613 11=900001 12=090613 13=0420 15=0420";
    for (file, table, expected) in [
        ("message_with_indicate_numeric.dat", &peers, format!("{first} 28=C0000000")),
        ("message_with_error_indicate_numeric.dat", &peers, "element_form 28 at byte 66".into()),
        ("message_with_hex_length.dat", &hex_length, format!("{first} 32=00000000000")),
        ("network_management_message.dat", &shipped, format!("{first} 70=001")),
        ("network_management_message_with_error_track.dat", &peers, "element_form 35 at byte 68".into()),
    ] {
        assert_eq!(elements(file, table), expected, "{file}");
    }
    // The peer's description of elements says what the shipped layout says.
    let described = read("specification_ver_1987.json");
    let described: String =
        described.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '-' }).collect();
    let described: serde_json::Value = serde_json::from_str(&described).expect("JSON");
    for (number, element) in described["elements"].as_object().expect("elements") {
        let format = element["Describe"].as_str().expect("a format").split(';').next().unwrap_or_default();
        let line = format!("{number} = \"{}\"", format.trim());
        assert!(number == "1" || shipped.lines().any(|known| known.starts_with(&line)), "{line}");
    }
}

#[test]
fn the_same_message_in_any_encoding_is_the_same_request() {
    let purchase = purchase();
    let mut ids = Vec::new();
    for written in [
        ASCII,
        Written { bitmap: "binary", ..ASCII },
        Written { length: "binary", ..ASCII },
        Written { length: "hex", ..ASCII },
        Written { mti: "bcd", bitmap: "binary", length: "bcd", numeric: "bcd", ..ASCII },
        Written { mti: "ebcdic", bitmap: "binary", length: "ebcdic", numeric: "ebcdic", text: "ebcdic" },
    ] {
        let message = written.message("0100", &purchase);
        let tables = cards(&written.table("one")).expect("a sound table");
        let items = card_items(&message, &tables);
        assert_eq!(outcome(&items[0]), format!("0100: {MAPPED}"));
        ids.extend(items[0].mapped.as_ref().map(|mapped| mapped.request.request_id).ok());
    }
    assert!(ids.len() == 6 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    // Three messages behind each other, framed in each way; a repeat has the id of what it repeats.
    let (first, repeat) = (ASCII.message("0100", &purchase), ASCII.message("0101", &purchase));
    let framed = |header: fn(usize) -> Vec<u8>| {
        let all = [&first, &repeat, &first].map(|message| [header(message.len()), message.clone()].concat());
        all.concat()
    };
    let lines = [&first[..], b"\r\n", &repeat, b"\n\n", &first].concat();
    for (framing, file) in [
        ("lines", lines),
        ("length_binary", framed(|length| (length as u16).to_be_bytes().to_vec())),
        ("length_digits", framed(|length| format!("{length:04}").into_bytes())),
    ] {
        let tables = cards(&ASCII.table(framing)).expect("a sound table");
        let items = card_items(&file, &tables);
        let mapped =
            items.iter().map(|item| item.mapped.as_ref().map(|mapped| mapped.request.request_id).ok());
        assert_eq!(mapped.collect::<Vec<_>>(), [Some(ids[0]); 3], "{framing}");
        assert_eq!(items[1].message, "0101");
        // A file that ends within a frame gives what came before it, and says so.
        if framing != "lines" {
            let cut = card_items(&file[..file.len() - 1], &tables);
            assert_eq!(cut[2].mapped.as_ref().err().map(|refused| refused.refusal), Some(Refusal::Truncated));
        }
    }
}

#[test]
fn what_is_wrong_has_its_own_name_and_place() {
    let table = shipped("edge/iso8583.toml");
    let change = |number: usize, value: Option<&'static str>| {
        let mut elements = purchase();
        elements.retain(|(known, _)| *known != number);
        elements.extend(value.map(|value| (number, value)));
        elements.sort_by_key(|(number, _)| *number);
        ASCII.message("0100", &elements)
    };
    let mut wrong = Vec::new();
    let typed = |mti: &str| ASCII.message(mti, &purchase());
    for (message, expected) in [
        (typed("0200"), format!("0200: {MAPPED}")),
        (typed("0110"), "0110: response at byte 0".into()),
        (typed("0120"), "0120: advice at byte 0".into()),
        (typed("0130"), "0130: response at byte 0".into()),
        (typed("0300"), "0300: unsupported at byte 0".into()),
        (typed("0500"), "0500: unsupported at byte 0".into()),
        (typed("0820"), "0820: network_management at byte 0".into()),
        (typed("0900"), "0900: not_iso8583 at byte 0".into()),
        (typed("0109"), "0109: not_iso8583 at byte 0".into()),
        (typed("1100"), ": version at byte 0".into()),
        (typed("01AB"), ": not_iso8583 at byte 0".into()),
        (change(3, Some("990000")), "0100: no_kind 3 at byte 54".into()),
        (change(3, None), "0100: missing 3 at byte 0".into()),
        (change(11, None), "0100: missing 11 at byte 0".into()),
        (change(7, None), "0100: missing 7 at byte 0".into()),
        (change(49, Some("000")), "0100: value 49 at byte 224".into()),
        (change(2, Some("41111111111")), "0100: value 2 at byte 36".into()),
        (change(4, Some("00000005741X")), "0100: element_form 4 at byte 71".into()),
        (change(64, Some("0011223344556677")), format!("0100: {MAPPED}")),
        ([typed("0100"), b"7".to_vec()].concat(), "0100: trailing_bytes at byte 253".into()),
        (typed("0100")[..100].to_vec(), "0100: truncated 22 at byte 98".into()),
        (typed("0100")[..3].to_vec(), ": not_iso8583 at byte 0".into()),
        (b"0100Z23A40010A418182".to_vec(), "0100: element_form bit map at byte 4".into()),
        (b"010040000000000000002941111111".to_vec(), "0100: element_length 2 at byte 20".into()),
        (b"01004000000000000000X941111111".to_vec(), "0100: element_length 2 at byte 20".into()),
    ] {
        let said = only(&message, &table);
        if said != expected {
            wrong.push(format!("{said}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A layout that lacks an element cannot find what comes after it.
    let lacking = table.replace("\n18 = \"n 4\"", "\n#18 = \"n 4\"");
    assert_eq!(only(&typed("0100"), &lacking), "0100: unknown_element 18 at byte 94");
    // An amount without its currency is not an amount of any; the request goes on without it, and that is said.
    let tables = cards(&table).expect("a sound table");
    let items = card_items(&change(49, None), &tables);
    let mapped = items[0].mapped.as_ref().unwrap_or_else(|refused| panic!("{refused}"));
    assert_eq!(mapped.request.amount_minor, None);
    assert!(mapped.left.iter().any(|left| left.element == "4"));
    // A reversal belongs to the payment of its reference, or to the one that element 90 names.
    let mut reversal = purchase();
    reversal.push((90, "020010033111231320000000004000200000000000"));
    reversal.sort_by_key(|(number, _)| *number);
    let original = |elements: &[(usize, &str)]| {
        let items = card_items(&ASCII.message("0400", elements), &tables);
        items[0].mapped.as_ref().ok().and_then(|mapped| mapped.request.original_payment_id.clone())
    };
    assert_eq!(original(&reversal).as_deref(), Some("632713100331"));
    reversal.retain(|(number, _)| *number != 37);
    let mut unnamed = purchase();
    unnamed.retain(|(number, _)| *number != 37);
    let payment = card_items(&ASCII.message("0200", &unnamed), &tables);
    let payment = payment[0].mapped.as_ref().ok().and_then(|mapped| mapped.request.payment_id.clone());
    assert_eq!((original(&reversal), payment.as_deref()), (payment.clone(), Some("100331.1123132000")));
}

#[test]
fn a_changed_message_never_panics_and_never_says_whose_it_was() {
    let tables = cards(&shipped("edge/iso8583.toml")).expect("a sound table");
    let whole = ASCII.message("0200", &purchase());
    let seed = seed();
    let mut random = random(seed);
    let secrets = [PAN, &PAN[8..], "30121010000000", "58398257466"];
    let (mut refused, mut mapped, mut found) = (0, 0, 0);
    for round in 0..of_tier(20_000, 2_000_000) {
        let changed = mutated(&whole, &mut random);
        for item in card_items(&changed, &tables) {
            let said = match &item.mapped {
                Ok(one) => {
                    mapped += 1;
                    // What goes on has no card number in any field; what is said of it has nothing of it at all.
                    let texts = one.request.texts_by_name();
                    found += usize::from(texts.iter().any(|(_, text)| text.contains(secrets[3])));
                    let card = texts.iter().find(|(_, text)| text.contains(PAN));
                    assert!(
                        card.is_none(),
                        "SPARR_SEED={seed}, round {round}: {:?}",
                        card.map(|(name, _)| name)
                    );
                    format!("{:?}{:?}", one.used, one.left)
                }
                Err(error) => {
                    refused += 1;
                    format!("{} {error}", item.message)
                }
            };
            let leak = secrets.iter().find(|secret| said.contains(**secret));
            assert!(leak.is_none(), "SPARR_SEED={seed}, round {round}: {said}");
        }
    }
    assert!(found > 100, "the search finds an account where it belongs: in the request");
    assert!(refused > 1_000 && mapped > 500, "{refused} refused, {mapped} mapped: the changes are too dull");
}

#[test]
fn a_table_with_a_slip_is_not_used_and_says_where() {
    let shipped = shipped("edge/iso8583.toml");
    for (from, to, code, said) in [
        ("[card]", "[crad]", "E005", "did you mean `card`?"),
        ("bitmap = \"hex\"", "bitmap = \"octal\"", "E007", "`bitmap` is hex or binary"),
        ("2 = \"n..19\"", "2 = \"n19\"", "E007", "how an element lies"),
        ("128 = \"b 64\"", "129 = \"b 64\"", "E005", "an element from 2 to 128"),
        ("00 = \"card_payment\"", "00 = \"cardpayment\"", "E007", "a kind of request"),
        ("decline = \"59\"", "decline = \"590\"", "E007", "a response code"),
        ("approve = \"00\"", "", "E006", "needs a key `approve`"),
        ("flag_deny =", "flag_dney =", "E010", "did you mean `flag_deny`?"),
        ("identity_malformed =", "identity_wrong =", "E027", "not a reason for not screening"),
        ("[message]", "[message", "E001", "this is not TOML"),
    ] {
        assert!(shipped.contains(from), "{from}");
        let error = cards(&shipped.replacen(from, to, 1)).expect_err(to);
        assert!(error.contains(&format!("error[{code}]")) && error.contains(said), "{to}: {error}");
        assert!(error.contains("table.toml:"), "{error}");
    }
}
