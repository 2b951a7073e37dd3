//! The operations of webhooks and schedules, as `operations` has the others.

use serde_json::json;

use super::super::document::SuccessJson;
use super::super::schedules::{DEFAULT_RUNS, MAX_RUNS, ScheduleJson, StartedJson};
use super::super::webhooks::{DEFAULT_DELIVERIES, MAX_DELIVERIES, QueuedJson};
use super::operations::{TURN_ID, bodiless, list_of, only, parameter, responds};
use super::schemas::{ScheduleRequest, WebhookRequest};
use super::{Body, Described, Schemas};
use crate::domain::schedule::ScheduleRun;
use crate::domain::webhook::Delivery;
use crate::domain::{Webhook, WebhookEventId};

const EVENT_ID: &str = "evt_01a202feb07b753ebcc7ee3525df0aa1";
const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn webhook() -> serde_json::Value {
    json!({"name": "crm", "url": "https://hooks.example.com/agent", "types": ["turn.completed", "turn.failed"], "include": [],
        "enabled": true, "created_at": 1_795_346_575_482_i64, "updated_at": 1_795_346_575_482_i64})
}

pub(in crate::api) fn list_webhooks(schemas: &mut Schemas) -> Described {
    let schema = list_of::<Webhook>(schemas);
    only(responds(200, "All webhooks, by name.", &schema, json!([webhook()])))
}

pub(in crate::api) fn read_webhook(schemas: &mut Schemas) -> Described {
    only(responds(200, "The webhook.", &schemas.sent::<Webhook>(), webhook()))
}

pub(in crate::api) fn set_webhook(schemas: &mut Schemas) -> Described {
    let mut example = webhook();
    example["secret"] = SECRET.into();
    let body = Body::Json {
        schema: schemas.taken::<WebhookRequest>(),
        example: json!({"url": "https://hooks.example.com/agent", "types": ["turn.completed", "turn.failed"]}),
        required: true,
    };
    Described {
        body: Some(body),
        ..only(responds(200, "The webhook as it is now.", &schemas.sent::<Webhook>(), example))
    }
}

pub(in crate::api) fn delete_webhook(schemas: &mut Schemas) -> Described {
    let schema = schemas.sent::<SuccessJson>();
    bodiless(schemas, responds(200, "It is gone, or was not there.", &schema, json!({"success": true})))
}

pub(in crate::api) fn test_webhook(schemas: &mut Schemas) -> Described {
    let schema = schemas.sent::<QueuedJson<'static>>();
    bodiless(schemas, responds(202, "The event is being sent.", &schema, json!({"event_id": EVENT_ID})))
}

pub(in crate::api) fn list_deliveries(schemas: &mut Schemas) -> Described {
    let example = json!([{"event_id": EVENT_ID, "type": "turn.completed", "status": "pending", "attempts": 1,
        "created_at": 1_795_346_575_610_i64, "next_attempt_at": 1_795_346_580_702_i64, "ended_at": null, "last_status": 503,
        "last_error": null, "session_id": "sums", "turn_id": TURN_ID}]);
    let limit = json!({"type": "integer", "minimum": 1, "maximum": MAX_DELIVERIES, "default": DEFAULT_DELIVERIES});
    let before = schemas.taken::<WebhookEventId>().to_value();
    let list = list_of::<Delivery>(schemas);
    Described {
        parameters: vec![
            parameter("query", "limit", &limit, "Most deliveries of a page."),
            parameter("query", "before", &before, "Only deliveries before this one."),
        ],
        ..only(responds(200, "A page of deliveries.", &list, example).with_headers(&["Link"]))
    }
}

pub(in crate::api) fn redeliver(schemas: &mut Schemas) -> Described {
    let schema = schemas.sent::<QueuedJson<'static>>();
    bodiless(schemas, responds(202, "The event is being sent.", &schema, json!({"event_id": EVENT_ID})))
}

fn schedule() -> serde_json::Value {
    json!({"name": "report", "cron": "0 9 * * mon-fri", "timezone": "Europe/Berlin", "query": "Write the report of the day.",
        "conversation": "new", "missed": "skip", "enabled": true, "failures": 0, "next_runs": [1_795_420_800_000_i64],
        "options": {"max_turns": 20}, "created_at": 1_795_346_575_482_i64, "updated_at": 1_795_346_575_482_i64})
}

pub(in crate::api) fn list_schedules(schemas: &mut Schemas) -> Described {
    let schema = list_of::<ScheduleJson<'static>>(schemas);
    only(responds(200, "All schedules, by name.", &schema, json!([schedule()])))
}

pub(in crate::api) fn read_schedule(schemas: &mut Schemas) -> Described {
    only(responds(200, "The schedule.", &schemas.sent::<ScheduleJson<'static>>(), schedule()))
}

pub(in crate::api) fn set_schedule(schemas: &mut Schemas) -> Described {
    let example = json!({"cron": "0 9 * * mon-fri", "timezone": "Europe/Berlin", "query": "Write the report of the day.",
        "max_turns": 20});
    let body = Body::Json { schema: schemas.taken::<ScheduleRequest>(), example, required: true };
    let schema = schemas.sent::<ScheduleJson<'static>>();
    Described { body: Some(body), ..only(responds(200, "The schedule as it is now.", &schema, schedule())) }
}

pub(in crate::api) fn delete_schedule(schemas: &mut Schemas) -> Described {
    let schema = schemas.sent::<SuccessJson>();
    bodiless(schemas, responds(200, "It is gone, or was not there.", &schema, json!({"success": true})))
}

pub(in crate::api) fn run_schedule(schemas: &mut Schemas) -> Described {
    let schema = schemas.sent::<StartedJson<'static>>();
    let example = json!({"turn_id": TURN_ID, "session_id": "sums", "scheduled_at": 1_795_346_575_482_i64});
    bodiless(
        schemas,
        responds(202, "The turn is stored and runs by itself.", &schema, example).with_headers(&["Location"]),
    )
}

pub(in crate::api) fn list_runs(schemas: &mut Schemas) -> Described {
    let example = json!([{"scheduled_at": 1_795_420_800_000_i64, "turn_id": TURN_ID, "session_id": "sums",
        "status": "completed", "failure": null}]);
    let limit = json!({"type": "integer", "minimum": 1, "maximum": MAX_RUNS, "default": DEFAULT_RUNS});
    let list = list_of::<ScheduleRun>(schemas);
    Described {
        parameters: vec![parameter("query", "limit", &limit, "Most runs.")],
        ..only(responds(200, "The latest runs.", &list, example))
    }
}
