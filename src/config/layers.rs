//! Reads the sources one after the other into one table of settings, then into a [`SwarmConfig`].
//!
//! Invariants: every value in the table has passed its type and range check, and remembers its origin; a
//! value that failed is a [`ConfigProblem`] and leaves the one below in force, so that one mistake does not
//! cause reports of others. The agreement between settings is checked once, at the end.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use toml::{Spanned, Table, Value};

use super::compatible::{self, KeyVariables};
use super::credentials::{self, SettingsInForce};
use super::providers;
use super::sections::AUTO;
use super::{
    ConfigError, ConfigFlags, ConfigOrigin, ConfigProblem, ConfigSources, DEFAULTS, EffectiveSetting,
    FILE_NAME, SwarmConfig, limits,
};
use pas_domain::similar_name::nearest_name;

const ENV_PREFIX: &str = "PAS_";
pub(super) const SECRETS: &[&str] = &[
    "http.token",
    "providers.anthropic.api_key",
    "providers.gemini.api_key",
    "providers.grok.api_key",
    "providers.openai.api_key",
];
/// Sections that are gone, each with the key that took the place of its settings.
const MOVED: &[(&str, &str)] = &[("events", "retention.events_days")];
/// A configuration is a few kilobytes; a larger file is the wrong file.
const MAX_FILE_BYTES: u64 = 1 << 20;

pub(super) fn load(sources: &ConfigSources) -> Result<SwarmConfig, ConfigError> {
    let mut layers = ConfigLayers::of_defaults()?;
    if let Some(path) = &sources.file {
        layers.add_file(path, true);
    } else if sources.look_for_file {
        layers.add_file(&workdir_to_look_in(sources).join(FILE_NAME), false);
    }
    if sources.look_for_file {
        layers.add_dotenv(&providers::dotenv_file(&workdir_to_look_in(sources)));
    }
    layers.add_vendor_variables(&sources.env, |variable| ConfigOrigin::Env(variable.to_owned()));
    layers.add_env(&sources.env);
    layers.add_flags(&sources.flags);
    layers.finish(&sources.env)
}

/// Files are searched before they are read, so only the layers above them can set the folder.
fn workdir_to_look_in(sources: &ConfigSources) -> PathBuf {
    let wanted = env_name("daemon.workdir");
    let from_env =
        || sources.env.iter().find(|(name, _)| *name == *wanted).map(|(_, value)| PathBuf::from(value));
    sources.flags.workdir.clone().or_else(from_env).unwrap_or_default()
}

/// `http.port_offset` is `PAS_HTTP__PORT_OFFSET`.
fn env_name(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.replace('.', "__").to_uppercase())
}

struct ConfigLayers {
    /// All existing keys, with values of the keys' types.
    defaults: BTreeMap<String, Value>,
    in_force: SettingsInForce,
    /// All variables of the `.env` file: the user's servers name theirs.
    dotenv: Vec<(OsString, OsString)>,
    problems: Vec<ConfigProblem>,
}

impl ConfigLayers {
    /// The lowest layer. Cannot fail in a binary whose tests passed.
    fn of_defaults() -> Result<Self, ConfigError> {
        let mut layers = Self {
            defaults: BTreeMap::new(),
            in_force: BTreeMap::new(),
            dotenv: Vec::new(),
            problems: Vec::new(),
        };
        let text: Table = toml::from_str(DEFAULTS).map_err(|error| broken_defaults(&error))?;
        collect_leaves("", text, &mut layers.defaults);
        layers.in_force = layers
            .defaults
            .iter()
            .map(|(key, value)| (key.clone(), (value.clone(), ConfigOrigin::Default)))
            .collect();
        Ok(layers)
    }

    /// A file named by the user must exist; the one of the folder may be missing.
    fn add_file(&mut self, path: &Path, must_exist: bool) {
        let text = match read_small(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => return,
            Err(error) => {
                return self.problems.push(ConfigProblem::in_file(path, format!("cannot be read: {error}")));
            }
        };
        let place = |span: Range<usize>| {
            let line = line_of(&text, span.start);
            if must_exist {
                ConfigOrigin::File(path.to_owned(), line)
            } else {
                ConfigOrigin::FolderFile(path.to_owned(), line)
            }
        };
        match DeTable::parse(&text) {
            Ok(table) => self.add_table("", table.into_inner(), &place),
            Err(error) => {
                let place = place(error.span().unwrap_or_default());
                self.problems
                    .push(ConfigProblem::at(&place, format!("not TOML: {}", error.message().trim())));
            }
        }
    }

