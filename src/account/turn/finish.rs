//! The end of a turn: stored in one transaction, told to everyone, logged, and cleaned up in the container.

use std::rc::Rc;

use super::items;
use super::model_calls::ModelCalls;
use super::progress::Progress;
use super::spent::{spent_by_now, whole_ms};
use super::state::{Effect, Signal, State, Stop, step};
use crate::account::Account;
use crate::account::error::AccountError;
use crate::account::files::save::Saved;
use crate::account::runtime::{Directory, Runtime};
use crate::agent::Container;
use crate::agent::protocol::{MAX_MESSAGE_CHARS, TurnResult, cut};
use crate::domain::file::Unsaved;
use crate::domain::trace::TraceParent;
use crate::domain::{Failure, FailureCode, Millis, RequestId, Turn, TurnId, TurnKind, TurnStatus};
use crate::log::{Level, Line};
use crate::store::sql::Sql;
use crate::store::transactions::Finished;
use crate::store::turns::{ActiveTurn, LastEvents, TurnEnd};
use crate::store::workspaces::FilesEnd;

/// How the work on a turn ended.
pub struct Outcome {
    /// One of the four ends.
    pub status: TurnStatus,
    /// Why it did not complete.
    pub code: Option<FailureCode>,
    /// The agent's result, if it sent one.
    pub result: Option<Box<TurnResult>>,
}

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// Stores the end of a turn, tells everyone, and lets the next one start.
    pub(in crate::account) fn finish(
        self: &Rc<Self>,
        turn: &ActiveTurn,
        progress: &Progress,
        outcome: &Outcome,
        saved: Option<&Saved>,
    ) -> Result<(), AccountError> {
        let now = self.runtime.now();
        let calls = self.turns.calls_of(&turn.turn_id);
        let mut failure = outcome.code.map(|code| failure(code, outcome.result.as_deref(), calls.retry_after_s));
        if let (Some(failure), Some(refused)) = (&mut failure, progress.refused) {
            refused.clone_into(&mut failure.detail);
        }
        if let Some(failure) = failure.as_mut().filter(|failure| failure.code == FailureCode::BudgetExhausted) {
            failure.retry_after_s = self.budget_resets_in(now)?;
        }
        if let (Some(failure), Some(reason)) = (&mut failure, self.turns.reason_of(&turn.turn_id)) {
            tell_reason(failure, &reason);
        }
        let spent = spent_by_now(&progress.behind.spent, outcome.result.as_deref());
        let answer = outcome.result.as_ref().filter(|_| outcome.status == TurnStatus::Completed);
        let answer = answer.map(|answer| joined(&progress.text_before, &answer.text));
        let told = answer.as_ref().and_then(|answer| self.turns.number_of_last(&turn.turn_id, answer));
        let told = told.filter(|n| !progress.items.is_stored(*n));
        let files = saved.map(|saved| self.settle(turn, saved));
        let changed = match &files {
            Some(FilesEnd::Save(save)) => save.told.changed.len() as u64,
            _ => 0,
        };
        // What it changed before it was parked is told with it.
        let before = if progress.behind.first_n > 0 { self.store.files_of(&turn.turn_id)? } else { None };
        let before = before.map_or(0, |files| files.changed.len() as u64);
        let steered = self.taken_in(turn, progress, outcome.result.is_some())?;
        let is_save = matches!(files, Some(FilesEnd::Save(_)));
        let entry = self.ledger_with(&turn.turn_id, outcome.result.as_deref());
        // The answer of a turn that told nothing takes the number of the result that says it, which no event has.
        let unheard = if progress.items.any() { 0 } else { progress.last_event() };
        let end = progress.last_event() + 1 + before;
        let mut last_events = LastEvents { message: told.unwrap_or(unheard), end: end + changed };
        let items = progress.items.stored(told);
        let mut finished = Finished {
            turn_id: &turn.turn_id,
            end: TurnEnd {
                status: outcome.status,
                error: failure.as_ref(),
                model: outcome.result.as_ref().and_then(|result| result.model.as_deref()),
                usage: spent.usage,
                num_turns: spent.usage.map(|_| spent.num_turns),
                duration_ms: spent.usage.map(|_| spent.duration_ms),
                finished_at: now,
                last_events,
                counted: Some(calls.counted).filter(|counted| counted.calls > 0),
                stop_reason: outcome.result.as_ref().and_then(|result| stop_reason(result)),
                by_model: Some(&spent.by_model).filter(|models| models.len() > 1),
            },
            // A compaction says nothing to the user.
            answer: answer.as_deref().filter(|_| progress.kind == TurnKind::Query),
            has_waited: progress.has_waited(),
            transcript: progress.waiting_transcript(),
            sdk_session: progress.sdk_session.as_ref(),
            items: &items,
            context: outcome.result.as_ref().and_then(|result| result.context),
            frees_key: outcome.code.is_some_and(may_be_sent_again),
            steered: &steered,
            files: files.map(|files| (&turn.session_id, files)),
            usage: &entry,
        };
        let stored = match self.store.finish(&finished) {
            Err(error) if is_save => {
                self.log_not_saved(turn, Unsaved::StorageUnavailable, &error);
                finished.files = Some((&turn.session_id, FilesEnd::Unsaved(Unsaved::StorageUnavailable)));
                last_events.end = end;
                finished.end.last_events = last_events;
                self.store.finish(&finished)?
            }
            stored => stored?,
        };
        self.ledger_stored();
        if !progress.is_in_history() {
            self.store.take_back_content(&turn.session_id, &turn.turn_id)?;
        }
        if let Some(result) = outcome.result.as_deref().filter(|_| calls.open == 0) {
            self.compare_usage(&turn.turn_id, result, &calls.counted);
        }
        // It may be packing its files for ever, and the conversation's next turn would wait for that.
        let stuck = matches!(saved, Some(Saved::Unsaved(Unsaved::SaveTimeout)));
        self.clean_up_after(turn, progress, outcome, (stored.is_none(), stuck));
        let ended = stored.unwrap_or_else(|| deleted_turn(turn, now, self.runtime.uuid()));
        self.log_end(&ended, progress, Some(&calls));
        self.feed.ended(&ended);
        for (n, file) in items::files(&ended, last_events) {
            self.turns.publish(&turn.turn_id, n, file);
        }
        self.turns.end(ended, last_events.end);
        self.tell_steered(&turn.turn_id, &steered)?;
        if self.turns.held_count() == 0 {
            self.idle_since.set(Some(now));
        }
        self.pump()?;
        self.deliver()?;
        self.report(now);
        self.set_alarm()
    }

    /// The queued turns whose messages a turn took in that ends: those that are kept with it, and those that it has told in this run, if it has a
    /// result; else nobody knows that of them.
    fn taken_in(&self, turn: &ActiveTurn, progress: &Progress, has_result: bool) -> Result<Vec<TurnId>, AccountError> {
        let mut steered = if progress.has_waited() { self.store.kept_steered(&turn.turn_id)? } else { Vec::new() };
        let told = if has_result { progress.steered.as_slice() } else { &[] };
        if told.is_empty() {
            return Ok(steered);
        }
        let active = self.store.active_turns()?;
        // The container may name one twice, or one that was cancelled meanwhile.
        for turn_id in told {
            let is_queued = active.iter().any(|turn| turn.turn_id == *turn_id && turn.status == TurnStatus::Queued);
            if is_queued && !steered.contains(turn_id) {
                steered.push(turn_id.clone());
            }
        }
        Ok(steered)
    }

    /// Tells everyone who waits for the queries that a turn took in.
    fn tell_steered(&self, into: &TurnId, steered: &[TurnId]) -> Result<(), AccountError> {
        for turn_id in steered {
            let ended = self.store.turn(turn_id)?;
            if let Some(ended) = ended.filter(|turn| turn.steered_into.as_ref() == Some(into)) {
                self.log_end(&ended, &Progress::default(), None);
                self.feed.ended(&ended);
                self.turns.end(ended, 1);
            }
        }
        Ok(())
    }

    /// Ends a turn that was still waiting: in the queue, or for somebody.
    pub(in crate::account) fn end_queued(
        self: &Rc<Self>,
        turn: &ActiveTurn,
        reason: Option<&str>,
    ) -> Result<(), AccountError> {
        let (_, effect) = step(State::Queued, Signal::Stop(Stop::Cancel));
        let Effect::End(status, code) = effect else { return Ok(()) };
        let mut failure = code.map(|code| failure(code, None, None));
        if let (Some(failure), Some(reason)) = (&mut failure, reason) {
            tell_reason(failure, reason);
        }
        let finished_at = self.runtime.now();
        let end = TurnEnd {
            status,
            error: failure.as_ref(),
            model: None,
            usage: None,
            num_turns: None,
            duration_ms: None,
            finished_at,
            last_events: LastEvents { message: 0, end: 1 },
            counted: None,
            stop_reason: None,
            by_model: None,
        };
        let last = end.last_events.end;
        let steered = if turn.is_parked() { self.store.kept_steered(&turn.turn_id)? } else { Vec::new() };
        let ended = if turn.is_parked() {
            self.store.end_parked(&turn.turn_id, &end, &steered)?
        } else {
            self.store.end_waiting(&turn.turn_id, &end)?.map(|ended| (ended, last))
        };
        let Some((ended, last)) = ended else { return Ok(()) };
        if !turn.is_parked() {
            self.store.take_back_content(&turn.session_id, &turn.turn_id)?;
        }
        self.log_end(&ended, &Progress::default(), None);
        self.feed.ended(&ended);
        for (n, file) in items::files(&ended, LastEvents { message: 0, end: last }) {
            self.turns.publish(&turn.turn_id, n, file);
        }
        self.turns.end(ended, last);
        self.tell_steered(&turn.turn_id, &steered)?;
        self.deliver()
    }

    /// Storage failed: the turn stays as it is stored, and the alarm takes it up again. The others go on.
    pub(in crate::account) fn give_up(self: &Rc<Self>, turn: &ActiveTurn, error: &dyn std::fmt::Display) {
        self.log_turn_problem(turn, "turn_not_stored", error);
        self.turns.give_up(&turn.turn_id);
        if let Err(error) = self.pump_others(Some(&turn.turn_id)).and_then(|()| self.set_alarm()) {
            self.log_turn_problem(turn, "queue_stands", &error);
        }
    }

    pub(in crate::account) fn log_turn_problem(&self, turn: &ActiveTurn, event: &str, error: &dyn std::fmt::Display) {
        let mut why = error.to_string();
        // Much of it may be the container's words.
        cut(&mut why, MAX_MESSAGE_CHARS);
        let line = Line {
            event,
            turn_id: Some(&turn.turn_id),
            session_id: Some(&turn.session_id),
            error: Some(&why),
            ..Line::default()
        };
        self.log(Level::Warn, line);
    }

    fn log_end(&self, turn: &Turn, progress: &Progress, calls: Option<&ModelCalls>) {
        self.fleet.count(turn);
        let timing = turn.timing();
        let usage = turn.usage.unwrap_or_default();
        let level = if turn.error.is_some() { Level::Warn } else { Level::Info };
        self.log(
            level,
            Line {
                event: "turn_ended",
                request_id: Some(&turn.request_id),
                trace_id: progress.traceparent.as_ref().map(TraceParent::trace_id),
                turn_id: Some(&turn.turn_id),
                session_id: Some(&turn.session_id),
                status: Some(turn.status),
                code: turn.error.as_ref().map(|error| error.code),
                queue_ms: timing.map(|timing| timing.queue_ms),
                agent_ms: timing.map(|timing| timing.agent_ms),
                total_ms: timing.map(|timing| timing.total_ms),
                input_tokens: Some(usage.input_tokens),
                output_tokens: Some(usage.output_tokens),
                cache_read_input_tokens: Some(usage.cache_read_input_tokens),
                cache_creation_input_tokens: Some(usage.cache_creation_input_tokens),
                cost_usd: calls.map(|calls| calls.counted.spent.cost.usd()),
                model: turn.model.as_deref(),
                model_calls: calls.map(|calls| calls.begun),
                warm: Some(progress.warm),
                cold_container: Some(progress.cold_container),
                rows_written: Some(self.store.rows_written()),
                ..Line::default()
            },
        );
    }
}

