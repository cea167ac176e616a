//! The stages of a screening, and who hears of them.

/// The stages of a screening, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Bytes to a validated request with pseudonyms.
    Parse,
    /// Id, clock, required fields.
    Admit,
    /// Flags and velocity.
    Gather,
    /// Rules.
    Evaluate,
    /// Hits, score and floor to a decision.
    Decide,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 5] = [Self::Parse, Self::Admit, Self::Gather, Self::Evaluate, Self::Decide];

    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Admit => "admit",
            Self::Gather => "gather",
            Self::Evaluate => "evaluate",
            Self::Decide => "decide",
        }
    }
}

/// Hears when a stage has ended. The server times with it; tests ignore it.
pub trait StageObserver {
    /// A stage has ended.
    fn ended(&mut self, stage: Stage);
}

/// An observer that hears nothing.
pub struct Unobserved;

impl StageObserver for Unobserved {
    fn ended(&mut self, _: Stage) {}
}
