//! Floors and bans of dependencies, over what is really built for this machine.

use std::path::Path;
use std::process::Command;

/// At least these versions, where the crate is present, and why.
const FLOORS: &[(&str, [u64; 3], &str)] = &[
    (
        "quinn-proto",
        [0, 11, 18],
        "RUSTSEC-2026-0037, -0185, -0339 to -0341: panics and memory exhaustion by packet",
    ),
    ("rkyv", [0, 8, 17], "RUSTSEC-2026-0233 to -0235: memory errors through checked access"),
    (
        "rustls-webpki",
        [0, 103, 13],
        "RUSTSEC-2026-0049, -0098, -0099, -0104: revocation and name constraints",
    ),
    ("aws-lc-sys", [0, 39, 0], "RUSTSEC-2026-0044 to -0048: name constraints, revocation scope"),
    ("crossbeam-epoch", [0, 9, 20], "RUSTSEC-2026-0204"),
    ("crossbeam-channel", [0, 5, 15], "RUSTSEC-2025-0024: double free"),
    ("memmap2", [0, 9, 11], "RUSTSEC-2026-0186"),
];

/// Not at all, and why.
const BANNED: &[(&str, &str)] = &[
    ("ring", "one cryptographic provider: aws-lc-rs"),
    ("bincode", "RUSTSEC-2025-0141: unmaintained"),
    ("serde_yaml", "archived"),
    ("serde_yml", "RUSTSEC-2025-0068"),
    ("evalexpr", "AGPL"),
    ("openssl-sys", "one TLS: rustls"),
];

/// Name and version of every package that `cargo tree` lists for this machine.
fn packages(arguments: &[&str]) -> Vec<(String, [u64; 3])> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--prefix", "none", "--format", "{p}"])
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .output()
        .expect("cargo tree runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let mut packages: Vec<_> = text.lines().filter_map(package).collect();
    packages.sort();
    packages.dedup();
    packages
}

fn package(line: &str) -> Option<(String, [u64; 3])> {
    let mut words = line.split(' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    let mut numbers = version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    Some((name.to_owned(), [numbers.next()?, numbers.next()?, numbers.next()?]))
}

#[test]
fn dependencies_are_above_their_floors_and_none_is_banned() {
    let packages = packages(&["--workspace", "--all-features"]);
    assert!(packages.len() > 100, "{} packages", packages.len());
    let mut findings = Vec::new();
    for (name, version) in &packages {
        for (_, floor, why) in FLOORS.iter().filter(|(known, ..)| known == name) {
            if version < floor {
                findings.push(format!("{name} {version:?} is below {floor:?}: {why}"));
            }
        }
        findings.extend(
            BANNED.iter().filter(|(known, _)| known == name).map(|(_, why)| format!("{name}: {why}")),
        );
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn the_core_is_built_without_sockets_runtimes_or_storage() {
    let core = packages(&["-p", "sparr-engine", "--no-default-features", "-e", "normal"]);
    for name in ["tokio", "quinn", "rustls", "redb", "axum", "hdrhistogram"] {
        assert!(!core.iter().any(|(known, _)| known == name), "the core pulls in {name}");
    }
    let client = packages(&["-p", "sparr-protocol", "--features", "client", "-e", "normal"]);
    assert!(client.len() < 120, "the gateway client needs {} packages", client.len());
}
