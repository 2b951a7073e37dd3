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
    /// The queries that it took in and has not told.
    untold: Vec<String>,
}

/// What turns have done, and what they still have to do.
#[derive(Debug, Default)]
pub struct World {
    /// How often each call ran.
    pub ran: BTreeMap<String, usize>,
    /// How often a turn went on with what was decided of each call.
    pub told: BTreeMap<String, usize>,
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
            *state.world.told.entry(action["reference"].as_str().unwrap().to_owned()).or_default() += 1;
            if action["kind"] == "permission" && action["decision"]["decision"] == "allow" {
                *state.world.ran.entry(action["reference"].as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
        state.world.rest.remove(id).unwrap_or_default()
    }

    /// A turn that waits asks about one more call.
    pub fn ask_beside(&self, id: &str, call: &str) {
        if let Some(turn) = self.state.borrow_mut().turns.get_mut(id) {
            turn.waits.pending.insert(call.to_owned());
        }
        self.say(id, &json!({ "type": "action", "reference": call, "kind": kind_of(call), "tool_call_id": call, "tool": "Bash", "input": { "command": call },
            "suggestions": [{ "type": "addRules", "behavior": "allow", "rules": [{ "toolName": "Bash", "ruleContent": call }] }] }));
    }

    /// A turn takes in what was offered to it, and says so with its result.
    pub(super) fn take_in_untold(&self, id: &str) {
        if let Some(turn) = self.state.borrow_mut().turns.get_mut(id) {
            turn.waits.untold = turn.offers.clone();
        }
    }

    /// A turn says what it has taken in.
    pub(super) fn tell_of_taken(&self, id: &str) {
        let untold = self.state.borrow_mut().turns.get_mut(id).map(|turn| std::mem::take(&mut turn.waits.untold));
        if let Some(untold) = untold.filter(|untold| !untold.is_empty()) {
            self.say(id, &json!({ "type": "steered", "turn_ids": untold }));
        }
    }

    /// Asks about calls, all at once, and waits. The beginning of a call's name says what it is: see [`kind_of`], and `sub` is a subagent's,
    /// which does not wait on when the turn is parked. Returns whether the turn goes on here.
    pub(super) async fn ask(&self, instance: &str, id: &str, calls: &[String], rest: Vec<Step>) -> bool {
        self.state.borrow_mut().world.rest.insert(id.to_owned(), rest);
        for call in calls {
            self.say(id, &json!({ "type": "transcript", "entries": [{ "type": "assistant", "call": call }] }));
            self.ask_beside(id, call);
        }
        let here = |state: &super::container::State| state.instance.as_deref() == Some(instance);
        self.until(|state| {
            let waits = state.turns.get(id).filter(|turn| !turn.ended).map(|turn| &turn.waits);
            !here(state) || waits.is_none_or(|waits| waits.parking || waits.pending.is_empty())
        })
        .await;
        let (parking, withdrawn, decided) = {
            let mut state = self.state.borrow_mut();
            let is_here = here(&state);
            let Some(turn) = state.turns.get_mut(id).filter(|turn| is_here && !turn.ended) else { return false };
            let waits = &mut turn.waits;
            let withdrawn: Vec<String> =
                waits.pending.iter().filter(|call| waits.parking && call.starts_with("sub")).cloned().collect();
            waits.pending.retain(|call| !withdrawn.contains(call));
            let parking = waits.parking && !waits.pending.is_empty();
            waits.parking = parking;
            (parking, withdrawn, waits.decided.clone())
        };
        for call in withdrawn {
            self.say(id, &json!({ "type": "action_resolved", "reference": call, "outcome": "withdrawn" }));
        }
        for call in calls {
            let Some(decision) = decided.get(call) else { continue };
            let allowed = decision["decision"] == "allow" && kind_of(call) == "permission";
            let world = &mut self.state.borrow_mut().world;
            *world.told.entry(call.clone()).or_default() += 1;
            if allowed {
                *world.ran.entry(call.clone()).or_default() += 1;
            }
        }
        for call in calls.iter().filter(|call| decided.contains_key(*call)) {
            let outcome = if decided[call]["decision"] == "deny" { "denied" } else { "allowed" };
            self.say(id, &json!({ "type": "action_resolved", "reference": call, "outcome": outcome }));
        }
        if parking {
            let parked: Vec<&String> = calls.iter().filter(|call| !decided.contains_key(*call)).collect();
            self.tell_of_taken(id);
            self.say(id, &json!({ "type": "result", "status": "requires_action", "continue_by": "message", "actions": parked, "text": "",
                "usage": { "input_tokens": 3, "output_tokens": 1 }, "num_turns": 1 }));
            self.tell_of_files(id).await;
            self.close(id);
        }
        !parking
    }
}

/// What a call of that name waits for.
fn kind_of(call: &str) -> &'static str {
    ["plan", "question", "tool", "elicitation"].into_iter().find(|kind| call.starts_with(kind)).unwrap_or("permission")
}
