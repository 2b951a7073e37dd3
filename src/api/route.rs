//! The table of routes: for each path its methods, and for each method who may ask, what it can be refused with and what describes it.
//! Parsing, `Allow` and the check of the caller are made from it, and in tests `public/openapi.json` (`openapi/`).

#[macro_use]
mod macros;
mod segments;

use self::segments::{action, event, file, method_not_allowed, resource, segments, session, turn};
use super::accounts::{account, erasure};
use super::files::target;
use super::problem::ApiError;
#[cfg(test)]
use super::problem::Code;
use crate::domain::file::Target;
use crate::domain::{AccountId, ActionId, ErasureId, FilePath, ResourceName, SessionId, TurnId, WebhookEventId};

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone, without a credential.
    Open,
    /// Whoever may speak for the account that the request names.
    Account,
    /// An operator: whoever sends one of `API_KEYS`.
    Operator,
}

/// The row of the table that a request falls on.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// Who may use it.
    pub access: Access,
    /// The route with the ids of its path; the refusal of an id is only for those who may use the route.
    pub route: Result<Route, ApiError>,
}

/// One row of the table, as data.
#[cfg(test)]
pub(super) struct Row {
    pub(super) method: &'static str,
    pub(super) name: &'static str,
    /// The row's doc comment: its first line, then the others.
    pub(super) doc: &'static [&'static str],
    pub(super) access: Access,
    /// What it refuses with, besides what every route of its access does.
    pub(super) codes: &'static [Code],
    pub(super) described: fn(&mut super::openapi::Schemas) -> super::openapi::Described,
}

