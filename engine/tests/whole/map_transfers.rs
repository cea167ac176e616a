//! Transfers of ISO 20022: what each given file gives, what is refused, and what changed documents say.

use crate::map_support::{mutated, outcome, random, shipped, transfer_items, transfers};
use crate::support::{TOLVAN, of_tier, seed};
use sparr_engine::edge::Item;
use sparr_engine::edge::iso20022::Tables;
use sparr_protocol::testing::test_data;
use sparr_protocol::time::Timestamp;

/// A transfer of a person with a published test number, to somebody who lives elsewhere.
pub(crate) fn document(version: &str, change: &[(&str, &str)]) -> String {
    let mut text = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:{version}">
  <FIToFICstmrCdtTrf>
    <GrpHdr><MsgId>M-1</MsgId><CreDtTm>2026-11-23T14:20:00+01:00</CreDtTm><NbOfTxs>1</NbOfTxs></GrpHdr>
    <CdtTrfTxInf>
      <PmtId><EndToEndId>E-1</EndToEndId><UETR>8a562c67-ca16-48ba-b074-65581be6f011</UETR></PmtId>
      <PmtTpInf><LclInstrm><Cd>INST</Cd></LclInstrm></PmtTpInf>
      <IntrBkSttlmAmt Ccy="SEK">574.16</IntrBkSttlmAmt>
      <Dbtr>
        <Nm>Tolvan Tolvansson</Nm>
        <PstlAdr><Ctry>SE</Ctry></PstlAdr>
        <Id><PrvtId><Othr><Id>{TOLVAN}</Id><SchmeNm><Cd>NIDN</Cd></SchmeNm></Othr></PrvtId></Id>
        <CtctDtls><MobNb>+46-701234567</MobNb><EmailAdr>tolvan@example.com</EmailAdr></CtctDtls>
      </Dbtr>
      <DbtrAcct><Id><IBAN>SE4550000000058398257466</IBAN></Id></DbtrAcct>
      <Cdtr><Nm>B&amp;B</Nm></Cdtr>
      <CdtrAcct><Id><Othr><Id>9912346</Id><SchmeNm><Prtry>BGNR</Prtry></SchmeNm></Othr></Id></CdtrAcct>
      <RmtInf><Ustrd>thanks</Ustrd></RmtInf>
    </CdtTrfTxInf>
  </FIToFICstmrCdtTrf>
</Document>"#
    );
    for (from, to) in change {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    text
}

const MAPPED: &str = "pacs.008: amount_minor=57416 billing_country=SE currency=SEK email=tolvan@example.com \
    event_time=1795440000000 kind=instant payee_account=bg:9912346 payer_account=iban:SE4550000000058398257466 \
    payment_id=8a562c67ca1648bab07465581be6f011 phone=+46701234567 subject=191212121212 subject_kind=se_person";

fn only(file: &str) -> String {
    let items = transfer_items(file.as_bytes(), &transfers(&shipped("edge/iso20022.toml")).expect("sound"));
    items.iter().map(outcome).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_given_file_gives_its_requests_or_its_refusal() {
    let Some(folder) = test_data("peer-tests/iso20022", "what others' messages of ISO 20022 give") else {
        return;
    };
    let tables = transfers(&shipped("edge/iso20022.toml")).expect("a sound table");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        let bytes = std::fs::read(&path).expect("readable");
        let items = transfer_items(&bytes, &tables);
        assert_eq!(items.len(), 1, "{name}");
        let said = outcome(&items[0]);
        seen += 1;
        let expected = match name {
            "moov_FI_camt_054_sample.xml.xml" => "camt.054: account_report at line 1, column 624",
            "moov_invalid_pain_v11.xml" => ": namespace at line 1, column 1",
            // It says seven and has eight.
            "moov_musterfile_pain.001_Nov2020.xml" => "pain.001: count NbOfTxs at line 7, column 4",
            "moov_valid_camt_v09.xml" => "camt.055: cancellation at line 1, column 1",
            "moov_valid_pacs_v11.json" => ": not_xml at line 1, column 1",
            "moov_valid_pacs_v11.xml" => "pacs.002: response at line 1, column 1",
            "moov_valid_pain_v11.xml" => "pain.002: response at line 1, column 1",
            _ => {
                // A transfer: its fields, and of those that a file has as they are, what plainly stands there.
                let text = String::from_utf8(bytes).expect("text");
                let of = |open: &str| text.split(open).nth(1).and_then(|rest| rest.split('<').next());
                let minor = of("<IntrBkSttlmAmt Ccy=\"USD\">").expect("an amount");
                let minor = if minor.contains('.') { minor.replace('.', "") } else { format!("{minor}00") };
                let id = of("<UETR>")
                    .map(|uetr| uetr.replace('-', ""))
                    .or_else(|| of("<TxId>").map(str::to_owned));
                let sent = of("<CreDtTm>").and_then(Timestamp::parse).expect("a time").ms();
                let whole = format!(
                    "pacs.008: amount_minor={minor} billing_country=US currency=USD event_time={sent} kind=instant payment_id={}",
                    id.expect("an id")
                );
                assert_eq!(said, whole, "{name}");
                continue;
            }
        };
        assert_eq!(said, expected, "{name}");
        if name.starts_with("moov_musterfile") {
            every_transaction_of_an_order_is_a_request(&String::from_utf8(bytes).expect("text"), &tables);
        }
    }
    assert_eq!(seen, 23);
}

