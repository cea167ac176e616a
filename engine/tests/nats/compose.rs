//! What `config/compose.yaml` prepares is an exchange: its script is run, its engines are started as it starts them.

use crate::broker::{Node, nats_server};
use crate::engines::Exchange;
use crate::support::{sparr, text};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// What is read of the file.
#[derive(Deserialize)]
struct Compose {
    configs: BTreeMap<String, Config>,
}

#[derive(Deserialize)]
struct Config {
    content: String,
}

/// A text of the file as a container gets it: Compose writes a dollar as two.
fn config(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/compose.yaml");
    let text = std::fs::read_to_string(file).expect("readable");
    let compose: Compose = serde_saphyr::from_str(&text).expect("a Compose file");
    compose.configs[name].content.replace("$$", "$")
}

#[test]
fn what_compose_prepares_becomes_an_exchange_of_three_members() {
    let Some(node) = Node::start() else { return };
    let folder = tempfile::tempdir().expect("folder");
    let script = folder.path().join("prepare.sh");
    std::fs::write(&script, config("prepare")).expect("written");
    let binaries = Path::new(sparr().get_program()).parent().expect("a folder").display().to_string();
    let path = format!("{binaries}:{}", std::env::var("PATH").expect("a path"));
    let exchange = folder.path().join("exchange");
    std::fs::create_dir(&exchange).expect("made");
    // A second `up` finds what the first one made.
    for _ in 0..2 {
        let ran = Command::new("sh")
            .arg(&script)
            .envs([("EXCHANGE", exchange.display().to_string()), ("PATH", path.clone())])
            .env("SERVERS", format!("{:?}", node.url()))
            .output()
            .expect("sh runs");
        assert!(ran.status.success(), "{}", text(&ran.stderr));
    }
    let mut exchange = Exchange::adopt(exchange, 3);
    (0..3).for_each(|at| exchange.start_engine(at));
    exchange.until_equal(0);
}

#[test]
fn the_nodes_configuration_is_one() {
    let Some(binary) = nats_server() else { return };
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("node.conf");
    let version = Command::new(&binary).arg("-v").output().expect("it runs");
    // 2.9 does not know the key that the file is about.
    let old = text(&version.stdout).contains("v2.9");
    let lines = config("node");
    let lines = lines.lines().filter(|line| !old || !line.contains("sync_interval: always"));
    std::fs::write(&file, lines.collect::<Vec<_>>().join("\n")).expect("written");
    let checked =
        Command::new(&binary).args(["-t", "-c"]).arg(&file).env("NODE", "nats-1").output().expect("it runs");
    assert!(checked.status.success(), "{}{}", text(&checked.stdout), text(&checked.stderr));
}
