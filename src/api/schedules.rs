//! `/schedules`: queries that an account asks by the clock.

use std::rc::Rc;

use serde::Serialize;

use super::answer::Answer;
use super::auth::Principal;
use super::body::{Fields, Head, need_json};
use super::problem::{ApiError, Code};
use super::start_turn::{asked, session_id, words};
use super::turn_options::{one_of, options, with_options};
use crate::account::command::Command;
use crate::account::schedules::command::{SchedulesCommand, SchedulesReply, SetSchedule, ShownSchedule};
use crate::config::Config;
use crate::config::policy::AgentPolicy;
use crate::domain::cron::{Cron, MAX_CRON_BYTES};
use crate::domain::schedule::{MAX_SCHEDULE_PROMPT_BYTES, MAX_ZONE_BYTES};
use crate::domain::{AccountId, Millis, Missed, ResourceName, SessionId, TurnId, TurnOptions};

/// Longest body, in bytes: a query of [`MAX_SCHEDULE_PROMPT_BYTES`] of which every byte is escaped, and the other fields.
pub const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;
pub(super) const DEFAULT_RUNS: u32 = 20;
pub(super) const MAX_RUNS: u32 = 100;
/// The word for a new conversation with each run.
const NEW: &str = "new";
/// The fields of a schedule.
const FIELDS: &[&str] =
    with_options!["accountId", "cron", "timezone", "query", "prompt", "conversation", "missed", "enabled"];

/// A schedule to be set, without its body.
#[derive(Debug)]
pub struct ScheduleHead {
    principal: Principal,
    named: Option<AccountId>,
    name: ResourceName,
    policy: Rc<AgentPolicy>,
}

impl ScheduleHead {
    /// Parses what can be parsed without the body.
    ///
    /// # Errors
    /// The refusals of the contract.
    pub fn parse(
        head: &Head<'_>,
        config: &Config,
        principal: Principal,
        named: Option<AccountId>,
        name: ResourceName,
    ) -> Result<Self, ApiError> {
        need_json(head)?;
        Ok(Self { principal, named, name, policy: Rc::clone(&config.agent) })
    }

    /// Parses the body and makes the command of it.
    ///
    /// # Errors
    /// The refusals of the contract.
    pub fn with_body(self, body: Option<&[u8]>) -> Result<(AccountId, Command), ApiError> {
        let too_large = || ApiError::new(Code::BodyTooLarge, "A schedule has at most 2 MiB.");
        let body = body.filter(|body| body.len() <= MAX_BODY_BYTES).ok_or_else(too_large)?;
        let fields = Fields::of(body, FIELDS)?;
        let account_id = self.principal.account(fields.account(self.named)?)?;
        let text = |name, most| fields.text(name, most, Code::InvalidParameter);
        let cron = text("cron", MAX_CRON_BYTES)?.unwrap_or_default();
        Cron::parse(&cron).map_err(|rule| ApiError::parameter("cron", rule.0))?;
        let timezone = text("timezone", MAX_ZONE_BYTES)?.unwrap_or_else(|| "UTC".to_owned());
        if !is_zone(&timezone) {
            return Err(ApiError::parameter("timezone", "the name of a time zone, such as Europe/Berlin"));
        }
        let (query, _) = asked(words(&fields, MAX_SCHEDULE_PROMPT_BYTES)?, None)?;
        if query.len() > MAX_SCHEDULE_PROMPT_BYTES {
            return Err(ApiError::parameter("query", "at most 65536 bytes"));
        }
        let session_id = session_id(&fields, "conversation")?.filter(|id| id.as_str() != NEW);
        let missed = one_of(&fields, "missed", "skip, run_once", Missed::parse)?.unwrap_or_default();
        let enabled = match fields.raw("enabled") {
            None | Some("true") => true,
            Some("false") => false,
            Some(_) => return Err(ApiError::parameter("enabled", "true or false")),
        };
        let options = options(&self.policy, &fields)?;
        let set = SetSchedule { name: self.name, cron, timezone, query, options, session_id, missed, enabled };
        Ok((account_id, Command::Schedules(SchedulesCommand::Set(Box::new(set)))))
    }
}

