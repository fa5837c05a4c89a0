//! `pas doctor --repo`: the part of a repository that agents' commands would see, and the proving command,
//! run once in the sandbox.

use std::path::Path;
use std::time::Duration;

use super::DoctorCheck;
use crate::actors::agent::{ProofRehearsal, RehearsalOrder, RehearsedRun, rehearse};
use crate::actors::tasks;
use crate::cli::args::DoctorArgs;
use crate::cli::render::{count, units};
use crate::config::SwarmConfig;
use crate::domain::agent::Rights;
use crate::roster;

/// By which the agent is found whose rights the command runs with.
const WRITER: &str = "code_generation";

/// The repository, the programs beside the system's, and the proof.
pub(super) async fn check(config: &SwarmConfig, repository: &Path, args: &DoctorArgs) -> Vec<DoctorCheck> {
    let order = RehearsalOrder {
        rights: writers_rights(config),
        unconfined: config.sandbox.unconfined,
        prove: args.prove.clone(),
        prove_limit: args.prove_limit.map(Duration::from_secs),
    };
    match rehearse(repository, order).await {
        Ok(seen) => vec![source(repository, &seen), programs(&seen), proof(&seen)],
        Err(why) => {
            vec![DoctorCheck::fail("repository", why, "`pas run change` would be refused the same way")]
        }
    }
}

fn writers_rights(config: &SwarmConfig) -> Rights {
    let (roster, _) = roster::load_checked(config.agents.folder.as_deref(), &tasks::check_definition);
    let writer = roster.with_capability(WRITER).next();
    writer.map_or(Rights::NONE, |writer| roster.effective_rights(&writer.name))
}

fn source(repository: &Path, seen: &ProofRehearsal) -> DoctorCheck {
    let outlook = &seen.outlook;
    let short = outlook.base.get(..12).unwrap_or(&outlook.base);
    let saw =
        format!("{} at {short}, {}", repository.display(), count(outlook.files as usize, "file", "files"));
    if outlook.remarks.is_empty() {
        return DoctorCheck::ok("repository", saw);
    }
    DoctorCheck::warn("repository", saw, outlook.remarks.join("; "))
}

fn programs(seen: &ProofRehearsal) -> DoctorCheck {
    if seen.programs.is_empty() {
        return DoctorCheck::ok("programs", "those of the system; no tool home of yours was found");
    }
    let folders: Vec<String> = seen.programs.iter().map(|folder| folder.display().to_string()).collect();
    DoctorCheck::ok("programs", format!("those of the system, and read-only {}", folders.join(", ")))
}

fn proof(seen: &ProofRehearsal) -> DoctorCheck {
    let Some(prove) = &seen.outlook.prove else {
        return DoctorCheck::warn(
            "proof",
            "no proving command was found (looked for Cargo, npm, pytest, go and make)",
            "give one: `pas doctor --repo PATH --prove \"make test\"`",
        );
    };
    let named = format!("`{}` ({})", prove.script, prove.why);
    match &seen.run {
        Some(Ok(run)) => judge(&named, prove.doubt.as_deref(), run),
        Some(Err(why)) => DoctorCheck::fail(
            "proof",
            format!("{named} cannot run: {why}"),
            "no change can be proved with it",
        ),
        None => DoctorCheck::fail("proof", format!("{named} was not run"), "no change can be proved with it"),
    }
}

fn judge(named: &str, doubt: Option<&str>, run: &RehearsedRun) -> DoctorCheck {
    let counted = match &run.counts {
        Some(counts) => {
            format!("{} passed, {} failed, {} skipped", counts.passed, counts.failed, counts.skipped)
        }
        None => "its tests cannot be counted".to_owned(),
    };
    let saw =
        format!("{named}, in the sandbox: {} after {}; {counted}", run.outcome, units::duration(run.elapsed));
    match doubt {
        Some(doubt) => DoctorCheck::warn("proof", saw, doubt),
        None if run.passed => DoctorCheck::ok("proof", saw),
        None => DoctorCheck::warn(
            "proof",
            saw,
            format!("fine if that is the fault to be mended; else see how it ended: {}", run.tail.trim()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::CheckHealth;
    use super::*;

    fn run(passed: bool) -> RehearsedRun {
        RehearsedRun {
            passed,
            outcome: if passed { "exit 0" } else { "exit 1" }.to_owned(),
            elapsed: Duration::from_secs(2),
            counts: None,
            tail: "E no network\n".to_owned(),
        }
    }

    #[test]
    fn a_failing_or_doubtful_command_is_a_warning_with_its_reason() {
        assert_eq!(judge("`t`", None, &run(true)).health, CheckHealth::Ok);
        assert!(judge("`t`", None, &run(false)).todo.unwrap().contains("E no network"));
        assert_eq!(judge("`t`", Some("it never fails"), &run(true)).todo.unwrap(), "it never fails");
    }
}
