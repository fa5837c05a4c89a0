//! Which processes descend from this one, and how much they use.
//!
//! Failure policy: a process that ends during a look is skipped. Only Linux has `/proc`; elsewhere the list
//! is empty and the reaper relies on the process group.

use std::collections::{BTreeMap, BTreeSet};

/// The needed facts of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeenProcess {
    pub pid: i32,
    pub parent: i32,
    pub group: i32,
    pub threads: u64,
    pub resident_pages: u64,
    pub is_zombie: bool,
}

/// All descendants of a process, except zombies.
pub(super) fn descendants(of: i32) -> Vec<SeenProcess> {
    below(of, &all())
}

fn below(of: i32, all: &[SeenProcess]) -> Vec<SeenProcess> {
    let mut children: BTreeMap<i32, Vec<&SeenProcess>> = BTreeMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(process);
    }
    let (mut found, mut seen, mut open) = (Vec::new(), BTreeSet::new(), vec![of]);
    while let Some(parent) = open.pop() {
        // The parents were read at different moments, so a reused number could close a circle.
        if !seen.insert(parent) {
            continue;
        }
        for child in children.get(&parent).into_iter().flatten() {
            open.push(child.pid);
            found.push(**child);
        }
    }
    found.retain(|process| !process.is_zombie);
    found
}

/// Whether a process is the first of a process namespace, whose end ends all others there.
pub(super) fn is_namespace_init(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|text| leads_namespace(&text))
}

/// See proc_pid_status(5): `NSpid` has the process's numbers from the outermost namespace to the innermost.
fn leads_namespace(status: &str) -> bool {
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    let mut numbers = numbers.split_whitespace();
    numbers.next().is_some() && numbers.next_back() == Some("1")
}

#[cfg(target_os = "linux")]
fn all() -> Vec<SeenProcess> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let seen = |entry: std::fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        parse_stat(pid, &std::fs::read_to_string(entry.path().join("stat")).ok()?)
    };
    entries.flatten().filter_map(seen).collect()
}

#[cfg(not(target_os = "linux"))]
fn all() -> Vec<SeenProcess> {
    Vec::new()
}

/// See proc_pid_stat(5). The name is in brackets and may contain anything, brackets too.
fn parse_stat(pid: i32, text: &str) -> Option<SeenProcess> {
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    // Threads are the 15th number after the group, resident pages the 19th.
    let mut rest = fields.skip(14);
    let threads = rest.next()?.parse().ok()?;
    let resident_pages = rest.nth(3)?.parse().ok()?;
    Some(SeenProcess { pid, parent, group, threads, resident_pages, is_zombie: matches!(state, "Z" | "X") })
}

/// Threads of the whole machine: one cheap read that shows whether a closer look pays.
pub(super) fn threads_of_machine() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().nth(3)?.split_once('/')?.1.parse().ok()
}

/// Threads of the current user; 0 for root, whom the limit does not bind.
#[cfg(target_os = "linux")]
pub(super) fn threads_of_this_user() -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let user = rustix::process::getuid().as_raw();
    if user == 0 {
        return 0;
    }
    let Ok(entries) = std::fs::read_dir("/proc") else { return 0 };
    let threads = |entry: std::fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let is_own = entry.metadata().ok()?.uid() == user;
        let stat = is_own.then(|| std::fs::read_to_string(entry.path().join("stat")).ok())??;
        parse_stat(pid, &stat).map(|process| process.threads)
    };
    entries.flatten().filter_map(threads).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_process_of_a_namespace_is_told_from_others() {
        assert!(leads_namespace("Name:\tbwrap\nNSpid:\t812\t1\n"));
        for other in ["NSpid:\t812\t2\n", "NSpid:\t1\n", "NSpid:\t812\n", ""] {
            assert!(!leads_namespace(other), "{other:?}");
        }
    }

    fn process(pid: i32, parent: i32) -> SeenProcess {
        SeenProcess { pid, parent, group: pid, threads: 1, resident_pages: 0, is_zombie: false }
    }

    #[test]
    fn only_what_descends_is_found_and_a_circle_ends() {
        let all = [process(2, 1), process(3, 2), process(4, 9), process(9, 4), process(1, 3)];
        let mut found: Vec<_> = below(1, &all).iter().map(|process| process.pid).collect();
        found.sort_unstable();
        assert_eq!(found, [1, 2, 3]);
    }

    #[test]
    fn a_name_with_brackets_is_no_trouble() {
        let text = "7 (a) b) S 3 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 5 0 100 8192 42 18446744073709551615";
        let seen = parse_stat(7, text).unwrap();
        assert_eq!((seen.parent, seen.group, seen.threads, seen.resident_pages), (3, 7, 5, 42));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_own_child_is_seen() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let me = i32::try_from(std::process::id()).unwrap();
        assert!(descendants(me).iter().any(|process| process.pid.unsigned_abs() == child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(threads_of_machine().unwrap() > 1);
    }
}
