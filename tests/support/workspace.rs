//! The workspaces in a scripted container: folders that turns write into, saves that pack what changed, and restores. It compresses nothing: a
//! frame is the file's bytes.

use std::collections::{BTreeMap, BTreeSet};

use super::bucket::Carried;
use super::container::{Scripted, ScriptedBody, problem, text};
use claude_agent_service::agent::{Answer, Call};
use serde_json::{Value, json};

/// A save has at most so many packs.
const PACKS_A_SAVE: u64 = 1_024;

type Contents = BTreeMap<String, Vec<u8>>;

/// A conversation's folder.
#[derive(Debug, Default, Clone)]
pub struct Folder {
    pub files: Contents,
    /// The version that it stands on, and the inbox in it.
    held: Option<(u64, u64)>,
    /// Where the base has each file: pack, offset.
    base: BTreeMap<String, (u64, u64, Vec<u8>)>,
    pending: Option<Pending>,
    restoring: Option<Restoring>,
}

#[derive(Debug, Clone)]
struct Pending {
    version: u64,
    inbox: u64,
    base: BTreeMap<String, (u64, u64, Vec<u8>)>,
    packs: BTreeMap<u64, Vec<u8>>,
    index: String,
}

#[derive(Debug, Clone)]
struct Restoring {
    version: u64,
    /// Of each file: its pack, offset and length.
    entries: Vec<(String, u64, usize, usize)>,
    left: BTreeSet<u64>,
    packs: BTreeMap<u64, Vec<u8>>,
}

/// All folders, and what a test may change of their saves.
#[derive(Default)]
pub struct Workspaces {
    /// Whether the agent server has the feature.
    pub saves: bool,
    /// Whether that of the next container has.
    pub saves_after_boot: bool,
    pub folders: BTreeMap<String, Folder>,
    /// What each offered version of a session holds.
    pub offered: BTreeMap<(String, u64), Contents>,
    /// Changes the frame of the next save.
    pub lie: Option<fn(&mut Value)>,
    /// Changes the index of the next save, whose size the frame then tells.
    pub false_index: Option<fn(&str) -> String>,
    /// How often files of each session began to be restored.
    pub restored: Vec<String>,
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn hash(bytes: &[u8]) -> String {
    let sum = bytes.iter().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    format!("{sum:022}")
}

impl Folder {
    /// Whether a turn that must stand on this may begin.
    fn stands_on(&mut self, version: u64, inbox: u64) -> bool {
        if let Some(pending) = self.pending.take_if(|pending| pending.version == version) {
            self.held = Some((version, pending.inbox));
            self.base = pending.base;
        }
        if self.held.is_none() && version == 0 && inbox == 0 {
            self.held = Some((0, 0));
        }
        self.held.is_some_and(|held| held.0 == version && held.1 >= inbox)
    }

    fn save(&mut self) -> Option<(Value, Contents)> {
        let (base_version, inbox) = self.held?;
        let changed: Vec<&String> = self
            .files
            .iter()
            .filter(|(path, bytes)| self.base.get(*path).is_none_or(|(_, _, old)| old != *bytes))
            .map(|(path, _)| path)
            .collect();
        let gone: Vec<String> = self.base.keys().filter(|path| !self.files.contains_key(*path)).cloned().collect();
        if changed.is_empty() && gone.is_empty() && self.pending.is_none() {
            return None;
        }
        let (mut pack, mut base) = (Vec::new(), self.base.clone());
        base.retain(|path, _| self.files.contains_key(path));
        // As the agent server numbers them: a number is not used again, whatever was restored.
        let version = base_version + 1;
        let pack_no = version * PACKS_A_SAVE;
        for path in &changed {
            let bytes = &self.files[*path];
            let at = u64::try_from(pack.len()).unwrap();
            pack.extend_from_slice(bytes);
            base.insert((*path).clone(), (pack_no, at, bytes.clone()));
        }
        let used: BTreeSet<u64> = base.values().filter(|(_, _, bytes)| !bytes.is_empty()).map(|(no, ..)| *no).collect();
        let packs: BTreeMap<u64, Vec<u8>> =
            if pack.is_empty() { BTreeMap::new() } else { BTreeMap::from([(pack_no, pack)]) };
        let keep: Vec<u64> = used.iter().copied().filter(|no| !packs.contains_key(no)).collect();
        let entry = |(path, (no, at, bytes)): (&String, &(u64, u64, Vec<u8>))| {
            let segments = if bytes.is_empty() { json!([]) } else { json!([[no, at, bytes.len(), 0]]) };
            json!([path, 0o644, bytes.len(), 5, hash(bytes), 7, segments])
        };
        let entries: Vec<Value> = base.iter().map(entry).collect();
        let parts: String = entries.chunks(2).map(|part| json!(part).to_string() + "\n").collect();
        let index = json!({ "version": version, "codec": "zstd" }).to_string() + "\n" + &parts;
        let bytes: usize = self.files.values().map(Vec::len).sum();
        let listed: Vec<Value> = packs.iter().map(|(no, bytes)| json!({ "no": no, "bytes": bytes.len() })).collect();
        let named = changed.iter().map(|path| json!({ "path": path, "change": "modified", "size": 1 }));
        let named: Vec<Value> = named.take(100).collect();
        let offer = json!({
            "base": base_version, "version": version, "inbox": inbox, "files": base.len(), "bytes": bytes,
            "keep": keep, "packs": listed, "index_bytes": index.len(), "skipped": 0, "changed": named,
            "changed_total": changed.len() + gone.len(),
        });
        self.pending = Some(Pending { version, inbox, base, packs, index });
        Some((offer, self.files.clone()))
    }

