//! The stream of a scripted turn: the frames that it says, its end, and how it is cancelled and read.

use super::container::{Scripted, ScriptedBody};
use super::executor::Owner;
use claude_agent_service::agent::Answer;
use serde_json::{Value, json};

impl Scripted {
    pub(super) fn say(&self, id: &str, frame: &Value) {
        let mut frame = frame.clone();
        frame["n"] = json!(self.next_n(id));
        self.add(id, frame.to_string());
    }

    pub(super) fn next_n(&self, id: &str) -> usize {
        self.state.borrow().turns.get(id).map_or(0, |turn| turn.lines.len()) + 1
    }

    pub(super) fn add(&self, id: &str, line: String) {
        if let Some(turn) = self.state.borrow_mut().turns.get_mut(id).filter(|turn| !turn.ended) {
            turn.lines.push(line + "\n");
        }
        self.changed();
    }

    pub(super) fn close(&self, id: &str) {
        self.say(id, &json!({ "type": "end" }));
        if let Some(turn) = self.state.borrow_mut().turns.get_mut(id) {
            turn.ended = true;
        }
        self.changed();
    }

    pub(super) fn end(&self, id: &str, status: &str) {
        if self.state.borrow().turns.get(id).is_some_and(|turn| !turn.ended) {
            self.say(id, &json!({ "type": "result", "status": status, "error": { "code": "turn_interrupted" } }));
            self.close(id);
        }
    }

    pub(super) fn cancel(&self, id: &str) {
        let mut state = self.state.borrow_mut();
        let Some(turn) = state.turns.get_mut(id) else { return };
        if let Some(time) = turn.ends_within.filter(|_| !turn.cancelled) {
            let (container, id) = (self.clone(), id.to_owned());
            self.executor.spawn(Owner::World, async move {
                container.executor.sleep(time).await;
                container.end(&id, "cancelled");
            });
        }
        turn.cancelled = true;
    }

    pub(super) async fn delete_turn(&self, id: &str) {
        self.cancel(id);
        self.until(|state| state.turns.get(id).is_none_or(|turn| turn.ended)).await;
        self.state.borrow_mut().turns.remove(id);
    }

    pub(super) fn frames(&self, instance: &str, id: &str, after: usize) -> Answer<ScriptedBody> {
        let cuts = self.state.borrow().turns.get(id).map_or(0, |turn| turn.cuts.len());
        let (container, instance, turn) = (self.clone(), instance.to_owned(), id.to_owned());
        Answer { status: 200, body: ScriptedBody::Frames { container, instance, turn, read: after, cuts } }
    }
}
