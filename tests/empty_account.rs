//! An account that nothing was ever stored of answers as one whose tables are empty, and leaves nothing behind.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::rc::Rc;

use claude_agent_service::account::branches::command::{ForkAsked, RewindTo};
use claude_agent_service::account::command::{CallBegun, CallEnded, Command, Envelope};
use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::manage::command::{ManageCommand, ManageReply};
use claude_agent_service::account::reply::Reply;
use claude_agent_service::account::schedules::command::SchedulesCommand;
use claude_agent_service::account::webhooks::command::WebhooksCommand;
use claude_agent_service::account::{Account, Response};
use claude_agent_service::agent::Agent;
use claude_agent_service::config::Config;
use claude_agent_service::domain::action::ActionsOf;
use claude_agent_service::domain::price::Extras;
use claude_agent_service::domain::transfer::ExportPlace;
use claude_agent_service::domain::{Include, Page, RequestId, TurnId, Usage};
use claude_agent_service::store::Store;
use serde_json::Value;
use support::account::{Fixture, World};
use support::{NOW, Rusqlite, session};
use uuid::Uuid;

type Unmade = Rc<Account<Rusqlite, World, World>>;

/// An account in a database that nobody has written to, and the database.
fn unmade() -> (Unmade, Rusqlite, World) {
    let Fixture { world, .. } = Fixture::new(0);
    let sql = Rusqlite::in_memory();
    let store = Store::open(sql.clone(), NOW).unwrap();
    let config = Config::parse(|_| None).unwrap();
    let account = Account::new("zoë".parse().unwrap(), store, Agent::new(world.clone()), world.clone(), config);
    (Rc::new(account), sql, world)
}

fn tables(sql: &Rusqlite) -> Vec<String> {
    sql.texts("select name from sqlite_master")
}

fn commands() -> Vec<Command> {
    let turn_id = TurnId::new(Uuid::from_u128(7));
    vec![
        Command::ListConversations { limit: 50, page: Page::default(), words: None },
        Command::ReadConversation { session_id: session("s"), before: None, items: false },
        Command::UpdateConversation { session_id: session("s"), title: None, metadata: None },
        Command::FollowConversation { session_id: session("s"), last_event_id: None, include: Include::NOTHING },
        Command::CancelConversation { session_id: session("s"), reason: None },
        Command::ReadContext { session_id: session("s") },
        Command::Fork(Box::new(ForkAsked { source: session("s"), at: None, session_id: None, title: None })),
        Command::Rewind { session_id: session("s"), to: RewindTo::To(turn_id.clone()) },
        Command::DeleteConversation { session_id: session("s") },
        Command::ReadTurn { turn_id, items: false },
        Command::StorageStats,
        Command::BeginCall(CallBegun { sdk_session: None, counts: true }),
        Command::ListTurns { session_id: session("s"), before: None, limit: 50 },
        Command::ListActions { of: ActionsOf::default(), limit: 50 },
        Command::Manage(ManageCommand::Export(None)),
        Command::Manage(ManageCommand::Export(Some(ExportPlace { after: "s".to_owned(), ..ExportPlace::default() }))),
        Command::Manage(ManageCommand::CheckActive),
        Command::Manage(ManageCommand::DropImport),
        Command::Manage(ManageCommand::Overview),
        Command::Webhooks(WebhooksCommand::List),
        Command::Schedules(SchedulesCommand::List),
        Command::EndCall(CallEnded {
            turn_id: TurnId::new(Uuid::from_u128(7)),
            status: 200,
            model: None,
            usage: Usage::default(),
            extras: Extras::default(),
            total_ms: 1,
            retry_after_s: None,
        }),
    ]
}

