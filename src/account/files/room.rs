//! Room for files: an account holds at most `ACCOUNT_FILES_BYTES`, and at most what its database leaves of `storage_bytes`. Older versions, which are kept for branches, give way to what is new.

use crate::account::Account;
use crate::account::error::AccountError;
use crate::account::files::command::FilesRefusal;
use crate::account::runtime::{Directory, Runtime};
use crate::agent::Container;
use crate::domain::file::KEPT_VERSIONS;
use crate::domain::{Millis, SessionId};
use crate::log::{Level, Line};
use crate::store::StoreError;
use crate::store::sql::Sql;

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// Whether the account has room for so many bytes more. If it has too little, older versions are deleted, those that take the most first,
    /// unless that would not be enough.
    pub(in crate::account) fn make_room(&self, bytes: u64, now: Millis) -> Result<bool, StoreError> {
        let wanted = self.store.files_bytes()?.saturating_add(bytes);
        let of_storage = self.limits()?.storage_bytes;
        let of_storage = of_storage.map(|bytes| bytes.saturating_sub(self.store.database_bytes()));
        let most = self.config.files.account_bytes;
        let mut over = wanted.saturating_sub(of_storage.map_or(most, |bytes| bytes.min(most)));
        if over == 0 {
            return Ok(true);
        }
        let older = self.store.bytes_of_older_versions()?;
        if older.iter().map(|(_, bytes)| bytes).sum::<u64>() < over {
            return Ok(false);
        }
        for (session_id, bytes) in older {
            self.store.drop_older_versions(&session_id, now)?;
            self.log(
                Level::Info,
                Line { event: "older_files_dropped", session_id: Some(&session_id), ..Line::default() },
            );
            over = over.saturating_sub(bytes);
            if over == 0 {
                break;
            }
        }
        Ok(true)
    }

    /// Refuses a file of so many bytes for which the account has no room.
    pub(in crate::account) fn need_room(&self, bytes: u64, now: Millis) -> Result<(), AccountError> {
        if self.make_room(bytes, now)? {
            return Ok(());
        }
        self.check_storage(&self.limits()?, bytes)?;
        Err(FilesRefusal::StorageFull.into())
    }

    /// How many versions a save of the conversation may leave; none if the account has no room for it at all. `keep` are the stored packs that it
    /// goes on using, `added` are the bytes of its new ones.
    pub(super) fn room_for_save(
        &self,
        session_id: &SessionId,
        keep: &[u64],
        added: u64,
        now: Millis,
    ) -> Result<Option<u64>, StoreError> {
        if self.make_room(added, now)? {
            return Ok(Some(KEPT_VERSIONS));
        }
        // The version that it replaces gives way, too. What takes no more than that is saved even if limits were lowered meanwhile.
        let replaced = self.store.bytes_replaced(session_id, keep)?;
        let more = added.saturating_sub(replaced);
        let fits = more == 0 || (replaced > 0 && self.make_room(more, now)?);
        Ok(fits.then_some(1))
    }
}