    fn restore(&mut self, head: &Value, parts: &str) -> Vec<u64> {
        let mut entries = Vec::new();
        for part in parts.lines() {
            for entry in serde_json::from_str::<Vec<Value>>(part).unwrap() {
                let size = usize::try_from(number(&entry[2])).unwrap();
                let (no, at) = entry[6].get(0).map_or((0, 0), |segment| (number(&segment[0]), number(&segment[1])));
                entries.push((entry[0].as_str().unwrap().to_owned(), no, usize::try_from(at).unwrap(), size));
            }
        }
        let left: BTreeSet<u64> = head["packs"].as_array().unwrap().iter().map(|pack| number(&pack["no"])).collect();
        *self = Self::default();
        let need = left.iter().copied().collect();
        self.restoring = Some(Restoring { version: number(&head["version"]), entries, left, packs: BTreeMap::new() });
        self.end_restore();
        need
    }

    fn end_restore(&mut self) {
        let Some(restoring) = self.restoring.take_if(|restoring| restoring.left.is_empty()) else { return };
        for (path, no, at, size) in restoring.entries {
            let bytes = if size == 0 { Vec::new() } else { restoring.packs[&no][at..at + size].to_vec() };
            self.base.insert(path.clone(), (no, u64::try_from(at).unwrap(), bytes.clone()));
            self.files.insert(path, bytes);
        }
        self.held = Some((restoring.version, 0));
    }
}

impl Scripted {
    /// Whether a turn's workspace is held; else what is answered.
    pub fn workspace_refusal(&self, session: Option<&str>, wanted: &Value) -> Option<Answer<ScriptedBody>> {
        let (version, inbox) = (number(wanted.get("version")?), number(&wanted["inbox"]));
        let mut state = self.state.borrow_mut();
        let Some(session) = session else {
            assert_eq!((version, inbox), (0, 0), "a session without an id has no files");
            return None;
        };
        let folder = state.workspaces_held.folders.entry(session.to_owned()).or_default();
        if folder.stands_on(version, inbox) {
            return None;
        }
        let held = folder.held.map(|(version, inbox)| json!({ "version": version, "inbox": inbox }));
        Some(text(409, &json!({ "code": "workspace_required", "held": held })))
    }

    /// Writes into the folder of a session, or deletes there.
    pub fn write(&self, session: &str, path: &str, bytes: Option<&[u8]>) {
        let mut state = self.state.borrow_mut();
        let folder = state.workspaces_held.folders.entry(session.to_owned()).or_default();
        match bytes {
            Some(bytes) => drop(folder.files.insert(path.to_owned(), bytes.to_vec())),
            None => drop(folder.files.remove(path)),
        }
    }

    /// The files of a session's folder.
    pub fn folder(&self, session: &str) -> Contents {
        self.state.borrow().workspaces_held.folders.get(session).map(|folder| folder.files.clone()).unwrap_or_default()
    }

