//! Plays on a bench that runs real commands in real folders: each change is two sets of files.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use tempfile::TempDir;

use super::super::change::{ChangedPath, FileSide};
use super::super::guards::GuardKind;
use super::super::plan::{ProofConsent, ProofExpect};
use super::super::stage::CommandOutcome;
use super::super::test_paths::TestPaths;
use super::super::verdict::{PersonQuestion, ProofReason, ProofVerdict};
use super::*;

type FileSet = BTreeMap<&'static str, &'static str>;

/// Runs each file of `tests/` and prints a summary as pytest does.
const CHECK: &str = r#"passed=0; failed=0; skipped=0; names=
for test in tests/*.sh; do
  if grep -q '^# skip' "$test"; then skipped=$((skipped + 1)); continue; fi
  if bash -e "$test"; then passed=$((passed + 1)); else failed=$((failed + 1)); names="$names $test"; fi
done
echo "=== short test summary info ==="
for name in $names; do echo "FAILED $name"; done
echo "$failed failed, $passed passed, $skipped skipped in 0.01s"
[ "$failed" = 0 ]
"#;
const WRONG: &str = "add() { echo $(($1 - $2)); }\n";
const RIGHT: &str = "add() { echo $(($1 + $2)); }\n";
const TEST_ADD: &str = ". ./code.sh\n[ $(add 1 2) = 3 ]\n";
const TEST_ZERO: &str = ". ./code.sh\n[ $(add 0 0) = 0 ]\n";
const TEST_MORE: &str = ". ./code.sh\n[ $(add 5 2) = 7 ]\n";
/// The bench reports such a run as timed out, without waiting.
const HANGS: &str = "# hangs\n";

fn base() -> FileSet {
    FileSet::from([
        ("check.sh", CHECK),
        ("code.sh", WRONG),
        ("tests/add.sh", TEST_ADD),
        ("tests/zero.sh", TEST_ZERO),
        ("Makefile", "all:\n"),
    ])
}

fn with(changes: &[(&'static str, &'static str)]) -> FileSet {
    let mut files = base();
    for (path, text) in changes {
        if text.is_empty() {
            files.remove(path);
        } else {
            files.insert(path, text);
        }
    }
    files
}

struct FolderBench {
    commits: BTreeMap<&'static str, FileSet>,
    folders: Vec<TempDir>,
    outside: TempDir,
    kept: Vec<StageEnd>,
    stops_after: Option<usize>,
}

impl FolderBench {
    fn write(dir: &Path, path: &str, text: &str) {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

impl ProofBench for FolderBench {
    async fn checkout(&mut self, commit: &str) -> Result<ProofCheckout, BenchError> {
        if self.stops_after == Some(self.kept.len()) {
            return Err(BenchError::new("make a tree", &"the disk is full"));
        }
        let folder = tempfile::tempdir().unwrap();
        self.commits[commit].iter().for_each(|(path, text)| Self::write(folder.path(), path, text));
        let dir = folder.path().to_owned();
        self.folders.push(folder);
        Ok(ProofCheckout { dir, tree: format!("tree of {commit}") })
    }

    async fn overlay(
        &mut self,
        checkout: &ProofCheckout,
        tests_of: &str,
        acts: &[OverlayEdit],
    ) -> Result<String, BenchError> {
        for act in acts {
            match act {
                OverlayEdit::Restore { path } => {
                    Self::write(&checkout.dir, path, self.commits[tests_of][path.as_str()]);
                }
                OverlayEdit::Remove { path } => fs::remove_file(checkout.dir.join(path)).unwrap_or(()),
                OverlayEdit::Write { path, text } => Self::write(&checkout.dir, path, text),
            }
        }
        Ok(format!("{} with tests of {tests_of}", checkout.tree))
    }

    async fn run(
        &mut self,
        command: &ProvingCommand,
        dir: &Path,
        timeout: Duration,
    ) -> Result<CommandRun, BenchError> {
        if fs::read_to_string(dir.join("code.sh")).unwrap().contains(HANGS) {
            let millis = timeout.as_millis() as u64;
            let outcome = CommandOutcome::TimedOut;
            return Ok(CommandRun { outcome, millis, output: Vec::new(), output_bytes: 0 });
        }
        let [program, args @ ..] = command.argv();
        let run =
            Command::new(program).args(args).current_dir(dir).env("OUTSIDE", self.outside.path()).output();
        let run = run.unwrap();
        Ok(CommandRun {
            outcome: CommandOutcome::Exited(run.status.code().unwrap()),
            millis: 1,
            output_bytes: run.stdout.len() as u64,
            output: run.stdout,
        })
    }

    async fn keep(&mut self, end: &StageEnd) -> Result<(), BenchError> {
        assert_eq!(self.folders.len(), 1, "build output can only be kept out of a tree that is there");
        self.kept.push(end.clone());
        Ok(())
    }

    async fn discard(&mut self, checkout: ProofCheckout) {
        self.folders.retain(|folder| folder.path() != checkout.dir);
    }
}

fn order(new: &FileSet, expect: ProofExpect, consent: ProofConsent) -> ProofOrder {
    let (old, command) = (base(), ProvingCommand::given("bash check.sh").unwrap());
    let side = |files: &FileSet, path: &str| {
        files.get(path).map_or(FileSide::Absent, |text| FileSide::Text((*text).to_owned()))
    };
    let mut paths: Vec<&str> = old.keys().chain(new.keys()).copied().collect();
    paths.sort_unstable();
    paths.dedup();
    let changed: Vec<_> = paths
        .into_iter()
        .map(|path| ChangedPath::new(path, side(&old, path), side(new, path)))
        .filter(|file| file.old != file.new)
        .collect();
    let plan = ProofPlan::new(expect, consent, &changed, &TestPaths::default(), &command);
    let [base_tree, tree] = ["tree of base", "tree of new"].map(str::to_owned);
    let subject = ProofSubject { base_commit: "base".into(), base_tree, commit: "new".into(), tree };
    let setting = ProofSetting { timeout_seconds: 30, ..ProofSetting::default() };
    ProofOrder { subject, command, plan, setting }
}

fn bench(new: FileSet) -> FolderBench {
    FolderBench {
        commits: BTreeMap::from([("base", base()), ("new", new)]),
        folders: Vec::new(),
        outside: tempfile::tempdir().unwrap(),
        kept: Vec::new(),
        stops_after: None,
    }
}

async fn play(new: FileSet, expect: ProofExpect, consent: ProofConsent) -> ProofRecord {
    let order = order(&new, expect, consent);
    let mut bench = bench(new);
    let record = prove(order, &mut bench, Vec::new()).await.unwrap();
    assert_eq!(bench.kept, record.stages, "each end is kept");
    assert!(bench.folders.is_empty(), "each tree is discarded");
    record
}

async fn fix(changes: &[(&'static str, &'static str)]) -> ProofVerdict {
    play(with(changes), ProofExpect::Fail, ProofConsent::default()).await.verdict
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn after_fails(failing: &[&str]) -> ProofReason {
    ProofReason::AfterFails { outcome: "exit 1".into(), failing: names(failing) }
}

fn old_tests_fail(failing: &[&str]) -> ProofReason {
    ProofReason::OldTestsFail { outcome: "exit 1".into(), failing: names(failing) }
}

#[tokio::test]
async fn an_honest_fix_is_proved() {
    let record = play(
        with(&[("code.sh", RIGHT), ("tests/more.sh", TEST_MORE)]),
        ProofExpect::Fail,
        ProofConsent::default(),
    )
    .await;
    assert_eq!(record.verdict, ProofVerdict::Proved);
    let stages: Vec<_> =
        record.stages.iter().map(|end| (end.stage, end.passed(), end.tree.as_str())).collect();
    assert_eq!(
        stages,
        [
            (ProofStage::Before, false, "tree of base"),
            (ProofStage::After, true, "tree of new"),
            (ProofStage::NewTestsOverOldCode, false, "tree of base with tests of new"),
        ]
    );
    assert_eq!(record.overlaid.new_tests, ["tests/more.sh"]);
    assert_eq!(fix(&[("code.sh", RIGHT)]).await, ProofVerdict::Proved);
}

#[tokio::test]
async fn a_report_that_lies_is_not_proved() {
    let lie = fix(&[("code.sh", "add() { echo $(($1 - $2)); } # mended\n")]).await;
    assert_eq!(lie, ProofVerdict::NotProved(vec![after_fails(&["tests/add.sh"])]));
    assert_eq!(fix(&[]).await, ProofVerdict::NotProved(vec![ProofReason::NothingChanged]));
}

#[tokio::test]
async fn a_weakened_test_is_found() {
    let verdict = fix(&[("tests/add.sh", "true\n")]).await;
    let reasons = vec![old_tests_fail(&["tests/add.sh"]), ProofReason::NewTestsPassOnOldCode];
    assert_eq!(verdict, ProofVerdict::NotProved(reasons));
}

#[tokio::test]
async fn a_deleted_test_is_found() {
    let verdict = fix(&[("tests/add.sh", "")]).await;
    let reasons = vec![
        old_tests_fail(&["tests/add.sh"]),
        ProofReason::ExecutedFell { before: 2, after: 1 },
        ProofReason::GuardsTouched { lines: 1 },
    ];
    assert_eq!(verdict, ProofVerdict::NotProved(reasons));
}

#[tokio::test]
async fn a_hidden_failure_is_found() {
    const HIDING: &str = r#"passed=1; failed=1
echo "FAILED tests/add.sh"; echo "1 failed, 1 passed in 0.01s"
[ "$failed" = 0 ] || true
"#;
    let record = play(with(&[("check.sh", HIDING)]), ProofExpect::Fail, ProofConsent::default()).await;
    let ProofVerdict::NotProved(reasons) = &record.verdict else { panic!("{}", record.verdict) };
    assert_eq!(reasons[0], ProofReason::FailuresHidden { failing: Vec::new(), failed: 1 });
    assert!(matches!(reasons[1..], [ProofReason::GuardsTouched { .. }]), "{reasons:?}");
    assert!(record.guards.iter().any(|guard| guard.kind == GuardKind::FailureHidden));
}

#[tokio::test]
async fn a_skip_is_found() {
    let verdict = fix(&[("tests/add.sh", "# skip\n. ./code.sh\n[ $(add 1 2) = 3 ]\n")]).await;
    let reasons = vec![
        old_tests_fail(&["tests/add.sh"]),
        ProofReason::NewTestsPassOnOldCode,
        ProofReason::ExecutedFell { before: 2, after: 1 },
        ProofReason::SkippedRose { before: 0, after: 1 },
    ];
    assert_eq!(verdict, ProofVerdict::NotProved(reasons));
}

#[tokio::test]
async fn a_flaky_test_is_not_passed() {
    const FLAKY: &str =
        ". ./code.sh\n[ $(add 1 2) = 3 ]\n[ -e \"$OUTSIDE/seen\" ] || { touch \"$OUTSIDE/seen\"; exit 1; }\n";
    let verdict = fix(&[("code.sh", RIGHT), ("tests/more.sh", FLAKY)]).await;
    assert_eq!(verdict, ProofVerdict::Flaky(names(&["tests/more.sh"])));
}

#[tokio::test]
async fn a_base_that_passes_is_a_question() {
    let new = with(&[("code.sh", "add() { echo 3; }\n")]);
    let order = order(&new, ProofExpect::Fail, ProofConsent::default());
    let mut bench = bench(new);
    bench.commits.insert("base", with(&[("code.sh", RIGHT)]));
    let record = prove(order, &mut bench, Vec::new()).await.unwrap();
    assert_eq!(record.verdict, ProofVerdict::NeedsPerson(PersonQuestion::BeforePasses));
    assert_eq!(record.stages.len(), 1);
}

#[tokio::test]
async fn a_hang_is_named_with_its_limit() {
    let verdict = fix(&[("code.sh", HANGS)]).await;
    assert_eq!(
        verdict,
        ProofVerdict::NotProved(vec![ProofReason::Hangs { stage: ProofStage::After, seconds: 30 }])
    );
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let verdict = fix(&[("check.sh", "no-such-program-here 2> /dev/null\n")]).await;
    let ProofVerdict::NotProved(reasons) = verdict else { panic!("{verdict}") };
    assert_eq!(reasons[0], ProofReason::CommandMissing { outcome: "exit 127".into() });
}

#[tokio::test]
async fn a_guard_alone_is_a_question_and_consent_answers_it() {
    let new = with(&[("code.sh", RIGHT), ("Makefile", "all: code\n")]);
    let asked = play(new.clone(), ProofExpect::Fail, ProofConsent::default()).await;
    let ProofVerdict::NeedsPerson(PersonQuestion::GuardsTouched(guards)) = &asked.verdict else {
        panic!("{asked:?}")
    };
    assert_eq!(guards.len(), 2);
    let allowed = play(new, ProofExpect::Fail, ProofConsent { guards: true, old_tests: false }).await;
    assert_eq!(allowed.verdict, ProofVerdict::Proved);
}

#[tokio::test]
async fn tests_that_fit_a_wanted_change_need_consent() {
    let new = with(&[
        ("code.sh", "add() { echo $(($1 + $2 + ($1 + $2 == 0) * 9)); }\n"),
        ("tests/zero.sh", ". ./code.sh\n[ $(add 0 0) = 9 ]\n"),
    ]);
    let asked = play(new.clone(), ProofExpect::Any, ProofConsent::default()).await;
    let ProofVerdict::NeedsPerson(question @ PersonQuestion::OldTestsRewritten { .. }) = &asked.verdict
    else {
        panic!("{}", asked.verdict)
    };
    assert!(question.to_string().contains("fail on the new code (exit 1): tests/zero.sh"), "{question}");
    let allowed = play(new, ProofExpect::Any, ProofConsent { guards: false, old_tests: true }).await;
    assert_eq!(allowed.verdict, ProofVerdict::Proved);
    let note = "old tests: not run over the new code, because a person allowed their change";
    assert!(allowed.notes.iter().any(|said| said == note), "{:?}", allowed.notes);
}

/// Rewriting a failing test until it passes hides the fault: nobody is asked to allow that.
#[tokio::test]
async fn a_red_test_that_is_bent_to_pass_is_no_question() {
    let new = with(&[
        ("code.sh", "add() { echo $(($1 - $2 + 0)); }\n"),
        ("tests/add.sh", ". ./code.sh\n[ $(add 1 2) = -1 ]\n"),
    ]);
    let refused = play(new, ProofExpect::Any, ProofConsent::default()).await;
    let ProofVerdict::NotProved(reasons) = &refused.verdict else { panic!("{}", refused.verdict) };
    assert!(matches!(reasons[0], ProofReason::OldTestsFail { .. }), "{reasons:?}");
}

#[tokio::test]
async fn new_tests_have_to_show_a_change_whatever_is_expected() {
    let new = with(&[
        ("code.sh", "add() { echo $(($1 + $2 + 0)); }\n"),
        ("tests/zero.sh", "true\n"),
        ("tests/add.sh", "true\n"),
    ]);
    let record = play(new, ProofExpect::Any, ProofConsent::default()).await;
    assert_eq!(record.verdict, ProofVerdict::NotProved(vec![ProofReason::NewTestsPassOnOldCode]));
}

#[test]
fn a_proof_may_move_between_threads() {
    fn sent<T: Send>(_: T) {}
    let new = with(&[("code.sh", RIGHT)]);
    let order = order(&new, ProofExpect::Fail, ProofConsent::default());
    sent(prove(order, &mut bench(new), Vec::new()));
}

#[tokio::test]
async fn a_proof_goes_on_behind_every_stored_end() {
    let new = with(&[("code.sh", RIGHT), ("tests/add.sh", ". ./code.sh\n[ $(add 1 3) = 4 ]\n")]);
    let whole = play(new.clone(), ProofExpect::Fail, ProofConsent::default()).await;
    assert_eq!((whole.stages.len(), &whole.verdict), (4, &ProofVerdict::Proved));
    for at in 0..whole.stages.len() {
        let order = order(&new, ProofExpect::Fail, ProofConsent::default());
        let mut bench = bench(new.clone());
        bench.stops_after = Some(at);
        let error = prove(order.clone(), &mut bench, Vec::new()).await.unwrap_err();
        assert_eq!(error.to_string(), "the proof could not make a tree: the disk is full");
        assert_eq!(bench.kept.len(), at);
        bench.stops_after = None;
        let done = bench.kept.clone();
        let record = prove(order, &mut bench, done).await.unwrap();
        assert_eq!(record, whole);
    }
}
