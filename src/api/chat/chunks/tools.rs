//! The chunks of tool calls, and of what somebody is asked about them.

use super::super::calls::Told;
use super::super::json::{Field, descriptor, write_call};
use super::Encoder;
use crate::account::turn::events::EventKind;
use crate::domain::Action;
use crate::domain::event::{ActionResolved, Tool};

impl Encoder {
    pub(super) fn tool(&mut self, tool: &Tool) {
        if tool.parent.is_none() && tool.status == "started" {
            self.go_on();
        }
        let is_new = self.calls.begin(tool);
        if tool.status == "started" || is_new {
            if tool.parent.is_none() || !self.in_step {
                self.begin_part();
            }
            self.call(tool, true);
        }
        if tool.status == "started" {
            return;
        }
        if let Some(told) = self.calls.end(tool) {
            self.tell(&tool.id, None, &told);
        }
        if tool.parent.is_none() {
            self.end_step_if_over();
        }
    }

    /// Somebody is asked. What is about no call is a part by itself.
    pub(super) fn ask(&mut self, action: &Action, event: &EventKind) {
        match self.calls.ask(action) {
            Some((id, told)) => {
                for told in told {
                    self.tell(&id, Some(action), &told);
                }
            }
            None => self.data(event),
        }
    }

    pub(super) fn resolve(&mut self, resolved: &ActionResolved, event: &EventKind) {
        match self.calls.resolve(resolved) {
            Some((id, told)) => {
                for told in told {
                    self.tell(&id, None, &told);
                }
                self.end_step_if_over();
            }
            None => self.data(event),
        }
    }

    /// The model goes on, and what it was told of its calls is all that it was told.
    pub(super) fn go_on(&mut self) {
        let ended = self.calls.goes_on();
        if ended.is_empty() {
            return;
        }
        for (id, told) in ended {
            self.tell(&id, None, &told);
        }
        self.end_step_if_over();
    }

    /// Takes calls out of the step that would keep the client from answering. When it has answered, it hears of them again.
    pub(super) fn hide(&mut self) {
        let hidden: Vec<String> = self.calls.hidden().into_iter().map(str::to_owned).collect();
        let before = self.kept.len();
        self.kept.retain(|kept| kept.call.as_ref().is_none_or(|call| !hidden.contains(call)));
        if self.kept.len() < before {
            self.chunk("reset-step", &[]);
            self.out.extend(self.kept.iter().map(|kept| kept.text.as_str()));
        }
    }

    /// With the results of its calls the model is asked again.
    fn end_step_if_over(&mut self) {
        if self.calls.is_step_over() {
            self.end_step();
        }
    }

    /// A call, which the service runs or the client.
    fn call(&mut self, tool: &Tool, is_ours: bool) {
        self.keep(Some(&tool.id), |encoder| {
            encoder.out.push_str("data: ");
            write_call(&mut encoder.out, "tool-input-available", tool, is_ours, &[("dynamic", Field::Json("true"))]);
            encoder.out.push_str("\n\n");
        });
    }

    fn tell(&mut self, id: &str, action: Option<&Action>, told: &Told) {
        let call = ("toolCallId", Field::Text(id));
        let (kind, fields) = match told {
            Told::Request => {
                let Some(action) = action else { return };
                let descriptor = descriptor(action);
                let mut fields = vec![
                    ("approvalId", Field::Text(action.action_id.as_str())),
                    call,
                    ("approvalDescriptor", Field::Json(&descriptor)),
                ];
                fields.extend(action.message.as_ref().map(|reason| ("reason", Field::Text(reason))));
                return self.keep(Some(id), |encoder| encoder.chunk("tool-approval-request", &fields));
            }
            Told::Response(approved, reason) => {
                let Some(approval) = self.calls.approval_of(id) else { return };
                let mut fields = vec![
                    ("approvalId", Field::Text(&approval)),
                    ("approved", Field::Json(if *approved { "true" } else { "false" })),
                ];
                fields.extend(reason.as_ref().map(|reason| ("reason", Field::Text(reason))));
                return self.keep(Some(id), |encoder| encoder.chunk("tool-approval-response", &fields));
            }
            Told::Offer => {
                let Some(action) = action else { return };
                return self.call(&super::super::json::call_of(action, id), false);
            }
            Told::Output(output) => ("tool-output-available", vec![call, ("output", Field::Json(output))]),
            Told::Denied => ("tool-output-denied", vec![call]),
            Told::Error(words) => ("tool-output-error", vec![call, ("errorText", Field::Text(words))]),
        };
        self.keep(Some(id), |encoder| encoder.chunk(kind, &fields));
    }
}
