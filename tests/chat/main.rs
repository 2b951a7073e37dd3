//! A conversation as a chat of the AI SDK: messages are found by their client's names, take the place of others, and are told as messages.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod answers;
mod replace;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use claude_agent_service::account::Response;
use claude_agent_service::account::chat::command::{ChatCommand, ChatReply, ChatStream, ChatTurn};
use claude_agent_service::account::command::{AnswerForm, Command, Envelope, StartTurn};
use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::reply::Reply;
use claude_agent_service::api::chat::chunks::Chunks;
use claude_agent_service::domain::{ChatMessage, Include, RequestId, Title, TurnId, TurnOptions};
use futures_util::{FutureExt, StreamExt};
use support::script::{Script, Step, entry, result};
use support::session;
use support::stage::Stage;
use uuid::Uuid;

const SECOND: Duration = Duration::from_secs(1);

fn message(id: &str, text: &str) -> Command {
    Command::StartTurn(Box::new(start(id, text, false)))
}

fn start(id: &str, text: &str, replaces: bool) -> StartTurn {
    let chat = Some(ChatMessage { id: id.parse().unwrap() });
    StartTurn {
        session_id: Some(session("a")),
        prompt: text.to_owned(),
        content: None,
        title: Title::from_prompt(text),
        options: TurnOptions { chat, ..TurnOptions::default() },
        idempotency: None,
        answer: AnswerForm::Chat,
        include: Include::THINKING,
        replaces,
    }
}

fn chat(reply: Reply<String>) -> ChatReply {
    match reply {
        Reply::Chat(reply) => reply,
        _ => panic!("no reply of a chat"),
    }
}

/// The command as the object reads it from the Worker.
fn sent(stage: &Stage, command: &Command) -> Command {
    let request_id = stage.request_id();
    let json = serde_json::json!({ "request_id": request_id, "command": command });
    Envelope::read(&json.to_string()).unwrap().command
}

fn ask(stage: &Stage, command: &Command) -> Result<ChatReply, AccountError> {
    match stage.handle(sent(stage, command))? {
        Response::Ready(reply) => Ok(chat(reply)),
        Response::Deferred(_) => panic!("it waits"),
    }
}

/// Sends a message, and returns its turn's stream.
fn send(stage: &Stage, id: &str, text: &str) -> Stream {
    match ask(stage, &message(id, text)).unwrap() {
        ChatReply::Stream(events) => Stream::new(*events),
        _ => panic!("no stream"),
    }
}

struct Stream(Chunks, String);

impl Stream {
    fn new(stream: ChatStream) -> Self {
        Self(Chunks::new(stream, RequestId::new(Uuid::nil())), String::new())
    }

    /// All that has come.
    fn heard(&mut self) -> &str {
        while let Some(Some(text)) = self.0.next().now_or_never() {
            self.1 += &text;
        }
        &self.1
    }

    fn turn(&mut self) -> TurnId {
        let at = self.heard().find("turn_").unwrap();
        self.1[at..at + 37].parse().unwrap()
    }
}

fn read(stage: &Stage) -> Vec<ChatTurn> {
    match ask(stage, &Command::Chat(ChatCommand::Read(session("a")))).unwrap() {
        ChatReply::Messages(turns) => turns,
        _ => panic!("no messages"),
    }
}

fn said(stage: &Stage) -> Vec<String> {
    read(stage).into_iter().map(|turn| turn.said).collect()
}

fn follow(stage: &Stage) -> Option<Stream> {
    match ask(stage, &Command::Chat(ChatCommand::Follow(session("a")))).unwrap() {
        ChatReply::Stream(events) => Some(Stream::new(*events)),
        ChatReply::NothingRuns => None,
        _ => panic!("neither a stream nor its absence"),
    }
}

#[test]
fn the_same_message_sent_again_is_the_same_turn_before_and_after_its_end() {
    let stage = Stage::new();
    let mut first = send(&stage, "m-1", "hello");
    let mut again = send(&stage, "m-1", "hello");
    assert_eq!(first.turn(), again.turn());
    stage.settle();
    assert_eq!(first.heard(), again.heard());
    assert!(send(&stage, "m-1", "hello").heard().ends_with("data: [DONE]\n\n"));
    assert_ne!(send(&stage, "m-2", "hello").turn(), first.turn());
    assert_eq!(said(&stage).len(), 2);
}

#[test]
fn a_chat_is_followed_from_the_beginning_while_a_turn_is_open() {
    let stage = Stage::new();
    assert!(follow(&stage).is_none(), "of an account that nothing is stored of");
    stage.container.script(Script::new([
        Step::Frame(entry("said")),
        Step::Wait(10 * SECOND),
        Step::Frame(result("4")),
    ]));
    let mut sent = send(&stage, "m-1", "hello");
    stage.pass(SECOND);
    let mut late = follow(&stage).unwrap();
    assert!(late.heard().starts_with("data: {\"type\":\"start\",\"messageId\":\"turn_"));
    stage.settle();
    assert!(late.heard().ends_with("data: [DONE]\n\n"));
    assert_eq!(late.turn(), sent.turn());
    assert!(follow(&stage).is_none());
}

#[test]
fn questions_have_the_names_that_their_client_gave_them_or_none() {
    let stage = Stage::new();
    assert!(read(&stage).is_empty(), "of an account that nothing is stored of");
    send(&stage, "m-1", "one");
    stage.settle();
    let plain = stage.query("a");
    stage.settle();
    let names =
        |stage: &Stage| -> Vec<_> { read(stage).into_iter().map(|turn| turn.message.map(String::from)).collect() };
    assert_eq!(names(&stage), [Some("m-1".to_owned()), None]);
    assert!(read(&stage)[0].told.len() == 1 && read(&stage)[0].turn.response.as_deref() == Some("done"));
    let in_place = |name: &str| {
        ask(&stage, &Command::StartTurn(Box::new(start(name, "other", true)))).unwrap();
        stage.settle();
    };
    let (plain, other) = (format!("{plain}:user"), format!("{}:user", TurnId::new(Uuid::from_u128(9))));
    in_place(&plain);
    assert_eq!(names(&stage), [Some("m-1".to_owned()), Some(plain.clone())], "the one that has no name of its own");
    in_place(&other);
    assert_eq!(names(&stage), [Some("m-1".to_owned()), Some(plain), Some(other)], "no turn of that name was there");
}
