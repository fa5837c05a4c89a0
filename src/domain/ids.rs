//! Names and identifiers, validated at the edge and trusted afterwards.
//!
//! Invariant: a value of one of these types is safe as a path segment, as a URL segment and as a
//! store key: lower-case ASCII letters, digits, `-`, `_`, with `.` between the segments of a job id.

use crate::checked_text::checked_text;

/// Longest accepted name or id in bytes; keeps every path below common file-name limits (255).
pub const MAX_ID_LEN: usize = 128;

/// Why a text is no valid identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {what}: use a-z, 0-9, `-` and `_`, at most {MAX_ID_LEN} characters")]
pub struct InvalidId {
    /// The expected kind, for the message.
    pub what: &'static str,
    /// The offending text, shortened.
    pub text: String,
}

fn is_segment(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
        && !text.starts_with('-')
}

fn invalid(what: &'static str, text: &str) -> InvalidId {
    InvalidId { what, text: text.chars().take(60).collect() }
}

/// Passes a text in `valid` form, of at most [`MAX_ID_LEN`] bytes.
fn check_id(text: &str, what: &'static str, valid: fn(&str) -> bool) -> Result<(), InvalidId> {
    if text.len() <= MAX_ID_LEN && valid(text) { Ok(()) } else { Err(invalid(what, text)) }
}

/// Segments joined by `.`, as in the id of a job far below its root.
fn is_path(text: &str) -> bool {
    text.split('.').all(is_segment)
}

checked_text!(
    /// Name of an agent, such as `manager-data`; also the file stem of the definition.
    AgentName,
    InvalidId,
    |text| check_id(text, "agent name", is_segment)
);
checked_text!(
    /// A run: one submitted root job and all descendants. Names `artifacts/runs/<run_id>/`.
    RunId,
    InvalidId,
    |text| check_id(text, "run id", is_segment)
);
checked_text!(
    /// A job: the run id of the root, then one `.`-separated segment for each step downwards.
    ///
    /// A child's id is a function of (parent, step, ordinal), so a repeated hand-off finds the first one's
    /// row: duplicates cannot exist.
    JobId,
    InvalidId,
    |text| check_id(text, "job id", is_path)
);
checked_text!(
    /// A request for a person's decision.
    ApprovalId,
    InvalidId,
    |text| check_id(text, "approval id", is_path)
);

impl RunId {
    /// A new run id for a task: the task's name and 50 random bits, so that a thousand runs a day collide
    /// less than once in ten thousand years.
    #[must_use]
    pub fn generate(task: &str) -> Self {
        const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let random = uuid::Uuid::now_v7().as_u128();
        let suffix: String =
            (0..10).map(|i| char::from(ALPHABET[((random >> (5 * i)) & 31) as usize])).collect();
        let slug: String = task
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .take(40)
            .collect();
        let slug = slug.trim_matches('-');
        Self(if slug.is_empty() { format!("run-{suffix}") } else { format!("{slug}-{suffix}") })
    }
}

/// The id of a person's act in the audit log: sorts by time, and is unique across restarts.
#[must_use]
pub fn action_id() -> String {
    format!("act-{}", uuid::Uuid::now_v7().simple())
}

impl ApprovalId {
    /// The id of an approval requested by a job at one version: short enough to type.
    #[must_use]
    pub fn of_question(job: &JobId, version: u64) -> Self {
        let digest = blake3::hash(format!("{job}\n{version}").as_bytes()).to_hex();
        Self(format!("ask-{}", &digest.as_str()[..12]))
    }
}

/// Longest step name kept unchanged in an id, chosen so that three levels of any names fit below the longest
/// run id.
const MAX_STEP_LEN: usize = 24;
/// A shortened name keeps this many letters, followed by this many digits of the name's hash.
const SHOWN_LETTERS: usize = 9;
const HASH_DIGITS: usize = 12;

/// The segment of a step's card. A short plain name is kept, with `-<n>` for the ordinal. Any other name (too
/// long, with other characters, or ambiguous with an ordinal or a hash) becomes a few letters and a hash.
fn step_segment(step: &str, ordinal: u32) -> String {
    let is_plain = is_segment(step) && step.len() <= MAX_STEP_LEN && !ends_like_ours(step);
    let name = if is_plain { step.to_owned() } else { shortened(step) };
    if ordinal == 0 { name } else { format!("{name}-{ordinal}") }
}

