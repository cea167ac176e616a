//! Members and legal bases that the configuration names: at the start, and when it is read again.

use super::config::{EngineConfig, TlsFiles};
use super::keys::{KeyError, SigningKey};
use crate::policy::Sharing;
use crate::state::State;
use arc_swap::ArcSwap;
use sparr_protocol::codes::Role;
use sparr_protocol::ids::MemberName;
use sparr_protocol::member::{MemberKey, MemberKind};
use std::sync::Arc;

/// The members that a configuration names, the engine's own first, with their signing keys.
pub(super) fn named(config: &EngineConfig) -> Result<Vec<(MemberName, MemberKind, MemberKey)>, KeyError> {
    let mut members = vec![(config.member, config.kind, [0; 32])];
    for other in &config.members {
        let key = if config.tls == TlsFiles::Development && other.kind == MemberKind::Police {
            // The development police sign with a key of their own, made beside their certificate.
            SigningKey::load(&config.data_dir.join("dev").join(Role::Police.name()))?.public_key()
        } else {
            other.key
        };
        members.push((other.member, other.kind, key));
    }
    Ok(members)
}

/// Takes in what a configuration says of members and sharing, all of it or nothing; `false` where it also says
/// something else than the one that the engine was started with.
pub(super) fn take_in(
    config: &EngineConfig,
    started_with: &EngineConfig,
    state: &State,
    sharing: &Arc<ArcSwap<Sharing>>,
) -> Result<bool, String> {
    if (config.member, config.kind) != (started_with.member, started_with.kind) {
        return Err("member, kind: whose engine this is can only be said at the start".to_owned());
    }
    let members = named(config).map_err(|error| error.to_string())?;
    state.members.configure_all(&members);
    sharing.store(Arc::new(config.sharing.clone()));
    let EngineConfig { members, sharing, .. } = config.clone();
    Ok(EngineConfig { members, sharing, ..started_with.clone() } == *config)
}
