//! Conversations with a file each, their forks, and what a test looks at.

use crate::support::{NOW, Rusqlite, USAGE, admission, admit, at, made_store, sdk_session, session, turn};
use claude_agent_service::domain::file::{KEPT_VERSIONS, TurnFiles};
use claude_agent_service::domain::{RequestId, TurnId, TurnStatus};
use claude_agent_service::store::Store;
use claude_agent_service::store::branches::{Branch, Fork};
use claude_agent_service::store::files::PageOf;
use claude_agent_service::store::transactions::Finished;
use claude_agent_service::store::turns::{LastEvents, TurnEnd};
use claude_agent_service::store::usage::LedgerEntry;
use claude_agent_service::store::workspaces::{FilesEnd, Pack, Save};
use claude_agent_service::workspace::index::Part;
use serde_json::{Value, json};
use uuid::Uuid;

pub const HASH: &str = "ungWv48Bz-pBQUDeXa4iIw";

/// A turn that says `q<n>` and `a<n>`, writes a line of transcript, and leaves the conversation's one file with that content in a pack of its own,
/// if it writes it.
pub fn exchange(store: &Store<Rusqlite>, session_id: &str, n: u64, writes: bool) -> Option<TurnFiles> {
    let turn_id = turn(n.into());
    admit(store, &admission(n.into(), session_id, &format!("q{n}"))).unwrap();
    let id = session(session_id);
    let (_, base) = store.kept_versions(&id).unwrap();
    let key = format!("k{n}");
    let (kept, packs, entries);
    let files = if writes {
        store.doom(std::slice::from_ref(&key), at(1)).unwrap();
        let no = (base + 1) * 1_024;
        packs = [Pack { no, key, bytes: 100 }];
        entries = json!([["f", 0o644, 10, 5, HASH, n, [[no, 0, 20, 0]]]]).to_string();
        let parts = vec![Part { first_path: "f".to_owned(), entries: &entries }];
        kept = [];
        let told = TurnFiles::unchanged(base + 1);
        let kept_versions = KEPT_VERSIONS;
        let save = Save { base, inbox: 0, files: 1, bytes: 10, keep: &kept, packs: &packs, parts, kept_versions, told };
        FilesEnd::Save(Box::new(save))
    } else {
        FilesEnd::Same
    };
    let end = TurnEnd {
        status: TurnStatus::Completed,
        error: None,
        model: Some("claude-test"),
        usage: Some(USAGE),
        num_turns: Some(1),
        by_model: None,
        stop_reason: None,
        duration_ms: Some(900),
        finished_at: at(i64::try_from(n).unwrap() * 1_000),
        last_events: LastEvents { message: 3, end: 5 },
        counted: None,
    };
    let finished = Finished {
        has_waited: false,
        turn_id: &turn_id,
        end,
        answer: Some(&format!("a{n}")),
        transcript: &format!("{{\"n\":{n}}}\n"),
        sdk_session: Some(&sdk_session(1)),
        items: "",
        context: None,
        frees_key: false,
        steered: &[],
        files: Some((&id, files)),
        usage: &LedgerEntry::default(),
    };
    store.finish(&finished).unwrap().unwrap().files
}

/// The branch behind the `n`-th turn of those that have ended, and the turns that came later.
pub fn behind(store: &Store<Rusqlite>, session_id: &str, n: usize) -> (Branch, Vec<TurnId>) {
    let turns = store.ended_turns(&session(session_id)).unwrap();
    let (kept, removed) = turns.split_at(n);
    let last = kept.last();
    let (transcript_seq, files_version) =
        (last.map_or(Some(0), |turn| turn.transcript_seq), last.map_or(Some(0), |turn| turn.files_version));
    let branch = Branch { turns: kept.to_vec(), transcript_seq, files_version };
    (branch, removed.iter().map(|turn| turn.turn_id.clone()).collect())
}

/// Forks a conversation behind its `n`-th turn. The turns' ids count up from `first_id`.
pub fn fork(store: &Store<Rusqlite>, source: &str, n: usize, into: &str, first_id: u128) {
    let (branch, _) = behind(store, source, n);
    fork_of(store, source, &branch, into, first_id);
}

pub fn fork_of(store: &Store<Rusqlite>, source: &str, branch: &Branch, into: &str, first_id: u128) {
    let turn_ids: Vec<TurnId> = (0..branch.turns.len() as u128).map(|n| turn(first_id + n)).collect();
    let fork = Fork {
        source: &session(source),
        branch,
        session_id: &session(into),
        title: None,
        sdk_session: &sdk_session(first_id),
        request_id: &RequestId::new(Uuid::from_u128(first_id)),
        turn_ids: &turn_ids,
        max_index_bytes: 1_000_000,
        now: at(100_000),
    };
    store.fork(&fork).unwrap();
}

pub fn rewind(store: &Store<Rusqlite>, session_id: &str, n: usize) {
    let (branch, removed) = behind(store, session_id, n);
    store.rewind(&session(session_id), &branch, &removed, &sdk_session(9), at(200_000)).unwrap();
}

pub fn said(store: &Store<Rusqlite>, session_id: &str) -> Vec<String> {
    let messages = store.messages_before(&session(session_id), i64::MAX).unwrap().messages;
    messages.into_iter().map(|message| message.content).collect()
}

pub fn transcript(sql: &Rusqlite, session_id: &str) -> String {
    sql.texts(&format!("select lines from transcripts where session_id = '{session_id}' order by seq")).concat()
}

/// The keys of the files that a conversation lists, with the version of the listing.
pub fn listed(store: &Store<Rusqlite>, session_id: &str) -> (u64, Vec<String>) {
    let page = PageOf { prefix: "", after: "", limit: 100, content: true };
    let page = store.files(&session(session_id), page).unwrap().unwrap();
    let keys = page.files.iter().map(|file| {
        let content = serde_json::to_value(file.content.as_ref().unwrap()).unwrap();
        content["frames"][0]["key"].as_str().unwrap().to_owned()
    });
    (page.version, keys.collect())
}

pub fn doomed(sql: &Rusqlite) -> Vec<String> {
    sql.texts("select object_key from doomed order by object_key")
}

/// What `GET /storage-stats` tells of conversations and messages, counted anew and as it is kept.
pub fn totals(store: &Store<Rusqlite>, sql: &Rusqlite) -> (u64, u64) {
    let told = |store: &Store<Rusqlite>| {
        let stats: Value =
            serde_json::from_str(&store.storage_stats(std::time::Duration::from_hours(1), at(0)).unwrap()).unwrap();
        (stats["total_conversations"].as_u64().unwrap(), stats["total_messages"].as_u64().unwrap())
    };
    assert_eq!(told(store), told(&made_store(sql.clone(), NOW)), "what is kept is what is stored");
    assert_eq!(
        sql.texts("select session_id from conversations as c where message_count <> (select count(*) from messages as m where m.session_id = c.session_id) \
             or message_bytes <> (select coalesce(sum(octet_length(content)), 0) from messages as m where m.session_id = c.session_id)"),
        [""; 0]
    );
    told(store)
}