/// The stop reason of a model that has said everything, which nobody needs to be told.
const ENDED_ITS_TURN: &str = "end_turn";

/// Why the model stopped, if not because it had said everything.
fn stop_reason(result: &TurnResult) -> Option<&str> {
    result.stop_reason.as_deref().filter(|reason| *reason != ENDED_ITS_TURN)
}

/// Whether sending the same request again can mend it: its key then makes another turn.
const fn may_be_sent_again(code: FailureCode) -> bool {
    match code {
        FailureCode::AtCapacity
        | FailureCode::ContainerUnavailable
        | FailureCode::TurnInterrupted
        | FailureCode::WorkspaceUnavailable => true,
        FailureCode::AgentFailed
        | FailureCode::AttachmentNotFound
        | FailureCode::AttachmentTooLarge
        | FailureCode::ModelAuthFailed
        | FailureCode::ModelFailed
        | FailureCode::ModelRateLimited
        | FailureCode::TurnCancelled
        | FailureCode::TurnTimeout
        | FailureCode::WorkspaceDamaged
        | FailureCode::OutputInvalid
        | FailureCode::InvalidOutputSchema
        | FailureCode::InvalidToolSchema
        | FailureCode::UnsupportedAttachment
        | FailureCode::BudgetExhausted => false,
    }
}

