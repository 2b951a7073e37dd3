//! Whatever happens to an object, its container and its bucket, in whatever order: the version that is stored is whole in the bucket, byte for
//! byte what its container offered; no object is there that no row names, and once the doomed ones are deleted, none that no version or upload
//! needs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use claude_agent_service::account::Response;
use claude_agent_service::account::branches::command::{ForkAsked, RewindTo};
use claude_agent_service::account::command::Command;
use claude_agent_service::account::files::command::{FilesCommand, FilesReply, Precondition};
use claude_agent_service::account::reply::Reply;
use claude_agent_service::domain::SessionId;
use claude_agent_service::domain::file::Target;
use claude_agent_service::domain::{Content, StoredFile};
use claude_agent_service::store::files::PageOf;
use proptest::prelude::*;
use support::bucket::BucketFault;
use support::script::{Fault, Script, Step, entry, result};
use support::session;
use support::stage::Stage;

const CONVERSATIONS: [&str; 3] = ["a", "b", "c"];
const PATHS: [&str; 4] = ["x", "d/y", "d/z", "w"];
const CALLS: [&str; 5] = ["POST /turns", "GET /turns/", "PUT /sessions/", "GET /sessions/", "DELETE /sessions/"];
const BUCKET_CALLS: [&str; 4] = ["put", "get", "delete", "list"];

