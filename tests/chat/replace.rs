//! A message in the place of another: the conversation goes back to before that one when the new one is admitted, and not before.

use std::time::Duration;

use claude_agent_service::account::Response;
use claude_agent_service::account::command::{AnswerForm, Command, LookUpAttachments};
use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::reply::Reply;
use claude_agent_service::domain::content::bounds::MAX_CONVERSATION_BYTES;
use claude_agent_service::domain::content::{Attachment, FoundFile, MediaType, Source};
use claude_agent_service::domain::{Block, Include};
use futures_util::FutureExt;

use super::support::script::{Script, Step, result};
use super::support::session;
use super::support::stage::Stage;
use super::{SECOND, Stream, chat, follow, said, send, sent, start};
use claude_agent_service::account::chat::command::ChatReply;

fn in_place(id: &str, text: &str) -> Command {
    Command::StartTurn(Box::new(start(id, text, true)))
}

fn streamed(reply: Reply<String>) -> Stream {
    match chat(reply) {
        ChatReply::Stream(events) => Stream::new(*events),
        _ => panic!("no stream"),
    }
}

/// What a Worker asks before it moves the attachments of a message.
fn looked_up(replaces: Option<&str>) -> Command {
    Command::LookUpAttachments(Box::new(LookUpAttachments {
        session_id: Some(session("a")),
        paths: Vec::new(),
        idempotency: None,
        answer: AnswerForm::Chat,
        include: Include::NOTHING,
        replaces: replaces.map(|id| id.parse().unwrap()),
    }))
}

/// Sends a message in the place of another one, whose turn has ended.
fn replace(stage: &Stage, id: &str, text: &str) -> Result<Stream, AccountError> {
    match stage.handle(sent(stage, &in_place(id, text)))? {
        Response::Ready(reply) => Ok(streamed(reply)),
        Response::Deferred(_) => panic!("it waits"),
    }
}

