//! JSON objects with a type, as the AI SDK has them: chunks and parts. Written by hand: derived for each of them, they would take more
//! of the WASM than all else here.

use serde_json::value::RawValue;

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

/// Writes an object that tells of a call, with these fields besides those that each has.
pub(super) fn write_call(out: &mut String, kind: &str, tool: &Tool, more: &[(&str, Field<'_>)]) {
    let input = tool.whole_input.as_deref().or(tool.input.as_deref()).map_or("{}", |input| input.get());
    let parent = tool.parent.as_ref().map(|parent| ["{\"parent\":", &quoted(parent), "}"].concat());
    let mut fields = vec![
        ("toolCallId", Field::Text(&tool.id)),
        ("toolName", Field::Text(&tool.name)),
        ("input", Field::Json(input)),
        // The service runs it: without this, a client would wait for a result of its own.
        ("providerExecuted", Field::Json("true")),
    ];
    fields.extend(parent.as_deref().map(|parent| ("toolMetadata", Field::Json(parent))));
    fields.extend_from_slice(more);
    write(out, kind, &fields);
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
