//! A sandbox's denials in words: the missing right, as a hint beside the program's own message.
//!
//! Programs report a denial like any fault, and agents then look for the fault in their work. The output
//! stays whole; an unknown message gives no hint.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use super::failure::FailureClass;
use pas_domain::agent::{AccessLevel, Rights};

/// Bytes of the output's end that are searched: the message that matters is there.
const LOOKED_THROUGH: usize = 64 * 1024;
/// Exit code of a shell that did not find a program.
const EXIT_NOT_FOUND: i32 = 127;

/// An agent's rights, and the folders that commands can reach.
#[derive(Debug, Clone, Copy)]
pub(super) struct DenialScene<'a> {
    pub(super) rights: Rights,
    pub(super) roots: &'a [PathBuf],
}

/// A missing right, and the message that shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DenialSign {
    pub(super) class: FailureClass,
    pub(super) sentence: String,
}

/// Messages of programs that look for a missing network.
const NETWORK_MESSAGES: [&str; 12] = [
    "network is unreachable",
    "network unreachable",
    "temporary failure in name resolution",
    "name or service not known",
    "could not resolve host",
    "couldn't resolve host",
    "failed to lookup address",
    "getaddrinfo eai_again",
    "getaddrinfo enotfound",
    "no such host is known",
    "enetunreach",
    "nodename nor servname provided",
];

/// Folders that are part of every sandbox, so that a fault there is the program's own.
const SHARED_FOLDERS: [&str; 11] =
    ["/usr", "/etc", "/tmp", "/dev", "/proc", "/sys", "/lib", "/lib64", "/bin", "/sbin", "/opt"];

static PATH_MESSAGE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let faults =
        "(?i:permission denied|operation not permitted|read-only file system|no such file or directory)";
    let path_first =
        r"(?m)(?:^|[\s'\x22`(‘:=\[])(?P<path>/[^\s:'\x22`’]+)['\x22`’]?\)?:? \(?(?:os error \d+: )?";
    let path_last = r"\)?:? [(\[]?['\x22`‘]?(?P<other>/[^\s:'\x22`’]+)";
    Regex::new(&format!("{path_first}{faults}|{faults}{path_last}")).ok()
});

/// The missing rights shown by messages in `output`, each at most once.
pub(super) fn denials_in(output: &[u8], exit: Option<i32>, scene: &DenialScene<'_>) -> Vec<DenialSign> {
    let output = &output[output.len().saturating_sub(LOOKED_THROUGH)..];
    let text = String::from_utf8_lossy(output);
    let lower = text.to_lowercase();
    let candidates = [
        network_denial(&lower, scene),
        docker_denial(&lower, scene),
        path_denial(&text, &lower, scene),
        not_found(&lower, exit),
    ];
    candidates.into_iter().flatten().collect()
}

fn network_denial(lower: &str, scene: &DenialScene<'_>) -> Option<DenialSign> {
    if !NETWORK_MESSAGES.iter().any(|message| lower.contains(message)) {
        return None;
    }
    let sentence = match scene.rights.network {
        AccessLevel::None => {
            "no network for this agent: work with the files of the tree, or ask for those that are missing"
        }
        AccessLevel::Read => {
            "this agent reaches the network through a proxy, for reading from allowed hosts only"
        }
        AccessLevel::ReadWrite => "this agent reaches the network through a proxy, and allowed hosts only",
    };
    Some(DenialSign { class: FailureClass::NetworkDenied, sentence: sentence.to_owned() })
}

fn docker_denial(lower: &str, scene: &DenialScene<'_>) -> Option<DenialSign> {
    let is_docker = lower.contains("docker: command not found")
        || lower.contains("docker: not found")
        || lower.contains("cannot connect to the docker daemon");
    is_docker.then(|| {
        let sentence = if scene.rights.docker {
            "docker is not reached from a command: use the docker tool"
        } else {
            "no docker for this agent"
        };
        DenialSign { class: FailureClass::NotGranted, sentence: sentence.to_owned() }
    })
}