/// A chat with three questions, all answered.
fn answered(vars: &[(&'static str, &str)]) -> Stage {
    let stage = Stage::with(vars);
    for (id, text) in [("m-1", "one"), ("m-2", "two"), ("m-3", "three")] {
        send(&stage, id, text);
        stage.settle();
    }
    stage
}

const THREE: [&str; 3] = ["one", "two", "three"];

/// All that is stored of turns, messages and transcripts.
fn stored(stage: &Stage) -> String {
    stage.sql.text(
        "select (select json_group_array(json_array(turn_id, seq, status, transcript_seq)) from turns) \
         || (select json_group_array(json_array(seq, role, content)) from messages) \
         || (select json_group_array(json_array(seq, lines)) from transcripts) \
         || (select json_group_array(json_array(agent_session, message_count, next_seq, attachment_bytes)) from conversations)",
    )
}

fn files(bytes: u64) -> Vec<Block> {
    let file = |n: u64| {
        let found = FoundFile { media_type: MediaType::Png, size: 3 * 1024 * 1024, etag: format!("{n:032x}") };
        let source = Source::File { path: format!("{n}.png").parse().unwrap(), found: Some(found) };
        Block::Image(Attachment { source, title: None, context: None, citations: None })
    };
    (0..bytes / (4 * 1024 * 1024)).map(file).collect()
}

fn refused(stage: &Stage, command: &Command) -> AccountError {
    let before = stored(stage);
    let Err(error) = stage.handle(sent(stage, command)) else { panic!("it is admitted") };
    stage.settle();
    assert_eq!(stored(stage), before, "{error}");
    error
}

#[test]
fn a_message_replaces_another_and_all_that_came_after_it() {
    let stage = answered(&[]);
    replace(&stage, "m-2", "second").unwrap();
    stage.settle();
    assert_eq!(said(&stage), ["one", "second"]);
    replace(&stage, "unknown", "new").unwrap();
    stage.settle();
    assert_eq!(said(&stage), ["one", "second", "new"]);
    let first = replace(&stage, "m-1", "first").unwrap().turn();
    stage.settle();
    assert_ne!(replace(&stage, "m-1", "first").unwrap().turn(), first, "it is asked again");
    stage.settle();
    assert_eq!(said(&stage), ["first"]);
}

#[test]
fn a_message_beyond_a_limit_replaces_nothing() {
    let stage = answered(&[("ACCOUNT_TURNS_PER_DAY", "3")]);
    assert!(matches!(refused(&stage, &in_place("m-1", "first")), AccountError::BudgetExhausted(_)));
    let mut stage = answered(&[]);
    stage.set_var("ACCOUNT_STORAGE_BYTES", "1KiB");
    stage.reset();
    assert!(matches!(refused(&stage, &in_place("m-1", "first")), AccountError::StorageFull(_)));
    assert_eq!(said(&stage), THREE);
}

#[test]
fn a_message_that_finds_the_queue_full_replaces_nothing() {
    let stage = answered(&[("MAX_QUEUED_TURNS", "1")]);
    stage.query_that("other", Script::endless());
    stage.query("third");
    assert!(matches!(refused_while_busy(&stage, &in_place("m-2", "second")), AccountError::QueueFull { depth: 1 }));
    assert_eq!(said(&stage), THREE);
}

/// As [`refused`], with turns that do not end by themselves.
fn refused_while_busy(stage: &Stage, command: &Command) -> AccountError {
    let before = stored(stage);
    let Err(error) = stage.handle(sent(stage, command)) else { panic!("it is admitted") };
    stage.pass(SECOND);
    assert_eq!(stored(stage), before, "{error}");
    error
}

#[test]
fn a_message_with_attachments_that_are_too_large_replaces_nothing() {
    let stage = answered(&[]);
    let mut start = start("m-1", "look", true);
    start.content = Some(files(MAX_CONVERSATION_BYTES * 2));
    assert!(matches!(refused(&stage, &Command::StartTurn(Box::new(start))), AccountError::Attachments(_)));
}

#[test]
fn attachments_count_as_if_those_that_are_replaced_were_gone() {
    let stage = answered(&[]);
    let with_files = |replaces| {
        let mut start = start("m-4", "look", replaces);
        start.content = Some(files(16 * 1024 * 1024));
        Command::StartTurn(Box::new(start))
    };
    stage.handle(with_files(false)).unwrap();
    stage.settle();
    let held = stage.sql.text("select cast(attachment_bytes as text) from conversations");
    stage.handle(with_files(true)).unwrap();
    stage.settle();
    assert_eq!(stage.sql.text("select cast(attachment_bytes as text) from conversations"), held);
    let look_up = |replaces: Option<&str>| match stage.handle(looked_up(replaces)) {
        Ok(Response::Ready(Reply::Files(found))) => serde_json::to_value(&*found).unwrap().to_string(),
        _ => panic!("not found"),
    };
    assert!(look_up(None).contains(&format!("\"attachment_bytes\":{held}")), "{}", look_up(None));
    assert!(look_up(Some("m-4")).contains("\"attachment_bytes\":0"), "{}", look_up(Some("m-4")));
}

#[test]
fn attachments_are_not_moved_for_a_message_that_would_be_refused() {
    let stage = answered(&[("ACCOUNT_TURNS_PER_DAY", "3")]);
    for replaces in [None, Some("m-1")] {
        assert!(matches!(refused(&stage, &looked_up(replaces)), AccountError::BudgetExhausted(_)));
    }
}

#[test]
fn a_message_that_is_being_answered_is_replaced_when_its_turn_has_ended() {
    let stage = Stage::new();
    stage.container.script(Script::endless());
    let mut running = send(&stage, "m-1", "one");
    let mut waiting = send(&stage, "m-2", "two");
    stage.pass(SECOND);
    let Ok(Response::Deferred(mut replaced)) = stage.handle(sent(&stage, &in_place("m-1", "first"))) else {
        panic!("it does not wait")
    };
    assert!((&mut replaced).now_or_never().is_none());
    stage.pass(SECOND);
    let mut first = streamed(replaced.now_or_never().unwrap().unwrap());
    for stream in [&mut running, &mut waiting] {
        assert!(stream.heard().contains(r#""finishReason":"interrupted""#), "{}", stream.heard());
    }
    stage.settle();
    assert!(first.heard().ends_with("data: [DONE]\n\n"));
    assert_eq!(said(&stage), ["first"]);
    assert!(follow(&stage).is_none());
}

#[test]
fn a_turn_runs_on_whose_message_is_not_replaced() {
    let stage = Stage::with(&[("MAX_QUEUED_TURNS", "1")]);
    let slow = || Script::new([Step::Wait(Duration::from_secs(10)), Step::Frame(result("4"))]);
    stage.container.script(slow());
    let mut running = send(&stage, "m-1", "one");
    stage.container.script(slow());
    stage.query("other");
    let before = stored(&stage);
    let Err(AccountError::QueueFull { depth: 1 }) = stage.handle(sent(&stage, &in_place("m-1", "first"))) else {
        panic!("admitted")
    };
    assert_eq!(stored(&stage), before);
    stage.settle();
    assert!(running.heard().contains(r#""finishReason":"stop""#), "{}", running.heard());
    assert_eq!(said(&stage), ["one"]);
}

#[test]
fn a_question_before_the_one_that_is_replaced_stays_whichever_ended_first() {
    let stage = Stage::new();
    stage.container.script(Script::endless());
    send(&stage, "m-1", "one");
    send(&stage, "m-2", "two");
    stage.pass(SECOND);
    let Ok(Response::Deferred(replaced)) = stage.handle(sent(&stage, &in_place("m-2", "second"))) else {
        panic!("it does not wait")
    };
    stage.pass(SECOND);
    streamed(replaced.now_or_never().unwrap().unwrap());
    stage.settle();
    assert_eq!(said(&stage), ["one", "second"]);
}

#[test]
fn what_comes_in_between_may_refuse_a_message_that_waits_to_replace_another_which_then_stays() {
    let stage = Stage::with(&[("MAX_QUEUED_TURNS", "1")]);
    stage.container.script(Script::endless());
    send(&stage, "m-1", "one");
    stage.pass(SECOND);
    let Ok(Response::Deferred(replaced)) = stage.handle(sent(&stage, &in_place("m-1", "first"))) else {
        panic!("it does not wait")
    };
    stage.container.script(Script::endless());
    stage.query("b");
    stage.pass(SECOND);
    stage.query("c");
    let Err(AccountError::QueueFull { .. }) = replaced.now_or_never().unwrap() else { panic!("it is admitted") };
    assert_eq!(said(&stage), ["one"]);
}

#[test]
fn the_same_key_replaces_once_and_so_does_a_request_that_is_sent_again() {
    let stage = answered(&[]);
    let with_key = || {
        let mut start = start("m-2", "second", true);
        start.idempotency = Some(("key".parse().unwrap(), "hash".to_owned()));
        Command::StartTurn(Box::new(start))
    };
    let turn = |response: Result<Response<String>, AccountError>| match response.unwrap() {
        Response::Ready(reply) => streamed(reply).turn(),
        Response::Deferred(_) => panic!("it waits"),
    };
    let first = turn(stage.handle(with_key()));
    stage.settle();
    assert_eq!(turn(stage.handle(with_key())), first);
    let request_id = stage.request_id();
    let second = turn(stage.handle_as(&request_id, in_place("m-2", "again")));
    stage.settle();
    let again = stage.handle_again(in_place("m-2", "again"), &request_id, true);
    assert_eq!(turn(again.map(Response::Ready)), second);
    assert_eq!(said(&stage), ["one", "again"]);
}
