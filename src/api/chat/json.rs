//! JSON objects with a type, as the AI SDK has them: chunks and parts. Written by hand: derived for each of them, they would take more
//! of the WASM than all else here.

use serde_json::value::RawValue;

use crate::domain::Action;
use crate::domain::event::Tool;

/// A value of a field.
#[derive(Clone, Copy)]
pub(super) enum Field<'a> {
    Text(&'a str),
    Json(&'a str),
}

/// Writes `{"type":kind,…}`.
pub(super) fn write(out: &mut String, kind: &str, fields: &[(&str, Field<'_>)]) {
    out.push_str("{\"type\":\"");
    out.push_str(kind);
    out.push('"');
    for (name, value) in fields {
        out.push_str(",\"");
        out.push_str(name);
        out.push_str("\":");
        match value {
            Field::Text(text) => out.push_str(&quoted(text)),
            Field::Json(json) => out.push_str(json),
        }
    }
    out.push('}');
}

/// Writes an object that tells of a call, with these fields besides those that each has. `is_ours` says that the service runs it: of others
/// the client waits for a result of its own.
pub(super) fn write_call(out: &mut String, kind: &str, tool: &Tool, is_ours: bool, more: &[(&str, Field<'_>)]) {
    let input = tool.whole_input.as_deref().or(tool.input.as_deref()).map_or("{}", |input| input.get());
    let parent = tool.parent.as_ref().map(|parent| ["{\"parent\":", &quoted(parent), "}"].concat());
    let mut fields = vec![
        ("toolCallId", Field::Text(&tool.id)),
        ("toolName", Field::Text(&tool.name)),
        ("input", Field::Json(input)),
        ("providerExecuted", Field::Json(if is_ours { "true" } else { "false" })),
    ];
    fields.extend(parent.as_deref().map(|parent| ("toolMetadata", Field::Json(parent))));
    fields.extend_from_slice(more);
    write(out, kind, &fields);
}

/// What a client is told of the question behind an approval: what is asked, and until when it can be answered.
pub(super) fn descriptor(action: &Action) -> String {
    let until = action.expires_at.get().to_string();
    ["{\"kind\":\"", action.kind.as_str(), "\",\"expires_at\":", &until, "}"].concat()
}

/// The call that an action is about.
pub(super) fn call_of(action: &Action, id: &str) -> Tool {
    Tool {
        id: id.to_owned(),
        name: action.tool.clone().unwrap_or_default(),
        status: "started".to_owned(),
        input: action.input.as_ref().and_then(|input| RawValue::from_string(input.get().to_owned()).ok()),
        whole_input: None,
        result: None,
        truncated: false,
        parent: None,
    }
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// The type of the part that an event of this name is.
pub(super) fn data_name(event: &str) -> String {
    ["data-", &event.replace('_', "-")].concat()
}

/// The elements of an array; none of what is no array.
pub(super) fn elements(json: &str) -> Vec<&RawValue> {
    serde_json::from_str(json).unwrap_or_default()
}
