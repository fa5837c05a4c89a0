//! The supervision tree as lines.
//!
//! Every agent is two nodes: the supervisor `<agent>-sup` and, as its first child, the worker `<agent>`. A
//! person thinks of them as one, so they share the worker's line, with a remark on the supervisor only when
//! that is not up.

use console::{StyledObject, measure_text_width, pad_str, style};
use serde_json::Value;

use super::status::{StatusTone, is_trouble, status_mark};
use super::{fit, one_line};
use crate::cli::wire::WireTreeNode;

/// Ending of the names of the agents' supervisors.
const SUPERVISOR: &str = "-sup";

/// Width of the columns of numbers, gaps included.
const NUMBERS: usize = 1 + 5 + 1 + 8 + 1 + 5;

/// One line of the tree: a worker with its own supervisor, or any other node.
struct TreeLine<'a> {
    node: &'a WireTreeNode,
    supervisor: Option<&'a WireTreeNode>,
    below: Vec<&'a WireTreeNode>,
}

impl<'a> TreeLine<'a> {
    fn of(node: &'a WireTreeNode) -> Self {
        let own = node.name.strip_suffix(SUPERVISOR);
        match (own, node.children.split_first()) {
            (Some(name), Some((worker, others))) if worker.name == name => {
                let below = worker.children.iter().chain(others).collect();
                Self { node: worker, supervisor: Some(node), below }
            }
            _ => Self { node, supervisor: None, below: node.children.iter().collect() },
        }
    }

    fn remark(&self) -> String {
        let own = (self.node.status != "ok").then(|| standing(self.node));
        let above = self.supervisor.filter(|supervisor| is_trouble(&supervisor.status));
        let above = above.map(|supervisor| format!("supervisor {}", standing(supervisor)));
        let exit = self.node.last_exit.as_ref().and_then(exit_reason).map(|why| format!("last: {why}"));
        let parts: Vec<String> = [own, above, exit].into_iter().flatten().collect();
        parts.join("; ")
    }
}

/// Draws the tree, with a count of healthy actors below.
#[must_use]
pub fn draw(root: &WireTreeNode, width: usize) -> String {
    let mut rows = vec![["", "LIFE", "RESTARTS", "QUEUE", ""].map(str::to_owned)];
    let mut tally = TreeTally::default();
    branch(root, "", "", &mut rows, &mut tally);
    let widest = rows.iter().map(|row| measure_text_width(&row[0])).max().unwrap_or_default();
    let names = widest.min(width.saturating_sub(NUMBERS));
    let mut lines: Vec<String> = rows.iter().map(|row| line(row, names, width)).collect();
    if let Some(titles) = lines.first_mut() {
        *titles = style(&*titles).dim().to_string();
    }
    lines.push(String::new());
    lines.push(fit(&tally.sentence(), width));
    lines.join("\n")
}

/// Name, life, restarts, queue, remark.
type TreeCells = [String; 5];

fn branch(node: &WireTreeNode, own: &str, below: &str, rows: &mut Vec<TreeCells>, tally: &mut TreeTally) {
    let line = TreeLine::of(node);
    tally.add(line.node);
    let name = format!("{}{} {}", style(own).dim(), mark(&line.node.status), one_line(&line.node.name));
    let unless_zero = |number: u64| if number == 0 { String::new() } else { number.to_string() };
    let [life, restarts, queue] =
        [line.node.incarnation, line.node.restarts, line.node.queue_depth].map(unless_zero);
    rows.push([name, life, restarts, queue, one_line(&line.remark())]);
    for (at, child) in line.below.iter().enumerate() {
        let (turn, pass) = if at + 1 == line.below.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        branch(child, &format!("{below}{turn}"), &format!("{below}{pass}"), rows, tally);
    }
}

fn line([name, life, restarts, queue, remark]: &TreeCells, names: usize, width: usize) -> String {
    let name = pad_str(&fit(name, names), names, console::Alignment::Left, None).into_owned();
    fit(format!("{name} {life:>5} {restarts:>8} {queue:>5}  {remark}").trim_end(), width)
}

