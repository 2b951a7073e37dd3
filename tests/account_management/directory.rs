//! What the directory hears of an account, and that it hears of it.

use std::time::Duration;

use claude_agent_service::account::command::{AnswerForm, Command, DecideAction};
use claude_agent_service::account::wake::REGISTER_RETRY;
use claude_agent_service::directory::shards::shard_of;
use claude_agent_service::domain::account::{AccountChange, AccountStatus};
use claude_agent_service::domain::ledger::Day;
use claude_agent_service::domain::time::DAY;
use claude_agent_service::domain::{Decision, Include, Usage};

use crate::support::model_calls::ScriptedGateway;
use crate::support::script::{Script, Step, entry, result};
use crate::support::stage::Stage;
use crate::{change, erase, erase_step, status};

#[test]
fn the_directory_hears_of_an_active_account_once_a_day() {
    let mut stage = Stage::new();
    for _ in 0..3 {
        stage.query("a");
        stage.settle();
        stage.reset();
    }
    assert_eq!(active_notes(&stage), 1);
    stage.pass(DAY);
    stage.query("a");
    stage.settle();
    assert_eq!(active_notes(&stage), 2);
}

#[test]
fn what_the_directory_did_not_hear_it_is_told_again_even_if_the_object_was_reset() {
    let mut stage = Stage::new();
    let told = |stage: &Stage| stage.runtime.noted.all();
    stage.runtime.noted.is_up.set(false);
    stage.query("a");
    stage.settle();
    change(&stage, status(AccountStatus::Suspended));
    stage.pass(Duration::from_mins(3));
    change(&stage, AccountChange { status: Some(AccountStatus::Active), ..AccountChange::default() });
    stage.reset();
    stage.pass(Duration::from_mins(3));
    assert_eq!(told(&stage), []);
    assert!(stage.alarm() <= Some(stage.executor.now().plus(REGISTER_RETRY)));
    stage.runtime.noted.is_up.set(true);
    stage.pass(Duration::from_mins(2));
    assert_eq!(told(&stage), [(true, Some(AccountStatus::Active))]);
    let alarms = stage.alarms();
    stage.pass(DAY);
    assert!(stage.alarms() - alarms <= 3 && told(&stage).len() == 1, "told once, and then it sleeps");
}

fn active_notes(stage: &Stage) -> usize {
    stage.runtime.noted.all().iter().filter(|(active, _)| *active).count()
}

#[test]
fn the_directory_hears_of_every_day_on_which_something_is_used_whoever_began_it_when() {
    let (mut stage, mut gateway) = (Stage::new(), ScriptedGateway::default());
    let ask = Step::Ask(vec!["a".to_owned()]);
    let work = [Step::Wait(Duration::from_mins(1)), Step::Frame(result("done"))];
    let midnight = Day::of(stage.executor.now()).plus(1).start();
    stage.pass(midnight.minus(Duration::from_mins(3)).since(stage.executor.now()));
    stage.query_that("a", Script::new([Step::Frame(entry("said")), ask].into_iter().chain(work)));
    stage.pass(Duration::from_mins(6));
    stage.reset();
    assert_eq!(active_notes(&stage), 1);
    let action_id = stage.sql.text("select action_id from actions").parse().unwrap();
    let (decision, answer) = (Decision::Allow { input: None, remember: None }, AnswerForm::Accepted);
    let decide = DecideAction { action_id, decision, answer, include: Include::NOTHING };
    drop(stage.handle(Command::DecideAction(Box::new(decide))).unwrap());
    stage.pass(Duration::from_secs(5));
    gateway.call(&stage, "m", Usage { input_tokens: 5, ..Usage::default() }).unwrap();
    stage.settle();
    stage.pass(Duration::from_mins(2));
    assert_eq!(active_notes(&stage), 2, "a turn that waited uses something on the day of its call");
    stage.pass(DAY);
    drop(stage.handle(Command::Prewarm).unwrap());
    stage.pass(Duration::from_hours(1));
    assert_eq!(active_notes(&stage), 3, "and so does a container that no turn has used");
}

#[test]
fn an_account_stays_in_the_shard_that_knows_it_when_there_are_more() {
    let mut stage = Stage::new();
    let shards = |stage: &Stage| stage.runtime.noted.told_shards.take().into_iter().collect::<Vec<_>>();
    let id = "zoë".parse().unwrap();
    let more = (9..64).find(|more| shard_of(&id, *more) != shard_of(&id, 8)).unwrap();
    let own = shard_of(&id, 8);
    stage.query("a");
    stage.settle();
    assert_eq!(shards(&stage), [own]);
    stage.runtime.noted.shards.set(more);
    stage.reset();
    stage.pass(DAY);
    change(&stage, status(AccountStatus::Active));
    stage.query("b");
    stage.settle();
    assert_eq!(shards(&stage), [own], "its activity, its status and its reports");
    assert!({
        erase(&stage, true, false);
        erase(&stage, true, true).done
    });
    stage.query("c");
    stage.settle();
    assert_eq!(shards(&stage), [own], "and so does one that keeps something");
    assert!(stage.runtime.noted.forgotten.borrow().is_empty());
    erase(&stage, false, false);
    stage.runtime.noted.is_up.set(false);
    assert!(erase_step(&stage, false, true).is_none(), "no shard goes on listing what is gone");
    stage.runtime.noted.is_up.set(true);
    assert!(erase(&stage, false, true).done);
    assert_eq!(stage.runtime.noted.forgotten.take(), [own]);
    shards(&stage);
    stage.query("d");
    stage.settle();
    assert_eq!(shards(&stage), [shard_of(&id, more)], "one that comes back is a new one");
}

#[test]
fn an_account_that_empties_itself_leaves_the_directory_unless_a_visit_says_so() {
    for visited in [false, true] {
        let stage = Stage::new();
        stage.query("a");
        stage.settle();
        stage.pass(30 * DAY + Duration::from_mins(1));
        if visited {
            assert_eq!(stage.visit().unwrap().oldest_access_at, None);
        }
        stage.pass(3 * DAY);
        assert!(stage.sql.texts("select name from sqlite_schema").is_empty());
        assert_eq!(stage.runtime.noted.forgotten.borrow().len(), usize::from(!visited));
    }
}
