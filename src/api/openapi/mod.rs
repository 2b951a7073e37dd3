//! The OpenAPI 3.1 document, made from the table of routes and the types that are sent. It exists in tests alone: no byte of it is in the
//! WASM. `UPDATE=1 cargo test --lib openapi` writes `public/openapi.json`, which the deployment serves as a static asset.

mod accounts;
mod actions;
mod automation;
mod branches;
mod chat;
mod content;
pub(super) mod events;
mod operations;
pub(super) mod schemas;

/// The description of each operation, by the name that the table has for it.
pub(super) mod described {
    pub(in crate::api) use super::accounts::*;
    pub(in crate::api) use super::actions::*;
    pub(in crate::api) use super::automation::*;
    pub(in crate::api) use super::branches::*;
    pub(in crate::api) use super::chat::*;
    pub(in crate::api) use super::operations::*;
}

use std::collections::BTreeMap;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::problem::{Code, Problem};
use super::route::{Access, Row, TABLE};
use crate::domain::{AccountId, ActionId, ErasureId, FilePath, ResourceName, SessionId, TurnId, WebhookEventId};

/// The schemas that the document names, in two contracts: what is sent has all its fields, what is taken may leave some out.
pub(super) struct Schemas {
    sent: SchemaGenerator,
    taken: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = |settings: SchemaSettings| {
            settings.with(|settings| settings.definitions_path = "/components/schemas".into()).into_generator()
        };
        Self {
            sent: settings(SchemaSettings::draft2020_12().for_serialize()),
            taken: settings(SchemaSettings::draft2020_12().for_deserialize()),
        }
    }

    /// The schema of what the service sends.
    fn sent<T: JsonSchema>(&mut self) -> Schema {
        self.sent.subschema_for::<T>()
    }

    /// The schema of what the service takes.
    fn taken<T: JsonSchema>(&mut self) -> Schema {
        self.taken.subschema_for::<T>()
    }

    fn definitions(mut self) -> Map<String, Value> {
        let mut all = self.sent.take_definitions(true);
        for (name, schema) in self.taken.take_definitions(true) {
            let before = all.insert(name.clone(), schema.clone());
            assert!(before.is_none_or(|before| before == schema), "{name} is sent and taken in two shapes");
        }
        all
    }
}

/// What an operation takes and what it responds with.
pub(super) struct Described {
    parameters: Vec<Value>,
    body: Option<Body>,
    responses: Vec<Response>,
}

/// A request's body.
enum Body {
    Json { schema: Schema, example: Value, required: bool },
    Bytes,
}

/// A response that is no refusal.
struct Response {
    status: u16,
    description: &'static str,
    content: Value,
    headers: &'static [&'static str],
    links: Value,
}

/// What every body may be refused with.
const BODY_CODES: &[Code] = &[Code::InvalidJson, Code::RequestTimeout, Code::BodyTooLarge, Code::UnsupportedMediaType];

/// The refusals that are the end of a turn, which is reported like that of one that completed.
const ENDS_OF_TURNS: &[Code] = &[
    Code::AttachmentNotFound,
    Code::AttachmentTooLarge,
    Code::UnsupportedAttachment,
    Code::TurnCancelled,
    Code::ModelRateLimited,
    Code::AgentFailed,
    Code::ModelAuthFailed,
    Code::ModelFailed,
    Code::AtCapacity,
    Code::ContainerUnavailable,
    Code::TurnInterrupted,
    Code::TurnTimeout,
    Code::WorkspaceDamaged,
    Code::WorkspaceUnavailable,
    Code::OutputInvalid,
    Code::InvalidOutputSchema,
    Code::InvalidToolSchema,
    Code::BudgetExhausted,
];

impl Access {
    /// What every route of this access may be refused with.
    const fn codes(self) -> &'static [Code] {
        match self {
            Self::Open => &[Code::Internal],
            Self::Account => &[
                Code::InvalidAccount,
                Code::Unauthorized,
                Code::WrongAccount,
                Code::AccountSuspended,
                Code::AuthNotConfigured,
                Code::Internal,
                Code::ObjectReset,
            ],
            Self::Operator => {
                &[Code::InvalidAccount, Code::Unauthorized, Code::OperatorOnly, Code::AuthNotConfigured, Code::Internal]
            }
        }
    }
}

