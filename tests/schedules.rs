//! Schedules: each due time is run once, whatever is reset meanwhile, and an account that has nothing else wakes for nothing else.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;
use claude_agent_service::account::Response;
use claude_agent_service::account::command::Command;
use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::reply::Reply;
use claude_agent_service::account::schedules::command::{SchedulesCommand, SchedulesReply, SetSchedule, ShownSchedule};
use claude_agent_service::account::webhooks::command::{SetWebhook, WebhooksCommand};
use claude_agent_service::domain::schedule::{MAX_FAILURES, MAX_SCHEDULES, ScheduleRun};
use claude_agent_service::domain::time::DAY;
use claude_agent_service::domain::{Millis, Missed, TurnOptions};
use claude_agent_service::store::schedules::MAX_RUNS;
use proptest::prelude::*;
use support::deciding::asking;
use support::script::{Fault, Script};
use support::session;
use support::stage::Stage;

fn ask(stage: &Stage, command: SchedulesCommand) -> Result<SchedulesReply, AccountError> {
    match stage.handle(Command::Schedules(command))? {
        Response::Ready(Reply::Schedules(reply)) => Ok(reply),
        _ => unreachable!(),
    }
}

fn wanted(cron: &str, timezone: &str) -> SetSchedule {
    SetSchedule {
        name: "daily".parse().unwrap(),
        cron: cron.to_owned(),
        timezone: timezone.to_owned(),
        query: "what is new?".to_owned(),
        options: TurnOptions::default(),
        session_id: None,
        missed: Missed::Skip,
        enabled: true,
    }
}

fn set(stage: &Stage, schedule: SetSchedule) -> Result<ShownSchedule, AccountError> {
    match ask(stage, SchedulesCommand::Set(Box::new(schedule)))? {
        SchedulesReply::One(shown) => Ok(*shown),
        _ => panic!(),
    }
}

fn shown(stage: &Stage) -> ShownSchedule {
    match ask(stage, SchedulesCommand::Read("daily".parse().unwrap())) {
        Ok(SchedulesReply::One(shown)) => *shown,
        _ => panic!(),
    }
}

fn runs(stage: &Stage) -> Vec<ScheduleRun> {
    match ask(stage, SchedulesCommand::Runs("daily".parse().unwrap(), MAX_RUNS)) {
        Ok(SchedulesReply::Runs(runs)) => runs,
        _ => panic!(),
    }
}

fn utc(text: &str) -> Millis {
    Millis::new(NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap().and_utc().timestamp_millis())
}

fn text(at: Millis) -> String {
    DateTime::from_timestamp_millis(at.get()).unwrap().format("%Y-%m-%d %H:%M").to_string()
}

/// A stage at that time, which has not begun before.
fn stage_at(time: &str) -> Stage {
    let stage = Stage::new();
    stage.executor.advance_to(utc(time));
    stage
}

fn scheduled(stage: &Stage) -> Vec<String> {
    let mut all: Vec<Millis> = runs(stage).iter().map(|run| run.scheduled_at).collect();
    all.reverse();
    all.into_iter().map(text).collect()
}

#[test]
fn a_due_time_is_a_turn_that_says_which_one_it_is() {
    let stage = stage_at("2027-03-01 06:00");
    let shown = set(&stage, wanted("0 9 * * *", "Europe/Berlin")).unwrap();
    let next: Vec<String> = shown.next_runs.iter().copied().map(text).collect();
    assert_eq!(next[..2], ["2027-03-01 08:00", "2027-03-02 08:00"]);
    assert_eq!(next.len(), 5);
    assert_eq!(stage.alarm(), Some(utc("2027-03-01 08:00")));
    stage.pass(Duration::from_hours(3));
    let [run] = runs(&stage).try_into().unwrap();
    let turn = stage.turn(&run.turn_id.unwrap());
    let trigger = turn.trigger.unwrap();
    assert_eq!((trigger.schedule.as_str(), trigger.scheduled_at), ("daily", utc("2027-03-01 08:00")));
    assert_eq!((turn.created_at, run.scheduled_at), (utc("2027-03-01 08:00"), utc("2027-03-01 08:00")));
    assert_eq!(run.status.unwrap().as_str(), "completed");
    assert_eq!(stage.sql.text("select content from messages where role = 'user'"), "what is new?");
}

