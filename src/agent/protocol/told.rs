//! The frames that are told to a turn's followers, each as its event. What the agent can reach can be made to say anything: names and
//! sentences are cut, numbers are clamped, JSON is bounded and stands on one line.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{MAX_MESSAGE_CHARS, MAX_MS, MAX_NAME_CHARS, MAX_TOKENS, clamp_tokens, cut};
use crate::domain::event::{
    AttachmentRemoved, Compacted, EventKind, ModelCall, Notice, Retry, Thinking, Tool, ToolInput,
};
use crate::domain::file::MAX_PATH_BYTES;
use crate::domain::{Role, Usage, event, price};

/// Longest `input` of a tool call, in bytes of JSON; of a longer one the beginning of its text is passed on.
pub const MAX_TOOL_INPUT_BYTES: usize = 2 * 1024;
/// Longest `whole` input and longest `result` of a tool call, in bytes of JSON: 16 KiB, within which the agent server keeps them, and some
/// slack. Of a longer one the beginning of its text is passed on.
pub const MAX_TOOL_JSON_BYTES: usize = 17 * 1024;

#[derive(Deserialize)]
struct MessageFrame {
    text: String,
    #[serde(default)]
    parent: Option<String>,
}

#[derive(Deserialize)]
struct ToolFrame {
    id: String,
    name: String,
    status: String,
    #[serde(default)]
    input: Option<Box<RawValue>>,
    #[serde(default)]
    whole: Option<Box<RawValue>>,
    #[serde(default)]
    result: Option<Box<RawValue>>,
    #[serde(default)]
    truncated: bool,
    #[serde(default)]
    parent: Option<String>,
}

#[derive(Deserialize)]
struct UsageFrame {
    model: String,
    #[serde(default)]
    parent: Option<String>,
}

/// The event that a frame of this type is; none for a type that is none.
pub(super) fn event(kind: &str, line: &str) -> Result<Option<EventKind>, serde_json::Error> {
    Ok(Some(match kind {
        "delta" => EventKind::Delta(serde_json::from_str(line)?),
        "thinking" => {
            let thinking: Thinking = serde_json::from_str(line)?;
            EventKind::Thinking(Thinking { parent: name(thinking.parent), ..thinking })
        }
        "tool_input" => {
            let input: ToolInput = serde_json::from_str(line)?;
            EventKind::ToolInput(ToolInput { id: short(input.id), parent: name(input.parent), ..input })
        }
        "message" => {
            let MessageFrame { text, parent } = serde_json::from_str(line)?;
            EventKind::Message(event::Message { role: Role::Assistant, content: text, parent: name(parent) })
        }
        "tool" => EventKind::Tool(tool(serde_json::from_str(line)?)),
        "usage" => EventKind::Usage(usage(serde_json::from_str(line)?, serde_json::from_str(line)?)),
        "retry" => {
            let retry: Retry = serde_json::from_str(line)?;
            EventKind::Retry(Retry { delay_ms: retry.delay_ms.clamp(0.0, MAX_MS), ..retry })
        }
        "compacted" => {
            let compacted: Compacted = serde_json::from_str(line)?;
            EventKind::Compacted(Compacted {
                pre_tokens: compacted.pre_tokens.min(MAX_TOKENS),
                post_tokens: compacted.post_tokens.map(|tokens| tokens.min(MAX_TOKENS)),
                ..compacted
            })
        }
        "attachment_removed" => {
            let AttachmentRemoved { path, reason } = serde_json::from_str(line)?;
            let path = path.map(|path| shortened(path, MAX_PATH_BYTES));
            EventKind::AttachmentRemoved(AttachmentRemoved { path, reason: shortened(reason, MAX_MESSAGE_CHARS) })
        }
        "notice" => {
            let notice: Notice = serde_json::from_str(line)?;
            EventKind::Notice(Notice {
                code: short(notice.code),
                message: shortened(notice.message, MAX_MESSAGE_CHARS),
                from: notice.from.map(|n| n.min(super::MAX_FRAME_NUMBER)),
                to: notice.to.map(|n| n.min(super::MAX_FRAME_NUMBER)),
            })
        }
        _ => return Ok(None),
    }))
}

fn tool(frame: ToolFrame) -> Tool {
    // A result is a string or an array; whatever else is said to be one is none.
    let result = frame.result.filter(|result| result.get().starts_with(['"', '[']));
    let (result, is_cut) = bounded(result, MAX_TOOL_JSON_BYTES);
    Tool {
        id: short(frame.id),
        name: short(frame.name),
        status: short(frame.status),
        input: bounded(frame.input, MAX_TOOL_INPUT_BYTES).0,
        whole_input: bounded(frame.whole, MAX_TOOL_JSON_BYTES).0,
        truncated: result.is_some() && (frame.truncated || is_cut),
        result,
        parent: name(frame.parent),
    }
}

