//! How a scripted container takes a turn, and how that does what its script says.

use std::collections::VecDeque;

use super::asking::Waits;
use super::container::{Scripted, ScriptedBody, ServerTurn, Session, problem};
use super::executor::Owner;
use super::script::{Script, Step};
use claude_agent_service::agent::{Answer, BodyChunks, ContainerError};
use serde_json::{Value, json};

impl Scripted {
    pub(super) fn start_turn(
        &self,
        instance: &str,
        body: &str,
        more: Option<BodyChunks>,
    ) -> Result<Answer<ScriptedBody>, ContainerError> {
        let wanted: Value = serde_json::from_str(body).unwrap();
        self.state.borrow_mut().asked.push(wanted.clone());
        let id = wanted["turn_id"].as_str().unwrap().to_owned();
        let run = wanted["continuation"]["run"].as_u64().unwrap_or(0);
        if self.state.borrow().turns.get(&id).is_some_and(|turn| turn.run >= run) {
            return Ok(self.frames(instance, &id, 0));
        }
        if self.state.borrow().draining {
            return Ok(problem(503, "draining"));
        }
        if self.state.borrow().processes.is_some_and(|most| self.at_work().len() >= most) {
            return Ok(problem(503, "at_capacity"));
        }
        let saves = self.state.borrow().workspaces_held.saves && wanted.get("workspace").is_some();
        if saves && let Some(refusal) = self.workspace_refusal(wanted["agent_session"].as_str(), &wanted["workspace"]) {
            return Ok(refusal);
        }
        let sent = more.is_some();
        let mut lines = String::new();
        if let Some(mut piece) = more {
            while let Some(text) = piece()? {
                lines.push_str(&text);
            }
            lines.lines().for_each(|line| drop(serde_json::from_str::<Value>(line).unwrap()));
            self.state.borrow_mut().replayed.push(lines.lines().count());
        }
        let mut state = self.state.borrow_mut();
        let session = wanted["agent_session"]
            .as_str()
            .map_or_else(|| format!("00000000-0000-4000-8000-{:012}", state.begun.len() + 1), str::to_owned);
        if state.turns.values().any(|turn| turn.session == session && !turn.ended) {
            return Ok(problem(409, "session_busy"));
        }
        let held = state.sessions.get(&session).cloned().unwrap_or_default();
        if wanted["resume"] == true && !sent && !held.live && !held.held {
            return Ok(problem(409, "transcript_required"));
        }
        state.sessions.insert(session.clone(), Session { live: true, held: true });
        state.workspaces.insert(session.clone());
        state.begun.push((id.clone(), session.clone()));
        let script = if wanted.get("continuation").is_some() { None } else { state.scripts.pop_front() };
        let script = script.unwrap_or_else(|| Script::answer("done"));
        let ends_within = script.ends_within;
        state.turns.retain(|_, turn| turn.session != session || !turn.ended);
        let turn = ServerTurn {
            session: session.clone(),
            saves,
            lines: Vec::new(),
            ended: false,
            cancelled: false,
            ends_within,
            run,
            waits: Waits::default(),
            offers: Vec::new(),
            cuts: Vec::new(),
        };
        state.turns.insert(id.clone(), turn);
        let of_one = state.turns.values().filter(|turn| turn.session == session && !turn.ended).count();
        state.most_of_one = state.most_of_one.max(of_one);
        let started = json!({ "type": "started", "agent_session": session, "instance": instance, "warm": held.live });
        let mut steps = vec![Step::Frame(started)];
        if !state.start_of_process.is_zero() {
            steps.insert(0, Step::Wait(state.start_of_process));
        }
        drop(state);
        match wanted.get("continuation") {
            Some(continuation) => steps.extend(self.continued(&id, continuation)),
            None => steps.extend(script.steps),
        }
        self.executor.spawn(Owner::World, self.clone().perform(instance.to_owned(), id.clone(), steps));
        Ok(self.frames(instance, &id, 0))
    }

    async fn perform(self, instance: String, id: String, steps: Vec<Step>) {
        let mut steps = VecDeque::from(steps);
        while let Some(step) = steps.pop_front() {
            let over = {
                let state = self.state.borrow();
                state.instance.as_ref() != Some(&instance) || state.turns.get(&id).is_none_or(|turn| turn.ended)
            };
            match step {
                _ if over => return,
                Step::Wait(time) => {
                    let (woken, over) = (self.executor.sleep(time), self.clone());
                    let ended = over.until(|state| state.turns.get(&id).is_none_or(|turn| turn.ended));
                    futures_util::future::select(std::pin::pin!(woken), std::pin::pin!(ended)).await;
                }
                Step::Frame(frame) => {
                    let is_result = frame["type"] == "result";
                    if is_result {
                        self.tell_of_taken(&id);
                    }
                    self.say(&id, &frame);
                    if is_result {
                        self.tell_of_files(&id).await;
                        self.close(&id);
                    }
                }
                Step::Line(line) => {
                    let n = self.next_n(&id).to_string();
                    self.add(&id, line.replacen("\"n\":N", &format!("\"n\":{n}"), 1));
                }
                Step::Cut => {
                    if let Some(turn) = self.state.borrow_mut().turns.get_mut(&id) {
                        turn.cuts.push(turn.lines.len());
                    }
                    self.changed();
                }
                Step::Write(path, bytes) => {
                    let session = self.state.borrow().turns[&id].session.clone();
                    self.write(&session, &path, bytes.as_deref());
                }
                Step::Ask(calls) => {
                    if !self.ask(&instance, &id, &calls, steps.iter().cloned().collect()).await {
                        return;
                    }
                }
                Step::TakeIn => {
                    let offers = self.state.borrow().turns[&id].offers.clone();
                    self.say(&id, &json!({ "type": "steered", "turn_ids": offers }));
                }
                Step::TakeInUntold => self.take_in_untold(&id),
                Step::Die { noticed } => self.die(noticed),
            }
        }
    }
}
