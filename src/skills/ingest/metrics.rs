//! metrics-cost-accountant: time and cost of each step of a run.
//!
//! Inputs, given by the engine: `{"steps": [{job_id, agent, step, task, started_at, ended_at, attempts,
//! bytes_out, cost_usd}], other_cost_usd}` with ISO 8601 times and costs as decimal strings; the last is the
//! cost of calls outside all listed steps. Invariants: money is decimal from the card to the file, never
//! binary; the total is the run's whole cost so far; steps are listed in the order of their start. Failure
//! policy: invalid input (a missing field, an end before its start, a negative cost) is a permanent error.

use std::fmt::Write as _;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::output;
use crate::{SkillError, StepContext, StepOutcome};
use pas_domain::time::Timestamp;

/// All figures as one [`IngestMetrics`].
pub const METRICS: &str = "metrics/metrics.json";
/// The same for people: a table and a waterfall.
pub const METRICS_MD: &str = "metrics/metrics.md";

/// Width of the waterfall in characters: fits a terminal of 80 columns beside the longest step name.
const WATERFALL: u64 = 48;

/// One finished step, reported by the engine.
#[derive(Debug, Clone, Deserialize)]
struct StepRecord {
    job_id: String,
    agent: String,
    step: String,
    task: String,
    started_at: Timestamp,
    ended_at: Timestamp,
    attempts: u32,
    bytes_out: u64,
    #[serde(with = "rust_decimal::serde::str")]
    cost_usd: Decimal,
}

#[derive(Debug, Deserialize)]
struct MetricsInputs {
    steps: Vec<StepRecord>,
    #[serde(default, with = "rust_decimal::serde::str")]
    other_cost_usd: Decimal,
}

/// The content of [`METRICS`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IngestMetrics {
    /// Steps in the order of their start.
    pub steps: Vec<StepMetrics>,
    pub totals: StepTotals,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepMetrics {
    /// The step's job card.
    pub job_id: String,
    /// The agent that did the step.
    pub agent: String,
    /// The step's name in the plan.
    pub step: String,
    pub task: String,
    /// Milliseconds from the start of the first step to this one's.
    pub offset_ms: u64,
    /// Milliseconds from start to end, all attempts included.
    pub wall_ms: u64,
    /// Share of the sum of all steps' times, in percent with one decimal.
    pub share_percent: Decimal,
    pub attempts: u32,
    pub bytes_out: u64,
    /// US dollars.
    #[serde(with = "rust_decimal::serde::str")]
    pub cost_usd: Decimal,
}

/// Sums over all steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTotals {
    pub steps: usize,
    /// Sum of the steps' times, in milliseconds.
    pub sum_ms: u64,
    /// From the first start to the last end, in milliseconds.
    pub elapsed_ms: u64,
    /// `sum_ms / elapsed_ms` with two decimals: how many steps ran at once on average; 0 without a duration.
    pub parallelism: Decimal,
    pub attempts: u64,
    /// All bytes written.
    pub bytes_out: u64,
    /// All costs of the run so far, in US dollars.
    #[serde(with = "rust_decimal::serde::str")]
    pub cost_usd: Decimal,
    /// The part that belongs to no listed step.
    #[serde(with = "rust_decimal::serde::str")]
    pub other_cost_usd: Decimal,
}

/// Runs the step.
///
/// # Errors
/// [`SkillError::Permanent`] for invalid inputs, naming the step and the field.
pub fn run(step: &StepContext) -> Result<StepOutcome, SkillError> {
    let inputs = MetricsInputs::deserialize(step.inputs())
        .map_err(|error| SkillError::Permanent(format!("inputs of the metrics step: {error}")))?;
    step.begin(inputs.steps.len() as u64, "adding up times and costs");
    for record in &inputs.steps {
        step.checkpoint()?;
        check(record)?;
        step.advance(1);
    }
    let metrics = account(inputs.steps, inputs.other_cost_usd)?;
    let mut artifacts = vec![
        output::write_json(step, METRICS, "metrics", &metrics)?,
        output::write_file(step, METRICS_MD, "metrics", "text/markdown", markdown(&metrics).as_bytes())?,
    ];
    for artifact in &mut artifacts {
        artifact.deterministic = false;
    }
    let totals = json!(metrics.totals);
    Ok(StepOutcome { artifacts, outputs: totals })
}

fn check(record: &StepRecord) -> Result<(), SkillError> {
    let refuse = |what: String| {
        Err(SkillError::Permanent(format!(
            "step {} ({}) {what}: correct the card",
            record.step, record.job_id
        )))
    };
    if record.ended_at < record.started_at {
        return refuse(format!("ends at {}, before its start at {}", record.ended_at, record.started_at));
    }
    if record.cost_usd.is_sign_negative() && !record.cost_usd.is_zero() {
        return refuse(format!("has a negative cost of {} dollars", record.cost_usd));
    }
    Ok(())
}