fn path_denial(text: &str, lower: &str, scene: &DenialScene<'_>) -> Option<DenialSign> {
    let hint = |sentence: String| Some(DenialSign { class: FailureClass::PathDenied, sentence });
    let paths = PATH_MESSAGE.as_ref()?.captures_iter(text);
    let outside = paths
        .filter_map(|found| found.name("path").or_else(|| found.name("other")))
        .map(|found| Path::new(found.as_str()))
        .find(|path| !scene.roots.iter().any(|root| path.starts_with(root)) && !is_shared(path));
    if let Some(path) = outside {
        return hint(format!(
            "{} lies outside the working tree: nothing there can be reached by this agent",
            path.display()
        ));
    }
    let is_write_fault = lower.contains("read-only file system") || lower.contains("permission denied");
    if is_write_fault && scene.rights.filesystem != AccessLevel::ReadWrite {
        return hint("this agent may read the working tree, not write to it".to_owned());
    }
    if lower.contains("read-only file system") {
        return hint("only the working tree, $HOME and $TMPDIR can be written by this agent".to_owned());
    }
    None
}

fn is_shared(path: &Path) -> bool {
    SHARED_FOLDERS.iter().any(|folder| path.starts_with(folder))
}

fn not_found(lower: &str, exit: Option<i32>) -> Option<DenialSign> {
    (exit == Some(EXIT_NOT_FOUND) && lower.contains("not found")).then(|| DenialSign {
        class: FailureClass::CommandNotFound,
        sentence: "this program is not in the sandbox: use another, or ask for it".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(output: &str, exit: i32, rights: Rights) -> Vec<String> {
        let roots = [PathBuf::from("/data/tree")];
        let scene = DenialScene { rights, roots: &roots };
        denials_in(output.as_bytes(), Some(exit), &scene).into_iter().map(|denial| denial.sentence).collect()
    }

    #[test]
    fn known_messages_name_the_right_that_is_lacking() {
        let writer = Rights { filesystem: AccessLevel::ReadWrite, bash: true, ..Rights::NONE };
        let reader = Rights { filesystem: AccessLevel::Read, ..writer };
        for (output, rights, expected) in [
            ("curl: (6) Could not resolve host: crates.io", writer, "no network for this agent"),
            ("OSError: [Errno 101] Network is unreachable", writer, "no network for this agent"),
            (
                "getaddrinfo ENOTFOUND registry.npmjs.org",
                Rights { network: AccessLevel::Read, ..writer },
                "through a proxy",
            ),
            ("bash: docker: command not found", writer, "no docker for this agent"),
            (
                "cat: /people/me/.ssh/id_rsa: No such file or directory",
                writer,
                "/people/me/.ssh/id_rsa lies outside",
            ),
            ("touch: cannot touch '/srv/x': Permission denied", writer, "/srv/x lies outside"),
            (
                "PermissionError: [Errno 1] Operation not permitted: '/people/x'",
                writer,
                "/people/x lies outside",
            ),
            ("touch: cannot touch 'src/x': Permission denied", reader, "not write to it"),
            ("touch: cannot touch '/usr/x': Read-only file system", writer, "$TMPDIR"),
        ] {
            let sentences = sentences(output, 1, rights);
            assert!(sentences.len() == 1 && sentences[0].contains(expected), "{output}: {sentences:?}");
        }
        assert_eq!(sentences("bash: jq: command not found", 127, writer).len(), 1);
    }

    #[test]
    fn plain_faults_are_left_alone() {
        let writer = Rights { filesystem: AccessLevel::ReadWrite, ..Rights::NONE };
        for output in [
            "cat: src/nope: No such file or directory",
            "cat: /data/tree/nope: No such file or directory",
            "ls: /usr/nope: No such file or directory",
            "bash: ./run.sh: Permission denied",
            "test result: FAILED",
        ] {
            assert_eq!(sentences(output, 1, writer), [""; 0], "{output}");
        }
    }
}
