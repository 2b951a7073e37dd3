//! The files of a conversation through an account: saved at the end of a turn, put into a fresh container, uploaded, deleted, and never half.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use claude_agent_service::domain::file::{Change, Unsaved};
use claude_agent_service::domain::{TurnFiles, TurnId};
use serde_json::{Value, json};
use support::bucket::BucketFault;
use support::script::{Fault, Script, Step, entry, result};
use support::session;
use support::stage::Stage;

const SECOND: Duration = Duration::from_secs(1);

/// A turn of the conversation `a` that writes these files; it has ended.
fn writes(stage: &Stage, files: &[(&str, &str)]) -> TurnId {
    let turn = stage.query_that("a", Script::writes(files));
    stage.settle();
    turn
}

fn files(stage: &Stage, turn: &TurnId) -> TurnFiles {
    stage.turn(turn).files.unwrap_or_else(|| panic!("no files: {:?}", stage.runtime.log_lines()))
}

fn reason(stage: &Stage, turn: &TurnId) -> Option<Unsaved> {
    assert_eq!(stage.end(turn), "completed", "a save that fails does not fail the turn");
    let files = files(stage, turn);
    assert_eq!(files.saved, files.reason.is_none());
    files.reason
}

fn version(stage: &Stage) -> u64 {
    stage.store.stored_workspace(&session("a")).unwrap().version
}

/// The SDK's session of the conversation `a`.
fn sdk_session(stage: &Stage) -> String {
    stage.sql.text("select agent_session from conversations where session_id = 'a'")
}

fn folder(stage: &Stage) -> Vec<(String, String)> {
    let files = stage.container.folder(&sdk_session(stage));
    files.into_iter().map(|(path, bytes)| (path, String::from_utf8(bytes).unwrap())).collect()
}

