//! The account's limits, where they act: before a turn is admitted, before each call of the model, and as a warning ahead of both.
//! An account without limits reads nothing for them.

use std::cell::RefCell;
use std::rc::Rc;

use super::Account;
use super::error::AccountError;
use super::runtime::{Directory, Runtime};
use crate::agent::Container;
use crate::domain::account::AccountSettings;
use crate::domain::ledger::{Day, Group, NanoUsd};
use crate::domain::limits::{Amount, Exceeded, LimitName, Limits};
use crate::domain::webhook::Event;
use crate::domain::{EventType, Millis, TurnId, WebhookEventId};
use crate::log::{Level, Line};
use crate::store::StoreError;
use crate::store::sql::Sql;

/// Calls of the model that one turn may have open at once: an overrun of its budget is at most these.
pub const MAX_OPEN_CALLS: u32 = 32;

/// What the object keeps of the account's settings. Only this object writes them.
#[derive(Default)]
pub(super) struct Settings {
    read: RefCell<Option<Rc<AccountSettings>>>,
    /// The periods that were warned of, as they are stored.
    warned: RefCell<Option<String>>,
}

impl Settings {
    /// They have changed: they are read again.
    pub fn forget(&self) {
        self.read.replace(None);
        self.warned.replace(None);
    }
}

