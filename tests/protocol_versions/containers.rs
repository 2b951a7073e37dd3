//! A container of version 1 behind an object of today.

use std::time::Duration;

use crate::support::script::{Script, Step};
use crate::support::stage::Stage;
use crate::support::{sdk_session, turn, v1};
use claude_agent_service::agent::{RunOptions, SystemPrompt, TurnRequest};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::{FRAMES, RESULTS};

const TURN_REQUESTS: &str = include_str!("../fixtures/protocol/v1/turn_requests.jsonl");
const HEALTH: &str = include_str!("../fixtures/protocol/v1/healthz.json");
const PROBLEMS: &str = include_str!("../fixtures/protocol/v1/problems.jsonl");
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_container_of_version_1_understands_every_turn() {
    let servers = RawValue::from_string("{}".to_owned()).unwrap();
    let list = ["Bash".to_owned()];
    let all = RunOptions {
        model: Some("m"),
        effort: None,
        system_prompt: Some(SystemPrompt::Append("a")),
        max_turns: Some(2),
        allowed_tools: &list,
        disallowed_tools: &list,
        permission_mode: Some("plan"),
        max_budget_usd: Some(0.5),
        mcp_servers: Some(&servers),
        ..RunOptions::default()
    };
    let (turn_id, sdk_session) = (turn(1), sdk_session(1));
    for (sdk_session, options) in [(Some(&sdk_session), all), (None, RunOptions::default())] {
        let request = TurnRequest {
            turn_id: &turn_id,
            sdk_session,
            prompt: "hi",
            content: None,
            resume: true,
            options,
            transcript: true,
            actions: true,
            grants: &[],
            continuation: None,
            workspace: None,
        };
        let json = serde_json::to_string(&request).unwrap();
        assert!(serde_json::from_str::<v1::TurnRequest>(&json).is_ok(), "{json}");
    }
    for line in TURN_REQUESTS.lines() {
        assert!(serde_json::from_str::<v1::TurnRequest>(line).is_ok(), "{line}");
    }
}

#[test]
fn a_turn_in_a_container_of_version_1_is_answered() {
    let stage = Stage::new();
    let frames = FRAMES.lines().skip(1).filter(|line| !line.contains("\"end\""));
    let script = frames.map(|line| Step::Frame(serde_json::from_str(line).unwrap()));
    let turn = stage.query_that("a", Script::new(script));
    stage.settle();
    let turn = stage.turn(&turn);
    assert_eq!(turn.response.as_deref(), Some("The answer is 4."));
    let usage = turn.usage.unwrap();
    let tokens = (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens);
    assert_eq!((tokens, usage.cost_usd.to_string().as_str()), ((12, 3, 2), "0.00123"));
    assert_eq!((turn.model.as_deref(), turn.num_turns, turn.duration_ms), (Some("claude-test"), Some(2), Some(412)));
    let lines = stage.sql.texts("select lines from transcripts").concat();
    assert_eq!(lines.lines().count(), 3);
    assert!(
        lines.ends_with("{\"subpath\":\"subagents/agent-1\",\"entry\":{\"type\":\"user\",\"uuid\":\"u3\"}}\n"),
        "{lines}"
    );
}

#[test]
fn the_ends_of_turns_of_version_1_have_their_codes() {
    let codes = [
        "model_rate_limited",
        "model_auth_failed",
        "model_failed",
        "agent_failed",
        "turn_interrupted",
        "turn_cancelled",
    ];
    let stage = Stage::new();
    for (line, code) in RESULTS.lines().zip(codes) {
        let turn = stage.query_that("a", Script::new([Step::Frame(serde_json::from_str(line).unwrap())]));
        stage.settle();
        assert_eq!(stage.end(&turn), code);
    }
}

#[test]
fn a_container_of_version_1_that_refuses_a_turn_is_understood() {
    for line in PROBLEMS.lines() {
        let problem: Value = serde_json::from_str(line).unwrap();
        let (status, code) = (problem["status"].as_u64().unwrap(), problem["body"]["code"].as_str().unwrap());
        let stage = Stage::new();
        stage.container.refuse("POST /turns", u16::try_from(status).unwrap(), problem["body"].to_string());
        let turn = stage.query("a");
        stage.settle();
        assert_eq!((stage.end(&turn).as_str(), stage.container.calls("POST /turns")), ("completed", 2), "{code}");
    }
}

#[test]
fn a_container_of_version_1_that_cannot_end_a_process_alone_ends_its_turn() {
    let stage = Stage::new();
    stage.container.state.borrow_mut().knows_stop = false;
    let turn = stage.query_that("a", Script { ends_within: Some(4 * SECOND), ..Script::endless() });
    stage.pass(SECOND);
    stage.cancel("a");
    stage.settle();
    assert_eq!((stage.end(&turn).as_str(), stage.container.at_work().len()), ("turn_cancelled", 0));
    assert_eq!((stage.container.calls("POST /sessions/"), stage.container.workspaces().len()), (1, 1));
}

#[test]
fn the_health_of_version_1_tells_what_is_at_work() {
    let health: claude_agent_service::agent::client::Health = serde_json::from_str(HEALTH).unwrap();
    assert_eq!(health.instance, "1f0c2c52-7c58-4b42-9f3b-6a2f3b1f0002");
    assert_eq!(health.into_turns(), ["turn_0123456789abcdef0123456789abcdef".parse().unwrap()]);
}
