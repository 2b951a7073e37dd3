//! Accounts as their operator runs them: which are listed, what is changed of one, and where the list goes on.

use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::{Map, Value};

use super::body::{Fields, Head, is_deeper, need_json, not_json};
use super::links;
use super::parameters::{number, parameter};
use super::problem::{ApiError, Code};
use super::query::Target;
use super::{update, usage};
use crate::account::command::Command;
use crate::account::manage::command::ManageCommand;
use crate::domain::account::{AccountChange, AccountFilter, AccountStatus, MAX_REASON_CHARS, RETENTION_DAYS};
use crate::domain::audit::AuditAction;
use crate::domain::ledger::Day;
use crate::domain::limits::{SETTABLE, SetLimits};
use crate::domain::{AccountId, ErasureId, Millis};

/// Accounts of a page, if the request does not say how many; and the most.
pub(super) const DEFAULT_ACCOUNTS: u32 = 100;
pub(super) const MAX_ACCOUNTS: u32 = 100;
/// Accounts of a page of what they have used: each is asked.
pub(super) const MAX_USAGES: u32 = 50;
/// Longest change, in bytes.
const MAX_CHANGE_BYTES: usize = 256 * 1024;
/// Longest `limits` of a change, in bytes.
const MAX_LIMITS_BYTES: usize = 2 * 1024;
/// The value of a limit that is the one of all accounts again, as it is written.
const DEFAULT: &str = "\"default\"";
const FIELDS: &[&str] = &["status", "reason", "limits", "retention_days", "metadata"];

/// What is asked of the directory.
#[derive(Debug)]
pub enum OperatorAsks {
    /// `GET /accounts`: which, and in which shard the page begins.
    List(u32, AccountFilter),
    /// `GET /fleet`.
    Fleet,
    /// `GET /accounts/usage`: of which accounts, in which shard the page begins, and the day.
    Usage(u32, AccountFilter, Day),
    /// `DELETE /accounts/{id}`, `DELETE /account`.
    Erase {
        /// Whose data.
        account_id: AccountId,
        /// Whether the account itself stays.
        keep_account: bool,
        /// Whether the account asks for it itself: one that is suspended may not.
        by_itself: bool,
    },
    /// `GET /erasures/{id}`.
    ReadErasure(ErasureId),
    /// `GET /audit`: where the page begins, by shard and number, and how many entries it has.
    ListAudit((u32, i64), u32),
}

/// A change that is written into the audit before it is carried out.
#[derive(Debug)]
pub struct Audited {
    /// Who asks.
    pub actor: String,
    /// For what.
    pub action: AuditAction,
    /// The account that it is about, as far as the URL says.
    pub target: Option<AccountId>,
}

/// Reads which accounts are listed.
pub(super) fn list(target: &Target<'_>) -> Result<OperatorAsks, ApiError> {
    let limit = number(target, "limit", DEFAULT_ACCOUNTS, 1..=MAX_ACCOUNTS, "a number from 1 to 100")?;
    let status = parameter(target, "status")?
        .map(|word| AccountStatus::parse(&word).ok_or_else(|| ApiError::parameter("status", "active or suspended")));
    let active_since = parameter(target, "active_since")?.map(|text| {
        let ms = text.parse().ok().filter(|ms| *ms >= 0);
        ms.map(Millis::new).ok_or_else(|| ApiError::parameter("active_since", "milliseconds since the epoch"))
    });
    let (shard, after) = place(target)?;
    let filter = AccountFilter { after, limit, status: status.transpose()?, active_since: active_since.transpose()? };
    Ok(OperatorAsks::List(shard, filter))
}

/// The shard and the account behind which a page begins.
fn place(target: &Target<'_>) -> Result<(u32, String), ApiError> {
    let Some(cursor) = parameter(target, "cursor")? else { return Ok((0, String::new())) };
    let place = cursor.split_once('.').and_then(|(shard, after)| Some((shard.parse().ok()?, after.to_owned())));
    let fits = |place: &(u32, String)| place.1.is_empty() || AccountId::try_from(place.1.clone()).is_ok();
    place.filter(fits).ok_or_else(|| ApiError::parameter("cursor", "one that a Link header gave"))
}

/// Reads of which accounts it is asked what they have used in a day. A turn that began the day before may have called the model in it.
pub(super) fn usage(target: &Target<'_>, now: Millis) -> Result<OperatorAsks, ApiError> {
    let limit = number(target, "limit", MAX_USAGES, 1..=MAX_USAGES, "a number from 1 to 50")?;
    let day = usage::day(target, "day", Day::of(now))?;
    let (shard, after) = place(target)?;
    let filter = AccountFilter { after, limit, status: None, active_since: Some(day.plus(-1).start()) };
    Ok(OperatorAsks::Usage(shard, filter, day))
}