/// What was used in the periods that limits are about.
struct Used {
    usd_day: NanoUsd,
    usd_month: NanoUsd,
    tokens_day: u64,
    turns_day: u64,
}

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// What an operator has set of the account.
    pub(super) fn settings(&self) -> Result<Rc<AccountSettings>, StoreError> {
        if let Some(settings) = &*self.settings.read.borrow() {
            return Ok(Rc::clone(settings));
        }
        let settings = if self.store.is_made() { self.store.settings()? } else { None };
        let settings = Rc::new(settings.unwrap_or_default());
        self.settings.read.replace(Some(Rc::clone(&settings)));
        Ok(settings)
    }

    /// What the account may use.
    pub(super) fn limits(&self) -> Result<Limits, StoreError> {
        let all = &self.config.accounts.limits;
        let all =
            Limits { queued_turns: self.config.max_queued_turns, concurrency: self.config.account_concurrency, ..*all };
        Ok(all.with(&self.settings()?.limits))
    }

    /// Refuses what a suspended account may not do.
    pub(super) fn check_active(&self) -> Result<(), AccountError> {
        let settings = self.settings()?;
        if settings.is_suspended() { Err(AccountError::Suspended(settings.reason.clone())) } else { Ok(()) }
    }

    /// Refuses a turn for which a limit leaves no room.
    pub(super) fn check_admission(&self, limits: &Limits, open_turns: usize, now: Millis) -> Result<(), AccountError> {
        self.check_storage(limits, 0)?;
        if !limits.count_usage() {
            return Ok(());
        }
        let mut used = self.used(now)?;
        used.turns_day = used.turns_day.saturating_add(u64::try_from(open_turns).unwrap_or(u64::MAX));
        match exceeded(limits, &used, now, true) {
            Some(exceeded) => Err(AccountError::BudgetExhausted(exceeded)),
            None => Ok(()),
        }
    }

    /// Refuses so many bytes more if the account stores as much as it may, or would store more.
    pub(super) fn check_storage(&self, limits: &Limits, more: u64) -> Result<(), AccountError> {
        if let Some(most) = limits.storage_bytes {
            let used = self.store.database_bytes().saturating_add(self.store.files_bytes()?);
            if used >= most || used.saturating_add(more) > most {
                let (limit, used) = (Amount::Count(most), Amount::Count(used));
                let exceeded = Exceeded::for_good(LimitName::StorageBytes, limit, used);
                return Err(AccountError::StorageFull(exceeded));
            }
        }
        Ok(())
    }

    /// Refuses a call of the model for which the account's or the turn's budget leaves no room, and ends its turn.
    pub(super) fn check_call(&self, turn_id: &TurnId) -> Result<(), AccountError> {
        let (calls, now) = (self.turns.calls_of(turn_id), self.runtime.now());
        if calls.open >= MAX_OPEN_CALLS {
            self.log(Level::Warn, Line { event: "too_many_model_calls", turn_id: Some(turn_id), ..Line::default() });
            return Err(AccountError::TooManyCalls);
        }
        let limits = self.limits()?;
        let of_turn = self.config.agent.max_budget().filter(|most| calls.counted.spent.cost >= *most);
        let exceeded = if let Some(most) = of_turn {
            let (limit, used) = (Amount::Usd(most), Amount::Usd(calls.counted.spent.cost));
            Some(Exceeded::for_good(LimitName::UsdPerTurn, limit, used))
        } else if limits.count_usage() {
            let used = self.used(now)?;
            exceeded(&limits, &used, now, false)
        } else {
            None
        };
        let Some(exceeded) = exceeded else { return Ok(()) };
        self.turns.end_for_budget(turn_id);
        Err(AccountError::BudgetExhausted(exceeded))
    }

    /// In how many seconds a budget that is exhausted is counted anew.
    pub(super) fn budget_resets_in(&self, now: Millis) -> Result<Option<u64>, AccountError> {
        let limits = self.limits()?;
        if !limits.count_usage() {
            return Ok(None);
        }
        Ok(exceeded(&limits, &self.used(now)?, now, false).and_then(|exceeded| exceeded.retry_after_s))
    }

    /// What was used in this day and this month, calls that are not stored yet included.
    fn used(&self, now: Millis) -> Result<Used, AccountError> {
        let today = Day::of(now);
        let mut used = Used { usd_day: NanoUsd::default(), usd_month: NanoUsd::default(), tokens_day: 0, turns_day: 0 };
        let today_is = today.to_string();
        for day in self.store.usage(Group::Day, (today.month(), today), "", u32::MAX)? {
            used.usd_month += day.counted.spent.cost;
            if day.key == today_is {
                used.usd_day += day.counted.spent.cost;
                used.tokens_day = used.tokens_day.saturating_add(day.counted.spent.tokens());
                used.turns_day = used.turns_day.saturating_add(day.turns);
            }
        }
        for (day, counted) in self.ledger.pending_by_day() {
            if day >= today.month() {
                used.usd_month += counted.spent.cost;
            }
            if day == today {
                used.usd_day += counted.spent.cost;
                used.tokens_day = used.tokens_day.saturating_add(counted.spent.tokens());
            }
        }
        Ok(used)
    }

    /// Tells once a period that most of a budget is used, and that all of it is: on the account's feed, to its webhooks and in the log.
    pub(super) fn tell_of_budget(self: &Rc<Self>, now: Millis) -> Result<(), AccountError> {
        let limits = self.limits()?;
        if !limits.count_usage() {
            return Ok(());
        }
        let used = self.used(now)?;
        let (today, tomorrow) = (Day::of(now), Day::of(now).plus(1).start());
        let of_day = |name, limit: Option<Amount>, used: Amount| {
            Some(Budget { name, limit: limit?, used, period: today, resets_at: tomorrow })
        };
        let money = Amount::Usd;
        let budgets = [
            of_day(LimitName::UsdPerDay, limits.usd_per_day.map(money), money(used.usd_day)),
            of_day(LimitName::UsdPerMonth, limits.usd_per_month.map(money), money(used.usd_month))
                .map(|budget| Budget { period: today.month(), resets_at: today.next_month().start(), ..budget }),
            of_day(LimitName::TokensPerDay, limits.tokens_per_day.map(Amount::Count), Amount::Count(used.tokens_day)),
        ];
        let number = |amount: Amount| match amount {
            Amount::Usd(amount) => u64::try_from(amount.get()).unwrap_or(0),
            Amount::Count(count) => count,
        };
        let mut told = false;
        for budget in budgets.iter().flatten() {
            for (kind, percent) in
                [(EventType::BudgetWarning, self.config.accounts.warn_at_percent), (EventType::BudgetExhausted, 100)]
            {
                if u128::from(number(budget.used)) * 100 >= u128::from(number(budget.limit)) * u128::from(percent) {
                    told |= self.tell_once(budget, kind, now)?;
                }
            }
        }
        if told { self.deliver() } else { Ok(()) }
    }

    /// Tells of a budget, unless that was done in this period; whether it was not.
    fn tell_once(&self, budget: &Budget, kind: EventType, now: Millis) -> Result<bool, AccountError> {
        let (name, today) = (budget.name.as_str(), Day::of(now));
        let is_warning = kind == EventType::BudgetWarning;
        let mark = format!("{name}{}:{}", if is_warning { "" } else { "!" }, budget.period);
        let known = self.settings.warned.borrow().clone();
        let known = known.map_or_else(|| self.store.warned(), Ok)?;
        if known.split(' ').any(|known| known == mark) {
            self.settings.warned.replace(Some(known));
            return Ok(false);
        }
        // Those of periods that are over are dropped.
        let of_now =
            |known: &&str| known.ends_with(&format!(":{today}")) || known.ends_with(&format!(":{}", today.month()));
        let kept: Vec<&str> = known.split(' ').filter(of_now).chain([mark.as_str()]).collect();
        let kept = kept.join(" ");
        let mut more = serde_json::Map::new();
        for (field, value) in [
            ("limit_name", serde_json::Value::from(name)),
            ("limit", budget.limit.json()),
            ("used", budget.used.json()),
            ("resets_at", budget.resets_at.get().into()),
        ] {
            more.insert(field.to_owned(), value);
        }
        let event_id = WebhookEventId::new(self.runtime.uuid());
        self.store.transaction(|| {
            self.store.set_warned(&kept)?;
            self.store.tell(&Event { event_id, kind, created_at: now, session_id: None, turn_id: None, more })
        })?;
        self.settings.warned.replace(Some(kept));
        let (code, what) = if is_warning {
            ("budget_warning", format!("{name} has reached {} % of its limit.", self.config.accounts.warn_at_percent))
        } else {
            ("budget_exhausted", format!("{name} has reached its limit."))
        };
        self.log(Level::Warn, Line { event: code, error: Some(&what), ..Line::default() });
        self.feed.notice(code, &what);
        Ok(true)
    }
}

