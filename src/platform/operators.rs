//! What operators ask of the directory: which accounts there are, and their erasure.

use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::{StreamExt, stream};
use worker::Env;
use worker::wasm_bindgen::JsValue;

use super::bindings::Js;
use super::purge_cron::{self, AllShards};
use super::{http, runtime, stub};
use crate::api::accounts::{Audited, ErasureBegunJson, OperatorAsks, next, next_audit, next_usage};
use crate::api::answer::Answer;
use crate::api::fleet::FleetJson;
use crate::api::problem::ApiError;
use crate::api::usage;
use crate::config::Config;
use crate::digest;
use crate::directory::command::DirectoryError;
use crate::directory::{VISITS_AT_ONCE, shards};
use crate::domain::audit::AuditEntry;
use crate::domain::ledger::Day;
use crate::domain::{AccountId, ErasureId, Millis, RequestId};
use crate::log::{Level, Line};

/// How long an account may take to tell what it has used.
const USAGE_LIMIT: Duration = Duration::from_secs(15);

/// Writes a change into the audit; the refusal if that fails: no change goes without.
pub async fn audit(env: &Env, config: &Config, audited: Audited, at: Millis, request_id: &RequestId) -> Option<Js> {
    let Audited { actor, action, target } = audited;
    let entry = AuditEntry { at, actor, action, target, request_id: request_id.clone() };
    match shards::add_audit(&AllShards(env), config.directory_shards, entry).await {
        Ok(()) => None,
        Err(error) => Some(http::response(purge_cron::failed(&error, request_id), request_id)),
    }
}

/// Answers what is asked of the directory.
pub async fn answer(env: &Env, config: &Config, asks: OperatorAsks, request_id: &RequestId) -> Js {
    let answer = ask(&AllShards(env), config.directory_shards, asks, request_id).await;
    http::response(answer.unwrap_or_else(|error| purge_cron::failed(&error, request_id)), request_id)
}

/// What an account has used in a day, as its own report; none if it does not answer in time.
async fn usage_of(env: &Env, account_id: &AccountId, day: Day) -> Option<String> {
    let limit = runtime::sleep(USAGE_LIMIT);
    let why = match select(Box::pin(stub::usage(env, account_id, day)), Box::pin(limit)).await {
        Either::Left((Ok(report), _)) => return Some(report),
        Either::Left((Err(error), _)) => error.0,
        Either::Right(_) => "no answer in time".to_owned(),
    };
    let account = digest::account(account_id.as_str());
    let line = Line { event: "usage_not_read", account: Some(&account), error: Some(&why), ..Line::default() };
    runtime::log(Level::Warn, &line);
    None
}

async fn ask(
    port: &AllShards<'_>,
    shards: u32,
    asks: OperatorAsks,
    request_id: &RequestId,
) -> Result<Answer<JsValue>, DirectoryError> {
    Ok(match asks {
        OperatorAsks::List(shard, filter) => {
            let (accounts, place) = shards::list_accounts(port, shards, (shard, filter.clone())).await?;
            let answer = Answer::json(200, &accounts);
            match place {
                Some(place) => answer.with("link", next(&filter, &place)),
                None => answer,
            }
        }
        OperatorAsks::Fleet => Answer::json(200, &FleetJson::of(shards::fleet(port, shards).await?)),
        OperatorAsks::Usage(shard, filter, day) => {
            let limit = filter.limit;
            let (accounts, place) = shards::list_accounts(port, shards, (shard, filter)).await?;
            let rows: Vec<_> = stream::iter(accounts)
                .map(|account| async move {
                    let report = usage_of(port.0, &account.account_id, day).await;
                    usage::of_account(&account.account_id, report.as_deref())
                })
                .buffered(VISITS_AT_ONCE)
                .collect()
                .await;
            let rows: Vec<String> = rows.into_iter().flatten().collect();
            let answer = Answer::written(format!("[{}]", rows.join(",")));
            match place {
                Some(place) => answer.with("link", next_usage(day, limit, &place)),
                None => answer,
            }
        }
        OperatorAsks::Erase { account_id, keep_account, .. } => {
            let erasure_id = ErasureId::new(runtime::uuid());
            let erasure_id = shards::erase(port, shards, (erasure_id, account_id), keep_account).await?;
            Answer::json(202, &ErasureBegunJson { erasure_id: &erasure_id })
        }
        OperatorAsks::ListAudit(place, limit) => {
            let (entries, place) = shards::list_audit(port, shards, place, limit).await?;
            let answer = Answer::json(200, &entries);
            match place {
                Some(place) => answer.with("link", next_audit(limit, place)),
                None => answer,
            }
        }
        OperatorAsks::ReadErasure(erasure_id) => match shards::erasure(port, shards, erasure_id).await? {
            Some(erasure) => Answer::json(200, &erasure),
            None => Answer::refusal(&ApiError::not_found(), request_id),
        },
    })
}
