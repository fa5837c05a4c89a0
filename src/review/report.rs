//! Reads a reviewer's answer: one JSON object, strictly.
//!
//! Failure policy: prose around one fenced block is ignored, since models add some; anything else is refused
//! with the place in the JSON and the required form.

use serde::{Deserialize, Serialize};

use super::remark::{MAX_FIELD, RemarkFault, ReviewRemark};

/// Most remarks of a review; the weightiest come first.
pub const MAX_REMARKS: usize = 20;

/// The answer of a reviewer on one commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewerReport {
    /// The commit named by the reviewer; if left out, the commit under review.
    #[serde(default)]
    pub commit: String,
    pub summary: String,
    pub remarks: Vec<ReviewRemark>,
}

/// An answer that is no report; the text goes back to the model.
#[derive(Debug, thiserror::Error)]
pub enum ReportFault {
    #[error("the answer holds no JSON object; answer with {form} and nothing else", form = REPORT_FORM)]
    NoJson,
    #[error("the answer holds {0} JSON blocks; answer with one")]
    ManyBlocks(usize),
    #[error("at {place}: {cause}")]
    BadJson { place: String, cause: String },
    #[error("the report is on commit {found}, but {asked} was to be reviewed")]
    OtherCommit { found: String, asked: String },
    #[error("`summary` has {0} characters; at most {max}", max = MAX_FIELD)]
    LongSummary(usize),
    #[error("the report has {0} remarks; give the {max} weightiest", max = MAX_REMARKS)]
    ManyRemarks(usize),
    #[error("remarks[{at}]: {fault}")]
    BadRemark { at: usize, fault: RemarkFault },
    #[error("remarks[{0}] and remarks[{1}] are the same")]
    SameRemark(usize, usize),
}

/// The form in one line.
pub const REPORT_FORM: &str = r#"{"commit": "…", "summary": "…", "remarks": [{"place": {"path": "…", "line": 1}, "severity": "blocking|note", "input": "…", "proposal": "…", "test": "unified diff", "no_test": "reason"}]}"#;

impl ReviewerReport {
    /// `commit` is the one given to the reviewer; `is_test` is the project's rule for test files.
    pub fn parse(answer: &str, commit: &str, is_test: impl Fn(&str) -> bool) -> Result<Self, ReportFault> {
        let json = json_of(answer)?;
        let mut reader = serde_json::Deserializer::from_str(json);
        let report: Self =
            serde_path_to_error::deserialize(&mut reader).map_err(|error| ReportFault::BadJson {
                place: match error.path().to_string().as_str() {
                    "." => "the report".into(),
                    path => format!("`{path}`"),
                },
                cause: error.inner().to_string(),
            })?;
        reader
            .end()
            .map_err(|error| ReportFault::BadJson { place: "the end".into(), cause: error.to_string() })?;
        report.check(commit, &is_test)?;
        Ok(report)
    }

    fn check(&self, commit: &str, is_test: &impl Fn(&str) -> bool) -> Result<(), ReportFault> {
        if !self.commit.is_empty() && self.commit != commit {
            let found = self.commit.chars().take(64).collect();
            return Err(ReportFault::OtherCommit { found, asked: commit.to_owned() });
        }
        let length = self.summary.chars().count();
        if length > MAX_FIELD {
            return Err(ReportFault::LongSummary(length));
        }
        if self.remarks.len() > MAX_REMARKS {
            return Err(ReportFault::ManyRemarks(self.remarks.len()));
        }
        for (at, remark) in self.remarks.iter().enumerate() {
            remark.check(is_test).map_err(|fault| ReportFault::BadRemark { at, fault })?;
            if let Some(first) = self.remarks[..at].iter().position(|earlier| earlier == remark) {
                return Err(ReportFault::SameRemark(first, at));
            }
        }
        Ok(())
    }
}

/// The answer itself where it begins with a brace, else the one fenced block that does.
fn json_of(answer: &str) -> Result<&str, ReportFault> {
    let whole = answer.trim();
    if whole.starts_with('{') {
        return Ok(whole);
    }
    let mut blocks = Vec::new();
    let mut open: Option<usize> = None;
    let mut at = 0;
    for line in answer.split_inclusive('\n') {
        if line.trim_start().starts_with("```") {
            match open.take() {
                None => open = Some(at + line.len()),
                Some(start) => blocks.push(answer[start..at].trim()),
            }
        }
        at += line.len();
    }
    blocks.retain(|block| block.starts_with('{'));
    match blocks.as_slice() {
        [one] => Ok(one),
        [] => Err(ReportFault::NoJson),
        many => Err(ReportFault::ManyBlocks(many.len())),
    }
}

#[cfg(test)]
mod tests;
