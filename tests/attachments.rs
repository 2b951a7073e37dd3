//! Turns with attachments through an account: admitted within their bounds, stored, given to a container that knows them, told of later.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use claude_agent_service::account::Response;
use claude_agent_service::account::command::{AnswerForm, Command, LookUpAttachments};
use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::files::command::{FilesCommand, FilesReply, Precondition};
use claude_agent_service::account::reply::Reply;
use claude_agent_service::api::answer::{Answer, Body};
use claude_agent_service::domain::content::bounds::{MAX_CONVERSATION_BYTES, MAX_TURN_BYTES};
use claude_agent_service::domain::content::{Attachment, Bytes, FoundFile, MediaType, Source};
use claude_agent_service::domain::{Block, Include, RequestId, StoredFile};
use serde_json::{Value, json};
use support::script::{Knows, Script, Step};
use support::session;
use support::stage::Stage;
use uuid::Uuid;

const ETAG: &str = "0123456789abcdef0123456789abcdef";

fn words(text: &str) -> Block {
    Block::Text { text: text.to_owned() }
}

fn image(source: Source) -> Block {
    Block::Image(Attachment { source, title: None, context: None, citations: None })
}

fn file(path: &str, size: u64) -> Block {
    let found = FoundFile { media_type: MediaType::Png, size, etag: ETAG.to_owned() };
    image(Source::File { path: path.parse().unwrap(), found: Some(found) })
}

/// A PDF in the query itself.
fn inline(bytes: usize) -> Block {
    let data = Bytes((0..=255).cycle().take(bytes).collect());
    Block::Document(Attachment {
        source: Source::Base64 { media_type: MediaType::Pdf, data },
        title: Some("Minutes".to_owned()),
        context: None,
        citations: None,
    })
}

/// Bytes of files that take so many bytes of base64.
fn of_base64(bytes: u64) -> u64 {
    bytes / 4 * 3
}

fn asked(stage: &Stage) -> Value {
    stage.container.state.borrow().asked.last().unwrap().clone()
}

/// The conversation as `GET` answers it.
fn read(stage: &Stage, id: &str, before: Option<i64>) -> (Value, bool) {
    let Ok(Response::Ready(reply)) =
        stage.handle(Command::ReadConversation { session_id: session(id), before, items: false })
    else {
        panic!("no conversation")
    };
    let answer = Answer::of(reply, &"zoë".parse().unwrap(), &RequestId::new(Uuid::nil()));
    let linked = answer.headers.iter().any(|(name, _)| *name == "link");
    let (Body::Text(text) | Body::Document(text)) = answer.body else { panic!("no document") };
    (serde_json::from_str(&text).unwrap(), linked)
}

fn look_up(
    stage: &Stage,
    id: Option<&str>,
    paths: &[&str],
    key: Option<(&str, &str)>,
) -> Result<Response<String>, AccountError> {
    stage.handle(Command::LookUpAttachments(Box::new(LookUpAttachments {
        session_id: id.map(session),
        paths: paths.iter().map(|path| path.parse().unwrap()).collect(),
        idempotency: key.map(|(key, hash)| (key.parse().unwrap(), hash.to_owned())),
        answer: AnswerForm::Accepted,
        include: Include::NOTHING,
        replaces: None,
    })))
}