/// Whether a text can name a time zone. Whether there is one is for the runtime to say.
fn is_zone(text: &str) -> bool {
    text.len() <= MAX_ZONE_BYTES
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-/".contains(&byte))
}

/// A schedule, as it is sent.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "Schedule"))]
pub(super) struct ScheduleJson<'a> {
    /// Names it within its account.
    name: &'a ResourceName,
    /// When it is due.
    cron: &'a str,
    /// The zone of these times.
    timezone: &'a str,
    /// What is asked.
    query: &'a str,
    /// The conversation that goes on, or `new` for one with each run.
    conversation: &'a str,
    /// What becomes of a run that was missed.
    missed: Missed,
    /// Whether it runs by itself.
    enabled: bool,
    /// Why it is paused until it is written again: `failures`; absent if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    paused: Option<&'a str>,
    /// Runs that failed in a row.
    failures: u32,
    /// Its next five due times; none if it is disabled or paused.
    next_runs: &'a [Millis],
    /// What is asked of the agent, as in a query; what is not set is absent.
    #[cfg_attr(test, schemars(with = "serde_json::Map<String, serde_json::Value>"))]
    options: &'a TurnOptions,
    /// When it was made.
    created_at: Millis,
    /// When it was last written.
    updated_at: Millis,
}

impl<'a> ScheduleJson<'a> {
    fn of(shown: &'a ShownSchedule) -> Self {
        let ShownSchedule { schedule, next_runs } = shown;
        Self {
            name: &schedule.name,
            cron: &schedule.cron,
            timezone: &schedule.timezone,
            query: &schedule.query,
            conversation: schedule.session_id.as_ref().map_or(NEW, SessionId::as_str),
            missed: schedule.missed,
            enabled: schedule.enabled,
            paused: schedule.paused.as_deref(),
            failures: schedule.failures,
            next_runs,
            options: &schedule.options,
            created_at: schedule.created_at,
            updated_at: schedule.updated_at,
        }
    }
}

/// A run that somebody asked for.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "StartedRun"))]
pub(super) struct StartedJson<'a> {
    /// The turn, for `GET /turns/{turn_id}`.
    turn_id: &'a TurnId,
    /// Its conversation.
    session_id: &'a SessionId,
    /// When it was asked for.
    scheduled_at: Millis,
}

