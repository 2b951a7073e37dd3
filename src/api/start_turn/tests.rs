//! Which queries there are, and what is refused.

use super::super::request::{Asked, parse};
use super::*;
use crate::account::command::AnswerForm;
use crate::domain::{Effort, Millis, Thinking, WhenBusy};

/// What a query with these fields asks of the agent, where the operator has set these vars.
fn asked(vars: &[(&str, &str)], fields: &str) -> Result<TurnOptions, ApiError> {
    started(vars, &[], &format!("{{\"query\":\"hello\",{fields}}}")).map(|start| start.options)
}

/// The turn that a body with these headers starts.
fn started(vars: &[(&str, &str)], headers: &[(&str, &str)], body: &str) -> Result<StartTurn, ApiError> {
    let fixed = [("ANTHROPIC_API_KEY", "k"), ("AUTH", "none")];
    let var = |name: &str| fixed.iter().chain(vars).find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
    let config = Config::parse(var).unwrap();
    let json = [("content-type", "application/json")];
    let header =
        |name: &str| headers.iter().chain(&json).find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
    let head = Head { method: "POST", url: "https://a.example/query", header: &header, now: Millis::new(0) };
    let Asked::WithBody(pending) = parse(&head, &config)? else { unreachable!() };
    let (_, Command::StartTurn(start)) = pending.with_body(Some(body.as_bytes()))? else { unreachable!() };
    Ok(*start)
}

fn refusal(vars: &[(&str, &str)], fields: &str) -> String {
    let error = asked(vars, fields).unwrap_err();
    assert_eq!(error.code, Code::InvalidParameter);
    error.detail
}

