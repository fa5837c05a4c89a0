//! The folders of the file transport: requests in `artifacts/agent_inbox/<agent>/`, answers in
//! `artifacts/agent_outbox/<agent>/`, one file a request. Invariants: a file appears whole under its name or
//! not at all, and never replaces another; names come from [`AgentName`] and [`FileRequestId`], so no path
//! leads out of the folder; links are not followed. A request in progress has been moved to the inbox's
//! `working/`, so it is taken once. All functions block: call them from a blocking thread.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::domain::agent_router::{FileRequestId, InvocationRequest};
use crate::domain::ids::AgentName;
use crate::files::create_file;

/// Waiting requests, below the working directory.
pub const INBOX: &str = "artifacts/agent_inbox";
/// Answers, below the working directory.
pub const OUTBOX: &str = "artifacts/agent_outbox";
/// Requests in progress, within an inbox.
pub(super) const WORKING: &str = "working";
/// Invalid requests, within an inbox, each beside a file with the reason.
const REJECTED: &str = "rejected";
/// Largest request or answer file: the same as the largest HTTP body.
pub const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Both folders of one agent.
#[derive(Debug, Clone)]
pub(super) struct MailFolders {
    inbox: PathBuf,
    outbox: PathBuf,
}

#[derive(Debug)]
pub(super) struct TakenRequest {
    pub(super) id: FileRequestId,
    pub(super) request: InvocationRequest,
}

/// The result of withdrawing a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WithdrawnRequest {
    /// Not taken by the agent; deleted now.
    Unread,
    /// Taken by the agent.
    Taken,
}

impl MailFolders {
    pub(super) fn of(workdir: &Path, agent: &AgentName) -> Self {
        let below = |folder: &str| workdir.join(folder).join(agent.as_str());
        Self { inbox: below(INBOX), outbox: below(OUTBOX) }
    }

    /// Posts a request; `AlreadyExists` when the id was used before.
    pub(super) fn post(&self, id: &FileRequestId, request: &InvocationRequest) -> io::Result<()> {
        self.refuse_links()?;
        let used = [self.inbox.join(WORKING), self.outbox.clone()];
        if used.iter().any(|folder| file(folder, id).symlink_metadata().is_ok()) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        place(&self.inbox, id, &serde_json::to_vec_pretty(request)?)
    }

    /// Withdraws an unread request.
    pub(super) fn withdraw(&self, id: &FileRequestId) -> io::Result<WithdrawnRequest> {
        self.refuse_links()?;
        match fs::remove_file(file(&self.inbox, id)) {
            Ok(()) => Ok(WithdrawnRequest::Unread),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(WithdrawnRequest::Taken),
            Err(error) => Err(error),
        }
    }

