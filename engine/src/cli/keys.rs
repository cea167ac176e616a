//! `sparr keys`: what others must know of an engine's keys, and nothing that they must not.

use super::exchange::hex;
use super::{CannotRun, Ended, Outcome};
use crate::server::config::DATA_DIR;
use crate::server::keys::{self, SigningKey};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `sparr keys`.
#[derive(Args)]
#[command(after_help = "Example:
  sparr keys --data-dir /var/lib/sparr
Every engine of a member signs with the same key: copy keys/signing-1.key between them. Others write the public half into
[members] of engine.toml, or the central organisation admits the member with it. The network key is the same at every
member of an exchange: compare the fingerprints.")]
pub(crate) struct KeysArgs {
    /// Folder of the engine's data; a signing key is made there where there is none
    #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
    data_dir: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &KeysArgs) -> Outcome {
    let dir = args.data_dir.join("keys");
    if !args.data_dir.is_dir() {
        return Err(CannotRun(format!("{}: no such folder", args.data_dir.display())));
    }
    let signing = hex(&SigningKey::load(&dir)?.public_key());
    // Without a network key the engine does not start; the signing key can be told all the same.
    let network = keys::network_keys(&dir, false).map(|keyring| keyring.fingerprints());
    if args.json {
        let fingerprints: Vec<String> = network.iter().flatten().map(|one| hex(one)).collect();
        println!("{}", json!({ "signing_key": signing, "network_keys": fingerprints }));
        return Ok(Ended::Fine);
    }
    println!("signing key (public): {signing}");
    match network {
        Ok(fingerprints) => {
            for (at, fingerprint) in fingerprints.iter().enumerate() {
                let which = if at == 0 { "current" } else { "previous" };
                println!("network key ({which}), fingerprint: {}", hex(fingerprint));
            }
        }
        Err(error) => println!("network key: none yet ({error})"),
    }
    Ok(Ended::Fine)
}