routes! {
    ["health"] {
        /// Tell whether this deployment can do its work.
        GET Health, Open, refuses [], described by health;
    }
    ["query"] {
        /// Run a turn of the agent.
        ///
        /// Responds when the turn has ended; with `stream: true` (or `Accept: text/event-stream`) with its events as they happen; with
        /// `Prefer: respond-async` at once. One of `query` and `prompt` must hold more than white space, or `content` must say or show something.
        POST Query, Account, refuses [NoPrompt InvalidSessionId InvalidParameter TurnCancelled PromptTooLarge IdempotencyKeyReused
            QueueFull ModelRateLimited TokenNotSet AgentFailed ModelAuthFailed ModelFailed AtCapacity ContainerUnavailable
            TurnInterrupted TurnTimeout WorkspaceDamaged WorkspaceUnavailable OutputInvalid InvalidOutputSchema InvalidToolSchema
            UnsupportedAttachment AttachmentTooLarge AttachmentNotFound ConversationBusy ActionPending FilesNotConfigured StorageFull BudgetExhausted
            AccountFull RateLimited], described by query;
    }
    ["chat"] {
        /// Answer a message of the AI SDK's `useChat`.
        ///
        /// The chat is the conversation of this id. The response is a UI message stream, whose message has the turn's id. Of the messages only
        /// the last one is read; if `messageId` names it, it takes the place of the one that had this id, and what came after that is deleted.
        /// `regenerate-message` does so with the same message. If the last one is the agent's, its answers to approvals, and its outputs of calls
        /// that the client makes itself, are decisions of the turn's actions, and the response is the rest of that message.
        POST Chat, Account, refuses [NoPrompt InvalidSessionId InvalidParameter InvalidToolSchema PromptTooLarge IdempotencyKeyReused QueueFull TokenNotSet
            UnsupportedAttachment AttachmentTooLarge AttachmentNotFound ConversationBusy ActionPending ActionResolved BranchUnavailable
            FilesNotConfigured StorageFull WorkspaceUnavailable], described by chat;
    }
    ["chat", session_id, "stream"] {
        /// Follow the turn of a chat that runs or waits, as a UI message stream from its beginning.
        ///
        /// 204 if there is none.
        GET FollowChat(session_id: SessionId = session), Account, refuses [InvalidSessionId], described by follow_chat;
    }
    ["chat", session_id, "messages"] {
        /// Read a chat as UI messages, oldest first.
        ///
        /// A conversation that does not exist has none. If there are more than 1,000 messages, or more than 1 MiB of them, the newest are returned.
        GET ReadChat(session_id: SessionId = session), Account, refuses [InvalidSessionId], described by read_chat;
    }
    ["events"] {
        /// Follow what changes in the account.
        ///
        /// The first event is a snapshot of the account's open turns and pending actions. Events have no ids: a client that reconnects gets a new snapshot.
        GET FollowAccount, Account, refuses [], described by follow_account;
    }
    ["conversations"] {
        /// List conversations, most recently accessed first.
        ///
        /// `cursor` comes from the `Link` header of the page before and does not go together with an `offset` above 0.
        GET ListConversations, Account, refuses [InvalidParameter], described by list_conversations;
    }
    ["conversations", session_id] {
        /// Read a conversation with its messages.
        ///
        /// If it has more than 1,000 messages, or more than 1 MiB of them, the newest are returned and `Link: rel="prev"` leads on.
        GET ReadConversation(session_id: SessionId = session), Account, refuses [InvalidSessionId InvalidParameter NotFound],
            described by read_conversation;
        /// Change a conversation's title and metadata.
        ///
        /// Metadata is merged (RFC 7396): a key with `null` is removed.
        PATCH UpdateConversation(session_id: SessionId = session), Account,
            refuses [InvalidSessionId InvalidParameter NotFound], described by update_conversation;
        /// Delete a conversation everywhere and cancel its running turn.
        DELETE DeleteConversation(session_id: SessionId = session), Account, refuses [InvalidSessionId],
            described by delete_conversation;
    }
    ["conversations", session_id, "cancel"] {
        /// End a conversation's queued and running turns.
        POST CancelConversation(session_id: SessionId = session), Account,
            refuses [InvalidSessionId InvalidParameter NotFound], described by cancel_conversation;
    }
    ["conversations", session_id, "fork"] {
        /// Make a new conversation with the history and the files that this one had at the end of a turn.
        ///
        /// Without `at`, that is its last turn. The new conversation has used nothing yet; uploads that wait for a turn are not copied.
        POST ForkConversation(session_id: SessionId = session), Account,
            refuses [InvalidSessionId InvalidParameter NotFound ConversationBusy ConversationExists BranchUnavailable AccountFull],
            described by fork_conversation;
    }
    ["conversations", session_id, "rewind"] {
        /// Go back to the history and the files that a conversation had at the end of a turn, or before one.
        ///
        /// What came after it is deleted. To edit a question, rewind to before its turn and ask again.
        POST RewindConversation(session_id: SessionId = session), Account,
            refuses [InvalidSessionId InvalidParameter NotFound ConversationBusy BranchUnavailable],
            described by rewind_conversation;
    }
    ["conversations", session_id, "context"] {
        /// Tell how full the model's context was at the end of a conversation's last turn.
        ///
        /// What is not known is null.
        GET ReadContext(session_id: SessionId = session), Account, refuses [InvalidSessionId NotFound],
            described by read_context;
    }
    ["conversations", session_id, "compact"] {
        /// Replace a conversation's history by a summary of it, for the model alone: its messages stay.
        ///
        /// This is a turn: it is queued, answered and made idempotent like that of `POST /query`. Its `response` is empty.
        POST CompactConversation(session_id: SessionId = session), Account, refuses [InvalidSessionId InvalidParameter NotFound
            TurnCancelled IdempotencyKeyReused QueueFull ModelRateLimited TokenNotSet AgentFailed ModelAuthFailed ModelFailed
            ActionPending AtCapacity ContainerUnavailable TurnInterrupted TurnTimeout WorkspaceDamaged WorkspaceUnavailable],
            described by compact_conversation;
    }
    ["conversations", session_id, "events"] {
        /// Follow the events of a conversation's current or latest turn.
        ///
        /// With `Last-Event-ID`, the events after that one; 204 if it is the id of the turn's last event. A turn that has ended is replayed
        /// as it was live, without the pieces of text and of inputs.
        GET FollowConversation(session_id: SessionId = session), Account, refuses [InvalidSessionId InvalidParameter NotFound],
            described by follow_conversation;
    }
    ["conversations", session_id, "turns"] {
        /// List a conversation's turns, newest first.
        ///
        /// A page may hold fewer than `limit` turns, if their answers are long.
        GET ListTurns(session_id: SessionId = session), Account, refuses [InvalidSessionId InvalidParameter NotFound],
            described by list_turns;
    }
    ["conversations", session_id, "files"] {
        /// List a conversation's files, or fetch all of them as a ZIP archive (`Accept: application/zip`).
        ///
        /// They are those of the last turn that saved some, with what was uploaded and deleted since. No container is needed.
        GET ListFiles(session_id: SessionId = session), Account,
            refuses [InvalidSessionId InvalidParameter NotFound FilesNotConfigured WorkspaceDamaged WorkspaceUnavailable],
            described by list_files;
    }
    ["conversations", session_id, "files", (path ..)] {
        /// Read a file, or a range of it.
        GET ReadFile(session_id: SessionId = session, path: FilePath = file), Account,
            refuses [InvalidSessionId InvalidParameter NotFound PreconditionFailed RangeNotSatisfiable FilesNotConfigured
            WorkspaceDamaged WorkspaceUnavailable], described by read_file;
        /// Upload a file. The agent finds it at its next turn.
        ///
        /// A conversation that does not exist is created. What a running turn writes to the same path is replaced.
        PUT UploadFile(session_id: SessionId = session, path: FilePath = file), Account,
            refuses [InvalidSessionId InvalidParameter RequestTimeout LengthRequired PreconditionFailed BodyTooLarge StorageFull
            AccountFull UnsupportedMediaType FilesNotConfigured WorkspaceUnavailable], described by upload_file;
        /// Delete a file; with a `/` at the end of the path, a folder with everything in it; without a path, all files.
        ///
        /// It is gone for the agent from its next turn on.
        DELETE DeleteFiles(session_id: SessionId = session, path: Target = target), Account,
            refuses [InvalidSessionId InvalidParameter NotFound PreconditionFailed StorageFull FilesNotConfigured],
            described by delete_files;
    }
    ["turns", turn_id] {
        /// Read a turn in its current state; with `include=items`, also what it did.
        GET ReadTurn(turn_id: TurnId = turn), Account, refuses [InvalidParameter NotFound], described by read_turn;
    }
    ["actions"] {
        /// List what turns of the account wait for, oldest first.
        GET ListActions, Account, refuses [InvalidSessionId InvalidParameter], described by list_actions;
    }
    ["actions", action_id] {
        /// Read an action.
        GET ReadAction(action_id: ActionId = action), Account, refuses [InvalidParameter NotFound], described by read_action;
        /// Decide an action. The first decision counts; the same again gets the same response.
        ///
        /// Responds as `POST /query` does: when the turn next ends or requires action; with `stream: true` with its events from here; with
        /// `Prefer: respond-async` at once.
        POST DecideAction(action_id: ActionId = action), Account, refuses [InvalidParameter NotFound ActionResolved
            TurnCancelled QueueFull ModelRateLimited AgentFailed ModelAuthFailed ModelFailed AtCapacity ContainerUnavailable
            TurnInterrupted TurnTimeout WorkspaceDamaged WorkspaceUnavailable OutputInvalid], described by decide_action;
    }
    ["storage-stats"] {
        /// Tell how much an account stores.
        GET StorageStats, Account, refuses [], described by storage_stats;
    }
    ["usage"] {
        /// Tell what an account has used, by day, model or conversation.
        ///
        /// The numbers are counted at the model gateway, where the agent cannot change them. `Accept: text/csv` returns the rows as CSV. Rows by day
        /// and model outlive the conversations and are kept for `USAGE_DAYS`; rows by conversation exist only for conversations that still do.
        GET ReadUsage, Account, refuses [InvalidParameter], described by read_usage;
    }
    ["prewarm"] {
        /// Start the account's container ahead of a query, unless it runs already.
        POST Prewarm, Account, refuses [], described by prewarm;
    }
    ["purge"] {
        /// Delete the account's conversations that nobody has touched for `RETENTION_DAYS`, now.
        POST Purge, Account, refuses [], described by purge;
    }
    ["accounts"] {
        /// List accounts, shard by shard in the order of their ids.
        ///
        /// A page of a filtered list may hold fewer than `limit` accounts, even none, and still have a `Link`.
        GET ListAccounts, Operator, refuses [InvalidParameter], described by list_accounts;
    }
    ["accounts", "usage"] {
        /// List what accounts have used in a day.
        ///
        /// Accounts that used nothing are left out. The row of an account that does not respond has an `error`, and its numbers mean nothing: read
        /// that account's usage later. (An account whose id is `usage` is read as `/accounts/%75sage`.)
        GET ListAccountsUsage, Operator, refuses [InvalidParameter ObjectReset], described by list_accounts_usage;
    }
    ["accounts", account_id] {
        /// Read an account as a whole.
        GET ReadAccount(account_id: AccountId = account), Operator, refuses [ObjectReset], described by read_account;
        /// Change an account's status, limits, retention or notes.
        ///
        /// Absent fields stay as they are. A suspended account can only be read: its running turns and its container end, its queue stays.
        PATCH ChangeAccount(account_id: AccountId = account), Operator, refuses [InvalidParameter ObjectReset],
            described by change_account;
        /// Erase an account with all of its data.
        ///
        /// With `keep_account=true`, its settings and its usage stay. If an erasure is under way already, its id is returned.
        DELETE EraseAccount(account_id: AccountId = account), Operator, refuses [InvalidParameter], described by erase_account;
    }
    ["export"] {
        /// Export an account.
        ///
        /// Lines of JSON, each a row with its `type`: the conversations with their messages, turns, items, transcripts, actions and files, then
        /// what the account has used and what is set of it. Turns that have not ended are left out. The last line is `{"type":"done"}`; a stream
        /// without it was cut, and `cursor` goes on behind its last `end`.
        GET Export, Account, refuses [InvalidParameter], described by export;
    }
    ["import"] {
        /// Import what an export wrote.
        ///
        /// Adds to what the account has. If an id is taken, the import is refused before anything is stored; if a line is refused, what came before it
        /// stays. Usage and settings are imported for operators only. With `resume=true`, an export may be sent in parts, or again after a failure:
        /// conversations that exist already are skipped.
        POST Import, Account,
            refuses [InvalidParameter InvalidJson BodyTooLarge RequestTimeout ConversationExists AccountFull StorageFull FilesNotConfigured WorkspaceUnavailable],
            described by import;
    }
    ["account"] {
        /// Erase an account's data; its usage and what operators have set for it stay.
        DELETE EraseOwnAccount, Account, refuses [], described by erase_own_account;
    }
    ["fleet"] {
        /// Read the state of all accounts together: turns, containers, versions, and how the turns of the last hour ended.
        ///
        /// It sums up what accounts report while they work, each at most once a minute.
        GET ReadFleet, Operator, refuses [], described by read_fleet;
    }
    ["audit"] {
        /// List requested changes to accounts and who requested them, shard by shard, newest first.
        ///
        /// Entries are kept for 400 days. Each is written before the change is carried out, which may then have been refused.
        GET ListAudit, Operator, refuses [InvalidParameter], described by list_audit;
    }
    ["tokens"] {
        /// Make a token that speaks for one account.
        POST MakeToken, Operator, refuses [InvalidParameter], described by make_token;
    }
    ["erasures", erasure_id] {
        /// Read the receipt of an erasure.
        ///
        /// `DELETE /account` and `DELETE /accounts/{account_id}` return its id. Whoever has the id may read it.
        GET ReadErasure(erasure_id: ErasureId = erasure), Account, refuses [NotFound], described by read_erasure;
    }
    ["webhooks"] {
        /// List the account's webhooks.
        GET ListWebhooks, Account, refuses [], described by list_webhooks;
    }
    ["webhooks", name] {
        /// Read a webhook.
        GET ReadWebhook(name: ResourceName = resource), Account, refuses [InvalidParameter NotFound], described by read_webhook;
        /// Make a webhook, or change it.
        ///
        /// The account's events are sent to its `url` from now on, signed as Standard Webhooks says. The response has the secret if this
        /// request has set one; it is not shown again.
        PUT SetWebhook(name: ResourceName = resource), Account, refuses [InvalidParameter], described by set_webhook;
        /// Delete a webhook with its deliveries.
        DELETE DeleteWebhook(name: ResourceName = resource), Account, refuses [InvalidParameter], described by delete_webhook;
    }
    ["webhooks", name, "test"] {
        /// Send a webhook an event of the type `webhook.test`.
        POST TestWebhook(name: ResourceName = resource), Account, refuses [InvalidParameter NotFound], described by test_webhook;
    }
    ["webhooks", name, "deliveries"] {
        /// List the deliveries to a webhook, newest first.
        GET ListDeliveries(name: ResourceName = resource), Account, refuses [InvalidParameter NotFound],
            described by list_deliveries;
    }
    ["webhooks", name, "deliveries", event_id, "redeliver"] {
        /// Send an event to a webhook anew.
        POST Redeliver(name: ResourceName = resource, event_id: WebhookEventId = event), Account,
            refuses [InvalidParameter NotFound], described by redeliver;
    }
    ["schedules"] {
        /// List the account's schedules.
        GET ListSchedules, Account, refuses [], described by list_schedules;
    }
    ["schedules", name] {
        /// Read a schedule with its next due times.
        GET ReadSchedule(name: ResourceName = resource), Account, refuses [InvalidParameter NotFound],
            described by read_schedule;
        /// Make a schedule, or change it.
        ///
        /// At each due time, its query runs as a turn of the account. Writing a paused schedule resumes it.
        PUT SetSchedule(name: ResourceName = resource), Account, refuses [NoPrompt InvalidSessionId InvalidParameter InvalidOutputSchema InvalidToolSchema],
            described by set_schedule;
        /// Delete a schedule. Its turns stay with their conversations.
        DELETE DeleteSchedule(name: ResourceName = resource), Account, refuses [InvalidParameter],
            described by delete_schedule;
    }
    ["schedules", name, "run"] {
        /// Run a schedule now, besides its due times.
        POST RunSchedule(name: ResourceName = resource), Account,
            refuses [InvalidParameter NotFound QueueFull ConversationBusy ActionPending], described by run_schedule;
    }
    ["schedules", name, "runs"] {
        /// List the latest runs of a schedule, newest first.
        GET ListRuns(name: ResourceName = resource), Account, refuses [InvalidParameter NotFound], described by list_runs;
    }
    ["purge-runs"] {
        /// List the latest purge runs over all accounts, newest first.
        GET ListPurgeRuns, Operator, refuses [], described by list_purge_runs;
        /// Start the purge of all accounts, as the cron does every night at 02:00 UTC.
        POST StartPurgeRun, Operator, refuses [], described by start_purge_run;
    }
}

#[cfg(test)]
mod tests;
