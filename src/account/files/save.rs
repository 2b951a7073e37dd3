//! The save of a turn's files: after the result, the container says what it packed; the packs are pulled out of it into the bucket, the index is
//! read, and the transaction that ends the turn commits both. A save that fails does not fail the turn, and the next one includes it.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::InFlight;
use super::two_at_once;
use crate::account::Account;
use crate::account::runtime::{Directory, Runtime};
use crate::account::turn::progress::Progress;
use crate::agent::protocol::{FrameBody, OfferedPack, SaveOffer, WorkspaceFrame};
use crate::agent::{AgentError, Container, Frames};
use crate::domain::file::Unsaved;
use crate::domain::{SdkSession, SessionId};
use crate::store::StoreError;
use crate::store::sql::Sql;
use crate::store::turns::ActiveTurn;
use crate::store::workspaces::{FilesEnd, Pack, Save};
use crate::workspace::index::{self, Part, Said};
use crate::workspace::port::Bucket;

/// Cuts of the stream that a save survives: one that is cut at once each time would be attached to without a pause.
const MAX_CUTS: u32 = 5;

/// How long a save may take, from the turn's result on: so long its end waits.
pub const SAVE_LIMIT: Duration = Duration::from_mins(1);
/// Tries to pull a pack, each under a key of its own.
const PULL_TRIES: u32 = 2;
/// Tries to attach again to a stream that was cut before it told of the files.
const ATTACH_TRIES: u32 = 3;

/// What became of a turn's files before its end is stored.
pub enum Saved {
    /// The folder is as it was.
    Same,
    /// They could not be saved.
    Unsaved(Unsaved),
    /// They are in the bucket.
    Pulled(Box<Pulled>),
}

/// A version that was pulled out of the container and is not committed.
pub struct Pulled {
    offer: SaveOffer,
    /// How many versions are kept once it is committed.
    kept_versions: u64,
    packs: Vec<Pack>,
    index: String,
    /// They are named by then.
    _in_flight: Vec<Rc<InFlight>>,
}

/// Why a save was given up; the detail is for the log.
struct NotSaved(Unsaved, String);

impl From<StoreError> for NotSaved {
    fn from(error: StoreError) -> Self {
        Self(Unsaved::StorageUnavailable, error.to_string())
    }
}

