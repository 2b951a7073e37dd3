//! What version 1 (commit 4ee8198) understood of the protocols between Workers, objects and containers, as types.

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
pub struct Envelope {
    pub request_id: String,
    pub command: Command,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    StartTurn(Box<StartTurn>),
    ListConversations { limit: u32, page: Page, words: Option<String> },
    ReadConversation { session_id: String, before: Option<i64> },
    UpdateConversation { session_id: String, title: Option<String>, metadata: Option<MetadataPatch> },
    FollowConversation { session_id: String, last_event_id: Option<EventId> },
    CancelConversation { session_id: String },
    DeleteConversation { session_id: String },
    ReadTurn { turn_id: String },
    StorageStats,
    Purge,
    Visit,
    NoteRefusal(Value),
}

#[derive(Deserialize)]
pub struct StartTurn {
    session_id: Option<String>,
    prompt: String,
    title: String,
    options: TurnOptions,
    idempotency: Option<(String, String)>,
    answer: AnswerForm,
}

#[derive(Deserialize)]
pub struct TurnOptions {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    system_prompt: Option<String>,
    #[serde(default)]
    max_turns: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerForm {
    Json,
    Events,
    Accepted,
}

#[derive(Deserialize)]
pub struct Page {
    after: Option<Value>,
    skip: u32,
}

#[derive(Deserialize)]
pub struct MetadataPatch {
    clears: bool,
    entries: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
pub struct EventId {
    turn_id: String,
    n: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectoryCommand {
    Register { account_id: String, oldest_access_at: i64 },
    StartRun { run_id: String, trigger: String },
    ListRuns,
}

/// It refused options that it did not know (`container/src/options.ts`), and passed over other fields.
#[derive(Deserialize)]
pub struct TurnRequest {
    turn_id: String,
    agent_session: Option<String>,
    prompt: String,
    resume: bool,
    options: RunOptions,
    transcript: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunOptions {
    model: Option<String>,
    system_prompt: Option<Value>,
    max_turns: Option<u32>,
    allowed_tools: Option<Vec<String>>,
    disallowed_tools: Option<Vec<String>>,
    permission_mode: Option<String>,
    max_budget_usd: Option<f64>,
    mcp_servers: Option<Value>,
}
