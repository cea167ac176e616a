//! The keys of `engine.toml`: names, defaults and meanings, from which the file itself is printed.

use super::defaults::{
    BLAST_RADIUS_PER_MILLE_MAX, BUDGET_US, DRAIN_SECONDS, ENGINE, JOURNAL_RESERVE_MIB, KIND,
    LIFT_COOLING_OFF_HOURS, LOOKUPS_PER_DAY_MAX, QUEUE_MS_MAX, SCREENED_PEOPLE_ALARM, SNAPSHOT_RECORDS,
    VELOCITY_SNAPSHOT_SECONDS,
};
use super::required::REQUIRED;
use super::{ADMIN, DATA_DIR, HTTPS, LISTEN, RULES_DIR};
use super::{alerts, decision_log, link};
use crate::limits::{IDS_KEPT_MAX, RECENT_REQUESTS_MAX, VELOCITY_KEYS_MAX};

/// The names of all keys, for "did you mean".
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let tables = link::KEYS
        .iter()
        .map(|(name, ..)| *name)
        .chain(decision_log::KEYS.iter().chain(alerts::KEYS).map(|(name, ..)| *name));
    KEYS.iter().map(|key| key.name).chain(tables)
}

/// A key of the file: its name, its default as it is written, and what it means.
struct Key {
    name: &'static str,
    value: fn() -> String,
    meaning: &'static str,
}