    fn add_table(
        &mut self,
        section: &str,
        table: DeTable<'_>,
        place: &impl Fn(Range<usize>) -> ConfigOrigin,
    ) {
        let mut entries: Vec<_> = table.into_iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in entries {
            let origin = place(name.span());
            let key = join(section, name.get_ref());
            match value.into_inner() {
                DeValue::Table(inner) if self.is_section(&key) => self.add_table(&key, inner, place),
                DeValue::Table(_) if !self.defaults.contains_key(&key) => self.unknown_section(&key, &origin),
                value => match plain(value, name.span()) {
                    Ok(value) => self.set(&key, value, origin),
                    Err(what) => self.problems.push(ConfigProblem::at(&origin, format!("`{key}`: {what}"))),
                },
            }
        }
    }

    /// An unreadable `.env` is a mistake; a missing one is not.
    fn add_dotenv(&mut self, path: &Path) {
        match read_small(path) {
            Ok(text) => {
                let origin = |variable: &str| ConfigOrigin::Dotenv(path.to_owned(), variable.to_owned());
                self.dotenv = providers::dotenv(&text);
                self.add_vendor_variables(&self.dotenv.clone(), origin);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                self.problems.push(ConfigProblem::in_file(path, format!("cannot be read: {error}")));
            }
        }
    }

    fn add_vendor_variables(
        &mut self,
        variables: &[(OsString, OsString)],
        origin: impl Fn(&str) -> ConfigOrigin,
    ) {
        for (key, variable, value) in providers::settings(variables) {
            let origin = origin(variable);
            match value.to_str() {
                Some(value) => self.set(key, Value::from(value), origin),
                None => self.problems.push(ConfigProblem::at(&origin, "is not UTF-8")),
            }
        }
    }

    fn add_env(&mut self, env: &[(OsString, OsString)]) {
        let keys: BTreeMap<String, String> =
            self.defaults.keys().map(|key| (env_name(key), key.clone())).collect();
        let mut ours: Vec<_> = env
            .iter()
            .filter(|(name, _)| name.as_encoded_bytes().starts_with(ENV_PREFIX.as_bytes()))
            .collect();
        ours.sort();
        for (name, value) in ours {
            let origin = ConfigOrigin::Env(name.to_string_lossy().into_owned());
            let Some(key) = name.to_str().and_then(|name| keys.get(name)) else {
                let heir = successor(&name.to_string_lossy());
                let hint = match keys.iter().find(|(_, key)| Some(key.as_str()) == heir) {
                    Some((heir, _)) => format!("{heir} took its place"),
                    None => hint(&name.to_string_lossy().to_uppercase(), keys.keys(), ""),
                };
                self.problems.push(ConfigProblem::at(&origin, format!("there is no such setting; {hint}")));
                continue;
            };
            match value
                .to_str()
                .ok_or("is not UTF-8".to_owned())
                .and_then(|text| self.value_from_env(key, text))
            {
                Ok(value) => self.set(key, value, origin),
                Err(what) => self.problems.push(ConfigProblem::at(&origin, what)),
            }
        }
    }

    /// A setting of type text is taken verbatim; any other value is parsed as TOML.
    fn value_from_env(&self, key: &str, text: &str) -> Result<Value, String> {
        if text == AUTO && limits::OR_AUTO.contains(&key) {
            return Ok(Value::from(AUTO));
        }
        let Some(default) = self.defaults.get(key).filter(|default| !default.is_str()) else {
            return Ok(Value::String(text.to_owned()));
        };
        let parsed = ValueDeserializer::parse(text).and_then(Value::deserialize);
        parsed.map_err(|_| format!("`{key}` must be {}, found `{text}`", type_name(default)))
    }

