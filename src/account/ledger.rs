//! What the gateway counts for this account, from when a call of the model has ended until it is stored. A call waits for the end of a turn or
//! for the object's alarm, so that counting takes one row a turn; until then the gateway is not told that it was taken, and tells again if
//! the object was reset meanwhile. So no call is lost with the object's memory, and none counts twice.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem;
use std::rc::Rc;

use futures_channel::oneshot;

use super::command::CallEnded;
use super::error::AccountError;
use super::reply::Reply;
use super::runtime::{Directory, Runtime};
use super::{Account, Response};
use crate::agent::Container;
use crate::agent::protocol::TurnResult;
use crate::domain::ledger::{Counted, Day, NanoUsd, Spent};
use crate::domain::{Millis, RequestId, TurnId};
use crate::log::{Level, Line};
use crate::store::sql::Sql;
use crate::store::usage::{LedgerEntry, LedgerRow};

/// Calls that wait to be stored; with more, they are stored at once.
pub const MAX_PENDING_CALLS: usize = 32;
/// Calls that are remembered as stored: more than can be told again while the gateway still tries to tell them.
pub const MAX_RECENT_CALLS: usize = 3 * MAX_PENDING_CALLS;
/// The model of an answer that named none.
const UNNAMED_MODEL: &str = "unknown";
/// Models of unknown price that are remembered as logged.
const MAX_LOGGED_MODELS: usize = 16;
/// By so many percent the SDK's count of a turn, in tokens or in money, may differ from the gateway's before the log says so.
const TOLERATED_PERCENT: u64 = 1;

/// A call that is not stored yet.
struct Pending {
    id: String,
    turn_id: TurnId,
    day: Day,
    model: String,
    counted: Counted,
    /// Those who wait to hear that it is stored.
    told: Vec<oneshot::Sender<()>>,
}

/// The calls that are not stored yet, and those that were stored last.
#[derive(Default)]
pub(super) struct Ledger {
    pending: RefCell<Vec<Pending>>,
    /// None until it is read.
    recent: RefCell<Option<VecDeque<String>>>,
    /// Models whose price is not known, as far as the log says so.
    unpriced: RefCell<Vec<String>>,
}

impl Ledger {
    /// Drops what it remembers of a database that was cleared.
    pub fn forget(&self) {
        self.pending.borrow_mut().clear();
        self.recent.replace(None);
    }

    /// Whether calls wait to be stored.
    pub fn has_pending(&self) -> bool {
        !self.pending.borrow().is_empty()
    }

    /// What waits to be stored of a turn.
    pub fn pending_of(&self, turn_id: &TurnId) -> Counted {
        let mut sum = Counted::default();
        self.pending.borrow().iter().filter(|call| call.turn_id == *turn_id).for_each(|call| sum += call.counted);
        sum
    }

    /// What waits to be stored, by day.
    pub fn pending_by_day(&self) -> Vec<(Day, Counted)> {
        self.pending.borrow().iter().map(|call| (call.day, call.counted)).collect()
    }

    /// What is added to the ledger now. `ends` is the turn that ends with it, which stores its own counts.
    fn entry(&self, ends: Option<&TurnId>) -> LedgerEntry {
        let mut entry = LedgerEntry::default();
        for call in self.pending.borrow().iter() {
            let row = row_of(&mut entry.rows, call.day, &call.model);
            row.counted += call.counted;
            if ends != Some(&call.turn_id) {
                match entry.of_turns.iter_mut().find(|(turn_id, _)| *turn_id == call.turn_id) {
                    Some((_, counted)) => *counted += call.counted,
                    None => entry.of_turns.push((call.turn_id.clone(), call.counted)),
                }
            }
        }
        let (recent, pending) = (self.recent.borrow(), self.pending.borrow());
        if !pending.is_empty() {
            let ids: Vec<&str> =
                recent.iter().flatten().chain(pending.iter().map(|call| &call.id)).map(String::as_str).collect();
            entry.recent = ids.get(ids.len().saturating_sub(MAX_RECENT_CALLS)..).unwrap_or_default().join(" ");
        }
        entry
    }

