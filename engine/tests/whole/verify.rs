//! `sparr journal verify` finds what an engine that cheats, or a disk that rots, has done to the history.

use crate::exchange::done;
use crate::support::{EngineProcess, TOLVAN, shipped_rules, sparr, text};
use sparr_engine::journal::Chain;
use sparr_engine::server::journal::Store;
use sparr_engine::server::keys::SigningKey;
use sparr_engine::server::verify::verify;
use sparr_protocol::codes::{AuthMethod, FlagReason, RequestedBy, Role, Wish};
use sparr_protocol::exemption::{ExemptionId, ExemptionKey, RuleNames};
use sparr_protocol::flag::{MerchantRef, Methods, Scope, Terms};
use sparr_protocol::ids::{Actor, MemberName, Pseudonym, RequestId};
use sparr_protocol::indicator::{ContentDigest, Grade};
use sparr_protocol::member::MemberKind;
use sparr_protocol::money::Currency;
use sparr_protocol::record::{Origin, Payload, Record, RecordDigest};
use sparr_protocol::time::Timestamp;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A data folder with a flag, a shared indicator and a draft, whose engine has stopped.
fn honest() -> TempDir {
    let folder = tempfile::tempdir().expect("folder");
    let rules = shipped_rules().display().to_string();
    let engine = EngineProcess::start_in(folder.path(), &["--rules", &rules]);
    let raise =
        ["flag", "raise", "--subject", TOLVAN, "--wish", "deny", "--until", "2030-12-31", "--reason", "scam"];
    done(&engine, "desk", &raise);
    done(&engine, "desk-b", &raise);
    let draft = |value: &'static str| {
        ["indicator", "draft", "--kind", "domain", "--value", value, "--class", "x", "--grade", "observed"]
    };
    let shared = done(&engine, "analyst", &draft("one.example"))["id"].as_str().expect("an id").to_owned();
    done(&engine, "analyst", &draft("two.example"));
    done(&engine, "police", &["receipt", "add", "--indicator", &shared, "--reference", "K1"]);
    done(&engine, "analyst", &["indicator", "share", &shared]);
    engine.signal("TERM");
    assert_eq!(engine.wait(), Some(0));
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("readable") {
        let path = entry.expect("readable").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).expect("copied");
        }
    }
}

/// Everything in a journal, and its chain to go on with.
fn open(folder: &Path) -> (Store, Vec<(Record, RecordDigest)>, Chain) {
    let store = Store::open(&folder.join("journal.redb")).expect("opens");
    let member = MemberName::parse("dev").expect("legal");
    let mut records = Vec::new();
    let own = store.replay(member, 1, |sealed| {
        records.push((sealed.record, sealed.digest));
        Ok(())
    });
    let own = own.expect("whole");
    let origin = Origin { member, engine: 1, epoch: own.last_epoch.expect("an epoch") + 1 };
    let chain = Chain::new(origin, own.last_digest, own.highest_stamp);
    (store, records, chain)
}

fn actor(member: &str, role: Role) -> Actor {
    Actor::new(MemberName::parse(member).expect("legal"), role, "x").expect("legal")
}

/// What a cheating engine writes: chained and signed as everything else. What verification says of it.
fn forged(honest: &Path, forge: impl FnOnce(&[(Record, RecordDigest)]) -> (Actor, Payload)) -> Vec<String> {
    let folder = tempfile::tempdir().expect("folder");
    copy(honest, folder.path());
    {
        let (store, records, mut chain) = open(folder.path());
        let (actor, payload) = forge(&records);
        let stamp = records.iter().map(|(record, _)| record.stamp).max().expect("records");
        let clock = Timestamp::from_ms(i64::try_from(stamp).expect("in range") + 1);
        let sealed = chain.append(clock, actor, RequestId([99; 16]), "basis", payload);
        let mut commit = chain.commit(1, 1);
        let key = SigningKey::load(&folder.path().join("keys")).expect("a key");
        commit.signature = key.sign(&commit.signed_bytes());
        store.append(&[sealed], &commit).expect("written");
    }
    verify(folder.path(), None).expect("it runs").findings
}