fn account(mut records: Vec<StepRecord>, other_cost_usd: Decimal) -> Result<IngestMetrics, SkillError> {
    records.sort_by(|a, b| (a.started_at, a.ended_at, &a.step).cmp(&(b.started_at, b.ended_at, &b.step)));
    let first = records.iter().map(|record| record.started_at).min().unwrap_or_default();
    let last = records.iter().map(|record| record.ended_at).max().unwrap_or_default();
    let too_large =
        |what: &str| SkillError::Permanent(format!("the steps' {what} add up to more than can be held"));
    let sum_ms = checked_sum(records.iter().map(wall_ms)).ok_or_else(|| too_large("times"))?;
    let elapsed_ms = millis(last, first);
    let cost = records.iter().try_fold(other_cost_usd, |sum, record| sum.checked_add(record.cost_usd));
    let totals = StepTotals {
        steps: records.len(),
        sum_ms,
        elapsed_ms,
        parallelism: ratio(sum_ms, elapsed_ms, 2),
        attempts: records.iter().map(|record| u64::from(record.attempts)).sum(),
        bytes_out: checked_sum(records.iter().map(|r| r.bytes_out)).ok_or_else(|| too_large("bytes"))?,
        cost_usd: cost.ok_or_else(|| too_large("costs"))?,
        other_cost_usd,
    };
    let steps = records.into_iter().map(|record| figures(record, first, sum_ms)).collect();
    Ok(IngestMetrics { steps, totals })
}

fn figures(record: StepRecord, first: Timestamp, sum_ms: u64) -> StepMetrics {
    let wall_ms = wall_ms(&record);
    StepMetrics {
        offset_ms: millis(record.started_at, first),
        wall_ms,
        share_percent: ratio(wall_ms.saturating_mul(100), sum_ms, 1),
        job_id: record.job_id,
        agent: record.agent,
        step: record.step,
        task: record.task,
        attempts: record.attempts,
        bytes_out: record.bytes_out,
        cost_usd: record.cost_usd,
    }
}

fn wall_ms(record: &StepRecord) -> u64 {
    millis(record.ended_at, record.started_at)
}

fn millis(later: Timestamp, earlier: Timestamp) -> u64 {
    u64::try_from(later.since(earlier).as_millis()).unwrap_or(u64::MAX)
}

fn checked_sum(mut values: impl Iterator<Item = u64>) -> Option<u64> {
    values.try_fold(0_u64, u64::checked_add)
}

/// `part / whole` with `decimals` decimals; 0 when `whole` is.
fn ratio(part: u64, whole: u64, decimals: u32) -> Decimal {
    Decimal::from(part).checked_div(Decimal::from(whole)).unwrap_or_default().round_dp(decimals)
}

fn markdown(metrics: &IngestMetrics) -> String {
    let totals = &metrics.totals;
    let mut page = String::from("# Times and costs\n\n");
    if metrics.steps.is_empty() {
        page.push_str("No step has ended yet, so there is nothing to add up.\n");
        return page;
    }
    let _ = writeln!(
        page,
        "{} steps took {} ms from the first start to the last end. Their own times add up to {} ms, so {} \
         ran at once on average. They wrote {} bytes and cost ${}.\n",
        totals.steps, totals.elapsed_ms, totals.sum_ms, totals.parallelism, totals.bytes_out, totals.cost_usd
    );
    if !totals.other_cost_usd.is_zero() {
        let _ =
            writeln!(page, "Of the cost, ${} is of calls outside of these steps.\n", totals.other_cost_usd);
    }
    page.push_str("| step | agent | wall ms | share | attempts | bytes out | cost USD |\n");
    page.push_str("|---|---|--:|--:|--:|--:|--:|\n");
    for step in &metrics.steps {
        let _ = writeln!(
            page,
            "| {} | {} | {} | {}% | {} | {} | {} |",
            cell(&step.step),
            cell(&step.agent),
            step.wall_ms,
            step.share_percent,
            step.attempts,
            step.bytes_out,
            step.cost_usd
        );
    }
    page.push_str("\n## Waterfall\n\n```text\n");
    page.push_str(&waterfall(metrics));
    page.push_str("```\n");
    page
}

