//! One function for each operation: its parameters, its body, its responses with an example each.

use serde_json::{Value, json};

use super::super::document::{
    AcceptedJson, ConversationJson, DoneJson, PrewarmingJson, PurgedJson, RunStartedJson, SuccessJson, TurnJson,
};
use super::super::files::{self, FilesJson, UploadedJson};
use super::super::health::HealthJson;
use super::super::request::{DEFAULT_LIMIT, DEFAULT_TURNS, MAX_LIMIT, MAX_TURNS};
use super::events::{feed_event, server_sent_event};
use super::schemas::{AccountSelection, ConversationChange, ConversationSummary, QueryRequest, StorageStats};
use super::{Body, Described, Response, Schemas};
use crate::domain::file::{MAX_FILES_PER_PAGE, MAX_PATH_BYTES};
use crate::domain::search::MAX_SEARCH_CHARS;
use crate::domain::{FilePath, IdempotencyKey, Include, PurgeRun, TurnId};
use schemars::{JsonSchema, Schema};

pub(super) const TURN_ID: &str = "turn_01a202feb07b753ebcc7ee3525df0aa1";

pub(super) fn parameter(place: &str, name: &str, schema: &Value, description: &str) -> Value {
    json!({"name": name, "in": place, "schema": schema, "description": description})
}

/// The parameter that asks for items.
fn items(description: &str) -> Value {
    parameter("query", "include", &json!({"const": "items"}), description)
}

/// A response with a JSON document.
#[expect(clippy::needless_pass_by_value, reason = "examples are written where they are passed")]
pub(super) fn responds(status: u16, description: &'static str, schema: &Schema, example: Value) -> Response {
    let content = json!({"application/json": {"schema": schema, "examples": {"one": {"value": example}}}});
    Response { status, description, content, headers: &[], links: Value::Null }
}

pub(super) fn nothing(description: &'static str) -> Response {
    Response { status: 204, description, content: Value::Null, headers: &[], links: Value::Null }
}

impl Response {
    pub(super) fn with_headers(self, headers: &'static [&'static str]) -> Self {
        Self { headers, ..self }
    }

    fn with_links(self, links: Value) -> Self {
        Self { links, ..self }
    }
}

/// An operation that takes no body and no parameter of its own.
pub(super) fn only(response: Response) -> Described {
    Described { parameters: Vec::new(), body: None, responses: vec![response] }
}

/// An operation that changes something and needs no body; one that is there may name the account.
pub(super) fn bodiless(schemas: &mut Schemas, response: Response) -> Described {
    let body = Body::Json {
        schema: schemas.taken::<AccountSelection>(),
        example: json!({"accountId": "acme"}),
        required: false,
    };
    Described { body: Some(body), ..only(response) }
}

pub(super) fn list_of<T: JsonSchema>(schemas: &mut Schemas) -> Schema {
    schemars::json_schema!({"type": "array", "items": schemas.sent::<T>()})
}

/// Where the conversation and the turn of a response can be asked for.
fn links_to(session_id: &str) -> Value {
    let to = |operation: &str| json!({"operationId": operation, "parameters": {"session_id": session_id}});
    json!({
        "readConversation": to("readConversation"),
        "updateConversation": to("updateConversation"),
        "deleteConversation": to("deleteConversation"),
        "cancelConversation": to("cancelConversation"),
        "followConversation": to("followConversation"),
        "readTurn": {"operationId": "readTurn", "parameters": {"turn_id": "$response.body#/turn_id"}},
    })
}

pub(super) fn usage() -> Value {
    json!({"input_tokens": 409, "output_tokens": 7, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 2742,
        "cost_usd": 0.015_486})
}

pub(super) fn conversation() -> Value {
    json!({"session_id": "sums", "account_id": "acme", "title": "What is 2+2?", "created_at": 1_795_346_575_482_i64,
        "last_accessed_at": 1_795_346_579_311_i64, "metadata": {"message_count": 2, "team": "blue"}, "usage": usage()})
}

pub(in crate::api) fn health(schemas: &mut Schemas) -> Described {
    let example = json!({"status": "healthy", "hasToken": true, "hasContainer": true, "hasAuth": true,
        "timestamp": "2026-11-22T10:00:00.000Z", "version": env!("CARGO_PKG_VERSION")});
    only(responds(200, "The deployment answers.", &schemas.sent::<HealthJson>(), example))
}