#[test]
fn what_a_caller_may_ask_for_is_taken_as_it_is() {
    let options = asked(&[], r#""model":"m","effort":"xhigh","system_prompt":"Be brief.","max_turns":1000"#).unwrap();
    let expected = TurnOptions {
        model: Some("m".to_owned()),
        effort: Some(Effort::XHigh),
        system_prompt: Some("Be brief.".to_owned()),
        max_turns: Some(1_000),
        ..TurnOptions::default()
    };
    assert_eq!(options, expected);
}

#[test]
fn nothing_of_the_operators_is_in_what_is_stored() {
    let vars = [
        ("MODEL", "m"),
        ("SYSTEM_PROMPT", "Be brief."),
        ("MAX_TURNS", "7"),
        ("MCP_SERVERS", r#"{"a":{"command":"x"}}"#),
    ];
    assert_eq!(asked(&vars, r#""model":null,"stream":false"#).unwrap(), TurnOptions::default());
}

#[test]
fn a_model_outside_the_operators_list_is_refused_and_told_the_list() {
    let vars = [("ALLOWED_MODELS", "m1,m2")];
    assert!(asked(&vars, r#""model":"m2""#).is_ok());
    assert_eq!(refusal(&vars, r#""model":"m3""#), "model: one of m1, m2");
}

#[test]
fn more_turns_than_the_operator_gives_are_refused() {
    let vars = [("MAX_TURNS", "7")];
    assert!(asked(&vars, r#""max_turns":7"#).is_ok());
    assert_eq!(refusal(&vars, r#""max_turns":8"#), "max_turns: a whole number from 1 to 7");
    assert_eq!(refusal(&[], r#""max_turns":1001"#), "max_turns: a whole number from 1 to 1000");
}

#[test]
fn a_system_prompt_is_refused_where_the_operator_has_one_and_does_not_give_it_up() {
    let fields = r#""system_prompt":"mine""#;
    for name in ["SYSTEM_PROMPT", "SYSTEM_PROMPT_APPEND"] {
        assert_eq!(refusal(&[(name, "a")], fields), "system_prompt: not allowed: this deployment sets its own");
        assert!(asked(&[(name, "a"), ("ALLOW_SYSTEM_PROMPT", "on")], fields).is_ok());
    }
}

#[test]
fn an_effort_is_one_of_five_words() {
    for word in ["low", "medium", "high", "xhigh", "max"] {
        let effort = asked(&[], &format!("\"effort\":\"{word}\"")).unwrap().effort;
        assert_eq!(serde_json::to_string(&effort).unwrap(), format!("\"{word}\""));
    }
    for other in ["Low", "", "x-high", "maximal"] {
        let rule = "effort: one of low, medium, high, xhigh, max";
        assert_eq!(refusal(&[], &format!("\"effort\":\"{other}\"")), rule);
    }
}

#[test]
fn the_other_options_are_read_by_their_rules() {
    let options = asked(
        &[],
        r#""thinking":"off","when_busy":"steer","metadata":{"ticket":"7"},"output_schema":{"type":"object","title":"b"}"#,
    );
    let options = options.unwrap();
    assert_eq!((options.thinking, options.when_busy), (Some(Thinking::Off), WhenBusy::Steer));
    assert_eq!(options.output_schema.unwrap().get(), r#"{"type":"object","title":"b"}"#);
    assert_eq!(options.metadata["ticket"], "7");
    assert_eq!(refusal(&[], r#""thinking":"adaptive""#), "thinking: one of on, off");
    assert_eq!(refusal(&[], r#""when_busy":"now""#), "when_busy: one of queue, steer, interrupt, reject");
    assert!(refusal(&[], r#""metadata":{"a":1}"#).starts_with("metadata: a value is a string"));
    assert!(refusal(&[], r#""metadata":[]"#).starts_with("metadata: an object"));
}

#[test]
fn tools_of_the_caller_are_named_described_and_have_a_schema() {
    let tool =
        |name: &str| format!("{{\"name\":\"{name}\",\"description\":\"d\",\"input_schema\":{{\"type\":\"object\"}}}}");
    let options = asked(&[], &format!("\"tools\":[{}]", tool("look_up-1"))).unwrap();
    assert_eq!(
        (options.tools[0].name.as_str(), options.tools[0].input_schema.get()),
        ("look_up-1", r#"{"type":"object"}"#)
    );
    let refused = |tools: &str, rule: &str| {
        let detail = refusal(&[], &format!("\"tools\":{tools}"));
        assert!(detail.starts_with(rule), "{detail}");
    };
    refused(&format!("[{}]", tool("a b")), "tools[0].name: 1 to 64");
    refused(&format!("[{},{}]", tool("a"), tool("a")), "tools[1].name: given once");
    refused(&format!("[{}]", vec![tool("a"); 65].join(",")), "tools: at most 64");
    refused(r#"[{"name":"a"}]"#, "tools: a list of objects");
    for name in ["", "größe", &"a".repeat(65)] {
        refused(&format!("[{}]", tool(name)), "tools[0].name: 1 to 64");
    }
    let bad_schema = |schema: &str| {
        let error =
            asked(&[], &format!(r#""tools":[{{"name":"a","description":"","input_schema":{schema}}}]"#)).unwrap_err();
        assert_eq!((error.code, error.code.status()), (Code::InvalidToolSchema, 400), "{schema}");
        assert!(error.detail.starts_with("tools[0].input_schema: a JSON Schema"), "{}", error.detail);
    };
    bad_schema("[]");
    bad_schema(&format!(r#"{{"title":"{}"}}"#, "x".repeat(32 * 1024)));
    let nested = r#""tools":[{"name":"a","description":"","input_schema":{"type":"object","required":"b"}}]"#;
    let error = asked(&[], nested).unwrap_err();
    let rule = "tools[0].input_schema/required: a list of strings";
    assert_eq!((error.code, error.detail.as_str()), (Code::InvalidToolSchema, rule));
    let most = (0..64).map(|n| tool(&format!("{n:a>64}"))).collect::<Vec<_>>();
    assert_eq!(asked(&[], &format!("\"tools\":[{}]", most.join(","))).unwrap().tools.len(), 64);
}

#[test]
fn questions_are_asked_for_and_a_mode_is_only_narrowed() {
    let options = asked(&[], r#""questions":true,"permission_mode":"plan""#).unwrap();
    assert_eq!((options.questions, options.plan), (Some(true), true));
    let options = asked(&[("QUESTIONS", "on")], r#""questions":false,"permission_mode":null"#).unwrap();
    assert_eq!((options.questions, options.plan), (Some(false), false));
    assert_eq!(asked(&[], r#""questions":null"#).unwrap().questions, None);
    assert_eq!(refusal(&[], r#""questions":"yes""#), "questions: true or false");
    for wider in ["default", "acceptEdits", "bypassPermissions", "dontAsk", ""] {
        assert_eq!(
            refusal(&[], &format!("\"permission_mode\":\"{wider}\"")),
            "permission_mode: one of plan",
            "{wider}"
        );
    }
}

#[test]
fn rules_about_tools_narrow_what_the_operator_allows() {
    let vars = [("ASK_TOOLS", "Write")];
    let options = asked(&vars, r#""permissions":{"ask":["Bash(git push:*)"],"deny":["Edit"]}"#).unwrap();
    assert_eq!((options.ask_tools, options.deny_tools), (vec!["Bash(git push:*)".to_owned()], vec!["Edit".to_owned()]));
    let options = asked(&vars, r#""permissions":{"ask":null,"deny":["Edit"],"unknown":[[[{}]]]}"#).unwrap();
    assert_eq!((options.ask_tools, options.deny_tools), (Vec::<String>::new(), vec!["Edit".to_owned()]));
    for permissions in ["[]", r#"{"ask":"Bash"}"#, r#"{"deny":["two words"]}"#, r#"{"ask":[7]}"#] {
        assert!(
            refusal(&vars, &format!("\"permissions\":{permissions}")).starts_with("permissions: "),
            "{permissions}"
        );
    }
}

#[test]
fn a_schema_is_a_bounded_object() {
    let refused = |schema: &str| {
        let error = asked(&[], &format!("\"output_schema\":{schema}")).unwrap_err();
        assert_eq!(error.code, Code::InvalidOutputSchema, "{schema}");
    };
    for schema in ["[]", "true", "\"object\"", "{}", r#"{"type":"array"}"#, r#"{"type":"object","x-order":1}"#] {
        refused(schema);
    }
    refused(&format!("{{\"title\":\"{}\"}}", "x".repeat(32 * 1024)));
    refused(&format!("{}{}", "{\"items\":".repeat(65), "{}".to_owned() + &"}".repeat(65)));
    assert!(asked(&[], r#""output_schema":null"#).unwrap().output_schema.is_none());
}

#[test]
fn a_whole_number_may_be_written_with_a_fraction_of_nothing() {
    for whole in ["7", "7.0", "7.000"] {
        assert_eq!(asked(&[], &format!("\"max_turns\":{whole}")).unwrap().max_turns, Some(7), "{whole}");
    }
    for other in ["7.5", "7.05", "0.0", "-7.0", "1001.0", "\"7\"", "[7.0]"] {
        let rule = "max_turns: a whole number from 1 to 1000";
        assert_eq!(refusal(&[], &format!("\"max_turns\":{other}")), rule, "{other}");
    }
}

#[test]
fn an_answer_is_events_where_they_are_accepted_and_a_document_is_not_preferred() {
    let form = |accept| started(&[], &[("accept", accept)], "{\"query\":\"hello\"}").unwrap().answer;
    for accept in [
        "text/event-stream",
        "Text/Event-Stream; charset=utf-8",
        "application/json, text/event-stream",
        "text/event-stream;q=0.5",
        "text/event-stream;q=0.5, application/json;q=0.49, */*;q=0.1",
        "application/json;q=0, text/event-stream;q=0.001",
        "text/event-stream;Q=1.000, application/json;q=1",
    ] {
        assert_eq!(form(accept), AnswerForm::Events, "{accept}");
    }
    for accept in [
        "text/event-stream;q=0, application/json",
        "text/event-stream;q=0.0",
        "text/event-stream; q=0.000",
        "application/json, text/event-stream;q=0.9",
        "text/event-stream;q=0.9, application/json;q=1.0",
        "text/event-stream-of-mine",
        "*/*",
        "",
    ] {
        assert_eq!(form(accept), AnswerForm::Json, "{accept}");
    }
}

#[test]
fn the_alias_of_a_prompt_that_says_nothing_counts() {
    let prompt = |fields: &str| started(&[], &[], &format!("{{{fields}}}")).map(|start| start.prompt);
    for said in [r#""query":"","prompt":"hi""#, r#""query":" ","prompt":"hi""#, r#""query":null,"prompt":"hi""#] {
        assert_eq!(prompt(said).unwrap(), "hi", "{said}");
    }
    assert_eq!(prompt(r#""query":"first","prompt":"second""#).unwrap(), "first");
    assert_eq!(prompt(r#""query":" ","prompt":"""#).unwrap_err().code, Code::NoPrompt);
}

/// The turn of a query with this content beside these fields.
fn with_content(content: &str, fields: &str) -> Result<StartTurn, ApiError> {
    started(&[], &[("idempotency-key", "k")], &format!("{{\"content\":{content}{fields}}}"))
}

#[test]
fn content_takes_the_place_of_a_query() {
    let start = with_content(r#""hi""#, "").unwrap();
    assert_eq!((start.prompt.as_str(), start.content), ("hi", None));
    let words = r#"[{"type":"text","text":"one"},{"type":"text","text":"two"}]"#;
    let start = with_content(words, r#","query":" ""#).unwrap();
    assert_eq!((start.prompt.as_str(), start.content), ("one\n\ntwo", None), "words alone are a prompt");
    let file = r#"{"type":"image","source":{"type":"file","path":"in/cat.png"}}"#;
    let start = with_content(&format!("[{file}]"), "").unwrap();
    assert_eq!((start.prompt.as_str(), start.title.as_str()), ("", "cat.png"));
    assert_eq!(start.content.map(|content| content.len()), Some(1));
    let start = with_content(&format!("[{file},{{\"type\":\"text\",\"text\":\"Which cat?\"}}]"), "").unwrap();
    assert_eq!((start.prompt.as_str(), start.title.as_str()), ("Which cat?", "Which cat?"));
    for nothing in ["\" \"", "[]", "null"] {
        assert_eq!(with_content(nothing, "").unwrap_err().code, Code::NoPrompt, "{nothing}");
    }
    for field in ["query", "prompt"] {
        let refused = with_content("\"hi\"", &format!(",\"{field}\":\"ho\"")).unwrap_err();
        assert_eq!(
            (refused.code, refused.detail.as_str()),
            (Code::InvalidParameter, "content: not together with query")
        );
    }
    let long = format!("[{{\"type\":\"text\",\"text\":\"{}\"}},{file}]", "x".repeat(MAX_PROMPT_BYTES + 1));
    assert_eq!(with_content(&long, "").unwrap_err().code, Code::PromptTooLarge);
}

#[test]
fn a_key_tells_one_content_from_another() {
    let hash = |content: &str| with_content(content, "").unwrap().idempotency.unwrap().1;
    let file = |path: &str| format!(r#"[{{"type":"image","source":{{"type":"file","path":"{path}"}}}}]"#);
    assert_eq!(hash(&file("a.png")), hash(&file("a.png")));
    assert_ne!(hash(&file("a.png")), hash(&file("b.png")));
    let query = started(&[], &[("idempotency-key", "k")], "{\"query\":\"hi\"}").unwrap().idempotency.unwrap().1;
    assert_eq!(hash("\"hi\""), query, "a string says what a query says");
}

#[test]
fn what_is_no_model_is_refused() {
    for model in ["", "two words", "modèle", &"m".repeat(129)] {
        let rule = "model: the name of a model, at most 128 ASCII characters";
        assert_eq!(refusal(&[], &format!("\"model\":\"{model}\"")), rule);
    }
}