/// Every key of the file, in its order. Tables come last.
const KEYS: &[Key] = &[
    Key {
        name: "member",
        value: || "\"my-company\"".to_owned(),
        meaning: "The member of the exchange whose engine this is, as certificates name it: 1 to 24 lower-case letters,\n\
                  digits and inner hyphens. No default.",
    },
    Key {
        name: "kind",
        value: || format!("{:?}", KIND.name()),
        meaning: "What kind of organisation the member is: payment_provider, bank, merchant, telecom, authority, police or\n\
                  central_organisation. Its rights follow from it: `sparr member rights` prints them.",
    },
    Key {
        name: "engine",
        value: || ENGINE.to_string(),
        meaning: "Number of this engine within its member. Two engines of one member never share one.",
    },
    Key {
        name: "listen",
        value: || format!("{LISTEN:?}"),
        meaning: "Address of the data plane: QUIC over UDP, mutual TLS.",
    },
    Key {
        name: "admin",
        value: || format!("{ADMIN:?}"),
        meaning: "Address of the admin port: page, metrics, probes, reload. Plain HTTP without a login: keep it on loopback.",
    },
    Key {
        name: "data_dir",
        value: || format!("{DATA_DIR:?}"),
        meaning: "Folder of the journal (journal.redb) and the keys (keys/).",
    },
    Key {
        name: "rules",
        value: || format!("{RULES_DIR:?}"),
        meaning: "Folder of the rule files; reasons.toml lies in it or beside it.",
    },
    Key {
        name: "activation",
        value: || "\"approve\"".to_owned(),
        meaning: "When rules that load begin to decide: \"approve\" (a reload stages them, and another person of the role risk\n\
                  makes them decide: sparr rules approve DIGEST), \"reload\" (at SIGHUP, POST /-/reload and sparr rules reload),\n\
                  or \"watch\" (also when a file changes). No default: somebody has to decide.",
    },
    Key {
        name: "workers",
        value: || "0".to_owned(),
        meaning: "Threads on the data plane; 0 for one per core.",
    },
    Key {
        name: "clock",
        value: || "\"wall\"".to_owned(),
        meaning: "Which clock judges expiry, lateness and windows: \"wall\", or \"event\" (the highest event time seen) for\n\
                  demonstrations with old rows.",
    },
    Key {
        name: "verify_unavailable",
        value: || "\"hold\"".to_owned(),
        meaning: "What happens to a payment whose person wants to be asked (a verify flag) where nobody can be asked, as with\n\
                  mail orders and merchant-initiated payments: \"hold\" or \"decline\". No default: somebody has to decide.",
    },
    Key {
        name: "lift_cooling_off_hours",
        value: || LIFT_COOLING_OFF_HOURS.to_string(),
        meaning: "Hours before a lift takes effect that no second channel has confirmed.",
    },
    Key {
        name: "lookups_per_day_max",
        value: || LOOKUPS_PER_DAY_MAX.to_string(),
        meaning: "Different people whom one member's desks may look up in a day (flag status, flag report). Then it stops.",
    },
    Key {
        name: "recent_requests_max",
        value: || RECENT_REQUESTS_MAX.to_string(),
        meaning: "Requests of the last hour that are kept in memory, as pseudonyms, to be looked at again: for recalls, for what\n\
                  a rule set would change, and for final results. About 800 bytes each; 0 for none.",
    },
    Key {
        name: "blast_radius_per_mille_max",
        value: || BLAST_RADIUS_PER_MILLE_MAX.to_string(),
        meaning: "A rule set that would have answered more than so many in a thousand recent requests otherwise is loaded\n\
                  with --accept alone (accept_needed). At 1000 any change is loaded, and nobody looks.",
    },
    Key {
        name: "screened_people_alarm",
        value: || SCREENED_PEOPLE_ALARM.to_string(),
        meaning: "Different people screened in a day from which on there is an alarm in the log. Screening never stops for it.",
    },
    Key {
        name: "journal_reserve_mib",
        value: || JOURNAL_RESERVE_MIB.to_string(),
        meaning: "Mebibytes kept back beside the journal. When the disk is full, raises are refused (log_full) and lifts,\n\
                  passes and withdrawals are written from here; 8 hold tens of thousands of them.",
    },
    Key {
        name: "snapshot_records",
        value: || SNAPSHOT_RECORDS.to_string(),
        meaning: "Records of the journal after which its state is written down as a snapshot, or a fiftieth of all of them if\n\
                  that is more. A start reads the snapshot and the records after it.",
    },
    Key {
        name: "drain_seconds",
        value: || DRAIN_SECONDS.to_string(),
        meaning: "Seconds that a stopping engine goes on answering what is there.",
    },
    Key {
        name: "queue_ms_max",
        value: || QUEUE_MS_MAX.to_string(),
        meaning: "Milliseconds of work that a worker takes on at once. Payments with a deadline (deadline_us) set a shorter bound,\n\
                  a quarter of the shortest that is about, or a sixteenth where too much goes on coming; what is beyond it is not\n\
                  screened (overloaded) and told when to try again. Callers that have had less than an equal share\n\
                  come first. 0 refuses nothing: everybody waits.",
    },
    Key {
        name: "caller_requests_per_second_max",
        value: || "0".to_owned(),
        meaning: "Screenings that one caller (one certificate name) may ask for in a second, over all its connections; beyond, they\n\
                  are not screened (overloaded). 0 for as many as they like.",
    },
    Key {
        name: "velocity_keys_max",
        value: || VELOCITY_KEYS_MAX.to_string(),
        meaning: "Live velocity keys at most; a key with a few events takes about 300 bytes. Beyond, keys not seen for long make room.",
    },
    Key {
        name: "budget_us",
        value: || BUDGET_US.to_string(),
        meaning: "What 99 decisions in 100 should not take longer than, microseconds: the dashboard judges by it.",
    },
    Key {
        name: "velocity_snapshot_seconds",
        value: || VELOCITY_SNAPSHOT_SECONDS.to_string(),
        meaning: "How often velocity is written down. An ordered stop loses nothing; after a kill the events since then are\n\
                  observed again out of the decision log; where that has gaps, they are missing and answers say so (window_warming).",
    },
    Key {
        name: "request_ids_max",
        value: || IDS_KEPT_MAX.to_string(),
        meaning: "Answered request ids that are kept at most; one takes about 200 bytes.",
    },
];

