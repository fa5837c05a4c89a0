//! Long proofs: a proving command that does not end is ended at its limit with all that it started, and the account says
//! so; one that ends within it may take longer than a step may work.

use serde_json::json;

use super::ChangeStage;
use super::pieces::MENDED;
use super::stop::sleepers;
use crate::change_samples::{SAMPLES, git};
use crate::vendor::play::{Play, edit, report, turn};

#[tokio::test(flavor = "multi_thread")]
async fn a_proving_command_that_hangs_is_ended_with_all_its_processes() {
    const SECONDS: &str = "7751.25";
    let (sample, repository) = (SAMPLES[1], SAMPLES[1].repository());
    // On the base it fails and leaves a process of another session; on the change it passes and hangs.
    let prove = format!(
        "setsid sleep {SECONDS} & (sleep {SECONDS} &) ; python3 -m unittest || exit 1; sleep {SECONDS}"
    );
    let author = Play::new([
        turn(edit("shelf/cache.py", [MENDED])),
        turn(report("done", "Mended.")),
        turn(report("done", "Mended, as said.")).sees("the command was still running after"),
    ])
    .instructed("You change code")
    .looping(1);
    let stage = ChangeStage::open(&[author]).await;
    let inputs = json!({ "prove": prove, "prove_limit_s": 5, "review": "off" });
    let run = stage.submit(sample, repository.path(), inputs).await;
    let writer = stage.ended(&run).await;
    assert_eq!(writer["state"], "failed", "{writer:#}");
    let account = writer["error"].as_str().unwrap();
    for words in [
        "after: the command was still running after",
        "after: FAILED · ended at its time limit",
        "Nothing was delivered",
    ] {
        assert!(account.contains(words), "{words:?} is missing: {account}");
    }
    assert_eq!(sleepers(SECONDS), 0, "nothing of the command is left");
    assert_eq!(git(repository.path(), &["branch", "--all"]).trim(), "* main");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_may_take_longer_than_a_step_may_work() {
    // A proof of two runs; each is shorter than the step may work, together they are longer.
    const STEP_SECONDS: &str = "12";
    let (sample, repository) = (SAMPLES[1], SAMPLES[1].repository());
    let author = Play::new([turn(edit("shelf/cache.py", [MENDED])), turn(report("done", "Mended."))])
        .instructed("You change code");
    let limits = [("PAS_JOBS__STEP_SOFT_TIMEOUT_S", "11"), ("PAS_JOBS__STEP_HARD_TIMEOUT_S", STEP_SECONDS)];
    let stage = ChangeStage::open_with(&[author], &limits).await;
    let inputs = json!({ "prove": "sleep 8; python3 -m unittest", "review": "off" });
    let run = stage.submit(sample, repository.path(), inputs).await;
    let writer = stage.ended(&run).await;
    assert_eq!(writer["state"], "done", "{writer:#}");
}
