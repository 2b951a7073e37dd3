//! Turns of a scripted container that wait for somebody: their calls run when they are allowed, and each that runs is counted in the world outside,
//! which outlives containers. A parked turn goes on with the calls that were approved, then with the rest of its script.

use std::collections::{BTreeMap, BTreeSet};

use claude_agent_service::agent::Answer;
use serde_json::{Value, json};

use super::container::{Scripted, ScriptedBody, problem, text};
use super::script::Step;

/// What a running turn waits for.
#[derive(Debug, Default)]
pub struct Waits {
    pending: BTreeSet<String>,
    decided: BTreeMap<String, Value>,
    parking: bool,
}

/// What turns have done, and what they still have to do.
#[derive(Debug, Default)]
pub struct World {
    /// How often each call ran.
    pub ran: BTreeMap<String, usize>,
    /// What is left of a turn's script behind what it asks.
    rest: BTreeMap<String, Vec<Step>>,
}

impl Scripted {
    /// The calls about actions; none if it is another.
    pub(super) fn action_call(
        &self,
        method: &str,
        parts: &[&str],
        body: Option<&String>,
    ) -> Option<Answer<ScriptedBody>> {
        let mut state = self.state.borrow_mut();
        let answer = match (method, parts) {
            ("POST", ["turns", id, "actions", reference]) => match state.turns.get_mut(*id) {
                None => problem(404, "turn_not_found"),
                Some(turn) => {
                    let waits = &mut turn.waits;
                    if waits.pending.remove(*reference) {
                        let decision = serde_json::from_str(body.map_or("", String::as_str)).unwrap();
                        waits.decided.insert((*reference).to_owned(), decision);
                        text(200, &json!({ "resolved": true }))
                    } else if waits.decided.contains_key(*reference) {
                        text(200, &json!({ "resolved": false }))
                    } else {
                        problem(404, "action_not_found")
                    }
                }
            },
            ("POST", ["turns", id, "park"]) => match state.turns.get_mut(*id) {
                None => problem(404, "turn_not_found"),
                Some(turn) if turn.waits.pending.is_empty() => problem(409, "nothing_pending"),
                Some(turn) => {
                    turn.waits.parking = true;
                    text(202, &json!({ "parking": true }))
                }
            },
            _ => return None,
        };
        drop(state);
        self.changed();
        Some(answer)
    }

    /// The steps of a turn that goes on: what was approved is called again, and runs once.
    pub(super) fn continued(&self, id: &str, continuation: &Value) -> Vec<Step> {
        let mut state = self.state.borrow_mut();
        for action in continuation["actions"].as_array().unwrap() {
            if action["decision"]["decision"] == "allow" {
                *state.world.ran.entry(action["reference"].as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
        state.world.rest.remove(id).unwrap_or_default()
    }

    /// Asks about calls, all at once, and waits; one whose name begins with `plan` is a plan. Returns whether the turn goes on here.
    pub(super) async fn ask(&self, instance: &str, id: &str, calls: &[String], rest: Vec<Step>) -> bool {
        self.state.borrow_mut().world.rest.insert(id.to_owned(), rest);
        for call in calls {
            self.say(id, &json!({ "type": "transcript", "entries": [{ "type": "assistant", "call": call }] }));
            if let Some(turn) = self.state.borrow_mut().turns.get_mut(id) {
                turn.waits.pending.insert(call.clone());
            }
            let kind = match call {
                plan if plan.starts_with("plan") => "plan",
                tool if tool.starts_with("tool") => "tool",
                _ => "permission",
            };
            self.say(id, &json!({ "type": "action", "reference": call, "kind": kind, "tool_call_id": call, "tool": "Bash", "input": { "command": call },
                "suggestions": [{ "type": "addRules", "behavior": "allow", "rules": [{ "toolName": "Bash", "ruleContent": call }] }] }));
        }
        let here = |state: &super::container::State| state.instance.as_deref() == Some(instance);
        self.until(|state| {
            let waits = state.turns.get(id).filter(|turn| !turn.ended).map(|turn| &turn.waits);
            !here(state) || waits.is_none_or(|waits| waits.parking || waits.pending.is_empty())
        })
        .await;
        let (parking, decided) = {
            let state = self.state.borrow();
            let Some(turn) = state.turns.get(id).filter(|turn| here(&state) && !turn.ended) else { return false };
            (turn.waits.parking && !turn.waits.pending.is_empty(), turn.waits.decided.clone())
        };
        for call in calls {
            let Some(decision) = decided.get(call) else { continue };
            let allowed = decision["decision"] == "allow";
            if allowed {
                *self.state.borrow_mut().world.ran.entry(call.clone()).or_default() += 1;
            }
            let outcome = if allowed { "allowed" } else { "denied" };
            self.say(id, &json!({ "type": "action_resolved", "reference": call, "outcome": outcome }));
        }
        if parking {
            let parked: Vec<&String> = calls.iter().filter(|call| !decided.contains_key(*call)).collect();
            self.say(id, &json!({ "type": "result", "status": "requires_action", "continue_by": "message", "actions": parked, "text": "",
                "usage": { "input_tokens": 3, "output_tokens": 1 }, "num_turns": 1 }));
            self.tell_of_files(id).await;
            self.close(id);
        }
        !parking
    }
}
