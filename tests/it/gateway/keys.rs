//! Where keys go: a file of the working directory never leads a key from elsewhere to an address of its own.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use super::chat;
use crate::support::{PATIENCE, Place, http_client, until};
use crate::vendor::{KEY, Vendor, Vendors};

/// What a folder's file says so that a vendor's address is another.
fn redirecting(vendor: Vendor, file: &str, url: &str) -> String {
    let (variable, section) = match vendor {
        Vendor::OpenAi => ("OPENAI_BASE_URL", "openai"),
        Vendor::Anthropic => ("ANTHROPIC_BASE_URL", "anthropic"),
        Vendor::Gemini => ("GEMINI_BASE_URL", "gemini"),
        Vendor::Grok => ("GROK_BASE_URL", "grok"),
        Vendor::Ollama => unreachable!("it has no key"),
    };
    match file {
        ".env" => format!("{variable}={url}\n"),
        _ => format!("[providers.{section}]\nbase_url = \"{url}\"\n"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_of_a_cloned_project_gets_the_key_of_the_environment() {
    let vendors = Vendors::start().await;
    for vendor in [Vendor::OpenAi, Vendor::Anthropic, Vendor::Gemini, Vendor::Grok] {
        for file in [".env", "pas.toml"] {
            let (_, key) = vendor.variables();
            let place = Place::with_documents(1).setting(key.unwrap(), KEY);
            let text = redirecting(vendor, file, &vendors.url(vendor));
            std::fs::write(place.dir.path().join(file), text).unwrap();
            let mut command = Command::from(place.command(&["up"]));
            let ended = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).output();
            let ended = timeout(PATIENCE, ended).await.expect("it does not start").unwrap();
            let said = String::from_utf8_lossy(&ended.stderr);
            assert_eq!(ended.status.code(), Some(2), "{said}");
            assert!(said.contains(file) && said.contains("is not accepted from a file"), "{said}");
            assert!(!said.contains(KEY), "{said}");
            assert_eq!(vendors.get(vendor).connections(), 0, "{vendor:?} by {file}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_the_folder_goes_to_the_address_of_its_file_and_both_are_named() {
    let vendors = Vendors::start().await;
    let place = Place::with_documents(1);
    let url = vendors.url(Vendor::OpenAi);
    let dotenv = place.dir.path().join(".env");
    std::fs::write(&dotenv, format!("OPENAI_API_KEY=sk-of-the-folder-0123456789\nOPENAI_BASE_URL={url}\n"))
        .unwrap();
    let process = place.start_process().await;
    let asked = http_client().post(format!("http://{}/v1/chat/completions", process.api.address_of(6120)));
    asked.json(&chat("gpt-4-turbo")).send().await.unwrap();
    let seen = vendors.get(Vendor::OpenAi).seen();
    assert!(seen.iter().any(|heard| heard.header("authorization") == "Bearer sk-of-the-folder-0123456789"));
    let log = place.dir.path().join("daemon.log");
    for name in ["OPENAI_API_KEY", "OPENAI_BASE_URL"] {
        let line = format!("{}: {name}", dotenv.display());
        let log = std::fs::read_to_string(&log).unwrap();
        let named = log.lines().filter(|told| told.contains(&line)).count();
        assert_eq!(named, 1, "{name}: {log}");
    }

    // A doctor in another folder asks the daemon that answers.
    let elsewhere = tempfile::tempdir().unwrap();
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_pas"));
    doctor.args(["doctor", "--json"]).current_dir(elsewhere.path());
    let doctor = doctor.env("PAS_HTTP__PORT_OFFSET", place.offset.to_string()).output().await.unwrap();
    let told: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let saw = |name: &str| {
        let checks = told["checks"].as_array().unwrap().iter();
        let of_name = checks.filter(|check| check["name"] == name);
        of_name.map(|check| check["saw"].as_str().unwrap()).collect::<Vec<_>>().join("\n")
    };
    let way = format!("openai's from {}: OPENAI_API_KEY, sent to {url}", dotenv.display());
    assert!(saw("vendors").contains(&way), "{told:#}");
    let store = place.dir.path().join(".pas/pas.redb");
    assert!(saw("store").contains(&store.display().to_string()), "{told:#}");
    assert!(saw("daemon").contains(&place.dir.path().display().to_string()), "{told:#}");
    assert_eq!(saw("agents"), "the daemon has 50 agents");
    drop(process);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_of_a_working_directory_is_refused_and_one_after_a_kill_is_not() {
    let place = Place::with_documents(1);
    let first = place.start_process().await;
    let health = first.api.get("/health").await;
    let second = |offset: u16| {
        let mut command = place.command(&["up", "--data-dir", "other"]);
        command.env("PAS_HTTP__PORT_OFFSET", offset.to_string());
        Command::from(command).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).output()
    };
    let ended = timeout(PATIENCE, second(place.offset + 20_000)).await.expect("it does not start").unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success());
    let holder = format!("(process {}, port {}", first.pid(), 6100 + place.offset);
    assert!(said.contains("the working directory of another daemon") && said.contains(&holder), "{said}");
    assert_eq!(health["pid"], json!(first.pid()));
    first.kill();
    let again = place.start_process().await;
    until("it answers", async || again.api.try_get("/health").await.ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relative_flags_are_read_from_where_the_command_is_typed() {
    let place = Place::with_documents(1);
    let here = place.dir.path();
    std::fs::create_dir_all(here.join("a/b")).unwrap();
    let mut command = place.command(&["up", "--workdir", "../work", "--data-dir", "state"]);
    let child = command.current_dir(here.join("a/b")).stdout(Stdio::null()).stderr(Stdio::null());
    let child = Command::from(std::mem::replace(child, std::process::Command::new("true")))
        .kill_on_drop(true)
        .spawn();
    let _child = child.unwrap();
    let url = format!("http://127.0.0.1:{}/health", 6100 + place.offset);
    let health: Value =
        until("it answers", async || http_client().get(&url).send().await.ok()?.json().await.ok()).await;
    let told =
        |field: &str| std::path::PathBuf::from(health[field].as_str().unwrap()).canonicalize().unwrap();
    assert_eq!(told("workdir"), here.join("a/work").canonicalize().unwrap());
    assert_eq!(told("data_dir"), here.join("a/b/state").canonicalize().unwrap());
    assert!(!here.join("a/work/state").exists());
}