/// The headers of responses, which `components/headers` describes.
const HEADERS: &[(&str, &str)] = &[
    ("X-Request-Id", "Names this request in the logs: `req_` and 32 characters."),
    ("Link", "`rel=\"next\"` or `rel=\"prev\"`: the page that follows, if there is one (RFC 8288)."),
    ("Location", "Where the turn, or the new conversation, can be read."),
    ("Preference-Applied", "`respond-async`."),
    ("Idempotent-Replayed", "`true` if an earlier request with this `Idempotency-Key` got this response first."),
    (
        "Server-Timing",
        "How long the turn waited (`queue`), ran (`agent`) and took in total (`total`), in milliseconds.",
    ),
    ("ETag", "The file's entity tag."),
    ("Accept-Ranges", "`bytes`."),
    (
        "Content-Range",
        "Which bytes of the file follow, if a range was asked for; of a refused one, `bytes */` and the size of the file.",
    ),
    ("Content-Disposition", "`attachment`, with the file's name."),
    ("Content-Security-Policy", "`sandbox`: a browser that opens the file runs nothing of it."),
    ("Retry-After", "Seconds after which it makes sense to send the request again."),
    ("RateLimit-Policy", "The limit of a day that is used up, if it counts turns or tokens."),
    ("RateLimit", "What is left of the limit, and the seconds until it is counted anew, if they are known."),
    ("WWW-Authenticate", "`Bearer`."),
    ("traceparent", "The `traceparent` of the request, if it had one that the specification allows."),
];

fn headers(names: &[&str]) -> Value {
    let reference = |name: &&str| ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{name}")}));
    Value::Object(["X-Request-Id"].iter().chain(names).map(reference).collect())
}

/// The refusals of an operation: one response for each status, with the codes that it can have.
fn refusals(row: &Row, has_body: bool, schemas: &mut Schemas) -> Map<String, Value> {
    let problem = schemas.sent::<Problem<'static>>();
    let of_body = if has_body { BODY_CODES } else { &[] };
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in row.access.codes().iter().chain(of_body).chain(row.codes) {
        let codes = by_status.entry(code.status()).or_default();
        if !codes.contains(code) {
            codes.push(*code);
        }
    }
    let response = |(status, codes): (u16, Vec<Code>)| {
        let words: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
        let schema =
            json!({"allOf": [problem, {"properties": {"status": {"const": status}, "code": {"enum": words}}}]});
        let described: Vec<String> = codes.iter().map(|c| format!("`{}`: {}.", c.as_str(), c.title())).collect();
        let mut names: Vec<&str> = match status {
            401 => vec!["WWW-Authenticate"],
            402 | 429 => vec!["Retry-After", "RateLimit-Policy", "RateLimit"],
            503 => vec!["Retry-After"],
            416 => vec!["Content-Range"],
            _ => Vec::new(),
        };
        if codes.iter().any(|code| ENDS_OF_TURNS.contains(code)) {
            names.extend(["Server-Timing", "Idempotent-Replayed"]);
        }
        let content = json!({"application/problem+json": {"schema": schema}});
        (
            status.to_string(),
            json!({"description": described.join(" "), "headers": headers(&names), "content": content}),
        )
    };
    by_status.into_iter().map(response).collect()
}

/// The parameters that a path and who may use it bring with them.
fn parameters(path: &str, access: Access, schemas: &mut Schemas) -> Vec<Value> {
    let mut parameters = Vec::new();
    for name in path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}')) {
        let schema = match name {
            "session_id" => schemas.taken::<SessionId>(),
            "turn_id" => schemas.taken::<TurnId>(),
            "action_id" => schemas.taken::<ActionId>(),
            "path" => schemas.taken::<FilePath>(),
            "account_id" => schemas.taken::<AccountId>(),
            "erasure_id" => schemas.taken::<ErasureId>(),
            "name" => schemas.taken::<ResourceName>(),
            "event_id" => schemas.taken::<WebhookEventId>(),
            other => panic!("what is {{{other}}}?"),
        };
        parameters.push(json!({"name": name, "in": "path", "required": true, "schema": schema}));
    }
    if access == Access::Account {
        let account = schemas.taken::<AccountId>();
        parameters.push(json!({"name": "accountId", "in": "query", "schema": account,
            "description": "Selects the account. Default: the token's account; with a key, `default`."}));
    }
    parameters
}

fn tag(path: &str) -> &'static str {
    match path.split('/').nth(1) {
        Some("query" | "turns") => "turns",
        Some("conversations") => "conversations",
        Some("chat") => "chat",
        Some("purge-runs" | "accounts" | "fleet" | "erasures" | "tokens" | "audit") => "operators",
        Some("webhooks") => "webhooks",
        Some("schedules") => "schedules",
        _ => "accounts",
    }
}