#[derive(Debug, Clone)]
enum Op {
    Query(&'static str, Vec<(&'static str, Option<u8>)>),
    Upload(&'static str, &'static str, u8, bool),
    DeleteFile(&'static str, &'static str),
    Delete(&'static str),
    Cancel(&'static str),
    Fork(&'static str, &'static str),
    /// Goes back to a turn, or before it: that many before the last.
    Rewind(&'static str, usize, bool),
    Pass(u64),
    Fault(&'static str, Fault),
    BucketFault(&'static str, BucketFault),
    Die(bool),
    Reset,
}

fn op() -> impl Strategy<Value = Op> {
    let conversation = || prop::sample::select(&CONVERSATIONS[..]);
    let path = || prop::sample::select(&PATHS[..]);
    let write = (path(), prop::option::weighted(0.8, any::<u8>()));
    let fault = prop_oneof![
        Just(Fault::Fail),
        Just(Fault::LoseAnswer),
        (0..8_000_u64).prop_map(|ms| Fault::Delay(Duration::from_millis(ms))),
    ];
    let bucket_fault = prop_oneof![
        Just(BucketFault::Fail),
        Just(BucketFault::LoseAnswer),
        Just(BucketFault::Stall),
        Just(BucketFault::Half),
        (0..90_000_u64).prop_map(|ms| BucketFault::Delay(Duration::from_millis(ms))),
    ];
    prop_oneof![
        10 => (conversation(), prop::collection::vec(write, 0..4)).prop_map(|(id, files)| Op::Query(id, files)),
        3 => (conversation(), path(), any::<u8>(), any::<bool>()).prop_map(|(id, path, byte, ends)| Op::Upload(id, path, byte, ends)),
        2 => (conversation(), prop::sample::select(&["x", "d/y", "d/", ""][..])).prop_map(|(id, path)| Op::DeleteFile(id, path)),
        1 => conversation().prop_map(Op::Delete),
        1 => conversation().prop_map(Op::Cancel),
        2 => (conversation(), conversation()).prop_map(|(id, into)| Op::Fork(id, into)),
        2 => (conversation(), 0..4_usize, any::<bool>()).prop_map(|(id, back, before)| Op::Rewind(id, back, before)),
        8 => (0..2_500_u64).prop_map(Op::Pass),
        1 => Just(Op::Pass(700_000)),
        2 => (prop::sample::select(&CALLS[..]), fault).prop_map(|(call, fault)| Op::Fault(call, fault)),
        3 => (prop::sample::select(&BUCKET_CALLS[..]), bucket_fault).prop_map(|(call, fault)| Op::BucketFault(call, fault)),
        2 => any::<bool>().prop_map(Op::Die),
        3 => Just(Op::Reset),
    ]
}

fn files(stage: &Stage, session_id: &str, ask: FilesCommand) -> Option<FilesReply> {
    let session_id: SessionId = session(session_id);
    match stage.handle(Command::Files { session_id, ask }) {
        Ok(Response::Ready(Reply::Files(reply))) => Some(*reply),
        Ok(_) => unreachable!(),
        Err(_) => None,
    }
}

/// Uploads as the Worker does, and may leave in between.
fn upload(stage: &Stage, session_id: &str, path: &str, byte: u8, ends: bool) {
    let begin =
        FilesCommand::BeginUpload { path: path.parse().unwrap(), size: 3, precondition: Precondition::default() };
    let Some(FilesReply::Upload { key }) = files(stage, session_id, begin) else { return };
    stage.bucket.put_directly(&key, &[byte; 3]);
    if ends {
        let commit = FilesCommand::CommitUpload {
            path: path.parse().unwrap(),
            key,
            size: 3,
            etag: format!("e{byte}"),
            precondition: Precondition::default(),
            title: None,
        };
        files(stage, session_id, commit);
    }
}

fn fork(stage: &Stage, id: &str, into: &str) {
    let asked = ForkAsked { source: session(id), at: None, session_id: Some(session(into)), title: None };
    drop(stage.handle(Command::Fork(Box::new(asked))));
}

fn rewind(stage: &Stage, id: &str, back: usize, before: bool) {
    if !is_made(stage) {
        return;
    }
    let turns = stage.store.ended_turns(&session(id)).unwrap();
    let Some(turn) = turns.into_iter().rev().nth(back) else { return };
    let to = if before { RewindTo::Before(turn.turn_id) } else { RewindTo::To(turn.turn_id) };
    drop(stage.handle(Command::Rewind { session_id: session(id), to }));
}

/// Whether there are tables: an account that is left empty is cleared.
fn is_made(stage: &Stage) -> bool {
    !stage.sql.texts("select 1 from sqlite_schema where name = 'doomed'").is_empty()
}

fn listed(stage: &Stage, session_id: &str) -> Vec<StoredFile> {
    if !is_made(stage) {
        return Vec::new();
    }
    let page = PageOf { prefix: "", after: "", limit: 100, content: true };
    stage.store.files(&session(session_id), page).unwrap().map(|page| page.files).unwrap_or_default()
}

/// A file's bytes, as a Worker reads them.
fn content(stage: &Stage, file: &StoredFile) -> Option<Vec<u8>> {
    let bucket = stage.bucket.state.borrow();
    match file.content.as_ref().unwrap() {
        Content::Object(key) => bucket.objects.get(key).map(|(bytes, _)| bytes.clone()),
        Content::Frames(frames) => {
            let mut all = Vec::new();
            for frame in frames {
                let (bytes, _) = bucket.objects.get(&frame.key)?;
                let (from, length) = (usize::try_from(frame.offset).unwrap(), usize::try_from(frame.length).unwrap());
                all.extend_from_slice(bytes.get(from..from + length)?);
            }
            Some(all)
        }
    }
}

/// What holds at every moment.
fn check(stage: &Stage) -> Result<(), TestCaseError> {
    if !is_made(stage) {
        prop_assert_eq!(stage.bucket.keys(), [""; 0], "an object of an account that is cleared");
        return Ok(());
    }
    let named: BTreeSet<String> = stage
        .sql
        .texts("select object_key from workspace_packs union select object_key from inbox where object_key is not null")
        .into_iter()
        .collect();
    let doomed: BTreeSet<String> = stage.sql.texts("select object_key from doomed").into_iter().collect();
    let objects: BTreeSet<String> = stage.bucket.keys().into_iter().collect();
    prop_assert!(named.is_disjoint(&doomed), "named and doomed");
    prop_assert!(named.is_subset(&objects), "a key without its object: {:?}", named.difference(&objects));
    let nameless: Vec<_> = objects.iter().filter(|key| !named.contains(*key) && !doomed.contains(*key)).collect();
    prop_assert!(nameless.is_empty(), "an object without a row: {nameless:?}");
    for id in CONVERSATIONS {
        let inbox = stage.store.inbox_after(&session(id), 0).unwrap().len();
        let files = listed(stage, id);
        let bytes: BTreeMap<String, Vec<u8>> = files
            .iter()
            .map(|file| (file.path.clone(), content(stage, file).unwrap_or_else(|| panic!("{file:?} is lost"))))
            .collect();
        let version = stage.store.stored_workspace(&session(id)).unwrap().version;
        let agent = stage.sql.text(&format!("select agent_session from conversations where session_id = '{id}'"));
        let container = stage.container.state.borrow();
        if inbox == 0
            && let Some(offered) = container.workspaces_held.offered.get(&(agent, version))
            && !files.is_empty()
        {
            prop_assert_eq!(&bytes, offered, "version {} of {}", version, id);
        }
    }
    Ok(())
}

fn run(concurrency: &str, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let vars = [("ACCOUNT_CONCURRENCY", concurrency), ("CONTAINER_IDLE", "2h"), ("TURN_TIMEOUT", "60s")];
    let mut stage = Stage::with_files(&vars);
    stage.container.state.borrow_mut().latency = Duration::from_millis(100);
    stage.container.state.borrow_mut().packing = Duration::from_millis(300);
    stage.bucket.state.borrow_mut().latency = Duration::from_millis(400);
    let mut asked = Vec::new();
    for op in ops {
        match op {
            Op::Query(id, files) => {
                let write = |(path, byte): (&str, Option<u8>)| {
                    Step::Write(path.to_owned(), byte.map(|byte| vec![byte; usize::from(byte % 5)]))
                };
                let steps = files.into_iter().map(write).chain([entry("said"), result("4")].map(Step::Frame));
                stage.container.script(Script::new(steps));
                asked.push(stage.ask(id, None));
            }
            Op::Upload(id, path, byte, ends) => upload(&stage, id, path, byte, ends),
            Op::DeleteFile(id, path) => {
                let target = Target::try_from(path.to_owned()).unwrap();
                files(&stage, id, FilesCommand::Delete { target, precondition: Precondition::default() });
            }
            Op::Delete(id) => stage.delete(id),
            Op::Cancel(id) => stage.cancel(id),
            Op::Fork(id, into) => fork(&stage, id, into),
            Op::Rewind(id, back, before) => rewind(&stage, id, back, before),
            Op::Pass(ms) => stage.pass(Duration::from_millis(ms)),
            Op::Fault(call, fault) => stage.container.fault(call, fault),
            Op::BucketFault(call, fault) => stage.bucket.fault(call, fault),
            Op::Die(noticed) => stage.container.die(noticed),
            Op::Reset => stage.reset(),
        }
        check(&stage)?;
    }
    stage.settle();
    check(&stage)?;
    prop_assert!(asked.iter().all(|sent| sent.borrow().is_some()), "a caller hears nothing");
    // The bucket works again, and time passes: what is doomed goes.
    stage.bucket.state.borrow_mut().faults.clear();
    stage.pass(Duration::from_hours(3));
    check(&stage)?;
    if is_made(&stage) {
        prop_assert_eq!(stage.sql.count("doomed"), 0, "{:?}", stage.runtime.log_lines());
    }
    // The next turn finds what is stored, and nothing else.
    for id in CONVERSATIONS {
        stage.container.die(true);
        let before: BTreeMap<String, Vec<u8>> =
            listed(&stage, id).iter().map(|file| (file.path.clone(), content(&stage, file).unwrap())).collect();
        let known = !before.is_empty();
        stage.container.state.borrow_mut().faults.clear();
        stage.container.state.borrow_mut().scripts.clear();
        let turn = stage.query(id);
        stage.settle();
        prop_assert_eq!(stage.end(&turn), "completed");
        let agent = stage.sql.text(&format!("select agent_session from conversations where session_id = '{id}'"));
        if known {
            prop_assert_eq!(stage.container.folder(&agent), before, "the folder of {}", id);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn a_stored_version_is_whole_and_nothing_is_left_over_one_turn_at_a_time(ops in prop::collection::vec(op(), 1..30)) {
        run("1", ops)?;
    }

    #[test]
    fn a_stored_version_is_whole_and_nothing_is_left_over_two_turns_at_a_time(ops in prop::collection::vec(op(), 1..30)) {
        run("2", ops)?;
    }
}
