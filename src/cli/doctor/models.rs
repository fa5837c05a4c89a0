//! The models that a running daemon can call: vendors with a key, and the models of the local Ollama.

use std::collections::BTreeSet;

use serde_json::Value;

use super::DoctorCheck;
use crate::actors::gateway::LOCAL_MODELS;
use crate::cli::client::{ClientError, DaemonClient, GATEWAY};
use crate::llm::Vendor;

/// The adapters of the vendors, by their ports without an offset (`contracts/model-adapter.json`).
const ADAPTERS: [u16; 4] = [8100, 8101, 8102, 8103];

/// The adapters' health; keys are reported as present, never shown.
pub(super) async fn check(client: &DaemonClient) -> Vec<DoctorCheck> {
    let local = LOCAL_MODELS.map(|local| local.port);
    let mut checks = vec![vendors(&healths(client, &ADAPTERS).await), ollama(&healths(client, &local).await)];
    let catalogue = client.get_from(GATEWAY, &["catalogue"], &[]).await.map_err(|error| error.to_string());
    checks.extend(servers(&catalogue));
    checks
}

/// The user's own servers, one check each.
fn servers(catalogue: &Result<Value, String>) -> Vec<DoctorCheck> {
    let catalogue = match catalogue {
        Ok(catalogue) => catalogue,
        Err(why) => return vec![DoctorCheck::warn("servers", why.as_str(), "see the daemon's log")],
    };
    let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let is_own = |provider: &&Value| Vendor::from_name(&word(&provider["name"])).is_none();
    let of = |provider: &Value| {
        let name = word(&provider["name"]);
        let models = catalogue["models"].as_array().into_iter().flatten();
        let models: Vec<&Value> = models.filter(|model| model["provider"] == *name).collect();
        let priced = models.iter().filter(|model| !model["price"].is_null()).count();
        let saw = format!(
            "{name} at {}: {} models, {priced} with a price",
            word(&provider["base_url"]),
            models.len()
        );
        match provider["problem"].as_str() {
            Some(problem) => {
                let todo = "start it, or correct its section `[[providers.compatible]]`";
                DoctorCheck::warn("servers", format!("{saw}; {problem}"), todo)
            }
            None if priced < models.len() => {
                let todo = "add price rows for those you want to call; `pas models` shows which lack one";
                DoctorCheck::warn("servers", saw, todo)
            }
            None => DoctorCheck::ok("servers", saw),
        }
    };
    catalogue["providers"].as_array().into_iter().flatten().filter(is_own).map(of).collect()
}

type AdapterHealths = Result<Vec<Value>, String>;

async fn healths(client: &DaemonClient, ports: &[u16]) -> AdapterHealths {
    let asked = ports.iter().map(|port| client.get_from(*port, &["health"], &[]));
    let told: Result<Vec<Value>, ClientError> =
        futures_util::future::join_all(asked).await.into_iter().collect();
    told.map_err(|error| error.to_string())
}

fn vendors(healths: &AdapterHealths) -> DoctorCheck {
    let healths = match healths {
        Ok(healths) => healths,
        Err(why) => return DoctorCheck::warn("vendors", why.as_str(), "see the daemon's log"),
    };
    let (there, missing): (Vec<&Value>, Vec<&Value>) =
        healths.iter().partition(|health| health["api_key_present"] == true);
    let word = |health: &Value, field: &str| health[field].as_str().unwrap_or("?").to_owned();
    let way = |health: &&Value| {
        let [provider, from, to] = ["provider", "key_from", "base_url"].map(|field| word(health, field));
        format!("{provider}'s from {from}, sent to {to}")
    };
    let there: Vec<String> = there.iter().map(way).collect();
    let missing: Vec<String> = missing.iter().map(|health| word(health, "provider")).collect();
    let (keys, none) = (there.join("; "), missing.join(", "));
    match (there.is_empty(), missing.is_empty()) {
        (true, _) => DoctorCheck::ok("vendors", format!("the daemon has no key for {none}")),
        (false, true) => DoctorCheck::ok("vendors", format!("the daemon has keys: {keys}")),
        (false, false) => DoctorCheck::ok("vendors", format!("the daemon has keys: {keys}; none for {none}")),
    }
}

