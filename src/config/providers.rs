//! The environment variables that vendors of models have named, and the forms of their addresses.
//!
//! Other tools read the same variables, so PAS takes them as they are: from the environment and, with lower
//! precedence, from a file `.env` in the working directory. Only the variables named here are taken; the file
//! belongs to the user's project, so unreadable lines are skipped.

use std::ffi::OsString;
use std::path::Path;

use url::Url;

/// Variable and key; where two variables name one key, the later one counts.
const VARIABLES: &[(&str, &str)] = &[
    ("OPENAI_API_KEY", "providers.openai.api_key"),
    ("OPENAI_BASE_URL", "providers.openai.base_url"),
    ("ANTHROPIC_API_KEY", "providers.anthropic.api_key"),
    ("ANTHROPIC_BASE_URL", "providers.anthropic.base_url"),
    ("GEMINI_API_KEY", "providers.gemini.api_key"),
    ("GEMINI_BASE_URL", "providers.gemini.base_url"),
    ("XAI_API_KEY", "providers.grok.api_key"),
    ("GROK_API_KEY", "providers.grok.api_key"),
    ("GROK_BASE_URL", "providers.grok.base_url"),
    ("OLLAMA_HOST", "providers.ollama.host"),
];

/// The usual port of an Ollama server.
const OLLAMA_PORT: u16 = 11_434;

/// The settings among some variables: key, variable, value. An empty variable counts as unset.
pub(super) fn settings(
    variables: &[(OsString, OsString)],
) -> impl Iterator<Item = (&'static str, &'static str, &OsString)> {
    VARIABLES.iter().filter_map(|(variable, key)| {
        let (_, value) = variables.iter().find(|(name, _)| name == variable)?;
        (!value.is_empty()).then_some((*key, *variable, value))
    })
}

/// The variables in the text of a `.env` file.
pub(super) fn dotenv(text: &str) -> Vec<(OsString, OsString)> {
    let lines = dotenvy::from_read_iter(text.as_bytes());
    lines.filter_map(Result::ok).map(|(name, value)| (name.into(), value.into())).collect()
}

/// The file, below the working directory.
pub(super) fn dotenv_file(workdir: &Path) -> std::path::PathBuf {
    workdir.join(super::DOTENV_NAME)
}

/// The objection to a vendor's address, if any. The address itself is not repeated, so that a password in an
/// address stays out of the log.
pub(super) fn address_problem(address: &str) -> Option<&'static str> {
    let Ok(url) = Url::parse(address) else { return Some("is no URL; write it like \"https://host/path\"") };
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Some("must begin with http:// or https:// and name a host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("must not hold a password; give the key as `api_key` or in the vendor's variable");
    }
    (url.query().is_some() || url.fragment().is_some()).then_some("must end with its path, without ? or #")
}

/// Ollama's own forms: a host, a host and port, a port alone, or a URL. `0.0.0.0` and `::` are addresses a
/// server listens on, and mean this machine for a client (as in Ollama's own clients).
pub(super) fn ollama_url(host: &str) -> String {
    let host = host.trim().trim_end_matches('/');
    let (scheme, rest) = host.split_once("://").unwrap_or(("", host));
    let default_port = match scheme {
        "" => Some(OLLAMA_PORT),
        _ => None,
    };
    let scheme = if scheme.is_empty() { "http" } else { scheme };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let (name, port) = split_port(authority);
    let name = match name {
        "" | "0.0.0.0" => "127.0.0.1",
        "[::]" | "::" => "[::1]",
        name => name,
    };
    let port = port.map_or_else(|| default_port.map(|port| port.to_string()), |port| Some(port.to_owned()));
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{name}{port}{path}")
}

/// `host:port`; an IPv6 address without brackets has no port.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
            (name, Some(port).filter(|p| !p.is_empty()))
        }
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ollamas_host_takes_all_its_forms() {
        for (given, meant) in [
            ("", "http://127.0.0.1:11434"),
            ("0.0.0.0", "http://127.0.0.1:11434"),
            ("0.0.0.0:8080", "http://127.0.0.1:8080"),
            (":8080", "http://127.0.0.1:8080"),
            ("box", "http://box:11434"),
            ("box:1/", "http://box:1"),
            ("http://localhost:11434", "http://localhost:11434"),
            ("http://box", "http://box"),
            ("https://box/ollama/", "https://box/ollama"),
            ("[::1]", "http://[::1]:11434"),
            ("[::]:5", "http://[::1]:5"),
        ] {
            assert_eq!(ollama_url(given), meant, "{given}");
            assert_eq!(address_problem(&ollama_url(given)), None, "{given}");
        }
    }

    #[test]
    fn an_address_is_a_url_without_a_password() {
        assert_eq!(address_problem("https://api.openai.com/v1"), None);
        for wrong in ["api.openai.com", "ftp://a/", "http://me:pw@host/", "http://host/?key=1", "http://"] {
            assert!(address_problem(wrong).is_some(), "{wrong}");
        }
    }

    #[test]
    fn a_dotenv_file_is_read_past_its_broken_lines() {
        let text = "# mine\nexport OPENAI_API_KEY='sk-1'\nthis is no line\nOTHER=1\nGROK_BASE_URL=\n";
        let variables = dotenv(text);
        let found: Vec<_> =
            settings(&variables).map(|(key, name, value)| (key, name, value.to_str())).collect();
        assert_eq!(found, [("providers.openai.api_key", "OPENAI_API_KEY", Some("sk-1"))]);
    }
}
