//! What a decision may say.

use super::*;

fn decided(body: &str) -> Result<Decision, ApiError> {
    decision(&Fields::of(body.as_bytes(), FIELDS)?)
}

#[test]
fn a_result_is_a_string_or_texts_and_images_that_are_there_as_a_whole() {
    let taken = [
        r#""shipped""#,
        r#"[{"type":"text","text":"a"}]"#,
        r#"[{"type":"text","text":"a"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}]"#,
    ];
    for content in taken {
        let decision = decided(&format!(r#"{{"decision":"result","content":{content}}}"#)).unwrap();
        assert_eq!(decision, Decision::Result { content: serde_json::from_str(content).unwrap(), is_error: false });
    }
    let image = |source: &str| format!(r#"[{{"type":"text","text":"a"}},{{"type":"image","source":{source}}}]"#);
    let refused = [
        image(r#"{"type":"url","url":"https://a.test/a.png"}"#),
        image(r#"{"type":"file","path":"a.png"}"#),
        image(r#"{"media_type":"image/png","data":"iVBORw0KGgo="}"#),
        image(r#"{"type":"base64","media_type":"image/tiff","data":"iVBORw0KGgo="}"#),
        image(r#"{"type":"base64","media_type":"image/gif","data":"iVBORw0KGgo="}"#),
        image(r#"{"type":"base64","media_type":"application/pdf","data":"JVBERi0xLjQK"}"#),
        image(r#"{"type":"base64","media_type":"image/png","data":"no base64"}"#),
        image(r#"{"type":"base64","media_type":"image/png"}"#),
        image("{}"),
        r#"[{"type":"document"}]"#.to_owned(),
        r#"[{"type":"text","text":7}]"#.to_owned(),
        "7".to_owned(),
    ];
    for content in refused {
        let error = decided(&format!(r#"{{"decision":"result","content":{content}}}"#)).unwrap_err();
        assert_eq!((error.code, error.code.status()), (Code::InvalidParameter, 400), "{content}");
        assert!(error.detail.starts_with("content: "), "{}", error.detail);
    }
}