    /// What waited is stored.
    fn settle(&self) {
        let mut recent = self.recent.borrow_mut();
        let recent = recent.get_or_insert_default();
        for call in mem::take(&mut *self.pending.borrow_mut()) {
            recent.push_back(call.id);
            for told in call.told {
                // Whoever asked may have left.
                let _ = told.send(());
            }
        }
        recent.drain(..recent.len().saturating_sub(MAX_RECENT_CALLS));
    }
}

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// Takes a call that has ended. It is answered when it is stored: with the next turn that ends, or by the alarm.
    pub(super) fn end_call(
        self: &Rc<Self>,
        call: &CallEnded,
        request_id: &RequestId,
    ) -> Result<Response<S::Json>, AccountError> {
        let id = call_id(request_id);
        if self.is_stored(&id)? {
            return Ok(Response::Ready(Reply::Noted));
        }
        let (told, stored) = oneshot::channel();
        let stored = Response::Deferred(Box::pin(async move {
            stored.await.map_err(|_| AccountError::EndUnseen)?;
            Ok(Reply::Noted)
        }));
        if let Some(pending) = self.ledger.pending.borrow_mut().iter_mut().find(|pending| pending.id == id) {
            pending.told.push(told);
            return Ok(stored);
        }
        let model = call.model.clone().unwrap_or_else(|| UNNAMED_MODEL.to_owned());
        let (cost, known) = self.config.accounts.cost(&model, &call.usage, &call.extras);
        let counted = Counted { calls: 1, spent: Spent::new(&call.usage, cost) };
        self.take_ended_call(call, &counted, request_id);
        self.report_long_work();
        if counted.spent.tokens() == 0 {
            return Ok(Response::Ready(Reply::Noted));
        }
        if !known {
            self.log_unpriced(&model);
        }
        let day = Day::of(self.runtime.now());
        let pending = Pending { id, turn_id: call.turn_id.clone(), day, model, counted, told: vec![told] };
        self.ledger.pending.borrow_mut().push(pending);
        if self.ledger.pending.borrow().len() >= MAX_PENDING_CALLS {
            self.store_calls()?;
        }
        self.tell_of_budget(self.runtime.now())?;
        if !self.turns.is_running(&call.turn_id) {
            self.set_alarm()?;
        }
        Ok(stored)
    }

    /// Stores the calls that wait, if there are any.
    pub(super) fn store_calls(&self) -> Result<(), AccountError> {
        if !self.ledger.has_pending() {
            return Ok(());
        }
        let entry = self.ledger.entry(None);
        self.store.transaction(|| {
            self.store.remember_account(&self.id)?;
            self.store.add_usage(&entry)
        })?;
        self.ledger.settle();
        Ok(())
    }

    /// Stores what waits, and forgets what is older than `USAGE_DAYS`.
    pub(super) fn forget_old_usage(&self) -> Result<(), AccountError> {
        self.store_calls()?;
        let today = Day::of(self.runtime.now());
        Ok(self.store.forget_usage_before(today.plus(-i64::from(self.config.accounts.usage_days)))?)
    }

    /// What an account that has nothing but its ledger is in the directory: one whose conversation becomes due when the ledger does.
    /// None if the ledger is empty.
    pub(super) fn keeps_usage_as(&self) -> Result<Option<Millis>, AccountError> {
        let due = |last: Day| last.plus(i64::from(self.config.accounts.usage_days) + 1).start();
        let retention = self.retention()?;
        Ok(self.store.last_usage()?.map(|last| due(last).minus(retention)))
    }

    /// What is added to the ledger with the end of a turn: the calls that wait, and what the SDK said of the turn.
    pub(super) fn ledger_with(&self, turn_id: &TurnId, result: Option<&TurnResult>) -> LedgerEntry {
        self.ledger_of(Some(turn_id), result)
    }

    /// The same of a turn that is parked: it counts as a turn when it ends, and what was counted of it is stored with it.
    pub(super) fn ledger_with_part(&self, result: Option<&TurnResult>) -> LedgerEntry {
        self.ledger_of(None, result)
    }

    fn ledger_of(&self, ends: Option<&TurnId>, result: Option<&TurnResult>) -> LedgerEntry {
        let mut entry = self.ledger.entry(ends);
        let named = result.and_then(|result| result.model.as_deref());
        let called = entry.rows.iter().any(|row| row.counted.calls > 0 && named == Some(row.model.as_str()));
        // A model has several names: a row for each would be a row more for each turn.
        let model = if called { None } else { entry.rows.first().map(|row| row.model.clone()) };
        let Some(model) = model.as_deref().or(named) else { return entry };
        let reported = result.map(|result| Spent::new(&result.usage, NanoUsd::of_usd(result.cost_usd)));
        let row = row_of(&mut entry.rows, Day::of(self.runtime.now()), model);
        row.turns += u64::from(ends.is_some());
        row.reported += reported.unwrap_or_default();
        entry
    }

    /// Gives a turn that ran before what was counted of it. If that cannot be read, its own count begins anew; the account's does not.
    pub(super) fn take_up_counts(&self, turn_id: &TurnId) {
        match self.store.counted_of(turn_id) {
            Ok(mut counted) => {
                counted += self.ledger.pending_of(turn_id);
                self.turns.set_counted(turn_id, counted);
            }
            Err(error) => {
                let why = error.to_string();
                let line =
                    Line { event: "storage_failed", turn_id: Some(turn_id), error: Some(&why), ..Line::default() };
                self.log(Level::Error, line);
            }
        }
    }

    /// The turn's end and the calls that waited are stored.
    pub(super) fn ledger_stored(&self) {
        self.ledger.settle();
    }

    /// Says so in the log if the SDK and the gateway do not agree on what a turn used, or cost by the list.
    pub(super) fn compare_usage(&self, turn_id: &TurnId, result: &TurnResult, counted: &Counted) {
        let (gateway, sdk) = (counted.spent.tokens(), Spent::new(&result.usage, NanoUsd::default()).tokens());
        let why = if differ(gateway, sdk) {
            format!("the gateway counted {gateway} tokens, the SDK {sdk}")
        } else if !self.config.accounts.has_own_prices() {
            let (gateway, sdk) = (counted.spent.cost, NanoUsd::of_usd(result.cost_usd));
            if !differ(gateway.get().unsigned_abs(), sdk.get().unsigned_abs()) {
                return;
            }
            format!("the gateway counted {} US dollars, the SDK {}", gateway.usd(), sdk.usd())
        } else {
            return;
        };
        self.log(
            Level::Warn,
            Line { event: "usage_differs", turn_id: Some(turn_id), error: Some(&why), ..Line::default() },
        );
    }

    /// Whether a call is stored already. The list is read once; only this object writes it.
    fn is_stored(&self, id: &str) -> Result<bool, AccountError> {
        let mut recent = self.ledger.recent.borrow_mut();
        if recent.is_none() {
            let lists = self.store.recent_calls(Day::of(self.runtime.now()).plus(-1))?;
            let mut read: Vec<&str> =
                lists.iter().flat_map(|list| list.split(' ')).filter(|id| !id.is_empty()).collect();
            // Ids are ordered by time.
            read.sort_unstable();
            read.dedup();
            *recent = Some(read.into_iter().map(str::to_owned).collect());
        }
        Ok(recent.as_ref().is_some_and(|recent| recent.iter().any(|known| known == id)))
    }

    fn log_unpriced(&self, model: &str) {
        let mut unpriced = self.ledger.unpriced.borrow_mut();
        if unpriced.len() < MAX_LOGGED_MODELS && !unpriced.iter().any(|known| known == model) {
            unpriced.push(model.to_owned());
            self.log(Level::Warn, Line { event: "model_price_unknown", model: Some(model), ..Line::default() });
        }
    }
}

/// Whether two counts of one thing differ by more than is tolerated.
const fn differ(a: u64, b: u64) -> bool {
    let most = if a > b { a } else { b };
    a.abs_diff(b).saturating_mul(100) > most.saturating_mul(TOLERATED_PERCENT)
}

/// The row of a day and a model; a new one if there is none.
fn row_of<'a>(rows: &'a mut Vec<LedgerRow>, day: Day, model: &str) -> &'a mut LedgerRow {
    let at = rows.iter().position(|row| row.day == day && row.model == model).unwrap_or(rows.len());
    if at == rows.len() {
        let (turns, counted, reported) = (0, Counted::default(), Spent::default());
        rows.push(LedgerRow { day, model: model.to_owned(), turns, counted, reported });
    }
    &mut rows[at]
}

/// A call's id without its prefix, which all have.
fn call_id(request_id: &RequestId) -> String {
    let id = request_id.as_str();
    id.rsplit_once('_').map_or(id, |(_, digits)| digits).to_owned()
}
