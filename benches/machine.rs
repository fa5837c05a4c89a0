//! The measured machine, and the memory and CPU time of processes.
//!
//! Reads `/proc` where there is one (Linux) and asks `sysctl` and `ps` elsewhere (macOS); a missing fact is
//! shown as unknown, except a process's memory, whose absence is an error.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// CPU, cores, system, compiler and date, as lines of Markdown.
pub(crate) fn description() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let system = said("uname", &["-srm"]);
    let compiler = said(option_env!("RUSTC").unwrap_or("rustc"), &["--version"]);
    let date = said("date", &["-u", "+%Y-%m-%d"]);
    format!("- CPU: {}, {cores} cores\n- System: {system}\n- Compiler: {compiler}\n- Date: {date}", cpu())
}

fn cpu() -> String {
    let Ok(text) = std::fs::read_to_string("/proc/cpuinfo") else {
        return said("sysctl", &["-n", "machdep.cpu.brand_string"]);
    };
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| said("uname", &["-m"]), |(_, name)| name.trim().to_owned())
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok().filter(|o| o.status.success());
    output.map_or_else(|| "unknown".into(), |o| String::from_utf8_lossy(&o.stdout).trim().to_owned())
}

/// Resident memory of a process in bytes.
///
/// # Errors
/// When neither `/proc` nor `ps` has the figure.
pub(crate) fn resident(pid: u32) -> anyhow::Result<u64> {
    let kib = match told_by_proc(pid, "VmRSS:") {
        Some(kib) => kib,
        None => said("ps", &["-o", "rss=", "-p", &pid.to_string()])
            .parse()
            .with_context(|| format!("`ps` does not tell the memory of process {pid}"))?,
    };
    Ok(kib * 1024)
}

/// The part of the resident memory that is pages of files, mostly of the binary, in bytes; `None` without
/// `/proc`.
pub(crate) fn resident_of_files(pid: u32) -> Option<u64> {
    told_by_proc(pid, "RssFile:").map(|kib| kib * 1024)
}

fn told_by_proc(pid: u32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// CPU time used so far by all threads of a process, to some 10 ms.
///
/// # Errors
/// When there is no such process.
pub(crate) fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let pid = Pid::from_u32(pid);
    let mut system = System::new()?;
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[pid]),
        true,
        ProcessRefreshKind::nothing().with_cpu(),
    );
    let process = system.process(pid).context("the process has ended")?;
    Ok(Duration::from_millis(process.accumulated_cpu_time()))
}