/// With the right number of transactions a customer's order is read: what is an account goes on, and what is none is refused.
fn every_transaction_of_an_order_is_a_request(order: &str, tables: &Tables) {
    let order = order.replace("<NbOfTxs>7<", "<NbOfTxs>8<");
    let items = transfer_items(order.as_bytes(), tables);
    let amounts: Vec<_> = items
        .iter()
        .map(|item| match &item.mapped {
            Ok(mapped) => mapped.request.amount_minor.map(|minor| minor.to_string()).unwrap_or_default(),
            Err(refused) => format!("{} {}", refused.refusal.name(), refused.element),
        })
        .collect();
    let none = "value CdtrAcct/Id/IBAN";
    assert_eq!(amounts, ["620", "180", "1200", "500", none, none, "400", "600"]);
    let payer = |item: &Item| item.mapped.as_ref().is_ok_and(|mapped| mapped.request.payer_account.is_some());
    assert!(
        items.iter().filter(|item| item.mapped.is_ok()).all(payer),
        "the payer stands around the transactions"
    );
}

#[test]
fn a_document_gives_what_requests_have_fields_for_in_every_version() {
    for version in 8..=12 {
        assert_eq!(only(&document(&format!("pacs.008.001.{version:02}"), &[])), MAPPED);
    }
    let changed = |change: &[(&str, &str)]| only(&document("pacs.008.001.08", change));
    let with = |from: &str, to: &str| MAPPED.replace(from, to);
    // Prefixes, an envelope and character data change nothing.
    let open = "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08\">";
    let envelope = format!("<Envelope>{open}");
    assert_eq!(changed(&[(open, &envelope), ("</Document>", "</Document></Envelope>")]), MAPPED);
    let prefixed = document("pacs.008.001.08", &[("xmlns=", "xmlns:p=")])
        .replace("</", "</p:")
        .replace("<", "<p:")
        .replace("<p:/p:", "</p:")
        .replace("<p:?xml", "<?xml");
    assert_eq!(only(&prefixed), MAPPED);
    assert_eq!(changed(&[("574.16", "<![CDATA[574]]>&#46;16")]), MAPPED);
    for (from, to, expected) in [
        // Money in the currency's own decimals.
        ("\"SEK\">574.16", "\"JPY\">57416", with("currency=SEK", "currency=JPY")),
        ("\"SEK\">574.16", "\"KWD\">57.416", with("currency=SEK", "currency=KWD")),
        // Not instant: a transfer.
        ("<Cd>INST</Cd>", "<Cd>OTHR</Cd>", with("kind=instant", "kind=transfer")),
        // A time without an offset says nothing; a time of acceptance is nearer than that of the message.
        ("14:20:00+01:00", "14:20:00", with("event_time=1795440000000 ", "")),
        ("<Dbtr>", "<AccptncDtTm>2026-11-23T13:20:01Z</AccptncDtTm><Dbtr>", with("440000000", "440001000")),
        // Whose number it is follows from where they live, and a Swedish one of twelve digits from itself.
        (TOLVAN, "121212-1212", with(TOLVAN, "121212-1212")),
        ("NIDN", "CCPT", with(" subject=191212121212 subject_kind=se_person", "")),
        // What cannot be a Swedish number is for the engine to refuse.
        (TOLVAN, "191212121213", with(TOLVAN, "191212121213")),
        // An account whose scheme nobody knows is left out.
        ("BGNR", "KONTO", with("payee_account=bg:9912346 ", "")),
    ] {
        assert_eq!(changed(&[(from, to)]), expected, "{from} → {to}");
    }
    let foreign = with("billing_country=SE", "billing_country=FI").replace(
        "subject=191212121212 subject_kind=se_person",
        "subject=131052-308T subject_country=FI subject_kind=foreign",
    );
    assert_eq!(changed(&[("<Ctry>SE", "<Ctry>FI"), (TOLVAN, "131052-308T")]), foreign);
    // Ids that are too long for `payment_id`, or could be a card's number, are letters of their digest.
    let uetr = "<UETR>8a562c67-ca16-48ba-b074-65581be6f011</UETR>";
    for id in ["4111111111111111", "an-id-of-thirty-five-characters-abc"] {
        let said = changed(&[(uetr, ""), ("<EndToEndId>E-1", &format!("<EndToEndId>{id}"))]);
        let payment =
            said.split("payment_id=").nth(1).and_then(|rest| rest.split(' ').next()).expect("an id");
        assert!(payment.len() == 32 && payment.bytes().all(|byte| byte.is_ascii_lowercase()), "{payment}");
    }
}

