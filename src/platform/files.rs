//! Files between clients and the bucket. The account's object says where bytes are and what may be stored; the Worker moves them, so that they
//! pass neither the object nor this program's memory (`files.js`).

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, select};
use worker::Env;
use worker::js_sys::{Array, Promise, Reflect};
use worker::wasm_bindgen::closure::Closure;
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys;

use super::bindings::{self, Js, R2Bucket, R2Object, thrown};
use super::{http, r2, runtime, stub};
use crate::account::command::{Command, Envelope};
use crate::account::files::command::{FilesCommand, FilesReply};
use crate::api::answer::{Answer, Body};
use crate::api::files::{self, FilesRequest, Selection};
use crate::api::problem::{ApiError, Code};
use crate::domain::file::MAX_FILES_PER_PAGE;
use crate::domain::{AccountId, FilePath, RequestId, SessionId, StoredFile};
use crate::log::{Level, Line};

/// How long an upload may take: shorter than its key, which is doomed until it is stored, is left alone.
const UPLOAD_LIMIT: Duration = Duration::from_mins(5);

/// One request about the files of a conversation.
pub struct FilesCall {
    env: Env,
    account_id: AccountId,
    session_id: SessionId,
    request_id: RequestId,
}

/// Why there is no response yet: the object's own refusal, or ours.
pub(super) enum Refused {
    ByObject(web_sys::Response),
    ByUs(ApiError),
    Broken(JsValue),
}

impl Refused {
    /// The response that it is.
    pub(super) fn response(self, request_id: &RequestId) -> Js {
        match self {
            Self::ByObject(response) => Ok(response.into()),
            Self::ByUs(error) => http::refusal(&error, request_id),
            Self::Broken(error) => Err(error),
        }
    }
}

impl From<JsValue> for Refused {
    fn from(error: JsValue) -> Self {
        Self::Broken(error)
    }
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self::ByUs(error)
    }
}

pub(super) type Replied<T> = Result<T, Refused>;

impl FilesCall {
    /// A request about the files of this conversation.
    pub fn new(env: Env, account_id: AccountId, session_id: SessionId, request_id: RequestId) -> Self {
        Self { env, account_id, session_id, request_id }
    }

    /// Responds to it. `is_head` says that the body is not wanted.
    pub async fn respond(self, asked: FilesRequest, request: web_sys::Request, is_head: bool) -> Js {
        let call = Rc::new(self);
        let answered = match asked {
            FilesRequest::List(list) => call.list(&list).await,
            FilesRequest::Archive => Rc::clone(&call).archive(is_head).await,
            FilesRequest::Read { path, at, conditions } => {
                call.read(FilesCommand::Find { path, at }, &conditions, is_head).await
            }
            FilesRequest::Upload { path, size, precondition } => {
                let begin = FilesCommand::BeginUpload { path: path.clone(), size, precondition: precondition.clone() };
                let commit =
                    |key, etag| FilesCommand::CommitUpload { path, key, size, etag, precondition, title: None };
                let body = request.body().map_or_else(|| JsValue::from_str(""), JsValue::from);
                call.upload(begin, commit, &body).await.map(|(path, size, etag)| files::uploaded(&path, size, &etag))
            }
        };
        match answered {
            Ok(answer) => http::response(answer, &call.request_id),
            Err(refused) => refused.response(&call.request_id),
        }
    }

    async fn list(&self, asked: &files::ListFiles) -> Replied<Answer<JsValue>> {
        let files::ListFiles { prefix, after, limit } = asked;
        let list = FilesCommand::List { prefix: prefix.clone(), after: after.clone(), limit: *limit, content: false };
        match self.ask(list).await?.1 {
            FilesReply::Page(page) => Ok(files::listing(&page, asked, &self.account_id, &self.session_id)),
            _ => Err(unexpected()),
        }
    }

    async fn read(
        &self,
        find: FilesCommand,
        conditions: &files::Conditions,
        is_head: bool,
    ) -> Replied<Answer<JsValue>> {
        let FilesReply::File(file) = self.ask(find).await?.1 else { return Err(unexpected()) };
        let selection = conditions.select(&file.etag, file.size)?;
        let (start, end) = match selection {
            Selection::Whole => (0, file.size),
            Selection::Part(start, end) => (start, end),
            Selection::NotModified => (0, 0),
        };
        let body =
            if is_head || start == end { Body::Nothing } else { Body::Document(self.bytes(&file, start, end).await?) };
        Ok(files::file(&file, selection, body))
    }

    #[expect(clippy::cast_precision_loss, reason = "a file has fewer than 2^53 bytes")]
    pub(super) async fn bytes(&self, file: &StoredFile, start: u64, end: u64) -> Replied<JsValue> {
        let json = serde_json::to_string(file).map_err(|e| JsValue::from_str(&e.to_string()))?;
        let bucket = self.bucket()?;
        let read = bindings::read_file(&bucket, &json, start as f64, end as f64).await;
        read.map_err(|error| self.unread(&error))
    }