    /// The answer to a request, if any.
    pub(super) fn answer(&self, id: &FileRequestId) -> io::Result<Option<Vec<u8>>> {
        self.refuse_links()?;
        match read(&file(&self.outbox, id)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes up to `limit` requests, by name. Invalid ones are moved to `rejected/`.
    pub(super) fn take(&self, agent: &AgentName, limit: usize) -> io::Result<Vec<TakenRequest>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        self.refuse_links()?;
        let mut taken = Vec::new();
        for name in waiting(&self.inbox)? {
            if taken.len() == limit {
                break;
            }
            match self.take_one(agent, &name) {
                Ok(request) => taken.push(request),
                Err(MailRefusal::Gone) => {}
                Err(MailRefusal::Malformed(reason)) => self.reject(&name, &reason)?,
            }
        }
        Ok(taken)
    }

    /// Fails where one of the agent's folders, or the one that has those of all agents, is a link: what is below would
    /// be somebody else's.
    fn refuse_links(&self) -> io::Result<()> {
        let within = [self.inbox.join(WORKING), self.inbox.join(REJECTED)];
        let folders = [&self.inbox, &self.outbox].into_iter().chain(&within);
        let shared = [&self.inbox, &self.outbox].into_iter().filter_map(|folder| folder.parent());
        for folder in folders.map(PathBuf::as_path).chain(shared) {
            if folder.symlink_metadata().is_ok_and(|about| about.is_symlink()) {
                let text = format!("{} is a link, which is not followed; make it a folder", folder.display());
                return Err(io::Error::other(text));
            }
        }
        Ok(())
    }

    fn take_one(&self, agent: &AgentName, name: &str) -> Result<TakenRequest, MailRefusal> {
        let stem = name.strip_suffix(".json").unwrap_or(name);
        let id = FileRequestId::new(stem).map_err(MailRefusal::Malformed)?;
        let path = file(&self.inbox, &id);
        let text = read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => MailRefusal::Gone,
            _ => MailRefusal::Malformed(format!("cannot be read: {error}")),
        })?;
        let request = parse(agent, &id, &text).map_err(MailRefusal::Malformed)?;
        let working = self.inbox.join(WORKING);
        fs::create_dir_all(&working)
            .and_then(|()| fs::rename(&path, file(&working, &id)))
            .map_err(|_| MailRefusal::Gone)?;
        Ok(TakenRequest { id, request })
    }

    fn reject(&self, name: &str, reason: &str) -> io::Result<()> {
        let rejected = self.inbox.join(REJECTED);
        fs::create_dir_all(&rejected)?;
        fs::rename(self.inbox.join(name), rejected.join(name))?;
        fs::write(rejected.join(format!("{name}.reason.txt")), format!("{reason}\n"))
    }

    /// Writes an answer and removes the request. An existing answer stays.
    pub(super) fn finish(&self, id: &FileRequestId, answer: &[u8]) -> io::Result<()> {
        self.refuse_links()?;
        match place(&self.outbox, id, answer) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        match fs::remove_file(file(&self.inbox.join(WORKING), id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Requests in progress when the last incarnation ended.
    pub(super) fn interrupted(&self) -> io::Result<Vec<FileRequestId>> {
        self.refuse_links()?;
        let names = waiting(&self.inbox.join(WORKING))?;
        let id = |name: String| FileRequestId::new(name.strip_suffix(".json")?).ok();
        Ok(names.into_iter().filter_map(id).collect())
    }
}

enum MailRefusal {
    /// Taken by another reader.
    Gone,
    /// The request is invalid: the reason.
    Malformed(String),
}

fn file(folder: &Path, id: &FileRequestId) -> PathBuf {
    folder.join(format!("{id}.json"))
}

/// Puts a whole file under its final name, unless one exists.
fn place(folder: &Path, id: &FileRequestId, text: &[u8]) -> io::Result<()> {
    create_file(&file(folder, id), text)
}

/// Names of the request files in a folder that need not exist, sorted; hidden files are drafts.
fn waiting(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string()
            && name.ends_with(".json")
            && !name.starts_with('.')
            && !entry.file_type()?.is_dir()
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Reads a plain file within the size limit.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !path.symlink_metadata()?.is_file() {
        return Err(io::Error::other("it is a link or no file"));
    }
    let mut text = Vec::new();
    fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("it is larger than {MAX_FILE_BYTES} bytes")));
    }
    Ok(text)
}

