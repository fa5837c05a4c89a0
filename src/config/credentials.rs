//! Which address a credential may be sent to, judged by the sources of both.
//!
//! Files of the working directory may have come with somebody else's project, so they are not trusted with
//! the user's credentials. Invariant: an address from such a file counts only for a credential from the same
//! file; an address from the environment, a flag or `--config` is the user's own and counts for all. Failure
//! policy: the configuration is refused. Falling back to the vendor's usual address would send prompts where
//! the project did not want them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use toml::Value;

use super::{ConfigOrigin, ConfigProblem, EffectiveSetting};

/// A credential and the address that receives it.
const PAIRS: &[(&str, &str)] = &[
    ("providers.openai.api_key", "providers.openai.base_url"),
    ("providers.anthropic.api_key", "providers.anthropic.base_url"),
    ("providers.gemini.api_key", "providers.gemini.base_url"),
    ("providers.grok.api_key", "providers.grok.base_url"),
    // Commands of `pas` send the token to the daemon's address.
    ("http.token", "http.bind"),
];

/// Other settings for the addresses where the daemon listens or connects to. No credential goes there.
const ADDRESSES: &[&str] =
    &["providers.ollama.host", "provider_router.plain_http_hosts", "trace.otlp.endpoint"];

/// Whose pages may spend the user's money: never for somebody else's project to say.
const ORIGINS: &str = "http.allowed_origins";

/// Whether all users of the machine may come in.
const USERS: &str = "http.local_users";

/// What an ingest leaves unread.
const KEY_STORES: &str = "ingest.key_stores";

/// Settings in force, with their origins.
pub(super) type SettingsInForce = BTreeMap<String, (Value, ConfigOrigin)>;

/// Addresses that a file of the folder gives to a credential from elsewhere.
pub(super) fn misdirected(
    in_force: &SettingsInForce,
    defaults: &BTreeMap<String, Value>,
) -> Vec<ConfigProblem> {
    let misdirected = |(secret, address): &(&str, &str)| {
        let ((key, key_from), (target, target_from)) = (in_force.get(*secret)?, in_force.get(*address)?);
        let file = target_from.folder_file()?;
        let is_set = key.as_str().is_some_and(|key| !key.is_empty());
        let is_usual = defaults.get(*address) == Some(target) || is_this_machine(address, target);
        if !is_set || is_usual || key_from.folder_file() == Some(file) {
            return None;
        }
        let wording = format!(
            "`{address}` is not accepted from a file of the working directory for a key that comes from \
             elsewhere ({key_from}): the author of the file would get the key; set the address where the key \
             is set, or put a key for this address into the same file"
        );
        Some(ConfigProblem::at(target_from, wording))
    };
    let of_pairs = PAIRS.iter().filter_map(misdirected);
    of_pairs.chain(invited(in_force)).chain(opened(in_force)).chain(uncovered(in_force, defaults)).collect()
}

/// Origins that a file of the folder lets in.
fn invited(in_force: &SettingsInForce) -> Option<ConfigProblem> {
    let (origins, from) = in_force.get(ORIGINS)?;
    from.folder_file().filter(|_| origins.as_array().is_some_and(|all| !all.is_empty()))?;
    let wording = format!(
        "`{ORIGINS}` is not accepted from a file of the working directory: pages of its author could spend your \
         money; set PAS_HTTP__ALLOWED_ORIGINS, or name the file with --config"
    );
    Some(ConfigProblem::at(from, wording))
}

/// The door that a file of the folder opens to all users of the machine.
fn opened(in_force: &SettingsInForce) -> Option<ConfigProblem> {
    let (users, from) = in_force.get(USERS)?;
    from.folder_file().filter(|_| users.as_str() == Some("any"))?;
    let wording = format!(
        "`{USERS}` = \"any\" is not accepted from a file of the working directory: every user of the machine could \
         command your daemon; set PAS_HTTP__LOCAL_USERS, or name the file with --config"
    );
    Some(ConfigProblem::at(from, wording))
}

/// The stores of keys that a file of the folder lets an ingest read.
fn uncovered(in_force: &SettingsInForce, defaults: &BTreeMap<String, Value>) -> Option<ConfigProblem> {
    let (stores, from) = in_force.get(KEY_STORES)?;
    from.folder_file()?;
    let usual = defaults.get(KEY_STORES)?.as_array()?;
    let missing = usual.iter().find(|name| !stores.as_array().is_some_and(|all| all.contains(name)))?;
    let wording = format!(
        "`{KEY_STORES}` without {missing} is not accepted from a file of the working directory: its author could have \
         your keys read; set PAS_INGEST__KEY_STORES, or name the file with --config"
    );
    Some(ConfigProblem::at(from, wording))
}

/// A loopback address to listen on is always this machine.
fn is_this_machine(address: &str, target: &Value) -> bool {
    let ip = || target.as_str()?.parse::<IpAddr>().ok();
    address == "http.bind" && ip().is_some_and(|ip| ip.is_loopback())
}

/// Whether files of the folder changed a credential or an address here.
pub(super) fn is_from_folder(setting: &EffectiveSetting) -> bool {
    let key = setting.key.as_str();
    let is_meant =
        PAIRS.iter().any(|(secret, address)| key == *secret || key == *address) || ADDRESSES.contains(&key);
    is_meant && setting.origin.folder_file().is_some()
}
