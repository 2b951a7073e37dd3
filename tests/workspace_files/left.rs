//! What is left in the bucket when a conversation or an account is deleted.

use std::time::Duration;

use crate::fixtures::{DAY, is_clean, upload, writes};
use crate::support::bucket::{BucketFault, PREFIX};
use crate::support::script::Script;
use crate::support::stage::Stage;

#[test]
fn a_deleted_conversation_leaves_no_object() {
    let stage = Stage::with_files(&[]);
    writes(&stage, &[("a.txt", "one")]);
    upload(&stage, "b.txt", "two");
    stage.query_that("b", Script::writes(&[("a.txt", "three")]));
    stage.settle();
    stage.delete("a");
    stage.pass(Duration::from_mins(1));
    assert_eq!((stage.bucket.keys().len(), stage.sql.count("doomed")), (1, 0));
}

#[test]
fn a_conversation_that_is_deleted_in_mid_save_leaves_no_object() {
    let stage = Stage::with_files(&[]);
    writes(&stage, &[("a.txt", "one")]);
    stage.bucket.state.borrow_mut().latency = Duration::from_secs(2);
    stage.query_that("a", Script::writes(&[("a.txt", "two")]));
    stage.pass(Duration::from_secs(1));
    stage.delete("a");
    stage.settle();
    stage.pass(Duration::from_hours(2));
    assert!(is_clean(&stage), "{:?}", stage.bucket.keys());
}

#[test]
fn a_bucket_that_does_not_delete_is_asked_again() {
    let stage = Stage::with_files(&[]);
    writes(&stage, &[("a.txt", "one")]);
    for fault in [BucketFault::Fail, BucketFault::Stall, BucketFault::LoseAnswer] {
        stage.bucket.fault("delete", fault);
    }
    stage.delete("a");
    stage.pass(Duration::from_mins(5));
    assert_eq!(stage.bucket.calls("delete"), 1);
    stage.pass(Duration::from_hours(1));
    assert!(is_clean(&stage));
    assert!(stage.bucket.calls("delete") <= 5, "{}", stage.bucket.calls("delete"));
}

#[test]
fn a_purged_account_leaves_no_object_and_no_table_and_looks_once_more() {
    let stage = Stage::with_files(&[]);
    writes(&stage, &[("a.txt", "one")]);
    upload(&stage, "b.txt", "two");
    stage.bucket.fault("list", BucketFault::Fail);
    // The conversation is due after 30 days, and the account looks by itself two days later.
    stage.pass(31 * DAY);
    assert_eq!(stage.bucket.keys().len(), 2);
    stage.pass(2 * DAY);
    assert!(is_clean(&stage));
    assert_eq!(stage.sql.texts("select name from sqlite_schema where type = 'table'"), [""; 0]);
    let (lists, alarms) = (stage.bucket.calls("list"), stage.alarm());
    assert_eq!(alarms, None, "and sleeps");
    assert!(lists >= 3, "it looked, failed, looked again and once more an hour later: {lists}");
}

#[test]
fn an_object_without_a_name_is_found_by_a_visit() {
    let stage = Stage::with_files(&[]);
    writes(&stage, &[("a.txt", "one")]);
    for n in 0..7 {
        stage.bucket.put_directly(&format!("{PREFIX}left-{n}"), b"x");
    }
    stage.visit();
    stage.pass(Duration::from_mins(30));
    assert_eq!(stage.bucket.keys().len(), 8, "what is new may be named soon");
    stage.pass(DAY);
    stage.visit();
    stage.pass(Duration::from_mins(30));
    assert_eq!((stage.bucket.keys().len(), stage.sql.count("doomed")), (1, 0));
}

#[test]
fn a_doomed_key_that_another_conversation_names_keeps_its_object() {
    let stage = Stage::with_files(&[]);
    writes(&stage, &[("a.txt", "one")]);
    stage.query_that("b", Script::writes(&[]));
    stage.settle();
    stage
        .sql
        .run("insert into workspace_packs select 'b', pack_no, 1, null, object_key, bytes, 1 from workspace_packs");
    stage.delete("a");
    stage.pass(DAY);
    assert_eq!((stage.bucket.keys().len(), stage.sql.count("doomed")), (1, 0));
    stage.delete("b");
    stage.pass(DAY);
    assert!(is_clean(&stage));
}

#[test]
fn what_comes_late_into_the_bucket_of_a_cleared_account_is_deleted_by_a_second_look() {
    let stage = Stage::with_files(&[]);
    writes(&stage, &[("a.txt", "one")]);
    stage.delete("a");
    stage.pass(Duration::from_mins(50));
    assert_eq!(stage.sql.texts("select name from sqlite_schema where type = 'table'"), [""; 0]);
    stage.bucket.put_directly(&format!("{PREFIX}late"), b"x");
    stage.bucket.fault("list", BucketFault::Fail);
    stage.pass(Duration::from_hours(3));
    assert!(is_clean(&stage));
    assert_eq!(stage.alarm(), None);
}