fn found(outcome: Result<Response<String>, AccountError>) -> (Vec<Option<StoredFile>>, u64) {
    match outcome {
        Ok(Response::Ready(Reply::Files(reply))) => match *reply {
            FilesReply::Found { files, attachment_bytes } => (files, attachment_bytes),
            other => panic!("{other:?}"),
        },
        Ok(_) => panic!("another reply"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn blocks_reach_the_container_as_they_were_admitted_at_once_from_the_queue_and_after_a_reset() {
    let mut stage = Stage::new();
    let content = vec![words("look"), file("a.png", 10), words("again"), inline(2_000_000)];
    let expected = serde_json::to_value(&content).unwrap();
    let check = |stage: &Stage| {
        let asked = asked(stage);
        assert_eq!((&asked["content"], asked["prompt"].as_str()), (&expected, Some("look\n\nagain")));
    };
    stage.query_of("a", content.clone(), None).unwrap();
    stage.query_of("b", content.clone(), None).unwrap();
    stage.settle();
    check(&stage);
    assert_eq!(stage.container.state.borrow().asked[0]["content"], expected, "one that need not be read");
    stage.container.script(Script::new([Step::Wait(std::time::Duration::from_mins(1))]));
    stage.query_of("c", content.clone(), None).unwrap();
    stage.query_of("d", content, None).unwrap();
    stage.reset();
    stage.settle();
    check(&stage);
    assert!(stage.sql.count("turn_content") > 4 * 2, "2.7 MB of base64 do not fit a row");
}

#[test]
fn a_turn_of_words_writes_and_sends_nothing_of_content() {
    let stage = Stage::new();
    stage.query("a");
    stage.settle();
    assert!(asked(&stage).get("content").is_none());
    assert_eq!(stage.sql.count("turn_content"), 0);
    assert_eq!(read(&stage, "a", None).0["messages"][0].get("attachments"), None);
}

#[test]
fn a_conversation_tells_of_its_attachments() {
    let stage = Stage::new();
    stage.query("a");
    stage.settle();
    stage.query_of("a", vec![file("in/a.png", 10), inline(3)], None).unwrap();
    stage.settle();
    let (conversation, _) = read(&stage, "a", None);
    let messages = conversation["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 4);
    let told = json!([{ "type": "image", "media_type": "image/png", "path": "in/a.png", "size": 10 },
        { "type": "document", "media_type": "application/pdf", "size": 3, "title": "Minutes" }]);
    assert_eq!((&messages[2]["attachments"], messages[2]["content"].as_str()), (&told, Some("")));
    assert!([0, 1, 3].iter().all(|at| messages[*at].get("attachments").is_none()));
    stage.delete("a");
    assert_eq!(stage.sql.count("turn_content"), 0);
}

#[test]
fn what_is_told_of_attachments_has_a_bound_and_older_messages_are_a_page_away() {
    let stage = Stage::with(&[("MAX_QUEUED_TURNS", "10")]);
    let url = |n: u32| image(Source::Url { url: format!("https://a.example/{n}/{}", "x".repeat(8_000)) });
    for n in 0..4 {
        // Half a megabyte each.
        stage.query_of("a", vec![url(n); 64], None).unwrap();
        stage.settle();
    }
    let (newest, more) = read(&stage, "a", None);
    let ids = |page: &Value| {
        page["messages"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        (ids(&newest), more),
        (
            vec!["msg_4".to_owned(), "msg_5".to_owned(), "msg_6".to_owned(), "msg_7".to_owned(), "msg_8".to_owned()],
            true
        )
    );
    let (older, more) = read(&stage, "a", Some(4));
    assert_eq!((ids(&older), more), (vec!["msg_1".to_owned(), "msg_2".to_owned(), "msg_3".to_owned()], false));
    assert_eq!(older["messages"][0]["attachments"].as_array().unwrap().len(), 64);
}

#[test]
fn a_conversation_holds_so_many_bytes_of_attachments_and_goes_on_in_words() {
    let stage = Stage::new();
    stage.query_of("a", vec![file("a.png", of_base64(5 << 20))], None).unwrap();
    for _ in 1..4 {
        stage.query_of("a", vec![file("a.png", of_base64(5 << 20))], None).unwrap();
    }
    let left = MAX_CONVERSATION_BYTES - MAX_TURN_BYTES;
    let (turns, rows) = (stage.sql.count("turns"), stage.sql.count("turn_content"));
    let refused = stage.query_of("a", vec![file("a.png", of_base64(left) + 1)], None).unwrap_err();
    assert!(matches!(refused, AccountError::Attachments(_)), "{refused}");
    assert_eq!((stage.sql.count("turns"), stage.sql.count("turn_content")), (turns, rows), "nothing is stored");
    stage.query_of("a", vec![file("a.png", of_base64(left))], None).unwrap();
    assert_eq!(found(look_up(&stage, Some("a"), &[], None)).1, MAX_CONVERSATION_BYTES);
    assert!(stage.query_of("a", vec![file("a.png", 1)], None).is_err());
    stage.query_of("b", vec![file("a.png", 1)], None).unwrap();
    stage.settle();
    let words = stage.query("a");
    stage.settle();
    assert_eq!(stage.end(&words), "completed");
}

#[test]
fn a_container_that_does_not_know_content_is_replaced_and_gets_none_of_it() {
    let stage = Stage::new();
    let knows = |now, after_boot| stage.container.state.borrow_mut().knows_turns = Knows { now, after_boot };
    knows(false, false);
    let plain = stage.query("a");
    stage.settle();
    assert_eq!((stage.end(&plain).as_str(), stage.logged("container_replaced").len()), ("completed", 0));
    let turn = stage.query_of("a", vec![file("a.png", 10)], None).unwrap();
    stage.settle();
    assert_eq!(stage.end(&turn.turn_id), "container_unavailable");
    assert!(stage.container.state.borrow().asked.iter().all(|asked| asked.get("content").is_none()));
    knows(false, true);
    let turn = stage.query_of("a", vec![file("a.png", 10)], None).unwrap();
    stage.settle();
    assert_eq!(stage.end(&turn.turn_id), "completed");
    assert_eq!(asked(&stage)["content"][0]["source"]["path"], "a.png");
    // Its history has references that an older server would pass on to the model.
    stage.container.die(true);
    knows(false, false);
    let before = stage.container.state.borrow().asked.len();
    let words = stage.query("a");
    stage.settle();
    assert_eq!(
        (stage.end(&words).as_str(), stage.container.state.borrow().asked.len()),
        ("container_unavailable", before)
    );
}

#[test]
fn files_are_looked_up_saved_and_uploaded_alike_and_nobody_is_asked_of_an_account_without_any() {
    let stage = Stage::with_files(&[]);
    let none = found(look_up(&stage, Some("a"), &["a.txt", "b.txt"], None));
    assert_eq!(none, (vec![None, None], 0));
    stage.query_that("a", Script::writes(&[("a.txt", "one")]));
    stage.settle();
    let ask = |ask| match stage.handle(Command::Files { session_id: session("a"), ask }) {
        Ok(Response::Ready(Reply::Files(reply))) => *reply,
        _ => unreachable!(),
    };
    let (path, precondition) = ("b.txt".parse().unwrap(), Precondition::None);
    let FilesReply::Upload { key } = ask(FilesCommand::BeginUpload { path, size: 3, precondition }) else {
        unreachable!()
    };
    stage.bucket.put_directly(&key, b"two");
    let (path, etag, precondition) = ("b.txt".parse().unwrap(), "e".to_owned(), Precondition::None);
    ask(FilesCommand::CommitUpload { path, key, size: 3, etag, precondition, title: None });
    let (files, _) = found(look_up(&stage, Some("a"), &["b.txt", "absent", "a.txt"], None));
    let sizes: Vec<_> = files.iter().map(|file| file.as_ref().map(|file| file.size)).collect();
    assert_eq!(sizes, [Some(3), None, Some(3)]);
    assert_eq!(found(look_up(&stage, None, &["a.txt"], None)).0, [None]);
}

#[test]
fn a_key_finds_its_turn_before_any_bytes_are_moved() {
    let stage = Stage::new();
    let turn = stage.query_of("a", vec![file("a.png", 10)], Some("k")).unwrap();
    match look_up(&stage, None, &[], Some(("k", "hash"))) {
        Ok(Response::Ready(Reply::Accepted { turn: replayed, replayed: true })) => {
            assert_eq!(replayed.turn_id, turn.turn_id);
        }
        _ => panic!("not its turn"),
    }
    assert!(matches!(look_up(&stage, None, &[], Some(("k", "other"))), Err(AccountError::KeyReused)));
    assert_eq!(found(look_up(&stage, None, &[], Some(("l", "hash")))), (vec![], 0));
}

#[test]
fn a_full_queue_refuses_before_any_bytes_are_moved() {
    let stage = Stage::with(&[("MAX_QUEUED_TURNS", "1")]);
    stage.query("a");
    stage.query("b");
    assert!(matches!(look_up(&stage, Some("c"), &[], None), Err(AccountError::QueueFull { depth: 1 })));
}

#[test]
fn a_conversation_that_begins_with_an_attachment_has_its_querys_title() {
    let stage = Stage::with_files(&[]);
    let ask = |ask| match stage.handle(Command::Files { session_id: session("a"), ask }) {
        Ok(Response::Ready(Reply::Files(reply))) => *reply,
        _ => unreachable!(),
    };
    let (path, precondition) = ("uploads/x.png".parse().unwrap(), Precondition::None);
    let FilesReply::Upload { key } = ask(FilesCommand::BeginUpload { path, size: 3, precondition }) else {
        unreachable!()
    };
    stage.bucket.put_directly(&key, b"two");
    let (path, etag, precondition) = ("uploads/x.png".parse().unwrap(), "e".to_owned(), Precondition::None);
    let title = Some(claude_agent_service::domain::Title::from_prompt("Which cat?"));
    ask(FilesCommand::CommitUpload { path, key, size: 3, etag, precondition, title });
    stage.query_of("a", vec![file("uploads/x.png", 3)], None).unwrap();
    stage.settle();
    assert_eq!(read(&stage, "a", None).0["title"], "Which cat?");
}