/// The file with every key, its default and its meaning: what `config/engine.toml` is.
pub fn commented_defaults() -> String {
    let mut text = String::from(
        "# Configuration of a sparr engine. The values are the defaults, printed by the engine itself; keys without a\n\
         # default have an example.\n",
    );
    let comment = |text: &mut String, meaning: &str| {
        text.push('\n');
        meaning.lines().for_each(|line| text.push_str(&format!("# {line}\n")));
    };
    for key in KEYS {
        comment(&mut text, key.meaning);
        text.push_str(&format!("{} = {}\n", key.name, (key.value)()));
    }
    comment(&mut text, "Certificates, as PEM files. SIGHUP reads them again.");
    text.push_str("[tls]\n");
    for (name, example, meaning) in [
        ("certificate", "tls/cert.pem", "The engine's own chain. No default."),
        ("key", "tls/key.pem", "Its key. No default."),
        (
            "client_authorities",
            "tls/clients.pem",
            "Authorities that sign the certificates of gateways, desks and the others. No default.",
        ),
        (
            "revoked",
            "tls/revoked.pem",
            "Their revocation lists. Without this key nothing is checked for revocation; with it, a certificate whose\n\
                  authority has no list in force is refused.",
        ),
    ] {
        comment(&mut text, meaning);
        let off = if name == "revoked" { "# " } else { "" };
        text.push_str(&format!("{off}{name} = {example:?}\n"));
    }
    comment(
        &mut text,
        "Fields without which a payment of a kind is not screened; | between alternatives. A kind that is not listed\n\
                  requires nothing; without this table these lines hold.",
    );
    text.push_str("[required]\n");
    for (kind, fields) in REQUIRED {
        text.push_str(&format!("{} = {fields:?}\n", kind.name()));
    }
    comment(
        &mut text,
        "The decision log: every answer with what running it again needs, in pseudonyms, under the data folder.",
    );
    text.push_str("[decision_log]\n");
    let table = |text: &mut String, keys: &[decision_log::Key]| {
        for (name, value, meaning) in keys {
            comment(text, meaning);
            text.push_str(&format!("{name} = {}\n", value()));
        }
    };
    table(&mut text, decision_log::KEYS);
    comment(
        &mut text,
        "What the engine notices of itself and tells: on the page, as the metric sparr_alert, and in its log.",
    );
    text.push_str("[alerts]\n");
    table(&mut text, alerts::KEYS);
    comment(&mut text, alerts::CANARY);
    comment(
        &mut text,
        "How old the exchange's state may be for a kind to be screened, ms, at least 500: from there on a request is answered\n\
         not screened (stale). A kind that is not listed is screened however old the state is, and each answer says how old.\n\
         Needed where there are other engines: see [exchange].\n\
         [stale_after_ms]\n\
         transfer = 60000",
    );
    comment(
        &mut text,
        &format!(
            "Address of the HTTPS door, over TCP, for gateways and desks that cannot speak QUIC: mutual TLS with the certificates\n\
             of [tls]. Without this key there is none. It stands among the first keys.\n\
             https = {HTTPS:?}"
        ),
    );
    comment(
        &mut text,
        "A file of numbers that nobody was ever given, one a line: who asks about one walks through numbers. Each time is\n\
         counted (sparr_honey_lookups_total) and warned of. It stands among the first keys.\n\
         honey_numbers = \"honey.txt\"",
    );
    comment(
        &mut text,
        "Other members whose people may use this engine without an admission: the police, the central organisation.\n\
         SIGHUP reads them again, and the legal bases below; who is named no more can do nothing from then on.\n\
         The key is the public key of signing-1.key, with which the police sign receipts.\n\
         [members]\n\
         police = { kind = \"police\", key = \"64 hexadecimal digits\" }\n\
         centre = { kind = \"central_organisation\" }",
    );
    comment(
        &mut text,
        "The legal basis of sharing indicators, for each kind of value. Without one, nothing of that kind is shared.\n\
         [[legal_basis]]\n\
         kinds = [\"email\", \"domain\", \"ip\", \"cidr\"]\n\
         reference = \"board decision 2026-14\"\n\
         assessment = \"DPIA 2026-3\"\n\
         valid_until = \"2027-12-31\"",
    );
    let table: String =
        link::KEYS.iter().map(|(name, value, meaning)| format!("\n{meaning}\n{name} = {value}")).collect();
    comment(
        &mut text,
        &format!(
            "The other engines of the exchange, over NATS JetStream. Without this table the engine's own journal is the whole\n\
             exchange. The values of network and replicas are the defaults.\n\
             [exchange]{table}"
        ),
    );
    text
}
