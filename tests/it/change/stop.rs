//! A change that is stopped leaves no process and no branch, whoever stops it.

use std::fs;

use serde_json::json;

use super::ChangeStage;
use crate::change_samples::{ChangeSample, SAMPLES, git};
use crate::support::until;
use crate::vendor::play::{Play, bash, turn};

const PYTHON: ChangeSample = SAMPLES[1];

/// A play whose first command never ends, with a word in its arguments that is its own.
fn sleeper(seconds: &str) -> Play {
    let command = format!("sleep {seconds} & setsid sleep {seconds} & sleep {seconds}");
    Play::new([turn(bash(&command))]).instructed("You change code").looping(1)
}

/// How many processes of this machine sleep for so long.
pub(super) fn sleepers(seconds: &str) -> usize {
    let own = format!("sleep\0{seconds}\0").into_bytes();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.filter(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == own)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_in_the_middle_of_a_command_ends_all_its_processes() {
    const SECONDS: &str = "7731.25";
    let repository = PYTHON.repository();
    let stage = ChangeStage::open(&[sleeper(SECONDS)]).await;
    let run = stage.submit(PYTHON, repository.path(), json!({ "review": "off" })).await;
    until("the command runs", async || (sleepers(SECONDS) == 3).then_some(())).await;
    stage.api().ask(&format!("/jobs/{run}/cancel"), json!({ "reason": "enough" })).await;
    stage.api().is(&run, "cancelled").await;
    assert_eq!(sleepers(SECONDS), 0, "cancelled means that nothing runs any more");
    assert_eq!(git(repository.path(), &["branch", "--all"]).trim(), "* main");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_daemon_leaves_no_process_of_a_command() {
    const SECONDS: &str = "7732.25";
    let repository = PYTHON.repository();
    let stage = ChangeStage::open(&[sleeper(SECONDS)]).await;
    stage.submit(PYTHON, repository.path(), json!({ "review": "off" })).await;
    until("the command runs", async || (sleepers(SECONDS) == 3).then_some(())).await;
    stage.process.kill();
    until("the reaper has ended what was left", async || (sleepers(SECONDS) == 0).then_some(())).await;
}
