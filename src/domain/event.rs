//! What happens to a turn, as its followers hear it and as it is kept: one union of events. Their names and fields are the public contract's.

mod data;
mod waiting;

use std::rc::Rc;

use serde::{Deserialize, Serialize};

pub use data::{AttachmentRemoved, Compacted, Delta, Message, ModelCall, Notice, Retry, Thinking, Tool, ToolInput};

pub use waiting::{ActionResolved, Paused};

use super::file::ChangedFile;
use super::{Action, Include, Role, SessionId, Turn, TurnStatus};

/// What happened to a turn.
#[derive(Debug, Clone)]
pub enum EventKind {
    /// Its place in the queue, or that it runs.
    Turn {
        /// Its conversation.
        session_id: SessionId,
        /// Queued or running, or its end for one that has ended.
        status: TurnStatus,
        /// How many turns of the account are before it.
        position: usize,
    },
    /// A piece of the answer.
    Delta(Delta),
    /// A piece of the model's thinking.
    Thinking(Thinking),
    /// A piece of a tool call's input.
    ToolInput(ToolInput),
    /// A whole text block.
    Message(Message),
    /// A tool call.
    Tool(Tool),
    /// What a call of the model used.
    Usage(ModelCall),
    /// The model is asked again.
    Retry(Retry),
    /// The conversation's history was compacted.
    Compacted(Compacted),
    /// An attachment was taken out of the history.
    AttachmentRemoved(AttachmentRemoved),
    /// Something that the reader should know.
    Notice(Notice),
    /// A file that the turn changed.
    File(ChangedFile),
    /// It waits for somebody.
    Action(Rc<Action>),
    /// It does not wait for that any more.
    ActionResolved(ActionResolved),
    /// It waits without a process; nothing follows.
    Paused(Rc<Paused>),
    /// It has ended; nothing follows.
    Ended(Rc<Turn>),
}

impl EventKind {
    /// A block of the agent's text.
    #[must_use]
    pub fn said(content: String) -> Self {
        Self::Message(Message { role: Role::Assistant, content, parent: None })
    }

    /// What a reader must have asked for to hear it.
    #[must_use]
    pub const fn needs(&self) -> Include {
        match self {
            Self::Thinking(thinking) => Include::THINKING.and_if(thinking.parent.is_some(), Include::SUBAGENTS),
            Self::ToolInput(input) => Include::TOOL_INPUT.and_if(input.parent.is_some(), Include::SUBAGENTS),
            Self::Message(message) => Include::NOTHING.and_if(message.parent.is_some(), Include::SUBAGENTS),
            Self::Usage(_) => Include::USAGE,
            Self::Turn { .. }
            | Self::Delta(_)
            | Self::Tool(_)
            | Self::Retry(_)
            | Self::Compacted(_)
            | Self::AttachmentRemoved(_)
            | Self::Notice(_)
            | Self::File(_)
            | Self::Action(_)
            | Self::ActionResolved(_)
            | Self::Paused(_)
            | Self::Ended(_) => Include::NOTHING,
        }
    }

    /// Whether it is a piece that another event repeats as a whole, or that only some readers hear: such events are dropped first.
    #[must_use]
    pub const fn is_piece(&self) -> bool {
        matches!(self, Self::Delta(_) | Self::Thinking(_) | Self::ToolInput(_))
    }

