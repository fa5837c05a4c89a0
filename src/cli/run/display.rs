//! Progress on standard error: bars on a terminal, lines elsewhere, nothing when quiet.

use std::collections::HashMap;

use console::style;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::outline::{active, step_count};
use crate::cli::render::{self, fit, one_line};
use crate::cli::screen::CliScreen;
use crate::cli::wire::{WireJob, WireProgress};

/// Step bars shown at once; more don't fit.
const MOST_BARS: usize = 12;
/// Resolution of the overall bar; steps are too coarse.
const UNITS: u64 = 1_000;
/// Widest notes, so that lines stay within 80 columns.
const NOTE: usize = 26;
/// The overall bar where the daemon knows how far the job is, and where it does not.
const KNOWN: &str = "{prefix:.bold} {bar:24.cyan/dim} {percent:>3} %  {msg}  {elapsed}";
const UNKNOWN: &str = "{prefix:.bold}  {msg}  {elapsed}";

/// Where progress is shown.
pub(super) enum ProgressDisplay {
    /// A terminal with a person.
    Bars(Box<ProgressBars>),
    /// A file or a pipe: a line per change.
    Lines,
    /// `--quiet`.
    Silent,
}

/// The bars of a terminal.
pub(super) struct ProgressBars {
    all: MultiProgress,
    overall: ProgressBar,
    steps: HashMap<String, ProgressBar>,
    supervisor: ProgressBar,
}

impl ProgressDisplay {
    pub(super) fn new(screen: CliScreen, job_id: &str) -> Self {
        if screen.quiet {
            return Self::Silent;
        }
        if !console::user_attended_stderr() {
            screen.hint(&format!("{job_id} accepted"));
            return Self::Lines;
        }
        let all = MultiProgress::new();
        let overall = all.add(ProgressBar::new(UNITS));
        overall.set_style(layout(UNKNOWN));
        overall.set_prefix(job_id.to_owned());
        let supervisor = all.add(ProgressBar::new(1));
        supervisor.set_style(layout("  supervisor: {msg}"));
        supervisor.set_message("all agents up");
        Self::Bars(Box::new(ProgressBars { all, overall, steps: HashMap::new(), supervisor }))
    }

    /// The job's newest state.
    pub(super) fn update(&mut self, root: &WireJob) {
        if let Self::Bars(bars) = self {
            bars.overall(root);
            bars.steps(&active(root));
        }
    }

    /// A line that stays.
    pub(super) fn line(&self, text: &str) {
        match self {
            // An error means that the terminal is gone.
            Self::Bars(bars) => drop(bars.all.println(text)),
            Self::Lines => CliScreen::default().hint(text),
            Self::Silent => {}
        }
    }

    pub(super) fn supervision(&self, sentence: &str) {
        let line = format!("{} {sentence}", style("supervisor:").for_stderr().yellow());
        match self {
            Self::Bars(bars) => {
                bars.supervisor.set_message(sentence.to_owned());
                self.line(&line);
            }
            _ => self.line(&line),
        }
    }

    /// Removes the bars; the lines stay. Each bar is finished first: an unfinished one would be drawn once
    /// more when dropped.
    pub(super) fn clear(self) {
        if let Self::Bars(bars) = self {
            bars.steps
                .values()
                .chain([&bars.overall, &bars.supervisor])
                .for_each(ProgressBar::finish_and_clear);
            drop(bars.all.clear());
        }
    }
}

impl ProgressBars {
    fn overall(&self, root: &WireJob) {
        let count = step_count(root);
        self.overall.set_style(layout(if root.progress.known { KNOWN } else { UNKNOWN }));
        self.overall.set_position((root.progress.fraction.clamp(0.0, 1.0) * UNITS as f64) as u64);
        self.overall
            .set_message(render::count(count.total, "step", "steps") + &format!(", {} done", count.done));
    }

    fn steps(&mut self, active: &[&WireJob]) {
        let gone = |id: &str| active.iter().all(|job| job.job_id != id);
        self.steps.retain(|id, bar| {
            let is_gone = gone(id);
            if is_gone {
                bar.finish_and_clear();
                self.all.remove(bar);
            }
            !is_gone
        });
        for job in active.iter().take(MOST_BARS) {
            let bar = self.steps.entry(job.job_id.clone()).or_insert_with(|| {
                let bar = self.all.insert_before(&self.supervisor, ProgressBar::new(0));
                bar.set_style(layout("  {prefix:26} {bar:14.green/dim} {msg}"));
                bar.set_prefix(fit(&format!("{} {}", job.agent, job.step), 26));
                bar
            });
            bar.set_length(job.progress.total.max(1));
            bar.set_position(job.progress.done.min(job.progress.total));
            bar.set_message(message(&job.progress));
        }
    }
}

/// `120/400 reading files`
fn message(progress: &WireProgress) -> String {
    let note = fit(&one_line(&progress.note), NOTE);
    match (progress.done, progress.total) {
        (0, 0) => note,
        (done, 0) => format!("{done} {note}"),
        (done, total) => format!("{done}/{total} {note}"),
    }
}

/// The templates are tested constants; a broken one falls back to a plain bar.
fn layout(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("█▉▊▋▌▍▎▏ ")
}

#[cfg(test)]
mod tests {
    use indicatif::{InMemoryTerm, ProgressDrawTarget};
    use serde_json::json;

    use super::*;

    #[test]
    fn bars_come_and_go_with_the_steps() {
        let term = InMemoryTerm::new(20, 80);
        let ProgressDisplay::Bars(mut bars) = attended(&term) else { panic!("no bars") };
        let mut value = crate::cli::run::outline::tests::tree();
        let root: WireJob = serde_json::from_value(value.clone()).unwrap();
        bars.overall(&root);
        bars.steps(&active(&root));
        let during = term.contents();
        assert!(during.contains("clean") && during.contains("3/10 reading"), "{during}");
        assert!(during.contains("25 %") && during.contains("3 steps, 1 done"), "{during}");
        value["progress"]["known"] = json!(false);
        bars.overall(&serde_json::from_value(value.clone()).unwrap());
        assert!(!term.contents().contains("25 %"), "nothing tells: {}", term.contents());
        value["children"][0]["children"][1]["state"] = json!("done");
        let root: WireJob = serde_json::from_value(value).unwrap();
        bars.steps(&active(&root));
        assert!(!term.contents().contains("clean"), "{}", term.contents());
    }

    fn attended(term: &InMemoryTerm) -> ProgressDisplay {
        let target = ProgressDrawTarget::term_like(Box::new(term.clone()));
        let all = MultiProgress::with_draw_target(target);
        let overall = all.add(ProgressBar::new(UNITS));
        overall.set_style(layout(KNOWN));
        let supervisor = all.add(ProgressBar::new(1));
        ProgressDisplay::Bars(Box::new(ProgressBars { all, overall, steps: HashMap::new(), supervisor }))
    }
}
