//! Engines of one member tell each other what they have just screened, so that their velocity windows agree. What they say
//! is encrypted under a key of the member's: it names payments, if only by pseudonyms, and a broker has other members.

use crate::facts::elsewhere::Seen;
use crate::replication::ExchangeView;
use crate::server::keys::SigningKey;
use crate::state::State;
use crate::velocity::Reading;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sparr_protocol::record::Origin;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

/// How long payments are collected before they are sent together.
const COLLECTED_MS: u64 = 5;
/// Payments that wait to be sent: a hundred milliseconds at ten times what an engine screens.
const WAITING_MAX: usize = 65_536;
/// Payments in one batch; a batch stays far below what a broker takes.
const BATCH_MAX: usize = 2_048;
/// The other engines of the own member.
pub(super) struct Siblings {
    /// Which of them is speaking: engine and life.
    me: [u8; 6],
    key: LessSafeKey,
    waiting: Option<Receiver<Seen>>,
    sent: u64,
    sent_at: u64,
    readings: Vec<Reading>,
}

impl Siblings {
    pub(super) fn new(me: Origin, signing: &SigningKey) -> Self {
        let mut name = [0; 6];
        name[..2].copy_from_slice(&me.engine.to_le_bytes());
        name[2..].copy_from_slice(&me.epoch.to_le_bytes());
        let Ok(key) = UnboundKey::new(&AES_256_GCM, signing.siblings_key()) else {
            unreachable!("the key has the length that the cipher asks for")
        };
        Self {
            me: name,
            key: LessSafeKey::new(key),
            waiting: None,
            sent: 0,
            sent_at: 0,
            readings: Vec::new(),
        }
    }

    /// Begins to collect once another engine of the member was heard.
    pub(super) fn look(&mut self, view: &ExchangeView, state: &State) {
        let has_any =
            || view.engines.iter().any(|engine| !engine.is_own && engine.of.member == state.member());
        if self.waiting.is_none() && has_any() {
            let (tell, waiting) = sync_channel(WAITING_MAX);
            state.exchange.has_siblings(tell);
            self.waiting = Some(waiting);
        }
    }

    /// When something is to be sent again.
    pub(super) fn due_at(&self) -> u64 {
        if self.waiting.is_some() { self.sent_at + COLLECTED_MS } else { u64::MAX }
    }

    /// What is to be sent now.
    pub(super) fn due(&mut self, now: u64) -> Option<Vec<u8>> {
        let waiting = self.waiting.as_ref()?;
        if now < self.sent_at + COLLECTED_MS {
            return None;
        }
        self.sent_at = now;
        let mut batch = Vec::new();
        while batch.len() < BATCH_MAX {
            match waiting.try_recv() {
                Ok(seen) => batch.push(seen),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        if batch.len() == BATCH_MAX {
            // There is more: it is not left to wait.
            self.sent_at = now.saturating_sub(COLLECTED_MS);
        }
        if batch.is_empty() {
            return None;
        }
        // Engine, life and number: no two messages under the key share a nonce.
        self.sent += 1;
        let mut nonce = [0; NONCE_LEN];
        let (who, number) = nonce.split_at_mut(self.me.len());
        who.copy_from_slice(&self.me);
        number.copy_from_slice(&self.sent.to_le_bytes()[..NONCE_LEN - self.me.len()]);
        let mut content = Seen::encode_all(&batch);
        let unique = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(unique, Aad::empty(), &mut content).ok()?;
        Some([&nonce[..], &content].concat())
    }

    /// Observes what another engine of the member has seen.
    pub(super) fn heard(&mut self, bytes: &[u8], state: &State) {
        let Some((nonce, content)) = bytes.split_first_chunk::<NONCE_LEN>() else { return };
        let rules = state.rules();
        // One's own comes back, too.
        let Some(active) = rules.as_ref().filter(|_| !nonce.starts_with(&self.me)) else { return };
        let mut content = content.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.key.open_in_place(nonce, Aad::empty(), &mut content);
        let Some(batch) = opened.ok().and_then(|plain| Seen::decode_all(plain)) else {
            return tracing::warn!(
                "a message of another engine of this member cannot be read: do they share a signing key?"
            );
        };
        let plan = active.set.plan();
        self.readings.clear();
        self.readings.resize(plan.readings(), Reading::Absent);
        for seen in &batch {
            seen.take_in(plan, &state.stores.velocity, &mut self.readings);
        }
        state.exchange.was_told(batch.len());
    }
}
