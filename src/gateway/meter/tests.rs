//! The meter, line by line and in pieces.

use super::*;

const STREAM: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-x\",\"usage\":{\"input_tokens\":3,\"cache_read_input_tokens\":7,\"output_tokens\":1}}}\n\n\
    event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
    event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"{\\\"usage\\\":{\\\"output_tokens\\\":999}}\"}}\n\n\
    event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
    event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":42}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
/// The bytes of what the model says in it.
const SAID: u64 = 35;

const ASKED: Asked = Asked { bytes: Some(1_000), took_ms: 2_500 };

fn told(content_type: &str, text: &str, size: usize) -> Metered {
    let mut meter = Meter::new(content_type);
    text.as_bytes().chunks(size).for_each(|piece| meter.feed(piece));
    meter.end(ASKED)
}

fn streamed(text: &str) -> Metered {
    told("text/event-stream", text, 50)
}

fn usage(input_tokens: u64, output_tokens: u64, cache_read_input_tokens: u64) -> Usage {
    Usage { input_tokens, output_tokens, cache_read_input_tokens, ..Usage::default() }
}

fn metered(usage: Usage) -> Metered {
    Metered { model: Some("claude-x".to_owned()), usage, ..Metered::default() }
}

#[test]
fn a_stream_is_read_however_its_bytes_arrive() {
    for size in 1..STREAM.len() {
        let read = told("text/event-stream; charset=utf-8", STREAM, size);
        assert_eq!(read, metered(usage(3, 42, 7)), "{size}");
    }
    assert_eq!(streamed(&STREAM.replace('\n', "\r\n")), metered(usage(3, 42, 7)));
}

#[test]
fn a_stream_that_breaks_off_counts_what_it_told_and_a_token_for_two_bytes_of_what_was_said() {
    let cut = STREAM.split("event: message_delta").next().unwrap();
    let estimated = Metered { is_estimated: true, ..metered(usage(3, SAID.div_ceil(2), 7)) };
    for size in 1..cut.len() {
        assert_eq!(told("text/event-stream", cut, size), estimated, "{size}");
    }
    // As others write the same JSON.
    let spaced = cut.replace("\":", "\": ").replace(",\"", ", \"");
    assert!(streamed(&spaced).usage.output_tokens >= SAID.div_ceil(2));
    assert!(streamed(&spaced).usage.output_tokens <= SAID.div_ceil(2) + 5, "{:?}", streamed(&spaced));
    // It is not told that the model had said less than it is known to have.
    let told_so_far = cut.replace("\"output_tokens\":1", "\"output_tokens\":100");
    assert_eq!(streamed(&told_so_far).usage.output_tokens, 100);
}

#[test]
fn a_model_that_thinks_unseen_counts_by_the_time_that_it_takes() {
    let start = STREAM.split("event: content_block_start").next().unwrap();
    let thinking = "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n";
    let open = format!("{start}{thinking}");
    assert_eq!(streamed(&open).usage.output_tokens, 3 * THOUGHT_TOKENS_A_SECOND);
    let signed = format!(
        "{open}data: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"signature_delta\",\"signature\":\"{}\"}}}}\n\ndata: {{\"type\":\"content_block_stop\",\"index\":0}}\n\n",
        "s".repeat(500)
    );
    assert_eq!(streamed(&signed).usage.output_tokens, 250);
}

#[test]
fn searches_and_what_they_found_count_in_a_stream_that_breaks_off() {
    let start = STREAM.split("event: content_block_start").next().unwrap();
    let search = "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"server_tool_use\",\"id\":\"srvtoolu_1\",\"name\":\"web_search\",\"input\":{}}}\n\n";
    let found = format!(
        "data: {{\"type\":\"content_block_start\",\"index\":2,\"content_block\":{{\"type\":\"web_search_tool_result\",\"content\":[\"{}\"]}}}}\n\n",
        "f".repeat(2 * MAX_LINE_BYTES)
    );
    let read = streamed(&format!("{start}{search}{search}{found}"));
    assert_eq!((read.extras.web_searches, read.is_estimated), (2, true));
    assert!(read.usage.output_tokens >= MAX_ESTIMATED_TOKENS.min(MAX_LINE_BYTES as u64));
}

