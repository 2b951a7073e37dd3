//! The gateway as an account sees it: it asks before each call of the model, and tells of each that has ended until that was taken.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::executor::Owner;
use super::stage::{Sent, Stage};
use claude_agent_service::account::Response;
use claude_agent_service::account::command::{CallBegun, CallEnded, Command};
use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::reply::Reply;
use claude_agent_service::domain::price::Extras;
use claude_agent_service::domain::{RequestId, TurnId, Usage};

/// A call that was let through.
pub struct Call {
    pub request_id: RequestId,
    pub turn_id: TurnId,
}

/// What was told of a call's end, and what the account said to that.
struct Told {
    request_id: RequestId,
    end: CallEnded,
    answer: Sent<bool>,
}

/// The gateway.
#[derive(Default)]
pub struct ScriptedGateway {
    pub open: Vec<Call>,
    told: Vec<Told>,
    /// Calls and tokens by model, as the model's API counted them.
    pub counted: BTreeMap<String, (u64, Usage)>,
}

impl ScriptedGateway {
    /// Asks whether a call may leave.
    pub fn begin(&mut self, stage: &Stage) -> Result<(), AccountError> {
        let request_id = stage.request_id();
        let command = Command::BeginCall(CallBegun { sdk_session: None, counts: true });
        match stage.handle_as(&request_id, command)? {
            Response::Ready(Reply::CallBegun(turn_id)) => self.open.push(Call { request_id, turn_id }),
            _ => unreachable!(),
        }
        Ok(())
    }

    /// A call that is open ends.
    pub fn end(&mut self, stage: &Stage, at: usize, model: &str, usage: Usage) {
        let Call { request_id, turn_id } = self.open.remove(at);
        let (calls, sum) = self.counted.entry(model.to_owned()).or_default();
        *calls += 1;
        sum.input_tokens += usage.input_tokens;
        sum.output_tokens += usage.output_tokens;
        sum.cache_read_input_tokens += usage.cache_read_input_tokens;
        sum.cache_creation_input_tokens += usage.cache_creation_input_tokens;
        let model = Some(model.to_owned());
        let end = CallEnded {
            turn_id,
            status: 200,
            model,
            usage,
            extras: Extras::default(),
            total_ms: 5,
            retry_after_s: None,
        };
        let answer = tell(stage, &request_id, &end);
        self.told.push(Told { request_id, end, answer });
    }

    /// A call that is asked for and answered at once.
    pub fn call(&mut self, stage: &Stage, model: &str, usage: Usage) -> Result<(), AccountError> {
        self.begin(stage)?;
        self.end(stage, self.open.len() - 1, model, usage);
        Ok(())
    }

    /// Tells again what was not taken.
    pub fn tell_again(&mut self, stage: &Stage) {
        stage.executor.run_ready();
        for told in &mut self.told {
            if *told.answer.borrow() == Some(false) {
                told.answer = tell(stage, &told.request_id, &told.end);
            }
        }
        self.told.retain(|told| *told.answer.borrow() != Some(true));
    }

    /// How many calls have ended that were not taken yet.
    pub fn waiting(&self) -> usize {
        self.told.len()
    }
}

fn tell(stage: &Stage, request_id: &RequestId, end: &CallEnded) -> Sent<bool> {
    let answer: Sent<bool> = Rc::new(RefCell::new(None));
    match stage.handle_as(request_id, Command::EndCall(end.clone())) {
        Ok(Response::Deferred(later)) => {
            let answered = Rc::clone(&answer);
            stage.executor.spawn(Owner::World, async move {
                let taken = later.await.is_ok();
                answered.replace(Some(taken));
            });
        }
        told => {
            answer.replace(Some(told.is_ok()));
        }
    }
    answer
}
