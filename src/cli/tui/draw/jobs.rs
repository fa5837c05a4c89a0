//! The page of jobs: submitted jobs, and the steps of the chosen one.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Stylize as _;
use ratatui::text::{Line, Span};
use ratatui::widgets::ListItem;

use super::{bar, fact, mark, with_details};
use crate::cli::render::{cards, one_line, units};
use crate::cli::tui::model::TuiModel;
use crate::cli::tui::rows::TuiRowContent;
use crate::cli::tui::wire::{TuiJob, TuiTimeLeft};
use crate::cli::wire::WireJob;
use crate::domain::job::JobState;
use crate::domain::time::Timestamp;

pub(super) fn draw(model: &TuiModel, now: Timestamp, frame: &mut Frame<'_>, area: Rect) {
    let rows = model.rows();
    let jobs: Vec<&TuiJob> = rows
        .iter()
        .filter_map(|row| match row.what {
            TuiRowContent::Job(job) => Some(job),
            _ => None,
        })
        .collect();
    let mut details = vec![Line::from("No active jobs. Submit one with `pas run ingest FOLDER`.")];
    if let Some(job) = model.cursor().and_then(|at| jobs.get(at)) {
        details = about(job, now);
        let steps = model.steps.as_ref().filter(|steps| steps.job_id == job.job_id);
        details.extend(steps.into_iter().flat_map(steps_of));
    }
    let items = jobs.iter().map(|job| item(job)).collect();
    with_details(model, "Jobs", items, details, frame, area);
}

fn item(job: &TuiJob) -> ListItem<'static> {
    let waits = job.waits.first().map(|wait| format!("waits for {}", wait.kind.noun()));
    let note = waits.or_else(|| job.note.as_deref().map(one_line)).unwrap_or_default();
    ListItem::new(Line::from(vec![
        mark(job.activity().as_str()),
        Span::raw(format!(" {} ", one_line(&job.job_id))),
        Span::raw(format!("{}  ", bar(job.progress, job.progress_known))),
        Span::raw(note).dim(),
    ]))
}

fn about(job: &TuiJob, now: Timestamp) -> Vec<Line<'static>> {
    let mut lines = vec![
        Line::from(one_line(&job.job_id)).bold(),
        fact("task", job.task.clone()),
        fact("state", job.activity().word()),
        fact("agent", job.agent.clone()),
        fact("submitted", format!("{} ago", units::age(job.created_at, now))),
        fact("steps", format!("{} of {} done", job.steps_done, job.steps_total)),
        fact("cost", format!("${:.4}", job.cost_usd)),
    ];
    lines.extend(job.waits.iter().map(|wait| fact("waits", cards::wait_in_words(wait, now))));
    if job.activity() == JobState::Running {
        lines.push(fact("time left", time_left(job.left)));
    }
    lines
}

/// As a range; nothing where no earlier run of the kind backs it.
fn time_left(left: Option<TuiTimeLeft>) -> String {
    let Some(TuiTimeLeft { least_s, about_s, most_s, usual_s }) = left else { return "not known".to_owned() };
    let time = |seconds| units::duration(Duration::from_secs(seconds));
    format!(
        "about {} ({} to {}), usually {} in all",
        time(about_s),
        time(least_s),
        time(most_s),
        time(usual_s)
    )
}

fn steps_of(job: &WireJob) -> Vec<Line<'static>> {
    let depth = |step: &WireJob| step.job_id.matches('.').count();
    let top = depth(job);
    let line = |step: &WireJob| {
        Line::from(vec![
            Span::raw("  ".repeat(depth(step) - top)),
            mark(step.activity().as_str()),
            Span::raw(format!(" {} ", one_line(&step.step))),
            Span::raw(one_line(&step.agent)).dim(),
        ])
    };
    std::iter::once(Line::default()).chain(job.walk().skip(1).map(line)).collect()
}
