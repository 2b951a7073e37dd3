//! What an account has used: the request, and the report as JSON or CSV.

use std::fmt::Write;

use serde::Serialize;

use super::body::{Fields, Head};
use super::links;
use super::parameters::{number, parameter};
use super::problem::ApiError;
use super::query::Target;
use crate::account::manage::command::{ManageCommand, UsageAsk};
use crate::domain::ledger::{ContainerUse, Day, Group, NanoUsd, Spent, UsageSum};
use crate::domain::{AccountId, SessionId};

/// Rows of a page, if the request does not say how many; and the most.
pub(super) const DEFAULT_ROWS: u32 = 1_000;
pub(super) const MAX_ROWS: u32 = 1_000;
/// Most days of a report.
pub(super) const MAX_DAYS: i64 = 366;
const CSV: &str = "text/csv; charset=utf-8";

/// A parameter that is a day.
pub(super) fn day(target: &Target<'_>, name: &str, default: Day) -> Result<Day, ApiError> {
    let rule = "a day such as 2026-11-26";
    parameter(target, name)?
        .map_or(Ok(default), |text| Day::parse(&text).ok_or_else(|| ApiError::parameter(name, rule)))
}

/// Reads what is asked for.
pub(super) fn parse(head: &Head<'_>, target: &Target<'_>) -> Result<ManageCommand, ApiError> {
    let today = Day::of(head.now);
    let to = day(target, "to", today)?;
    let from = day(target, "from", to.month())?;
    if from > to || to.get() - from.get() >= MAX_DAYS {
        return Err(ApiError::parameter("from", "at most 366 days up to the day of `to`"));
    }
    let group = parameter(target, "group")?.map_or(Ok(Group::Day), |word| {
        Group::parse(&word).ok_or_else(|| ApiError::parameter("group", "day, model or conversation"))
    })?;
    let after = parameter(target, "cursor")?.map(SessionId::try_from).transpose();
    let after = after.map_err(|_| ApiError::parameter("cursor", "one that a Link header gave"))?;
    if after.is_some() && group != Group::Conversation {
        return Err(ApiError::parameter("cursor", "only with group=conversation"));
    }
    let limit = number(target, "limit", DEFAULT_ROWS, 1..=MAX_ROWS, "a number from 1 to 1000")?;
    let accept = (head.header)("accept").unwrap_or_default();
    let csv = accept.split(',').any(|range| range.split(';').next().is_some_and(|kind| kind.trim() == "text/csv"));
    Ok(ManageCommand::Usage(UsageAsk { group, from, to, after, limit, csv }))
}

/// What an account has used.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "UsageReport"))]
pub(super) struct UsageJson<'a> {
    /// The first day.
    from: Day,
    /// The last day.
    to: Day,
    /// By what the rows are summed.
    group: Group,
    /// A sum for each group in which something was used.
    rows: Vec<RowJson<'a>>,
    /// The sum over these days, conversations that are deleted included.
    total: RowJson<'a>,
}

/// What was used in one group.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "UsageRow"))]
pub(super) struct RowJson<'a> {
    /// The day.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Day"))]
    day: Option<&'a str>,
    /// The model.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    model: Option<&'a str>,
    /// The conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "SessionId"))]
    session_id: Option<&'a str>,
    /// Turns that ended after they had called the model.
    turns: u64,
    /// Calls of the model that were answered, as the gateway counted them.
    model_calls: u64,
    /// Tokens sent, those from the cache left out.
    input_tokens: u64,
    /// Tokens received.
    output_tokens: u64,
    /// Tokens read from the prompt cache.
    cache_read_input_tokens: u64,
    /// Tokens written to the prompt cache.
    cache_creation_input_tokens: u64,
    /// What these calls cost, in US dollars, by `MODEL_PRICES` and the list prices.
    #[cfg_attr(test, schemars(with = "f64"))]
    cost_usd: NanoUsd,
    /// What the agent itself says of the turns that it ended; not to bill from.
    reported: Spent,
    /// How long the account's container ran, in seconds; absent for a model and a conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "u64"))]
    container_seconds: Option<u64>,
    /// What the account stored when its container last stopped in these days; absent if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "u64"))]
    stored_bytes: Option<u64>,
}

