//! The files of a conversation: what a request asks of them, and the response's status and headers (RFC 9110, 13 and 14). Bytes pass by
//! `platform/files.rs`.

use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::answer::{Answer, Body};
use super::body::{Head, need_no_coding};
use super::links;
use super::problem::{ApiError, Code};
use super::query::Target as Url;
use crate::account::files::command::Precondition;
use crate::domain::file::{MAX_FILES_PER_PAGE, MAX_PATH_BYTES, Target};
use crate::domain::{AccountId, FilePath, FilesPage, Millis, SessionId, StoredFile, TurnId};

/// How many files a page has if the request does not say.
pub(super) const DEFAULT_LIMIT: u32 = 100;
/// Files may be kept by whoever received them, and must be asked for again before they are used.
const CACHE_CONTROL: &str = "private, no-cache";
/// An agent writes HTML: a browser that opens it runs nothing of it and gives it no origin.
const CONTENT_SECURITY_POLICY: &str = "sandbox; default-src 'none'";

/// What a request asks of a conversation's files, other than to delete some.
#[derive(Debug, PartialEq, Eq)]
pub enum FilesRequest {
    /// `GET …/files`: a page of the list.
    List(ListFiles),
    /// `GET …/files` with `Accept: application/zip`: all files.
    Archive,
    /// `GET …/files/{path}`.
    Read {
        /// Which file.
        path: FilePath,
        /// The turn at whose end it is read; now if absent.
        at: Option<TurnId>,
        /// What the client has of it, and what it wants.
        conditions: Conditions,
    },
    /// `PUT …/files/{path}`: the request's body becomes the file.
    Upload {
        /// Which file.
        path: FilePath,
        /// The body's length in bytes.
        size: u64,
        /// What must hold of the file that is there.
        precondition: Precondition,
    },
}

/// Which page of the list.
#[derive(Debug, PartialEq, Eq)]
pub struct ListFiles {
    /// What the paths begin with.
    pub prefix: String,
    /// They come behind this path.
    pub after: Option<String>,
    /// Most files of the page.
    pub limit: u32,
}

impl FilesRequest {
    /// What `GET …/files` asks for.
    ///
    /// # Errors
    /// 400 `invalid_parameter`.
    pub fn list(head: &Head<'_>, url: &Url<'_>) -> Result<Self, ApiError> {
        let accept = (head.header)("accept").unwrap_or_default();
        if accept.split(',').any(|range| range.split(';').next().is_some_and(|kind| kind.trim() == "application/zip")) {
            return Ok(Self::Archive);
        }
        let parameter = |name| url.parameter(name).map_err(|e| ApiError::parameter(name, e.rule()));
        let prefix = parameter("prefix")?.unwrap_or_default();
        if prefix.len() > MAX_PATH_BYTES {
            return Err(ApiError::parameter("prefix", "at most 1024 bytes"));
        }
        let limit = parameter("limit")?.map_or(Ok(DEFAULT_LIMIT), |text| {
            let limit = text.parse().ok().filter(|limit| (1..=MAX_FILES_PER_PAGE).contains(limit));
            limit.ok_or_else(|| ApiError::parameter("limit", "a number from 1 to 1000"))
        })?;
        let after = parameter("cursor")?.map(FilePath::try_from).transpose();
        let after = after.map_err(|_| ApiError::parameter("cursor", "one that a Link header gave"))?;
        Ok(Self::List(ListFiles { prefix, after: after.map(String::from), limit }))
    }

    /// What `PUT …/files/{path}` asks for.
    ///
    /// # Errors
    /// 411 `length_required`, 415 `unsupported_media_type` for a body under a coding, and those of [`precondition`].
    pub fn upload(head: &Head<'_>, path: FilePath) -> Result<Self, ApiError> {
        need_no_coding(head)?;
        let length = (head.header)("content-length").and_then(|length| length.parse().ok());
        let size = length.ok_or_else(|| ApiError::new(Code::LengthRequired, "Send the file with `Content-Length`."))?;
        Ok(Self::Upload { path, size, precondition: precondition(head)? })
    }
}

/// The conditions of a read (RFC 9110, 13) and the range it asks for (14.2). More than one range is read as none: the whole file comes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    if_match: Option<String>,
    if_none_match: Option<String>,
    if_range: Option<String>,
    range: Option<Range>,
}

/// One range of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    /// From the first byte to the last one, or to the end.
    From(u64, Option<u64>),
    /// So many bytes at the end.
    Last(u64),
}

/// What of a file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// All of it.
    Whole,
    /// The bytes from the first number to before the second one.
    Part(u64, u64),
    /// Nothing: the client has it.
    NotModified,
}

