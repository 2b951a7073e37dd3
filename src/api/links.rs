//! `Link` headers (RFC 8288), which say where a list or a conversation goes on, and `Location`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::account::manage::command::UsageAsk;
use crate::domain::account::AccountFilter;
use crate::domain::action::ActionsOf;
use crate::domain::ledger::Day;
use crate::domain::{AccountId, ResourceName, SearchTerms, SessionId, TurnId, WebhookEventId};

/// All but the URL's unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The next page of the list.
#[must_use]
pub fn next(account_id: &AccountId, limit: u32, words: Option<&SearchTerms>, cursor: &str) -> String {
    let search = words.map(|words| format!("&q={}", encoded(words.as_str()))).unwrap_or_default();
    let (account, cursor) = (encoded(account_id.as_str()), encoded(cursor));
    format!("</conversations?accountId={account}&limit={limit}{search}&cursor={cursor}>; rel=\"next\"")
}

/// The messages of a conversation before the `first`.
#[must_use]
pub fn prev(account_id: &AccountId, session_id: &SessionId, first: i64) -> String {
    let (account, id) = (encoded(account_id.as_str()), encoded(session_id.as_str()));
    format!("</conversations/{id}?accountId={account}&before=msg_{first}>; rel=\"prev\"")
}

/// The turns of a conversation before one.
#[must_use]
pub fn older_turns(account_id: &AccountId, session_id: &SessionId, limit: u32, before: &TurnId) -> String {
    let (account, id) = (encoded(account_id.as_str()), encoded(session_id.as_str()));
    format!("</conversations/{id}/turns?accountId={account}&limit={limit}&before={before}>; rel=\"next\"")
}

/// The actions behind the one that `cursor` names.
#[must_use]
pub fn next_actions(account_id: &AccountId, of: &ActionsOf, limit: u32, cursor: &str) -> String {
    let status = of.status.map(|status| format!("&status={}", status.as_str())).unwrap_or_default();
    let session = of.session_id.as_ref().map(|id| format!("&session_id={}", encoded(id.as_str()))).unwrap_or_default();
    let account = encoded(account_id.as_str());
    format!("</actions?accountId={account}{status}{session}&limit={limit}&cursor={}>; rel=\"next\"", encoded(cursor))
}

/// The files of a conversation behind the path `after`.
#[must_use]
pub fn next_files(account_id: &AccountId, session_id: &SessionId, prefix: &str, limit: u32, after: &str) -> String {
    let (account, id) = (encoded(account_id.as_str()), encoded(session_id.as_str()));
    let (prefix, cursor) = (encoded(prefix), encoded(after));
    format!(
        "</conversations/{id}/files?accountId={account}&prefix={prefix}&limit={limit}&cursor={cursor}>; rel=\"next\""
    )
}

/// The accounts behind a place.
#[must_use]
pub fn next_accounts(filter: &AccountFilter, cursor: &str) -> String {
    let status = filter.status.map(|status| format!("&status={}", status.as_str())).unwrap_or_default();
    let since = filter.active_since.map(|since| format!("&active_since={}", since.get())).unwrap_or_default();
    format!("</accounts?limit={}{status}{since}&cursor={}>; rel=\"next\"", filter.limit, encoded(cursor))
}

/// What accounts have used, behind a place.
#[must_use]
pub fn next_accounts_usage(day: Day, limit: u32, cursor: &str) -> String {
    format!("</accounts/usage?day={day}&limit={limit}&cursor={}>; rel=\"next\"", encoded(cursor))
}

/// The entries of the audit behind a place.
#[must_use]
pub fn next_audit(limit: u32, cursor: &str) -> String {
    format!("</audit?limit={limit}&cursor={}>; rel=\"next\"", encoded(cursor))
}

/// What an account has used, behind the conversation `after`.
#[must_use]
pub fn next_usage(account_id: &AccountId, ask: &UsageAsk, after: &str) -> String {
    let (account, cursor) = (encoded(account_id.as_str()), encoded(after));
    let (group, from, to, limit) = (ask.group.as_str(), ask.from, ask.to, ask.limit);
    format!(
        "</usage?accountId={account}&group={group}&from={from}&to={to}&limit={limit}&cursor={cursor}>; rel=\"next\""
    )
}

/// The deliveries to a webhook before one.
#[must_use]
pub fn older_deliveries(account_id: &AccountId, name: &ResourceName, limit: u32, before: &WebhookEventId) -> String {
    let account = encoded(account_id.as_str());
    format!("</webhooks/{name}/deliveries?accountId={account}&limit={limit}&before={before}>; rel=\"next\"")
}

/// Where a conversation is read.
#[must_use]
pub fn conversation(session_id: &SessionId) -> String {
    format!("/conversations/{}", encoded(session_id.as_str()))
}

/// `Content-Disposition` (RFC 6266) of a download that gets this name.
#[must_use]
pub fn attachment(name: &str) -> String {
    format!("attachment; filename*=UTF-8''{}", encoded(name))
}

/// The segments of a file's path.
#[must_use]
pub fn encoded_path(path: &str) -> String {
    path.split('/').map(encoded).collect::<Vec<_>>().join("/")
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_break_out_of_a_link_is_encoded() {
        let account: AccountId = "a>; rel=\"x\", <é&b=c".parse().unwrap();
        let words = SearchTerms::try_from("d&e f>".to_owned()).unwrap();
        assert_eq!(
            next(&account, 5, Some(&words), "1f-2.a:b"),
            "</conversations?accountId=a%3E%3B%20rel%3D%22x%22%2C%20%3C%C3%A9%26b%3Dc&limit=5&q=d%26e%20f%3E&cursor=1f-2.a%3Ab>; rel=\"next\""
        );
        assert_eq!(
            prev(&account, &"s:1".parse().unwrap(), 7),
            "</conversations/s%3A1?accountId=a%3E%3B%20rel%3D%22x%22%2C%20%3C%C3%A9%26b%3Dc&before=msg_7>; rel=\"prev\""
        );
    }
}
