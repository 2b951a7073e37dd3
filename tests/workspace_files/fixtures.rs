//! What a user does with files, and what a test looks at.

use std::time::Duration;

use crate::support::script::Script;
use crate::support::session;
use crate::support::stage::Stage;
use claude_agent_service::account::Response;
use claude_agent_service::account::command::Command;
use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::files::command::{FilesCommand, FilesRefusal, FilesReply, Precondition};
use claude_agent_service::account::reply::Reply;
use claude_agent_service::domain::FilePath;
use claude_agent_service::domain::file::Target;

pub const DAY: Duration = Duration::from_hours(24);

pub fn ask(stage: &Stage, id: &str, ask: FilesCommand) -> Result<FilesReply, AccountError> {
    match stage.handle(Command::Files { session_id: session(id), ask })? {
        Response::Ready(Reply::Files(reply)) => Ok(*reply),
        _ => unreachable!(),
    }
}

pub fn refused(outcome: Result<FilesReply, AccountError>) -> FilesRefusal {
    match outcome {
        Err(AccountError::Files(refusal)) => refusal,
        Err(error) => panic!("{error}"),
        Ok(reply) => panic!("{reply:?}"),
    }
}

pub fn path(text: &str) -> FilePath {
    text.parse().unwrap()
}

pub fn begin(stage: &Stage, at: &str, size: u64, precondition: Precondition) -> Result<String, AccountError> {
    let reply = ask(stage, "a", FilesCommand::BeginUpload { path: path(at), size, precondition })?;
    let FilesReply::Upload { key } = reply else { unreachable!() };
    Ok(key)
}

pub fn commit(stage: &Stage, at: &str, key: &str, text: &str) -> Result<FilesReply, AccountError> {
    stage.bucket.put_directly(key, text.as_bytes());
    let (size, precondition) = (u64::try_from(text.len()).unwrap(), Precondition::default());
    let commit = FilesCommand::CommitUpload {
        path: path(at),
        key: key.to_owned(),
        size,
        etag: format!("e-{}", text.replace(' ', "-")),
        precondition,
        title: None,
    };
    ask(stage, "a", commit)
}

pub fn upload(stage: &Stage, at: &str, text: &str) {
    let key = begin(stage, at, u64::try_from(text.len()).unwrap(), Precondition::default()).unwrap();
    commit(stage, at, &key, text).unwrap();
}

pub fn delete(stage: &Stage, target: &str) -> Result<FilesReply, AccountError> {
    let target = Target::try_from(target.to_owned()).unwrap();
    ask(stage, "a", FilesCommand::Delete { target, precondition: Precondition::default() })
}

pub fn listed(stage: &Stage) -> Vec<String> {
    let list = FilesCommand::List { prefix: String::new(), after: None, limit: 100, content: false };
    let Ok(FilesReply::Page(page)) = ask(stage, "a", list) else { return Vec::new() };
    page.files.into_iter().map(|file| file.path).collect()
}

pub fn writes(stage: &Stage, files: &[(&str, &str)]) -> String {
    let turn = stage.query_that("a", Script::writes(files));
    stage.settle();
    stage.end(&turn)
}

pub fn folder(stage: &Stage) -> Vec<(String, String)> {
    let agent = stage.sql.text("select agent_session from conversations where session_id = 'a'");
    let files = stage.container.folder(&agent);
    files.into_iter().map(|(path, bytes)| (path, String::from_utf8(bytes).unwrap())).collect()
}

pub fn owned(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

/// Whether the bucket and its tables hold nothing.
pub fn is_clean(stage: &Stage) -> bool {
    let is_made = !stage.sql.texts("select 1 from sqlite_schema where name = 'doomed'").is_empty();
    stage.bucket.keys().is_empty() && (!is_made || stage.sql.count("doomed") == 0)
}
