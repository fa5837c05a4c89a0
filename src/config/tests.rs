//! The layers over one another, and the exact sentence for every kind of mistake.

use std::path::Path;

use proptest::prelude::*;

use super::*;

fn with_file(toml: &str) -> (tempfile::TempDir, ConfigSources) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("my.toml"), toml).unwrap();
    let sources = ConfigSources { file: Some(dir.path().join("my.toml")), ..ConfigSources::default() };
    (dir, sources)
}

fn env(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// The problems, with the temporary folder removed from their places.
fn problems(sources: &ConfigSources) -> Vec<String> {
    let folder = sources.file.as_deref().and_then(Path::parent).map(|dir| format!("{}/", dir.display()));
    let problems = SwarmConfig::load(sources).unwrap_err().problems;
    problems.iter().map(|p| p.to_string().replace(folder.as_deref().unwrap_or("\0"), "")).collect()
}

fn file_problems(toml: &str) -> Vec<String> {
    let (_dir, sources) = with_file(toml);
    problems(&sources)
}

fn env_problems(pairs: &[(&str, &str)]) -> Vec<String> {
    problems(&ConfigSources { env: env(pairs), ..ConfigSources::default() })
}

#[test]
fn the_defaults_are_complete_valid_and_within_their_bounds() {
    let config = SwarmConfig::load(&ConfigSources::default()).unwrap();
    assert!(config.http.bind.is_loopback());
    assert_eq!(config.http.token, None);
    assert_eq!(config.trace.otlp.endpoint, None);
    assert_eq!(config.supervision.heartbeat_interval, None);
    assert_eq!(config.jobs.max_attempts.get(), 4);
    assert!(config.daemon.workdir.is_absolute());
    assert_eq!(config.daemon.data_dir, config.daemon.workdir.join(".pas"));
    for EffectiveSetting { key, value, origin } in config.explain() {
        assert_eq!(*origin, ConfigOrigin::Default);
        if let Ok(number) = value.parse() {
            assert_eq!(limits::out_of_range(key, number), None);
        }
    }
}

#[test]
fn every_integer_has_one_bound_and_every_key_a_comment() {
    let config = SwarmConfig::load(&ConfigSources::default()).unwrap();
    let is_integer = |line: &&EffectiveSetting| line.value.parse::<i64>().is_ok();
    let integers: Vec<&str> = config.explain().iter().filter(is_integer).map(|line| &*line.key).collect();
    let mut bounded: Vec<&str> = limits::BOUNDS.iter().map(|bound| bound.key).collect();
    bounded.sort_unstable();
    assert_eq!(integers, bounded);

    let (mut comment, mut keys) = (String::new(), 0);
    let mut above = "";
    for line in DEFAULTS.lines() {
        if line.starts_with('#') {
            comment = if above.starts_with('#') { comment + line } else { line.to_owned() };
        } else if let Some((key, _)) = line.split_once(" = ") {
            let explained = above.starts_with('#') || comment.contains(&format!("`{key}`"));
            assert!(explained, "`{key}` needs a comment above it, or to be named in the one above its group");
            keys += 1;
        }
        above = line;
    }
    assert_eq!(keys, config.explain().len());
}

#[test]
fn a_quota_is_a_number_or_what_the_machine_has() {
    let (_dir, mut sources) = with_file("[resources]\ncpu = \"auto\"\nmem_mb = 1024\n");
    sources.env = env(&[("PAS_RESOURCES__GPU", "auto"), ("PAS_RESOURCES__GPU_MEM_MB", "0")]);
    let resources = SwarmConfig::load(&sources).unwrap().resources;
    assert_eq!((resources.cpu, resources.mem_mb), (QuotaSetting::Auto, QuotaSetting::Number(1024)));
    assert_eq!((resources.gpu, resources.gpu_mem_mb), (QuotaSetting::Auto, QuotaSetting::Number(0)));
    let wrong = file_problems("[resources]\ncpu = \"all\"\ntrainers = \"auto\"\n");
    assert_eq!(
        wrong,
        [
            "my.toml:2: `resources.cpu`: must be a whole number or \"auto\", found \"all\"",
            "my.toml:3: `resources.trainers` must be an integer, found a string",
        ]
    );
    assert_eq!(
        env_problems(&[("PAS_RESOURCES__CPU", "many")]),
        ["PAS_RESOURCES__CPU: `resources.cpu` must be an integer, found `many`"]
    );
}

#[test]
fn later_sources_win_and_are_named() {
    let (_dir, mut sources) = with_file("[http]\nport_offset = 1\nmax_connections = 7\nidle_timeout_s = 9\n");
    sources.env = env(&[("PAS_HTTP__PORT_OFFSET", "2"), ("PAS_HTTP__IDLE_TIMEOUT_S", "8"), ("HOME", "x")]);
    sources.flags.port_offset = Some(3);
    let config = SwarmConfig::load(&sources).unwrap();
    assert_eq!(config.http.port_offset, 3);
    assert_eq!(config.http.idle_timeout.as_secs(), 8);
    assert_eq!(config.http.max_connections.get(), 7);
    let line = |key: &str| config.explain().iter().find(|line| line.key == key).unwrap().clone();
    assert_eq!(line("http.port_offset").origin, ConfigOrigin::Flag("--port-offset"));
    assert_eq!(line("http.idle_timeout_s").origin.to_string(), "PAS_HTTP__IDLE_TIMEOUT_S");
    assert_eq!(line("http.max_connections").origin, ConfigOrigin::File(sources.file.unwrap(), 3));
    assert_eq!(line("jobs.max_attempts").to_string(), "jobs.max_attempts = 4  # default");
    assert_eq!(line("http.bind").to_string(), "http.bind = \"127.0.0.1\"  # default");
}

#[test]
fn a_file_in_the_working_directory_is_found_and_may_be_missing() {
    let dir = tempfile::tempdir().unwrap();
    let mut sources = ConfigSources { look_for_file: true, ..ConfigSources::default() };
    sources.env = vec![("PAS_DAEMON__WORKDIR".into(), dir.path().into())];
    assert_eq!(SwarmConfig::load(&sources).unwrap().jobs.max_queued.get(), 1_000);
    std::fs::write(dir.path().join(FILE_NAME), "jobs.max_queued = 5").unwrap();
    let config = SwarmConfig::load(&sources).unwrap();
    assert_eq!(config.jobs.max_queued.get(), 5);
    assert_eq!(config.store_file(), dir.path().join(".pas/pas.redb"));
    let named = ConfigSources { file: Some("no/such.toml".into()), ..ConfigSources::default() };
    let words = problems(&named).join("");
    assert!(words.contains("cannot be read"), "{words}");
}

#[test]
fn what_does_not_exist_is_refused_with_its_line_and_the_nearest_name() {
    assert_eq!(
        file_problems(
            "[http]\nbind = \"::1\"\nprot_offset = 1\n\n[htp]\n[jobs]\nworkdir = \"x\"\nzzzzzz = 1\n"
        ),
        [
            "my.toml:3: there is no key `http.prot_offset`; did you mean `http.port_offset`?",
            "my.toml:5: there is no section `htp`; did you mean `http`?",
            "my.toml:7: there is no key `jobs.workdir`; did you mean `daemon.workdir`?",
            "my.toml:8: there is no key `jobs.zzzzzz`; `pas config` lists all settings",
        ]
    );
    assert_eq!(
        file_problems("[events]\nkeep_days = 7\n"),
        ["my.toml:1: there is no section `events`; `retention.events_days` took its place"]
    );
    assert_eq!(
        env_problems(&[("PAS_EVENTS__KEEP_DAYS", "7")]),
        ["PAS_EVENTS__KEEP_DAYS: there is no such setting; PAS_RETENTION__EVENTS_DAYS took its place"]
    );
    assert_eq!(file_problems("http = 1\n"), ["my.toml:1: `http` is a section, write [http]"]);
    assert_eq!(
        env_problems(&[("PAS_HTTP_PORT_OFFSET", "1"), ("PAS_http__bind", "::1")]),
        [
            "PAS_HTTP_PORT_OFFSET: there is no such setting; did you mean PAS_HTTP__PORT_OFFSET?",
            "PAS_http__bind: there is no such setting; did you mean PAS_HTTP__BIND?",
        ]
    );
}

#[test]
fn wrong_types_and_ranges_are_refused_where_they_stand() {
    assert_eq!(
        file_problems(
            "[http]\nport_offset = \"1\"\nbind = \"localhost\"\nmax_connections = 0\n\
             [log]\nformat = \"yaml\"\n[ingest]\ndeny_licences = [1]\n[store.file]\nx = 1\n"
        ),
        [
            "my.toml:2: `http.port_offset` must be an integer, found a string",
            "my.toml:3: `http.bind`: invalid IP address syntax",
            "my.toml:4: `http.max_connections` is 0, must be 1 to 65536: \
             each takes a file descriptor and some 16 KiB",
            "my.toml:6: `log.format`: unknown variant `yaml`, expected `text` or `json`",
            "my.toml:8: `ingest.deny_licences`: invalid type: integer `1`, expected a string",
            "my.toml:9: `store.file` must be a string, found a table",
        ]
    );
    assert_eq!(
        env_problems(&[("PAS_HTTP__PORT_OFFSET", "many"), ("PAS_JOBS__THREADS", "-1")]),
        [
            "PAS_HTTP__PORT_OFFSET: `http.port_offset` must be an integer, found `many`",
            "PAS_JOBS__THREADS: `jobs.threads` is -1, must be 0 to 1024: each takes a stack",
        ]
    );
}

#[test]
fn a_file_that_is_no_toml_is_refused_with_its_line() {
    let words = file_problems("[http]\nbind = ::1\n").join("");
    assert!(words.starts_with("my.toml:2: not TOML: "), "{words}");
    assert_eq!(
        file_problems("[log]\nlevel = 'info'\nlevel = 'warn'\n"),
        ["my.toml:3: not TOML: duplicate key"]
    );
}

#[test]
fn settings_must_agree_with_one_another() {
    let reachable = ConfigSources { env: env(&[("PAS_HTTP__BIND", "0.0.0.0")]), ..ConfigSources::default() };
    assert_eq!(
        problems(&reachable),
        ["PAS_HTTP__BIND: `http.bind` is 0.0.0.0, which other machines can reach, so a token is needed: \
          set PAS_HTTP__TOKEN to at least 16 random characters, or bind to 127.0.0.1"]
    );
    assert_eq!(
        file_problems(
            "[jobs]\nstep_soft_timeout_s = 60\nstep_hard_timeout_s = 60\nbackoff_max_s = 1\n\
             backoff_base_ms = 2000\n[trace]\notlp.endpoint = \"https://x\"\n[store]\nfile = \"../x\"\n\
             [agents]\nfolder = \"none/such\"\n[http]\ntoken = \"short\"\n"
        )
        .iter()
        .map(|line| line.split(',').next().unwrap().split(": no folder").next().unwrap())
        .collect::<Vec<_>>(),
        [
            "my.toml:13: `http.token` is too short: give at least 16 random characters",
            "my.toml:7: `trace.otlp.endpoint` must be like \"http://127.0.0.1:4318\" (plain http",
            "my.toml:9: `store.file` must be a bare file name; its folder is `daemon.data_dir`",
            "my.toml:2: `jobs.step_soft_timeout_s` is 60",
            "my.toml:5: `jobs.backoff_base_ms` is 2000",
            "my.toml:11: `agents.folder`",
        ]
    );
}

#[test]
fn a_secret_is_never_shown() {
    let token = "0123456789abcdef";
    let sources = ConfigSources {
        env: env(&[("PAS_HTTP__BIND", "0.0.0.0"), ("PAS_HTTP__TOKEN", token)]),
        ..ConfigSources::default()
    };
    let config = SwarmConfig::load(&sources).unwrap();
    assert_eq!(config.http.token.as_ref().unwrap().expose(), token);
    assert!(!format!("{config:?}").contains(token));
    let shown = config.explain().iter().find(|line| line.key == "http.token").unwrap();
    assert_eq!(shown.value, "\"***\"");
}

#[test]
fn lists_from_the_environment_are_toml() {
    let sources = ConfigSources {
        env: env(&[("PAS_INGEST__DENY_LICENCES", r#"["MIT", "0BSD"]"#)]),
        ..ConfigSources::default()
    };
    assert_eq!(SwarmConfig::load(&sources).unwrap().ingest.deny_licences, ["MIT", "0BSD"]);
    assert_eq!(
        env_problems(&[("PAS_INGEST__DENY_LICENCES", "MIT")]),
        ["PAS_INGEST__DENY_LICENCES: `ingest.deny_licences` must be a list, found `MIT`"]
    );
}

proptest! {
    /// For any content of the file: a configuration or problems that name the file, never a panic.
    #[test]
    fn any_file_is_read_or_refused(
        section in "(http|jobs|daemon|trace\\.otlp|x)", key in "(bind|token|threads|workdir|interval_ms|y)",
        value in "(-?[0-9]{1,20}|\"[ -!#-\\[\\]-~]{0,9}\"|\\[\\]|true|1\\.5|nan|1979-05-27|\\{a=1\\}|[ -~]{0,9})",
    ) {
        let (_dir, sources) = with_file(&format!("[{section}]\n{key} = {value}\n"));
        if let Err(error) = SwarmConfig::load(&sources) {
            prop_assert!(!error.problems.is_empty());
            for problem in &error.problems {
                prop_assert!(problem.place.contains("my.toml:"), "{}", problem);
            }
        }
    }
}

#[test]
fn vendors_own_variables_count_above_files_and_below_ours_and_keys_are_masked() {
    let dir = tempfile::tempdir().unwrap();
    let dotenv = "OPENAI_API_KEY=sk-dotenv\nXAI_API_KEY=\"sk-xai\"\nPAS_LOG__LEVEL=trace\nnot a line\n";
    std::fs::write(dir.path().join(".env"), dotenv).unwrap();
    std::fs::write(dir.path().join(FILE_NAME), "providers.openai.api_key = \"sk-file\"").unwrap();
    let mut sources = ConfigSources { look_for_file: true, ..ConfigSources::default() };
    sources.env = env(&[
        ("OPENAI_BASE_URL", "http://127.0.0.1:1/v1"),
        ("OLLAMA_HOST", "0.0.0.0"),
        ("GROK_API_KEY", ""),
    ]);
    sources.env.push(("PAS_DAEMON__WORKDIR".into(), dir.path().into()));
    let config = SwarmConfig::load(&sources).unwrap();
    let key = |provider: &ProviderConfig| provider.api_key.as_ref().map(|key| key.expose().to_owned());
    assert_eq!(key(&config.providers.openai).as_deref(), Some("sk-dotenv"));
    assert_eq!(key(&config.providers.grok).as_deref(), Some("sk-xai"));
    assert_eq!(key(&config.providers.gemini), None);
    assert_eq!(config.providers.openai.base_url, "http://127.0.0.1:1/v1");
    assert_eq!(config.providers.ollama.host, "http://127.0.0.1:11434");
    assert_eq!(config.log.level, LogLevel::Info);
    let shown: String = config.explain().iter().map(|line| format!("{line}\n")).collect();
    assert!(!format!("{config:?}{shown}").contains("sk-"), "{shown}");
    assert!(shown.contains("providers.openai.api_key = \"***\"  # "), "{shown}");
    assert!(shown.contains(".env: OPENAI_API_KEY"), "{shown}");

    sources.env.extend(env(&[("OPENAI_API_KEY", "sk-env"), ("PAS_PROVIDERS__GROK__API_KEY", "sk-ours")]));
    let config = SwarmConfig::load(&sources).unwrap();
    assert_eq!(key(&config.providers.openai).as_deref(), Some("sk-env"));
    assert_eq!(key(&config.providers.grok).as_deref(), Some("sk-ours"));
}

#[test]
fn an_address_that_cannot_be_used_is_named_by_its_variable_and_not_repeated() {
    assert_eq!(
        env_problems(&[("ANTHROPIC_BASE_URL", "https://me:geheim@host")]),
        ["ANTHROPIC_BASE_URL: `providers.anthropic.base_url` must not hold a password; \
          give the key as `api_key` or in the vendor's variable"]
    );
    assert_eq!(
        env_problems(&[("OPENAI_BASE_URL", "api.openai.com/v1")]),
        ["OPENAI_BASE_URL: `providers.openai.base_url` is no URL; write it like \"https://host/path\""]
    );
}

/// The source of a key and of its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CredentialPlace {
    Nobody,
    Environment,
    NamedFile,
    FolderFile,
    Dotenv,
}

const EVERYBODY: [CredentialPlace; 5] = [
    CredentialPlace::Nobody,
    CredentialPlace::Environment,
    CredentialPlace::NamedFile,
    CredentialPlace::FolderFile,
    CredentialPlace::Dotenv,
];

/// A folder with files, and an environment, each with the settings it contains.
#[derive(Default)]
struct CredentialScene {
    env: Vec<(OsString, OsString)>,
    files: [String; 3],
}

impl CredentialScene {
    fn set(&mut self, from: CredentialPlace, (variable, key): (&str, &str), value: &str) {
        match from {
            CredentialPlace::Nobody => {}
            CredentialPlace::Environment => self.env.extend(env(&[(variable, value)])),
            CredentialPlace::NamedFile => self.files[0] += &format!("{key} = \"{value}\"\n"),
            CredentialPlace::FolderFile => self.files[1] += &format!("{key} = \"{value}\"\n"),
            CredentialPlace::Dotenv => self.files[2] += &format!("{variable}={value}\n"),
        }
    }

    /// Loads with the file named on the command line, or with the folder's own.
    fn load(mut self, is_named: bool) -> Result<SwarmConfig, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let files = ["named.toml", FILE_NAME, DOTENV_NAME].map(|name| dir.path().join(name));
        for (file, text) in files.iter().zip(&self.files) {
            std::fs::write(file, text).unwrap();
        }
        self.env.push(("PAS_DAEMON__WORKDIR".into(), dir.path().into()));
        let file = is_named.then(|| files[0].clone());
        SwarmConfig::load(&ConfigSources {
            file,
            look_for_file: true,
            env: self.env,
            ..ConfigSources::default()
        })
    }
}

#[test]
fn a_file_of_the_folder_directs_only_its_own_keys_for_every_vendor() {
    for vendor in ["openai", "anthropic", "gemini", "grok"] {
        let names = |what: &str| {
            (
                format!("{}_{}", vendor.to_uppercase(), what.to_uppercase()),
                format!("providers.{vendor}.{what}"),
            )
        };
        let ((key_variable, key), (url_variable, url)) = (names("api_key"), names("base_url"));
        for (key_from, url_from) in EVERYBODY.iter().flat_map(|key| EVERYBODY.map(|url| (*key, url))) {
            // With `--config` the folder's own pas.toml is not read.
            let sources = [key_from, url_from];
            if sources.contains(&CredentialPlace::NamedFile) && sources.contains(&CredentialPlace::FolderFile)
            {
                continue;
            }
            let mut scene = CredentialScene::default();
            scene.set(key_from, (&key_variable, &key), "sk-1");
            scene.set(url_from, (&url_variable, &url), "http://127.0.0.1:9/v1");
            let loaded = scene.load(sources.contains(&CredentialPlace::NamedFile));
            let is_of_folder = matches!(url_from, CredentialPlace::FolderFile | CredentialPlace::Dotenv);
            let is_refused = is_of_folder && key_from != url_from && key_from != CredentialPlace::Nobody;
            let case = format!("{vendor}: key from {key_from:?}, address from {url_from:?}");
            match loaded {
                Ok(config) => {
                    assert!(!is_refused, "{case}");
                    let named: Vec<&str> = config.from_folder().map(|setting| &*setting.key).collect();
                    let is_folder =
                        |from| matches!(from, CredentialPlace::FolderFile | CredentialPlace::Dotenv);
                    assert_eq!(named.contains(&&*key), is_folder(key_from), "{case}: {named:?}");
                    assert_eq!(named.contains(&&*url), is_of_folder, "{case}: {named:?}");
                }
                Err(error) => {
                    assert!(is_refused, "{case}: {error}");
                    let place = match url_from {
                        CredentialPlace::Dotenv => format!(".env: {url_variable}: `{url}` is not accepted"),
                        _ => format!("{FILE_NAME}:1: `{url}` is not accepted"),
                    };
                    let words = error.to_string();
                    assert!(words.contains(&place) && !words.contains("sk-1"), "{case}: {words}");
                }
            }
        }
    }
}

#[test]
fn an_address_of_the_user_or_the_usual_one_goes_before_that_of_the_folder() {
    let mut scene = CredentialScene::default();
    scene.set(CredentialPlace::Environment, ("OPENAI_API_KEY", ""), "sk-1");
    scene.set(CredentialPlace::Dotenv, ("OPENAI_BASE_URL", ""), "http://127.0.0.1:9/v1");
    scene.set(CredentialPlace::Environment, ("OPENAI_BASE_URL", ""), "http://127.0.0.1:8/v1");
    assert_eq!(scene.load(false).unwrap().providers.openai.base_url, "http://127.0.0.1:8/v1");
    let mut usual = CredentialScene::default();
    usual.set(CredentialPlace::Environment, ("OPENAI_API_KEY", ""), "sk-1");
    usual.set(CredentialPlace::FolderFile, ("", "providers.openai.base_url"), "https://api.openai.com/v1");
    assert!(usual.load(false).is_ok());
}

#[test]
fn the_token_is_not_sent_to_an_address_of_the_folder() {
    let with_bind = |bind: &str| {
        let mut scene = CredentialScene::default();
        scene.set(CredentialPlace::Environment, ("PAS_HTTP__TOKEN", ""), "0123456789abcdef");
        scene.set(CredentialPlace::FolderFile, ("", "http.bind"), bind);
        scene.load(false)
    };
    assert!(with_bind("192.0.2.1").unwrap_err().to_string().contains("`http.bind` is not accepted"));
    assert!(with_bind("127.0.0.2").is_ok());
}

#[test]
fn the_local_server_gets_no_key_and_its_address_is_named() {
    let mut scene = CredentialScene::default();
    scene.set(CredentialPlace::Dotenv, ("OLLAMA_HOST", ""), "box:1");
    scene.files[1] = "provider_router.plain_http_hosts = [\"box\"]\n".into();
    let config = scene.load(false).unwrap();
    let named: Vec<&str> = config.from_folder().map(|setting| &*setting.key).collect();
    assert_eq!(named, ["provider_router.plain_http_hosts", "providers.ollama.host"]);
}

#[test]
fn a_file_of_the_folder_opens_no_door() {
    for (key, variable, value) in [
        ("http.local_users", "PAS_HTTP__LOCAL_USERS", "any"),
        ("http.allowed_origins", "PAS_HTTP__ALLOWED_ORIGINS", "[\"http://localhost:3000\"]"),
    ] {
        let line = format!("{key} = {}\n", if value == "any" { "\"any\"" } else { value });
        for place in EVERYBODY {
            let mut scene = CredentialScene::default();
            match place {
                CredentialPlace::Nobody => {}
                CredentialPlace::Environment => scene.env.push((variable.into(), value.into())),
                CredentialPlace::NamedFile => scene.files[0].clone_from(&line),
                CredentialPlace::FolderFile => scene.files[1].clone_from(&line),
                CredentialPlace::Dotenv => scene.files[2] = format!("{variable}='{value}'\n"),
            }
            let is_of_user = matches!(place, CredentialPlace::Environment | CredentialPlace::NamedFile);
            match scene.load(place == CredentialPlace::NamedFile) {
                Ok(config) => {
                    let http = &config.http;
                    let is_open = http.local_users == LocalUsers::Any || !http.allowed_origins.is_empty();
                    assert_eq!(is_open, is_of_user, "{key} from {place:?}");
                }
                Err(error) => {
                    assert_eq!(place, CredentialPlace::FolderFile, "{key}: {error}");
                    assert!(error.to_string().contains(&format!("`{key}`")), "{error}");
                }
            }
        }
    }
}

#[test]
fn a_file_of_the_folder_may_add_stores_of_keys_and_take_none_out() {
    let load = |place: usize, list: &str| {
        let mut scene = CredentialScene::default();
        scene.files[place] = format!("ingest.key_stores = {list}\n");
        scene.load(place == 0)
    };
    let usual = SwarmConfig::load(&ConfigSources::default()).unwrap().ingest.key_stores;
    let more = [usual.clone(), vec!["own".to_owned()]].concat();
    assert_eq!(load(1, &format!("{more:?}")).unwrap().ingest.key_stores, more);
    let error = load(1, &format!("{:?}", &usual[1..])).unwrap_err().to_string();
    assert!(error.contains("`ingest.key_stores`") && error.contains(".ssh"), "{error}");
    assert!(load(1, "[]").is_err());
    assert!(load(0, "[]").unwrap().ingest.key_stores.is_empty());
}