impl<'a> RowJson<'a> {
    fn of(sum: &'a UsageSum, group: Option<Group>) -> Self {
        let key = |of| (group == Some(of)).then_some(sum.key.as_str());
        let Spent { input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens, cost } =
            sum.counted.spent;
        Self {
            day: key(Group::Day),
            model: key(Group::Model),
            session_id: key(Group::Conversation),
            turns: sum.turns,
            model_calls: sum.counted.calls,
            input_tokens,
            output_tokens,
            cache_read_input_tokens,
            cache_creation_input_tokens,
            cost_usd: cost,
            reported: sum.reported,
            container_seconds: sum.container.map(|container| container.seconds()),
            stored_bytes: sum.container.and_then(|container| container.stored_bytes),
        }
    }
}

/// The report: its media type and its text.
pub(super) fn report(ask: &UsageAsk, rows: &[UsageSum], total: &UsageSum) -> (&'static str, String) {
    let UsageAsk { group, from, to, csv, .. } = *ask;
    if csv {
        return (CSV, as_csv(group, rows));
    }
    let rows = rows.iter().map(|sum| RowJson::of(sum, Some(group))).collect();
    // A struct of plain fields: serialising it does not fail.
    let report = UsageJson { from, to, group, rows, total: RowJson::of(total, None) };
    ("application/json", serde_json::to_string(&report).unwrap_or_default())
}

/// Why a row of the list of all accounts holds no numbers.
const UNREACHABLE: &str = "unreachable";

/// What one account has used in a day, as a row of the list of all accounts, out of its own report; none if that is nothing. The row of an account
/// without a report says so: whoever bills from the list has to ask it again.
#[must_use]
pub fn of_account(account_id: &AccountId, report: Option<&str>) -> Option<String> {
    let row = |sum: &UsageSum| serde_json::to_string(&RowJson::of(sum, None)).unwrap_or_default();
    let fields = report.and_then(|report| Fields::of(report.as_bytes(), &["total"]).ok());
    let total = fields.as_ref().and_then(|fields| fields.written("total"));
    if total == Some(&row(&UsageSum { container: Some(ContainerUse::default()), ..UsageSum::default() })) {
        return None;
    }
    let id = serde_json::to_string(account_id.as_str()).unwrap_or_default();
    Some(match total.and_then(|total| total.strip_prefix('{')) {
        Some(total) => format!("{{\"account_id\":{id},{total}"),
        None => format!("{{\"account_id\":{id},\"error\":\"{UNREACHABLE}\",{}", &row(&UsageSum::default())[1..]),
    })
}

/// Why there are no numbers of an account.
#[cfg(test)]
#[derive(Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[expect(dead_code, reason = "it is a schema")]
enum UsageError {
    Unreachable,
}

/// What one account has used in a day.
#[cfg(test)]
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "AccountUsage")]
pub(super) struct AccountUsageJson<'a> {
    /// The account.
    account_id: &'a AccountId,
    /// Why the numbers of this row say nothing: the account did not answer. Ask it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "UsageError")]
    error: Option<&'a str>,
    /// What it has used.
    #[serde(flatten)]
    used: RowJson<'a>,
}

/// Where the report goes on, if there are more rows.
pub(super) fn link(account_id: &AccountId, ask: &UsageAsk, rows: &[UsageSum], more: bool) -> Option<String> {
    let last = rows.last().filter(|_| more && ask.group == Group::Conversation)?;
    Some(links::next_usage(account_id, ask, &last.key))
}