/// What a caller would see of a reply.
fn seen(account: &Unmade, command: Command) -> String {
    match account.handle(Envelope::new(RequestId::new(Uuid::from_u128(5)), command)) {
        Ok(Response::Ready(Reply::Document(json))) => {
            let mut json: Value = serde_json::from_str(&json).unwrap();
            // Tables take room.
            json["database_bytes"] = 0.into();
            json.to_string()
        }
        Ok(Response::Ready(Reply::Listing { json, next, .. })) => format!("{json} {}", next.is_some()),
        Ok(Response::Ready(Reply::Deleted)) => "deleted".to_owned(),
        Ok(Response::Ready(Reply::Managed(reply))) => match *reply {
            ManageReply::Exported { text, next } => format!("{text} {}", next.is_some()),
            ManageReply::Overview(overview) => {
                format!("{} {:?} {:?}", overview.conversations, overview.usage, overview.status)
            }
            ManageReply::Active => "active".to_owned(),
            ManageReply::Dropped => "dropped".to_owned(),
            _ => panic!("another reply"),
        },
        Ok(Response::Ready(Reply::Actions { actions, more, .. })) => format!("{actions:?} {more}"),
        Ok(Response::Ready(Reply::Webhooks(_))) => "webhooks".to_owned(),
        Ok(Response::Ready(Reply::Schedules(_))) => "schedules".to_owned(),
        Ok(Response::Ready(Reply::Noted)) => "noted".to_owned(),
        Ok(_) => panic!("another reply"),
        Err(error @ (AccountError::NotFound | AccountError::NoTurn)) => error.to_string(),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn whatever_is_asked_of_it_writes_nothing_and_finds_what_empty_tables_hold() {
    let Fixture { account: empty, .. } = Fixture::new(0);
    for (asked, again) in commands().into_iter().zip(commands()) {
        let (account, sql, _) = unmade();
        assert_eq!(seen(&account, asked), seen(&empty, again));
        assert!(account.alarm().unwrap().is_none());
        assert_eq!(tables(&sql), Vec::<String>::new());
    }
}

#[test]
fn a_purge_and_a_visit_find_nothing_and_write_nothing() {
    for command in [Command::Purge, Command::Visit] {
        let (account, sql, _) = unmade();
        let reply = account.handle(Envelope::new(RequestId::new(Uuid::from_u128(5)), command)).unwrap();
        let Response::Ready(Reply::Purged(visit) | Reply::Visited(visit)) = reply else { panic!("later") };
        assert_eq!((visit.deleted, visit.errors, visit.oldest_access_at), (0, 0, None));
        assert_eq!(tables(&sql), Vec::<String>::new());
    }
}

#[test]
fn its_feed_begins_with_an_empty_snapshot_writes_nothing_and_tells_of_its_first_turn() {
    let (account, sql, _) = unmade();
    let send = |command| account.handle(Envelope::new(RequestId::new(Uuid::from_u128(5)), command));
    let Ok(Response::Ready(Reply::Feed(mut feed))) = send(Command::FollowAccount) else { panic!("no feed") };
    let snapshot = support::listening::told(&mut feed);
    assert_eq!(snapshot[0].1, serde_json::json!({ "conversations": [], "turns": [], "actions": [] }));
    assert_eq!(tables(&sql), Vec::<String>::new());
    drop(send(support::account::start_command()).unwrap());
    let told = support::listening::told(&mut feed);
    assert_eq!(told.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["conversation", "turn"]);
}

#[test]
fn an_account_that_was_emptied_is_one_that_nothing_was_stored_of() {
    let fixture = Fixture::new(1).when_due(support::at(3_000));
    fixture.purge();
    assert!(tables(&fixture.sql).is_empty());
    seen(&fixture.account, Command::StorageStats);
    assert!(tables(&fixture.sql).is_empty());
}

#[test]
fn the_first_query_makes_the_tables() {
    let (account, sql, _) = unmade();
    let start = support::account::start_command();
    drop(account.handle(Envelope::new(RequestId::new(Uuid::from_u128(5)), start)).unwrap());
    assert!(tables(&sql).contains(&"turns".to_owned()));
    let reopened = Store::open(sql, NOW).unwrap();
    assert!(reopened.is_made());
}