    /// The bytes of its texts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Delta(delta) => delta.text.len(),
            Self::Thinking(thinking) => thinking.text.len(),
            Self::ToolInput(input) => input.json.len(),
            Self::Message(message) => message.content.len(),
            Self::Tool(tool) => tool.bytes(),
            Self::Notice(notice) => notice.message.len(),
            Self::AttachmentRemoved(removed) => removed.reason.len(),
            Self::File(file) => file.path.as_str().len(),
            Self::Action(action) => action.input.as_ref().map_or(0, |input| input.get().len()),
            Self::Turn { .. }
            | Self::Usage(_)
            | Self::Retry(_)
            | Self::Compacted(_)
            | Self::ActionResolved(_)
            | Self::Paused(_)
            | Self::Ended(_) => 0,
        }
    }

    /// Its name and its data, on one line, for a reader of `include`; none of the events that tell how the turn stands.
    #[must_use]
    pub fn data(&self, include: Include) -> Option<(&'static str, String)> {
        Some(match self {
            Self::Turn { .. } | Self::Paused(_) | Self::Ended(_) => return None,
            Self::Delta(delta) => ("delta", line(delta)),
            Self::Thinking(thinking) => ("thinking", line(thinking)),
            Self::ToolInput(input) => ("tool_input", line(input)),
            Self::Message(message) => ("message", line(message)),
            Self::Tool(tool) => ("tool", line(&tool.told(include))),
            Self::Usage(usage) => ("usage", line(usage)),
            Self::Retry(retry) => ("retry", line(retry)),
            Self::Compacted(compacted) => ("compacted", line(compacted)),
            Self::AttachmentRemoved(removed) => ("attachment_removed", line(removed)),
            Self::Notice(notice) => ("notice", line(notice)),
            Self::File(file) => ("file", line(file)),
            Self::Action(action) => ("action", line(action.as_ref())),
            Self::ActionResolved(resolved) => ("action_resolved", line(resolved)),
        })
    }

    /// The item that is kept of the `n`-th event, `{n, type, …}`: the event's own data with its number and name.
    #[must_use]
    pub fn item(&self, n: u64) -> Option<String> {
        if matches!(self, Self::Delta(_) | Self::ToolInput(_)) {
            return None;
        }
        let (name, data) = self.data(Include::ALL)?;
        Some(format!("{{\"n\":{n},\"type\":\"{name}\",{}", data.get(1..).unwrap_or_default()))
    }

    /// The event that an item was kept of, and its number; none for one that this version does not know.
    #[must_use]
    pub fn of_item(item: &str) -> Option<(u64, Self)> {
        #[derive(Deserialize)]
        struct Head<'a> {
            n: u64,
            #[serde(rename = "type")]
            kind: &'a str,
        }
        let Head { n, kind } = serde_json::from_str(item).ok()?;
        let event = match kind {
            "thinking" => Self::Thinking(serde_json::from_str(item).ok()?),
            "message" => Self::Message(serde_json::from_str(item).ok()?),
            "tool" => Self::Tool(serde_json::from_str(item).ok()?),
            "usage" => Self::Usage(serde_json::from_str(item).ok()?),
            "retry" => Self::Retry(serde_json::from_str(item).ok()?),
            "compacted" => Self::Compacted(serde_json::from_str(item).ok()?),
            "attachment_removed" => Self::AttachmentRemoved(serde_json::from_str(item).ok()?),
            "notice" => Self::Notice(serde_json::from_str(item).ok()?),
            "file" => Self::File(serde_json::from_str(item).ok()?),
            "action" => Self::Action(Rc::new(serde_json::from_str(item).ok()?)),
            "action_resolved" => Self::ActionResolved(serde_json::from_str(item).ok()?),
            _ => return None,
        };
        Some((n, event))
    }
}

fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::data::CompactedBy;
    use super::*;

    fn raw(json: &str) -> Option<Box<RawValue>> {
        RawValue::from_string(json.to_owned()).ok()
    }

    fn tool() -> Tool {
        Tool {
            id: "t".into(),
            name: "Bash".into(),
            status: "finished".into(),
            input: None,
            whole_input: None,
            result: raw("\"hi\""),
            truncated: true,
            parent: None,
        }
    }

    /// One event of every kind that is kept.
    fn kept() -> Vec<EventKind> {
        let parent = Some("p".to_owned());
        vec![
            EventKind::Thinking(Thinking { text: "a\nb".into(), parent: None }),
            EventKind::Thinking(Thinking { text: "é".into(), parent: parent.clone() }),
            EventKind::said("hi".into()),
            EventKind::Message(Message { role: Role::Assistant, content: "sub".into(), parent }),
            EventKind::Tool(tool()),
            EventKind::Tool(Tool {
                input: raw(r#"{"a":"x…"}"#),
                whole_input: raw(r#"{"a":"xyz"}"#),
                result: None,
                truncated: false,
                ..tool()
            }),
            EventKind::Usage(ModelCall {
                model: "m".into(),
                input_tokens: 1,
                output_tokens: 2,
                cache_read_input_tokens: 3,
                cache_creation_input_tokens: 4,
                cost_usd: 0.000_5,
                parent: None,
            }),
            EventKind::Retry(Retry { attempt: 1, delay_ms: 512.5, status: None, retracted: true }),
            EventKind::Compacted(Compacted { trigger: CompactedBy::Manual, pre_tokens: 9, post_tokens: None }),
            EventKind::AttachmentRemoved(AttachmentRemoved { path: None, reason: "too large".into() }),
            EventKind::Notice(Notice::events_dropped(3, 7)),
            EventKind::File(serde_json::from_str(r#"{"path":"a/b","change":"added","size":4}"#).unwrap()),
        ]
    }

    #[test]
    fn an_item_gives_back_its_event_for_every_reader() {
        for event in kept() {
            let item = event.item(7).unwrap();
            assert!(!item.contains('\n') && serde_json::from_str::<serde_json::Value>(&item).is_ok(), "{item}");
            let (n, again) = EventKind::of_item(&item).unwrap();
            assert_eq!((n, again.item(7).unwrap()), (7, item.clone()));
            for include in [Include::NOTHING, Include::TOOL_INPUT, Include::TOOL_RESULT, Include::ALL] {
                assert_eq!((again.data(include), again.needs()), (event.data(include), event.needs()), "{item}");
            }
        }
    }

    #[test]
    fn items_are_pinned() {
        let item = |event: EventKind| event.item(4).unwrap();
        assert_eq!(item(EventKind::said("4".into())), r#"{"n":4,"type":"message","role":"assistant","content":"4"}"#);
        let call = r#"{"n":4,"type":"tool","id":"t","name":"Bash","status":"finished","result":"hi","truncated":true}"#;
        assert_eq!(item(EventKind::Tool(tool())), call);
        assert!(EventKind::Delta(Delta { text: "x".into() }).item(4).is_none());
        assert!(EventKind::of_item(r#"{"n":4,"type":"poem"}"#).is_none());
    }

    #[test]
    fn a_tool_tells_its_result_and_its_whole_input_to_those_who_asked() {
        let told = |tool: Tool, include| EventKind::Tool(tool).data(include).unwrap().1;
        let end = r#"{"id":"t","name":"Bash","status":"finished"}"#;
        assert_eq!(told(tool(), Include::TOOL_INPUT), end);
        assert!(told(tool(), Include::TOOL_RESULT).ends_with(r#","result":"hi","truncated":true}"#));
        let start = || Tool { input: raw("{}"), whole_input: raw("[1]"), result: None, truncated: false, ..tool() };
        assert!(told(start(), Include::TOOL_RESULT).ends_with(r#","input":{}}"#));
        assert!(told(start(), Include::TOOL_INPUT).ends_with(r#","input":{},"whole_input":[1]}"#));
    }

    #[test]
    fn what_a_reader_must_have_asked_for_depends_on_who_speaks() {
        let needs: Vec<Include> = kept().iter().map(EventKind::needs).collect();
        assert_eq!(needs[0], Include::THINKING);
        assert_eq!(needs[1], Include::THINKING.and(Include::SUBAGENTS));
        assert_eq!((needs[2], needs[3]), (Include::NOTHING, Include::SUBAGENTS));
        assert!(needs[4..].iter().all(|needs| [Include::NOTHING, Include::USAGE].contains(needs)));
    }
}