impl Conditions {
    /// Reads them from a request's headers. A `Range` that cannot be read does not count, as the standard asks.
    #[must_use]
    pub fn parse(head: &Head<'_>) -> Self {
        Self {
            if_match: (head.header)("if-match"),
            if_none_match: (head.header)("if-none-match"),
            if_range: (head.header)("if-range"),
            range: (head.header)("range").as_deref().and_then(range),
        }
    }

    /// What is sent of a file with this entity tag, without quotes, and this size in bytes.
    ///
    /// # Errors
    /// 412 `precondition_failed`, 416 `range_not_satisfiable`.
    pub fn select(&self, etag: &str, size: u64) -> Result<Selection, ApiError> {
        if self.if_match.as_ref().is_some_and(|tags| !lists(tags, etag)) {
            return Err(ApiError::new(Code::PreconditionFailed, "If-Match: the file has another entity tag."));
        }
        if self.if_none_match.as_ref().is_some_and(|tags| lists(tags, etag)) {
            return Ok(Selection::NotModified);
        }
        let fits = self.if_range.as_ref().is_none_or(|tag| entity_tag(tag) == Some(etag));
        let Some(range) = self.range.filter(|_| fits) else { return Ok(Selection::Whole) };
        let (start, end) = match range {
            Range::From(first, last) => (first, last.map_or(size, |last| size.min(last.saturating_add(1)))),
            Range::Last(bytes) => (size.saturating_sub(bytes), size),
        };
        if start >= end {
            let refused = ApiError::new(Code::RangeNotSatisfiable, format!("The file has {size} bytes."));
            return Err(ApiError { file_size: Some(size), ..refused });
        }
        Ok(Selection::Part(start, end))
    }
}

fn range(header: &str) -> Option<Range> {
    let (first, last) = header.strip_prefix("bytes=")?.trim().split_once('-')?;
    let number =
        |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
    match (first, last) {
        ("", bytes) => Some(Range::Last(number(bytes)?)),
        (first, "") => Some(Range::From(number(first)?, None)),
        (first, last) => {
            Some(Range::From(number(first)?, Some(number(last).filter(|last| number(first) <= Some(*last))?)))
        }
    }
}

/// A strong entity tag without its quotes.
fn entity_tag(text: &str) -> Option<&str> {
    text.trim().strip_prefix('"')?.strip_suffix('"')
}

/// Whether a list of entity tags, or `*`, has this one.
fn lists(tags: &str, etag: &str) -> bool {
    tags.trim() == "*" || tags.split(',').any(|tag| entity_tag(tag.trim().trim_start_matches("W/")) == Some(etag))
}

/// What must hold of a file before it is changed.
///
/// # Errors
/// 400 `invalid_parameter` for an `If-None-Match` other than `*`.
pub fn precondition(head: &Head<'_>) -> Result<Precondition, ApiError> {
    let none = (head.header)("if-none-match");
    match ((head.header)("if-match"), none.as_deref().map(str::trim)) {
        (None, None) => Ok(Precondition::None),
        (Some(tags), None) if tags.trim() == "*" => Ok(Precondition::Matches(vec!["*".to_owned()])),
        (Some(tags), None) => {
            Ok(Precondition::Matches(tags.split(',').filter_map(entity_tag).map(str::to_owned).collect()))
        }
        (None, Some("*")) => Ok(Precondition::Absent),
        // A file that is there and is not: no tag is that of any.
        (Some(_), Some("*")) => Ok(Precondition::Matches(Vec::new())),
        (_, Some(_)) => Err(ApiError::parameter("If-None-Match", "`*`")),
    }
}

/// A file's path as the segments of a URL name it; of a folder, if the last one is empty; of everything, if there is no other.
///
/// # Errors
/// 400 `invalid_parameter`.
pub fn target(segments: &[&str]) -> Result<Target, ApiError> {
    let decoded: Result<Vec<_>, _> = segments.iter().map(|s| percent_decode_str(s).decode_utf8()).collect();
    let path = decoded.map_err(|_| ApiError::parameter("path", "percent-encoded UTF-8"))?.join("/");
    Target::try_from(path).map_err(|rule| ApiError::parameter("path", &rule.to_string()))
}

/// A page of a conversation's files.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "FileList"))]
pub(super) struct FilesJson<'a> {
    /// Rises with each turn that changed a file; 0 if nothing was saved.
    version: u64,
    /// When that version was saved.
    saved_at: Option<Millis>,
    /// Why the last turn's changes are not in it; null if they are.
    unsaved: Option<&'a str>,
    /// The files, by the bytes of their paths.
    files: Vec<FileJson<'a>>,
}

