//! The use cases of an account as a whole.

pub mod command;
mod erase;
mod transfer;

use std::rc::Rc;

use command::{ManageCommand, ManageReply, UsageAsk};

use super::error::AccountError;
use super::reply::Reply;
use super::runtime::{Directory, Runtime};
use super::{Account, Response};
use crate::agent::Container;
use crate::domain::account::{AccountChange, AccountStatus, ContainerState, Overview, StoredBytes, UsageNow};
use crate::domain::ledger::{ContainerUse, Day, Group, UsageSum};
use crate::domain::{Millis, SessionId};
use crate::log::{Level, Line};
use crate::store::sql::Sql;
use crate::store::untold::Untold;

/// Why the turns of an account that is suspended end.
const SUSPENDED: &str = "the account is suspended";

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// Carries out a command about the account as a whole.
    pub(super) fn manage(self: &Rc<Self>, ask: ManageCommand, now: Millis) -> Result<Response<S::Json>, AccountError> {
        let reply = match ask {
            ManageCommand::Usage(ask) => self.usage(ask, now)?,
            ManageCommand::Overview => ManageReply::Overview(Box::new(self.overview(now)?)),
            ManageCommand::Change(change) => {
                self.change(*change, now)?;
                ManageReply::Overview(Box::new(self.overview(now)?))
            }
            ManageCommand::CheckActive => {
                self.check_active()?;
                ManageReply::Active
            }
            ManageCommand::Export(place) => self.export(place, now)?,
            ManageCommand::Import(batch) => self.import(&batch, now)?,
            ManageCommand::ImportObject(object) => self.import_object(&object, now)?,
            ManageCommand::DropImport => {
                self.drop_unfinished_import()?;
                ManageReply::Dropped
            }
            ManageCommand::Erase { keep_account, counted, erasure_id } => {
                let account = Rc::clone(self);
                return Ok(Response::Deferred(Box::pin(async move {
                    let step = account.erase(keep_account, counted, erasure_id.as_ref()).await?;
                    Ok(Reply::Managed(Box::new(ManageReply::Erased(step))))
                })));
            }
        };
        Ok(Response::Ready(Reply::Managed(Box::new(reply))))
    }

    /// The same of an account that nothing was ever stored of; none for what stores something, or looks beyond the tables.
    pub(super) fn manage_nothing(&self, ask: &ManageCommand) -> Result<Option<ManageReply>, AccountError> {
        Ok(match ask {
            ManageCommand::Usage(ask) => {
                let container = Some(ContainerUse::default());
                let (rows, total) = (Vec::new(), UsageSum { container, ..UsageSum::default() });
                Some(ManageReply::Usage { ask: ask.clone(), rows, total, more: false })
            }
            ManageCommand::Overview => Some(ManageReply::Overview(Box::new(self.overview(self.runtime.now())?))),
            ManageCommand::DropImport => Some(ManageReply::Dropped),
            ManageCommand::CheckActive => Some(ManageReply::Active),
            ManageCommand::Export(place) => Some(self.export_of_nothing(place.as_ref())?),
            ManageCommand::Import(_)
            | ManageCommand::ImportObject(_)
            | ManageCommand::Change(_)
            | ManageCommand::Erase { .. } => None,
        })
    }

    fn usage(&self, ask: UsageAsk, now: Millis) -> Result<ManageReply, AccountError> {
        // What has not been stored yet was used all the same.
        self.store_calls()?;
        let days = (ask.from, ask.to);
        let after = ask.after.as_ref().map_or("", SessionId::as_str);
        let mut rows = self.store.usage(ask.group, days, after, ask.limit.saturating_add(1))?;
        let more = rows.len() > ask.limit as usize;
        rows.truncate(ask.limit as usize);
        let mut total = self.store.usage_total(ask.from, ask.to)?;
        let mut in_all = ContainerUse::default();
        for (day, used) in self.container_use(days, now)? {
            in_all += used;
            if ask.group == Group::Day {
                let key = day.to_string();
                match rows.iter_mut().find(|row| row.key == key) {
                    Some(row) => row.container = Some(used),
                    None => rows.push(UsageSum { key, container: Some(used), ..UsageSum::default() }),
                }
            }
        }
        if ask.group == Group::Day {
            for row in &mut rows {
                row.container.get_or_insert_default();
            }
            rows.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        }
        total.container = Some(in_all);
        Ok(ManageReply::Usage { ask, rows, total, more })
    }

    fn overview(&self, now: Millis) -> Result<Overview, AccountError> {
        let (settings, today) = (self.settings()?, Day::of(now));
        let mut overview = Overview {
            account_id: self.id.clone(),
            status: settings.status,
            reason: settings.reason.clone(),
            limits: self.limits()?,
            set_limits: settings.limits,
            retention_days: self.retention()?.as_secs() / crate::domain::time::DAY.as_secs(),
            metadata: settings.metadata.clone(),
            conversations: 0,
            turns_open: 0,
            usage: UsageNow::default(),
            bytes: StoredBytes::default(),
            container: if self.agent.is_running() { ContainerState::Running } else { ContainerState::Stopped },
            last_active_day: None,
        };
        if self.store.is_made() {
            self.store_calls()?;
            overview.conversations = self.store.counts()?.conversations;
            overview.turns_open = u64::try_from(self.store.active_turns()?.len()).unwrap_or(u64::MAX);
            overview.usage = UsageNow {
                today: self.store.usage_total(today, today)?.counted.spent,
                month: self.store.usage_total(today.month(), today)?.counted.spent,
            };
            overview.bytes = StoredBytes { database: self.store.database_bytes(), files: self.store.files_bytes()? };
            overview.last_active_day = self.store.active_day()?;
        }
        Ok(overview)
    }

    /// Changes what is set of the account. One that is suspended ends its running turns and its container, and keeps its queue.
    fn change(self: &Rc<Self>, change: AccountChange, now: Millis) -> Result<(), AccountError> {
        let mut settings = (*self.settings()?).clone();
        if let Some(status) = change.status {
            settings.status = status;
            settings.reason = change.reason.filter(|_| status == AccountStatus::Suspended);
        }
        if change.clears_limits {
            settings.limits = crate::domain::limits::SetLimits::default();
        }
        let taken_back = change.taken_back.iter();
        settings.limits = taken_back.fold(settings.limits, |limits, name| limits.without(name)).changed(change.limits);
        if let Some(days) = change.retention_days {
            settings.retention_days = Some(days).filter(|days| *days > 0);
        }
        if let Some(patch) = change.metadata {
            let json = patch.apply(settings.metadata)?;
            settings.metadata = serde_json::from_str(&json).unwrap_or_default();
        }
        self.store.transaction(|| {
            self.store.remember_account(&self.id)?;
            self.store.set_settings(&settings)?;
            self.store.set_untold(Untold { status: true, ..Untold::default() })
        })?;
        self.settings.forget();
        if settings.is_suspended() {
            for turn in self.store.active_turns()? {
                // One that waits in the queue or without a process is not cancelled by this.
                self.turns.cancel(&turn.turn_id, Some(SUSPENDED));
            }
        }
        self.tell_directory()?;
        self.log(Level::Info, Line { event: "account_changed", ..Line::default() });
        self.pump()?;
        if settings.is_suspended() && self.turns.held_count() == 0 && self.agent.is_running() {
            self.idle_since.set(Some(now));
        }
        self.set_alarm()
    }

    /// How long the account's conversations are kept.
    pub(super) fn retention(&self) -> Result<std::time::Duration, AccountError> {
        let own = self.settings()?.retention_days;
        Ok(own.map_or(self.config.retention, |days| days * crate::domain::time::DAY))
    }
}