#[test]
fn what_is_wrong_has_its_own_name_and_place() {
    let changed = |change: &[(&str, &str)]| only(&document("pacs.008.001.08", change));
    let named = |version: &str| only(&document(version, &[]));
    for (version, expected) in [
        ("pacs.008.001.07", "pacs.008: version at line 2, column 1"),
        ("pacs.008.001.13", "pacs.008: version at line 2, column 1"),
        ("pacs.002.001.11", "pacs.002: response at line 2, column 1"),
        ("pain.002.001.11", "pain.002: response at line 2, column 1"),
        ("camt.054.001.02", "camt.054: account_report at line 2, column 1"),
        ("camt.056.001.08", "camt.056: cancellation at line 2, column 1"),
        ("pacs.004.001.09", "pacs.004: payment_return at line 2, column 1"),
        ("pain.008.001.08", "pain.008: direct_debit at line 2, column 1"),
        ("auth.018.001.01", ": unsupported at line 2, column 1"),
        ("pacs.008", ": namespace at line 2, column 1"),
        ("pain.001.001.09", "pain.001: missing CstmrCdtTrfInitn at line 2, column 1"),
    ] {
        assert_eq!(named(version), expected, "{version}");
    }
    let mut wrong = Vec::new();
    let deep = format!("{}{}</PmtId>", "<A>".repeat(40), "</A>".repeat(40));
    let long = format!("<Ustrd>{}", "a".repeat(40_000));
    for (from, to, expected) in [
        (
            "<Document ",
            "<!DOCTYPE Document [<!ENTITY a \"b\">]><Document ",
            ": document_type at line 2, column 1",
        ),
        ("thanks", "&a;", ": entity at line 18, column 22"),
        ("thanks", "&#x0;", ": entity at line 18, column 22"),
        ("UTF-8", "ISO-8859-1", ": not_utf8 at line 1, column 1"),
        ("</Document>", "", ": truncated at line 21, column 1"),
        ("</RmtInf>", "</Rmt>", ": not_xml at line 18, column 36"),
        ("</Document>", "</Document><Document/>", ": not_xml at line 21, column 12"),
        ("</Document>", "</Document>more", ": not_xml at line 21, column 12"),
        ("</PmtId>", &deep, ": too_large at line 6, column 175"),
        ("<Ustrd>", &long, ": too_large at line 18, column 22"),
        ("Ccy=\"SEK\"", "Ccy=\"SEK\" Ccy=\"EUR\"", ": not_xml at line 8, column 7"),
        ("Ccy=\"SEK\"", "", "pacs.008: value IntrBkSttlmAmt at line 8, column 7"),
        ("574.16", "574.161", "pacs.008: value IntrBkSttlmAmt at line 8, column 7"),
        ("574.16", "-574.16", "pacs.008: value IntrBkSttlmAmt at line 8, column 7"),
        ("574.16", "1e3", "pacs.008: value IntrBkSttlmAmt at line 8, column 7"),
        (
            "<Dbtr>",
            "<IntrBkSttlmAmt Ccy=\"SEK\">1.00</IntrBkSttlmAmt><Dbtr>",
            "pacs.008: duplicate IntrBkSttlmAmt at line 9, column 7",
        ),
        ("<NbOfTxs>1", "<NbOfTxs>2", "pacs.008: count NbOfTxs at line 4, column 75"),
        (
            "SE4550000000058398257466",
            "SE4550000000058398257467",
            "pacs.008: value DbtrAcct/Id/IBAN at line 15, column 21",
        ),
        ("9912346", "9912345", "pacs.008: value CdtrAcct/Id/Othr/Id at line 17, column 27"),
        (
            "<EndToEndId>E-1</EndToEndId><UETR>8a562c67-ca16-48ba-b074-65581be6f011</UETR>",
            "",
            "pacs.008: missing PmtId at line 5, column 5",
        ),
    ] {
        let said = changed(&[(from, to)]);
        if said != expected {
            wrong.push(format!("{from} → {}: {said}, not {expected}", &to[..to.len().min(60)]));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}",
        wrong.join(
            "
"
        )
    );
    assert_eq!(only("{\"a\": 1}"), ": not_xml at line 1, column 1");
    assert_eq!(only(""), ": not_xml at line 1, column 1");
    let items = transfer_items(b"<a>\n\xff</a>", &transfers(&shipped("edge/iso20022.toml")).expect("sound"));
    assert_eq!(outcome(&items[0]), ": not_utf8 at line 2, column 1");
}