#[test]
fn an_account_that_has_only_a_schedule_wakes_for_nothing_else() {
    let stage = stage_at("2027-03-01 06:00");
    set(&stage, wanted("0 9 15 * *", "UTC")).unwrap();
    let woken = stage.alarms();
    stage.pass(Duration::from_hours(24 * 14 + 2));
    assert_eq!(stage.alarms(), woken, "it sleeps for a fortnight");
    stage.pass(Duration::from_hours(2));
    assert!(stage.alarms() > woken);
    assert_eq!(scheduled(&stage), ["2027-03-15 09:00"]);
    ask(&stage, SchedulesCommand::Delete("daily".parse().unwrap())).unwrap();
    assert_eq!((stage.sql.count("schedules"), stage.sql.count("schedule_runs")), (0, 0));
}

#[test]
fn a_conversation_goes_on_or_is_new_with_each_run() {
    let stage = stage_at("2027-03-01 06:00");
    set(&stage, SetSchedule { session_id: Some("diary".parse().unwrap()), ..wanted("0 9 * * *", "UTC") }).unwrap();
    stage.pass(2 * DAY);
    assert_eq!(stage.sql.texts("select session_id from conversations"), ["diary"]);
    set(&stage, wanted("0 9 * * *", "UTC")).unwrap();
    stage.pass(2 * DAY);
    assert_eq!(stage.sql.count("conversations"), 3);
}

#[test]
fn what_was_missed_is_skipped_or_made_up_for_once() {
    for (missed, expected) in [
        (Missed::Skip, vec!["2027-03-01 09:00", "2027-03-08 09:00"]),
        (Missed::RunOnce, vec!["2027-03-01 09:00", "2027-03-07 09:00", "2027-03-08 09:00"]),
    ] {
        let stage = stage_at("2027-03-01 06:00");
        set(&stage, SetSchedule { missed, ..wanted("0 9 * * *", "UTC") }).unwrap();
        stage.pass(Duration::from_hours(12));
        // The platform rings no alarm for five days and some hours.
        stage.executor.advance_to(utc("2027-03-07 12:00"));
        stage.pass(Duration::from_hours(22));
        assert_eq!(scheduled(&stage), expected, "{missed:?}");
        assert_eq!(stage.logged("schedule_missed").len(), usize::from(missed == Missed::Skip));
    }
}

#[test]
fn five_failures_in_a_row_pause_it_and_the_webhooks_are_told() {
    let stage = stage_at("2027-03-01 06:30");
    let hook = SetWebhook {
        name: "crm".parse().unwrap(),
        url: "https://hooks.acme.com".to_owned(),
        types: Vec::new(),
        include: Vec::new(),
        secret: None,
        rotate: false,
    };
    stage.handle(Command::Webhooks(WebhooksCommand::Set(Box::new(hook)))).unwrap();
    set(&stage, wanted("0 * * * *", "UTC")).unwrap();
    let fail = || stage.container.fault("POST /turns", Fault::Refuse(500, "broken"));
    // Four failures and a success: it counts from the beginning again.
    for _ in 0..MAX_FAILURES - 1 {
        (0..20).for_each(|_| fail());
        stage.pass(Duration::from_hours(1));
        stage.container.state.borrow_mut().faults.clear();
    }
    assert_eq!(shown(&stage).schedule.failures, MAX_FAILURES - 1);
    stage.pass(Duration::from_hours(1));
    assert_eq!(shown(&stage).schedule.failures, 0);
    for _ in 0..MAX_FAILURES {
        (0..20).for_each(|_| fail());
        stage.pass(Duration::from_hours(1));
        stage.container.state.borrow_mut().faults.clear();
    }
    let paused = shown(&stage);
    assert_eq!((paused.schedule.paused.as_deref(), paused.next_runs.len()), (Some("failures"), 0));
    let ran = runs(&stage).len();
    stage.pass(Duration::from_hours(3));
    assert_eq!(runs(&stage).len(), ran);
    let mut told: Vec<String> =
        stage.receiver.arrivals().iter().map(|a| a.json()["type"].as_str().unwrap().to_owned()).collect();
    let mut ids: Vec<String> = stage.receiver.arrivals().iter().map(|a| a.header("webhook-id").to_owned()).collect();
    told.sort();
    let count = |kind: &str| told.iter().filter(|one| *one == kind).count();
    assert_eq!((count("schedule.failed"), count("schedule.paused"), count("turn.failed")), (9, 1, 9));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), told.len(), "each event has an id of its own");
    // Whoever sets it again lets it run again.
    set(&stage, wanted("0 * * * *", "UTC")).unwrap();
    stage.pass(Duration::from_hours(1));
    assert_eq!(runs(&stage).len(), ran + 1);
}

