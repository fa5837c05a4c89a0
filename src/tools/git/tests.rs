//! The rules of `git`, case by case.

use super::*;

fn called(arguments: serde_json::Value) -> Result<Vec<String>, String> {
    let root = tempfile::tempdir().unwrap();
    let tree = ToolTree::open(root.path(), &[]).unwrap();
    let arguments: GitArguments = serde_json::from_value(arguments).map_err(|error| error.to_string())?;
    match arguments.call(&tree).map_err(|failure| failure.why)? {
        GitCall::Commands(commands) => {
            Ok(commands.iter().map(|command| command.argv[1 + SAFE.len()..].join(" ")).collect())
        }
        GitCall::Push(act) => Ok(vec![format!("{act:?}")]),
    }
}

#[test]
fn operations_become_command_lines() {
    use serde_json::json;
    for (arguments, expected) in [
        (json!({"operation": "status"}), "status --short --branch --"),
        (
            json!({"operation": "diff", "revision": "main..HEAD", "stat": true, "paths": ["./src"]}),
            "diff --no-ext-diff --no-textconv --no-color --stat --end-of-options main..HEAD -- src",
        ),
        (json!({"operation": "blame", "paths": ["a"], "lines": "3-5"}), "blame --date=short -L3,5 -- a"),
        (
            json!({"operation": "restore", "paths": ["a"], "revision": "HEAD~1", "staged": true}),
            "restore --source=HEAD~1 --staged -- a",
        ),
    ] {
        assert_eq!(called(arguments).unwrap(), [expected]);
    }
    let commit = called(json!({"operation": "commit", "message": "m", "paths": ["a"]})).unwrap();
    assert_eq!(commit, ["add --all -- a", "commit --no-verify --file=- -- a"]);
    let push = called(json!({"operation": "push", "remote": "origin", "reference": "main"})).unwrap();
    assert!(push[0].starts_with("GitPush"));
}

#[test]
fn options_cannot_be_smuggled_in() {
    use serde_json::json;
    for arguments in [
        json!({"operation": "log", "revision": "--output=x"}),
        json!({"operation": "show", "revision": "HEAD -O"}),
        json!({"operation": "push", "remote": "--receive-pack=x", "reference": "main"}),
        json!({"operation": "push", "remote": "origin"}),
        json!({"operation": "diff", "paths": ["../x"]}),
        json!({"operation": "blame", "paths": ["a"], "lines": "1,/x/"}),
        json!({"operation": "status", "message": "x"}),
        json!({"operation": "restore"}),
        json!({"operation": "commit", "message": " "}),
        json!({"operation": "rebase"}),
        json!({"operation": "log", "max": 0}),
    ] {
        assert!(called(arguments.clone()).is_err(), "{arguments}");
    }
}

#[test]
fn git_takes_the_command_lines() {
    use serde_json::json;
    let root = tempfile::tempdir().unwrap();
    let tree = ToolTree::open(root.path(), &[]).unwrap();
    let run = |argv: &[String], stdin: Option<Vec<u8>>| {
        use std::io::Write;
        let mut child = std::process::Command::new(&argv[0])
            .args(&argv[1..])
            .current_dir(root.path())
            .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_AUTHOR_NAME", "a"), ("GIT_AUTHOR_EMAIL", "a@b")])
            .envs([("GIT_COMMITTER_NAME", "a"), ("GIT_COMMITTER_EMAIL", "a@b")])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&stdin.unwrap_or_default()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{argv:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["git", "init", "-q"].map(str::to_owned), None);
    std::fs::write(root.path().join("a"), "one\n").unwrap();
    let all = [
        json!({"operation": "commit", "message": "first\n\nwhy"}),
        json!({"operation": "status"}),
        json!({"operation": "log", "stat": true}),
        json!({"operation": "show", "revision": "HEAD", "paths": ["a"]}),
        json!({"operation": "blame", "paths": ["a"], "lines": "1"}),
        json!({"operation": "diff", "revision": "HEAD", "staged": true}),
        json!({"operation": "restore", "paths": ["."], "revision": "HEAD"}),
    ];
    let mut outputs = Vec::new();
    for arguments in all {
        let arguments: GitArguments = serde_json::from_value(arguments).unwrap();
        let GitCall::Commands(commands) = arguments.call(&tree).unwrap() else { panic!("no push") };
        outputs.extend(commands.into_iter().map(|command| run(&command.argv, command.stdin)));
    }
    assert!(outputs[3].contains("a: first"), "{}", outputs[3]);
    assert!(outputs[4].contains("+one"), "{}", outputs[4]);
}
