//! All that moves beside the text of conversations: files with their bytes, actions, the ledger and what operators have set. What is read of the
//! copy is what is read of the original.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use claude_agent_service::account::Response;
use claude_agent_service::account::command::{AnswerForm, Command, DecideAction};
use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::files::command::{FilesCommand, FilesReply, Precondition};
use claude_agent_service::account::manage::command::{ManageCommand, UsageAsk};
use claude_agent_service::account::reply::Reply;
use claude_agent_service::api::answer::{Answer, Body};
use claude_agent_service::domain::account::{AccountChange, AccountStatus};
use claude_agent_service::domain::action::ActionsOf;
use claude_agent_service::domain::file::Target;
use claude_agent_service::domain::ledger::{Day, Group};
use claude_agent_service::domain::limits::SetLimits;
use claude_agent_service::domain::{Decision, Include, MetadataPatch, Page, Usage};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::model_calls::ScriptedGateway;
use support::moving::{export, import};
use support::script::{Script, Step, entry, result};
use support::session;
use support::stage::Stage;

const SECOND: Duration = Duration::from_secs(1);
/// Columns that stay behind: what is of this deployment, of turns that have not ended, or made anew from what comes.
const LEFT: &[&str] = &[
    "account.id",
    "account.account_id",
    "account.registered",
    "account.container_idle_since",
    "account.agent_token",
    "account.agent_answered",
    "account.warned",
    "account.active_day",
    "account.untold",
    "account.shard",
    "account.unreported",
    "account.container_since",
    "account.importing",
    "conversations.message_count",
    "conversations.message_bytes",
    "conversations.listed",
    "turns.idempotency_key",
    "turns.request_hash",
    "turns.instance",
    "workspace_packs.object_key",
    "workspace_packs.shared",
    "inbox.object_key",
    "usage.recent",
    // Webhooks have secrets, and a schedule would run in both places.
    "webhooks.*",
    "outbox.*",
    "schedules.*",
    "schedule_runs.*",
    "doomed.*",
    "schema_migrations.*",
];

fn read(stage: &Stage, command: Command) -> String {
    let Ok(Response::Ready(reply)) = stage.handle(command) else { panic!("no reply") };
    match Answer::of(reply, &"zoë".parse().unwrap(), &stage.request_id()).body {
        Body::Text(text) | Body::Document(text) => text,
        _ => panic!("not a document"),
    }
}

fn files(stage: &Stage, id: &str, ask: FilesCommand) -> Result<FilesReply, AccountError> {
    match stage.handle(Command::Files { session_id: session(id), ask })? {
        Response::Ready(Reply::Files(reply)) => Ok(*reply),
        _ => panic!("another reply"),
    }
}

fn upload(stage: &Stage, id: &str, path: &str, text: &str) {
    let (path, size, precondition) = (path.parse().unwrap(), text.len() as u64, Precondition::None);
    let begin = FilesCommand::BeginUpload { path, size, precondition: precondition.clone() };
    let FilesCommand::BeginUpload { path, .. } = &begin else { unreachable!() };
    let path = path.clone();
    let FilesReply::Upload { key } = files(stage, id, begin).unwrap() else { unreachable!() };
    stage.bucket.put_directly(&key, text.as_bytes());
    let etag = format!("e{size}");
    files(stage, id, FilesCommand::CommitUpload { path, key, size, etag, precondition, title: None }).unwrap();
}

/// What a client reads of a conversation's files: the list as it is sent.
fn listed(stage: &Stage, id: &str) -> String {
    let ask = FilesCommand::List { prefix: String::new(), after: None, limit: 100, content: false };
    match files(stage, id, ask) {
        Ok(reply) => serde_json::to_string(&reply).unwrap(),
        Err(error) => error.to_string(),
    }
}

