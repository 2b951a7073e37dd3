//! Requests as they arrive, and what is made of them before their body is read.

use super::*;
use crate::api::route::Access;
use crate::domain::Millis;

#[test]
fn whoever_asks_for_the_methods_of_a_path_needs_no_key() {
    let allow = |path| match asked("OPTIONS", path, &[])? {
        Asked::Options(allow) => Ok(allow),
        other => panic!("{other:?}"),
    };
    assert_eq!(allow("/query?accountId=%ff"), Ok("POST, OPTIONS"));
    assert_eq!(allow("/conversations/-a"), Ok("GET, HEAD, PATCH, DELETE, OPTIONS"));
    assert_eq!(code(allow("/nowhere")), Code::NotFound);
}

const KEY: &str = "0123456789abcdef01234567";

/// What a request with these headers asks for, where `KEY` lets in.
fn asked(method: &str, target: &str, headers: &[(&str, &str)]) -> Result<Asked, ApiError> {
    let config = Config::parse(|name| (name == "API_KEYS").then(|| KEY.to_owned())).unwrap();
    let header = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
    let url = format!("https://a.example{target}");
    parse(&Head { method, url: &url, header: &header, now: Millis::new(0) }, &config)
}

/// The account and the command of a request with a key and this body.
fn sent(method: &str, target: &str, body: &str) -> Result<(String, Command), ApiError> {
    let authorization = format!("Bearer {KEY}");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let (account_id, command) = match asked(method, target, &headers)? {
        Asked::Command(account_id, command) => (account_id, command),
        Asked::WithBody(pending) => pending.with_body(Some(body.as_bytes()))?,
        other => panic!("{other:?}"),
    };
    Ok((account_id.as_str().to_owned(), command))
}

fn code(refused: Result<impl std::fmt::Debug, ApiError>) -> Code {
    refused.unwrap_err().code
}

/// What acts on an account and needs no body.
const BODILESS: [(&str, &str); 4] =
    [("POST", "/purge"), ("POST", "/prewarm"), ("DELETE", "/conversations/a"), ("POST", "/conversations/a/cancel")];

