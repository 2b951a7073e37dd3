//! The purge of an account, and a purge run: one pass of the directory over the accounts with something due.
//! Their names are pinned: they are stored and sent.

use serde::{Deserialize, Serialize};

use super::{Millis, RunId};

/// Who started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Trigger {
    /// The cron.
    Cron,
    /// The operator, by `POST /purge-runs`.
    Operator,
}

impl Trigger {
    /// The word that is stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cron => "cron",
            Self::Operator => "operator",
        }
    }

    /// Reads the stored word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Cron, Self::Operator].into_iter().find(|trigger| trigger.as_str() == word)
    }
}

/// What a purge of one account did, and what it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgeOutcome {
    /// Conversations that it deleted.
    pub deleted: u64,
    /// Things that went wrong; the log names them.
    pub errors: u64,
    /// The oldest access of what is left; none if the account is empty.
    pub oldest_access_at: Option<Millis>,
}

/// A run, of one shard or of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct PurgeRun {
    /// Its id.
    pub run_id: RunId,
    /// Who started it.
    pub trigger: Trigger,
    /// When it was started.
    pub started_at: Millis,
    /// When the last account was visited; none while it goes on.
    pub finished_at: Option<Millis>,
    /// Accounts that were due when it started.
    pub accounts_due: u64,
    /// Accounts that were visited and deleted what they could.
    pub accounts_done: u64,
    /// Accounts that did not answer, or could not delete; the next run tries them again.
    pub accounts_failed: u64,
    /// Conversations that the visits deleted.
    pub conversations_deleted: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_as_it_is_sent_is_pinned() {
        let run = PurgeRun {
            run_id: RunId::new(uuid::Uuid::from_u128(1)),
            trigger: Trigger::Operator,
            started_at: Millis::new(5),
            finished_at: None,
            accounts_due: 4,
            accounts_done: 2,
            accounts_failed: 1,
            conversations_deleted: 9,
        };
        let json = r#"{"run_id":"run_00000000000000000000000000000001","trigger":"operator","started_at":5,"finished_at":null,"accounts_due":4,"accounts_done":2,"accounts_failed":1,"conversations_deleted":9}"#;
        assert_eq!(serde_json::to_string(&run).unwrap(), json);
        assert_eq!(serde_json::from_str::<PurgeRun>(json).unwrap(), run);
    }

    #[test]
    fn every_trigger_reads_back_from_its_word() {
        for trigger in [Trigger::Cron, Trigger::Operator] {
            assert_eq!(Trigger::parse(trigger.as_str()), Some(trigger));
        }
        assert_eq!(Trigger::parse("user"), None);
    }
}