fn usage(frame: UsageFrame, mut usage: Usage) -> ModelCall {
    clamp_tokens(&mut usage);
    let model = short(frame.model);
    ModelCall {
        cost_usd: price::cost_usd(&model, &usage),
        model,
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cache_read_input_tokens: usage.cache_read_input_tokens,
        cache_creation_input_tokens: usage.cache_creation_input_tokens,
        parent: name(frame.parent),
    }
}

fn shortened(mut text: String, max_chars: usize) -> String {
    cut(&mut text, max_chars);
    text
}

fn short(text: String) -> String {
    shortened(text, MAX_NAME_CHARS)
}

fn name(text: Option<String>) -> Option<String> {
    text.map(short)
}

/// JSON on one line, or as a string the beginning of one that is too long; and whether it was.
fn bounded(json: Option<Box<RawValue>>, max_bytes: usize) -> (Option<Box<RawValue>>, bool) {
    let Some(json) = json else { return (None, false) };
    let text = json.get();
    if text.len() > max_bytes {
        let mut end = max_bytes;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let beginning = serde_json::to_string(text.get(..end).unwrap_or_default());
        return (beginning.and_then(RawValue::from_string).ok(), true);
    }
    if text.contains('\r') {
        // A carriage return can only stand between two tokens of JSON, where a space says the same.
        return (RawValue::from_string(text.replace('\r', " ")).ok(), false);
    }
    (Some(json), false)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::Include;

    /// What a frame's followers hear who asked for everything.
    fn told(frame: &Value) -> (&'static str, Value) {
        let (name, data) = parsed(&frame.to_string()).data(Include::ALL).unwrap();
        (name, serde_json::from_str(&data).unwrap())
    }

    fn parsed(line: &str) -> EventKind {
        let kind = serde_json::from_str::<Value>(line).unwrap()["type"].as_str().unwrap().to_owned();
        event(&kind, line).unwrap().unwrap()
    }

    #[test]
    fn every_frame_that_is_told_is_an_event_of_the_same_name() {
        let as_they_are = [
            json!({ "type": "delta", "text": "4" }),
            json!({ "type": "thinking", "text": "hm" }),
            json!({ "type": "thinking", "text": "hm", "parent": "p" }),
            json!({ "type": "tool_input", "id": "t", "json": "{\"a" }),
            json!({ "type": "tool", "id": "t", "name": "Bash", "status": "started", "input": { "command": "ls" } }),
            json!({ "type": "tool", "id": "t", "name": "Bash", "status": "denied", "result": "no", "parent": "p" }),
            json!({ "type": "tool", "id": "t", "name": "Bash", "status": "failed", "result": [{ "type": "text", "text": "x" }], "truncated": true }),
            json!({ "type": "retry", "attempt": 1, "delay_ms": 512.5, "status": 529, "retracted": false }),
            json!({ "type": "compacted", "trigger": "manual", "pre_tokens": 9, "post_tokens": 3 }),
            json!({ "type": "attachment_removed", "path": "a", "reason": "too large" }),
            json!({ "type": "attachment_removed", "path": null, "reason": "too large" }),
            json!({ "type": "notice", "code": "events_dropped", "message": "m", "from": 3, "to": 9 }),
        ];
        for mut frame in as_they_are {
            let (name, data) = told(&frame);
            assert_eq!(frame.as_object_mut().unwrap().remove("type").unwrap(), name);
            assert_eq!(data, frame);
        }
        let message = told(&json!({ "type": "message", "text": "4", "parent": "p" }));
        assert_eq!(message, ("message", json!({ "role": "assistant", "content": "4", "parent": "p" })));
        let whole = json!({ "type": "tool", "id": "t", "name": "Write", "status": "started", "input": { "a": "x…" }, "whole": { "a": "xyz" } });
        assert_eq!(told(&whole).1["whole_input"], json!({ "a": "xyz" }));
        assert!(event("poem", "{}").unwrap().is_none());
    }

    #[test]
    fn what_a_call_of_the_model_used_has_its_price() {
        let frame = json!({ "type": "usage", "model": "claude-opus-5-5", "input_tokens": 409, "output_tokens": 7,
            "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0 });
        let (name, data) = told(&frame);
        assert_eq!((name, &data["cost_usd"], &data["input_tokens"]), ("usage", &json!(0.001_776), &json!(409)));
        let forged = json!({ "type": "usage", "model": "m", "input_tokens": u64::MAX, "cost_usd": -5, "parent": "p" });
        let (_, data) = told(&forged);
        assert_eq!((&data["input_tokens"], &data["parent"]), (&json!(MAX_TOKENS), &json!("p")));
        assert!(data["cost_usd"].as_f64().unwrap() > 0.0);
    }

    #[test]
    fn names_and_sentences_are_cut() {
        let long = "é".repeat(9_000);
        let chars = |value: &Value| value.as_str().unwrap().chars().count();
        for (frame, fields) in [
            (json!({ "type": "thinking", "text": "", "parent": long }), vec!["parent"]),
            (json!({ "type": "tool_input", "id": long, "json": "", "parent": long }), vec!["id", "parent"]),
            (json!({ "type": "message", "text": "", "parent": long }), vec!["parent"]),
            (
                json!({ "type": "tool", "id": long, "name": long, "status": long, "parent": long }),
                vec!["id", "name", "status", "parent"],
            ),
            (json!({ "type": "usage", "model": long, "parent": long }), vec!["model", "parent"]),
            (json!({ "type": "notice", "code": long, "message": "" }), vec!["code"]),
        ] {
            let (_, data) = told(&frame);
            for field in fields {
                assert_eq!(chars(&data[field]), MAX_NAME_CHARS, "{field} of {}", frame["type"]);
            }
        }
        let (_, removed) = told(&json!({ "type": "attachment_removed", "path": long, "reason": long }));
        assert_eq!((chars(&removed["path"]), chars(&removed["reason"])), (MAX_PATH_BYTES, MAX_MESSAGE_CHARS));
        assert_eq!(
            chars(&told(&json!({ "type": "notice", "code": "", "message": long })).1["message"]),
            MAX_MESSAGE_CHARS
        );
    }

    #[test]
    fn json_that_is_too_long_becomes_the_beginning_of_its_text() {
        let long = "é".repeat(MAX_TOOL_JSON_BYTES);
        let tool = json!({ "type": "tool", "id": "t", "name": "Bash", "status": "finished", "input": { "command": long },
            "whole": { "command": long }, "result": long });
        let EventKind::Tool(tool) = parsed(&tool.to_string()) else { panic!("not a tool") };
        for (json, most) in [
            (tool.input, MAX_TOOL_INPUT_BYTES),
            (tool.whole_input, MAX_TOOL_JSON_BYTES),
            (tool.result, MAX_TOOL_JSON_BYTES),
        ] {
            let text: String = serde_json::from_str(json.unwrap().get()).unwrap();
            assert!(text.len() <= most && text.len() > most - 4 && text.starts_with(['{', '"']), "{}", text.len());
        }
        assert!(tool.truncated);
    }

    #[test]
    fn a_result_that_is_neither_a_string_nor_an_array_is_none() {
        for result in [json!({}), json!(7), json!(true), json!(null)] {
            let frame = json!({ "type": "tool", "id": "t", "name": "Bash", "status": "finished", "result": result, "truncated": true });
            assert_eq!(told(&frame).1, json!({ "id": "t", "name": "Bash", "status": "finished" }), "{result}");
        }
    }

    #[test]
    fn the_json_of_a_tool_is_one_line() {
        let line = "{\"n\":4,\"type\":\"tool\",\"id\":\"t\",\"name\":\"Bash\",\"status\":\"started\",\"input\":{\r\"a\":\r\"b\"}}";
        assert!(
            matches!(parsed(line), EventKind::Tool(tool) if tool.input.as_ref().unwrap().get() == r#"{ "a": "b"}"#)
        );
    }

    #[test]
    fn numbers_that_storage_cannot_hold_are_clamped() {
        let (_, data) = told(&json!({ "type": "compacted", "trigger": "by whim", "pre_tokens": u64::MAX }));
        assert_eq!(data, json!({ "trigger": "auto", "pre_tokens": MAX_TOKENS }));
        let (_, data) = told(&json!({ "type": "notice", "code": "c", "message": "m", "from": u64::MAX, "to": 1 }));
        assert_eq!((&data["from"], &data["to"]), (&json!(super::super::MAX_FRAME_NUMBER), &json!(1)));
        assert_eq!(told(&json!({ "type": "retry", "attempt": 1, "delay_ms": -1e99 })).1["delay_ms"], json!(0.0));
    }
}
