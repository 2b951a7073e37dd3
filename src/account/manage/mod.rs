//! The use cases of an account as a whole.

pub mod command;

use command::{ManageCommand, ManageReply, UsageAsk};

use super::Account;
use super::command::{AccountError, Reply};
use super::runtime::{Directory, Runtime};
use crate::agent::Container;
use crate::domain::SessionId;
use crate::domain::usage::UsageSum;
use crate::store::sql::Sql;

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// Carries out a command about the account as a whole.
    pub(super) fn manage(&self, ask: ManageCommand) -> Result<Reply<S::Json>, AccountError> {
        let reply = match ask {
            ManageCommand::Usage(ask) => self.usage(ask)?,
        };
        Ok(Reply::Managed(Box::new(reply)))
    }

    /// The same of an account that nothing was ever stored of; none for what stores something.
    pub(super) fn manage_nothing(&self, ask: &ManageCommand) -> Option<ManageReply> {
        match ask {
            ManageCommand::Usage(ask) => {
                let (rows, total) = (Vec::new(), UsageSum::default());
                Some(ManageReply::Usage { ask: ask.clone(), rows, total, more: false })
            }
        }
    }

    fn usage(&self, ask: UsageAsk) -> Result<ManageReply, AccountError> {
        // What has not been stored yet was used all the same.
        self.store_calls()?;
        let days = (ask.from, ask.to);
        let after = ask.after.as_ref().map_or("", SessionId::as_str);
        let mut rows = self.store.usage(ask.group, days, after, ask.limit.saturating_add(1))?;
        let more = rows.len() > ask.limit as usize;
        rows.truncate(ask.limit as usize);
        let total = self.store.usage_total(ask.from, ask.to)?;
        Ok(ManageReply::Usage { ask, rows, total, more })
    }
}
