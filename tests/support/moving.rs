//! The Worker between an export and an import: it asks for page after page, and carries the bytes of files in and out of the bucket.

use std::fmt::Write as _;

use claude_agent_service::account::Response;
use claude_agent_service::account::command::Command;
use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::manage::command::{ImportBatch, ImportObject, ManageCommand, ManageReply};
use claude_agent_service::account::reply::Reply;
use claude_agent_service::domain::transfer::{ExportPlace, ObjectOf};

use super::stage::Stage;

/// Bytes of a piece, so few that small files take several.
const PIECE_BYTES: usize = 16;

fn manage(stage: &Stage, ask: ManageCommand) -> Result<ManageReply, AccountError> {
    match stage.handle(Command::Manage(ask))? {
        Response::Ready(Reply::Managed(reply)) => Ok(*reply),
        _ => unreachable!(),
    }
}

/// The lines of the whole account; bytes stand in `bytes` lines as they are, in hexadecimal digits.
pub fn export(stage: &Stage, files: bool) -> String {
    let (mut all, mut place) = (String::new(), Some(ExportPlace { files, ..ExportPlace::default() }));
    while let Some(asked) = place {
        let ManageReply::Exported { text, next } = manage(stage, ManageCommand::Export(Some(asked))).unwrap() else {
            unreachable!()
        };
        all.push_str(&text);
        if let Some(object) = next.as_ref().and_then(|next| next.object.as_ref()) {
            let bytes = stage.bucket.state.borrow().objects[&object.key].0.clone();
            assert_eq!(bytes.len() as u64, object.size);
            for piece in bytes.chunks(PIECE_BYTES) {
                all.push_str("{\"type\":\"bytes\",\"data\":\"");
                for byte in piece {
                    write!(all, "{byte:02x}").unwrap();
                }
                all.push_str("\"}\n");
            }
        }
        place = next;
    }
    all
}

/// Imports lines, a batch between two objects at once; returns how many conversations came.
pub fn import(stage: &Stage, text: &str, by_operator: bool) -> Result<u64, AccountError> {
    import_as(stage, text, (by_operator, false))
}

/// The same, as an operator and a resuming request.
#[allow(dead_code, reason = "not every suite resumes")]
pub fn resume(stage: &Stage, text: &str) -> Result<u64, AccountError> {
    import_as(stage, text, (true, true))
}

fn import_as(stage: &Stage, text: &str, (by_operator, resume): (bool, bool)) -> Result<u64, AccountError> {
    let (batch, head) = (String::new(), None);
    let mut import = Import { stage, by_operator, resume, batch, head, conversations: 0, line_no: 0 };
    for line in text.lines() {
        import.line(line)?;
    }
    import.flush(true)?;
    Ok(import.conversations)
}

struct Import<'a> {
    stage: &'a Stage,
    by_operator: bool,
    resume: bool,
    batch: String,
    head: Option<(String, Vec<u8>)>,
    conversations: u64,
    line_no: u64,
}

impl Import<'_> {
    fn line(&mut self, line: &str) -> Result<(), AccountError> {
        self.line_no += 1;
        if let Some(data) = line.strip_prefix("{\"type\":\"bytes\",\"data\":\"") {
            if let Some((_, bytes)) = &mut self.head {
                let digits: Vec<u8> = data.bytes().take_while(u8::is_ascii_hexdigit).collect();
                let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
                bytes.extend(digits.chunks(2).map(byte));
            }
            return Ok(());
        }
        self.object()?;
        if line.starts_with("{\"type\":\"pack\",") || line.starts_with("{\"type\":\"upload\",") {
            self.flush(false)?;
            self.head = Some((line.to_owned(), Vec::new()));
        } else {
            self.batch.push_str(line);
            self.batch.push('\n');
        }
        Ok(())
    }

    fn object(&mut self) -> Result<(), AccountError> {
        let Some((line, bytes)) = self.head.take().filter(|(_, bytes)| !bytes.is_empty()) else { return Ok(()) };
        let line_no = self.line_no;
        let ask = |stored| {
            manage(
                self.stage,
                ManageCommand::ImportObject(Box::new(ImportObject {
                    line: line.clone(),
                    line_no,
                    stored,
                    resume: self.resume,
                })),
            )
        };
        let (key, size) = match ask(None)? {
            ManageReply::Object(ObjectOf { key, size }) => (key, size),
            ManageReply::PassedOver => return Ok(()),
            _ => unreachable!(),
        };
        if bytes.len() as u64 != size {
            return Err(AccountError::BadImport("bytes".to_owned()));
        }
        self.stage.bucket.put_directly(&key, &bytes);
        ask(Some(ObjectOf { key, size })).map(drop)
    }

    fn flush(&mut self, is_last: bool) -> Result<(), AccountError> {
        self.object()?;
        let lines = std::mem::take(&mut self.batch);
        let batch = ImportBatch {
            lines,
            first_line: self.line_no,
            is_last,
            by_operator: self.by_operator,
            resume: self.resume,
        };
        if let ManageReply::Imported { conversations } = manage(self.stage, ManageCommand::Import(Box::new(batch)))? {
            self.conversations += conversations;
        }
        Ok(())
    }
}