impl<J> Answer<J> {
    pub(super) fn of_schedules(reply: &SchedulesReply) -> Self {
        match reply {
            SchedulesReply::List(all) => Self::json(200, &all.iter().map(ScheduleJson::of).collect::<Vec<_>>()),
            SchedulesReply::One(shown) => Self::json(200, &ScheduleJson::of(shown)),
            SchedulesReply::Deleted => Self::success(),
            SchedulesReply::Started { turn_id, session_id, scheduled_at } => {
                let started = StartedJson { turn_id, session_id, scheduled_at: *scheduled_at };
                Self::json(202, &started).with("location", format!("/turns/{turn_id}"))
            }
            SchedulesReply::Runs(runs) => Self::json(200, runs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::{Asked, parse};
    use super::*;

    fn asked(method: &str, path: &str, body: &str) -> Result<Command, ApiError> {
        let config = Config::parse(|name| (name == "ANTHROPIC_API_KEY").then(|| "sk-ant-key".to_owned())).unwrap();
        let header = |name: &str| (name == "content-type").then(|| "application/json".to_owned());
        let head = Head { method, url: &format!("http://localhost{path}"), header: &header, now: Millis::new(0) };
        let Ok(Asked::WithBody(pending)) = parse(&head, &config) else { panic!() };
        pending.with_body(Some(body.as_bytes())).map(|(_, command)| command)
    }

    fn set(body: &str) -> Result<SetSchedule, ApiError> {
        match asked("PUT", "/schedules/daily", body)? {
            Command::Schedules(SchedulesCommand::Set(set)) => Ok(*set),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_schedule_is_read_with_its_fields() {
        let read = set(
            r#"{"cron":"0 9 * * mon-fri","timezone":"Europe/Berlin","query":"hi","conversation":"s","missed":"run_once",
                "enabled":false,"model":"m","max_turns":3}"#,
        )
        .unwrap();
        assert_eq!(
            (read.name.as_str(), read.cron.as_str(), read.timezone.as_str()),
            ("daily", "0 9 * * mon-fri", "Europe/Berlin")
        );
        assert_eq!((read.missed, read.enabled, read.options.max_turns), (Missed::RunOnce, false, Some(3)));
        assert_eq!(read.session_id.unwrap().as_str(), "s");
        let least = set(r#"{"cron":"0 9 * * *","prompt":"hi","conversation":"new"}"#).unwrap();
        assert_eq!((least.timezone.as_str(), least.missed, least.enabled), ("UTC", Missed::Skip, true));
        assert_eq!(least.session_id, None);
    }

    #[test]
    fn what_breaks_a_rule_is_named() {
        for (fields, part) in [
            (r#""query":"hi""#, "cron: five fields"),
            (r#""cron":"@daily","query":"hi""#, "cron: five fields"),
            (r#""cron":"0 9 * * *""#, "No prompt"),
            (r#""cron":"0 9 * * *","query":"hi","timezone":"+01:00""#, "timezone: the name"),
            (r#""cron":"0 9 * * *","query":"hi","timezone":"../etc""#, "timezone: the name"),
            (r#""cron":"0 9 * * *","query":"hi","missed":"all""#, "missed: one of skip, run_once"),
            (r#""cron":"0 9 * * *","query":"hi","enabled":1"#, "enabled: true or false"),
            (r#""cron":"0 9 * * *","query":"hi","effort":"some""#, "effort: one of"),
        ] {
            let refused = set(&format!("{{{fields}}}")).unwrap_err().detail;
            assert!(refused.starts_with(part), "{fields}: {refused}");
        }
        let long = format!(r#"{{"cron":"0 9 * * *","query":"{}"}}"#, "x".repeat(MAX_SCHEDULE_PROMPT_BYTES + 1));
        assert!(set(&long).unwrap_err().detail.contains("at most 65536 bytes"));
    }

    #[test]
    fn what_it_asks_is_refused_as_a_query_is() {
        for fields in [
            r#""query":" ""#,
            r#""query":7"#,
            r#""query":"hi","model":"no model""#,
            r#""query":"hi","effort":"some""#,
            r#""query":"hi","thinking":"some""#,
            r#""query":"hi","when_busy":"some""#,
            r#""query":"hi","max_turns":0"#,
            r#""query":"hi","system_prompt":7"#,
            r#""query":"hi","metadata":{"a":7}"#,
            r#""query":"hi","output_schema":{"type":"array"}"#,
            r#""query":"hi","output_schema":{"type":"object","required":"a"}"#,
            r#""query":"hi","tools":[{"name":"a b","description":"","input_schema":{}}]"#,
            r#""query":"hi","tools":[{"name":"a","description":"","input_schema":{}}]"#,
            r#""query":"hi","permissions":{"ask":["two words"]}"#,
            r#""query":"hi","permission_mode":"default""#,
            r#""query":"hi","questions":"yes""#,
        ] {
            let of_query = asked("POST", "/query", &format!("{{{fields}}}")).unwrap_err();
            let refused = set(&format!("{{\"cron\":\"0 9 * * *\",{fields}}}")).unwrap_err();
            assert_eq!((refused.code, refused.detail), (of_query.code, of_query.detail), "{fields}");
        }
        let of_query = asked("POST", "/query", r#"{"query":"hi","session_id":"-x"}"#).unwrap_err();
        let refused = set(r#"{"cron":"0 9 * * *","query":"hi","conversation":"-x"}"#).unwrap_err();
        assert_eq!((refused.code, refused.detail), (of_query.code, of_query.detail));
    }
}
