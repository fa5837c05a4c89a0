//! The user's own servers of OpenAI's protocol: their names, addresses and keys.
//!
//! Invariant: a list that stands in a file of the working directory never leads a key of the environment to another
//! machine (see [`super::credentials`]). Failure policy: every mistake is a problem of the configuration.

use std::ffi::OsString;

use super::providers;
use super::sections::{CompatibleConfig, ProviderRouterConfig, SecretText};
use pas_domain::provider_router::EndpointRules;
use pas_domain::provider_router::endpoint::port_here;

/// The setting.
pub(super) const KEY: &str = "providers.compatible";

/// Most servers: each is asked for its models twice a minute.
const MAX_SERVERS: usize = 32;
/// Longest name: it stands before each of its models in lists.
const MAX_NAME: usize = 40;
/// Most models named for one server, and the longest name of one.
const MAX_MODELS: usize = 1_000;
const MAX_MODEL_NAME: usize = 200;
/// Names that mean something else before a model.
const RESERVED: [&str; 11] =
    ["openai", "anthropic", "gemini", "google", "grok", "xai", "x-ai", "ollama", "auto", "models", "local"];

/// The mistakes in the list.
pub(super) fn problems(servers: &[CompatibleConfig], router: &ProviderRouterConfig) -> Vec<String> {
    let mut found = Vec::new();
    if servers.len() > MAX_SERVERS {
        found.push(format!("`{KEY}` has {} servers, at most {MAX_SERVERS} are possible", servers.len()));
    }
    for (at, server) in servers.iter().enumerate() {
        let name = &server.name;
        let mut wrong = |what: String| found.push(format!("`{KEY}`, server `{name}`: {what}"));
        if !is_name(name) {
            wrong(format!(
                "`name` must have 1 to {MAX_NAME} of a-z, 0-9 and -, and begin with a letter or digit"
            ));
        } else if RESERVED.contains(&name.as_str()) {
            wrong(
                "`name` is reserved; for a vendor's own address set its `base_url`, else choose another"
                    .into(),
            );
        }
        if servers[..at].iter().any(|other| other.name == *name) {
            wrong("another server has this `name`; give each its own".into());
        }
        if let Some(what) = address_problem(&server.base_url, router) {
            wrong(format!("`base_url` {what}"));
        }
        if server.key_env.as_deref().is_some_and(|variable| !is_variable(variable)) {
            wrong("`key_env` must be the name of a variable, like BOX_API_KEY, not the key".into());
        }
        if let Some(what) = models_problem(&server.models) {
            wrong(format!("`models` {what}"));
        }
    }
    found
}

fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_plain) && !name.starts_with('-')
}

fn is_variable(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(is_plain) && !name.starts_with(|first: char| first.is_ascii_digit())
}

fn address_problem(address: &str, router: &ProviderRouterConfig) -> Option<String> {
    if let Some(problem) = providers::address_problem(address) {
        return Some(problem.to_owned());
    }
    let rules =
        EndpointRules { plain_http_hosts: router.plain_http_hosts.clone(), ..EndpointRules::default() };
    rules.check(address).err().map(|refusal| refusal.to_string())
}

fn models_problem(models: &[String]) -> Option<String> {
    let is_name = |name: &String| {
        (1..=MAX_MODEL_NAME).contains(&name.len())
            && !name.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    if models.len() > MAX_MODELS {
        return Some(format!("has {} names, at most {MAX_MODELS} are possible", models.len()));
    }
    if let Some(wrong) = models.iter().find(|name| !is_name(name)) {
        return Some(format!(
            "has {wrong:?}: a name has 1 to {MAX_MODEL_NAME} characters and no spaces; leave `models` out to use \
             those that the server lists"
        ));
    }
    let twice = models.iter().enumerate().find(|(at, name)| models[..*at].contains(name));
    twice.map(|(_, name)| format!("names `{name}` twice"))
}

/// The variables among which keys are found.
pub(super) struct KeyVariables<'v> {
    pub(super) env: &'v [(OsString, OsString)],
    pub(super) dotenv: &'v [(OsString, OsString)],
    /// Whether the list stands in a file of the working directory.
    pub(super) is_folder: bool,
}

impl KeyVariables<'_> {
    fn value(variables: &[(OsString, OsString)], name: &str) -> Option<String> {
        let (_, value) = variables.iter().find(|(known, _)| known == name)?;
        value.to_str().filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// The key of a server; the error names the way that is open.
    fn of(&self, server: &CompatibleConfig, variable: &str) -> Result<Option<String>, String> {
        let (env, dotenv) = (Self::value(self.env, variable), Self::value(self.dotenv, variable));
        if !self.is_folder || port_here(&server.base_url).is_some() {
            return Ok(env.or(dotenv));
        }
        match (dotenv, env) {
            (None, Some(_)) => Err(format!(
                "`{KEY}`, server `{}`: this file of the working directory may not lead {variable} of your \
                 environment to {}: its author would get the key; put the section into a file named with --config, \
                 or the key into the `.env` beside it",
                server.name, server.base_url
            )),
            (dotenv, _) => Ok(dotenv),
        }
    }
}