fn as_csv(group: Group, rows: &[UsageSum]) -> String {
    let key = if group == Group::Conversation { "session_id" } else { group.as_str() };
    let mut text = format!(
        "{key},turns,model_calls,input_tokens,output_tokens,cache_read_input_tokens,cache_creation_input_tokens,cost_usd,\
         reported_input_tokens,reported_output_tokens,reported_cache_read_input_tokens,\
         reported_cache_creation_input_tokens,reported_cost_usd"
    );
    text.push_str(if group == Group::Day { ",container_seconds,stored_bytes\r\n" } else { "\r\n" });
    for sum in rows {
        // Writing to a string does not fail.
        let _ = write!(text, "\"{}\",{},{}", sum.key.replace('"', "\"\""), sum.turns, sum.counted.calls);
        for spent in [&sum.counted.spent, &sum.reported] {
            let _ = write!(
                text,
                ",{},{},{},{},{}",
                spent.input_tokens,
                spent.output_tokens,
                spent.cache_read_input_tokens,
                spent.cache_creation_input_tokens,
                spent.cost.usd()
            );
        }
        if let Some(container) = sum.container {
            let _ = write!(text, ",{},", container.seconds());
            if let Some(bytes) = container.stored_bytes {
                let _ = write!(text, "{bytes}");
            }
        }
        text.push_str("\r\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Millis;
    use crate::domain::ledger::Counted;

    fn asked(parameters: &str, accept: &str) -> Result<UsageAsk, String> {
        let header = |name: &str| (name == "accept").then(|| accept.to_owned());
        let url = format!("https://a.example/usage?{parameters}");
        let head = Head { method: "GET", url: &url, header: &header, now: Millis::new(1_795_330_108_184) };
        match parse(&head, &Target::of(&url)) {
            Ok(ManageCommand::Usage(ask)) => Ok(ask),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.detail),
        }
    }

    fn sum(key: &str) -> UsageSum {
        let spent = Spent { input_tokens: 7, cost: NanoUsd::new(1_500_000), ..Spent::default() };
        UsageSum { key: key.to_owned(), turns: 1, counted: Counted { calls: 2, spent }, ..UsageSum::default() }
    }

    #[test]
    fn a_row_of_the_list_of_accounts_is_what_the_account_reports_or_says_that_it_reports_nothing() {
        let ask = asked("from=2026-11-22&to=2026-11-22", "").unwrap();
        let account_id: AccountId = "zoë".parse().unwrap();
        let row = |total: &UsageSum| of_account(&account_id, Some(&report(&ask, &[], total).1));
        let used = row(&sum("")).unwrap();
        assert!(used.starts_with(r#"{"account_id":"zoë","turns":1,"model_calls":2,"input_tokens":7,"#), "{used}");
        assert_eq!(row(&UsageSum { container: Some(ContainerUse::default()), ..UsageSum::default() }), None);
        for report in [None, Some("{}"), Some("<html>")] {
            let row = of_account(&account_id, report).unwrap();
            assert!(row.starts_with(r#"{"account_id":"zoë","error":"unreachable","turns":0,"#), "{row}");
            assert!(serde_json::from_str::<serde_json::Value>(&row).is_ok());
        }
    }

    #[test]
    fn a_report_is_of_this_month_by_day_unless_it_is_asked_for_another() {
        let days = |parameters: &str| asked(parameters, "").map(|ask| (ask.from.to_string(), ask.to.to_string()));
        let pair = |a: &str, b: &str| Ok((a.to_owned(), b.to_owned()));
        assert_eq!(days(""), pair("2026-11-01", "2026-11-22"));
        assert_eq!(days("to=2026-02-03"), pair("2026-02-01", "2026-02-03"));
        assert_eq!(days("from=2026-02-03&to=2027-02-03"), pair("2026-02-03", "2027-02-03"));
        for bad in
            ["from=2026-02-03&to=2027-02-04", "from=2026-11-23", "to=2026-2-3", "group=week", "cursor=a", "limit=0"]
        {
            assert!(asked(bad, "").is_err(), "{bad}");
        }
        assert_eq!(asked("group=conversation&cursor=a", "").map(|ask| ask.after), Ok(Some("a".parse().unwrap())));
    }

    #[test]
    fn a_report_is_csv_for_whoever_asks_for_it() {
        let ask = asked("group=model", "application/json;q=0.5, text/csv").unwrap();
        let (content_type, text) = report(&ask, &[sum("a \"b\", c")], &sum(""));
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!((content_type, lines.len()), (CSV, 3));
        assert_eq!(lines[1], "\"a \"\"b\"\", c\",1,2,7,0,0,0,0.0015,0,0,0,0,0");
        assert_eq!(lines[0].split(',').count(), 13);
    }

    #[test]
    fn the_json_of_a_report_is_pinned() {
        let ask = asked("group=conversation&limit=1", "").unwrap();
        let account = "acme".parse().unwrap();
        let rows = [sum("sums")];
        let (_, text) = report(&ask, &rows, &sum(""));
        let spent = |n, usd: &str| {
            format!(
                "\"input_tokens\":{n},\"output_tokens\":0,\"cache_read_input_tokens\":0,\"cache_creation_input_tokens\":0,\"cost_usd\":{usd}"
            )
        };
        let row = format!("\"turns\":1,\"model_calls\":2,{},\"reported\":{{{}}}", spent(7, "0.0015"), spent(0, "0.0"));
        let whole = format!(
            "{{\"from\":\"2026-11-01\",\"to\":\"2026-11-22\",\"group\":\"conversation\",\"rows\":[{{\"session_id\":\"sums\",{row}}}],\"total\":{{{row}}}}}"
        );
        assert_eq!(text, whole);
        let link = "</usage?accountId=acme&group=conversation&from=2026-11-01&to=2026-11-22&limit=1&cursor=sums>; rel=\"next\"";
        assert_eq!(super::link(&account, &ask, &rows, true).as_deref(), Some(link));
        assert_eq!(super::link(&account, &ask, &rows, false), None);
    }
}
