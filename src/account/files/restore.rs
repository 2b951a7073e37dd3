//! What a turn's files are before it begins: the stored version and the inbox, put into a container that does not hold them. No turn begins on a
//! part of them.

use std::rc::Rc;

use serde::Serialize;

use super::BUCKET_LIMIT;
use super::two_at_once;
use crate::account::Account;
use crate::account::runtime::{Directory, Runtime};
use crate::account::turn::Signal;
use crate::account::turn::progress::Progress;
use crate::agent::protocol::{BaseHeld, WantedWorkspace};
use crate::agent::{Agent, AgentError, BodyChunks, Container, ContainerError, Stream};
use crate::domain::{FailureCode, SdkSession, SessionId};
use crate::store::StoreError;
use crate::store::conversations::sdk_session;
use crate::store::sql::Sql;
use crate::store::turns::ActiveTurn;
use crate::store::workspaces::{Pack, Stored};
use crate::workspace::index::CODEC;
use crate::workspace::port::Bucket;

/// Tries to read an object of the bucket.
const GET_TRIES: u32 = 2;

/// Why a container does not have the files of a conversation.
pub enum NotRestored {
    /// The container failed.
    Agent(AgentError),
    /// The bucket does not give them, or has lost a part of them. The detail is for the log.
    Bucket(FailureCode, String),
    /// Storage failed.
    Store(StoreError),
}

impl From<AgentError> for NotRestored {
    fn from(error: AgentError) -> Self {
        Self::Agent(error)
    }
}

impl From<StoreError> for NotRestored {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

#[derive(Serialize)]
struct PackJson {
    no: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct HeadJson {
    version: u64,
    codec: &'static str,
    packs: Vec<PackJson>,
}

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// What is stored of a conversation's files; none where files are not saved.
    pub(in crate::account) fn files_of(&self, session_id: &SessionId) -> Result<Option<Stored>, StoreError> {
        if self.files.is_on() { self.store.stored_workspace(session_id).map(Some) } else { Ok(None) }
    }

    /// What the container is told of the files that a turn must stand on.
    pub(in crate::account) fn wanted_workspace(&self, stored: Stored) -> WantedWorkspace<'_> {
        let policy = &self.config.files;
        WantedWorkspace {
            version: stored.version,
            inbox: stored.inbox,
            exclude: &policy.exclude,
            max_files: policy.workspace_max_files,
            max_bytes: policy.workspace_max_bytes,
        }
    }

    /// The stored files that a turn must stand on, once a container runs that can hold them; none where files are not saved. One that cannot,
    /// because it was started before a deployment, is replaced where something is stored.
    pub(in crate::account) async fn files_for(
        &self,
        turn: &ActiveTurn,
        busy: bool,
    ) -> Result<Option<Stored>, NotRestored> {
        let Some(stored) = self.files_of(&turn.session_id)? else { return Ok(None) };
        if stored == Stored::default() && !self.agent.saves_workspaces() {
            return Ok(None);
        }
        let why = "it cannot hold the conversation's files";
        if self.replaced_unless(Agent::saves_workspaces, turn, busy, why).await? {
            return Ok(Some(stored));
        }
        let why = "no container can hold the conversation's files".to_owned();
        Err(NotRestored::Bucket(FailureCode::WorkspaceUnavailable, why))
    }

    /// Makes sure that a container runs that knows what the turn asks beyond words, and the content blocks of its history.
    pub(in crate::account) async fn container_for_content(
        &self,
        turn: &ActiveTurn,
        busy: bool,
    ) -> Result<(), AgentError> {
        let why = "it does not know the turn's content";
        if self.replaced_unless(Agent::knows_turns, turn, busy, why).await? {
            return Ok(());
        }
        Err(AgentError::Protocol("no container knows the turn's content".to_owned()))
    }

    /// Makes sure that the container's turns can wait for somebody: to one that does not know that, what is asked about would be allowed.
    pub(in crate::account) async fn container_for_actions(
        &self,
        turn: &ActiveTurn,
        busy: bool,
    ) -> Result<(), AgentError> {
        if self.replaced_unless(Agent::knows_actions, turn, busy, "its turns cannot wait for anybody").await? {
            return Ok(());
        }
        Err(AgentError::Protocol("no container's turns can wait for anybody".to_owned()))
    }

    /// Whether what runs `can` do something; a container that cannot, because it was started before a deployment, is replaced first.
    async fn replaced_unless(
        &self,
        can: fn(&Agent<C>) -> bool,
        turn: &ActiveTurn,
        busy: bool,
        why: &'static str,
    ) -> Result<bool, AgentError> {
        if can(&self.agent) {
            return Ok(true);
        }
        if busy {
            // Other turns are at work in it.
            return Err(AgentError::Draining);
        }
        self.log_turn_problem(turn, "container_replaced", &why);
        self.agent.destroy().await;
        self.ensure_agent(false).await?;
        Ok(can(&self.agent))
    }