/// Parses a request file: the contract's `agent_invocation`, whose names may come from file and folder.
fn parse(agent: &AgentName, id: &FileRequestId, text: &[u8]) -> Result<InvocationRequest, String> {
    let mut value: serde_json::Value =
        serde_json::from_slice(text).map_err(|error| format!("is not JSON: {error}"))?;
    let fields = value.as_object_mut().ok_or("is not a JSON object")?;
    fields.entry("request_id").or_insert_with(|| id.as_str().into());
    let request: InvocationRequest =
        serde_json::from_value(value).map_err(|error| format!("is no agent_invocation: {error}"))?;
    if request.request_id != id.as_str() {
        return Err(format!("is named `{id}` but holds request_id `{}`", request.request_id));
    }
    match &request.agent_name {
        Some(named) if named != agent.as_str() => Err(format!("lies with {agent} but is for `{named}`")),
        _ => Ok(request),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn setup() -> (tempfile::TempDir, AgentName, MailFolders) {
        let dir = tempfile::tempdir().unwrap();
        let agent = AgentName::new("architect").unwrap();
        let folders = MailFolders::of(dir.path(), &agent);
        (dir, agent, folders)
    }

    fn request(id: &str) -> InvocationRequest {
        serde_json::from_value(json!({ "request_id": id, "payload": { "task": "status" } })).unwrap()
    }

    #[test]
    fn a_request_is_taken_once_and_answered_once() {
        let (_dir, agent, folders) = setup();
        let id = FileRequestId::new("r1").unwrap();
        folders.post(&id, &request("r1")).unwrap();
        let taken_twice = folders.post(&id, &request("r1")).unwrap_err();
        assert_eq!(taken_twice.kind(), io::ErrorKind::AlreadyExists);
        let taken = folders.take(&agent, 10).unwrap();
        assert_eq!((taken.len(), &taken[0].request), (1, &request("r1")));
        assert!(folders.take(&agent, 10).unwrap().is_empty());
        assert!(folders.post(&id, &request("r1")).is_err(), "still worked on");
        assert_eq!(folders.interrupted().unwrap(), std::slice::from_ref(&id));
        assert_eq!(folders.withdraw(&id).unwrap(), WithdrawnRequest::Taken);
        folders.finish(&id, b"1").unwrap();
        folders.finish(&id, b"2").unwrap();
        assert_eq!(folders.answer(&id).unwrap().unwrap(), b"1");
        assert!(folders.interrupted().unwrap().is_empty());
        assert!(folders.post(&id, &request("r1")).is_err(), "answered already");
    }

    #[test]
    fn what_makes_no_sense_is_rejected_with_a_reason() {
        let (dir, agent, folders) = setup();
        let inbox = dir.path().join(INBOX).join("architect");
        fs::create_dir_all(&inbox).unwrap();
        let cases = [
            ("broken.json", "{", "not JSON"),
            ("list.json", "[]", "not a JSON object"),
            ("other.json", r#"{"request_id": "mine"}"#, "holds request_id"),
            ("stranger.json", r#"{"agent_name": "registry"}"#, "is for `registry`"),
            ("payload.json", r#"{"payload": 7}"#, "no agent_invocation"),
            ("sp ace.json", "{}", "cannot name a file"),
        ];
        for (name, text, _) in cases {
            fs::write(inbox.join(name), text).unwrap();
        }
        fs::write(inbox.join("good.json"), r#"{"payload": {}}"#).unwrap();
        let taken = folders.take(&agent, 10).unwrap();
        assert_eq!(taken.iter().map(|t| t.id.as_str()).collect::<Vec<_>>(), ["good"]);
        for (name, text, reason) in cases {
            assert_eq!(fs::read_to_string(inbox.join(REJECTED).join(name)).unwrap(), text);
            let told = fs::read_to_string(inbox.join(REJECTED).join(format!("{name}.reason.txt"))).unwrap();
            assert!(told.contains(reason), "{name}: {told}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn no_folder_of_the_mail_is_reached_by_a_link() {
        for linked in [
            "artifacts/agent_inbox",
            "artifacts/agent_outbox/architect",
            "artifacts/agent_inbox/architect/working",
        ] {
            let (dir, agent, folders) = setup();
            let elsewhere = tempfile::tempdir().unwrap();
            let inbox = elsewhere.path().join("architect");
            fs::create_dir_all(&inbox).unwrap();
            fs::write(inbox.join("r1.json"), "{}").unwrap();
            folders.post(&FileRequestId::new("r2").unwrap(), &request("r2")).unwrap();
            let at = dir.path().join(linked);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            let _ = fs::rename(&at, elsewhere.path().join("moved"));
            std::os::unix::fs::symlink(elsewhere.path(), &at).unwrap();
            let id = FileRequestId::new("r1").unwrap();
            for refused in [
                folders.take(&agent, 10).map(drop),
                folders.post(&id, &request("r1")),
                folders.withdraw(&id).map(drop),
                folders.answer(&id).map(drop),
                folders.finish(&id, b"1"),
                folders.interrupted().map(drop),
            ] {
                let refusal = refused.unwrap_err().to_string();
                assert!(refusal.contains(linked) && refusal.contains("is a link"), "{refusal}");
            }
            assert!(inbox.join("r1.json").exists());
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        let (dir, agent, folders) = setup();
        let inbox = dir.path().join(INBOX).join("architect");
        fs::create_dir_all(&inbox).unwrap();
        fs::write(dir.path().join("secret.json"), "{}").unwrap();
        std::os::unix::fs::symlink(dir.path().join("secret.json"), inbox.join("x.json")).unwrap();
        assert!(folders.take(&agent, 10).unwrap().is_empty());
        assert!(inbox.join(REJECTED).join("x.json.reason.txt").exists());
        assert_eq!(fs::read_to_string(dir.path().join("secret.json")).unwrap(), "{}");
    }
}
