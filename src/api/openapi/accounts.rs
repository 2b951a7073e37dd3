//! The operations about accounts as a whole.

use serde_json::{Value, json};

use super::super::accounts::{self, ErasureBegunJson};
use super::super::fleet::FleetJson;
use super::super::managed::ImportedJson;
use super::super::tokens::TokenJson;
use super::super::usage::{self, UsageJson};
use super::operations::{list_of, only, parameter, responds};
use super::schemas::{AccountChangeRequest, TokenRequest};
use super::{Body, Described, Schemas};
use crate::domain::account::{AccountStatus, Erasure, ListedAccount, Overview};
use crate::domain::audit::AuditEntry;
use crate::domain::ledger::{Day, Group};
use crate::domain::{Millis, SessionId};

pub(in crate::api) fn read_usage(schemas: &mut Schemas) -> Described {
    let spent = |more: Value| {
        let mut spent = json!({"input_tokens": 410, "output_tokens": 8, "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 0, "cost_usd": 0.0018});
        if let (Value::Object(spent), Value::Object(more)) = (&mut spent, more) {
            spent.extend(more);
        }
        spent
    };
    let row = |key: Value| {
        let mut row = spent(json!({"turns": 1, "model_calls": 2, "reported": spent(json!({}))}));
        if let (Value::Object(row), Value::Object(key)) = (&mut row, key) {
            row.extend(key);
        }
        row
    };
    let example = json!({"from": "2026-11-01", "to": "2026-11-22", "group": "day", "rows": [row(json!({"day": "2026-11-22"}))],
        "total": row(json!({}))});
    let mut report = responds(200, "What was used.", &schemas.sent::<UsageJson<'static>>(), example);
    report.content["text/csv"] = json!({});
    let day = schemas.taken::<Day>().to_value();
    let limit = json!({"type": "integer", "minimum": 1, "maximum": usage::MAX_ROWS, "default": usage::DEFAULT_ROWS});
    let group = schemas.taken::<Group>().to_value();
    let cursor = schemas.taken::<SessionId>().to_value();
    Described {
        parameters: vec![
            parameter("query", "from", &day, "The first day. Default: the first of the month of `to`."),
            parameter("query", "to", &day, "The last day, at most 366 days from the first. Default: today."),
            parameter("query", "group", &group, "By what it is summed. Default: `day`."),
            parameter("query", "limit", &limit, "Most rows."),
            parameter("query", "cursor", &cursor, "Where the page starts, by conversation; from a `Link` header."),
        ],
        ..only(report.with_headers(&["Link"]))
    }
}

fn account_example() -> Value {
    let spent = json!({"input_tokens": 410, "output_tokens": 8, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0,
        "cost_usd": 0.0018});
    json!({"account_id": "acme", "status": "active", "reason": null, "limits": {"usd_per_day": 5.0, "usd_per_month": null,
        "turns_per_day": null, "tokens_per_day": null, "storage_bytes": null, "queued_turns": 32, "concurrency": 1},
        "set_limits": {"usd_per_day": 5.0}, "retention_days": 30, "metadata": {"plan": "pro"}, "conversations": 2, "turns_open": 0,
        "usage": {"today": spent, "month": spent}, "bytes": {"database": 61_440, "files": 1_204}, "container": "stopped",
        "last_active_day": "2026-11-22"})
}

const ERASURE_ID: &str = "erasure_01a202feb07b753ebcc7ee3525df0aa1";

pub(in crate::api) fn list_accounts(schemas: &mut Schemas) -> Described {
    let example = json!([{"account_id": "acme", "status": "active", "created_at": 1_795_346_575_482_i64,
        "last_active_at": 1_795_346_575_482_i64, "container": "stopped"}]);
    let limit = json!({"type": "integer", "minimum": 1, "maximum": accounts::MAX_ACCOUNTS, "default": accounts::DEFAULT_ACCOUNTS});
    let (status, at) = (schemas.taken::<AccountStatus>().to_value(), schemas.taken::<Millis>().to_value());
    let list = list_of::<ListedAccount>(schemas);
    Described {
        parameters: vec![
            parameter("query", "limit", &limit, "Most accounts of a page."),
            parameter("query", "status", &status, "Only accounts of this status."),
            parameter("query", "active_since", &at, "Only accounts that ran a turn since, to a day."),
            parameter("query", "cursor", &json!({"type": "string"}), "Where the page starts; from a `Link` header."),
        ],
        ..only(responds(200, "A page of accounts.", &list, example).with_headers(&["Link"]))
    }
}

pub(in crate::api) fn list_accounts_usage(schemas: &mut Schemas) -> Described {
    let spent = json!({"input_tokens": 410, "output_tokens": 8, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0,
        "cost_usd": 0.0018});
    let mut row = json!({"account_id": "acme", "turns": 1, "model_calls": 2, "reported": spent, "container_seconds": 631,
        "stored_bytes": 62_644});
    if let (Value::Object(row), Value::Object(spent)) = (&mut row, spent) {
        row.extend(spent);
    }
    let limit =
        json!({"type": "integer", "minimum": 1, "maximum": accounts::MAX_USAGES, "default": accounts::MAX_USAGES});
    let day = schemas.taken::<Day>().to_value();
    let list = list_of::<usage::AccountUsageJson<'static>>(schemas);
    Described {
        parameters: vec![
            parameter("query", "day", &day, "The day. Default: today."),
            parameter("query", "limit", &limit, "Most accounts of a page."),
            parameter("query", "cursor", &json!({"type": "string"}), "Where the page starts; from a `Link` header."),
        ],
        ..only(responds(200, "A page of accounts and what each has used.", &list, json!([row])).with_headers(&["Link"]))
    }
}

pub(in crate::api) fn read_account(schemas: &mut Schemas) -> Described {
    only(responds(200, "The account.", &schemas.sent::<Overview>(), account_example()))
}

pub(in crate::api) fn change_account(schemas: &mut Schemas) -> Described {
    let body = Body::Json {
        schema: schemas.taken::<AccountChangeRequest>(),
        example: json!({"status": "suspended", "reason": "The invoice of October is open.", "limits": {"usd_per_day": 5}}),
        required: true,
    };
    Described { body: Some(body), ..read_account(schemas) }
}

pub(in crate::api) fn erase_account(schemas: &mut Schemas) -> Described {
    let keep = json!({"type": "boolean", "default": false});
    let schema = schemas.sent::<ErasureBegunJson<'static>>();
    Described {
        parameters: vec![parameter(
            "query",
            "keep_account",
            &keep,
            "Whether what is set of the account and what it has used stay.",
        )],
        ..only(responds(202, "The erasure goes on.", &schema, json!({"erasure_id": ERASURE_ID})))
    }
}

pub(in crate::api) fn erase_own_account(schemas: &mut Schemas) -> Described {
    let schema = schemas.sent::<ErasureBegunJson<'static>>();
    only(responds(202, "The erasure goes on.", &schema, json!({"erasure_id": ERASURE_ID})))
}

pub(in crate::api) fn read_fleet(schemas: &mut Schemas) -> Described {
    let example = json!({"accounts": {"reporting": 3, "at_work": 1}, "turns": {"running": 1, "queued": 0},
        "containers": {"running": 2, "starting": 0, "failed": 0}, "versions": {"0.1.0": 3},
        "last_hour": {"turns": 40, "completed": 38, "cancelled": 1, "failed": 1, "interrupted": 0, "error_rate": 0.025,
            "codes": {"turn_cancelled": 1, "turn_timeout": 1}}});
    only(responds(200, "All accounts.", &schemas.sent::<FleetJson>(), example))
}

pub(in crate::api) fn list_audit(schemas: &mut Schemas) -> Described {
    let example = json!([{"at": 1_795_346_575_482_i64, "actor": "key:billing", "action": "change_account", "target": "acme",
        "request_id": "req_01a202feb07b753ebcc7ee3525df0aa1"}]);
    let limit = json!({"type": "integer", "minimum": 1, "maximum": accounts::MAX_ACCOUNTS, "default": accounts::DEFAULT_ACCOUNTS});
    let list = list_of::<AuditEntry>(schemas);
    Described {
        parameters: vec![
            parameter("query", "limit", &limit, "Most entries of a page."),
            parameter("query", "cursor", &json!({"type": "string"}), "Where the page starts; from a `Link` header."),
        ],
        ..only(responds(200, "A page of the audit.", &list, example).with_headers(&["Link"]))
    }
}

pub(in crate::api) fn make_token(schemas: &mut Schemas) -> Described {
    let body = Body::Json {
        schema: schemas.taken::<TokenRequest>(),
        example: json!({"account_id": "acme", "expires_in": 3600}),
        required: true,
    };
    let example = json!({"token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhY21lIn0.c2lnbmVk", "account_id": "acme",
        "expires_at": 1_795_350_175_000_i64});
    Described { body: Some(body), ..only(responds(201, "The token.", &schemas.sent::<TokenJson>(), example)) }
}

pub(in crate::api) fn read_erasure(schemas: &mut Schemas) -> Described {
    let example = json!({"erasure_id": ERASURE_ID, "status": "done", "requested_at": 1_795_346_575_482_i64,
        "erased_at": 1_795_346_577_101_i64, "counts": {"conversations": 2, "messages": 6, "turns": 3, "database_bytes": 61_440,
        "files_bytes": 1_204}});
    only(responds(200, "The receipt.", &schemas.sent::<Erasure>(), example))
}

pub(in crate::api) fn export(schemas: &mut Schemas) -> Described {
    let cursor = schemas.taken::<SessionId>().to_value();
    let mut lines = responds(200, "The lines.", &schemas.sent::<ImportedJson>(), json!({"conversations": 1}));
    lines.content = json!({"application/x-ndjson": {}});
    Described {
        parameters: vec![
            parameter("query", "cursor", &cursor, "Where the export starts: after this conversation."),
            parameter(
                "query",
                "files",
                &json!({"enum": ["list", "inline"], "default": "list"}),
                "Whether files come with their bytes.",
            ),
        ],
        ..only(lines)
    }
}

pub(in crate::api) fn import(schemas: &mut Schemas) -> Described {
    let schema = schemas.sent::<ImportedJson>();
    let resume = json!({"type": "boolean", "default": false});
    let what = "Whether conversations that are there are passed over, and one that is not whole at the end stays for the next request.";
    Described {
        body: Some(Body::Bytes),
        parameters: vec![parameter("query", "resume", &resume, what)],
        ..only(responds(200, "How many conversations were imported.", &schema, json!({"conversations": 12})))
    }
}