/// One bar a step, from start to end; a step too short for a character still shows as one.
fn waterfall(metrics: &IngestMetrics) -> String {
    let names: Vec<String> = metrics.steps.iter().map(|step| cell(&step.step)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let scale = |ms: u64| scaled(ms, metrics.totals.elapsed_ms);
    let mut lines = String::new();
    for (step, name) in metrics.steps.iter().zip(&names) {
        let from = scale(step.offset_ms).min(WATERFALL - 1);
        let to = scale(step.offset_ms.saturating_add(step.wall_ms)).clamp(from + 1, WATERFALL);
        let bar: String =
            (0..WATERFALL).map(|column| if (from..to).contains(&column) { '█' } else { '·' }).collect();
        let _ = writeln!(lines, "{name:<width$} {bar} {:>7} ms", step.wall_ms);
    }
    lines
}

fn scaled(ms: u64, elapsed_ms: u64) -> u64 {
    let column = u128::from(ms) * u128::from(WATERFALL) / u128::from(elapsed_ms.max(1));
    u64::try_from(column).unwrap_or(WATERFALL)
}

/// Text that cannot break out of a table cell or a code block.
fn cell(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>()
        .replace('|', "\\|")
        .replace('`', "'")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::sample;
    use super::*;

    fn record(step: &str, from_ms: i64, to_ms: i64, cost: &str) -> Value {
        let time = |ms| Timestamp::from_millis(1_795_363_200_000 + ms).to_string();
        json!({
            "job_id": format!("job-{step}"), "agent": "corpus-auditor", "step": step, "task": "audit the folder",
            "started_at": time(from_ms), "ended_at": time(to_ms), "attempts": 1, "bytes_out": 1000, "cost_usd": cost,
        })
    }

    fn account_for(steps: &[Value]) -> Result<(IngestMetrics, String), SkillError> {
        let folder = tempfile::tempdir().unwrap();
        let step = sample::step(folder.path(), json!({ "steps": steps }));
        let outcome = run(&step)?;
        assert!(outcome.artifacts.iter().all(|artifact| !artifact.deterministic));
        let text = std::fs::read_to_string(folder.path().join(METRICS_MD)).unwrap();
        Ok((output::read_json(&step, METRICS).unwrap(), text))
    }

    #[test]
    fn times_are_shared_out_and_costs_stay_exact() {
        let steps = [
            record("chunk", 400, 1000, "0.10"),
            record("classify", 400, 700, "0.2000000001"),
            record("audit", 0, 400, "0"),
        ];
        let (metrics, text) = account_for(&steps).unwrap();
        let totals = &metrics.totals;
        assert_eq!((totals.sum_ms, totals.elapsed_ms, totals.bytes_out), (1300, 1000, 3000));
        assert_eq!(totals.parallelism.to_string(), "1.30");
        assert_eq!(totals.cost_usd.to_string(), "0.3000000001");
        assert_eq!(metrics.steps[0].step, "audit");
        assert_eq!(metrics.steps[0].share_percent.to_string(), "30.8");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn malformed_input_is_permanent_and_says_where() {
        let broken = |field: &str, value: Value| {
            let mut step = record("audit", 0, 5, "0");
            step[field] = value;
            match account_for(&[step]) {
                Err(SkillError::Permanent(text)) => text,
                other => panic!("{field}: {other:?}"),
            }
        };
        assert!(broken("cost_usd", json!(0.1)).contains("float"), "money never travels as a binary number");
        assert!(broken("cost_usd", json!("-1")).contains("a negative cost"));
        assert!(broken("ended_at", json!("2020-01-01T00:00:00Z")).contains("before its start"));
        assert!(broken("started_at", json!("yesterday")).contains("inputs of the metrics step"));
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(run(&sample::step(folder.path(), Value::Null)), Err(SkillError::Permanent(_))));
    }

    #[test]
    fn no_step_and_an_instant_step_divide_by_nothing() {
        let (metrics, text) = account_for(&[]).unwrap();
        assert_eq!(metrics.totals.parallelism, Decimal::ZERO);
        assert!(text.contains("nothing to add up"));
        let (metrics, _) = account_for(&[record("audit", 5, 5, "0")]).unwrap();
        assert_eq!((metrics.totals.elapsed_ms, metrics.steps[0].share_percent), (0, Decimal::ZERO));
    }

    #[test]
    fn what_no_step_paid_is_part_of_the_total_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = json!({ "steps": [record("audit", 0, 5, "0.1")], "other_cost_usd": "0.02" });
        let step = sample::step(folder.path(), inputs);
        run(&step).unwrap();
        let metrics: IngestMetrics = output::read_json(&step, METRICS).unwrap();
        assert_eq!(metrics.totals.cost_usd.to_string(), "0.12");
        let text = std::fs::read_to_string(folder.path().join(METRICS_MD)).unwrap();
        assert!(text.contains("cost $0.12.") && text.contains("$0.02 is of calls outside of these steps"));
    }

    proptest! {
        #[test]
        fn elapsed_never_exceeds_the_sum_of_gapless_steps(walls in prop::collection::vec(0_i64..10_000, 1..12)) {
            let mut end = 0;
            let chain = walls.iter().enumerate().map(|(index, wall)| {
                end += wall;
                record(&format!("s{index}"), end - wall, end, "0.01")
            }).collect();
            let inputs: MetricsInputs = serde_json::from_value(json!({ "steps": Value::Array(chain) })).unwrap();
            let metrics = account(inputs.steps, inputs.other_cost_usd).unwrap();
            let text = markdown(&metrics);
            prop_assert_eq!(metrics.totals.sum_ms, metrics.totals.elapsed_ms);
            prop_assert_eq!(metrics.totals.cost_usd, Decimal::new(walls.len() as i64, 2));
            let bars = text.lines().filter(|line| line.contains('█'));
            prop_assert_eq!(bars.clone().count(), walls.len());
            prop_assert!(bars.into_iter().all(|line| line.matches(['█', '·']).count() as u64 == WATERFALL));
        }
    }
}
