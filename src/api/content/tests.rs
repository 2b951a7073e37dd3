//! Content blocks as they are written: which are taken, and what is said of the others.

//! Blocks of a query: what is taken, what is refused, and in which words.

use serde_json::{Value, json};

use super::*;

/// `\x89PNG\r\n\x1a\n` and two bytes more.
const PNG: &str = "iVBORw0KGgoAAA==";

fn parsed(content: &Value) -> Result<Content, ApiError> {
    parse(&content.to_string(), true)
}

fn refused(content: &Value) -> (Code, String) {
    let error = parsed(content).unwrap_err();
    (error.code, error.detail)
}

fn image(source: Value) -> Value {
    let mut block = json!({ "type": "image" });
    block["source"] = source;
    block
}

fn base64(media_type: &str, data: &str) -> Value {
    json!({ "type": "base64", "media_type": media_type, "data": data })
}

#[test]
fn a_string_is_a_prompt_and_blocks_are_blocks() {
    assert_eq!(parsed(&json!("hi \"you\"")), Ok(Content::Text("hi \"you\"".to_owned())));
    let document = json!({ "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": "d" },
        "title": "t", "context": null, "citations": { "enabled": true }, "cache_control": { "type": "ephemeral" } });
    let content = json!([{ "type": "text", "text": "a" }, image(base64("image/png", PNG)), document,
        image(json!({ "type": "url", "url": "https://a.example/b?c=d" })), image(json!({ "type": "file", "path": "a/b.png" }))]);
    let Content::Blocks(blocks) = parsed(&content).unwrap() else { panic!("no blocks") };
    assert_eq!(
        serde_json::to_string(&blocks).unwrap(),
        format!(
            r#"[{{"type":"text","text":"a"}},{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{PNG}"}}}},{{"type":"document","source":{{"type":"text","media_type":"text/plain","data":"d"}},"title":"t","citations":{{"enabled":true}}}},{{"type":"image","source":{{"type":"url","url":"https://a.example/b?c=d"}}}},{{"type":"image","source":{{"type":"file","path":"a/b.png"}}}}]"#
        )
    );
}

#[test]
fn base64_counts_however_it_is_escaped() {
    let escaped = format!(
        r#"[{{"type":"image","source":{{"type":"base64","media_type":"image\/png","data":"\u0069{}"}}}}]"#,
        &PNG[1..]
    );
    assert_eq!(parse(&escaped, true), parsed(&json!([image(base64("image/png", PNG))])));
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let many: Vec<Value> = vec![json!({ "type": "text", "text": "a" }); MAX_BLOCKS + 1];
    let text = json!({ "type": "text", "text": "a" });
    let url = |url: &str| image(json!({ "type": "url", "url": url }));
    for (content, detail) in [
        (json!(7), "content: a string or a list of content blocks"),
        (json!({}), "content: a string or a list of content blocks"),
        (json!(many), "content: at most 64 blocks"),
        (json!([text, "a"]), "content[1]: a content block, which is an object"),
        (json!([{}]), "content[0].type: a string"),
        (json!([{ "type": "video" }]), "content[0].type: text, image or document"),
        (json!([{ "type": "text" }]), "content[0].text: a string"),
        (json!([{ "type": "text", "text": " \n" }]), "content[0].text: text that says something"),
        (json!([{ "type": "image" }]), "content[0].source: an object"),
        (json!([image(json!("x"))]), "content[0].source: an object"),
        (json!([image(json!({ "type": "text" }))]), "content[0].source.type: base64, file or url"),
        (
            json!([{ "type": "document", "source": { "type": "ftp" } }]),
            "content[0].source.type: base64, text, file or url",
        ),
        (
            json!([text, image(base64("image/png", "iVBORw0KGgoAAA"))]),
            "content[1].source.data: base64 (RFC 4648, section 4) with its padding",
        ),
        (json!([image(json!({ "type": "base64", "media_type": "image/png" }))]), "content[0].source.data: a string"),
        (
            json!([url("http://a.example")]),
            "content[0].source.url: an https URL without a user name or a password, in ASCII",
        ),
        (
            json!([url("https://a:b@c.example")]),
            "content[0].source.url: an https URL without a user name or a password, in ASCII",
        ),
        (json!([url("https://")]), "content[0].source.url: an https URL without a user name or a password, in ASCII"),
        (
            json!([url("https://a.example/ b")]),
            "content[0].source.url: an https URL without a user name or a password, in ASCII",
        ),
        (
            json!([url(&format!("https://a.example/{}", "b".repeat(MAX_URL_BYTES)))]),
            "content[0].source.url: at most 8192 bytes",
        ),
    ] {
        assert_eq!(refused(&content), (Code::InvalidParameter, detail.to_owned()));
    }
    let (code, detail) = refused(&json!([image(json!({ "type": "file", "path": "../a" }))]));
    assert!(
        code == Code::InvalidParameter && detail.starts_with("content[0].source.path: a path is relative"),
        "{detail}"
    );
    let twice = r#"[{"type":"text","text":"a","text":"b"}]"#;
    assert_eq!(parse(twice, true).unwrap_err().code, Code::InvalidParameter);
}

