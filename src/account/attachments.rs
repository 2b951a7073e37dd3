//! Attachments before their turn is admitted: whether it would be, and what the files are that it names. Their bytes never pass the object.

use std::rc::Rc;

use super::command::LookUpAttachments;
use super::error::AccountError;
use super::files::command::FilesReply;
use super::reply::Reply;
use super::runtime::{Directory, Runtime};
use super::{Account, Response};
use crate::agent::Container;
use crate::domain::Millis;
use crate::domain::content::MAX_BLOCKS;
use crate::store::sql::Sql;

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// Answers with the files, or as the turn's own command would: with the turn that its key has made, or a refusal.
    pub(super) fn look_up_attachments(
        self: &Rc<Self>,
        asked: &LookUpAttachments,
        now: Millis,
    ) -> Result<Response<S::Json>, AccountError> {
        if let Some(turn_id) = self.turn_of_key(asked.idempotency.as_ref())? {
            return self.answer_of(turn_id, (asked.answer, asked.include), false, true);
        }
        let replaced = self.turn_replaced(asked.session_id.as_ref(), asked.replaces.as_ref())?;
        let attachment_bytes = if let Some((session_id, turn_id)) = replaced {
            self.check_replacement(session_id, &turn_id, None, now)?
        } else {
            self.check_admission(&self.limits()?, self.store.active_turns()?.len(), now)?;
            self.refuse_if_full()?;
            let held = asked.session_id.as_ref().map(|session_id| self.store.attachment_bytes(session_id));
            held.transpose()?.unwrap_or(0)
        };
        let find = |path: &crate::domain::FilePath| match &asked.session_id {
            Some(session_id) => self.store.file(session_id, path.as_str()),
            None => Ok(None),
        };
        let files = asked.paths.iter().take(MAX_BLOCKS).map(find).collect::<Result<_, _>>()?;
        let found = FilesReply::Found { files, attachment_bytes };
        Ok(Response::Ready(Reply::Files(Box::new(found))))
    }
}
