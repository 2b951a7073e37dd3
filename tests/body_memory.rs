//! What a body takes besides its own bytes, whatever is in it: the memory of a WASM instance never shrinks, and many tenants share it.
#![allow(clippy::unwrap_used, reason = "a suite that cannot go on stops")]

use claude_agent_service::api::problem::Code;
use claude_agent_service::api::request::{Asked, Head, Pending, parse};
use claude_agent_service::api::start_turn::MAX_BODY_BYTES;
use claude_agent_service::api::update::MAX_CHANGE_BYTES;
use claude_agent_service::config::Config;
use claude_agent_service::domain::Millis;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Far more than anything that is read of a body but a prompt.
const LONG_BYTES: usize = 1024 * 1024;
/// The most that a refused body may take besides itself.
const MAX_EXTRA_BYTES: usize = 64 * 1024;

fn pending(method: &str, path: &str) -> Pending {
    let config = Config::parse(|name| match name {
        "ANTHROPIC_API_KEY" => Some("k".to_owned()),
        "AUTH" => Some("none".to_owned()),
        _ => None,
    });
    let header = |name: &str| (name == "content-type").then(|| "application/json".to_owned());
    let url = format!("https://a.example{path}");
    let head = Head { method, url: &url, header: &header, now: Millis::new(0) };
    let Asked::WithBody(pending) = parse(&head, &config.unwrap()).unwrap() else { unreachable!() };
    pending
}

/// Sends a body that must be refused, and checks what it took.
fn refused(method: &str, path: &str, body: &str, code: Code) {
    let pending = pending(method, path);
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let error = pending.with_body(Some(body.as_bytes())).err();
    let extra = ALLOCATOR.peak_usage() - before;
    let what = format!("{} … of {} bytes", body.get(..40).unwrap_or(body), body.len());
    assert_eq!(error.map(|error| error.code), Some(code), "{what}");
    assert!(extra < MAX_EXTRA_BYTES, "{what} took {extra} bytes");
}

/// `unit` again and again, up to `bytes` of it.
fn filled(bytes: usize, unit: &str) -> String {
    unit.repeat(bytes / unit.len())
}

/// One test, as the allocator is the whole process's.
#[test]
fn a_body_that_is_refused_takes_no_memory_besides_its_own() {
    let list = |unit: &str| filled(LONG_BYTES, unit);
    for unit in ["0,", "[],", "{\"\":0},", "\"\\u0061\","] {
        refused(
            "POST",
            "/query",
            &format!("{{\"query\":\" \",\"z\":[{}0]}}", filled(MAX_BODY_BYTES - 100, unit)),
            Code::NoPrompt,
        );
    }
    let objects = list("{\"\":0},");
    refused("POST", "/query", &format!("[{objects}0]"), Code::InvalidJson);
    for (field, code) in [
        ("accountId", Code::InvalidAccount),
        ("session_id", Code::InvalidSessionId),
        ("query", Code::InvalidParameter),
        ("stream", Code::NoPrompt),
    ] {
        refused("POST", "/query", &format!("{{\"{field}\":[{objects}0]}}"), code);
    }
    // Blocks that are too many, too deep, or none.
    for unit in ["0,", "[],", "{\"type\":\"text\"},"] {
        refused("POST", "/query", &format!("{{\"content\":[{}0]}}", list(unit)), Code::InvalidParameter);
    }
    let long = list("x");
    for block in [
        format!("{{\"type\":\"{long}\"}}"),
        format!("{{\"type\":\"image\",\"title\":\"{long}\",\"source\":{{\"type\":\"file\",\"path\":\"a\"}}}}"),
        format!("{{\"type\":\"image\",\"source\":{{\"type\":\"file\",\"path\":\"{long}\"}}}}"),
        format!("{{\"type\":\"image\",\"source\":{{\"type\":\"url\",\"url\":\"{long}\"}}}}"),
        format!("{{\"type\":\"image\",\"source\":[{objects}0]}}"),
        format!("{{\"type\":\"document\",\"source\":{{\"type\":\"file\",\"path\":\"a\"}},\"citations\":[{objects}0]}}"),
    ] {
        refused("POST", "/query", &format!("{{\"content\":[{block}]}}"), Code::InvalidParameter);
    }
    // Unknown keys, long keys, long values of short fields.
    refused("POST", "/query", &format!("{{{}\"a\":0}}", list("\"b\":0,")), Code::NoPrompt);
    for text in ["x", "\\u0061"] {
        let long = list(text);
        refused("POST", "/query", &format!("{{\"{long}\":0}}"), Code::NoPrompt);
        for (field, code) in [
            ("accountId", Code::InvalidAccount),
            ("session_id", Code::InvalidSessionId),
            ("model", Code::InvalidParameter),
            ("system_prompt", Code::InvalidParameter),
        ] {
            refused("POST", "/query", &format!("{{\"query\":\"a\",\"{field}\":\"{long}\"}}"), code);
        }
    }
    refused("POST", "/query", &format!("{{\"query\":\"a\",\"max_turns\":{}}}", list("9")), Code::InvalidParameter);
    // Nesting, closed and not.
    refused("POST", "/query", &format!("{{\"z\":{}", list("[")), Code::InvalidJson);
    let half = LONG_BYTES / 2;
    refused("POST", "/query", &format!("{{\"z\":{}{}}}", "[".repeat(half), "]".repeat(half)), Code::InvalidJson);

    let change = |unit: &str| filled(MAX_CHANGE_BYTES - 100, unit);
    for unit in ["0,", "{\"\":0},"] {
        let path = "/conversations/a";
        refused("PATCH", path, &format!("{{\"metadata\":[{}0]}}", change(unit)), Code::InvalidParameter);
        refused("PATCH", path, &format!("{{\"metadata\":{{\"a\":[{}0]}}}}", change(unit)), Code::InvalidParameter);
        refused("PATCH", path, &format!("{{\"title\":[{}0]}}", change(unit)), Code::InvalidParameter);
    }
    refused("PATCH", "/conversations/a", &format!("{{\"title\":\"{}\"}}", change("x")), Code::InvalidParameter);
}