    async fn archive(self: Rc<Self>, is_head: bool) -> Replied<Answer<JsValue>> {
        let (page, reply) = self.page(None).await?;
        let FilesReply::Page(_) = reply else { return Err(unexpected()) };
        if is_head {
            return Ok(files::archive(&self.session_id, Body::Nothing));
        }
        let call = Rc::clone(&self);
        let next: Closure<dyn FnMut(String) -> Js> = Closure::new(move |after| {
            let call = Rc::clone(&call);
            http::later(&call.request_id.clone(), async move {
                let page = call.page(Some(after)).await.map_err(|_| JsValue::from_str("the next page was refused"))?;
                Ok(JsValue::from_str(&page.0))
            })
        });
        let bucket = self.bucket()?;
        let written = bindings::write_archive(&bucket, &page, &next).await.map_err(|error| self.unread(&error))?;
        let written: Array = written.unchecked_into();
        let (stream, done) = (written.get(0), written.get(1).unchecked_into::<Promise>());
        runtime::spawn(async move {
            // It does not reject: what goes wrong cuts the body.
            drop(JsFuture::from(done).await);
            drop(next);
        });
        Ok(files::archive(&self.session_id, Body::Document(stream)))
    }

    async fn page(&self, after: Option<String>) -> Replied<(String, FilesReply)> {
        let (prefix, limit) = (String::new(), MAX_FILES_PER_PAGE);
        self.ask(FilesCommand::List { prefix, after, limit, content: true }).await
    }

    /// Puts a body into the bucket and stores it as a file. Its length must be known to the runtime.
    pub(super) async fn upload(
        &self,
        begin: FilesCommand,
        commit: impl FnOnce(String, String) -> FilesCommand,
        body: &JsValue,
    ) -> Replied<(FilePath, u64, String)> {
        let FilesReply::Upload { key } = self.ask(begin).await?.1 else { return Err(unexpected()) };
        let put = self.bucket()?.put(&key, body);
        let stored = match select(JsFuture::from(put?), Box::pin(runtime::sleep(UPLOAD_LIMIT))).await {
            Either::Left((stored, _)) => stored.map_err(|error| self.unread(&error))?,
            Either::Right(_) => {
                return Err(ApiError::new(Code::RequestTimeout, "The file did not come whole within 5 minutes.").into());
            }
        };
        let etag = stored.unchecked_ref::<R2Object>().etag();
        match self.ask(commit(key, etag)).await?.1 {
            FilesReply::Uploaded { path, size, etag } => Ok((path, size, etag)),
            _ => Err(unexpected()),
        }
    }

    pub(super) fn bucket(&self) -> Replied<R2Bucket> {
        let bucket = Reflect::get(&self.env, &r2::BINDING.into())?;
        Ok(bucket.unchecked_into())
    }

    /// The refusal of bytes that the bucket did not take or give; the log says why.
    pub(super) fn unread(&self, error: &JsValue) -> Refused {
        let why = thrown(error);
        let (event, request_id) = ("bytes_not_moved", Some(&self.request_id));
        runtime::log(Level::Error, &Line { event, request_id, error: Some(&why), ..Line::default() });
        Refused::ByUs(if bindings::is_damaged(error) {
            ApiError::new(Code::WorkspaceDamaged, "Bytes of the file are missing from the bucket. Delete or upload it.")
        } else {
            ApiError::new(Code::WorkspaceUnavailable, "The bucket did not answer. Send the request again.")
        })
    }

    /// Asks the account's object, and returns the reply also as it was sent: a page's inner JSON is what `files.js` reads.
    async fn ask(&self, ask: FilesCommand) -> Replied<(String, FilesReply)> {
        let command = Command::Files { session_id: self.session_id.clone(), ask };
        ask_object(&self.env, &self.account_id, &self.request_id, command).await
    }
}

/// Asks an account's object something that it answers with a [`FilesReply`]; the response itself where it does not.
pub(super) async fn ask_object(
    env: &Env,
    account_id: &AccountId,
    request_id: &RequestId,
    command: Command,
) -> Replied<(String, FilesReply)> {
    let response = answer_of_object(env, account_id, request_id, command).await?;
    let text = JsFuture::from(response.text()?).await?.as_string().unwrap_or_default();
    let reply = serde_json::from_str(&text).map_err(|e| JsValue::from_str(&e.to_string()))?;
    Ok((text, reply))
}

/// The response of an account's object to a command that it carried out; as a refusal every other one.
async fn answer_of_object(
    env: &Env,
    account_id: &AccountId,
    request_id: &RequestId,
    command: Command,
) -> Replied<web_sys::Response> {
    let envelope = Envelope::new(request_id.clone(), command);
    let sent = stub::send(env, account_id, &envelope)?;
    let answer = JsFuture::from(super::unreachable::or_unreachable(&sent, request_id)).await?;
    let response: web_sys::Response = answer.unchecked_into();
    // A turn that an earlier request has made is the response to this one.
    if response.status() != 200 || response.headers().has("idempotent-replayed")? {
        return Err(Refused::ByObject(response));
    }
    Ok(response)
}

/// The failure of an object that replied to something else.
pub(super) fn unexpected() -> Refused {
    Refused::Broken(JsValue::from_str("the object replied to another command"))
}