/// The header that names the trace of a query.
pub(super) fn traceparent() -> Value {
    let example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let description = "W3C Trace Context: the log lines of the turn have its `trace_id`, the agent's commands have it in `TRACEPARENT`, and the \
        response has it again. One that breaks the specification's rules counts as absent.";
    parameter("header", "traceparent", &json!({"type": "string", "examples": [example]}), description)
}

/// The parameters of a request that starts a turn, and its responses; `result` is an example of the turn's.
pub(super) fn starts_turn(schemas: &mut Schemas, result: Value) -> Described {
    let outcome = schemas.sent::<DoneJson<'static>>();
    let mut done = responds(200, "The turn's result, what it waits for, or its events.", &outcome, result);
    done.content["text/event-stream"] = json!({"schema": server_sent_event(schemas)});
    let accepted = json!({"turn_id": TURN_ID, "session_id": "sums", "status": "queued"});
    let accepted =
        responds(202, "The turn is stored and runs by itself.", &schemas.sent::<AcceptedJson<'static>>(), accepted);
    let key = schemas.taken::<IdempotencyKey>().to_value();
    Described {
        parameters: vec![
            parameter("header", "Idempotency-Key", &key, "The same request sent twice with the same key runs once."),
            parameter("header", "Prefer", &json!({"type": "string"}), "`respond-async`: respond at once with 202."),
        ],
        body: None,
        responses: vec![
            done.with_headers(&["Server-Timing", "Idempotent-Replayed"])
                .with_links(links_to("$response.body#/session_id")),
            accepted
                .with_headers(&["Location", "Preference-Applied", "Idempotent-Replayed"])
                .with_links(links_to("$response.body#/session_id")),
        ],
    }
}

pub(in crate::api) fn query(schemas: &mut Schemas) -> Described {
    let result = json!({"success": true, "response": "4", "session_id": "sums", "turn_id": TURN_ID,
        "model": "claude-opus-5-5", "usage": usage(), "num_turns": 1, "duration_ms": 118});
    let body = Body::Json {
        schema: schemas.taken::<QueryRequest>(),
        example: json!({"query": "What is 2+2?", "session_id": "sums"}),
        required: true,
    };
    let mut described = starts_turn(schemas, result);
    described.parameters.push(traceparent());
    described.responses[0].headers = &["Server-Timing", "Idempotent-Replayed", "traceparent"];
    described.responses[1].headers = &["Location", "Preference-Applied", "Idempotent-Replayed", "traceparent"];
    Described { body: Some(body), ..described }
}

pub(in crate::api) fn list_conversations(schemas: &mut Schemas) -> Described {
    let summary = json!([{"session_id": "sums", "title": "What is 2+2?", "created_at": 1_795_346_575_482_i64,
        "last_accessed_at": 1_795_346_579_311_i64, "metadata": {"message_count": 6}}]);
    let list = list_of::<ConversationSummary>(schemas);
    let limit = json!({"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT});
    let offset = json!({"type": "integer", "minimum": 0, "maximum": u32::MAX, "default": 0});
    let words = json!({"type": "string", "maxLength": MAX_SEARCH_CHARS, "pattern": "\\S"});
    Described {
        parameters: vec![
            parameter("query", "limit", &limit, "Most conversations of a page."),
            parameter("query", "offset", &offset, "How many to leave out before the page."),
            parameter("query", "cursor", &json!({"type": "string"}), "Where the page starts; from a `Link` header."),
            parameter(
                "query",
                "q",
                &words,
                "Finds conversations whose title or messages contain all these words, at most 8.",
            ),
        ],
        body: None,
        responses: vec![responds(200, "A page, perhaps an empty one.", &list, summary).with_headers(&["Link"])],
    }
}

pub(in crate::api) fn read_conversation(schemas: &mut Schemas) -> Described {
    let mut example = conversation();
    example["messages"] = json!([{"id": "msg_1", "turn_id": TURN_ID, "role": "user", "content": "What is 2+2?",
        "timestamp": 1_795_346_575_482_i64}]);
    let schema = schemas.sent::<ConversationJson<'static>>();
    let before = json!({"type": "string", "pattern": "^msg_[0-9]{1,18}$"});
    Described {
        parameters: vec![
            parameter("query", "before", &before, "Only messages before the one with this id."),
            items("`items`: what the turns of these messages did, too."),
        ],
        ..only(responds(200, "The conversation with its messages.", &schema, example).with_headers(&["Link"]))
    }
}

pub(in crate::api) fn update_conversation(schemas: &mut Schemas) -> Described {
    let schema = schemas.sent::<ConversationJson<'static>>();
    let example = json!({"title": "Sums", "metadata": {"team": "blue"}});
    Described {
        body: Some(Body::Json { schema: schemas.taken::<ConversationChange>(), example, required: true }),
        ..only(responds(200, "The changed conversation, without its messages.", &schema, conversation()))
    }
}

pub(in crate::api) fn delete_conversation(schemas: &mut Schemas) -> Described {
    let schema = schemas.sent::<SuccessJson>();
    bodiless(schemas, responds(200, "It is gone, or was not there.", &schema, json!({"success": true})))
}

pub(in crate::api) fn follow_conversation(schemas: &mut Schemas) -> Described {
    let id = json!({"type": "string", "pattern": "^(turn_[0-9a-f]{32}:[0-9]{1,15})?$"});
    let any = Include::words().collect::<Vec<_>>().join("|");
    let words = json!({"type": "string", "pattern": format!("^(({any})(,({any}))*)?$")});
    let content = json!({"text/event-stream": {"schema": server_sent_event(schemas)}});
    let description = "The turn's events, those that follow included.";
    let events = Response { status: 200, description, content, headers: &[], links: Value::Null };
    Described {
        parameters: vec![
            parameter("header", "Last-Event-ID", &id, "The id of the last event that the client has."),
            parameter("query", "include", &words, "Events to send in addition to the default ones, comma-separated."),
        ],
        body: None,
        responses: vec![events, nothing("The client has seen the turn's last event.")],
    }
}

pub(in crate::api) fn follow_account(schemas: &mut Schemas) -> Described {
    let content = json!({"text/event-stream": {"schema": feed_event(schemas)}});
    only(Response {
        status: 200,
        description: "What changes in the account.",
        content,
        headers: &[],
        links: Value::Null,
    })
}

pub(in crate::api) fn list_turns(schemas: &mut Schemas) -> Described {
    let example = json!([{"turn_id": TURN_ID, "session_id": "sums", "status": "completed",
        "created_at": 1_795_346_575_482_i64, "started_at": 1_795_346_575_490_i64, "finished_at": 1_795_346_575_610_i64,
        "response": "4", "usage": usage()}]);
    let limit = json!({"type": "integer", "minimum": 1, "maximum": MAX_TURNS, "default": DEFAULT_TURNS});
    let before = schemas.taken::<TurnId>().to_value();
    let list = list_of::<TurnJson<'static>>(schemas);
    Described {
        parameters: vec![
            parameter("query", "limit", &limit, "Most turns of a page."),
            parameter("query", "before", &before, "Only turns before this one."),
        ],
        ..only(responds(200, "A page of turns.", &list, example).with_headers(&["Link"]))
    }
}

fn header(name: &str, description: &str) -> Value {
    parameter("header", name, &json!({"type": "string"}), description)
}

pub(in crate::api) fn list_files(schemas: &mut Schemas) -> Described {
    let example = json!({"version": 3, "saved_at": 1_795_346_575_610_i64, "unsaved": null, "files": [
        {"path": "report/sums.md", "size": 1_204, "modified_at": 1_795_346_575_601_i64, "etag": "ungWv48Bz-pBQUDeXa4iIg"}]});
    let mut page = responds(200, "A page of files; or all of them.", &schemas.sent::<FilesJson<'static>>(), example);
    page.content["application/zip"] = json!({});
    let limit =
        json!({"type": "integer", "minimum": 1, "maximum": MAX_FILES_PER_PAGE, "default": files::DEFAULT_LIMIT});
    let prefix = json!({"type": "string", "maxLength": MAX_PATH_BYTES});
    let cursor = schemas.taken::<FilePath>().to_value();
    Described {
        parameters: vec![
            parameter("query", "prefix", &prefix, "Only files whose path begins with it."),
            parameter("query", "limit", &limit, "Most files of a page."),
            parameter("query", "cursor", &cursor, "Where the page starts; from a `Link` header."),
        ],
        body: None,
        responses: vec![page.with_headers(&["Link", "Content-Disposition"])],
    }
}

pub(in crate::api) fn read_file(schemas: &mut Schemas) -> Described {
    let at = schemas.taken::<TurnId>().to_value();
    let bytes = |status, description| Response {
        status,
        description,
        content: json!({"*/*": {}}),
        headers: &["ETag", "Accept-Ranges", "Content-Range", "Content-Disposition", "Content-Security-Policy"],
        links: Value::Null,
    };
    let unchanged =
        Response { status: 304, headers: &["ETag", "Accept-Ranges"], ..nothing("The client has the file.") };
    Described {
        parameters: vec![
            parameter("query", "at", &at, "Read the file as it was at the end of this turn. Default: as it is now."),
            header("Range", "`bytes=<first>-<last>`, `bytes=<first>-` or `bytes=-<count>`."),
            header("If-Range", "Send the range only of the file with this entity tag."),
            header("If-Match", "Entity tags of which the file must have one."),
            header("If-None-Match", "Entity tags of files that the client has."),
        ],
        body: None,
        responses: vec![bytes(200, "The file."), bytes(206, "The range of the file."), unchanged],
    }
}

pub(in crate::api) fn upload_file(schemas: &mut Schemas) -> Described {
    let example = json!({"path": "data/table.csv", "size": 52_114, "etag": "0f343b0931126a20f133d67c2b018a3b"});
    let uploaded = responds(200, "The file is stored.", &schemas.sent::<UploadedJson<'static>>(), example);
    Described {
        parameters: vec![
            header("If-Match", "Entity tags of which the file that is there must have one."),
            parameter("header", "If-None-Match", &json!({"const": "*"}), "`*`: there must be no file."),
        ],
        body: Some(Body::Bytes),
        responses: vec![uploaded.with_headers(&["ETag"])],
    }
}

pub(in crate::api) fn delete_files(schemas: &mut Schemas) -> Described {
    let schema = schemas.sent::<SuccessJson>();
    let described = bodiless(schemas, responds(200, "They are gone.", &schema, json!({"success": true})));
    Described { parameters: vec![header("If-Match", "Entity tags of which the file must have one.")], ..described }
}

pub(in crate::api) fn read_turn(schemas: &mut Schemas) -> Described {
    let example = json!({"turn_id": TURN_ID, "session_id": "sums", "status": "completed", "created_at": 1_795_346_575_482_i64,
        "started_at": 1_795_346_575_490_i64, "finished_at": 1_795_346_575_610_i64, "response": "4", "usage": usage()});
    let turn = responds(200, "The turn.", &schemas.sent::<TurnJson<'static>>(), example);
    Described { parameters: vec![items("`items`: what the turn did, too, once it has ended.")], ..only(turn) }
}

pub(in crate::api) fn storage_stats(schemas: &mut Schemas) -> Described {
    let example = json!({"total_conversations": 1, "oldest_conversation_age_days": 0.5, "conversations_ready_to_purge": 0,
        "retention_policy_days": 30, "total_messages": 6, "database_bytes": 61_440});
    only(responds(200, "The account's counts.", &schemas.sent::<StorageStats>(), example))
}

pub(in crate::api) fn prewarm(schemas: &mut Schemas) -> Described {
    let schema = schemas.sent::<PrewarmingJson>();
    bodiless(schemas, responds(202, "The container starts, or runs already.", &schema, json!({"prewarming": true})))
}

pub(in crate::api) fn purge(schemas: &mut Schemas) -> Described {
    let schema = schemas.sent::<PurgedJson>();
    bodiless(schemas, responds(200, "What was deleted.", &schema, json!({"deleted": 3, "errors": 0})))
}

pub(in crate::api) fn list_purge_runs(schemas: &mut Schemas) -> Described {
    let example = json!([{"run_id": "run_01a202feb07b753ebcc7ee3525df0aa1", "trigger": "cron", "started_at": 1_795_312_800_000_i64,
        "finished_at": 1_795_312_803_412_i64, "accounts_due": 41, "accounts_done": 41, "accounts_failed": 0,
        "conversations_deleted": 97}]);
    let schema = list_of::<PurgeRun>(schemas);
    only(responds(200, "The latest runs.", &schema, example))
}

pub(in crate::api) fn start_purge_run(schemas: &mut Schemas) -> Described {
    let schema = schemas.sent::<RunStartedJson<'static>>();
    only(responds(202, "The run has started.", &schema, json!({"run_id": "run_01a202feb07b753ebcc7ee3525df0aa1"})))
}