#[test]
fn the_account_that_a_body_names_counts_where_no_body_is_needed() {
    for (method, path) in BODILESS {
        assert_eq!(sent(method, path, "").unwrap().0, "default", "{path}");
        assert_eq!(sent(method, path, r#"{"accountId":"other","reason":"mine"}"#).unwrap().0, "other", "{path}");
        assert_eq!(sent(method, &format!("{path}?accountId=other"), "{}").unwrap().0, "other", "{path}");
        let both = format!("{path}?accountId=one");
        assert_eq!(code(sent(method, &both, r#"{"accountId":"other"}"#)), Code::InvalidAccount, "{path}");
        assert_eq!(code(sent(method, path, r#"{"accountId":"#)), Code::InvalidJson, "{path}");
        assert_eq!(code(sent(method, path, r#"{"accountId":7}"#)), Code::InvalidAccount, "{path}");
    }
}

#[test]
fn a_body_that_is_not_needed_has_its_type_and_its_bound_as_any_other() {
    let authorization = format!("Bearer {KEY}");
    let pending = |method, path| match asked(method, path, &[("authorization", authorization.as_str())]) {
        Ok(Asked::WithBody(pending)) => pending,
        other => panic!("{other:?}"),
    };
    for (method, path) in BODILESS {
        assert!(pending(method, path).with_body(Some(b"")).is_ok(), "{path}");
        assert_eq!(code(pending(method, path).with_body(Some(b"accountId=b"))), Code::UnsupportedMediaType, "{path}");
        assert_eq!(code(pending(method, path).with_body(None)), Code::BodyTooLarge, "{path}");
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(70_000));
        assert_eq!(code(sent(method, path, &long)), Code::BodyTooLarge, "{path}");
    }
}

#[test]
fn a_body_under_a_coding_is_refused() {
    let authorization = format!("Bearer {KEY}");
    let change = |coding| {
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
            ("content-encoding", coding),
        ];
        asked("PATCH", "/conversations/a", &headers)
    };
    for coding in ["gzip", "br", "identity, gzip"] {
        assert_eq!(code(change(coding)), Code::UnsupportedMediaType, "{coding}");
    }
    for coding in ["", "identity", "Identity"] {
        assert!(change(coding).is_ok(), "{coding}");
    }
}

#[test]
fn whoever_may_not_ask_hears_that_first_and_not_what_is_wrong_with_a_conversations_id() {
    for (method, path) in
        [("GET", "/conversations/-a"), ("DELETE", "/conversations/-a"), ("POST", "/conversations/-a/cancel")]
    {
        assert_eq!(code(asked(method, path, &[])), Code::Unauthorized, "{method} {path}");
        assert_eq!(code(sent(method, path, "")), Code::InvalidSessionId, "{method} {path}");
    }
    assert_eq!(code(asked("GET", "/nowhere", &[])), Code::NotFound);
    assert_eq!(code(asked("PUT", "/purge", &[])), Code::MethodNotAllowed);
}

#[test]
fn a_cursor_does_not_go_with_an_offset_but_with_its_default() {
    let page = |parameters: &str| match sent("GET", &format!("/conversations?{parameters}"), "")?.1 {
        Command::ListConversations { page, .. } => Ok::<Page, ApiError>(page),
        other => panic!("{other:?}"),
    };
    assert_eq!(page("cursor=1.a&offset=0").unwrap(), page("cursor=1.a").unwrap());
    assert_eq!(page("cursor=1.a&offset=1").unwrap_err().detail, "cursor: not together with offset");
    assert_eq!(code(page("cursor=1.a&offset=x")), Code::InvalidParameter);
    assert_eq!(page("offset=7").unwrap().skip, 7);
}

#[test]
fn a_parameter_that_is_there_twice_is_refused_whichever_it_is() {
    for twice in ["limit=1&limit=999", "offset=0&offset=1", "q=a&q=b", "cursor=1.a&cursor=1.a", "limit=1&l%69mit=2"] {
        let refused = sent("GET", &format!("/conversations?{twice}"), "").unwrap_err();
        assert_eq!(refused.code, Code::InvalidParameter, "{twice}");
        assert!(refused.detail.ends_with("given once"), "{twice}: {}", refused.detail);
    }
    let before = sent("GET", "/conversations/a?before=msg_1&before=msg_2", "").unwrap_err();
    assert_eq!(before.detail, "before: given once");
    assert_eq!(code(sent("GET", "/conversations?accountId=a&accountId=b", "")), Code::InvalidAccount);
}

#[test]
fn an_account_erases_itself_only_by_a_token_of_its_own_and_reads_the_receipt() {
    let authorization = format!("Bearer {KEY}");
    let by_key = |method, path| match asked(method, path, &[("authorization", authorization.as_str())])? {
        Asked::Operator(asks) => Ok(asks),
        Asked::Audited(_, asked) => match *asked {
            Asked::Operator(asks) => Ok(asks),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let erases = |path| match by_key("DELETE", path).unwrap() {
        OperatorAsks::Erase { account_id, keep_account, by_itself } => {
            (account_id.to_string(), keep_account, by_itself)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(erases("/account?accountId=a"), ("a".to_owned(), true, false), "an operator erases whom they please");
    assert_eq!(erases("/accounts/a"), ("a".to_owned(), false, false));
    assert_eq!(code(by_key("DELETE", "/account")), Code::InvalidAccount);
    let receipt = "/erasures/erasure_01a202feb07b753ebcc7ee3525df0aa1";
    assert!(matches!(by_key("GET", receipt), Ok(OperatorAsks::ReadErasure(_))));
    let Ok(found) = Route::find("GET", receipt) else { panic!("no route") };
    assert_eq!(found.access, Access::Account);
}

#[test]
fn what_a_body_may_refuse_is_audited_behind_it() {
    let authorization = format!("Bearer {KEY}");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    match asked("PATCH", "/accounts/acme", &headers) {
        Ok(Asked::AuditedBody(pending, audited)) => {
            assert_eq!((audited.action, audited.target), (AuditAction::ChangeAccount, "acme".parse().ok()));
            assert_eq!(code(pending.with_body(Some(b"{\"status\":7}"))), Code::InvalidParameter);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_import_resumes_if_it_is_asked_to() {
    let authorization = format!("Bearer {KEY}");
    let import = |query: &str| -> Result<(bool, bool), ApiError> {
        match asked("POST", &format!("/import{query}"), &[("authorization", &authorization)])? {
            Asked::Audited(_, asked) => match *asked {
                Asked::Import(_, how) => Ok(how),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(import("").unwrap(), (true, false));
    assert_eq!(import("?resume=false").unwrap(), (true, false));
    assert_eq!(import("?resume=true").unwrap(), (true, true));
    assert_eq!(import("?resume=1").map_err(|error| error.code), Err(Code::InvalidParameter));
}
