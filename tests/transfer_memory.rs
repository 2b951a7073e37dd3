//! What an export and an import take of the object's memory, however many conversations there are: a page or a batch of it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use claude_agent_service::account::Response;
use claude_agent_service::account::command::Command;
use claude_agent_service::account::manage::command::{ImportBatch, ManageCommand, ManageReply};
use claude_agent_service::account::reply::Reply;
use claude_agent_service::domain::transfer::ExportPlace;
use peak_alloc::PeakAlloc;
use support::script::Script;
use support::stage::Stage;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const CONVERSATIONS: usize = 1_000;
const ANSWER_BYTES: usize = 10_000;
/// Longest line of an import.
const LINE_BYTES: usize = 6 * 1024 * 1024;
/// Far less than all of it, and a few pages of an export.
const MAX_EXTRA_BYTES: usize = 4 * 1024 * 1024;

fn manage(stage: &Stage, ask: ManageCommand) -> ManageReply {
    match stage.handle(Command::Manage(ask)).unwrap() {
        Response::Ready(Reply::Managed(reply)) => *reply,
        _ => panic!("another reply"),
    }
}

fn page(stage: &Stage, place: Option<ExportPlace>) -> (String, Option<ExportPlace>) {
    match manage(stage, ManageCommand::Export(place)) {
        ManageReply::Exported { text, next } => (text, next),
        _ => panic!("another reply"),
    }
}

/// One test, as the allocator is the whole process's.
#[test]
fn an_export_and_an_import_take_a_part_of_the_account_at_a_time() {
    let original = Stage::new();
    original.query_that("aaaa", Script::answer(&"x".repeat(ANSWER_BYTES)));
    original.settle();
    let one = page(&original, None).0;
    let (_, turn) = one.split_once("\"turn_id\":\"").unwrap();
    let (turn, session) = (turn.split('"').next().unwrap(), "aaaa");
    let lines: Vec<&str> = one.lines().filter(|line| line.contains("\"session_id\":")).collect();
    let copy = Stage::new();
    let mut peak = 0;
    let mut measured = |work: &mut dyn FnMut()| {
        ALLOCATOR.reset_peak_usage();
        let before = ALLOCATOR.current_usage();
        work();
        peak = peak.max(ALLOCATOR.peak_usage().saturating_sub(before));
    };
    let head = one.lines().next().unwrap();
    for n in 0..CONVERSATIONS {
        let id = |text: &str| text.replace(session, &format!("c{n:04}")).replace(turn, &format!("turn_{n:032x}"));
        let mut batch: String = lines.iter().map(|line| id(line) + "\n").collect();
        if n == 0 {
            batch.insert_str(0, &format!("{head}\n"));
        }
        let batch = ImportBatch {
            lines: batch,
            first_line: 1,
            is_last: n + 1 == CONVERSATIONS,
            by_operator: true,
            resume: false,
        };
        let mut batch = Some(Box::new(batch));
        measured(&mut || drop(manage(&copy, ManageCommand::Import(batch.take().unwrap()))));
    }
    assert_eq!(copy.sql.count("conversations"), CONVERSATIONS);
    let ids = vec!["\"a\""; LINE_BYTES / 4].join(",");
    let fields = (0..LINE_BYTES / 12).map(|n| format!("\"{n:07}\":0")).collect::<Vec<_>>().join(",");
    for line in [
        format!("{{\"type\":\"conversations\",\"session_ids\":[{ids}]}}\n"),
        format!("{{{fields},\"type\":\"conversations\",\"session_ids\":[]}}\n"),
    ] {
        let batch = ImportBatch { lines: line, first_line: 1, is_last: false, by_operator: false, resume: false };
        let mut batch = Some(Command::Manage(ManageCommand::Import(Box::new(batch))));
        measured(&mut || assert!(copy.handle(batch.take().unwrap()).is_err(), "more than an export writes"));
    }
    let (mut place, mut bytes) = (Some(ExportPlace::default()), 0);
    while let Some(asked) = place.take() {
        let mut asked = Some(asked);
        measured(&mut || {
            let (text, next) = page(&copy, asked.take());
            bytes += text.len();
            place = next;
        });
    }
    assert!(bytes > CONVERSATIONS * ANSWER_BYTES, "{bytes}");
    assert!(peak < MAX_EXTRA_BYTES, "{peak} of {bytes}");
}
