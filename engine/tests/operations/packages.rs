//! What is shipped around the engine: the unit, the package, the containers. What needs a container is read, not run.

use crate::metrics::{config_dir, config_text};
use crate::prometheus::is_there;
use crate::support::{sparr, text};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

#[test]
fn systemd_accepts_the_unit_and_finds_it_hardened() {
    if !is_there("systemd-analyze", "that systemd accepts the unit, and what it can reach") {
        return;
    }
    let folder = tempfile::tempdir().expect("folder");
    let verify = |unit: &str| {
        let file = folder.path().join("sparr.service");
        std::fs::write(&file, unit).expect("written");
        let run = |arguments: &[&str]| {
            let ran = Command::new("systemd-analyze").args(arguments).arg(&file).output().expect("it runs");
            (ran.status.success(), text(&ran.stdout) + &text(&ran.stderr))
        };
        (run(&["verify"]), run(&["security", "--offline=true", "--threshold=20", "--no-pager"]))
    };
    // The binary of this build, in place of the installed one.
    let unit =
        config_text("sparr.service").replace("/usr/bin/sparr", &sparr().get_program().to_string_lossy());
    let ((accepted, said), (hardened, exposed)) = verify(&unit);
    // It also speaks of units of this machine that ours asks for.
    let ours = said.lines().filter(|line| line.contains("sparr")).collect::<Vec<_>>();
    assert!(accepted && ours.is_empty(), "{said}");
    assert!(hardened, "{exposed}");
    // The controls: a slip is said, and a unit that gives everything away is seen to.
    let ((_, said), _) = verify(&unit.replace("WatchdogSec=30", "WatchdogSec=soon"));
    assert!(said.contains("soon"), "{said}");
    let soft = unit.lines().filter(|line| !line.starts_with("Protect") && !line.starts_with("SystemCall"));
    let (_, (hardened, _)) = verify(&soft.collect::<Vec<_>>().join("\n"));
    assert!(!hardened, "a unit without protection is not taken for hardened");
}

/// What the unit and the containers start is what the command line knows.
#[test]
fn what_units_and_containers_start_is_understood() {
    let (unit, docker) = (config_text("sparr.service"), config_text("Dockerfile"));
    let start =
        unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/sparr ")).expect("a command");
    assert_eq!(start, "serve --config /etc/sparr/engine.toml");
    let list = |key: &str| -> Vec<String> {
        let line = docker.lines().find_map(|line| line.strip_prefix(key)).expect(key);
        serde_json::from_str(line.trim()).expect("a list of words")
    };
    let shown = |arguments: &[String]| {
        // The same arguments, of which nothing is started.
        let arguments = arguments.iter().skip_while(|word| *word != "serve").skip(1);
        let ran = sparr().args(["config", "show"]).args(arguments).output().expect("it runs");
        assert!(ran.status.success(), "{}", text(&ran.stderr));
        text(&ran.stdout)
    };
    assert!(shown(&list("CMD ")).contains("0.0.0.0:7443"));
    assert!(
        list("HEALTHCHECK --interval=10s --timeout=3s --start-period=180s CMD ")
            .starts_with(&["sparr".to_owned(), "top".to_owned()])
    );
    for line in ["USER 10001:10001", "STOPSIGNAL SIGTERM"] {
        assert!(docker.lines().any(|known| known == line), "{line}");
    }
}

/// Everything that the package lists is there.
#[test]
fn the_package_lists_files_that_are_there() {
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    let manifest: toml::Table = toml::from_str(&manifest.expect("readable")).expect("TOML");
    let deb = &manifest["package"]["metadata"]["deb"];
    let assets = deb["assets"].as_array().expect("a list");
    assert!(assets.len() > 8);
    for asset in assets {
        let from = asset[0].as_str().expect("a path");
        let file = from.split("/*").next().expect("a path").trim_end_matches("/*");
        let is_built = file.starts_with("target/release/");
        let there = Path::new(env!("CARGO_MANIFEST_DIR")).join(file).exists();
        assert!(is_built || there, "{from} is not there");
    }
    for script in ["postinst", "prerm", "postrm"] {
        let file = config_dir().join("deb").join(script);
        let checked = Command::new("sh").arg("-n").arg(&file).status().expect("sh runs");
        assert!(checked.success(), "{script}");
        assert!(std::fs::read_to_string(&file).expect("readable").contains("#DEBHELPER#"), "{script}");
    }
}

/// What is read of the Compose file.
#[derive(serde::Deserialize)]
struct Compose {
    services: BTreeMap<String, Value>,
    configs: BTreeMap<String, Value>,
}

/// The containers are not run; what they are told is checked.
#[test]
fn compose_scrapes_the_engines_that_it_starts_and_mounts_what_is_there() {
    let compose: Compose = serde_saphyr::from_str(&config_text("compose.yaml")).expect("a Compose file");
    let scrape = compose.configs["scrape"]["content"].as_str().expect("a text");
    for engine in ["bank-one", "bank-two", "bank-three"] {
        assert!(scrape.contains(&format!("\"{engine}:7480\"")), "{engine} is scraped");
        let command = compose.services[engine]["command"].to_string();
        assert!(command.contains("0.0.0.0:7480"), "{engine}: {command}");
    }
    let volumes = compose
        .services
        .values()
        .flat_map(|service| service["volumes"].as_array().cloned().unwrap_or_default());
    let mounted: Vec<String> = volumes
        .filter_map(|volume| Some(volume.as_str()?.strip_prefix("./")?.split(':').next()?.to_owned()))
        .collect();
    assert_eq!(mounted.len(), 2);
    for file in mounted {
        assert!(config_dir().join(&file).is_file(), "{file}");
    }
    if !is_there("promtool", "that Prometheus accepts how the containers are scraped") {
        return;
    }
    let folder = tempfile::tempdir().expect("folder");
    std::fs::write(folder.path().join("prometheus.yml"), scrape).expect("written");
    std::fs::copy(config_dir().join("prometheus/alerts.yml"), folder.path().join("alerts.yml"))
        .expect("copied");
    let checked = Command::new("promtool")
        .args(["check", "config", "prometheus.yml"])
        .current_dir(folder.path())
        .output();
    let checked = checked.expect("it runs");
    assert!(checked.status.success(), "{}{}", text(&checked.stdout), text(&checked.stderr));
}
