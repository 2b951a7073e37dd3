//! What conditions, ranges and paths of requests for files mean.

use super::*;

fn conditions(headers: &[(&str, &str)]) -> Conditions {
    let header = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
    Conditions::parse(&Head { method: "GET", url: "", header: &header, now: Millis::new(0) })
}

fn selected(headers: &[(&str, &str)]) -> Result<Selection, Code> {
    conditions(headers).select("e1", 100).map_err(|error| error.code)
}

#[test]
fn a_range_is_one_range_of_bytes_or_none() {
    for (range, selection) in [
        ("bytes=0-0", Selection::Part(0, 1)),
        ("bytes=10-", Selection::Part(10, 100)),
        ("bytes=90-1000", Selection::Part(90, 100)),
        ("bytes=-7", Selection::Part(93, 100)),
        ("bytes=-1000", Selection::Part(0, 100)),
        ("bytes=5-4", Selection::Whole),
        ("bytes=0-1,5-6", Selection::Whole),
        ("bytes=-", Selection::Whole),
        ("bytes=a-b", Selection::Whole),
        ("bytes=+1-2", Selection::Whole),
        ("lines=1-2", Selection::Whole),
        ("", Selection::Whole),
    ] {
        assert_eq!(selected(&[("range", range)]), Ok(selection), "{range}");
    }
    for range in ["bytes=100-", "bytes=100-200", "bytes=-0"] {
        assert_eq!(selected(&[("range", range)]), Err(Code::RangeNotSatisfiable), "{range}");
    }
}

#[test]
fn entity_tags_decide_before_ranges() {
    let range = ("range", "bytes=0-9");
    let part = Ok(Selection::Part(0, 10));
    for tags in ["\"e1\"", "W/\"e1\"", "\"other\", \"e1\"", "*"] {
        assert_eq!(selected(&[("if-none-match", tags), range]), Ok(Selection::NotModified), "{tags}");
        assert_eq!(selected(&[("if-match", tags), range]), part, "{tags}");
    }
    for tags in ["\"e2\"", "e1", ""] {
        assert_eq!(selected(&[("if-none-match", tags), range]), part, "{tags}");
        assert_eq!(selected(&[("if-match", tags), range]), Err(Code::PreconditionFailed), "{tags}");
    }
    assert_eq!(selected(&[("if-range", "\"e1\""), range]), part);
    for tag in ["\"e2\"", "W/\"e1\"", "Wed, 21 Oct 2015 07:28:00 GMT"] {
        assert_eq!(selected(&[("if-range", tag), range]), Ok(Selection::Whole), "{tag}");
    }
}

#[test]
fn a_change_may_ask_for_a_file_that_is_there_or_for_none() {
    let read = |headers: &[(&str, &str)]| {
        let header = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        precondition(&Head { method: "PUT", url: "", header: &header, now: Millis::new(0) })
    };
    assert_eq!(read(&[]), Ok(Precondition::None));
    assert_eq!(read(&[("if-none-match", " * ")]), Ok(Precondition::Absent));
    assert_eq!(read(&[("if-match", "*")]), Ok(Precondition::Matches(vec!["*".to_owned()])));
    let two = Precondition::Matches(vec!["a".to_owned(), "b".to_owned()]);
    assert_eq!(read(&[("if-match", "\"a\", \"b\"")]), Ok(two));
    assert!(!read(&[("if-match", "*"), ("if-none-match", "*")]).unwrap().holds(Some("a")));
    assert_eq!(read(&[("if-none-match", "\"a\"")]).unwrap_err().code, Code::InvalidParameter);
}

#[test]
fn a_path_is_read_from_the_segments_of_a_url() {
    let path = |segments: &[&str]| target(segments).map(String::from).map_err(|error| error.code);
    assert_eq!(path(&["a", "b%20c", "%C3%A9.txt"]).as_deref(), Ok("a/b c/é.txt"));
    assert_eq!(path(&["a%2Fb"]).as_deref(), Ok("a/b"));
    assert_eq!(path(&["a", ""]).as_deref(), Ok("a/"));
    assert_eq!(path(&[""]).as_deref(), Ok(""));
    for bad in [&["a", "", "b"][..], &["%2e%2E"], &["..", "a"], &["a%00"], &["%ff"], &["", ""]] {
        assert_eq!(path(bad), Err(Code::InvalidParameter), "{bad:?}");
    }
}

#[test]
fn a_file_is_downloaded_and_not_shown() {
    let file = StoredFile {
        path: "a/é \"x\".HTML".to_owned(),
        size: 9,
        modified_at: Millis::new(1),
        etag: "e1".to_owned(),
        crc32: None,
        content: None,
    };
    let answer: Answer<()> = super::file(&file, Selection::Part(2, 5), Body::Nothing);
    assert_eq!((answer.status, answer.content_type), (206, "text/html; charset=utf-8"));
    let header = |name| answer.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str());
    assert_eq!(header("content-disposition"), Some("attachment; filename*=UTF-8''%C3%A9%20%22x%22.HTML"));
    assert_eq!(header("content-security-policy"), Some("sandbox; default-src 'none'"));
    assert_eq!((header("content-range"), header("content-length")), (Some("bytes 2-4/9"), Some("3")));
    let unchanged: Answer<()> = super::file(&file, Selection::NotModified, Body::Nothing);
    assert_eq!((unchanged.status, unchanged.headers.len()), (304, 3));
}
