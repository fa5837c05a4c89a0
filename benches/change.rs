//! A change: the cost of a turn beside the model, the time to fold a log, and the sandbox's overhead for a
//! command.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use pas::domain::agent::{AccessLevel, Rights};
use pas::domain::thinking::{
    AnswerFinish, AnsweredRow, AskedRow, BegunRow, CallPlace, ReturnedRow, StepRow, ThinkingLimits,
    ThinkingState, WrittenCall,
};
use pas::sandbox::{
    OutputLimits, SandboxCommand, SandboxLauncher, SandboxLimits, SandboxPlaces, SandboxProfile,
    ToolchainSet, probe_backends,
};
use pas::worktree::{SourceRepository, TreeName, WorkTree};
use tokio_util::sync::CancellationToken;

use crate::measure::{in_turn, median};
use crate::report::{Aim, Row, number};

const ROUNDS: usize = 15;
/// Turns of the log that is folded: with three rows each, and the first, some 2,000 rows.
const TURNS: u32 = 666;
/// Files in a folder of the measured repository.
const FILES_A_FOLDER: usize = 100;

/// A log of `TURNS` turns with one call each.
fn log() -> Vec<StepRow> {
    let limits = ThinkingLimits { turns: TURNS + 1, ..ThinkingLimits::default() };
    let begun = BegunRow {
        card: "Mend it.".into(),
        system: "You change code.".into(),
        tools_json: "[]".into(),
        definition_hash: String::new(),
        advice: String::new(),
        todo: String::new(),
        limits,
        base_commit: None,
        tree: None,
        prove: None,
        depth: 0,
        money_left_nano: None,
    };
    let turn = |turn: u32| {
        let request_id = format!("r{turn}");
        let asked = AskedRow { turn, attempt: 1, request_hash: String::new(), request_id };
        let answered = AnsweredRow {
            turn,
            text: "Next.".into(),
            calls: vec![WrittenCall {
                vendor_id: String::new(),
                tool: "read".into(),
                args: format!("{{\"path\":\"file-{turn}\"}}"),
            }],
            finish: AnswerFinish::Stop,
            model: "m".into(),
            receipt: u64::from(turn),
            tokens_in: 1_000,
            tokens_out: 50,
            cost_nano: 1_000,
            money_left_nano: None,
            elapsed_ms: 1,
        };
        let returned = ReturnedRow::plain(CallPlace { turn, index: 0 }, "x".repeat(2_000));
        [StepRow::Asked(asked), StepRow::Answered(Box::new(answered)), StepRow::Returned(Box::new(returned))]
    };
    std::iter::once(StepRow::Begun(Box::new(begun))).chain((1..=TURNS).flat_map(turn)).collect()
}

fn fold() -> anyhow::Result<Row> {
    let log = log();
    let encoded: Vec<Vec<u8>> = log.iter().map(serde_json::to_vec).collect::<Result<_, _>>()?;
    let folded = || {
        let rows = log.clone();
        let from = Instant::now();
        ThinkingState::fold(rows)?;
        Ok(from.elapsed().as_secs_f64() * 1e3)
    };
    let decoded = || {
        let from = Instant::now();
        for row in &encoded {
            serde_json::from_slice::<StepRow>(row)?;
        }
        Ok(from.elapsed().as_secs_f64() * 1e3)
    };
    let measured = in_turn(ROUNDS, folded, decoded)?;
    Ok(Row::new(format!("step log of {} rows, folded", log.len()), measured.ours, "ms")
        .sides(format!("{} ms", number(measured.ours)), format!("{} ms", number(measured.baseline)))
        .aim(Aim::AtMost(5.0))
        .note("the baseline only decodes the same rows from JSON"))
}

