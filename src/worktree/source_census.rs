//! Counts the files in the base commit and the person's checkout that a change will not see or take along.
//! Failure policy: a git that fails is an error; single objects that cannot be read are not counted.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use super::git::{GitCommand, GitFailure};
use super::ids::{CommitId, GitPath};
use super::source::{MANY_FILES, SourceError, SourceRemark, SourceRepository};
use super::uncommitted::CheckoutView;

/// Most attribute and link blobs that are read; the rest are ignored.
const MAX_READ: usize = 20_000;
/// Sizes in bytes that Git LFS accepts for a pointer.
const LFS_POINTER_SIZES: std::ops::RangeInclusive<u64> = 100..=1024;
const LFS_FIRST_LINE: &[u8] = b"version https://git-lfs.github.com/spec/v1";

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SourceCensus {
    pub(super) files: u64,
    /// Submodules: path and commit.
    pub(super) gitlinks: Vec<(GitPath, String)>,
    /// Some attribute makes a file of the checkout differ from git's stored content (line ends, `$Id$`,
    /// encodings).
    pub(super) converts: bool,
    lfs: usize,
    links_out: usize,
    not_utf8: usize,
}

impl SourceCensus {
    pub(super) fn remarks(&self) -> Vec<SourceRemark> {
        let mut remarks = Vec::new();
        let mut remark = |count: usize, make: fn(usize) -> SourceRemark| {
            if count > 0 {
                remarks.push(make(count));
            }
        };
        remark(self.gitlinks.len(), SourceRemark::Submodules);
        remark(self.lfs, SourceRemark::LargeFileStorage);
        remark(self.not_utf8, SourceRemark::NamesNotUtf8);
        remark(self.links_out, SourceRemark::LinksLeadingOut);
        if self.files > MANY_FILES {
            remarks.push(SourceRemark::ManyFiles(self.files));
        }
        remarks
    }
}

pub(super) fn count_files(git_dir: &Path, base: &CommitId) -> Result<SourceCensus, GitFailure> {
    let listing =
        GitCommand::at(git_dir).args(["ls-tree", "-r", "-z", "-l", "--full-tree", base.as_str()]).run()?;
    let mut census = SourceCensus::default();
    let mut links = Vec::new();
    let mut attributes = Vec::new();
    let mut small = Vec::new();
    for entry in listing.split(|b| *b == 0).filter(|entry| !entry.is_empty()) {
        let Some((head, path)) = split_once(entry, b'\t') else { continue };
        let head = String::from_utf8_lossy(head);
        let mut words = head.split_ascii_whitespace();
        let (Some(mode), Some(_), Some(id), Some(size)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        census.files += 1;
        census.not_utf8 += usize::from(std::str::from_utf8(path).is_err());
        match mode {
            "160000" => census.gitlinks.push((GitPath::new(path), id.to_owned())),
            "120000" => links.push((path.to_vec(), id.to_owned())),
            _ if path.rsplit(|b| *b == b'/').next() == Some(b".gitattributes") => {
                attributes.push(id.to_owned());
            }
            _ if size.parse().is_ok_and(|size| LFS_POINTER_SIZES.contains(&size)) => {
                small.push(id.to_owned());
            }
            _ => {}
        }
    }
    let texts = read_blobs(git_dir, &attributes)?;
    census.converts = texts.values().any(|text| converts(text));
    if texts.values().any(|text| contains(text, b"filter=lfs")) {
        let pointers = read_blobs(git_dir, &small)?;
        census.lfs = small
            .iter()
            .filter(|id| pointers.get(*id).is_some_and(|t| t.starts_with(LFS_FIRST_LINE)))
            .count();
    }
    let ids: Vec<String> = links.iter().map(|(_, id)| id.clone()).collect();
    let targets = read_blobs(git_dir, &ids)?;
    census.links_out =
        links.iter().filter(|(path, id)| targets.get(id).is_some_and(|to| leads_out(path, to))).count();
    Ok(census)
}

fn converts(attributes: &[u8]) -> bool {
    [&b"eol=crlf"[..], b"ident", b"working-tree-encoding"].iter().any(|word| contains(attributes, word))
}

/// By the path's text alone: a link to a link is not followed.
fn leads_out(link: &[u8], target: &[u8]) -> bool {
    let target = GitPath::new(target);
    let mut depth = link.iter().filter(|b| **b == b'/').count();
    for part in target.as_path().components() {
        match part {
            Component::RootDir | Component::Prefix(_) => return true,
            Component::ParentDir if depth == 0 => return true,
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
        }
    }
    false
}

fn read_blobs(git_dir: &Path, ids: &[String]) -> Result<BTreeMap<String, Vec<u8>>, GitFailure> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut input = ids.iter().take(MAX_READ).cloned().collect::<Vec<_>>().join("\n").into_bytes();
    input.push(b'\n');
    let answer = GitCommand::at(git_dir).args(["cat-file", "--batch"]).input(input).run()?;
    let mut blobs = BTreeMap::new();
    let mut rest = &answer[..];
    while let Some((head, tail)) = split_once(rest, b'\n') {
        let head = String::from_utf8_lossy(head);
        let mut words = head.split(' ');
        let (id, size) =
            (words.next().unwrap_or_default(), words.nth(1).and_then(|s| s.parse::<usize>().ok()));
        rest = tail;
        if let Some(size) = size
            && tail.len() > size
        {
            blobs.insert(id.to_owned(), tail[..size].to_vec());
            rest = &tail[size + 1..];
        }
    }
    Ok(blobs)
}

pub(super) fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = bytes.iter().position(|b| *b == at)?;
    Some((&bytes[..place], &bytes[place + 1..]))
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

/// Counts entries of the person's checkout that are in no commit.
pub(super) fn count_uncommitted(source: &SourceRepository) -> Result<Option<SourceRemark>, SourceError> {
    let Some(view) = CheckoutView::open(source)? else { return Ok(None) };
    let status = view
        .git()
        .args(["status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=normal"])
        .arg("--ignore-submodules=all")
        .run()?;
    let (mut changed, mut untracked) = (0, 0);
    for entry in status.split(|b| *b == 0).filter(|entry| !entry.is_empty()) {
        if entry.starts_with(b"??") { untracked += 1 } else { changed += 1 }
    }
    let clean = changed == 0 && untracked == 0;
    Ok((!clean).then_some(SourceRemark::Uncommitted { changed, untracked }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_out_when_it_climbs_over_the_top() {
        for (link, to, out) in [
            ("a", "b", false),
            ("a", "../b", true),
            ("d/a", "../b", false),
            ("d/a", "../../b", true),
            ("a", "/etc/passwd", true),
            ("a", "d/../../x", true),
        ] {
            assert_eq!(leads_out(link.as_bytes(), to.as_bytes()), out, "{link} -> {to}");
        }
    }
}