    fn add_flags(&mut self, flags: &ConfigFlags) {
        let path = |path: &PathBuf| path.to_str().map(Value::from).ok_or("is not UTF-8");
        let given = [
            ("daemon.workdir", "--workdir", flags.workdir.as_ref().map(path)),
            ("daemon.data_dir", "--data-dir", flags.data_dir.as_ref().map(path)),
            ("http.bind", "--bind", flags.bind.map(|bind| Ok(Value::from(bind.to_string())))),
            ("http.port_offset", "--port-offset", flags.port_offset.map(|n| Ok(Value::from(i64::from(n))))),
        ];
        for (key, flag, value) in given {
            match value {
                Some(Ok(value)) => self.set(key, value, ConfigOrigin::Flag(flag)),
                Some(Err(what)) => self.problems.push(ConfigProblem::at(&ConfigOrigin::Flag(flag), what)),
                None => {}
            }
        }
    }

    /// Puts a value in force if it passes the checks of its key.
    fn set(&mut self, key: &str, value: Value, origin: ConfigOrigin) {
        let problem = match self.defaults.get(key) {
            None if self.is_section(key) => Some(format!("`{key}` is a section, write [{key}]")),
            None => Some(format!("there is no key `{key}`; {}", hint(key, self.defaults.keys(), "`"))),
            // The key's type checks the word.
            Some(_) if value.is_str() && limits::OR_AUTO.contains(&key) => self.refused_by_type(key, &value),
            Some(default) if !default.same_type(&value) => {
                let (wanted, found) = (type_name(default), type_name(&value));
                Some(format!("`{key}` must be {wanted}, found {found}"))
            }
            Some(_) => value
                .as_integer()
                .and_then(|number| limits::out_of_range(key, number))
                .or_else(|| self.refused_by_type(key, &value)),
        };
        match problem {
            Some(what) => self.problems.push(ConfigProblem::at(&origin, what)),
            None => drop(self.in_force.insert(key.to_owned(), (value, origin))),
        }
    }

    /// The objection of the key's Rust type to the value, tried on top of the (valid) defaults.
    fn refused_by_type(&self, key: &str, value: &Value) -> Option<String> {
        let trial = self.defaults.iter().map(|(k, v)| (k.as_str(), if k == key { value } else { v }));
        let error = SwarmConfig::deserialize(Value::Table(tree(trial))).err()?;
        Some(format!("`{key}`: {}", error.message().trim()))
    }

    fn is_section(&self, key: &str) -> bool {
        self.defaults.keys().any(|known| known.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
    }

    fn unknown_section(&mut self, key: &str, origin: &ConfigOrigin) {
        let sections =
            self.defaults.keys().filter_map(|known| known.rsplit_once('.')).map(|(section, _)| section);
        let heir = MOVED.iter().find(|(section, _)| *section == key);
        let hint = match heir {
            Some((_, heir)) => format!("`{heir}` took its place"),
            None => hint(key, sections, "`"),
        };
        self.problems.push(ConfigProblem::at(origin, format!("there is no section `{key}`; {hint}")));
    }

    fn finish(self, env: &[(OsString, OsString)]) -> Result<SwarmConfig, ConfigError> {
        let Self { defaults, in_force, dotenv, mut problems } = self;
        let origin = |key: &str| in_force.get(key).map(|(_, origin)| origin.clone()).unwrap_or_default();
        let table = tree(in_force.iter().map(|(key, (value, _))| (key.as_str(), value)));
        let mut config =
            SwarmConfig::deserialize(Value::Table(table)).map_err(|error| broken_defaults(&error))?;
        if problems.is_empty() {
            let wrong = limits::disagreements(&config).into_iter();
            problems.extend(wrong.map(|(key, what)| ConfigProblem::at(&origin(key), what)));
        }
        problems.extend(credentials::misdirected(&in_force, &defaults));
        let listed_in = origin(compatible::KEY);
        let variables = KeyVariables { env, dotenv: &dotenv, is_folder: listed_in.folder_file().is_some() };
        let wrong = compatible::fill_keys(&mut config.providers.compatible, &variables).into_iter();
        problems.extend(wrong.map(|what| ConfigProblem::at(&listed_in, what)));
        let is_default = |key: &str| origin(key) == ConfigOrigin::Default;
        if let Err((key, what)) = make_absolute(&mut config, is_default("agents.folder")) {
            problems.push(ConfigProblem::at(&origin(key), what));
        }
        if !problems.is_empty() {
            return Err(ConfigError { problems });
        }
        config.effective = in_force.into_iter().map(effective).collect();
        Ok(config)
    }
}

/// Makes all paths absolute; the user's agents folder must exist, unless only the default.
fn make_absolute(config: &mut SwarmConfig, agents_may_miss: bool) -> Result<(), (&'static str, String)> {
    let workdir = std::path::absolute(&config.daemon.workdir)
        .map_err(|error| ("daemon.workdir", format!("`daemon.workdir` cannot be used: {error}")))?;
    config.daemon.data_dir = workdir.join(&config.daemon.data_dir);
    if let Some(folder) = config.agents.folder.take() {
        let folder = workdir.join(folder);
        if folder.is_dir() {
            config.agents.folder = Some(folder);
        } else if !agents_may_miss {
            return Err(("agents.folder", format!("`agents.folder`: no folder at {}", folder.display())));
        }
    }
    config.prices.file = config.prices.file.take().map(|file| workdir.join(file));
    config.daemon.workdir = workdir;
    Ok(())
}

fn effective((key, (value, origin)): (String, (Value, ConfigOrigin))) -> EffectiveSetting {
    let hidden = SECRETS.contains(&key.as_str()) && value.as_str() != Some("");
    let value = if hidden { "\"***\"".to_owned() } else { value.to_string() };
    EffectiveSetting { key, value, origin }
}

fn read_small(path: &Path) -> io::Result<String> {
    let size = std::fs::metadata(path)?.len();
    if size > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("{size} bytes are too many for a configuration file")));
    }
    std::fs::read_to_string(path)
}

