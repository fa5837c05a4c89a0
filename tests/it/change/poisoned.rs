//! A step that is met by the end of its daemon again and again, and gets no further, goes to a person.

use pas::domain::job::lost::MAX_LOST_IN_A_ROW;
use serde_json::json;

use super::ChangeStage;
use super::pieces::MENDED;
use super::stop::sleepers;
use crate::change_samples::SAMPLES;
use crate::support::until;
use crate::vendor::play::{Play, edit, report, turn};

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_takes_the_daemon_down_each_time_is_not_begun_for_ever() {
    const SECONDS: &str = "7781.25";
    let (sample, repository) = (SAMPLES[1], SAMPLES[1].repository());
    let author = Play::new([turn(edit("shelf/cache.py", [MENDED])), turn(report("done", "Mended."))])
        .instructed("You change code");
    let mut stage = ChangeStage::open(&[author]).await;
    let inputs = json!({ "prove": format!("sleep {SECONDS}"), "review": "off", "ask": "person" });
    let run = stage.submit(sample, repository.path(), inputs).await;
    for _ in 0..MAX_LOST_IN_A_ROW {
        until("the proof runs", async || (sleepers(SECONDS) == 1).then_some(())).await;
        stage = stage.restarted().await;
    }
    let question = stage.question(&run).await;
    let text = question["action"].as_str().unwrap();
    assert!(text.contains("it may be the cause; approve to try again"), "{question:#}");
    assert_eq!(sleepers(SECONDS), 0, "nothing is begun before the answer");
    stage.decide(&question, "approve", "the memory was full").await;
    until("the proof runs again", async || (sleepers(SECONDS) == 1).then_some(())).await;
    stage.api().ask(&format!("/jobs/{run}/cancel"), json!({})).await;
    stage.api().is(&run, "cancelled").await;
}