#[test]
fn a_run_that_is_refused_is_a_failure() {
    let stage = Stage::with(&[("MAX_QUEUED_TURNS", "1"), ("TURN_TIMEOUT", "55m")]);
    set(&stage, wanted("0 * * * *", "UTC")).unwrap();
    stage.query_that("a", Script::endless());
    stage.query("b");
    let until = shown(&stage).next_runs[0];
    stage.executor.advance_to(until);
    stage.pass(Duration::from_secs(1));
    let [run] = runs(&stage).try_into().unwrap();
    assert_eq!((run.turn_id, run.failure.as_deref()), (None, Some("queue_full")));
    assert_eq!(shown(&stage).schedule.failures, 1);
}

#[test]
fn a_schedule_is_run_when_somebody_asks_for_it() {
    let stage = stage_at("2027-03-01 06:00");
    set(&stage, SetSchedule { enabled: false, ..wanted("0 9 * * *", "UTC") }).unwrap();
    let Ok(SchedulesReply::Started { turn_id, .. }) = ask(&stage, SchedulesCommand::Run("daily".parse().unwrap()))
    else {
        panic!()
    };
    stage.settle();
    assert_eq!(runs(&stage)[0].turn_id.as_ref(), Some(&turn_id));
    stage.pass(2 * DAY);
    assert_eq!(runs(&stage).len(), 1, "it is disabled");
    let unknown = ask(&stage, SchedulesCommand::Run("none".parse().unwrap()));
    assert!(matches!(unknown, Err(AccountError::NotFound)));
}

#[test]
fn what_breaks_a_rule_is_refused() {
    let stage = Stage::new();
    let refused = |schedule| match set(&stage, schedule) {
        Err(AccountError::Refused { parameter, .. }) => parameter,
        _ => panic!(),
    };
    assert_eq!(refused(wanted("0 9 * * *", "Mars/Olympus")), "timezone");
    assert_eq!(refused(wanted("*/4 * * * *", "UTC")), "cron");
    assert_eq!(refused(wanted("0 9 31 2 *", "UTC")), "cron");
    for n in 0..MAX_SCHEDULES {
        set(&stage, SetSchedule { name: format!("s{n}").parse().unwrap(), ..wanted("0 9 * * *", "UTC") }).unwrap();
    }
    assert_eq!(refused(wanted("0 9 * * *", "UTC")), "name");
    let often = Stage::with(&[("SCHEDULE_MIN_INTERVAL", "1m")]);
    set(&often, wanted("* * * * *", "UTC")).unwrap();
}

#[test]
fn a_change_does_not_lose_a_run_that_is_due() {
    let stage = stage_at("2027-03-01 08:00");
    set(&stage, wanted("0 9 * * *", "UTC")).unwrap();
    stage.executor.advance_to(utc("2027-03-01 09:00"));
    set(&stage, SetSchedule { query: "another".to_owned(), ..wanted("0 9 * * *", "UTC") }).unwrap();
    stage.pass(Duration::from_secs(30));
    assert_eq!(scheduled(&stage), ["2027-03-01 09:00"]);
}

#[test]
fn schedules_outlive_the_conversations_of_their_account() {
    let stage = stage_at("2027-03-01 06:00");
    set(&stage, wanted("0 9 1 1 *", "UTC")).unwrap();
    stage.query("s");
    stage.pass(40 * DAY);
    stage.visit();
    stage.settle();
    assert_eq!((stage.sql.count("conversations"), stage.sql.count("schedules")), (0, 1));
    stage.pass(300 * DAY);
    assert_eq!(scheduled(&stage), ["2028-01-01 09:00"]);
}

#[test]
fn the_list_of_runs_has_a_bound() {
    let stage = Stage::with(&[("SCHEDULE_MIN_INTERVAL", "1m")]);
    set(&stage, wanted("* * * * *", "UTC")).unwrap();
    stage.pass(Duration::from_mins(u64::from(MAX_RUNS) + 10));
    assert_eq!(stage.sql.count("schedule_runs"), MAX_RUNS as usize);
}