/// What a client and an operator read.
fn reads(stage: &Stage, ids: &[&str]) -> Vec<String> {
    let page = Page { after: None, skip: 0 };
    let mut all = vec![read(stage, Command::ListActions { of: ActionsOf::default(), limit: 200 })];
    for id in ids {
        let session_id = session(id);
        let turns = read(stage, Command::ListTurns { session_id: session_id.clone(), before: None, limit: 100 });
        let Value::Array(list) = serde_json::from_str(&turns).unwrap() else { panic!("no list") };
        for turn in list {
            let turn_id = turn["turn_id"].as_str().unwrap().parse().unwrap();
            all.push(read(stage, Command::ReadTurn { turn_id, items: true }));
        }
        all.push(read(stage, Command::ReadConversation { session_id, before: None, items: true }));
        all.push(listed(stage, id));
    }
    let list: Value =
        serde_json::from_str(&read(stage, Command::ListConversations { limit: 50, page, words: None })).unwrap();
    all.push(list.as_array().unwrap().len().to_string());
    all
}

fn usage(stage: &Stage, group: Group) -> String {
    let ask = UsageAsk { group, from: Day::new(0), to: Day::new(40_000), after: None, limit: 100, csv: false };
    let told = read(stage, Command::Manage(ManageCommand::Usage(ask)));
    // The container of the original runs on.
    told.split(",\"container_seconds\"").next().unwrap().to_owned()
}

/// What operators have set, as they read it.
fn set(stage: &Stage) -> Value {
    let whole: Value = serde_json::from_str(&read(stage, Command::Manage(ManageCommand::Overview))).unwrap();
    json!([
        whole["status"],
        whole["reason"],
        whole["limits"],
        whole["set_limits"],
        whole["retention_days"],
        whole["metadata"]
    ])
}

/// An account with files of several versions, what waits for the next turn, decided actions, usage and settings.
fn account() -> Stage {
    let stage = Stage::with_files(&[]);
    let long = "x".repeat(100);
    for text in ["one", "two", &long] {
        stage.query_that("files", Script::writes(&[("a.txt", text), ("b/c.txt", "same")]));
        stage.settle();
    }
    upload(&stage, "files", "in/data é.csv", "1,2,3");
    upload(&stage, "files", "in/empty-not.txt", "x");
    let target = Target::try_from("b/c.txt".to_owned()).unwrap();
    files(&stage, "files", FilesCommand::Delete { target, precondition: Precondition::None }).unwrap();
    upload(&stage, "only", "plan.md", "do it");
    stage.query_that(
        "asks",
        Script::new([Step::Frame(entry("said")), Step::Ask(vec!["call".to_owned()]), Step::Frame(result("done"))]),
    );
    stage.pass(SECOND);
    let Ok(Response::Ready(Reply::Actions { actions, .. })) =
        stage.handle(Command::ListActions { of: ActionsOf::default(), limit: 9 })
    else {
        panic!("no actions")
    };
    let asked = DecideAction {
        action_id: actions[0].action_id.clone(),
        decision: Decision::Allow { input: None, remember: None },
        answer: AnswerForm::Accepted,
        include: Include::NOTHING,
    };
    stage.handle(Command::DecideAction(Box::new(asked))).unwrap();
    stage.settle();
    stage.query_that("pays", Script::endless());
    stage.pass(SECOND);
    let mut gateway = ScriptedGateway::default();
    let used = Usage { input_tokens: 10, output_tokens: 5, ..Usage::default() };
    gateway.call(&stage, "claude-sonnet-4-5", used).unwrap();
    stage.cancel("pays");
    stage.settle();
    let limits = SetLimits { usd_per_day: Some(Some(5.5)), turns_per_day: Some(None), ..SetLimits::default() };
    let metadata = MetadataPatch::try_from(json!({"plan": "pro é"})).unwrap();
    let change =
        AccountChange { limits, retention_days: Some(7), metadata: Some(metadata), ..AccountChange::default() };
    stage.handle(Command::Manage(ManageCommand::Change(Box::new(change)))).unwrap();
    stage
}

const ALL: [&str; 4] = ["asks", "files", "only", "pays"];

/// All lines but the first, which has a time.
fn lines(text: &str) -> Vec<&str> {
    text.lines().skip(1).collect()
}

fn copy_of(text: &str, by_operator: bool) -> Stage {
    let copy = Stage::with_files(&[]);
    // What comes from the future is dated anew.
    copy.pass(Duration::from_secs(20));
    // Ids of objects are never the same twice, but on stages.
    for _ in 0..1_000 {
        copy.request_id();
    }
    assert_eq!(import(&copy, text, by_operator).unwrap(), 4);
    copy
}

