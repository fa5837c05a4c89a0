//! Vendor keys: the source of each, the address that receives it, and files with secrets that others can
//! read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::DoctorCheck;
use crate::config::{CompatibleConfig, ConfigOrigin, DOTENV_NAME, ProviderConfig, SecretText, SwarmConfig};

/// A vendor's name, section of the settings, and settings.
type VendorKey<'c> = (&'static str, &'static str, &'c ProviderConfig);

/// One line for each key, one for the vendors without a key, and a warning for each file with secrets that
/// others can read.
pub(super) fn check(config: &SwarmConfig) -> Vec<DoctorCheck> {
    let providers = &config.providers;
    let all: [VendorKey<'_>; 4] = [
        ("OpenAI", "openai", &providers.openai),
        ("Anthropic", "anthropic", &providers.anthropic),
        ("Gemini", "gemini", &providers.gemini),
        ("Grok", "grok", &providers.grok),
    ];
    let mut checks = Vec::new();
    let mut missing = Vec::new();
    for vendor in all {
        match &vendor.2.api_key {
            Some(key) => checks.push(DoctorCheck::ok("keys", way_of(config, vendor, key))),
            None => missing.push(vendor.0),
        }
    }
    checks.extend(providers.compatible.iter().map(of_server));
    let none_needed = "no job needs one; to call models, set one or run Ollama on this machine";
    if checks.is_empty() {
        checks.push(DoctorCheck::ok("keys", format!("no provider has a key ({none_needed})")));
    } else if !missing.is_empty() {
        checks.push(DoctorCheck::ok("keys", format!("none for {} ({none_needed})", missing.join(", "))));
    }
    checks.extend(files_with_secrets(config).iter().filter_map(|file| readable_by_others(file)));
    checks
}

/// `OpenAI: ***WXYZ from OPENAI_API_KEY, sent to https://api.openai.com/v1 (default)`
fn way_of(config: &SwarmConfig, (name, section, settings): VendorKey<'_>, key: &SecretText) -> String {
    let origin = |setting: &str| {
        let origin = config.origin(&format!("providers.{section}.{setting}"));
        origin.unwrap_or(&ConfigOrigin::Default).to_string()
    };
    let (key_from, url_from) = (origin("api_key"), origin("base_url"));
    format!("{name}: {} from {key_from}, sent to {} ({url_from})", masked(key.expose()), settings.base_url)
}

/// `box at http://127.0.0.1:8080, key ***WXYZ from BOX_API_KEY`
fn of_server(server: &CompatibleConfig) -> DoctorCheck {
    let saw = |key: &str| format!("{} at {}, {key}", server.name, server.base_url);
    match (&server.key_env, &server.key) {
        (None, _) => DoctorCheck::ok("keys", saw("without a key")),
        (Some(variable), Some(key)) => {
            DoctorCheck::ok("keys", saw(&format!("key {} from {variable}", masked(key.expose()))))
        }
        (Some(variable), None) => {
            DoctorCheck::warn("keys", saw("no key"), format!("set {variable}, or take `key_env` out"))
        }
    }
}

/// The last four characters, and only of keys long enough for the rest to stay secret.
fn masked(key: &str) -> String {
    let characters: Vec<char> = key.trim().chars().collect();
    match characters.len() {
        0..20 => "***".into(),
        length => format!("***{}", characters[length - 4..].iter().collect::<String>()),
    }
}

/// Files with a secret in force, and the folder's `.env`, whose keys the environment may override.
fn files_with_secrets(config: &SwarmConfig) -> BTreeSet<PathBuf> {
    let secrets = config.explain().iter().filter(|setting| setting.is_secret());
    let mut files: BTreeSet<PathBuf> =
        secrets.filter_map(|setting| setting.origin.file()).map(Path::to_owned).collect();
    files.insert(config.daemon.workdir.join(DOTENV_NAME));
    // `absolute` gives the same for a path found relative to the working directory.
    files.into_iter().filter_map(|file| std::path::absolute(file).ok()).collect()
}

#[cfg(unix)]
fn readable_by_others(file: &Path) -> Option<DoctorCheck> {
    use std::os::unix::fs::PermissionsExt as _;
    /// Read permission for group and others.
    const OTHERS: u32 = 0o044;
    let mode = file.metadata().ok()?.permissions().mode();
    if mode & OTHERS == 0 {
        return None;
    }
    let (shown, mode) = (file.display(), mode & 0o777);
    let saw = format!("{shown} holds keys and can be read by other users of this machine (mode {mode:o})");
    Some(DoctorCheck::warn("keys", saw, format!("`chmod 600 {shown}`")))
}

#[cfg(not(unix))]
fn readable_by_others(_file: &Path) -> Option<DoctorCheck> {
    None
}

#[cfg(test)]
mod tests {
    use super::super::CheckHealth;
    use super::*;
    use crate::config::ConfigSources;

    fn sources(folder: &Path, variables: &[(&str, &str)]) -> ConfigSources {
        let mut env: Vec<_> = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        env.push(("PAS_DAEMON__WORKDIR".into(), folder.into()));
        ConfigSources { look_for_file: true, env, ..ConfigSources::default() }
    }

    #[test]
    fn each_key_is_shown_with_where_it_comes_from_and_where_it_goes_but_never_whole() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".env"), "XAI_API_KEY=short\nGROK_BASE_URL=http://box/v1\n")
            .unwrap();
        let variables = [("OPENAI_API_KEY", "sk-0123456789abcdefWXYZ")];
        let config = SwarmConfig::load(&sources(folder.path(), &variables)).unwrap();
        let saw: Vec<String> = check(&config).into_iter().map(|check| check.saw).collect();
        let dotenv = folder.path().join(".env").display().to_string();
        assert_eq!(
            saw[..2],
            [
                "OpenAI: ***WXYZ from OPENAI_API_KEY, sent to https://api.openai.com/v1 (default)".to_owned(),
                format!(
                    "Grok: *** from {dotenv}: XAI_API_KEY, sent to http://box/v1 ({dotenv}: GROK_BASE_URL)"
                ),
            ]
        );
        assert!(saw[2].starts_with("none for Anthropic, Gemini"), "{}", saw[2]);
        let none = SwarmConfig::load(&ConfigSources::default()).unwrap();
        assert!(check(&none)[0].saw.starts_with("no provider has a key"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_of_keys_that_others_can_read_is_a_warning() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".env");
        std::fs::write(&file, "OPENAI_API_KEY=sk-1\n").unwrap();
        let warnings = |mode: u32, variables: &[(&str, &str)]| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            let config = SwarmConfig::load(&sources(folder.path(), variables)).unwrap();
            check(&config).into_iter().filter(|check| check.health == CheckHealth::Warn).count()
        };
        assert_eq!((warnings(0o600, &[]), warnings(0o640, &[]), warnings(0o604, &[])), (0, 1, 1));
        assert_eq!(
            warnings(0o644, &[("OPENAI_API_KEY", "sk-2")]),
            1,
            "the environment hides it, others read it"
        );
    }
}
