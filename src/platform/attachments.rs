//! A turn with attachments: what its blocks hold becomes files of the conversation, and what they name is looked at, before the account's object
//! admits it. The object gets references alone where there is a bucket, and never the bytes of files.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use worker::Env;
use worker::js_sys::{Reflect, Uint8Array};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;

use super::bindings::{self, Js};
use super::files::{FilesCall, Replied, ask_object, unexpected};
use super::{http, r2, runtime, stub, unreachable};
use crate::account::command::{Command, Envelope, LookUpAttachments, StartTurn};
use crate::account::files::command::{FilesCommand, FilesRefusal, FilesReply, Precondition};
use crate::api::content::{BadFile, bad_file, too_large};
use crate::api::problem::ApiError;
use crate::digest;
use crate::domain::content::{FoundFile, MediaType, SNIFFED_BYTES, Source, check, path_of};
use crate::domain::{AccountId, Block, Content, FilePath, RequestId, SessionId, StoredFile, Title};

/// Bytes of a SHA-256 that stand for a file.
const ETAG_BYTES: usize = 16;

/// Data of a block on its way to a file.
struct Upload {
    path: FilePath,
    etag: String,
    bytes: Vec<u8>,
}

/// Answers a query whose blocks are not words alone.
pub async fn start_turn(env: Env, account_id: AccountId, request_id: RequestId, mut start: Box<StartTurn>) -> Js {
    if let Err(refused) = place(&env, &account_id, &request_id, &mut start).await {
        return refused.response(&request_id);
    }
    let envelope = Envelope::new(request_id, Command::StartTurn(start));
    let sent = stub::send(&env, &account_id, &envelope)?;
    JsFuture::from(unreachable::or_unreachable(&sent, &envelope.request_id)).await
}

async fn place(env: &Env, account_id: &AccountId, request_id: &RequestId, start: &mut StartTurn) -> Replied<()> {
    let replaces = start.replaced_message().cloned();
    let Some(blocks) = start.content.as_mut() else { return Ok(()) };
    let has_bucket = Reflect::get(env, &r2::BINDING.into())?.is_object();
    let uploads = if has_bucket { take_data(blocks) } else { Vec::new() };
    let named: Vec<(usize, FilePath)> = blocks.iter().enumerate().filter_map(unseen).collect();
    if !has_bucket && !named.is_empty() {
        return Err(ApiError::from(FilesRefusal::NotConfigured).into());
    }
    let paths = named.iter().map(|(_, path)| path).chain(uploads.iter().map(|upload| &upload.path)).cloned().collect();
    let (session_id, idempotency) = (start.session_id.clone(), start.idempotency.clone());
    // Files that the conversation has now may go with the message that is replaced.
    let may_be_there = replaces.is_none();
    let (answer, include) = (start.answer, start.include);
    let asked = LookUpAttachments { session_id, paths, idempotency, answer, include, replaces };
    let command = Command::LookUpAttachments(Box::new(asked));
    let (_, reply) = ask_object(env, account_id, request_id, command).await?;
    let FilesReply::Found { files, attachment_bytes } = reply else { return Err(unexpected()) };
    let mut files = files.into_iter();
    let session_id = match &start.session_id {
        Some(session_id) => session_id.clone(),
        None => SessionId::generate(runtime::now(), runtime::uuid()),
    };
    let call = FilesCall::new(env.clone(), account_id.clone(), session_id.clone(), request_id.clone());
    let mut seen = Vec::with_capacity(named.len());
    for (index, _) in named {
        let block = blocks.get_mut(index).ok_or_else(unexpected)?;
        let file = files.next().flatten().ok_or_else(|| bad_file(index, block, BadFile::NotThere))?;
        let media_type = call.media_type_of(&file).await?.filter(|kind| block.takes(*kind));
        let media_type = media_type.ok_or_else(|| bad_file(index, block, BadFile::Unsupported))?;
        set_found(block, FoundFile { media_type, size: file.size, etag: String::new() });
        seen.push((index, media_type, file));
    }
    check(blocks, attachment_bytes).map_err(|error| too_large(&error))?;
    for (index, media_type, file) in seen {
        let etag = call.etag_of(&file).await?;
        let block = blocks.get_mut(index).ok_or_else(unexpected)?;
        set_found(block, FoundFile { media_type, size: file.size, etag });
    }
    for upload in uploads {
        let there = files.next().flatten().filter(|_| may_be_there);
        if !call.holds(there.as_ref(), &upload).await? {
            call.put(upload, &start.title).await?;
        }
    }
    if has_bucket {
        start.session_id = Some(session_id);
    }
    Ok(())
}