#[test]
fn every_read_of_the_copy_is_that_of_the_original_files_actions_usage_and_settings_too() {
    let stage = account();
    let text = export(&stage, true);
    assert!(stage.bucket.keys().iter().all(|key| !text.contains(key.as_str())), "keys of the bucket do not leave");
    let copy = copy_of(&text, true);
    assert_eq!(reads(&copy, &ALL), reads(&stage, &ALL));
    assert_eq!(
        (usage(&copy, Group::Model), usage(&copy, Group::Conversation)),
        (usage(&stage, Group::Model), usage(&stage, Group::Conversation))
    );
    assert_eq!(set(&copy), set(&stage));
    assert_eq!(lines(&export(&copy, true)), lines(&text));
    assert_eq!(copy.sql.count("doomed"), 0);
    assert_eq!(copy.bucket.keys().len(), stage.bucket.keys().len());
}

#[test]
fn the_next_turn_of_the_copy_has_the_files_and_what_waited_for_it() {
    let stage = account();
    let copy = copy_of(&export(&stage, true), true);
    let turn = copy.query_that("files", Script::writes(&[("new.txt", "new")]));
    copy.settle();
    assert_eq!(copy.end(&turn), "completed");
    let sdk = copy.sql.text("select agent_session from conversations where session_id = 'files'");
    let paths: Vec<String> = copy.container.folder(&sdk).into_keys().collect();
    assert_eq!(paths, ["a.txt", "in/data é.csv", "in/empty-not.txt", "new.txt"]);
    assert_eq!(copy.turn(&turn).files.unwrap().version, 4);
}

#[test]
fn an_export_without_bytes_lists_files_and_its_copy_has_none() {
    let text = export(&account(), false);
    assert!(
        text.contains("{\"type\":\"files\"") && text.contains("in/data é.csv") && !text.contains("\"type\":\"bytes\"")
    );
    let copy = copy_of(&text, true);
    assert_eq!(copy.sql.count("workspace_parts") + copy.sql.count("workspace_packs") + copy.sql.count("inbox"), 0);
    assert_eq!(copy.bucket.keys().len(), 0);
    assert!(!listed(&copy, "files").contains("a.txt"));
    assert!(export(&copy, true).lines().count() > 10);
}

#[test]
fn what_is_billed_and_set_is_taken_from_operators_only_and_once() {
    let stage = account();
    let text = export(&stage, true);
    let own = copy_of(&text, false);
    let nothing = Stage::with_files(&[]);
    assert_eq!((set(&own), usage(&own, Group::Model)), (set(&nothing), usage(&nothing, Group::Model)));
    let copy = copy_of(&text, true);
    let before = (set(&copy), usage(&copy, Group::Model));
    for id in ALL {
        copy.delete(id);
    }
    import(&copy, &text, true).unwrap();
    assert_eq!((set(&copy), usage(&copy, Group::Model)), before);
}

#[test]
fn an_account_that_was_suspended_is_so_at_the_end_of_its_import() {
    let stage = account();
    let change = AccountChange {
        status: Some(AccountStatus::Suspended),
        reason: Some("unpaid".to_owned()),
        ..AccountChange::default()
    };
    stage.handle(Command::Manage(ManageCommand::Change(Box::new(change)))).unwrap();
    let copy = copy_of(&export(&stage, true), true);
    copy.settle();
    assert_eq!(set(&copy), set(&stage));
    assert!(copy.runtime.noted.all().iter().any(|(_, status)| *status == Some(AccountStatus::Suspended)));
}

#[test]
fn bytes_that_are_not_whole_leave_nothing() {
    let text = export(&account(), true);
    let all: Vec<&str> = text.lines().collect();
    let first = all.iter().position(|line| line.starts_with("{\"type\":\"pack\"")).unwrap();
    let without = |from: usize, to: usize| [&all[..from], &all[to..]].concat().join("\n");
    let behind = first + 1 + all[first + 1..].iter().position(|line| !line.starts_with("{\"type\":\"bytes\"")).unwrap();
    for (text, why) in [
        (without(first + 1, first + 2), "bytes"),
        (without(first + 1, behind), "bytes of files are missing"),
        (without(first, behind), "bytes of files are missing"),
    ] {
        let copy = Stage::with_files(&[]);
        match import(&copy, &text, true) {
            Err(AccountError::BadImport(said)) => assert!(said.contains(why), "{said}"),
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            copy.handle(Command::Manage(ManageCommand::DropImport)),
            Ok(Response::Ready(Reply::Managed(_)))
        ));
        assert!(listed(&copy, "files").contains("not"), "the conversation is not there");
        copy.pass(Duration::from_hours(1));
        copy.settle();
        assert_eq!((copy.bucket.keys().len(), copy.sql.count("doomed")), (0, 0));
    }
}