/// Whether a name ends as one with an ordinal does, or as a shortened one.
fn ends_like_ours(step: &str) -> bool {
    let Some((_, end)) = step.rsplit_once('-') else { return false };
    let is_ordinal = !end.is_empty() && end.bytes().all(|b| b.is_ascii_digit());
    let hash = end.strip_prefix('x').unwrap_or_default();
    is_ordinal || (hash.len() == HASH_DIGITS && hash.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn shortened(step: &str) -> String {
    let letters = step.chars().filter(char::is_ascii_alphanumeric).take(SHOWN_LETTERS);
    let letters: String = letters.map(|c| c.to_ascii_lowercase()).collect();
    let hash = blake3::hash(step.as_bytes()).to_hex();
    // The `x` keeps a hash of digits alone from being read as an ordinal.
    format!("s{letters}-x{}", &hash.as_str()[..HASH_DIGITS])
}

impl JobId {
    /// The root job of a run.
    #[must_use]
    pub fn root(run: &RunId) -> Self {
        Self(run.0.clone())
    }

    /// The child created by `step` as its `ordinal`-th card (0 for the first). Different pairs of step and
    /// ordinal never share an id, whatever the step's name.
    ///
    /// # Errors
    /// [`InvalidId`] when the id exceeds [`MAX_ID_LEN`]: the job is nested too deep.
    pub fn child(&self, step: &str, ordinal: u32) -> Result<Self, InvalidId> {
        Self::new(format!("{}.{}", self.0, step_segment(step, ordinal)))
    }

    #[must_use]
    pub fn run(&self) -> RunId {
        RunId(self.0.split('.').next().unwrap_or_default().to_owned())
    }

    /// The parent, or `None` for a root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('.').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// Whether this is `other` or a descendant.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let rest = self.0.strip_prefix(other.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// The last segment: the step that created this job (the run id for a root).
    #[must_use]
    pub fn step(&self) -> &str {
        self.0.rsplit('.').next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Names that look like one another's encodings, and any others.
    fn any_step() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ax]{0,2}(-[0-9]{1,2}){0,3}",
            "[a-z]{1,3}-x[0-9a-f]{12}(-[0-9])?",
            "[a-z-]{20,40}",
            ".{0,200}"
        ]
    }

    proptest! {
        #[test]
        fn no_two_cards_share_an_id(a in any_step(), b in any_step(), m in 0_u32..30, n in 0_u32..30) {
            let root = JobId::new("ingest-abc").unwrap();
            let (first, second) = (root.child(&a, m).unwrap(), root.child(&b, n).unwrap());
            prop_assert_eq!(first == second, (&a, m) == (&b, n), "{} {}", first, second);
            // The segment of one name is never that of another.
            prop_assert!(root.child(first.step(), 0).unwrap() != first || (first.step() == a && m == 0));
            prop_assert_eq!(first.parent(), Some(root));
        }

        #[test]
        fn three_levels_of_any_names_fit_below_any_run(
            task in ".{0,200}", steps in prop::collection::vec(any_step(), 3)
        ) {
            let mut id = JobId::root(&RunId::generate(&task));
            for step in steps {
                id = id.child(&step, 0).unwrap();
            }
        }
    }

    #[test]
    fn a_step_and_its_ordinal_are_not_mistaken_for_another_step() {
        let root = JobId::new("run").unwrap();
        assert_eq!(root.child("x", 2).unwrap().as_str(), "run.x-2");
        assert_ne!(root.child("x-2", 0).unwrap(), root.child("x", 2).unwrap());
        assert_eq!(root.child("audit", 0).unwrap().as_str(), "run.audit", "plain names stand as they are");
    }

    #[test]
    fn a_child_id_is_a_function_of_parent_step_and_ordinal() {
        let run = RunId::generate("ingest");
        let root = JobId::root(&run);
        let child = root.child("data", 0).unwrap();
        assert_eq!(child, root.child("data", 0).unwrap());
        assert_ne!(child, root.child("data", 1).unwrap());
        assert_eq!(child.parent(), Some(root.clone()));
        assert_eq!(child.run(), run);
        assert_eq!(child.step(), "data");
        assert_eq!(root.parent(), None);
        assert!(child.is_within(&root) && child.is_within(&child) && !root.is_within(&child));
        let alike = JobId::new(format!("{root}-2.data")).unwrap();
        assert!(!alike.is_within(&root));
    }

    #[test]
    fn paths_cannot_be_smuggled_into_an_id() {
        for text in ["", ".", "..", "a/b", "../x", "A", "a.", ".a", "a..b", "-x", "a\0", &"a".repeat(129)] {
            assert!(JobId::new(text).is_err(), "{text:?}");
            assert!(AgentName::new(text).is_err(), "{text:?}");
        }
        assert!(JobId::new("ingest-abc.data.audit-2").is_ok());
        assert!(AgentName::new("llm_llama31_8b").is_ok());
    }

    #[test]
    fn run_ids_differ_and_keep_the_task_readable() {
        let (a, b) = (RunId::generate("Ingest Docs!"), RunId::generate("Ingest Docs!"));
        assert_ne!(a, b);
        assert!(a.as_str().starts_with("ingest-docs-"), "{a}");
        assert!(RunId::new(RunId::generate("///").as_str()).is_ok());
    }
}