/// A file.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "File"))]
pub(super) struct FileJson<'a> {
    /// Its path within the workspace.
    path: &'a str,
    /// Its size in bytes.
    size: u64,
    /// When it was changed last.
    modified_at: Millis,
    /// Its entity tag, without quotes.
    etag: &'a str,
}

impl<'a> FileJson<'a> {
    fn of(file: &'a StoredFile) -> Self {
        Self { path: &file.path, size: file.size, modified_at: file.modified_at, etag: &file.etag }
    }
}

/// A file that was uploaded.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "UploadedFile"))]
pub(super) struct UploadedJson<'a> {
    /// Its path within the workspace.
    path: &'a str,
    /// Its size in bytes.
    size: u64,
    /// Its entity tag, without quotes.
    etag: &'a str,
}

/// The response with a page of the list.
#[must_use]
pub fn listing<J>(page: &FilesPage, asked: &ListFiles, account_id: &AccountId, session_id: &SessionId) -> Answer<J> {
    let files = page.files.iter().map(FileJson::of).collect();
    let body = FilesJson { version: page.version, saved_at: page.saved_at, unsaved: page.unsaved.as_deref(), files };
    let answer = Answer::json(200, &body);
    match &page.next {
        Some(next) => answer.with("link", links::next_files(account_id, session_id, &asked.prefix, asked.limit, next)),
        None => answer,
    }
}

/// The response to an upload.
#[must_use]
pub fn uploaded<J>(path: &FilePath, size: u64, etag: &str) -> Answer<J> {
    Answer::json(200, &UploadedJson { path: path.as_str(), size, etag }).with("etag", format!("\"{etag}\""))
}

/// The response with the selected part of a file, which `body` is.
#[must_use]
pub fn file<J>(file: &StoredFile, selection: Selection, body: Body<J>) -> Answer<J> {
    let (status, content_type, body) = match selection {
        Selection::Whole => (200, media_type(&file.path), body),
        Selection::Part(..) => (206, media_type(&file.path), body),
        Selection::NotModified => (304, "", Body::Nothing),
    };
    let answer = Answer::new(status, content_type, body)
        .with("etag", format!("\"{}\"", file.etag))
        .with("cache-control", CACHE_CONTROL)
        .with("accept-ranges", "bytes");
    let (start, end) = match selection {
        Selection::NotModified => return answer,
        Selection::Whole => (0, file.size),
        Selection::Part(start, end) => (start, end),
    };
    let answer = answer
        .with("content-length", (end - start).to_string())
        .with("content-disposition", links::attachment(file.path.rsplit('/').next().unwrap_or_default()))
        .with("content-security-policy", CONTENT_SECURITY_POLICY);
    match selection {
        Selection::Part(start, end) => answer.with("content-range", format!("bytes {start}-{}/{}", end - 1, file.size)),
        Selection::Whole | Selection::NotModified => answer,
    }
}

/// The response with all files, which `body` is.
#[must_use]
pub fn archive<J>(session_id: &SessionId, body: Body<J>) -> Answer<J> {
    Answer::new(200, "application/zip", body)
        .with("content-disposition", links::attachment(&format!("{session_id}.zip")))
}

/// A file's media type by its extension.
fn media_type(path: &str) -> &'static str {
    const TYPES: &[(&str, &str)] = &[
        ("avif", "image/avif"),
        ("css", "text/css; charset=utf-8"),
        ("csv", "text/csv; charset=utf-8"),
        ("gif", "image/gif"),
        ("gz", "application/gzip"),
        ("htm", "text/html; charset=utf-8"),
        ("html", "text/html; charset=utf-8"),
        ("jpeg", "image/jpeg"),
        ("jpg", "image/jpeg"),
        ("js", "text/javascript; charset=utf-8"),
        ("json", "application/json"),
        ("log", "text/plain; charset=utf-8"),
        ("md", "text/markdown; charset=utf-8"),
        ("mp3", "audio/mpeg"),
        ("mp4", "video/mp4"),
        ("pdf", "application/pdf"),
        ("png", "image/png"),
        ("svg", "image/svg+xml"),
        ("txt", "text/plain; charset=utf-8"),
        ("wasm", "application/wasm"),
        ("webp", "image/webp"),
        ("xml", "application/xml"),
        ("zip", "application/zip"),
    ];
    let extension =
        path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or("", |(_, extension)| extension);
    let known = TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(extension));
    known.map_or("application/octet-stream", |(_, media_type)| media_type)
}

#[cfg(test)]
mod tests;