#[test]
fn every_column_is_written_or_named_among_those_that_stay() {
    let stage = account();
    let text = export(&stage, true);
    assert!(!text.contains("object_key"));
    let written: BTreeSet<String> = [
        ("conversations", "conversation"),
        ("messages", "message"),
        ("turns", "turn"),
        ("turn_content", "content"),
        ("turn_items", "items"),
        ("transcripts", "transcript"),
        ("actions", "action"),
        ("workspaces", "workspace"),
        ("workspace_parts", "files"),
        ("workspace_packs", "pack"),
        ("usage", "usage"),
        ("container_use", "container_use"),
        ("inbox", "upload"),
        ("account", "account"),
    ]
    .iter()
    .flat_map(|(table, line)| columns_of(line).into_iter().map(move |column| format!("{table}.{column}")))
    .collect();
    let all = stage.sql.texts(
        "select m.name || '.' || c.name from sqlite_schema as m, pragma_table_xinfo(m.name) as c where m.type = 'table' and m.name not like 'sqlite_%'",
    );
    assert!(all.len() > 100);
    let strays = all.into_iter().filter(|column| {
        let table = format!("{}.*", column.split('.').next().unwrap());
        let is_left = LEFT.contains(&column.as_str()) || LEFT.contains(&table.as_str());
        written.contains(column) == is_left
    });
    assert_eq!(strays.collect::<Vec<_>>(), Vec::<String>::new());
}

/// The columns of a line, as the table of lines in the contract's code names them.
fn columns_of(line: &str) -> Vec<String> {
    let source = include_str!("../src/store/transfer/tables.rs");
    let at = source.find(&format!("line: \"{line}\"")).unwrap_or_else(|| panic!("no line {line}"));
    let columns = &source[at..][source[at..].find("columns: &[").unwrap()..];
    let columns = &columns[..columns.find("next: ").unwrap()];
    let names = columns.split("(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    names.map(|name| if (line, name) == ("pack", "size") { "bytes".to_owned() } else { name.to_owned() }).collect()
}

thread_local! {
    static WHOLE: String = export(&account(), true);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever the lines say, what was stored reads back, with its files.
    #[test]
    fn no_lines_make_files_that_cannot_be_read(cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[\"{}\\[\\]:,0-9a-z-]{0,3}"), 1..3)) {
        let text = WHOLE.with(Clone::clone);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let of_files: Vec<usize> = (0..lines.len())
            .filter(|n| ["files", "pack", "upload", "workspace", "deletion", "usage", "action", "account"].iter().any(|kind| lines[*n].starts_with(&format!("{{\"type\":\"{kind}\""))))
            .collect();
        for (line, at, with) in cuts {
            let n = of_files[line.index(of_files.len())];
            let at = at.index(lines[n].len());
            if at > 8 && lines[n].is_char_boundary(at) && lines[n].is_char_boundary(at + 1) && at + 1 < lines[n].len() {
                lines[n].replace_range(at..=at, &with);
            }
        }
        let copy = Stage::with_files(&[]);
        for _ in 0..1_000 {
            copy.request_id();
        }
        let stored = import(&copy, &lines.join("\n"), true);
        prop_assert!(matches!(stored, Ok(_) | Err(AccountError::BadImport(_) | AccountError::ImportConflicts(_) | AccountError::Files(_))), "{stored:?}");
        copy.handle(Command::Manage(ManageCommand::DropImport)).unwrap();
        let ids = copy.sql.texts("select session_id from conversations");
        reads(&copy, &ids.iter().map(String::as_str).collect::<Vec<_>>());
        set(&copy);
        usage(&copy, Group::Model);
        export(&copy, true);
    }
}
