//! Engines of several members in this process, that know each other.

use crate::Failure;
use sparr_engine::server::Engine;
use sparr_engine::server::config::{ConfiguredMember, EngineConfig, LinkConfig, Overrides};
use sparr_engine::server::keys::{SigningKey, network_keys};
use sparr_protocol::client::{ClientConfig, FailPolicy, Fallback, Identity};
use sparr_protocol::ids::MemberName;
use sparr_protocol::member::MemberKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One of them.
pub(crate) struct Member {
    folder: PathBuf,
    pub(crate) engine: Engine,
}

impl Member {
    /// How to connect in a role.
    pub(crate) fn client(&self, role: &str) -> Result<ClientConfig, Failure> {
        let identity = Identity::from_dir(&self.folder.join("dev").join(role))?;
        let policy = FailPolicy::by_kind(|_| Fallback::Decline);
        let mut config = ClientConfig::new(self.engine.listen, identity, policy);
        config.timeout = Duration::from_secs(10);
        Ok(config)
    }
}

/// Starts as many as there are addresses of the broker, and waits until each sees all others.
pub(crate) fn start(folder: &Path, urls: &[String], network: &str) -> Result<Vec<Member>, Failure> {
    let keys = folder.join("keys");
    network_keys(&keys, true)?;
    let mut known = Vec::new();
    for number in 1..=urls.len() {
        let member = MemberName::parse(&format!("bank-{number}")).ok_or("a name")?;
        let folder = folder.join(member.as_str());
        let key = SigningKey::load(&folder.join("keys"))?.public_key();
        std::fs::copy(keys.join("network-1.key"), folder.join("keys/network-1.key"))?;
        known.push((ConfiguredMember { member, kind: MemberKind::Bank, key }, folder));
    }
    let mut members = Vec::new();
    for ((me, folder), url) in known.iter().zip(urls) {
        let local = || Some("127.0.0.1:0".to_owned());
        let mut config = EngineConfig::load(
            None,
            Overrides {
                dev: true,
                member: Some(me.member.to_string()),
                data_dir: Some(folder.clone()),
                listen: local(),
                admin: local(),
                workers: Some(1),
                ..Overrides::default()
            },
        )?;
        let others = known.iter().map(|(other, _)| other).filter(|other| other.member != me.member);
        config.kind = MemberKind::Bank;
        config.members = others.cloned().collect();
        let (servers, network) = (vec![url.clone()], network.to_owned());
        config.exchange = Some(LinkConfig { servers, network, replicas: 1, credentials: None, tls: None });
        members.push(Member { folder: folder.clone(), engine: Engine::start(config)? });
    }
    let is_live = |member: &Member| {
        let state = &member.engine.state;
        let heard = state.exchange.view().engines.iter().filter(|engine| engine.is_live).count();
        state.is_ready() && heard == urls.len()
    };
    for _ in 0..600 {
        if members.iter().all(is_live) {
            return Ok(members);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err("the engines do not find each other".into())
}
