//! What users ask of their schedules.

use serde::{Deserialize, Serialize};

use crate::domain::schedule::ScheduleRun;
use crate::domain::{Millis, Missed, ResourceName, SessionId, TurnId, TurnOptions};
use crate::store::schedules::StoredSchedule;

/// What may be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchedulesCommand {
    /// All schedules.
    List,
    /// The schedule of that name.
    Read(ResourceName),
    /// Make a schedule, or change it.
    Set(Box<SetSchedule>),
    /// Delete the schedule of that name.
    Delete(ResourceName),
    /// Run the schedule of that name now.
    Run(ResourceName),
    /// The latest runs of the schedule of that name, at most so many.
    Runs(ResourceName, u32),
}

impl SchedulesCommand {
    /// Whether it holds what a user says.
    #[must_use]
    pub const fn has_content(&self) -> bool {
        matches!(self, Self::Set(_))
    }

    /// Whether it changes something.
    pub(in crate::account) const fn changes(&self) -> bool {
        !matches!(self, Self::List | Self::Read(_) | Self::Runs(..))
    }
}

/// A schedule as it is to be.
#[derive(Debug, Serialize, Deserialize)]
pub struct SetSchedule {
    /// Its name.
    pub name: ResourceName,
    /// When it is due.
    pub cron: String,
    /// The zone of these times.
    pub timezone: String,
    /// What is asked.
    pub query: String,
    /// What is asked of the agent.
    pub options: TurnOptions,
    /// The conversation that goes on; a new one with each run if absent.
    pub session_id: Option<SessionId>,
    /// What becomes of a run that was missed.
    pub missed: Missed,
    /// Whether it runs by itself.
    pub enabled: bool,
}

/// A schedule with its next due times.
pub struct ShownSchedule {
    /// The schedule.
    pub schedule: StoredSchedule,
    /// When it is due next.
    pub next_runs: Vec<Millis>,
}

/// What they are answered.
pub enum SchedulesReply {
    /// All schedules, by name.
    List(Vec<ShownSchedule>),
    /// One.
    One(Box<ShownSchedule>),
    /// The schedule is gone.
    Deleted,
    /// The run was admitted as this turn.
    Started {
        /// Its turn.
        turn_id: TurnId,
        /// The turn's conversation.
        session_id: SessionId,
        /// When it was asked for.
        scheduled_at: Millis,
    },
    /// The latest runs.
    Runs(Vec<ScheduleRun>),
}