/// A budget, and how much of it is used in a period.
struct Budget {
    name: LimitName,
    limit: Amount,
    used: Amount,
    period: Day,
    resets_at: Millis,
}

/// The first limit that is reached. Turns count for those that are to be admitted and not for the calls of those that run.
fn exceeded(limits: &Limits, used: &Used, now: Millis, turns: bool) -> Option<Exceeded> {
    let (today, count) = (Day::of(now), Amount::Count);
    let money = Amount::Usd;
    let (tomorrow, next_month) = (today.plus(1).start(), today.next_month().start());
    let all = [
        (LimitName::UsdPerMonth, limits.usd_per_month.map(money), money(used.usd_month), next_month),
        (LimitName::UsdPerDay, limits.usd_per_day.map(money), money(used.usd_day), tomorrow),
        (LimitName::TokensPerDay, limits.tokens_per_day.map(count), count(used.tokens_day), tomorrow),
        (LimitName::TurnsPerDay, limits.turns_per_day.filter(|_| turns).map(count), count(used.turns_day), tomorrow),
    ];
    let reached = all
        .into_iter()
        .find_map(|(name, limit, used, at)| Some((name, limit?, used, at)).filter(|(_, limit, used, _)| used >= limit));
    reached.map(|(name, limit, used, resets_at)| {
        let retry_after_s = Some(resets_at.since(now).as_secs().max(1));
        Exceeded { name, limit, used, resets_at: Some(resets_at), retry_after_s }
    })
}
