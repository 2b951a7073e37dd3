//! Each var of the agent: what it may be, what it may not, and how it meets what a caller asks for.

use super::*;

fn policy(vars: &[(&str, &str)]) -> Result<AgentPolicy, BadConfig> {
    AgentPolicy::parse(&|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
}

/// What the agent server is told of a turn whose caller asked for this.
fn told(vars: &[(&str, &str)], asked: &TurnOptions) -> String {
    serde_json::to_string(&policy(vars).unwrap().run_options(asked)).unwrap()
}

fn nothing_asked() -> TurnOptions {
    TurnOptions::default()
}

#[test]
fn nothing_set_and_nothing_asked_tells_the_agent_nothing() {
    assert_eq!(told(&[], &nothing_asked()), "{}");
}

#[test]
fn the_agent_server_is_told_which_rules_are_the_operators_if_the_request_brings_some() {
    let asked = TurnOptions { ask_tools: vec!["Bash".to_owned()], ..nothing_asked() };
    assert_eq!(told(&[("ASK_TOOLS", "Write")], &nothing_asked()), r#"{"ask_tools":["Write"]}"#);
    let both = told(&[("ASK_TOOLS", "Write")], &asked);
    assert_eq!(both, r#"{"ask_tools":["Write","Bash"],"operator_ask_tools":["Write"]}"#);
    assert_eq!(told(&[], &asked), r#"{"ask_tools":["Bash"],"operator_ask_tools":[]}"#);
}

#[test]
fn rules_in_parentheses_restrict_their_tool_and_those_about_paths_every_tool() {
    let restricts = |name: &str, rules: &str, tool: &str| policy(&[(name, rules)]).unwrap().restricts(tool, &[]);
    for (rules, tool, restricted) in [
        ("Bash(git log:*)", "Bash", true),
        ("Bash(git log:*)", "Write", false),
        ("Bash,Write", "Bash", false),
        ("Read(secrets/**)", "Bash", true),
        ("WebFetch(domain:a.test)", "Bash", false),
        ("Basher(a)", "Bash", false),
    ] {
        for name in ["ALLOWED_TOOLS", "DISALLOWED_TOOLS"] {
            assert_eq!(restricts(name, rules, tool), restricted, "{name} {rules} {tool}");
        }
        let denied: Vec<String> = rules.split(',').map(str::to_owned).collect();
        assert_eq!(policy(&[]).unwrap().restricts(tool, &denied), restricted, "{rules} {tool}");
        assert!(!restricts("ASK_TOOLS", rules, tool), "a question restricts nothing");
    }
}

#[test]
fn what_the_agent_server_is_told_is_pinned() {
    let vars = [
        ("MODEL", "claude-opus-5-5"),
        ("SYSTEM_PROMPT", "Be brief."),
        ("MAX_TURNS", "7"),
        ("ALLOWED_TOOLS", "Read"),
        ("DISALLOWED_TOOLS", "Bash(rm:*)"),
        ("PERMISSION_MODE", "dontAsk"),
        ("MAX_BUDGET_USD", "0.50"),
        ("MCP_SERVERS", "{\n \"a\": {\"command\": \"x\"}}"),
    ];
    assert_eq!(
        told(&vars, &nothing_asked()),
        r#"{"model":"claude-opus-5-5","system_prompt":"Be brief.","max_turns":7,"allowed_tools":["Read"],"disallowed_tools":["Bash(rm:*)"],"permission_mode":"dontAsk","mcp_servers":{"a":{"command":"x"}}}"#
    );
    let append = told(&[("SYSTEM_PROMPT_APPEND", "Like tea.")], &nothing_asked());
    assert_eq!(append, r#"{"system_prompt":{"append":"Like tea."}}"#);
}

#[test]
fn what_the_caller_asked_for_takes_the_place_of_the_operators_value() {
    let vars = [("MODEL", "m1"), ("SYSTEM_PROMPT_APPEND", "Like tea."), ("MAX_TURNS", "7"), ("ALLOWED_TOOLS", "Read")];
    let asked = TurnOptions {
        model: Some("m2".to_owned()),
        effort: None,
        system_prompt: Some("Be brief.".to_owned()),
        max_turns: Some(3),
        ..TurnOptions::default()
    };
    assert_eq!(
        told(&vars, &asked),
        r#"{"model":"m2","system_prompt":"Be brief.","max_turns":3,"allowed_tools":["Read"]}"#
    );
}

#[test]
fn a_plan_leads_back_to_the_operators_mode_and_never_out_of_plan() {
    let plan = TurnOptions { plan: true, ..TurnOptions::default() };
    for (vars, mode) in [
        (&[][..], "bypassPermissions"),
        (&[("ALLOWED_TOOLS", "Read")], "dontAsk"),
        (&[("PERMISSION_MODE", "acceptEdits")], "acceptEdits"),
    ] {
        let policy = policy(vars).unwrap();
        let options = policy.run_options(&plan);
        assert_eq!((options.permission_mode, options.after_plan), (Some("plan"), Some(mode)));
        assert!(policy.needs_actions(&plan) && !policy.needs_actions(&nothing_asked()));
    }
    let policy = policy(&[("PERMISSION_MODE", "plan")]).unwrap();
    let options = policy.run_options(&plan);
    assert_eq!((options.permission_mode, options.after_plan), (Some("plan"), None));
    assert!(!policy.needs_actions(&plan));
}

#[test]
fn questions_are_asked_if_the_query_says_so_or_else_the_operator() {
    for (var, asked, may_ask) in
        [("off", None, false), ("off", Some(true), true), ("on", None, true), ("on", Some(false), false)]
    {
        let policy = policy(&[("QUESTIONS", var)]).unwrap();
        let asked = TurnOptions { questions: asked, ..TurnOptions::default() };
        assert_eq!((policy.run_options(&asked).questions, policy.needs_actions(&asked)), (may_ask, may_ask));
    }
    assert!(policy(&[("QUESTIONS", "yes")]).is_err());
}

#[test]
fn a_comma_in_parentheses_separates_no_tools() {
    let vars = [("ALLOWED_TOOLS", "Bash(git log:*), Bash(echo a, (b)) ,mcp__tea__*,Read")];
    assert_eq!(policy(&vars).unwrap().allowed_tools, ["Bash(git log:*)", "Bash(echo a, (b))", "mcp__tea__*", "Read"]);
}

#[test]
fn only_lists_of_tools_and_rules_are_taken() {
    for name in ["ALLOWED_TOOLS", "DISALLOWED_TOOLS"] {
        for value in [",", "Read,", "Bash(", "Bash)", "Bash(x))", "Bash()", "Bash(x)y", "(x)", "two words", "*", "Ré"]
        {
            assert!(policy(&[(name, value)]).is_err(), "{name} = {value}");
        }
    }
    let too_many = vec!["Read"; MAX_LIST + 1].join(",");
    assert!(policy(&[("ALLOWED_TOOLS", &too_many)]).is_err());
}

#[test]
fn any_model_may_be_named_if_no_list_says_which() {
    let policy = policy(&[("MODEL", "m1")]).unwrap();
    assert!(policy.allows_model("m1") && policy.allows_model("m2"));
}

#[test]
fn only_models_of_the_list_may_be_named() {
    let policy = policy(&[("ALLOWED_MODELS", "m1, m2")]).unwrap();
    assert!(policy.allows_model("m1") && policy.allows_model("m2"));
    assert!(!policy.allows_model("m3") && !policy.allows_model("m"));
}

#[test]
fn the_first_model_of_the_list_is_the_default_if_none_is_set() {
    assert_eq!(told(&[("ALLOWED_MODELS", "m1,m2")], &nothing_asked()), r#"{"model":"m1"}"#);
    assert_eq!(told(&[("ALLOWED_MODELS", "m1,m2"), ("MODEL", "m2")], &nothing_asked()), r#"{"model":"m2"}"#);
}

#[test]
fn a_default_model_that_the_list_does_not_hold_is_an_error() {
    let error = policy(&[("ALLOWED_MODELS", "m1,m2"), ("MODEL", "m3")]).unwrap_err().to_string();
    assert_eq!(error, "the var MODEL is wrong: one of ALLOWED_MODELS");
}

#[test]
fn a_system_prompt_of_the_operator_stands_unless_it_is_given_up() {
    for (vars, allows) in [
        (&[][..], true),
        (&[("SYSTEM_PROMPT", "a")], false),
        (&[("SYSTEM_PROMPT_APPEND", "a")], false),
        (&[("SYSTEM_PROMPT", "a"), ("ALLOW_SYSTEM_PROMPT", "off")], false),
        (&[("SYSTEM_PROMPT", "a"), ("ALLOW_SYSTEM_PROMPT", "on")], true),
    ] {
        assert_eq!(policy(vars).unwrap().allows_system_prompt(), allows, "{vars:?}");
    }
}

#[test]
fn a_system_prompt_cannot_both_be_replaced_and_appended_to() {
    let error = policy(&[("SYSTEM_PROMPT", "a"), ("SYSTEM_PROMPT_APPEND", "b")]).unwrap_err().to_string();
    assert_eq!(error, "the var SYSTEM_PROMPT_APPEND is wrong: not set together with SYSTEM_PROMPT");
}

#[test]
fn a_request_may_ask_for_as_many_turns_as_the_operator_gives() {
    assert_eq!(policy(&[]).unwrap().most_turns(), MAX_TURNS);
    assert_eq!(policy(&[("MAX_TURNS", "7")]).unwrap().most_turns(), 7);
}

#[test]
fn no_turns_at_all_are_no_limit() {
    assert!(policy(&[("MAX_TURNS", "0")]).is_err());
}

#[test]
fn permission_modes_are_those_that_ask_nobody() {
    for mode in ["acceptEdits", "bypassPermissions", "dontAsk", "plan"] {
        assert_eq!(policy(&[("PERMISSION_MODE", mode)]).unwrap().permission_mode, Some(mode));
    }
}

#[test]
fn a_mode_that_heeds_no_rules_does_not_go_with_rules() {
    let bypass = ("PERMISSION_MODE", "bypassPermissions");
    assert!(policy(&[bypass, ("ALLOWED_TOOLS", "Bash,Read")]).is_ok());
    let error = policy(&[bypass, ("ALLOWED_TOOLS", "Bash(ls:*)")]).unwrap_err().to_string();
    assert!(error.starts_with("the var PERMISSION_MODE is wrong"), "{error}");
}

#[test]
fn servers_of_each_kind_are_taken() {
    for server in [
        r#"{"command":"x"}"#,
        r#"{"type":"stdio","command":"x","args":["-v"],"env":{"A":""}}"#,
        r#"{"type":"http","url":"https://a.example/mcp","headers":{"authorization":"Bearer b"}}"#,
        r#"{"type":"sse","url":"http://a.example/sse"}"#,
    ] {
        assert!(policy(&[("MCP_SERVERS", &format!("{{\"a_b-1\":{server}}}"))]).is_ok(), "{server}");
    }
}

#[test]
fn what_the_agent_server_would_refuse_is_no_server() {
    for server in [
        "{}",
        "[]",
        "null",
        r#"{"command":""}"#,
        r#"{"command":5}"#,
        r#"{"command":"x","args":"-v"}"#,
        r#"{"command":"x","args":[1]}"#,
        r#"{"command":"x","env":{"A":1}}"#,
        r#"{"command":"x","cwd":"/"}"#,
        r#"{"type":"http"}"#,
        r#"{"type":"http","url":"a.example"}"#,
        r#"{"type":"http","url":"https://a.example","headers":["a"]}"#,
        r#"{"type":"http","url":"https://a.example","command":"x"}"#,
        r#"{"type":"sdk","command":"x"}"#,
        r#"{"type":null,"command":"x"}"#,
    ] {
        assert!(policy(&[("MCP_SERVERS", &format!("{{\"a\":{server}}}"))]).is_err(), "{server}");
    }
    for servers in ["{}", "[]", "7", "{", r#"{"":{"command":"x"}}"#, r#"{"a b":{"command":"x"}}"#] {
        assert!(policy(&[("MCP_SERVERS", servers)]).is_err(), "{servers}");
    }
    let many: Vec<String> = (0..33).map(|n| format!("\"s{n}\":{{\"command\":\"x\"}}")).collect();
    assert!(policy(&[("MCP_SERVERS", &format!("{{{}}}", many.join(",")))]).is_err());
}

#[test]
fn a_wrong_var_is_named_and_its_value_is_not_told() {
    for (name, value) in [
        ("MODEL", "two words"),
        ("ALLOWED_MODELS", "m1,,m2"),
        ("ALLOW_SYSTEM_PROMPT", "yes"),
        ("MAX_TURNS", "endless"),
        ("MAX_TURNS", "1001"),
        ("ALLOWED_TOOLS", "Bash(secret"),
        ("DISALLOWED_TOOLS", "Bash(secret"),
        ("PERMISSION_MODE", "auto"),
        ("MAX_BUDGET_USD", "-0.75"),
        ("MAX_BUDGET_USD", "0.0"),
        ("MAX_BUDGET_USD", "$5"),
        ("MAX_BUDGET_USD", "NaN"),
        ("MCP_SERVERS", r#"{"a":{"command":"secret","port":1}}"#),
    ] {
        let error = policy(&[(name, value)]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("the var {name} is wrong: ")) && !error.contains(value), "{error}");
    }
}

#[test]
fn what_the_servers_hold_does_not_print() {
    let vars = [("MCP_SERVERS", r#"{"a":{"command":"x","env":{"TOKEN":"hush"}}}"#)];
    assert!(!format!("{:?}", policy(&vars).unwrap()).contains("hush"));
}
