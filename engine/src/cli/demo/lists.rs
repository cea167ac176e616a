//! The shipped rules in a folder of their own, with the member's local lists filled.

use crate::server::shipped;
use sparr_loadgen::stream::Listed;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// The list's file in a rule folder.
const fn file(listed: Listed) -> &'static str {
    match listed {
        Listed::Device => "lists/bad_devices.txt",
        Listed::Address => "lists/bad_addresses.txt",
        Listed::Domain => "lists/bad_domains.txt",
    }
}

/// Entries of each list where there are so many in all.
pub(super) const fn entries_each(entries: u64) -> u64 {
    entries / Listed::ALL.len() as u64
}

/// Writes the folder, and says where it is.
pub(super) fn write_rules(folder: &Path, entries: u64) -> io::Result<PathBuf> {
    let dir = folder.join("rules");
    std::fs::create_dir_all(dir.join("lists"))?;
    let sources = shipped::sources();
    for source in sources.rules.iter().chain(&sources.lists).chain([&sources.reasons]) {
        let name = Path::new(&source.name);
        let mut text = source.text.clone();
        let listed = Listed::ALL.into_iter().find(|listed| name == Path::new(file(*listed)));
        for number in 0..listed.map_or(0, |_| entries_each(entries)) {
            let entry = listed.map(|listed| listed.entry(number)).unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{entry}");
        }
        std::fs::write(dir.join(name), text)?;
    }
    Ok(dir)
}
