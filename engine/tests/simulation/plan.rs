//! What a seed means: how many engines, for how long, and what goes wrong when.

use crate::random::Random;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    MailLost,
    StreamLost,
    PublishLost,
    AnswerLost,
    Duplicated,
    Overtaken,
    SlotReplaced,
    CutToBroker,
    CutFromBroker,
    CutBothWays,
    Paused,
    ClockAhead,
    ClockBack,
    Crashed,
    /// Between the disk and everybody else.
    CrashedAfterSync,
    JournalFailed,
    JournalBusy,
    Wiped,
    PutBack,
    /// On a disk that was put back, with the clock: a life before some that others have heard.
    LifeBefore,
    /// And it was noticed.
    LifeRenewed,
    BrokerDown,
    BrokerForgot,
    StreamEmptied,
    StreamOlder,
    Joined,
    Left,
    Suspended,
    Readmitted,
    ForgedSeal,
    ForgedSignature,
    ForgedPosition,
    Stranger,
    NotPermitted,
}

impl Fault {
    pub(crate) const ALL: [Self; 34] = [
        Self::MailLost,
        Self::StreamLost,
        Self::PublishLost,
        Self::AnswerLost,
        Self::Duplicated,
        Self::Overtaken,
        Self::SlotReplaced,
        Self::CutToBroker,
        Self::CutFromBroker,
        Self::CutBothWays,
        Self::Paused,
        Self::ClockAhead,
        Self::ClockBack,
        Self::Crashed,
        Self::CrashedAfterSync,
        Self::JournalFailed,
        Self::JournalBusy,
        Self::Wiped,
        Self::PutBack,
        Self::LifeBefore,
        Self::LifeRenewed,
        Self::BrokerDown,
        Self::BrokerForgot,
        Self::StreamEmptied,
        Self::StreamOlder,
        Self::Joined,
        Self::Left,
        Self::Suspended,
        Self::Readmitted,
        Self::ForgedSeal,
        Self::ForgedSignature,
        Self::ForgedPosition,
        Self::Stranger,
        Self::NotPermitted,
    ];

    /// Whether it begins at a time; the others come with messages, or follow.
    fn is_timed(self) -> bool {
        match self {
            Self::CutToBroker
            | Self::CutFromBroker
            | Self::CutBothWays
            | Self::Paused
            | Self::ClockAhead
            | Self::ClockBack
            | Self::Crashed
            | Self::CrashedAfterSync
            | Self::JournalFailed
            | Self::Wiped
            | Self::PutBack
            | Self::BrokerDown
            | Self::BrokerForgot
            | Self::StreamEmptied
            | Self::StreamOlder
            | Self::Joined
            | Self::Left
            | Self::Suspended
            | Self::ForgedSeal
            | Self::ForgedSignature
            | Self::ForgedPosition
            | Self::Stranger
            | Self::NotPermitted => true,
            Self::MailLost
            | Self::StreamLost
            | Self::PublishLost
            | Self::AnswerLost
            | Self::Duplicated
            | Self::Overtaken
            | Self::SlotReplaced
            | Self::JournalBusy
            | Self::LifeBefore
            | Self::LifeRenewed
            | Self::Readmitted => false,
        }
    }
}

/// A protection that is taken away, to see that the checks notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Control {
    /// None is.
    #[default]
    None,
    /// Nobody hears what others have.
    NoNews,
    /// Records are stored although others before them are missing.
    GapsTaken,
    /// A disk that was put back goes on in its old life.
    EpochForgotten,
}

/// What happens in a simulation.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Members by number of their engines; the first is the central organisation.
    pub(crate) members: Vec<u16>,
    /// Whether the configuration names everybody, or the central organisation alone.
    pub(crate) all_configured: bool,
    /// How long things go wrong, ms.
    pub(crate) chaos_ms: u64,
    /// Time between two changes, ms at most.
    pub(crate) work_ms: u64,
    /// How often in a hundred times each is lost: mail, deliveries, what is published, and its answers.
    pub(crate) mail_loss: u64,
    pub(crate) stream_loss: u64,
    pub(crate) publish_loss: u64,
    pub(crate) answer_loss: u64,
    pub(crate) duplicates: u64,
    pub(crate) overtaking: u64,
    pub(crate) record_slots: u64,
    pub(crate) faults: Vec<(u64, Fault)>,
}

impl Plan {
    pub(crate) fn of(random: &mut Random) -> Self {
        let mut members = vec![1; random.between(2, 4) as usize];
        for engines in &mut members {
            *engines += u16::from(random.chance(25));
        }
        // Five engines at most.
        while members.iter().sum::<u16>() > 5 {
            if let Some(engines) = members.iter_mut().find(|engines| **engines > 1) {
                *engines -= 1;
            }
        }
        let chaos_ms = random.between(1_500, 7_000);
        let mut sometimes = |percent: u64, most: u64| match random.chance(percent) {
            true => random.between(1, most),
            false => 0,
        };
        let (mail_loss, stream_loss) = (sometimes(60, 30), sometimes(50, 30));
        let (publish_loss, answer_loss) = (sometimes(40, 20), sometimes(40, 20));
        let (duplicates, overtaking) = (sometimes(50, 20), sometimes(50, 10));
        let timed: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| fault.is_timed()).collect();
        let mut faults: Vec<(u64, Fault)> = (0..random.between(2, 9))
            .filter_map(|_| Some((random.below(chaos_ms), *random.pick(&timed)?)))
            .collect();
        faults.sort_unstable();
        Self {
            members,
            all_configured: random.chance(60),
            chaos_ms,
            work_ms: random.between(10, 150),
            mail_loss,
            stream_loss,
            publish_loss,
            answer_loss,
            duplicates,
            overtaking,
            record_slots: *random.pick(&[2, 8, 64, 4_096]).unwrap_or(&8),
            faults,
        }
    }
}