    /// What is told of a session's files behind a turn's result.
    pub fn workspace_frame(&self, session: &str) -> Value {
        let mut state = self.state.borrow_mut();
        let workspaces = &mut state.workspaces_held;
        let folder = workspaces.folders.entry(session.to_owned()).or_default();
        if folder.held.is_none() {
            folder.held = Some((0, 0));
        }
        let Some((mut offer, contents)) = folder.save() else {
            return json!({ "type": "workspace", "unchanged": true });
        };
        if let Some(pending) = &mut folder.pending
            && let Some(change) = workspaces.false_index.take()
        {
            pending.index = change(&pending.index);
            offer["index_bytes"] = json!(pending.index.len());
        }
        workspaces.offered.insert((session.to_owned(), number(&offer["version"])), contents);
        let mut frame = json!({ "type": "workspace", "save": offer });
        if let Some(lie) = workspaces.lie.take() {
            lie(&mut frame);
        }
        frame
    }

    /// Says what becomes of the turn's files, after the time that packing takes.
    pub async fn tell_of_files(&self, id: &str) {
        let session = {
            let state = self.state.borrow();
            state.turns.get(id).filter(|turn| turn.saves).map(|turn| turn.session.clone())
        };
        let Some(session) = session else { return };
        let (instance, packing) = (self.instance(), self.state.borrow().packing);
        self.executor.sleep(packing).await;
        if self.instance() == instance {
            let frame = self.workspace_frame(&session);
            self.say(id, &frame);
        }
    }

    /// The answer to a call that moves files; none for another.
    pub fn workspace_call(&self, call: &mut Call, parts: &[&str], query: &str) -> Option<Answer<ScriptedBody>> {
        let ["sessions", session, "workspace", rest @ ..] = parts else { return None };
        let mut state = self.state.borrow_mut();
        let instance = state.instance().unwrap();
        if !state.workspaces_held.saves {
            return Some(problem(404, "not_found"));
        }
        let workspaces = &mut state.workspaces_held;
        let folder = workspaces.folders.entry((*session).to_owned()).or_default();
        let ok = |body: &Value| Some(text(200, body));
        match (call.method.as_str(), rest) {
            ("PUT", []) => {
                workspaces.restored.push((*session).to_owned());
                let mut lines = String::new();
                while let Some(line) = call.more.as_mut().unwrap()().unwrap() {
                    lines.push_str(&line);
                }
                let need = folder.restore(&serde_json::from_str(call.body.as_ref().unwrap()).unwrap(), &lines);
                ok(&json!({ "need": need }))
            }
            ("PUT", ["packs", no]) => {
                let carried: Carried = call.stream.take().unwrap().into_body().unwrap();
                let no: u64 = no.parse().unwrap();
                let Some(restoring) = &mut folder.restoring else { return Some(problem(404, "not_found")) };
                restoring.left.remove(&no);
                restoring.packs.insert(no, carried.bytes);
                let left = restoring.left.len();
                folder.end_restore();
                ok(&json!({ "left": left }))
            }
            (method, ["files"]) => {
                let (path, seq) = query.strip_prefix("path=").unwrap().split_once("&seq=").unwrap();
                let path = percent_encoding::percent_decode_str(path).decode_utf8().unwrap().into_owned();
                match call.stream.take() {
                    Some(stream) => {
                        assert_eq!(method, "PUT");
                        drop(folder.files.insert(path, stream.into_body::<Carried>().unwrap().bytes));
                    }
                    None if path.ends_with('/') => folder.files.retain(|file, _| !file.starts_with(&path)),
                    None => drop(folder.files.remove(&path)),
                }
                let held = folder.held.get_or_insert((0, 0));
                held.1 = seq.parse().unwrap();
                ok(&json!({}))
            }
            ("GET", ["saves", version, what @ ..]) => {
                let pending = folder.pending.as_ref().filter(|pending| pending.version.to_string() == *version);
                let Some(pending) = pending else { return Some(problem(404, "not_found")) };
                match what {
                    ["index"] => Some(Answer { status: 200, body: ScriptedBody::Text(Some(pending.index.clone())) }),
                    ["packs", no] => {
                        let Some(bytes) = pending.packs.get(&no.parse().unwrap()).cloned() else {
                            return Some(problem(404, "not_found"));
                        };
                        let carried = Carried { bytes, from: Some((self.clone(), instance)) };
                        Some(Answer { status: 200, body: ScriptedBody::Pack(Some(carried)) })
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }
}
