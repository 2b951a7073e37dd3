//! A turn in a container that cuts, dies, hangs and refuses: how it ends, and what is left of it in the container.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use serde_json::json;
use support::container::{Fault, Script, Step, entry, result};
use support::stage::Stage;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_turn_is_answered() {
    let stage = Stage::new();
    let turn = stage.query("a");
    stage.settle();
    assert_eq!(stage.turn(&turn).response.as_deref(), Some("done"));
    assert_eq!(stage.sql.count("transcripts"), 1);
    let second = stage.query("a");
    stage.settle();
    assert_eq!((stage.end(&second).as_str(), stage.container.state.borrow().replayed.len()), ("completed", 0));
}

#[test]
fn a_stream_that_was_cut_goes_on_after_the_last_frame() {
    let stage = Stage::new();
    let delta = |text: &str| Step::Frame(json!({ "type": "delta", "text": text }));
    let turn = stage.query_that("a", Script::new([delta("1"), Step::Cut, delta("2"), Step::Frame(result("12"))]));
    stage.settle();
    assert_eq!(stage.end(&turn), "completed");
    assert_eq!(stage.container.calls("GET /turns/"), 1);
}
