//! Whatever is asked, forked, rewound, uploaded, emptied, deleted and purged in whatever order: each conversation has the history and the files that
//! its turns left, each state that is kept can be read, every object of the bucket is named by whoever needs it and by nobody else, and nothing is
//! left when all is deleted.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use claude_agent_service::account::Response;
use claude_agent_service::account::branches::command::{ForkAsked, NoBranch, RewindTo};
use claude_agent_service::account::command::Command;
use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::files::command::{FilesCommand, FilesReply, Precondition};
use claude_agent_service::account::reply::Reply;
use claude_agent_service::domain::TurnId;
use claude_agent_service::domain::file::Target;
use proptest::prelude::*;
use serde_json::Value;
use support::script::{Script, Step, entry, result};
use support::session;
use support::stage::Stage;

type Files = BTreeMap<String, Vec<u8>>;

const CONVERSATIONS: [&str; 3] = ["a", "b", "c"];
const PATHS: [&str; 3] = ["x", "d/y", "w"];
const DAY: Duration = Duration::from_hours(24);

#[derive(Debug, Clone)]
enum Op {
    Query(&'static str, Vec<(&'static str, Option<u8>)>),
    Upload(&'static str, &'static str),
    Fork(&'static str, Option<usize>, &'static str),
    Rewind(&'static str, usize, bool),
    Empty(&'static str),
    Delete(&'static str),
    /// All that is not asked anything for two days is purged, but for this conversation.
    Purge(&'static str),
    Die,
    Reset,
    Pass,
}

fn op() -> impl Strategy<Value = Op> {
    let conversation = || prop::sample::select(&CONVERSATIONS[..]);
    let path = || prop::sample::select(&PATHS[..]);
    let write = (path(), prop::option::weighted(0.7, any::<u8>()));
    prop_oneof![
        10 => (conversation(), prop::collection::vec(write, 0..3)).prop_map(|(id, files)| Op::Query(id, files)),
        2 => (conversation(), path()).prop_map(|(id, path)| Op::Upload(id, path)),
        5 => (conversation(), prop::option::of(0..6_usize), conversation()).prop_map(|(id, at, into)| Op::Fork(id, at, into)),
        4 => (conversation(), 0..6_usize, any::<bool>()).prop_map(|(id, at, before)| Op::Rewind(id, at, before)),
        1 => conversation().prop_map(Op::Empty),
        2 => conversation().prop_map(Op::Delete),
        1 => conversation().prop_map(Op::Purge),
        2 => Just(Op::Die),
        2 => Just(Op::Reset),
        1 => Just(Op::Pass),
    ]
}

/// A turn, and what it left.
#[derive(Debug, Clone)]
struct Left {
    said: String,
    /// None: they are kept no longer.
    files: Option<Files>,
    /// Whether anything was ever saved by then.
    saved: bool,
}

#[derive(Debug, Clone, Default)]
struct Conversation {
    turns: Vec<Left>,
    files: Files,
    saved: bool,
    inbox: Files,
}

impl Conversation {
    /// The state behind so many turns; none if its files are kept no longer.
    fn behind(&self, n: usize) -> Option<Self> {
        if n == self.turns.len() {
            return Some(self.clone());
        }
        let turns = self.turns[..n].to_vec();
        let (files, saved) = turns.last().map_or((Some(Files::new()), false), |left| (left.files.clone(), left.saved));
        Some(Self { turns, files: files?, saved, inbox: self.inbox.clone() })
    }
}

type Model = BTreeMap<&'static str, Conversation>;

struct World {
    stage: Stage,
    model: Model,
    said: usize,
}

impl World {
    fn turn_ids(&self, id: &str) -> Vec<TurnId> {
        if !self.is_made() {
            return Vec::new();
        }
        let turns = self.stage.store.ended_turns(&session(id)).unwrap();
        turns.into_iter().map(|turn| turn.turn_id).collect()
    }

    fn query(&mut self, id: &'static str, mut writes: Vec<(&'static str, Option<u8>)>) {
        // A turn that undoes an upload saves nothing, and the upload goes on waiting: what the next turn finds then depends on the container.
        writes.retain(|(path, _)| !self.model.get(id).is_some_and(|known| known.inbox.contains_key(*path)));
        self.said += 1;
        let said = format!("said {}", self.said);
        let content = |byte: u8| vec![byte; usize::from(byte % 4)];
        let write = |(path, byte): &(&str, Option<u8>)| Step::Write((*path).to_owned(), byte.map(content));
        let steps = writes.iter().map(write).chain([entry(&said), result("4")].map(Step::Frame));
        let turn = self.stage.query_that(id, Script::new(steps));
        self.stage.settle();
        assert_eq!(self.stage.end(&turn), "completed");
        let conversation = self.model.entry(id).or_default();
        let before = conversation.files.clone();
        conversation.files.append(&mut conversation.inbox);
        for (path, byte) in &writes {
            match byte {
                Some(byte) => drop(conversation.files.insert((*path).to_owned(), content(*byte))),
                None => drop(conversation.files.remove(*path)),
            }
        }
        conversation.saved |= conversation.files != before;
        let (files, saved) = (Some(conversation.files.clone()), conversation.saved);
        conversation.turns.push(Left { said, files, saved });
        let agent = self.stage.sql.text(&format!("select agent_session from conversations where session_id = '{id}'"));
        assert_eq!(self.stage.container.folder(&agent), conversation.files, "the folder of {id}");
    }

    fn upload(&mut self, id: &'static str, path: &'static str) {
        self.said += 1;
        let content = format!("upload {}", self.said).into_bytes();
        let ask = |ask| match self.stage.handle(Command::Files { session_id: session(id), ask }).ok().unwrap() {
            Response::Ready(Reply::Files(reply)) => *reply,
            _ => unreachable!(),
        };
        let (at, size) = (|| path.parse().unwrap(), content.len() as u64);
        let begin = FilesCommand::BeginUpload { path: at(), size, precondition: Precondition::None };
        let FilesReply::Upload { key } = ask(begin) else { unreachable!() };
        self.stage.bucket.put_directly(&key, &content);
        let etag = "e".to_owned();
        ask(FilesCommand::CommitUpload { path: at(), key, size, etag, precondition: Precondition::None, title: None });
        self.model.entry(id).or_default().inbox.insert(path.to_owned(), content);
    }

    /// A branch that the model has is there, and one that it has not is refused for its reason.
    fn fork(&mut self, id: &'static str, at: Option<usize>, into: &'static str) -> Result<(), TestCaseError> {
        let source = self.model.get(id).cloned();
        let turns = source.as_ref().map_or(0, |source| source.turns.len());
        let n = at.map_or(turns, |at| at.min(turns.saturating_sub(1)) + 1);
        let named = at.and_then(|_| self.turn_ids(id).get(n - 1).cloned());
        if at.is_some() && named.is_none() {
            return Ok(());
        }
        let asked = ForkAsked { source: session(id), at: named, session_id: Some(session(into)), title: None };
        let outcome = self.stage.handle(Command::Fork(Box::new(asked)));
        let Some(source) = source else {
            prop_assert!(matches!(outcome, Err(AccountError::NotFound)));
            return Ok(());
        };
        let expected = source.behind(n);
        match outcome {
            Ok(_) => {
                let made = Conversation { inbox: Files::new(), ..expected.unwrap() };
                prop_assert!(self.model.insert(into, made).is_none());
            }
            Err(AccountError::ConversationExists) => prop_assert!(self.model.contains_key(into)),
            Err(AccountError::NoBranch(NoBranch::NoTurn)) => prop_assert_eq!(turns, 0),
            Err(AccountError::NoBranch(NoBranch::FilesGone)) => prop_assert!(expected.is_none()),
            Err(other) => panic!("{other}"),
        }
        Ok(())
    }

    fn rewind(&mut self, id: &'static str, at: usize, before: bool) -> Result<(), TestCaseError> {
        let ids = if self.model.contains_key(id) { self.turn_ids(id) } else { Vec::new() };
        let Some(at) = ids.len().checked_sub(1).map(|last| at.min(last)) else { return Ok(()) };
        let to = if before { RewindTo::Before(ids[at].clone()) } else { RewindTo::To(ids[at].clone()) };
        let outcome = self.stage.handle(Command::Rewind { session_id: session(id), to });
        let expected = self.model[id].behind(if before { at } else { at + 1 });
        match outcome {
            Ok(_) => {
                // Its files have a version, if only an empty one.
                let saved = self.model[id].saved;
                self.model.insert(id, Conversation { saved, ..expected.unwrap() });
            }
            Err(AccountError::NoBranch(NoBranch::FilesGone)) => prop_assert!(expected.is_none()),
            Err(other) => panic!("{other}"),
        }
        Ok(())
    }

    fn empty(&mut self, id: &'static str) {
        let ask = FilesCommand::Delete { target: Target::Everything, precondition: Precondition::None };
        let outcome = self.stage.handle(Command::Files { session_id: session(id), ask });
        let Some(conversation) = self.model.get_mut(id) else { return assert!(outcome.is_err()) };
        assert!(outcome.is_ok());
        if conversation.saved || !conversation.inbox.is_empty() {
            conversation.turns.iter_mut().filter(|left| left.saved).for_each(|left| left.files = None);
            conversation.saved = true;
            conversation.files.clear();
            conversation.inbox.clear();
        }
    }

    fn act(&mut self, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Query(id, writes) => self.query(id, writes),
            Op::Upload(id, path) => self.upload(id, path),
            Op::Fork(id, at, into) => self.fork(id, at, into)?,
            Op::Rewind(id, at, before) => self.rewind(id, at, before)?,
            Op::Empty(id) => self.empty(id),
            Op::Delete(id) => {
                self.stage.delete(id);
                self.model.remove(id);
            }
            Op::Purge(kept) => {
                self.stage.pass(2 * DAY);
                if self.model.contains_key(kept) {
                    self.query(kept, Vec::new());
                }
                self.stage.visit();
                self.stage.settle();
                self.model.retain(|id, _| *id == kept);
            }
            Op::Die => self.stage.container.die(true),
            Op::Reset => self.stage.reset(),
            Op::Pass => self.stage.pass(Duration::from_hours(1)),
        }
        Ok(())
    }

    fn is_made(&self) -> bool {
        !self.stage.sql.texts("select 1 from sqlite_schema where name = 'doomed'").is_empty()
    }

    /// The files of a version, as its rows say.
    fn files_at(&self, id: &str, version: u64) -> Files {
        let rows = |table: &str, column: &str| {
            self.stage.sql.texts(&format!(
                "select {column} from {table} where session_id = '{id}' and from_version <= {version} \
                 and (to_version is null or to_version > {version})"
            ))
        };
        let packs: BTreeMap<u64, String> = rows("workspace_packs", "pack_no || ' ' || object_key")
            .iter()
            .map(|row| row.split_once(' ').map(|(no, key)| (no.parse().unwrap(), key.to_owned())).unwrap())
            .collect();
        let bucket = self.stage.bucket.state.borrow();
        let mut files = Files::new();
        for part in rows("workspace_parts", "entries") {
            for entry in serde_json::from_str::<Vec<Value>>(&part).unwrap() {
                let mut content = Vec::new();
                for segment in entry[6].as_array().unwrap() {
                    let of = |column: usize| usize::try_from(segment[column].as_u64().unwrap()).unwrap();
                    let key = &packs[&segment[0].as_u64().unwrap()];
                    let (bytes, _) = bucket.objects.get(key).unwrap_or_else(|| panic!("{key} is lost"));
                    content.extend_from_slice(&bytes[of(1)..of(1) + of(2)]);
                }
                files.insert(entry[0].as_str().unwrap().to_owned(), content);
            }
        }
        files
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let objects: BTreeSet<String> = self.stage.bucket.keys().into_iter().collect();
        if !self.is_made() {
            prop_assert!(self.model.is_empty() && objects.is_empty());
            return Ok(());
        }
        let texts = |statement: &str| self.stage.sql.texts(statement);
        prop_assert_eq!(
            texts("select session_id from conversations order by 1"),
            self.model.keys().copied().collect::<Vec<_>>()
        );
        for (id, conversation) in &self.model {
            let said: Vec<String> =
                texts(&format!("select lines from transcripts where session_id = '{id}' order by seq"));
            let said: Vec<&str> = conversation
                .turns
                .iter()
                .zip(&said)
                .filter(|(left, line)| line.contains(&left.said))
                .map(|(left, _)| left.said.as_str())
                .collect();
            prop_assert_eq!(said.len(), conversation.turns.len(), "the transcript of {}", id);
            prop_assert_eq!(texts(&format!("select 1 from transcripts where session_id = '{id}'")).len(), said.len());
            let stored = self.stage.store.conversation(&session(id)).unwrap().unwrap();
            prop_assert_eq!(stored.message_count, 2 * conversation.turns.len() as u64);
            let (oldest, version) = self.stage.store.kept_versions(&session(id)).unwrap();
            prop_assert_eq!(&self.files_at(id, version), &conversation.files, "the files of {}", id);
            // Each state that is kept is whole.
            let mut known = 0;
            for (turn, left) in self.stage.store.ended_turns(&session(id)).unwrap().iter().zip(&conversation.turns) {
                known = turn.files_version.unwrap_or(known);
                let kept = known == 0 || known >= oldest;
                prop_assert_eq!(kept, left.files.is_some(), "{:?} of {}", turn, id);
                if let Some(files) = &left.files {
                    prop_assert_eq!(&self.files_at(id, known), files, "version {} of {}", known, id);
                }
            }
            prop_assert_eq!(self.stage.store.inbox_after(&session(id), 0).unwrap().len(), conversation.inbox.len());
        }
        let named =
            "select object_key from workspace_packs union select object_key from inbox where object_key is not null";
        let named: BTreeSet<String> = texts(named).into_iter().collect();
        let doomed: BTreeSet<String> = texts("select object_key from doomed").into_iter().collect();
        prop_assert!(named.is_disjoint(&doomed), "named and doomed: {:?}", named.intersection(&doomed));
        prop_assert_eq!(&named.union(&doomed).cloned().collect::<BTreeSet<_>>(), &objects);
        let useless =
            "select object_key from workspace_packs join workspaces using (session_id) where to_version <= oldest";
        prop_assert_eq!(texts(useless), [""; 0], "named for a version that is not kept");
        let bytes: usize = named.iter().map(|key| self.stage.bucket.state.borrow().objects[key].0.len()).sum();
        prop_assert_eq!(self.stage.store.files_bytes().unwrap(), bytes as u64, "each object counts once");
        Ok(())
    }
}

fn run(ops: Vec<Op>) -> Result<(), TestCaseError> {
    let vars = [("RETENTION_DAYS", "1"), ("CONTAINER_IDLE", "2h")];
    let mut world = World { stage: Stage::with_files(&vars), model: Model::new(), said: 0 };
    for op in ops {
        world.act(op)?;
        world.check()?;
    }
    let left: Vec<&str> = world.model.keys().copied().collect();
    for id in left {
        world.stage.delete(id);
        world.model.remove(id);
        world.check()?;
    }
    world.stage.pass(Duration::from_hours(5));
    prop_assert_eq!(world.stage.bucket.keys(), [""; 0], "an object is left over");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn every_state_that_is_kept_is_whole_and_nothing_is_left_over(ops in prop::collection::vec(op(), 1..40)) {
        run(ops)?;
    }
}