#[test]
fn a_json_answer_is_read_however_large_it_is_and_wherever_its_usage_stands() {
    let members = r#""type":"message","model":"claude-x","usage":{"input_tokens":5,"output_tokens":6}"#;
    let large = format!(r#""content":[{{"type":"text","text":"{}"}}]"#, "\\\"usage".repeat(100_000));
    let estimates = [format!("{{{members}}}"), format!("{{{large},{members}}}"), format!("{{{members},{large}}}")];
    for body in &estimates {
        for size in [9, 64 * 1024] {
            assert_eq!(told("application/json", body, size), metered(usage(5, 6, 0)), "{}", body.len());
        }
    }
}

#[test]
fn what_else_is_billed_is_read() {
    let told_usage = r#"{"input_tokens":5,"output_tokens":6,"cache_creation_input_tokens":9,"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":7},
        "server_tool_use":{"web_search_requests":3},"service_tier":"standard","speed":"fast","inference_geo":"us"}"#;
    let extras = Extras { cache_write_1h_tokens: 7, web_searches: 3, fast: true, us_only: true };
    let expected = Usage { cache_creation_input_tokens: 9, ..usage(5, 6, 0) };
    let body = format!(r#"{{"model":"claude-x","usage":{told_usage}}}"#);
    assert_eq!(told("application/json", &body, 9), Metered { extras, ..metered(expected) });
    let one_line = told_usage.replace('\n', " ");
    let stream = format!(
        "data: {{\"type\":\"message_start\",\"message\":{{\"model\":\"claude-x\",\"usage\":{one_line}}}}}\n\ndata: {{\"type\":\"message_delta\",\"usage\":{{\"output_tokens\":8}}}}\n\n"
    );
    let expected = Usage { output_tokens: 8, ..expected };
    assert_eq!(streamed(&stream), Metered { extras, ..metered(expected) });
    let plain = r#"{"model":"claude-x","usage":{"input_tokens":1,"speed":"standard","inference_geo":"global"}}"#;
    assert_eq!(told("application/json", plain, 9), metered(usage(1, 0, 0)));
}

#[test]
fn each_time_that_the_api_asked_the_model_counts() {
    let body = r#"{"model":"claude-x","usage":{"input_tokens":5,"output_tokens":6,"iterations":[
        {"type":"compaction","input_tokens":1000,"output_tokens":70},{"type":"message","input_tokens":5,"output_tokens":6}]}}"#;
    assert_eq!(told("application/json", body, 9), metered(usage(1_005, 76, 0)));
}

#[test]
fn an_answer_that_tells_no_usage_counts_by_its_bytes_and_those_of_the_call() {
    for (content_type, body, said) in [
        ("application/json", "{}", 1),
        ("application/json", r#"{"usage":7}"#, 6),
        ("text/html", "<html>", 3),
        ("", "", 0),
        ("text/event-stream", ": nothing\n\n", 0),
        ("text/event-stream", "data: {\"usage\":\n\n", 5),
    ] {
        let expected = Metered { usage: usage(500, said, 0), is_estimated: true, ..Metered::default() };
        assert_eq!(told(content_type, body, 3), expected, "{content_type} {body}");
    }
    let unknown = Meter::new("").end(Asked { bytes: None, took_ms: 0 });
    assert_eq!(unknown.usage.input_tokens, MAX_ESTIMATED_TOKENS);
}

#[test]
fn a_failure_in_place_of_an_answer_costs_nothing_and_one_behind_its_beginning_does() {
    let failure = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n";
    assert_eq!(streamed(failure), Metered::default());
    let begun = STREAM.split("event: content_block_stop").next().unwrap();
    let failed = streamed(&format!("{begun}{failure}"));
    assert_eq!((failed.usage, failed.is_estimated), (usage(3, SAID.div_ceil(2), 7), true));
}

#[test]
fn nonsense_is_not_believed_and_takes_no_memory() {
    let negative = streamed("data: {\"type\":\"message_delta\",\"usage\":{\"input_tokens\":-1}}\n");
    assert_eq!(negative, Metered::default());
    let mut meter = Meter::new("text/event-stream");
    for _ in 0..100 {
        meter.feed(&vec![b'd'; 64 * 1024]);
        meter.feed(b"data:");
        assert!(meter.line.len() <= MAX_LINE_BYTES);
    }
    meter.feed(b"\ndata:");
    for _ in 0..100 {
        meter.feed(&vec![b'd'; 64 * 1024]);
        assert!(meter.line.capacity() <= 2 * MAX_LINE_BYTES);
    }
    assert_eq!(meter.end(ASKED).usage, usage(500, MAX_ESTIMATED_TOKENS, 0));
    let most = format!("data: {{\"usage\":{{\"output_tokens\":{}}}}}\n", u64::MAX);
    assert_eq!(streamed(&most).usage.output_tokens, MAX_TOKENS);
}