#[test]
fn an_engine_that_cheats_is_found_out() {
    let honest = honest();
    let fine = verify(honest.path(), None).expect("it runs");
    assert_eq!((fine.findings.as_slice(), fine.records, fine.indicators_shared), (&[][..], 6, 1));
    let shared = |records: &[(Record, RecordDigest)]| {
        let found = records.iter().find_map(|(record, _)| match &record.payload {
            Payload::IndicatorShared { content, receipt } => Some((content.clone(), *receipt)),
            _ => None,
        });
        found.expect("a share")
    };
    let drafts = |records: &[(Record, RecordDigest)]| {
        let drafts = records.iter().filter_map(|(record, _)| match &record.payload {
            Payload::IndicatorDrafted { content } => Some(content.clone()),
            _ => None,
        });
        drafts.collect::<Vec<_>>()
    };
    let raise_of = |records: &[(Record, RecordDigest)], member: &str| {
        let raise = records.iter().find(|(record, _)| {
            matches!(record.payload, Payload::FlagRaised { .. }) && record.actor.member.as_str() == member
        });
        raise.expect("a raise").0.place()
    };
    let (requested_by, authenticated_by) = (RequestedBy::Person, AuthMethod::BankId);
    let terms = Terms {
        wish: Wish::Deny,
        scope: Scope::Any,
        reason: FlagReason::Scam,
        requested_by,
        authenticated_by,
        compromised: Methods::default(),
        valid_until: Timestamp::from_ms(2_000_000_000_000),
    };
    let subject = Pseudonym([1; 16]);
    let raise = Payload::FlagRaised { subject, key_id: 1, terms };
    let (analyst, desk) = (actor("dev", Role::Analyst), actor("dev", Role::Desk));
    let expect = |what: &str, findings: Vec<String>, words: &str| {
        assert!(findings.iter().any(|one| one.contains(words)), "{what}: {findings:?}");
        assert_eq!(findings.len(), 1, "{what}: {findings:?}");
    };
    let share = |content, receipt| Payload::IndicatorShared { content, receipt };
    expect(
        "a share without a receipt",
        forged(honest.path(), |all| (analyst.clone(), share(drafts(all)[1].clone(), [0; 32]))),
        "police first",
    );
    expect(
        "a share under the receipt of another indicator",
        forged(honest.path(), |all| (analyst.clone(), share(drafts(all)[1].clone(), shared(all).1))),
        "police first",
    );
    expect(
        "an edit after the receipt",
        forged(honest.path(), |all| {
            let (mut content, receipt) = shared(all);
            content.grade = Grade::Confirmed;
            (analyst.clone(), share(content, receipt))
        }),
        "police first",
    );
    expect(
        "a receipt that the police did not sign",
        forged(honest.path(), |all| {
            let digest = all.iter().find_map(|(record, _)| match record.payload {
                Payload::PoliceReceipt { digest, .. } => Some(digest),
                _ => None,
            });
            let (received_at, reference) = (Timestamp::from_ms(1), "K9".to_owned());
            let digest = digest.expect("a receipt");
            (
                actor("police", Role::Police),
                Payload::PoliceReceipt { digest, received_at, signature: [7; 64], reference },
            )
        }),
        "does not bear the police's signature",
    );
    let exempt = |until: Timestamp| Payload::ExemptionGranted {
        key: ExemptionKey::Card,
        value: subject,
        key_id: 1,
        rules: RuleNames::parse("card-testing").expect("legal"),
        until,
        why: "known".to_owned(),
    };
    let soon = |all: &[(Record, RecordDigest)], days: i64| {
        let stamp = all.iter().map(|(record, _)| record.stamp).max().expect("records");
        Timestamp::from_ms(i64::try_from(stamp).expect("in range") + days * 86_400_000)
    };
    expect(
        "an exemption for a quarter of a year",
        forged(honest.path(), |all| (actor("dev", Role::Risk), exempt(soon(all, 90)))),
        "longer than thirty days",
    );
    expect(
        "an exemption by a desk",
        forged(honest.path(), |all| (desk.clone(), exempt(soon(all, 7)))),
        "has no right to exempt_add",
    );
    expect(
        "a second person's word on an exemption that nobody granted",
        forged(honest.path(), |_| {
            (actor("dev", Role::Risk), Payload::ExemptionConfirmed { id: ExemptionId([5; 16]) })
        }),
        "did not act then",
    );
    expect(
        "a draft in another's name",
        forged(honest.path(), |all| {
            (actor("bank-b", Role::Analyst), Payload::IndicatorDrafted { content: drafts(all)[0].clone() })
        }),
        "in another's name",
    );
    expect(
        "a withdrawal of another's",
        forged(honest.path(), |all| {
            let digest = all.iter().find_map(|(record, _)| match record.payload {
                Payload::PoliceReceipt { digest, .. } => Some(digest),
                _ => None,
            });
            let withdrawn = Payload::IndicatorWithdrawn { digest: digest.expect("one"), why: "x".to_owned() };
            (actor("bank-b", Role::Analyst), withdrawn)
        }),
        "another member's indicator",
    );
    expect(
        "a report of nothing",
        forged(honest.path(), |_| {
            (analyst.clone(), Payload::IndicatorReported { digest: ContentDigest([9; 32]) })
        }),
        "not known before",
    );
    expect(
        "a gateway that raises",
        forged(honest.path(), |_| (actor("dev", Role::Gateway), raise.clone())),
        "has no right to flag_raise",
    );
    expect(
        "a stranger",
        forged(honest.path(), |_| (actor("nobody", Role::Desk), raise.clone())),
        "was no member that could act",
    );
    expect(
        "a lift of another's flag",
        forged(honest.path(), |all| {
            let lifted = Payload::FlagLifted {
                subject,
                key_id: 1,
                raise: raise_of(all, "bank-b"),
                requested_by,
                authenticated_by,
                second_channel: true,
                effective_from: Timestamp::from_ms(1),
            };
            (desk.clone(), lifted)
        }),
        "did not raise before",
    );
    expect(
        "a pass for a year",
        forged(honest.path(), |all| {
            let stamp = i64::try_from(all[0].0.stamp).expect("in range");
            let pass = Payload::PassGranted {
                subject,
                key_id: 1,
                merchant: MerchantRef::OwnId(subject),
                amount_minor: 1,
                currency: Currency::SEK,
                until: Timestamp::from_ms(stamp + 365 * 86_400_000),
                requested_by,
                authenticated_by,
            };
            (desk.clone(), pass)
        }),
        "open for longer than a day",
    );
    expect(
        "a desk that admits members",
        forged(honest.path(), |_| {
            let member = MemberName::parse("friends").expect("legal");
            (desk.clone(), Payload::MemberAdmitted { member, kind: MemberKind::Police, key: [0; 32] })
        }),
        "has no right to member_admit",
    );
}