fn invalid(detail: impl std::fmt::Display) -> NotSaved {
    NotSaved(Unsaved::InvalidSave, detail.to_string())
}

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// Waits for what the container says of the turn's files behind its result, and pulls it; none where it says nothing.
    pub(in crate::account) async fn save(
        self: &Rc<Self>,
        turn: &ActiveTurn,
        progress: &Progress,
        frames: Frames<C::Body>,
    ) -> Option<Saved> {
        let bucket = self.files.bucket.clone()?;
        let outcome = {
            let work = pin!(self.wait_and_pull(&bucket, turn, progress, frames));
            match select(work, pin!(self.runtime.sleep(SAVE_LIMIT))).await {
                Either::Left((outcome, _)) => outcome,
                Either::Right(_) => {
                    Err(NotSaved(Unsaved::SaveTimeout, format!("it took longer than {} s", SAVE_LIMIT.as_secs())))
                }
            }
        };
        match outcome {
            Ok(saved) => saved,
            Err(NotSaved(reason, detail)) => {
                self.log_not_saved(turn, reason, &detail);
                Some(Saved::Unsaved(reason))
            }
        }
    }

    pub(in crate::account) fn log_not_saved(&self, turn: &ActiveTurn, reason: Unsaved, detail: &dyn std::fmt::Display) {
        self.log_turn_problem(turn, "files_not_saved", &format_args!("{}: {detail}", reason.as_str()));
    }

    async fn wait_and_pull(
        self: &Rc<Self>,
        bucket: &Rc<dyn Bucket>,
        turn: &ActiveTurn,
        progress: &Progress,
        mut frames: Frames<C::Body>,
    ) -> Result<Option<Saved>, NotSaved> {
        let mut cuts = 0;
        let frame = loop {
            match frames.next().await {
                Ok(frame) => match frame.body {
                    FrameBody::Workspace(frame) => break Some(frame),
                    FrameBody::End => break None,
                    // The turn has its result: what else is said of it comes too late.
                    FrameBody::Started(_)
                    | FrameBody::Event(_)
                    | FrameBody::Steered(_)
                    | FrameBody::Transcript(_)
                    | FrameBody::TranscriptPart(_)
                    | FrameBody::Action(_)
                    | FrameBody::ActionResolved(_)
                    | FrameBody::Result(_)
                    | FrameBody::Unknown => {}
                },
                Err(error @ AgentError::Protocol(_)) => return Err(invalid(error)),
                Err(error) => {
                    self.log_turn_problem(turn, "frames_cut", &error);
                    cuts += 1;
                    if cuts > MAX_CUTS {
                        return Err(NotSaved(Unsaved::ContainerLost, error.to_string()));
                    }
                    let again = self.attach(turn, (progress.last_n, progress.behind.first_n), ATTACH_TRIES).await;
                    frames = again.map_err(|_| NotSaved(Unsaved::ContainerLost, error.to_string()))?;
                }
            }
        };
        let saved = match frame {
            None => None,
            Some(WorkspaceFrame::Unchanged) => Some(Saved::Same),
            Some(WorkspaceFrame::Refused(reason)) => return Err(NotSaved(reason, "the container refuses".to_owned())),
            Some(WorkspaceFrame::Save(offer)) => {
                let session = progress.sdk_session.as_ref().ok_or_else(|| invalid("it has no session"))?;
                Some(Saved::Pulled(Box::new(self.pull(bucket, turn, session, *offer).await?)))
            }
        };
        self.read_out_later(frames);
        Ok(saved)
    }

    async fn pull(
        self: &Rc<Self>,
        bucket: &Rc<dyn Bucket>,
        turn: &ActiveTurn,
        session: &SdkSession,
        offer: SaveOffer,
    ) -> Result<Pulled, NotSaved> {
        let kept_versions = self.check_offer(&turn.session_id, &offer)?;
        let keys: Vec<_> = offer.packs.iter().map(|_| self.new_key(bucket.as_ref())).collect();
        let named: Vec<String> = keys.iter().map(|key| key.key.clone()).collect();
        self.store.doom(&named, self.runtime.now())?;
        let pull = |(offered, key): (&OfferedPack, Rc<InFlight>)| {
            let (offered, version) = (*offered, offer.version);
            async move { self.pull_pack(bucket, session, version, offered, key).await }
        };
        let pulled: Vec<(Pack, Rc<InFlight>)> = two_at_once(offer.packs.iter().zip(keys), pull).await?;
        let index = self.agent.pull_index(session, offer.version).await.map_err(|error| match error {
            AgentError::Protocol(_) => invalid(error),
            error => NotSaved(Unsaved::ContainerLost, error.to_string()),
        })?;
        if u64::try_from(index.len()).ok() != Some(offer.index_bytes) {
            return Err(invalid("the index has not the size that was said"));
        }
        let (packs, in_flight) = pulled.into_iter().unzip();
        Ok(Pulled { offer, kept_versions, packs, index, _in_flight: in_flight })
    }

    /// Whether the account has room for what is offered, and the stored version is the one that it was made from. Returns how many versions are kept
    /// with it.
    fn check_offer(&self, session_id: &SessionId, offer: &SaveOffer) -> Result<u64, NotSaved> {
        let policy = &self.config.files;
        if offer.bytes > policy.workspace_max_bytes {
            return Err(NotSaved(Unsaved::TooLarge, format!("{} bytes", offer.bytes)));
        }
        if offer.files > u64::from(policy.workspace_max_files) {
            return Err(NotSaved(Unsaved::TooManyFiles, format!("{} files", offer.files)));
        }
        let stored = self.store.stored_workspace(session_id)?.version;
        if stored != offer.base {
            return Err(invalid(format!("it was made from version {}, and {stored} is stored", offer.base)));
        }
        let added: u64 = offer.packs.iter().map(|pack| pack.bytes).sum();
        let kept_versions = self.room_for_save(session_id, &offer.keep, added, self.runtime.now())?;
        kept_versions
            .ok_or_else(|| NotSaved(Unsaved::StorageFull, format!("the account has no room for {added} bytes more")))
    }

    /// Passes one pack from the container to the bucket.
    async fn pull_pack(
        self: &Rc<Self>,
        bucket: &Rc<dyn Bucket>,
        session: &SdkSession,
        version: u64,
        offered: OfferedPack,
        mut key: Rc<InFlight>,
    ) -> Result<(Pack, Rc<InFlight>), NotSaved> {
        let mut tries = 1;
        loop {
            let pack = self.agent.pull_pack(session, version, offered.no).await;
            let pack = pack.map_err(|error| NotSaved(Unsaved::ContainerLost, error.to_string()))?;
            // A body without its length, or with another one, is not put at all.
            if pack.length != Some(offered.bytes) {
                return Err(invalid("a pack has not the size that was said"));
            }
            match self.put(bucket, &key, pack).await {
                Ok(bytes) if bytes == offered.bytes => {
                    return Ok((Pack { no: offered.no, key: key.key.clone(), bytes }, key));
                }
                Ok(_) => return Err(NotSaved(Unsaved::StorageUnavailable, "a pack was not stored whole".to_owned())),
                // Either side may have cut it.
                Err(error) if self.agent.at_work().await.is_err() => {
                    return Err(NotSaved(Unsaved::ContainerLost, error.to_string()));
                }
                Err(error) if tries == PULL_TRIES => {
                    return Err(NotSaved(Unsaved::StorageUnavailable, error.to_string()));
                }
                Err(_) => {
                    tries += 1;
                    key = self.new_key(bucket.as_ref());
                    self.store.doom(std::slice::from_ref(&key.key), self.runtime.now())?;
                }
            }
        }
    }

    /// What the end of the turn stores of its files. A pulled version is committed only if its index keeps every rule.
    pub(in crate::account) fn settle<'a>(&self, turn: &ActiveTurn, saved: &'a Saved) -> FilesEnd<'a> {
        let pulled = match saved {
            Saved::Same => return FilesEnd::Same,
            Saved::Unsaved(reason) => return FilesEnd::Unsaved(*reason),
            Saved::Pulled(pulled) => pulled,
        };
        match self.believed(turn, pulled) {
            Ok(parts) => FilesEnd::Save(Box::new(Save {
                base: pulled.offer.base,
                inbox: pulled.offer.inbox,
                files: pulled.offer.files,
                bytes: pulled.offer.bytes,
                keep: &pulled.offer.keep,
                packs: &pulled.packs,
                parts,
                kept_versions: pulled.kept_versions,
                told: pulled.offer.files(),
            })),
            Err(NotSaved(reason, detail)) => {
                self.log_not_saved(turn, reason, &detail);
                FilesEnd::Unsaved(reason)
            }
        }
    }

    /// The parts of a pulled version's index.
    fn believed<'a>(&self, turn: &ActiveTurn, pulled: &'a Pulled) -> Result<Vec<Part<'a>>, NotSaved> {
        let offer = &pulled.offer;
        let new = offer.packs.iter().map(|pack| (pack.no, pack.bytes));
        let packs = self.store.packs_of_save(&turn.session_id, &offer.keep, new)?;
        let packs = packs.ok_or_else(|| invalid("it keeps a pack that is not stored, or uses a number again"))?;
        let said = Said { version: offer.version, files: offer.files, bytes: offer.bytes, packs: &packs };
        index::read(&pulled.index, &said).map_err(invalid)
    }
}