/// The status word, and an unhealthy actor's phase where that adds something.
fn standing(node: &WireTreeNode) -> String {
    let word = node.status.replace('_', " ");
    match node.phase.as_deref() {
        Some(phase) if is_trouble(&node.status) && phase != "running" => format!("{word} ({phase})"),
        _ => word,
    }
}

/// A shape for every word, so that status is legible without colour.
fn mark(status: &str) -> StyledObject<&'static str> {
    let (shape, tone) = status_mark(status);
    let shape = style(shape);
    match tone {
        StatusTone::Good => shape.green(),
        StatusTone::Busy => shape.blue(),
        StatusTone::Asking => shape.magenta(),
        StatusTone::Paused => shape.cyan(),
        StatusTone::Warning => shape.yellow(),
        StatusTone::Quiet => shape.dim(),
        StatusTone::Bad => shape.red().bold(),
    }
}

/// The reason of an actor's last exit: text, or `{reason, detail?}`.
fn exit_reason(exit: &Value) -> Option<String> {
    let reason = exit.as_str().or_else(|| exit["reason"].as_str())?.replace('_', " ");
    Some(match exit["detail"].as_str() {
        Some(detail) => format!("{reason}: {detail}"),
        None => reason,
    })
}

#[derive(Default)]
struct TreeTally {
    all: usize,
    up: usize,
    restarts: u64,
}

impl TreeTally {
    fn add(&mut self, node: &WireTreeNode) {
        self.all += 1;
        self.up += usize::from(!is_trouble(&node.status));
        self.restarts += node.restarts;
    }

    fn sentence(&self) -> String {
        let healthy = style("healthy");
        let healthy = if self.up == self.all { healthy.green() } else { healthy.yellow() };
        format!("{} of {} actors {healthy}, {} unplanned restarts", self.up, self.all, self.restarts)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn example() -> WireTreeNode {
        let worker = |name: &str, phase: &str, restarts: u64| {
            json!({"name": name, "kind": "worker", "phase": phase, "incarnation": restarts + 1,
                   "restarts": restarts, "queue_depth": restarts * 3, "children": [],
                   "status": match phase { "running" => "ok", _ => "error" }})
        };
        let mut manager = worker("manager-data", "restarting", 2);
        manager["last_exit"] =
            json!({"reason": "crashed", "detail": "index out of\nbounds", "at": "2026-11-22T16:00:00Z"});
        let sup = |name: &str, children: Vec<Value>| json!({"name": name, "kind": "supervisor", "status": "ok", "phase": "running", "incarnation": 1, "restarts": 0, "children": children});
        let mut paused = worker("chunker-mgs", "running", 0);
        paused["status"] = json!("paused");
        let tree = sup(
            "pas",
            vec![
                sup(
                    "architect-sup",
                    vec![
                        worker("architect", "running", 0),
                        sup("manager-data-sup", vec![manager, sup("chunker-mgs-sup", vec![paused])]),
                        sup("corpus-auditor-sup", vec![worker("corpus-auditor", "hung", 0)]),
                    ],
                ),
                worker("registry", "running", 0),
            ],
        );
        serde_json::from_value(tree).unwrap()
    }

    #[test]
    fn an_agent_and_its_supervisor_share_a_line() {
        let drawn = draw(&example(), 80);
        insta::assert_snapshot!(console::strip_ansi_codes(&drawn));
    }

    #[test]
    fn the_contract_s_own_example_is_drawn() {
        let contract: Value = crate::http::contract::read("orchestrator.json").unwrap();
        let example =
            &contract["paths"]["/tree"]["get"]["responses"]["200"]["content"]["application/json"]["example"];
        let node: WireTreeNode = serde_json::from_value(example.clone()).unwrap();
        let drawn = draw(&node, 80);
        assert!(drawn.contains("manager-data") && drawn.contains("2 of 2 actors"), "{drawn}");
    }

    #[test]
    fn it_fits_narrow_terminals() {
        for width in [40, 60, 80, 140] {
            let drawn = draw(&example(), width);
            assert!(drawn.lines().all(|line| measure_text_width(line) <= width), "{width}\n{drawn}");
        }
    }
}
