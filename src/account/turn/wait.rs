//! How a running turn stands with what it waits for, as this object's memory has it.

use crate::domain::TurnStatus;
use crate::store::turns::ActiveTurn;

/// Whether a running turn waits for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::account) enum Wait {
    /// No: it takes a place of the account's.
    No,
    /// Not any more: it is told what was decided, and has not said that it goes on. It takes a place.
    Answered,
    /// Yes, and it has its process.
    Holding,
    /// Yes, and it gives up its process.
    Parking,
}

impl Wait {
    /// That of a turn which an object takes up.
    pub const fn of(turn: &ActiveTurn) -> Self {
        match (turn.status, turn.waiting_since) {
            (TurnStatus::RequiresAction, _) => Self::Holding,
            (_, Some(_)) => Self::Answered,
            (_, None) => Self::No,
        }
    }

    /// Whether it counts among the turns that run.
    pub const fn takes_place(self) -> bool {
        matches!(self, Self::No | Self::Answered)
    }

    /// The status that everyone is told.
    pub const fn status(self) -> TurnStatus {
        if self.takes_place() { TurnStatus::Running } else { TurnStatus::RequiresAction }
    }
}

/// Whether a running turn is being told what was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Telling {
    /// No.
    No,
    /// Yes.
    Yes,
    /// Yes, and more may have been decided since.
    Again,
}

impl Telling {
    /// Somebody has something to tell. False: whoever tells already looks again.
    pub fn begins(&mut self) -> bool {
        let begins = *self == Self::No;
        *self = if begins { Self::Yes } else { Self::Again };
        begins
    }

    /// All is told that there was. True: there may be more by now.
    pub fn goes_on(&mut self) -> bool {
        let again = *self == Self::Again;
        *self = if again { Self::Yes } else { Self::No };
        again
    }
}