/// Where the list of what accounts have used goes on.
#[must_use]
pub fn next_usage(day: Day, limit: u32, (shard, after): &(u32, String)) -> String {
    links::next_accounts_usage(day, limit, &format!("{shard}.{after}"))
}

/// Where the list of accounts goes on.
#[must_use]
pub fn next(filter: &AccountFilter, (shard, after): &(u32, String)) -> String {
    links::next_accounts(filter, &format!("{shard}.{after}"))
}

/// Reads which entries of the audit are listed.
pub(super) fn audit(target: &Target<'_>) -> Result<OperatorAsks, ApiError> {
    let limit = number(target, "limit", DEFAULT_ACCOUNTS, 1..=MAX_ACCOUNTS, "a number from 1 to 100")?;
    let place = parameter(target, "cursor")?.map_or(Ok((0, i64::MAX)), |cursor| {
        let place = cursor.split_once('.').and_then(|(shard, seq)| Some((shard.parse().ok()?, seq.parse().ok()?)));
        place.ok_or_else(|| ApiError::parameter("cursor", "one that a Link header gave"))
    });
    Ok(OperatorAsks::ListAudit(place?, limit))
}

/// Where the audit goes on.
#[must_use]
pub fn next_audit(limit: u32, (shard, before): (u32, i64)) -> String {
    links::next_audit(limit, &format!("{shard}.{before}"))
}

/// An erasure that was begun.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "ErasureBegun"))]
pub struct ErasureBegunJson<'a> {
    /// Names it in `GET /erasures/{erasure_id}`.
    pub erasure_id: &'a ErasureId,
}

/// `PATCH /accounts/{id}` without its body.
#[derive(Debug)]
pub struct ChangeHead(AccountId);

impl ChangeHead {
    /// Parses what can be parsed without the body.
    pub(super) fn parse(head: &Head<'_>, account_id: AccountId) -> Result<Self, ApiError> {
        need_json(head)?;
        Ok(Self(account_id))
    }

    /// Parses the body and makes the command of it.
    pub(super) fn with_body(self, body: Option<&[u8]>) -> Result<(AccountId, Command), ApiError> {
        let too_large = || ApiError::new(Code::BodyTooLarge, "A change has at most 262144 bytes.");
        let body = body.filter(|body| body.len() <= MAX_CHANGE_BYTES).ok_or_else(too_large)?;
        let fields = Fields::of(body, FIELDS)?;
        let status = fields.text("status", 16, Code::InvalidParameter)?.map(|word| {
            AccountStatus::parse(&word).ok_or_else(|| ApiError::parameter("status", "active or suspended"))
        });
        let status = status.transpose()?;
        let reason = fields.text("reason", 4 * MAX_REASON_CHARS, Code::InvalidParameter)?;
        let is_reason = |text: &String| text.chars().count() <= MAX_REASON_CHARS && !text.contains(char::is_control);
        if reason.as_ref().is_some_and(|reason| !is_reason(reason) || status != Some(AccountStatus::Suspended)) {
            let rule = "at most 200 characters without control characters, with the status suspended";
            return Err(ApiError::parameter("reason", rule));
        }
        let ((limits, taken_back), clears_limits) = match fields.written("limits") {
            None => Default::default(),
            Some("null") => (Default::default(), true),
            Some(raw) => (limits(raw)?, false),
        };
        let retention_days = match fields.written("retention_days") {
            None => None,
            Some("null") => Some(0),
            Some(raw) => {
                let days = raw.parse().ok().filter(|days| RETENTION_DAYS.contains(days));
                Some(days.ok_or_else(|| ApiError::parameter("retention_days", "a number from 1 to 36500, or null"))?)
            }
        };
        let metadata = fields.written("metadata").map(update::metadata).transpose()?;
        let change = AccountChange { status, reason, limits, clears_limits, taken_back, retention_days, metadata };
        Ok((self.0, Command::Manage(ManageCommand::Change(Box::new(change)))))
    }
}

/// The limits that are set, and the names of those that are taken back.
fn limits(raw: &str) -> Result<(SetLimits, Vec<String>), ApiError> {
    let rule = "an object of limits, each a number, null or \"default\"";
    if raw.len() > MAX_LIMITS_BYTES || !raw.starts_with('{') || is_deeper(raw, 1) {
        return Err(ApiError::parameter("limits", rule));
    }
    let (set, taken_back) = if raw.contains(DEFAULT) { without_defaults(raw)? } else { (raw.to_owned(), Vec::new()) };
    let limits: SetLimits = serde_json::from_str(&set)
        .map_err(|error| if error.is_data() { ApiError::parameter("limits", rule) } else { not_json(&error) })?;
    limits.check().map_err(|(name, rule)| ApiError::parameter(name, rule))?;
    Ok((limits, taken_back))
}