/// Fills in the keys that the variables hold. A variable that is not set leaves its server without a key.
pub(super) fn fill_keys(servers: &mut [CompatibleConfig], variables: &KeyVariables<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    for server in servers {
        let Some(variable) = server.key_env.clone() else { continue };
        match variables.of(server, &variable) {
            Ok(key) => server.key = key.map(SecretText::from),
            Err(what) => problems.push(what),
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use crate::{ConfigSources, SwarmConfig};

    fn load(text: &str, env: &[(&str, &str)], dotenv: &str, is_named: bool) -> Result<SwarmConfig, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pas.toml");
        std::fs::write(&file, text).unwrap();
        std::fs::write(folder.path().join(".env"), dotenv).unwrap();
        let mut env: Vec<_> = env.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        env.push(("PAS_DAEMON__WORKDIR".into(), folder.path().into()));
        let file = is_named.then_some(file);
        let sources = ConfigSources { file, look_for_file: true, env, ..ConfigSources::default() };
        SwarmConfig::load(&sources).map_err(|error| error.to_string())
    }

    fn server(more: &str) -> String {
        format!("[[providers.compatible]]\n{more}\n")
    }

    #[test]
    fn a_server_needs_a_name_of_its_own_and_an_address() {
        let good = server("name = \"box\"\nbase_url = \"http://127.0.0.1:8080\"\nfree = true");
        let config = load(&good, &[], "", false).unwrap();
        let found = &config.providers.compatible[0];
        assert_eq!((&*found.name, found.free, found.models.len(), &found.key), ("box", true, 0, &None));
        for (section, words) in [
            (
                server("name = \"Box 1\"\nbase_url = \"http://localhost\""),
                "pas.toml:1: `providers.compatible`",
            ),
            (server("name = \"openai\"\nbase_url = \"http://localhost\""), "`name` is reserved"),
            (format!("{good}{good}"), "another server has this `name`"),
            (server("name = \"box\"\nbase_url = \"localhost:8080\""), "must begin with http"),
            (server("name = \"box\"\nbase_url = \"box\""), "is no URL"),
            (server("name = \"box\"\nbase_url = \"http://10.0.0.7/v1\""), "plain_http_hosts"),
            (server("name = \"box\"\nbase_url = \"http://me:pw@localhost\""), "must not hold a password"),
            (server("name = \"box\"\nbase_url = \"http://localhost\"\nkey_env = \"sk-1\""), "not the key"),
            (server("name = \"box\"\nbase_url = \"http://localhost\"\nmodels = [\"a b\"]"), "no spaces"),
            (server("name = \"box\"\nbase_url = \"http://localhost\"\nmodels = [\"a\", \"a\"]"), "`a` twice"),
            (server("name = \"box\"\nbase_url = \"http://localhost\"\nurl = 1"), "unknown field `url`"),
            (server("name = \"box\""), "missing field `base_url`"),
        ] {
            let error = load(&section, &[], "", false).unwrap_err();
            assert!(error.contains(words), "{section}: {error}");
        }
    }

    #[test]
    fn a_file_of_the_folder_leads_no_key_of_the_environment_to_another_machine() {
        let remote =
            server("name = \"router\"\nbase_url = \"https://router.example/v1\"\nkey_env = \"ROUTER_KEY\"");
        let here = server("name = \"box\"\nbase_url = \"http://localhost:1/v1\"\nkey_env = \"ROUTER_KEY\"");
        let env = [("ROUTER_KEY", "sk-of-the-environment")];
        let key = |config: Result<SwarmConfig, String>| {
            let config = config?;
            let key = config.providers.compatible[0].key.as_ref().map(|key| key.expose().to_owned());
            Ok::<_, String>(key)
        };
        let refused = key(load(&remote, &env, "", false)).unwrap_err();
        assert!(refused.contains("--config") && !refused.contains("sk-of"), "{refused}");
        let of_env = Ok(Some("sk-of-the-environment".to_owned()));
        assert_eq!(key(load(&remote, &env, "", true)), of_env, "the user named the file");
        assert_eq!(key(load(&here, &env, "", false)), of_env, "it stays on this machine");
        let of_folder = Ok(Some("sk-of-the-folder".to_owned()));
        assert_eq!(key(load(&remote, &env, "ROUTER_KEY=sk-of-the-folder\n", false)), of_folder);
        assert_eq!(key(load(&remote, &[], "", false)), Ok(None));
        let shown = format!("{:?}", load(&remote, &env, "", true).unwrap());
        assert!(!shown.contains("sk-of"), "a key is never shown");
    }
}
