//! The header in the repository is what the sources say.

use sparr_protocol::testing::skipped;
use std::path::Path;
use std::process::Command;

#[test]
fn the_header_in_the_repository_is_the_one_of_the_sources() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let generator = folder.join("header/Cargo.toml");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("header");
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--locked", "--manifest-path"])
        .arg(generator)
        .env("CARGO_TARGET_DIR", &target)
        .output()
        .expect("cargo runs");
    let said = String::from_utf8_lossy(&output.stderr);
    // It is built apart from everything else; without a registry, or what was fetched from one, it cannot be.
    if !target.join("debug/sparr-client-header").exists() {
        return skipped(
            &format!("cbindgen cannot be built: {said}"),
            "that the C header says what the sources say",
        );
    }
    assert!(output.status.success(), "{said}");
    let header = String::from_utf8(output.stdout).expect("text");
    let file = folder.join("include/sparr_client.h");
    if std::env::var_os("SPARR_BLESS").is_some() {
        std::fs::create_dir_all(folder.join("include")).expect("made");
        std::fs::write(&file, &header).expect("written");
    }
    let known = std::fs::read_to_string(&file).expect("readable");
    assert!(
        known == header,
        "the sources have changed: SPARR_BLESS=1 cargo test --workspace header, and read it"
    );
}