fn git(folder: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let done = Command::new("git")
        .args(["-c", "user.name=Bench", "-c", "user.email=bench@example.org", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()?;
    anyhow::ensure!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

fn repository(folder: &Path, files: usize) -> anyhow::Result<()> {
    for n in 0..files {
        let path = folder.join(format!("d{}/f{n}.txt", n / FILES_A_FOLDER));
        std::fs::create_dir_all(path.parent().context("a file lies in a folder")?)?;
        std::fs::write(path, format!("file {n}\n").repeat(20))?;
    }
    git(folder, &["init", "--quiet", "--initial-branch=main"])?;
    git(folder, &["add", "--all"])?;
    git(folder, &["commit", "--quiet", "--message=Begin"])
}

/// One edit, recorded in a snapshot: the overhead of each call that changes files.
fn turn(files: usize, aim: f64) -> anyhow::Result<Row> {
    let folder = crate::scratch()?;
    let person = folder.path().join("person");
    std::fs::create_dir(&person)?;
    repository(&person, files)?;
    let source = SourceRepository::inspect(&person, None)?;
    let name = TreeName::new("bench", "main").context("a good name")?;
    let tree = WorkTree::create(&folder.path().join("trees"), &name, &source)?;
    tree.snapshot("start")?;
    let mut edits = 0;
    let mut edit = |root: &Path| {
        edits += 1;
        std::fs::write(root.join("d0/f0.txt"), format!("edit {edits}\n"))
    };
    let (mut ours, mut baseline) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        edit(&tree.path())?;
        let from = Instant::now();
        let after = tree.snapshot("after")?;
        tree.diffstat(tree.base(), &after.commit)?;
        ours.push(from.elapsed().as_secs_f64() * 1e3);
        edit(&person)?;
        let from = Instant::now();
        git(&person, &["add", "--all"])?;
        git(&person, &["write-tree"])?;
        git(&person, &["diff", "--cached", "--stat"])?;
        baseline.push(from.elapsed().as_secs_f64() * 1e3);
    }
    let (ours, baseline) = (median(&ours), median(&baseline));
    Ok(Row::new(format!("an edit kept, {files} files"), ours, "ms")
        .sides(format!("{} ms", number(ours)), format!("{} ms", number(baseline)))
        .aim(Aim::AtMost(aim))
        .note("a snapshot and its diffstat; the baseline is `git add`, `write-tree` and `diff --stat`"))
}

fn sandbox() -> anyhow::Result<Row> {
    let runtime = crate::runtime(2)?;
    let folder = crate::scratch()?;
    let (tree, scratch) = (folder.path().join("tree"), folder.path().join("scratch"));
    std::fs::create_dir(&tree)?;
    std::fs::create_dir(&scratch)?;
    let executable = Path::new(env!("CARGO_BIN_EXE_pas"));
    let (backend, report) = runtime.block_on(probe_backends(executable, std::env::var_os("PATH").as_deref()));
    let launcher = SandboxLauncher::new(executable.to_owned(), backend);
    let places = SandboxPlaces { tree: tree.clone(), scratch, git: None };
    let rights = Rights { filesystem: AccessLevel::ReadWrite, bash: true, ..Rights::NONE };
    let profile = SandboxProfile::of(rights, &places, &ToolchainSet::default(), SandboxLimits::default());
    let confined = || {
        let command = SandboxCommand {
            profile: profile.clone(),
            argv: vec!["/bin/true".to_owned()],
            stdin: None,
            cwd: tree.clone(),
            timeout: Duration::from_secs(10),
            output: OutputLimits::default(),
        };
        let from = Instant::now();
        let end = runtime.block_on(launcher.run(command, &CancellationToken::new()))?;
        anyhow::ensure!(end.exit == Some(0), "`true` ended with {:?}", end.exit);
        Ok(from.elapsed().as_secs_f64() * 1e3)
    };
    let bare = || {
        let from = Instant::now();
        let done = Command::new("/bin/true").status()?;
        anyhow::ensure!(done.success(), "`true` failed");
        Ok(from.elapsed().as_secs_f64() * 1e3)
    };
    let measured = in_turn(ROUNDS, confined, bare)?;
    let added = measured.ours - measured.baseline;
    Ok(Row::new("a command in the sandbox, added", added, "ms")
        .sides(format!("{} ms", number(measured.ours)), format!("{} ms", number(measured.baseline)))
        .aim(Aim::AtMost(10.0))
        .note(format!("`true` to its end, with {}; the baseline spawns it bare", report.backend)))
}

pub(crate) fn run() -> anyhow::Result<Vec<Row>> {
    Ok(vec![turn(1_000, 25.0)?, turn(20_000, 150.0)?, fold()?, sandbox()?])
}
