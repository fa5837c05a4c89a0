//! Stub to be replaced in the next commit.
use pas::domain::usage::Usage;
use serde_json::json;

use super::answer::Answer;
use super::error::Refusal;
use super::fault::Fault;
use super::model::Model;
use super::seen::Heard;

pub(super) fn serve(heard: &Heard, _: &mut Model, _: &Fault) -> Result<(Answer, Usage), Refusal> {
    Err(Refusal::UnknownPath(heard.path.clone()))
}

pub(super) fn refuse(_: &Refusal, _: &Heard) -> Answer {
    Answer::with_status(501, &json!({ "error": "not yet" }))
}