fn owned(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn a_turns_files_are_saved_at_its_end_and_put_into_a_fresh_container() {
    let stage = Stage::with_files(&[]);
    let first = writes(&stage, &[("a.txt", "one"), ("b/c.txt", "two")]);
    assert_eq!(stage.end(&first), "completed");
    let told = files(&stage, &first);
    assert_eq!((told.version, told.saved, told.changed.len()), (1, true, 2));
    assert_eq!(told.changed[0].change, Change::Modified);
    assert_eq!((version(&stage), stage.bucket.keys().len(), stage.sql.count("doomed")), (1, 1, 0));
    stage.container.die(true);
    let second = writes(&stage, &[("b/c.txt", "three")]);
    assert_eq!(folder(&stage), owned(&[("a.txt", "one"), ("b/c.txt", "three")]));
    assert_eq!((files(&stage, &second).version, stage.container.state.borrow().replayed.len()), (2, 1));
    assert_eq!(stage.container.state.borrow().workspaces_held.restored.len(), 1);
}

#[test]
fn a_warm_container_is_given_nothing_and_an_untouched_folder_saves_nothing() {
    let stage = Stage::with_files(&[]);
    writes(&stage, &[("a.txt", "one")]);
    let second = writes(&stage, &[]);
    assert_eq!(files(&stage, &second), TurnFiles::unchanged(1));
    writes(&stage, &[("a.txt", "two")]);
    let calls = |beginning: &str| stage.container.calls(beginning);
    assert_eq!((calls("PUT "), calls("POST /turns"), calls("GET /sessions/")), (0, 3, 4));
    assert_eq!(stage.bucket.calls("put"), 2);
}

#[test]
fn without_a_bucket_nothing_changes() {
    let run = |stage: &Stage| {
        let turn = writes(stage, &[("a.txt", "one")]);
        assert_eq!(stage.turn(&turn).files, None);
        assert_eq!(stage.end(&turn), "completed");
        stage.pass(Duration::from_hours(1));
        let calls = stage.container.state.borrow().calls.clone();
        (stage.sql.texts("select name from sqlite_schema").len(), calls, stage.logged("turn_ended"))
    };
    // The container can save files, and is not asked to.
    let stage = Stage::new();
    stage.container.state.borrow_mut().workspaces_held.saves = true;
    let (able, unable) = (run(&stage), run(&Stage::new()));
    assert_eq!(able, unable);
    assert!(able.1.iter().all(|call| !call.contains("workspace")));
    assert_eq!(stage.sql.count("workspaces") + stage.sql.count("doomed"), 0);
    let rows = |stage: &Stage| stage.logged("turn_ended")[0]["rows_written"].as_u64().unwrap();
    let with_bucket = Stage::with_files(&[]);
    let turn = writes(&with_bucket, &[]);
    assert_eq!(with_bucket.turn(&turn).files, None, "a conversation without files tells nothing of them");
    assert_eq!(rows(&with_bucket), rows(&stage), "a turn without files writes as many rows with a bucket");
}

#[test]
fn a_container_that_cannot_save_is_asked_nothing_and_replaced_where_a_version_is_stored() {
    let stage = Stage::with_files(&[]);
    stage.container.state.borrow_mut().workspaces_held.saves = false;
    let turn = writes(&stage, &[("a.txt", "one")]);
    assert_eq!((stage.turn(&turn).files, stage.container.calls("PUT ")), (None, 0));
    // A rollout: new containers can.
    stage.container.die(true);
    stage.container.state.borrow_mut().workspaces_held.saves = true;
    writes(&stage, &[("a.txt", "one")]);
    assert_eq!(version(&stage), 1);
    stage.container.die(true);
    stage.container.state.borrow_mut().workspaces_held.saves = false;
    let turn = writes(&stage, &[]);
    assert_eq!(stage.end(&turn), "workspace_unavailable");
    assert_eq!(stage.logged("container_replaced").len(), 1);
}

#[test]
fn an_old_container_is_replaced_by_one_that_can_hold_the_files() {
    let mut stage = Stage::with_files(&[]);
    writes(&stage, &[("a.txt", "one")]);
    stage.container.state.borrow_mut().workspaces_held.saves = false;
    stage.reset();
    stage.container.state.borrow_mut().workspaces_held.saves_after_boot = true;
    let turn = writes(&stage, &[]);
    assert_eq!(stage.end(&turn), "completed");
    assert_eq!(folder(&stage), owned(&[("a.txt", "one")]));
}

#[test]
fn a_failed_or_cancelled_turn_saves_as_well() {
    let stage = Stage::with_files(&[]);
    let write = || Step::Write("a.txt".to_owned(), Some(b"one".to_vec()));
    let failed = json!({ "type": "result", "status": "failed", "error": { "code": "model_failed" } });
    let turn = stage.query_that("a", Script::new([write(), Step::Frame(failed)]));
    stage.settle();
    assert_eq!((stage.end(&turn).as_str(), files(&stage, &turn).version), ("model_failed", 1));
}

#[test]
fn what_could_not_be_saved_is_saved_by_the_next_turn() {
    let stage = Stage::with_files(&[]);
    stage.bucket.state.borrow_mut().is_down = true;
    let first = writes(&stage, &[("a.txt", "one")]);
    assert_eq!(reason(&stage, &first), Some(Unsaved::StorageUnavailable));
    assert_eq!(stage.sql.text("select unsaved from workspaces"), "storage_unavailable");
    stage.bucket.state.borrow_mut().is_down = false;
    let second = writes(&stage, &[]);
    assert_eq!((reason(&stage, &second), files(&stage, &second).version), (None, 1));
    assert_eq!(stage.sql.text("select unsaved from workspaces"), "null");
}

#[test]
fn a_bucket_that_fails_once_is_asked_again_under_another_key() {
    for fault in [BucketFault::Fail, BucketFault::LoseAnswer] {
        let stage = Stage::with_files(&[]);
        stage.bucket.fault("put", fault);
        let turn = writes(&stage, &[("a.txt", "one")]);
        assert_eq!(reason(&stage, &turn), None);
        let puts: Vec<_> = stage.bucket.state.borrow().calls.clone();
        assert!(puts.len() == 2 && puts[0] != puts[1], "{puts:?}");
        // What the first put may have left is named until it is deleted.
        assert_eq!(stage.sql.count("doomed"), 1);
        stage.pass(Duration::from_hours(1));
        assert_eq!((stage.bucket.keys().len(), stage.sql.count("doomed")), (1, 0));
    }
}

#[test]
fn a_bucket_that_stalls_ends_the_save_and_not_the_turn() {
    let stage = Stage::with_files(&[]);
    stage.bucket.fault("put", BucketFault::Stall);
    let turn = writes(&stage, &[("a.txt", "one")]);
    assert_eq!(reason(&stage, &turn), Some(Unsaved::SaveTimeout));
    let took = stage.turn(&turn).timing().unwrap().total_ms;
    assert!((60_000..62_000).contains(&took), "{took}");
    let next = writes(&stage, &[]);
    assert_eq!((reason(&stage, &next), version(&stage)), (None, 1));
}

#[test]
fn a_container_that_packs_for_ever_ends_the_save_and_its_process() {
    let stage = Stage::with_files(&[]);
    stage.container.state.borrow_mut().packing = Duration::from_mins(9);
    let turn = stage.query_that("a", Script::writes(&[("a.txt", "one")]));
    stage.pass(Duration::from_mins(2));
    assert_eq!(reason(&stage, &turn), Some(Unsaved::SaveTimeout));
    assert_eq!(stage.container.calls("POST /sessions/"), 1);
    stage.container.state.borrow_mut().packing = SECOND;
    let next = writes(&stage, &[]);
    assert_eq!((reason(&stage, &next), version(&stage)), (None, 1));
}

#[test]
fn a_pack_that_was_stored_in_part_is_not_committed() {
    let stage = Stage::with_files(&[]);
    stage.bucket.fault("put", BucketFault::Half);
    let turn = writes(&stage, &[("a.txt", "one")]);
    assert_eq!((reason(&stage, &turn), version(&stage)), (Some(Unsaved::StorageUnavailable), 0));
}

#[test]
fn a_container_that_lies_about_its_save_is_not_believed() {
    type Lie = fn(&mut Value);
    let lies: [(Lie, Unsaved); 8] = [
        (|frame| frame["save"]["packs"][0]["bytes"] = json!(99), Unsaved::InvalidSave),
        (|frame| frame["save"]["index_bytes"] = json!(3), Unsaved::InvalidSave),
        (|frame| frame["save"]["files"] = json!(2), Unsaved::InvalidSave),
        (|frame| frame["save"]["keep"] = json!([7]), Unsaved::InvalidSave),
        (|frame| frame["save"] = json!({ "base": 0 }), Unsaved::InvalidSave),
        (
            |frame| {
                frame["save"]["base"] = json!(5);
                frame["save"]["version"] = json!(6);
            },
            Unsaved::InvalidSave,
        ),
        (|frame| *frame = json!({ "type": "workspace", "refused": "too_many_files" }), Unsaved::TooManyFiles),
        (|frame| frame["save"]["packs"][0]["no"] = json!(50), Unsaved::ContainerLost),
    ];
    for (n, (lie, why)) in lies.into_iter().enumerate() {
        let stage = Stage::with_files(&[]);
        stage.container.state.borrow_mut().workspaces_held.lie = Some(lie);
        let turn = writes(&stage, &[("a.txt", "one")]);
        assert_eq!((reason(&stage, &turn), version(&stage)), (Some(why), 0), "lie {n}");
        let next = writes(&stage, &[]);
        assert_eq!((reason(&stage, &next), version(&stage)), (None, 1), "the turn after lie {n}");
        stage.pass(Duration::from_hours(1));
        assert_eq!((stage.bucket.keys().len(), stage.sql.count("doomed")), (1, 0), "lie {n}");
    }
}

#[test]
fn an_index_that_lies_is_not_committed() {
    let lies: [fn(&str) -> String; 3] = [
        |index| index.replace("a.txt", "../a"),
        |index| index.replace("\"version\":1", "\"version\":2"),
        |index| index.lines().next().unwrap().to_owned(),
    ];
    for lie in lies {
        let stage = Stage::with_files(&[]);
        stage.container.state.borrow_mut().workspaces_held.false_index = Some(lie);
        let turn = writes(&stage, &[("a.txt", "one")]);
        assert_eq!((reason(&stage, &turn), version(&stage)), (Some(Unsaved::InvalidSave), 0));
    }
}

#[test]
fn limits_of_a_workspace_and_of_an_account_hold_whatever_the_container_says() {
    let saves = |vars: &[(&'static str, &str)], text: &str| {
        let stage = Stage::with_files(vars);
        let turn = writes(&stage, &[("a.txt", text), ("b.txt", "x")]);
        (reason(&stage, &turn), version(&stage))
    };
    let large = "x".repeat(1024 * 1024);
    assert_eq!(saves(&[("WORKSPACE_MAX_FILES", "1")], "y"), (Some(Unsaved::TooManyFiles), 0));
    assert_eq!(saves(&[("WORKSPACE_MAX_BYTES", "1MiB")], &large), (Some(Unsaved::TooLarge), 0));
    assert_eq!(saves(&[("ACCOUNT_FILES_BYTES", "1MiB")], &large), (Some(Unsaved::StorageFull), 0));
    assert_eq!(saves(&[("ACCOUNT_FILES_BYTES", "1MiB")], &large[2..]), (None, 1));
}

#[test]
fn a_container_that_dies_in_mid_save_leaves_the_version_that_was() {
    let stage = Stage::with_files(&[]);
    writes(&stage, &[("a.txt", "one")]);
    stage.bucket.state.borrow_mut().latency = 2 * SECOND;
    let turn = stage.query_that("a", Script::writes(&[("a.txt", "two")]));
    stage.pass(SECOND);
    stage.container.die(true);
    stage.settle();
    assert_eq!((reason(&stage, &turn), version(&stage)), (Some(Unsaved::ContainerLost), 1));
    writes(&stage, &[("b.txt", "three")]);
    assert_eq!(folder(&stage), owned(&[("a.txt", "one"), ("b.txt", "three")]), "files roll back to the version");
}

#[test]
fn an_object_that_is_reset_in_mid_save_makes_it_again() {
    let mut stage = Stage::with_files(&[]);
    stage.bucket.state.borrow_mut().latency = 2 * SECOND;
    let turn = stage.query_that("a", Script::writes(&[("a.txt", "two")]));
    stage.pass(SECOND);
    assert_eq!(stage.bucket.calls("put"), 1);
    stage.reset();
    stage.settle();
    assert_eq!((reason(&stage, &turn), version(&stage), stage.bucket.calls("put")), (None, 1, 2));
    stage.pass(Duration::from_hours(1));
    assert_eq!((stage.bucket.keys().len(), stage.sql.count("doomed")), (1, 0));
}

#[test]
fn a_stream_that_is_cut_before_it_tells_of_the_files_goes_on() {
    let stage = Stage::with_files(&[]);
    stage.container.state.borrow_mut().packing = 2 * SECOND;
    let write = Step::Write("a.txt".to_owned(), Some(b"one".to_vec()));
    let turn = stage.query_that("a", Script::new([write, Step::Frame(entry("said")), Step::Frame(result("4"))]));
    stage.pass(SECOND);
    stage.container.cut_all();
    stage.settle();
    assert_eq!((reason(&stage, &turn), version(&stage)), (None, 1));
    assert_eq!(stage.container.calls("GET /turns/"), 1);
}

#[test]
fn a_bucket_that_does_not_give_a_pack_fails_the_turn_before_it_begins() {
    let stage = Stage::with_files(&[]);
    writes(&stage, &[("a.txt", "one")]);
    let begun = stage.container.state.borrow().begun.len();
    stage.container.die(true);
    stage.bucket.state.borrow_mut().is_down = true;
    let turn = writes(&stage, &[]);
    assert_eq!(stage.end(&turn), "workspace_unavailable");
    stage.bucket.state.borrow_mut().is_down = false;
    stage.bucket.fault("get", BucketFault::Fail);
    let turn = writes(&stage, &[]);
    assert_eq!(stage.end(&turn), "completed", "one failure is tried again");
    stage.container.die(true);
    stage.bucket.state.borrow_mut().objects.clear();
    let turn = writes(&stage, &[]);
    assert_eq!(stage.end(&turn), "workspace_damaged");
    assert_eq!(stage.container.state.borrow().begun.len(), begun + 1);
}

#[test]
fn a_container_that_dies_under_a_restore_is_restored_again() {
    let stage = Stage::with_files(&[]);
    writes(&stage, &[("a.txt", "one")]);
    stage.container.die(true);
    for call in ["PUT /sessions/", "PUT /sessions/"] {
        stage.container.fault(call, Fault::Fail);
    }
    let turn = writes(&stage, &[]);
    assert_eq!(stage.end(&turn), "completed");
    assert_eq!(folder(&stage), owned(&[("a.txt", "one")]));
}

#[test]
fn a_restore_that_never_works_ends_the_turn() {
    let stage = Stage::with_files(&[]);
    writes(&stage, &[("a.txt", "one")]);
    stage.container.die(true);
    for _ in 0..20 {
        stage.container.fault("PUT /sessions/", Fault::Refuse(500, "internal"));
    }
    let turn = writes(&stage, &[]);
    assert_eq!(stage.end(&turn), "container_unavailable");
    assert!(stage.container.calls("PUT /sessions/") <= 4);
}