fn broken_defaults(error: &toml::de::Error) -> ConfigError {
    let place = Path::new("config/pas.toml (built in)");
    ConfigError { problems: vec![ConfigProblem::in_file(place, error.to_string())] }
}

fn join(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

fn collect_leaves(section: &str, table: Table, leaves: &mut BTreeMap<String, Value>) {
    for (name, value) in table {
        let key = join(section, &name);
        match value {
            Value::Table(inner) => collect_leaves(&key, inner, leaves),
            value => drop(leaves.insert(key, value)),
        }
    }
}

/// The reverse of [`collect_leaves`].
fn tree<'a>(leaves: impl Iterator<Item = (&'a str, &'a Value)>) -> Table {
    let mut root = Table::new();
    for (key, value) in leaves {
        let mut path: Vec<&str> = key.split('.').collect();
        let name = path.pop().unwrap_or_default();
        let mut table = Some(&mut root);
        for section in path {
            let slot = table.map(|table| table.entry(section).or_insert_with(|| Value::Table(Table::new())));
            table = slot.and_then(Value::as_table_mut);
        }
        if let Some(table) = table {
            table.insert(name.to_owned(), value.clone());
        }
    }
    root
}

fn plain(value: DeValue<'_>, span: Range<usize>) -> Result<Value, String> {
    let deserializer = ValueDeserializer::from(Spanned::new(span, value));
    Value::deserialize(deserializer).map_err(|error| error.message().trim().to_owned())
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a number with a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date or time",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

/// The key that took the place of a variable whose section is gone.
fn successor(variable: &str) -> Option<&'static str> {
    let (section, _) = variable.strip_prefix(ENV_PREFIX)?.split_once("__")?;
    MOVED.iter().find(|(old, _)| old.eq_ignore_ascii_case(section)).map(|(_, heir)| *heir)
}

/// The nearest name, or where to find all names.
fn hint(wrong: &str, names: impl Iterator<Item = impl AsRef<str>>, quote: &str) -> String {
    let names: Vec<String> = names.map(|name| name.as_ref().to_owned()).collect();
    // The right key in the wrong section is a likelier slip than any misspelling.
    let last_part = |name: &str| name.rsplit('.').next().map(str::to_owned);
    let moved = names.iter().map(String::as_str).find(|name| last_part(name) == last_part(wrong));
    match moved.or_else(|| nearest_name(wrong, names.iter().map(String::as_str))) {
        Some(name) => format!("did you mean {quote}{name}{quote}?"),
        None => "`pas config` lists all settings".to_owned(),
    }
}