fn ollama(healths: &AdapterHealths) -> DoctorCheck {
    let healths = match healths {
        Ok(healths) => healths,
        Err(why) => return DoctorCheck::warn("ollama", why.as_str(), "see the daemon's log"),
    };
    let address =
        healths.iter().find_map(|health| health["ollama_backend"].as_str()).unwrap_or("its address");
    if !healths.iter().any(|health| health["ollama_answers"] == true) {
        return DoctorCheck::ok(
            "ollama",
            format!("no Ollama answers at {address}; local models are not used"),
        );
    }
    let named = |is_loaded: bool| -> BTreeSet<&str> {
        let meant = healths.iter().filter(|health| (health["model_loaded"] == true) == is_loaded);
        meant.filter_map(|health| health["model"].as_str()).collect()
    };
    let list = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
    let (there, missing) = (list(named(true)), named(false));
    let there = if there.is_empty() { "none of the local models".to_owned() } else { there };
    let saw = format!("answers at {address} with {there}");
    if missing.is_empty() {
        return DoctorCheck::ok("ollama", saw);
    }
    let pulls: Vec<String> = missing.iter().map(|model| format!("`ollama pull {model}`")).collect();
    DoctorCheck::warn("ollama", format!("{saw}; {} is missing", list(missing)), pulls.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::CheckHealth;
    use super::*;

    #[test]
    fn vendors_are_told_by_whether_they_have_a_key() {
        let health = |provider, has_key: bool| {
            let from = has_key.then_some("OPENAI_API_KEY");
            json!({ "provider": provider, "api_key_present": has_key, "key_from": from, "base_url": "http://h" })
        };
        let check = vendors(&Ok(vec![health("openai", true), health("grok", false)]));
        assert_eq!(
            check.saw,
            "the daemon has keys: openai's from OPENAI_API_KEY, sent to http://h; none for grok"
        );
        assert!(vendors(&Ok(vec![health("grok", false)])).saw.contains("no key"));
        assert_eq!(vendors(&Err("cut".into())).health, CheckHealth::Warn);
    }

    #[test]
    fn each_server_of_the_user_s_is_told_and_an_unpriced_model_is_a_warning() {
        let catalogue = json!({
            "providers": [
                { "name": "openai", "base_url": "http://o", "problem": null },
                { "name": "box", "base_url": "http://b/v1", "problem": null },
                { "name": "dear", "base_url": "http://d/v1", "problem": null },
                { "name": "gone", "base_url": "http://g/v1", "problem": "does not answer" },
            ],
            "models": [
                { "provider": "box", "price": {} }, { "provider": "dear", "price": null },
                { "provider": "openai", "price": null },
            ],
        });
        let checks = servers(&Ok(catalogue));
        let found: Vec<_> = checks.iter().map(|check| (check.health, check.saw.as_str())).collect();
        assert_eq!(
            found,
            [
                (CheckHealth::Ok, "box at http://b/v1: 1 models, 1 with a price"),
                (CheckHealth::Warn, "dear at http://d/v1: 1 models, 0 with a price"),
                (CheckHealth::Warn, "gone at http://g/v1: 0 models, 0 with a price; does not answer"),
            ]
        );
        assert_eq!(servers(&Err("cut".into()))[0].health, CheckHealth::Warn);
    }

    #[test]
    fn an_absent_ollama_is_well_and_a_missing_model_is_told() {
        let health = |model, answers: bool, loaded: bool| json!({ "model": model, "ollama_answers": answers, "model_loaded": loaded, "ollama_backend": "http://h" });
        let absent = ollama(&Ok(vec![health("a", false, false)]));
        assert_eq!(
            (absent.health, absent.saw.contains("no Ollama answers at http://h")),
            (CheckHealth::Ok, true)
        );
        let check = ollama(&Ok(vec![health("a", true, true), health("b", true, false)]));
        assert_eq!(check.saw, "answers at http://h with a; b is missing");
        assert_eq!((check.health, check.todo.as_deref()), (CheckHealth::Warn, Some("`ollama pull b`")));
    }
}