    /// The id of an SDK session that this turn begins: the same one each time that the turn is given to a container.
    pub(in crate::account) fn session_to_begin(&self, progress: &mut Progress) -> Result<SdkSession, StoreError> {
        if let Some(session) = &progress.new_session {
            return Ok(session.clone());
        }
        let session = sdk_session(self.runtime.uuid().to_string())?;
        progress.new_session = Some(session.clone());
        Ok(session)
    }

    /// The same as [`Account::restore`], for the session that the turn was given to the container with.
    pub(in crate::account) async fn restore_for(
        self: &Rc<Self>,
        turn: &ActiveTurn,
        progress: &Progress,
        held: Option<BaseHeld>,
    ) -> Result<(), NotRestored> {
        match &progress.workspace_of {
            Some(session) => self.restore(&turn.session_id, session, held).await,
            None => Err(AgentError::Protocol("a workspace is required of a session without an id".to_owned()).into()),
        }
    }

    /// How a turn ends whose conversation's files are not to be had.
    pub(in crate::account) fn no_files(&self, turn: &ActiveTurn, error: NotRestored) -> Signal {
        match error {
            NotRestored::Agent(error) => {
                self.log_turn_problem(turn, "restore_failed", &error);
                Signal::Unavailable
            }
            NotRestored::Bucket(code, why) => {
                self.log_turn_problem(turn, "restore_failed", &why);
                Signal::NoFiles(code)
            }
            NotRestored::Store(error) => {
                self.log_turn_problem(turn, "restore_failed", &error);
                Signal::Lost
            }
        }
    }

    /// Puts the files of a conversation into the container, which holds `held` of them.
    pub(in crate::account) async fn restore(
        self: &Rc<Self>,
        session_id: &SessionId,
        session: &SdkSession,
        held: Option<BaseHeld>,
    ) -> Result<(), NotRestored> {
        let Some(bucket) = self.files.bucket.clone() else { return Ok(()) };
        let stored = self.store.stored_workspace(session_id)?;
        let held = held.filter(|held| held.version == stored.version);
        if held.is_none() {
            self.send_version(&bucket, session_id, session, stored.version).await?;
        }
        for waiting in self.store.inbox_after(session_id, held.map_or(0, |held| held.inbox))? {
            let file = match &waiting.upload {
                Some(upload) => Some(self.read(&bucket, &upload.key).await?),
                None => None,
            };
            self.agent.apply_file(session, &waiting.path, waiting.seq, file).await?;
        }
        Ok(())
    }

    async fn send_version(
        self: &Rc<Self>,
        bucket: &Rc<dyn Bucket>,
        session_id: &SessionId,
        session: &SdkSession,
        version: u64,
    ) -> Result<(), NotRestored> {
        let packs = self.store.current_packs(session_id)?;
        let listed = packs.iter().map(|pack| PackJson { no: pack.no, bytes: pack.bytes }).collect();
        let head = serde_json::to_string(&HeadJson { version, codec: CODEC, packs: listed });
        let head = head.map_err(|e| AgentError::Protocol(e.to_string()))? + "\n";
        let need = self.agent.begin_restore(session, head, self.parts(session_id)).await?;
        let stored = |no: &u64| packs.iter().find(|pack| pack.no == *no);
        let needed = need.iter().map(|no| stored(no).cloned().ok_or(no)).collect::<Result<Vec<_>, _>>();
        let needed = needed.map_err(|no| AgentError::Protocol(format!("pack {no} is not of this version")))?;
        let send = |pack: Pack| async move {
            let body = self.read(bucket, &pack.key).await?;
            Ok::<_, NotRestored>(self.agent.put_pack(session, pack.no, body).await?)
        };
        two_at_once(needed, send).await.map(drop)
    }

    /// The stored index, a part at a time.
    fn parts(self: &Rc<Self>, session_id: &SessionId) -> BodyChunks {
        let (account, session_id, mut last) = (Rc::clone(self), session_id.clone(), String::new());
        Box::new(move || {
            let part = account.store.part_after(&session_id, &last).map_err(|e| ContainerError(e.to_string()))?;
            Ok(part.map(|(first_path, entries)| {
                last = first_path;
                entries + "\n"
            }))
        })
    }

    /// An object's body.
    async fn read(&self, bucket: &Rc<dyn Bucket>, key: &str) -> Result<Stream, NotRestored> {
        let mut tries = 1;
        loop {
            match self.asked(BUCKET_LIMIT, bucket.get(key)).await {
                Ok(Some(body)) => return Ok(body),
                Ok(None) => {
                    return Err(NotRestored::Bucket(FailureCode::WorkspaceDamaged, format!("{key} is gone")));
                }
                Err(error) if tries == GET_TRIES => {
                    return Err(NotRestored::Bucket(FailureCode::WorkspaceUnavailable, error.to_string()));
                }
                Err(_) => tries += 1,
            }
        }
    }
}
