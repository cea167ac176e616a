//! Configuration is read, completed, and refused with everything that is wrong with it.

use super::*;
use crate::policy::Required;
use sparr_protocol::codes::Kind;

fn load(text: &str, overrides: Overrides) -> Result<EngineConfig, Vec<String>> {
    parse::parse(text)
        .map_err(|error| vec![error])
        .and_then(|written| check(written, overrides).map_err(|e| e.0))
}

#[test]
fn the_file_in_the_repository_is_what_the_code_prints_and_it_loads() {
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../config/engine.toml"));
    if std::env::var_os("SPARR_BLESS").is_some() {
        std::fs::write(file, commented_defaults()).expect("written");
    }
    assert_eq!(std::fs::read_to_string(file).expect("readable"), commented_defaults());
    let config = load(&commented_defaults(), Overrides::default()).expect("loads");
    let overridden = Overrides { listen: Some("[::1]:1".to_owned()), ..Overrides::default() };
    assert_eq!(load(&commented_defaults(), overridden).expect("loads").listen.port(), 1);
    assert_eq!(config.activation, Activation::Approve, "what somebody copies is the careful choice");
    assert_eq!(config.policy.required.of(Kind::CardPayment).len(), 1);
    assert_eq!(config.policy.required.of(Kind::Instant).len(), 2);
}

#[test]
fn a_development_engine_needs_nothing_and_a_real_one_says_everything_that_it_misses() {
    let dev = load("", Overrides { dev: true, ..Overrides::default() }).expect("loads");
    assert_eq!((dev.policy.cooling_off_ms, dev.tls), (0, TlsFiles::Development));
    assert_eq!(dev.activation, Activation::Reload);
    assert_eq!(dev.policy.required, Required::default());
    assert_eq!(
        load(
            "listen = \"here\"\nclock = \"sun\"\n[required]\ncheque = []\ninvoice = [\"subjet\"]\n",
            Overrides::default()
        )
        .expect_err("refused"),
        [
            "member: whose engine this is must be said",
            "listen: \"here\" is no address and port, such as 127.0.0.1:7443",
            "clock: \"sun\" is neither \"wall\" nor \"event\"",
            ACTIVATION_NOT_CHOSEN,
            "verify_unavailable: must be said, \"hold\" or \"decline\"; there is no default",
            "required: no kind is called \"cheque\"",
            "required.invoice: no optional field is called \"subjet\"",
            "tls: certificate, key and client_authorities must all be said",
        ]
    );
    assert_eq!(
        load("member = \"a\"\nlisten_on = \"x\"\n", Overrides::default()).expect_err("refused")[0]
            .split(", expected")
            .next(),
        Some("line 2, column 1: unknown field `listen_on`")
    );
    assert_eq!(EngineConfig::load(None, Overrides::default()), Err(ConfigError(vec![NO_FILE.to_owned()])));
}