#[test]
fn a_flipped_bit_in_a_record_and_a_signature_of_somebody_else_are_found() {
    let honest = honest();
    let (store, records, _) = open(honest.path());
    let commits = store.commits().expect("readable");
    drop(store);
    let whole = fs::read(honest.path().join("journal.redb")).expect("readable");
    let (mut flipped, mut found) = (0, 0);
    for (number, (record, _)) in records.iter().enumerate() {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        let at = memchr::memmem::find(&whole, &bytes).expect("the record is in the file");
        // Another copy would be a page of before, which nobody reads.
        for step in 0..6 {
            let bit = (number * 977 + step * 5_381) % (bytes.len() * 8);
            let folder = tempfile::tempdir().expect("folder");
            copy(honest.path(), folder.path());
            let mut rotten = whole.clone();
            let places: Vec<usize> = memchr::memmem::find_iter(&whole, &bytes).collect();
            assert!(places.contains(&at));
            places.iter().for_each(|place| rotten[place + bit / 8] ^= 1 << (bit % 8));
            fs::write(folder.path().join("journal.redb"), rotten).expect("written");
            flipped += 1;
            let findings = verify(folder.path(), None).expect("it runs").findings;
            found += usize::from(!findings.is_empty());
        }
    }
    assert_eq!((flipped, found), (36, 36), "flipped bits, and those that were found");

    // A commit that another key signed.
    let folder = tempfile::tempdir().expect("folder");
    copy(honest.path(), folder.path());
    let mut rotten = whole.clone();
    let signature =
        memchr::memmem::find(&whole, &commits[0].signature).expect("the signature is in the file");
    rotten[signature] ^= 1;
    fs::write(folder.path().join("journal.redb"), rotten).expect("written");
    let output =
        sparr().args(["journal", "verify", "--data-dir"]).arg(folder.path()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("the signature is not this engine's"), "{}", text(&output.stdout));
}
