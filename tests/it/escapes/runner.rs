//! Runs all attempts in one backend.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use pas::sandbox::bubblewrap::BubblewrapProgram;
use pas::sandbox::{OutputLimits, SandboxBackend, SandboxCommand, SandboxError, SandboxLauncher};
use tokio_util::sync::CancellationToken;

use super::attempts::{ATTEMPTS, EscapeAttempt, EscapeScript, PRELUDE};
use super::world::{EscapeWorld, GOT_OUT, MARK, repository};

const OTHER_USER: &str = "1234";

/// An attempt that got out.
#[derive(Debug)]
pub(crate) struct EscapeFound {
    pub(crate) number: u32,
    #[expect(dead_code, reason = "shown when the test fails")]
    pub(crate) name: &'static str,
    #[expect(dead_code, reason = "shown when the test fails")]
    pub(crate) how: Vec<String>,
}

pub(crate) fn bubblewrap() -> SandboxBackend {
    SandboxBackend::LandlockInBubblewrap(BubblewrapProgram {
        path: "/usr/bin/bwrap".into(),
        disables_user_namespaces: true,
    })
}

/// The same test once more, as a user without rights.
pub(crate) fn as_other_user(test: &str) {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let as_other = || {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", OTHER_USER, "--regid", OTHER_USER, "--clear-groups"]);
        command
    };
    let (own, pas) = (std::env::current_exe().unwrap(), PathBuf::from(env!("CARGO_BIN_EXE_pas")));
    let reaches =
        |file: &PathBuf| as_other().args(["test", "-x"]).arg(file).status().is_ok_and(|end| end.success());
    if !reaches(&own) || !reaches(&pas) {
        println!("skipped: another user cannot reach {}", own.display());
        return;
    }
    let ran = as_other()
        .arg(own)
        .args(["--exact", test, "--nocapture"])
        .env("HOME", "/nonexistent")
        .current_dir("/")
        .output()
        .unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&said));
}

pub(crate) fn escaped(backend: &SandboxBackend) -> Vec<EscapeFound> {
    let template = tempfile::tempdir().unwrap();
    repository(template.path());
    let only: Option<u32> = std::env::var("ESCAPE").ok().and_then(|text| text.parse().ok());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let meant = ATTEMPTS.iter().filter(|attempt| only.is_none_or(|only| only == attempt.number));
    let tried = meant.filter_map(|attempt| {
        let mut world = EscapeWorld::new(template.path());
        let how = runtime.block_on(try_out(attempt, &mut world, backend.clone()));
        (!how.is_empty()).then_some(EscapeFound { number: attempt.number, name: attempt.name, how })
    });
    tried.collect()
}

async fn try_out(attempt: &EscapeAttempt, world: &mut EscapeWorld, backend: SandboxBackend) -> Vec<String> {
    let launcher =
        SandboxLauncher::new(PathBuf::from(env!("CARGO_BIN_EXE_pas")), backend).allow_unconfined(true);
    let (program, text) = match attempt.script {
        EscapeScript::Shell(text) => (["/bin/bash", "-c"], format!("{}{text}", world.names(true))),
        EscapeScript::Python(text) => {
            (["/usr/bin/python3", "-c"], format!("{}{PRELUDE}{text}", world.names(true)))
        }
    };
    let command = SandboxCommand {
        profile: world.profile(),
        argv: [program[0], program[1], &text].map(str::to_owned).into(),
        stdin: None,
        cwd: world.places().tree,
        timeout: Duration::from_secs(20),
        output: OutputLimits::default(),
    };
    let mut how = match launcher.run(command, &CancellationToken::new()).await {
        Ok(end) => {
            let said = end.output.text();
            if std::env::var_os("ESCAPE").is_some() {
                println!("{} {}: {:?} {said}", attempt.number, attempt.name, (end.exit, end.signal));
            }
            let signs = [MARK, GOT_OUT, "CARGO_MANIFEST_DIR"];
            let seen = signs.iter().filter(|sign| said.contains(*sign));
            seen.map(|sign| format!("{sign} in its output: {said}")).collect()
        }
        Err(SandboxError::ReaperLost(why)) => vec![format!("reaper lost: {why}")],
        Err(error) => panic!("{} {}: {error}", attempt.number, attempt.name),
    };
    how.extend(world.changes());
    how
}
