//! The HMI's pages: frames a second of the canvases, and the bytes that a browser must load.
//!
//! The browser is Chromium without a screen (`ui/tests/frames.spec.ts` drives it and prints a line for each
//! figure); it draws at most sixty frames a second, in software. Needs the tools that `make test` sets up.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::report::{Aim, Row};

/// Frames a second below which movement no longer looks smooth.
const SMOOTH: f64 = 55.0;
/// Most size of all files, gzipped.
const MOST_KIB: f64 = 200.0;
const KIB: f64 = 1024.0;
/// The beginning of a line of the browser test: `frames: tree 50 60.0`.
const MARK: &str = "frames: ";

/// Runs an npm script of `ui/`, and returns its output.
fn npm(arguments: &[&str], browser: &str) -> anyhow::Result<String> {
    let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui");
    let output = Command::new("npm")
        .arg("--prefix")
        .arg(ui)
        .args(["run", "--silent"])
        .args(arguments)
        .env("HMI_BENCH", "yes")
        .env("HMI_CHROMIUM", browser)
        .env("HMI_DAEMON", env!("CARGO_BIN_EXE_pas"))
        .output()
        .context("npm cannot be run: the HMI's pages need Node 20.19 or later")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "npm run {}: {said}{complaint}", arguments.join(" "));
    Ok(said)
}

fn chromium() -> anyhow::Result<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/chromium.sh");
    let output = Command::new(script).output()?;
    ensure!(output.status.success(), "Chromium is missing; scripts/setup-test.sh says how it is installed");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn frames(line: &str) -> anyhow::Result<Row> {
    let parts: Vec<&str> = line.split_whitespace().collect();
    let [picture, nodes, rate] = parts[..] else { anyhow::bail!("not a figure: {line}") };
    let row = Row::new(format!("{picture} of {nodes} agents, frames a second"), rate.parse()?, "");
    Ok(row.aim(Aim::AtLeast(SMOOTH)).note(match picture {
        "tree" => "panned, with pulses of messages on every node; Chromium without a GPU, 60 at most",
        _ => "played and panned",
    }))
}

pub(crate) fn run() -> anyhow::Result<Vec<Row>> {
    let browser = chromium()?;
    let sizes = npm(&["size"], &browser)?;
    let all = sizes.lines().last().and_then(|line| line.split_whitespace().next()).context("no sizes")?;
    let bytes: f64 = all.parse().context("the last line of sizes is the sum")?;
    let said = npm(&["test:browser", "--", "frames"], &browser)?;
    let mut rows = said
        .lines()
        .filter_map(|line| line.split_once(MARK))
        .map(|(_, figure)| frames(figure))
        .collect::<anyhow::Result<Vec<_>>>()?;
    ensure!(!rows.is_empty(), "no frames were counted:\n{said}");
    let bundle = Row::new("all pages, gzipped", bytes / KIB, " KiB").aim(Aim::AtMost(MOST_KIB));
    rows.push(bundle.note("scripts, styles and documents; a page loads what it needs of them"));
    Ok(rows)
}
