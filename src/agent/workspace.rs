//! The calls of the agent server that move a workspace: into the container before a turn, and out of it at the turn's end.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::client::{Agent, read_at_most, read_limited};
use super::error::AgentError;
use super::port::{Answer, Body, BodyChunks, Call, Container, Method, Stream};
use crate::domain::SdkSession;
use crate::domain::file::MAX_INDEX_BYTES;

/// What a path keeps in a query.
const KEPT_IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'/');

#[derive(Deserialize)]
struct Need {
    need: Vec<u64>,
}

/// How long one call of a restore may take: a pack of small files is some thousand new files on a slow disk.
const RESTORE_CALL_LIMIT: Duration = Duration::from_mins(2);

impl<C: Container> Agent<C> {
    /// Begins to restore a workspace: sends its version, its packs and its index, and returns the packs that must follow.
    ///
    /// # Errors
    /// [`AgentError::Unreachable`] or [`AgentError::Protocol`].
    pub async fn begin_restore(
        &self,
        session: &SdkSession,
        head: String,
        parts: BodyChunks,
    ) -> Result<Vec<u64>, AgentError> {
        let call = async {
            let call = self.call(Method::Put, format!("/sessions/{session}/workspace"));
            let answer = self.asked(Call { body: Some(head), more: Some(parts), ..call }).await?;
            let text = read_limited(answer.body).await?;
            let need: Need = serde_json::from_str(&text).map_err(|e| AgentError::Protocol(e.to_string()))?;
            Ok(need.need)
        };
        self.limited(RESTORE_CALL_LIMIT, call).await
    }

    /// Sends a pack of the workspace that is being restored.
    ///
    /// # Errors
    /// [`AgentError::Unreachable`] or [`AgentError::Protocol`].
    pub async fn put_pack(&self, session: &SdkSession, no: u64, pack: Stream) -> Result<(), AgentError> {
        let call = async {
            let call = self.call(Method::Put, format!("/sessions/{session}/workspace/packs/{no}"));
            let answer = self.asked(Call { stream: Some(pack), ..call }).await?;
            read_limited(answer.body).await.map(drop)
        };
        self.limited(RESTORE_CALL_LIMIT, call).await
    }

    /// Applies one upload, or one deletion where there is no file, to the folder of a conversation.
    ///
    /// # Errors
    /// [`AgentError::Unreachable`] or [`AgentError::Protocol`].
    pub async fn apply_file(
        &self,
        session: &SdkSession,
        path: &str,
        seq: u64,
        file: Option<Stream>,
    ) -> Result<(), AgentError> {
        let call = async {
            let method = if file.is_some() { Method::Put } else { Method::Delete };
            let path = utf8_percent_encode(path, KEPT_IN_QUERY);
            let call = self.call(method, format!("/sessions/{session}/workspace/files?path={path}&seq={seq}"));
            let answer = self.asked(Call { stream: file, ..call }).await?;
            read_limited(answer.body).await.map(drop)
        };
        self.limited(RESTORE_CALL_LIMIT, call).await
    }

    /// A pack of a save, to be passed on.
    ///
    /// # Errors
    /// [`AgentError::Unreachable`] or [`AgentError::Protocol`].
    pub async fn pull_pack(&self, session: &SdkSession, version: u64, no: u64) -> Result<Stream, AgentError> {
        let path = format!("/sessions/{session}/workspace/saves/{version}/packs/{no}");
        let answer = self.asked(self.call(Method::Get, path)).await?;
        answer.body.into_stream().ok_or_else(|| AgentError::Protocol("a pack that cannot be passed on".to_owned()))
    }

    /// The index of a save.
    ///
    /// # Errors
    /// [`AgentError::Unreachable`], or [`AgentError::Protocol`] if it is longer than [`MAX_INDEX_BYTES`] or is not UTF-8.
    pub async fn pull_index(&self, session: &SdkSession, version: u64) -> Result<String, AgentError> {
        let path = format!("/sessions/{session}/workspace/saves/{version}/index");
        let answer = self.asked(self.call(Method::Get, path)).await?;
        read_at_most(answer.body, usize::try_from(MAX_INDEX_BYTES).unwrap_or(usize::MAX)).await
    }

    /// The answer to a call that is not refused.
    async fn asked(&self, call: Call) -> Result<Answer<C::Body>, AgentError> {
        let what = call.method.as_str();
        let answer = self.container.fetch(call).await?;
        match answer.status {
            200 => Ok(answer),
            401 => Err(AgentError::Unauthorized),
            409 => Err(AgentError::SessionBusy),
            status => Err(AgentError::Protocol(format!("{what} of a workspace was answered {status}"))),
        }
    }
}
