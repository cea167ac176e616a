//! The rules that the repository ships, built into the binary: an engine that is tried out away from it has them too.

use crate::edge::Standard;
use crate::rules::{SourceFile, Sources};

/// Makes source files of files in `config/`.
macro_rules! shipped {
    ($($file:literal),+ $(,)?) => {
        [$(($file, include_str!(concat!("../../../config/", $file)))),+]
    };
}

const RULES: [(&str, &str); 10] = shipped![
    "rules/account-takeover.yaml",
    "rules/card-testing.yaml",
    "rules/credit-and-refunds.yaml",
    "rules/indicators.yaml",
    "rules/local-lists.yaml",
    "rules/mules.yaml",
    "rules/places.yaml",
    "rules/scams.yaml",
    "rules/set.yaml",
    "rules/shops.yaml",
];

const LISTS: [(&str, &str); 8] = shipped![
    "rules/lists/bad_addresses.txt",
    "rules/lists/bad_devices.txt",
    "rules/lists/bad_domains.txt",
    "rules/lists/disposable_domains.txt",
    "rules/lists/high_risk_countries.csv",
    "rules/lists/reported_shops.csv",
    "rules/lists/risky_mccs.txt",
    "rules/lists/tor_exits.txt",
];

const REASONS: [(&str, &str); 1] = shipped!["reasons.toml"];

const EDGES: [(&str, &str); 2] = shipped!["edge/iso8583.toml", "edge/iso20022.toml"];

/// The shipped table of a standard's messages.
pub(crate) fn edge(standard: Standard) -> SourceFile {
    let (name, text) = EDGES[standard as usize];
    SourceFile { name: name.to_owned(), text: text.to_owned() }
}

/// The shipped reasons.
pub(crate) fn reasons() -> SourceFile {
    let [(name, text)] = REASONS;
    SourceFile { name: name.to_owned(), text: text.to_owned() }
}

/// The shipped rules, lists and reasons.
pub(crate) fn sources() -> Sources {
    let file = |(name, text): &(&str, &str)| SourceFile {
        name: name.strip_prefix("rules/").unwrap_or(name).to_owned(),
        text: (*text).to_owned(),
    };
    Sources {
        rules: RULES.iter().map(file).collect(),
        lists: LISTS.iter().map(file).collect(),
        reasons: reasons(),
    }
}

#[cfg(test)]
mod tests {
    use crate::rules;
    use crate::server::sources;
    use std::path::Path;

    #[test]
    fn what_is_built_in_is_what_the_repository_ships() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/rules");
        let (built_in, shipped) = (super::sources(), sources::read_dir(&dir).expect("readable"));
        let digest =
            |sources: &rules::Sources| rules::load(sources).set.expect("the shipped rules load").digest();
        assert_eq!(digest(&built_in), digest(&shipped));
        assert_eq!((built_in.rules.len(), built_in.lists.len()), (shipped.rules.len(), shipped.lists.len()));
        assert_eq!(built_in.reasons.text, shipped.reasons.text);
    }
}