/// The due times by a walk over all minutes: local times that are shown twice count the first time.
fn due_times(zone: Tz, is_due: impl Fn(u32, u32) -> bool, from: Millis, to: Millis) -> Vec<String> {
    let at = |ms: Millis| DateTime::<Utc>::from_timestamp_millis(ms.get()).unwrap();
    let (mut seen, mut found) = (Vec::new(), Vec::new());
    let mut minute = at(from).with_second(0).unwrap() - TimeDelta::hours(3);
    while minute <= at(to) {
        let local = minute.with_timezone(&zone).naive_local();
        if is_due(local.hour(), local.minute()) && !seen.contains(&local) {
            seen.push(local);
            if minute > at(from) {
                found.push(minute.format("%Y-%m-%d %H:%M").to_string());
            }
        }
        minute += TimeDelta::minutes(1);
    }
    assert!(at(from).year() == at(to).year());
    found
}

#[derive(Debug, Clone)]
enum Act {
    Pass(u64),
    Reset,
    ContainerDies,
    SetAgain,
    RunNow,
    /// Clocks go on and nothing runs.
    Jump(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (1_u64..400).prop_map(Act::Pass),
        3 => Just(Act::Reset),
        1 => Just(Act::ContainerDies),
        1 => Just(Act::SetAgain),
        1 => Just(Act::RunNow),
        1 => (1_u64..600).prop_map(Act::Jump),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn each_due_time_is_run_once_and_no_other(
        acts in prop::collection::vec(act(), 1..25),
        zone in prop_oneof![Just(Tz::Europe__Berlin), Just(Tz::America__New_York)],
        start in prop_oneof![Just("2027-03-13 20:00"), Just("2027-03-27 20:00"), Just("2027-10-30 20:00"), Just("2027-11-06 20:00")],
        missed in prop_oneof![Just(Missed::Skip), Just(Missed::RunOnce)],
    ) {
        let mut stage = stage_at(start);
        let schedule = || SetSchedule { missed, ..wanted("30 0-3,12 * * *", zone.name()) };
        set(&stage, schedule()).unwrap();
        let mut jumps = false;
        let mut asked_for = Vec::new();
        for act in acts {
            match act {
                Act::Pass(minutes) => stage.pass(Duration::from_mins(minutes)),
                Act::Reset => stage.reset(),
                Act::ContainerDies => stage.container.die(true),
                Act::SetAgain => drop(set(&stage, schedule()).unwrap()),
                Act::RunNow => {
                    if let Ok(SchedulesReply::Started { scheduled_at, .. }) = ask(&stage, SchedulesCommand::Run("daily".parse().unwrap())) {
                        asked_for.push(scheduled_at.get().to_string());
                    }
                }
                Act::Jump(minutes) => {
                    jumps = true;
                    stage.executor.advance_to(stage.executor.now().plus(Duration::from_mins(minutes)));
                    stage.pass(Duration::from_secs(1));
                }
            }
        }
        stage.settle();
        let expected = due_times(zone, |hour, minute| minute == 30 && (hour <= 3 || hour == 12), utc(start), stage.executor.now());
        let by_clock = stage.sql.texts("select json_extract(options, '$.trigger.scheduled_at') from turns where options <> '{}' order by 1");
        let ran: Vec<String> = by_clock.iter().filter(|at| !asked_for.contains(at)).map(|at| text(Millis::new(at.parse().unwrap()))).collect();
        if jumps {
            let mut once = ran.clone();
            once.dedup();
            prop_assert_eq!(&once, &ran, "none is run twice");
            prop_assert!(ran.iter().all(|at| expected.contains(at)), "{:?} of {:?}", ran, expected);
        } else {
            prop_assert_eq!(ran, expected);
        }
    }
}

#[test]
fn a_run_into_a_conversation_whose_turn_requires_action_is_a_failure_with_that_code() {
    let stage = stage_at("2027-03-01 06:00");
    stage.query_that("c", asking(&["call"]));
    stage.pass(Duration::from_secs(1));
    set(&stage, SetSchedule { session_id: Some(session("c")), ..wanted("0 9 * * *", "UTC") }).unwrap();
    stage.pass(Duration::from_hours(4));
    let [run] = runs(&stage).try_into().unwrap();
    assert_eq!((run.turn_id, run.failure.as_deref()), (None, Some("action_pending")));
}