/// Takes the data out of blocks, which name the files instead that it is to become; each file once.
fn take_data(blocks: &mut [Block]) -> Vec<Upload> {
    let mut uploads: Vec<Upload> = Vec::new();
    for block in blocks {
        let (Block::Image(attachment) | Block::Document(attachment)) = block else { continue };
        let Source::Base64 { media_type, data } = &mut attachment.source else { continue };
        let (media_type, etag) = (*media_type, digest::hex(&data.0, ETAG_BYTES));
        let Some(path) = path_of(media_type, &etag) else { continue };
        let bytes = std::mem::take(&mut data.0);
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let found = Some(FoundFile { media_type, size, etag: etag.clone() });
        attachment.source = Source::File { path: path.clone(), found };
        if uploads.iter().all(|upload| upload.path != path) {
            uploads.push(Upload { path, etag, bytes });
        }
    }
    uploads
}

/// The path of a block whose file nobody has looked at.
fn unseen((index, block): (usize, &Block)) -> Option<(usize, FilePath)> {
    match &block.attachment()?.source {
        Source::File { path, found: None } => Some((index, path.clone())),
        _ => None,
    }
}

fn set_found(block: &mut Block, file: FoundFile) {
    if let Block::Image(attachment) | Block::Document(attachment) = block
        && let Source::File { found, .. } = &mut attachment.source
    {
        *found = Some(file);
    }
}

impl FilesCall {
    /// What a file is, by its first bytes.
    async fn media_type_of(&self, file: &StoredFile) -> Replied<Option<MediaType>> {
        let length = file.size.min(SNIFFED_BYTES);
        if length == 0 {
            return Ok(None);
        }
        let stream = self.bytes(file, 0, length).await?;
        let mut reader = http::BodyReader::new(Some(stream.unchecked_into()))?;
        let mut bytes = Vec::new();
        while let Some(piece) = reader.chunk().await.map_err(|error| self.unread(&error))? {
            bytes.extend_from_slice(&piece);
        }
        Ok(MediaType::of(&bytes, length == file.size))
    }

    /// The beginning of a file's SHA-256: as the index has it, or of an upload that no version holds yet by reading all of it.
    async fn etag_of(&self, file: &StoredFile) -> Replied<String> {
        if !matches!(file.content, Some(Content::Object(_))) {
            let hash = URL_SAFE_NO_PAD.decode(&file.etag).map_err(|e| JsValue::from_str(&e.to_string()))?;
            return Ok(digest::hexadecimal(&hash));
        }
        let json = serde_json::to_string(file).map_err(|e| JsValue::from_str(&e.to_string()))?;
        #[expect(clippy::cast_precision_loss, reason = "a file has fewer than 2^53 bytes")]
        let hash = bindings::hash_file(&self.bucket()?, &json, file.size as f64).await;
        let hash = hash.map_err(|error| self.unread(&error))?.as_string().unwrap_or_default();
        Ok(hash.get(..2 * ETAG_BYTES).unwrap_or_default().to_owned())
    }

    /// Whether this file is what is to be uploaded.
    async fn holds(&self, file: Option<&StoredFile>, upload: &Upload) -> Replied<bool> {
        match file {
            Some(file) if u64::try_from(upload.bytes.len()).is_ok_and(|size| size == file.size) => {
                Ok(self.etag_of(file).await? == upload.etag)
            }
            _ => Ok(false),
        }
    }

    async fn put(&self, upload: Upload, title: &Title) -> Replied<()> {
        let Upload { path, bytes, .. } = upload;
        let (size, precondition) = (u64::try_from(bytes.len()).unwrap_or(u64::MAX), Precondition::None);
        let body = Uint8Array::from(bytes.as_slice());
        drop(bytes);
        let begin = FilesCommand::BeginUpload { path: path.clone(), size, precondition: precondition.clone() };
        let title = Some(title.clone());
        let commit = |key, etag| FilesCommand::CommitUpload { path, key, size, etag, precondition, title };
        self.upload(begin, commit, &body).await.map(drop)
    }
}