#[test]
fn what_stands_beside_a_source_is_a_documents_and_has_a_bound() {
    let document = |more: Value| {
        let mut block = json!({ "type": "document", "source": { "type": "file", "path": "a.pdf" } });
        block.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([block])
    };
    for (more, detail) in [
        (json!({ "title": "x".repeat(MAX_TITLE_BYTES + 1) }), "content[0].title: at most 1024 bytes"),
        (json!({ "context": "x".repeat(MAX_CONTEXT_BYTES + 1) }), "content[0].context: at most 16384 bytes"),
        (json!({ "citations": true }), "content[0].citations: an object with `enabled`, true or false"),
    ] {
        assert_eq!(refused(&document(more)), (Code::InvalidParameter, detail.to_owned()));
    }
    let fits = json!({ "title": "x".repeat(MAX_TITLE_BYTES), "context": "x".repeat(MAX_CONTEXT_BYTES), "citations": { "enabled": false } });
    assert!(parsed(&document(fits)).is_ok());
    let mut picture = image(json!({ "type": "file", "path": "a.png" }));
    picture["context"] = json!("x");
    assert_eq!(refused(&json!([picture])).1, "content[0]: `context` and `citations` are a document's");
}

#[test]
fn an_attachment_is_what_its_bytes_are() {
    let pdf = "JVBERi0xLjQ=";
    for (block, detail) in [
        (
            image(base64("image/svg+xml", PNG)),
            "content[0].source.media_type: image/png, image/jpeg, image/gif or image/webp",
        ),
        (
            image(base64("application/pdf", pdf)),
            "content[0].source.media_type: image/png, image/jpeg, image/gif or image/webp",
        ),
        (image(base64("image/jpeg", PNG)), "content[0].source.data: its bytes are image/png"),
        (image(base64("image/png", pdf)), "content[0].source.data: its bytes are not image/png"),
        (image(base64("image/png", "")), "content[0].source.data: its bytes are not image/png"),
        (
            json!({ "type": "document", "source": base64("image/png", PNG) }),
            "content[0].source.media_type: application/pdf",
        ),
        (
            json!({ "type": "document", "source": base64("text/plain", "aGk=") }),
            "content[0].source.media_type: application/pdf",
        ),
        (
            json!({ "type": "document", "source": base64("application/pdf", "aGk=") }),
            "content[0].source.data: its bytes are not application/pdf",
        ),
        (
            json!({ "type": "document", "source": { "type": "text", "media_type": "text/html", "data": "x" } }),
            "content[0].source.media_type: text/plain",
        ),
    ] {
        assert_eq!(refused(&json!([block])), (Code::UnsupportedAttachment, detail.to_owned()));
    }
    assert!(parsed(&json!([{ "type": "document", "source": base64("application/pdf", pdf) }])).is_ok());
}

#[test]
fn a_bound_names_the_block_or_all_of_them() {
    let text = |bytes: usize| json!({ "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": "x".repeat(bytes) } });
    let mib = 1024 * 1024;
    assert_eq!(
        refused(&json!([text(1), text(mib + 1)])),
        (Code::AttachmentTooLarge, "content[1].source: a text has at most 1 MiB".to_owned())
    );
    let (code, detail) = refused(&json!([text(mib / 2), text(mib / 2 + 1)]));
    assert_eq!(
        (code, detail.as_str()),
        (Code::AttachmentTooLarge, "content: the texts of a query have at most 1 MiB together")
    );
}

#[test]
fn nothing_is_fetched_where_there_is_no_internet() {
    let content = json!([image(json!({ "type": "url", "url": "https://a.example/b" }))]).to_string();
    assert!(parse(&content, true).is_ok());
    let detail = parse(&content, false).unwrap_err().detail;
    assert_eq!(detail, "content[0].source.url: not allowed: this deployment has no access to the internet");
}

#[test]
fn a_hash_tells_blocks_apart() {
    let of = |content: Value| {
        let Content::Blocks(blocks) = parsed(&content).unwrap() else { panic!("no blocks") };
        hash(&blocks, 16)
    };
    let one = json!([image(base64("image/png", PNG))]);
    assert_eq!(of(one.clone()), of(one.clone()));
    assert_ne!(of(one.clone()), of(json!([image(base64("image/png", "iVBORw0KGgoAAQ=="))])));
    assert_ne!(of(one), of(json!([image(json!({ "type": "file", "path": "a.png" }))])));
}
