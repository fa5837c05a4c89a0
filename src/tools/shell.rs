//! `bash` and `python`: programs of the agent, in the sandbox.

use serde::Deserialize;

use super::command::{CommandRequest, timeout_of};
use super::failure::{FailureClass, ToolFailure};

/// The longest command line: longer ones belong in a file. Linux takes 128 KiB for one argument.
const MAX_COMMAND: usize = 64 * 1024;
/// The longest Python program, which goes over standard input.
const MAX_SCRIPT: usize = 256 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BashArguments {
    command: String,
    #[serde(default)]
    timeout_s: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PythonArguments {
    script: String,
    #[serde(default)]
    timeout_s: Option<u64>,
}

impl BashArguments {
    pub(super) fn request(self) -> Result<CommandRequest, ToolFailure> {
        check_program("bash", "command", &self.command, MAX_COMMAND)?;
        let timeout = timeout_of("bash", self.timeout_s)?;
        Ok(CommandRequest {
            argv: vec!["bash".to_owned(), "-c".to_owned(), self.command],
            stdin: None,
            timeout,
        })
    }
}

impl PythonArguments {
    pub(super) fn request(self) -> Result<CommandRequest, ToolFailure> {
        check_program("python", "script", &self.script, MAX_SCRIPT)?;
        let timeout = timeout_of("python", self.timeout_s)?;
        // Isolated: neither the environment nor the tree's own modules take part.
        let argv = ["python3", "-I", "-"].map(str::to_owned).to_vec();
        Ok(CommandRequest { argv, stdin: Some(self.script.into_bytes()), timeout })
    }
}

fn check_program(tool: &str, field: &str, text: &str, longest: usize) -> Result<(), ToolFailure> {
    let bad =
        |why: String, advice: &str| Err(ToolFailure::new(FailureClass::BadArguments, tool, why, advice));
    if text.trim().is_empty() {
        return bad(format!("`{field}` is empty."), "give a program to run.");
    }
    if text.contains('\0') {
        return bad(format!("`{field}` has a zero byte."), "leave it out.");
    }
    if text.len() > longest {
        let why = format!("`{field}` has more than {} KiB.", longest / 1024);
        return bad(why, "write it to a file with write, and run that.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn requests_carry_program_input_and_limit() {
        let bash = BashArguments { command: "cargo test".to_owned(), timeout_s: None }.request().unwrap();
        assert_eq!(bash.argv, ["bash", "-c", "cargo test"]);
        assert_eq!((bash.stdin, bash.timeout), (None, Duration::from_secs(120)));
        let python =
            PythonArguments { script: "print(1)".to_owned(), timeout_s: Some(600) }.request().unwrap();
        assert_eq!(python.argv, ["python3", "-I", "-"]);
        assert_eq!(python.stdin.unwrap(), b"print(1)");
        for timeout_s in [Some(0), Some(601)] {
            assert!(BashArguments { command: "x".to_owned(), timeout_s }.request().is_err());
        }
        assert!(BashArguments { command: " ".to_owned(), timeout_s: None }.request().is_err());
    }
}