/// An object of limits without those that are to be the default, and the names of these.
fn without_defaults(raw: &str) -> Result<(String, Vec<String>), ApiError> {
    let fields = Fields::of(raw.as_bytes(), &SETTABLE)?;
    let mut set: Map<String, Value> = serde_json::from_str(raw).map_err(|error| not_json(&error))?;
    let is_default = |name: &&str| fields.written(name) == Some(DEFAULT);
    let taken_back: Vec<String> = SETTABLE.into_iter().filter(is_default).map(str::to_owned).collect();
    for name in &taken_back {
        set.remove(name);
    }
    Ok((Value::Object(set).to_string(), taken_back))
}

/// The account of a path.
pub(super) fn account(segment: &str) -> Result<AccountId, ApiError> {
    let text = percent_decode_str(segment).decode_utf8();
    let text = text.map_err(|_| ApiError::new(Code::InvalidAccount, "account_id: percent-encoded UTF-8"))?;
    super::body::account(text.into_owned())
}

/// The erasure of a path. An id that is none names no erasure.
pub(super) fn erasure(segment: &str) -> Result<ErasureId, ApiError> {
    let text = percent_decode_str(segment).decode_utf8_lossy().into_owned();
    text.try_into().map_err(|_| ApiError::not_found())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(parameters: &str) -> Result<(u32, AccountFilter), String> {
        match list(&Target::of(&format!("https://a.example/accounts?{parameters}"))) {
            Ok(OperatorAsks::List(shard, filter)) => Ok((shard, filter)),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.detail),
        }
    }

    fn change(body: &str) -> Result<AccountChange, String> {
        match ChangeHead("zoë".parse().unwrap()).with_body(Some(body.as_bytes())) {
            Ok((_, Command::Manage(ManageCommand::Change(change)))) => Ok(*change),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.detail),
        }
    }

    #[test]
    fn the_list_goes_on_where_its_link_leads() {
        let (_, filter) = listed("limit=7&status=suspended&active_since=5").unwrap();
        let link = next(&filter, &(3, "zoë.a".to_owned()));
        let parameters = link.split_once('?').unwrap().1.split_once('>').unwrap().0;
        assert_eq!(listed(parameters), Ok((3, AccountFilter { after: "zoë.a".to_owned(), ..filter })));
        for bad in
            ["limit=0", "limit=101", "status=gone", "active_since=x", "active_since=-1", "cursor=a", "cursor=x.a"]
        {
            assert!(listed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_change_is_read_field_by_field() {
        let whole = r#"{"status":"suspended","reason":"unpaid","limits":{"usd_per_day":5,"turns_per_day":null},"retention_days":7,"metadata":{"plan":"pro"}}"#;
        let read = change(whole).unwrap();
        assert_eq!((read.status, read.reason.as_deref()), (Some(AccountStatus::Suspended), Some("unpaid")));
        assert_eq!((read.limits.usd_per_day, read.limits.turns_per_day), (Some(Some(5.0)), Some(None)));
        assert_eq!((read.retention_days, read.clears_limits), (Some(7), false));
        let nothing = change(r#"{"limits":null,"retention_days":null}"#).unwrap();
        assert_eq!((nothing.clears_limits, nothing.retention_days, nothing.status), (true, Some(0), None));
        let taken = change(r#"{"limits":{"usd_per_day":"default","turns_per_day":7,"tokens_per_day":null}}"#).unwrap();
        assert_eq!((taken.taken_back, taken.clears_limits), (vec!["usd_per_day".to_owned()], false));
        let limits = SetLimits { turns_per_day: Some(Some(7)), tokens_per_day: Some(None), ..SetLimits::default() };
        assert_eq!(taken.limits, limits);
        for (bad, name) in [
            (r#"{"limits":{"usd":"default"}}"#, "limits"),
            (r#"{"limits":{"usd_per_day":"none","turns_per_day":"default"}}"#, "limits"),
            (r#"{"limits":{"usd_per_day":-1,"turns_per_day":"default"}}"#, "limits.usd_per_day"),
            (r#"{"limits":{"usd_per_day":1,"usd_per_day":"default"}}"#, "The body has the field `usd_per_day` twice"),
            (r#"{"status":"gone"}"#, "status"),
            (r#"{"reason":"x"}"#, "reason"),
            (r#"{"limits":{"usd_per_day":-1}}"#, "limits.usd_per_day"),
            (r#"{"limits":{"usd":1}}"#, "limits"),
            (r#"{"limits":[]}"#, "limits"),
            (r#"{"retention_days":0}"#, "retention_days"),
            (r#"{"metadata":7}"#, "metadata"),
        ] {
            assert!(change(bad).is_err_and(|detail| detail.starts_with(name)), "{bad}");
        }
    }
}