/// `ReadTurn` is `readTurn`.
fn operation_id(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    first.to_lowercase() + rest
}

fn operation(path: &str, row: &Row, schemas: &mut Schemas) -> Value {
    let Described { parameters: own, body, responses } = (row.described)(schemas);
    let mut all = refusals(row, matches!(body, Some(Body::Json { .. })), schemas);
    for Response { status, description, content, headers: names, links } in responses {
        let mut response = json!({"description": description, "headers": headers(names)});
        for (name, value) in [("content", content), ("links", links)] {
            if !value.is_null() {
                response[name] = value;
            }
        }
        all.insert(status.to_string(), response);
    }
    let (summary, more) = row.doc.split_first().unwrap();
    let description: Vec<&str> = more.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
    let parameters: Vec<Value> = parameters(path, row.access, schemas).into_iter().chain(own).collect();
    let mut operation = json!({
        "operationId": operation_id(row.name),
        "tags": [tag(path)],
        "summary": summary.trim().trim_end_matches('.'),
        "security": if row.access == Access::Open { json!([]) } else { json!([{"bearer": []}]) },
        "parameters": parameters,
        "responses": all,
    });
    if !description.is_empty() {
        operation["description"] = description.join(" ").into();
    }
    match body {
        None => {}
        Some(Body::Json { schema, example, required }) => {
            let content = json!({"schema": schema, "examples": {"one": {"value": example}}});
            operation["requestBody"] = json!({"required": required, "content": {"application/json": content}});
        }
        Some(Body::Bytes) => operation["requestBody"] = json!({"required": false, "content": {"*/*": {}}}),
    }
    operation
}

/// Drops the formats of numbers, which validators do not know; their bounds stay.
fn without_number_formats(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.get("type").is_some_and(|kind| kind != "string") {
                fields.remove("format");
            }
            fields.values_mut().for_each(without_number_formats);
        }
        Value::Array(items) => items.iter_mut().for_each(without_number_formats),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn document() -> Value {
    let mut schemas = Schemas::new();
    let mut paths: Map<String, Value> = Map::new();
    for (path, rows) in TABLE {
        let operations = rows.iter().map(|row| (row.method.to_lowercase(), operation(path, row, &mut schemas)));
        paths.insert((*path).to_owned(), Value::Object(operations.collect()));
    }
    let described =
        |(name, text): &(&str, &str)| ((*name).to_owned(), json!({"description": text, "schema": {"type": "string"}}));
    let headers: Map<String, Value> = HEADERS.iter().map(described).collect();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "claude-agent-service",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The Claude Agent SDK as a multi-tenant service on Cloudflare. Times are integer milliseconds since \
                1970-01-01T00:00:00Z. Every `GET` route answers `HEAD`, and every route `OPTIONS`. Every \
                request may have a `traceparent` (W3C Trace Context), and its response has it again.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "turns", "description": "Queries, and the turns that they become."},
            {"name": "conversations", "description": "What an account has said and heard."},
            {"name": "chat", "description": "The same conversations, for the AI SDK's `useChat`."},
            {"name": "accounts", "description": "An account as a whole."},
            {"name": "webhooks", "description": "Where an account's events are sent."},
            {"name": "schedules", "description": "Queries by the clock."},
            {"name": "operators", "description": "All accounts; for whoever sends one of `API_KEYS`."},
        ],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions(),
            "headers": headers,
            "securitySchemes": {"bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "A key of `API_KEYS`, for any account and for operators; or a JWT (HS256) for the account in its `sub`.",
            }},
        },
    });
    without_number_formats(&mut document);
    document
}

#[test]
fn the_checked_in_document_is_the_one_that_the_table_makes() {
    let now = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/public/openapi.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let checked_in = std::fs::read_to_string(path).unwrap_or_default();
    assert!(checked_in == now, "public/openapi.json is out of date: run UPDATE=1 cargo test --lib openapi");
}

#[test]
fn every_code_is_documented_with_the_operations_that_refuse_with_it() {
    // What the path or the method decides is no operation's.
    let of_no_operation = [Code::MethodNotAllowed];
    let document = document().to_string();
    for code in Code::ALL {
        let named = document.contains(&format!("`{}`:", code.as_str()));
        assert_eq!(named, !of_no_operation.contains(code), "{}", code.as_str());
    }
}
