//! What the scan lets through and what it stops, for bodies as a hostile container might write them.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn config(vars: &[(&str, &str)]) -> Rc<Config> {
    let get = |name: &str| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Rc::new(Config::parse(get).unwrap())
}

/// The verdict on a body that comes in pieces of `size` bytes.
fn verdict(config: &Rc<Config>, body: &str, size: usize) -> Result<(), u16> {
    let mut scan = BodyScan::wanted(config).unwrap();
    let pieces = body.as_bytes().chunks(size).try_for_each(|piece| scan.feed(piece));
    pieces.and_then(|()| scan.end()).map_err(|refused| refused.status)
}

fn closed() -> Rc<Config> {
    config(&[("CONTAINER_INTERNET", "off"), ("ALLOWED_MODELS", "claude-sonnet-4-5,opus")])
}

#[test]
fn nothing_is_read_if_nothing_is_forbidden() {
    assert!(BodyScan::wanted(&config(&[("CONTAINER_INTERNET", "on")])).is_none());
    assert!(BodyScan::wanted(&config(&[("ALLOWED_MODELS", "m")])).is_some());
    assert!(BodyScan::wanted(&config(&[("CONTAINER_INTERNET", "off")])).is_some());
}

#[test]
fn allowed_models_hold_for_every_spelling_of_a_body() {
    let body = |model: &str| format!(r#"{{"max_tokens":5,"model":"{model}","messages":[]}}"#);
    for model in ["claude-sonnet-4-5", "claude-sonnet-4-5-20250929", "claude-opus-4-5", "claude-haiku-4-5-20251001"] {
        assert_eq!(verdict(&closed(), &body(model), 7), Ok(()), "{model}");
    }
    for model in [
        "claude-sonnet-4-6",
        "claude-sonnet-4-5-turbo",
        "claude-most-expensive",
        "",
        "claude-magnum-opusx",
        r"claude-mos\u0074-expensive",
    ] {
        assert_eq!(verdict(&closed(), &body(model), 7), Err(403), "{model}");
    }
    for odd in [
        r#"{"mod\u0065l":"claude-most-expensive"}"#,
        r#" { "a" : [ { "model" : "claude-sonnet-4-5" } ] , "model" : "claude-most-expensive" } "#,
        r#"{"a":"\\","model":"claude-most-expensive"}"#,
        r#"{"a":"\"","model":"claude-most-expensive"}"#,
        r#"{"a":1,"b":true,"c":null,"d":-1e5,"model":"claude-most-expensive"}"#,
        r#"{"a":[1,"model",{"x":[]}],"model":"claude-most-expensive"}"#,
    ] {
        for size in 1..odd.len() {
            assert_eq!(verdict(&closed(), odd, size), Err(403), "{odd} in pieces of {size}");
        }
    }
    let twice = r#"{"model":"claude-sonnet-4-5","model":"claude-most-expensive"}"#;
    assert_eq!(verdict(&closed(), twice, 5), Err(400));
    let long = body(&"m".repeat(10_000));
    assert_eq!(verdict(&closed(), &long, 100), Err(403));
}

#[test]
fn what_is_said_is_not_what_is_asked_for() {
    let talk = json!({"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "{\"model\":\"claude-most-expensive\",\"mcp_servers\":[]}"},
        {"type": "tool_use", "id": "t", "name": "x", "input": {"model": "claude-most-expensive", "source": {"type": "url"}, "mcp_servers": 1}},
        {"type": "image", "source": {"type": "base64", "data": "A".repeat(100_000)}},
    ]}], "tools": [{"name": "x", "input_schema": {"type": "object", "properties": {"type": {"type": "web_fetch"}}}}]});
    assert_eq!(verdict(&closed(), &talk.to_string(), 4096), Ok(()));
}

#[test]
fn the_api_goes_nowhere_while_the_container_may_not() {
    let with = |name: &str, value: serde_json::Value| {
        let mut body = json!({"model": "claude-sonnet-4-5", "messages": []});
        body[name] = value;
        body.to_string()
    };
    let url = json!({"type": "url", "url": "https://attacker.example/?secret"});
    let asks = [
        with("mcp_servers", json!([{"type": "url", "url": "https://attacker.example"}])),
        with("tools", json!([{"name": "a", "input_schema": {}}, {"type": "web_fetch_20250910", "name": "web_fetch"}])),
        with("tools", json!([{"type": "web_search_20250305", "name": "web_search"}])),
        with("tools", json!([{"type": "code_execution_20250825", "name": "code_execution"}])),
        with("messages", json!([{"role": "user", "content": [{"type": "image", "source": url}]}])),
        with("messages", json!([{"role": "user", "content": [{"type": "document", "source": url}]}])),
        with(
            "messages",
            json!([{"role": "user", "content": [{"type": "tool_result", "content": [{"type": "image", "source": url}]}]}]),
        ),
    ];
    let open = config(&[("ALLOWED_MODELS", "claude-sonnet-4-5"), ("CONTAINER_INTERNET", "on")]);
    for body in asks {
        assert_eq!(verdict(&closed(), &body, 9), Err(403), "{body}");
        assert_eq!(verdict(&open, &body, 9), Ok(()), "{body}");
    }
    let tools = json!([{"type": "custom", "name": "a"}, {"type": "bash_20250124", "name": "bash"}, {"name": "b"}]);
    assert_eq!(verdict(&closed(), &with("tools", tools), 9), Ok(()));
}

#[test]
fn what_is_not_one_object_does_not_pass() {
    for body in ["", "[]", "1", "{}{}", "{", "{\"a\":", "{} x", "\"model\""] {
        assert_eq!(verdict(&closed(), body, 3), Err(400), "{body}");
    }
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(2_000), "]".repeat(2_000));
    assert_eq!(verdict(&closed(), &deep, 64), Err(400));
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let text = prop_oneof![
        Just("url".to_owned()),
        Just("claude-sonnet-4-5".to_owned()),
        Just("web_fetch".to_owned()),
        ".{0,12}",
    ];
    let name = prop_oneof![
        Just("model".to_owned()),
        Just("source".to_owned()),
        Just("type".to_owned()),
        Just("content".to_owned()),
        Just("tools".to_owned()),
        ".{0,4}",
    ];
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|b| json!(b)),
        any::<f32>().prop_map(|n| json!(n)),
        text.prop_map(|t| json!(t))
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..5).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    /// Whatever surrounds it and however it arrives, the model that the API would read is the one that is judged.
    #[test]
    fn the_model_is_found_in_any_body(before in value(), after in value(), good in any::<bool>(), size in 1..40_usize) {
        let open = config(&[("ALLOWED_MODELS", "claude-sonnet-4-5"), ("CONTAINER_INTERNET", "on")]);
        let model = if good { "claude-sonnet-4-5" } else { "claude-most-expensive" };
        let body = format!("{{\"b\":{before},\"model\":\"{model}\",\"c\":{after}}}");
        let expected = if good { Ok(()) } else { Err(403) };
        prop_assert_eq!(verdict(&open, &body, size), expected);
    }
}
