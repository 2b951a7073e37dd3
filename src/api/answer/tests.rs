//! Responses and refusals, as they are written.

use super::*;
use crate::domain::limits::{Amount, Exceeded, LimitName};
use crate::domain::metadata::MetadataPatch;
use crate::domain::{Conversation, Message, Messages, Millis, Role, Usage};
use serde_json::Value;
use std::collections::BTreeMap;

fn request_id() -> RequestId {
    "req_0123456789abcdef0123456789abcdef".parse().unwrap()
}

fn of(reply: Reply<String>) -> Answer<String> {
    Answer::of(reply, &"acme".parse().unwrap(), &request_id())
}

fn text(answer: &Answer<String>) -> &str {
    match &answer.body {
        Body::Text(text) => text,
        Body::Document(_) | Body::Events(_) | Body::Feed(_) | Body::Chat(_) | Body::Nothing => panic!("not a text"),
    }
}

fn header<'a>(answer: &'a Answer<String>, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

fn conversation() -> Box<Conversation> {
    Box::new(Conversation {
        session_id: "s:1".parse().unwrap(),
        sdk_session: None,
        title: "Sums".to_owned(),
        created_at: Millis::new(1),
        last_accessed_at: Millis::new(2),
        message_count: 1_002,
        message_bytes: 0,
        metadata: serde_json::Map::from_iter([("team".to_owned(), "blue".into())]),
        usage: Usage::default(),
    })
}

fn messages(older: bool) -> Messages {
    let turn_id = "turn_0123456789abcdef0123456789abcdef".parse().unwrap();
    let message = Message { seq: 7, turn_id, role: Role::User, content: "hi".to_owned(), timestamp: Millis::new(3) };
    Messages { messages: vec![message], attachments: BTreeMap::new(), older }
}

#[test]
fn a_conversation_with_older_messages_says_where_they_are() {
    let answer = of(Reply::Conversation { conversation: conversation(), messages: messages(true), items: None });
    assert_eq!(header(&answer, "link"), Some("</conversations/s%3A1?accountId=acme&before=msg_7>; rel=\"prev\""));
    let answer = of(Reply::Conversation { conversation: conversation(), messages: messages(false), items: None });
    assert_eq!(header(&answer, "link"), None);
}

/// The same fields as the document that SQLite writes: see `a_conversations_document_is_pinned` in `tests/store_messages.rs`.
#[test]
fn a_conversation_that_sqlite_did_not_write_is_pinned() {
    let answer = of(Reply::Conversation { conversation: conversation(), messages: messages(false), items: None });
    assert_eq!(
        text(&answer),
        "{\"session_id\":\"s:1\",\"account_id\":\"acme\",\"title\":\"Sums\",\"created_at\":1,\"last_accessed_at\":2,\
         \"metadata\":{\"message_count\":1002,\"team\":\"blue\"},\
         \"usage\":{\"input_tokens\":0,\"output_tokens\":0,\"cache_read_input_tokens\":0,\
         \"cache_creation_input_tokens\":0,\"cost_usd\":0.0},\
         \"messages\":[{\"id\":\"msg_7\",\"turn_id\":\"turn_0123456789abcdef0123456789abcdef\",\"role\":\"user\",\
         \"content\":\"hi\",\"timestamp\":3}]}"
    );
}

#[test]
fn a_changed_conversation_comes_without_its_messages() {
    let answer = of(Reply::Updated(conversation()));
    assert!(!text(&answer).contains("\"messages\""));
}

#[test]
fn a_refusal_carries_its_headers() {
    let refused = |error: &ApiError| -> Answer<String> { Answer::refusal(error, &request_id()) };
    let unauthorized = refused(&ApiError::new(Code::Unauthorized, "x"));
    assert_eq!((unauthorized.status, unauthorized.content_type), (401, "application/problem+json"));
    assert_eq!(header(&unauthorized, "www-authenticate"), Some("Bearer"));
    let full = refused(&ApiError::from(&AccountError::QueueFull { depth: 32 }));
    assert_eq!((full.status, header(&full, "retry-after")), (429, Some("5")));
    assert_eq!(header(&refused(&ApiError::rate_limited()), "ratelimit"), Some("\"queries\";r=0"));
    let turns = Exceeded {
        name: LimitName::TurnsPerDay,
        limit: Amount::Count(40),
        used: Amount::Count(41),
        resets_at: Some(Millis::new(9)),
        retry_after_s: Some(60),
    };
    let turns = refused(&ApiError::from(&AccountError::BudgetExhausted(turns)));
    assert_eq!(header(&turns, "ratelimit-policy"), Some("\"turns_per_day\";q=40;w=86400"));
    assert_eq!(header(&turns, "ratelimit"), Some("\"turns_per_day\";r=0;t=60"));
    let usd = Exceeded::for_good(LimitName::UsdPerTurn, Amount::Count(1), Amount::Count(1));
    assert_eq!(usd.rate_limit(), None);
    let range = ApiError { file_size: Some(7), ..ApiError::new(Code::RangeNotSatisfiable, "x") };
    assert_eq!(header(&refused(&range), "content-range"), Some("bytes */7"));
    let allow = ApiError { allow: Some("GET"), ..ApiError::new(Code::MethodNotAllowed, "x") };
    assert_eq!(header(&refused(&allow), "allow"), Some("GET"));
}

#[test]
fn the_answer_to_a_prewarming_is_pinned() {
    let answer = of(Reply::Prewarming { started: true });
    assert_eq!((answer.status, text(&answer)), (202, r#"{"prewarming":true}"#));
}

#[test]
fn an_end_that_nobody_saw_does_not_promise_details_in_the_log() {
    let error = ApiError::from(&AccountError::EndUnseen);
    assert_eq!(error.code, Code::Internal);
    assert!(!error.detail.contains("log"), "{}", error.detail);
}

#[test]
fn too_much_metadata_names_the_parameter() {
    let full = (0..17).map(|n| (n.to_string(), "v".into())).collect();
    let patch = MetadataPatch::try_from(Value::Object(full)).unwrap();
    let error = ApiError::from(&AccountError::from(patch.apply(serde_json::Map::new()).unwrap_err()));
    assert_eq!((error.code, error.detail.as_str()), (Code::InvalidParameter, "metadata: at most 16 keys"));
}