/// Lets a cancellation say why it came.
fn tell_reason(failure: &mut Failure, reason: &str) {
    if failure.code == FailureCode::TurnCancelled {
        failure.detail = format!("The turn was cancelled: {reason}");
    }
}

/// The sentence that a failure tells its caller.
fn failure(code: FailureCode, result: Option<&TurnResult>, asked_to_wait: Option<u64>) -> Failure {
    let told = result.and_then(|result| result.error.as_ref());
    let sentence = match code {
        FailureCode::TurnCancelled => "The turn was cancelled.",
        FailureCode::BudgetExhausted => {
            "The budget of the turn or of its account is used up. The turn's work so far is kept."
        }
        FailureCode::TurnTimeout => "The turn ran longer than TURN_TIMEOUT allows.",
        FailureCode::TurnInterrupted => "The container died during the turn. It is safe to send the query again.",
        FailureCode::AtCapacity => "No container is free at the moment. It is safe to send the turn again.",
        FailureCode::WorkspaceUnavailable => {
            "The conversation's files cannot be read at the moment. It is safe to send the turn again."
        }
        FailureCode::WorkspaceDamaged => {
            "A part of the conversation's files is gone. DELETE /conversations/{id}/files/ lets the conversation go on without files."
        }
        FailureCode::ContainerUnavailable => "The account's container could not be started. Try again later.",
        FailureCode::AgentFailed
        | FailureCode::AttachmentNotFound
        | FailureCode::AttachmentTooLarge
        | FailureCode::ModelAuthFailed
        | FailureCode::ModelFailed
        | FailureCode::ModelRateLimited
        | FailureCode::OutputInvalid
        | FailureCode::InvalidOutputSchema
        | FailureCode::InvalidToolSchema
        | FailureCode::UnsupportedAttachment => told
            .map(|error| error.message.as_str())
            .filter(|message| !message.is_empty())
            .unwrap_or("No details are available."),
    };
    let retry_after_s = told.and_then(|error| error.retry_after).map(|seconds| whole_ms(seconds.ceil()));
    let asked_to_wait = asked_to_wait.filter(|_| code == FailureCode::ModelRateLimited);
    Failure { retry_after_s: asked_to_wait.or(retry_after_s), ..Failure::new(code, sentence) }
}

/// All that a turn said.
fn joined(before: &str, said: &str) -> String {
    if before.is_empty() || said.is_empty() { format!("{before}{said}") } else { format!("{before}\n\n{said}") }
}

/// What is told of a turn whose conversation was deleted under it.
fn deleted_turn(turn: &ActiveTurn, now: Millis, uuid: uuid::Uuid) -> Turn {
    Turn {
        turn_id: turn.turn_id.clone(),
        session_id: turn.session_id.clone(),
        status: TurnStatus::Cancelled,
        created_at: turn.started_at.unwrap_or(now),
        started_at: turn.started_at,
        finished_at: Some(now),
        request_id: RequestId::new(uuid),
        response: None,
        error: Some(failure(FailureCode::TurnCancelled, None, None)),
        model: None,
        usage: None,
        num_turns: None,
        duration_ms: None,
        files: None,
        stop_reason: None,
        by_model: None,
        metadata: serde_json::Map::new(),
        has_output: false,
        trigger: None,
        steered_into: None,
    }
}