#[test]
fn a_changed_document_never_panics_and_never_says_whose_it_was() {
    let tables = transfers(&shipped("edge/iso20022.toml")).expect("a sound table");
    let whole = document("pacs.008.001.10", &[]);
    let seed = seed();
    let mut random = random(seed);
    let secrets = [TOLVAN, "Tolvansson", "0583982574", "9912346", "7012345", "tolvan@"];
    let (mut refused, mut mapped, mut found) = (0, 0, 0);
    for round in 0..of_tier(10_000, 1_000_000) {
        let changed = mutated(whole.as_bytes(), &mut random);
        for item in transfer_items(&changed, &tables) {
            let said = match &item.mapped {
                Ok(one) => {
                    mapped += 1;
                    let texts = one.request.texts_by_name();
                    found += usize::from(texts.iter().any(|(_, text)| text.contains(secrets[0])));
                    format!("{:?}{:?}{:?}", one.used, one.left, one.echo)
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
    assert!(found > 100, "the search finds a number where it belongs: in the request");
    assert!(refused > 1_000 && mapped > 300, "{refused} refused, {mapped} mapped: the changes are too dull");
}

#[test]
fn a_table_with_a_slip_is_not_used_and_says_where() {
    let shipped = shipped("edge/iso20022.toml");
    for (from, to, code, said) in [
        ("[party]", "[parties]", "E005", "has no key `parties`"),
        ("home_country = \"SE\"", "home_country = \"FI\"", "E007", "only Swedish numbers"),
        ("BGNR = \"bg\"", "BGNR = \"bankgiro\"", "E007", "bban, bg, pg or swish"),
        ("\"instant\"", "\"card_payment\"", "E007", "transfer, instant, payout or refund"),
        ("\"RJCT FRAD\"", "\"RJCT FRAUD\"", "E007", "a status and"),
        ("= \"pain.001\"", "= \"pain.002\"", "E007", "pacs.008 or pain.001"),
        ("standard = \"iso20022\"", "standard = \"iso8583\"", "E007", "`standard` is \"iso20022\""),
        ("flag_deny =", "velocity_cart =", "E010", "did you mean `velocity_card`?"),
    ] {
        assert!(shipped.contains(from), "{from}");
        let error = transfers(&shipped.replacen(from, to, 1)).expect_err(to);
        assert!(error.contains(&format!("error[{code}]")) && error.contains(said), "{to}: {error}");
    }
}
