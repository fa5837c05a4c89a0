//! The limits and thresholds of an ingest: from the card, else the daemon's configuration, else these
//! defaults. The stores of keys come from the configuration alone: a card must not open them.
//!
//! Failure policy: an invalid value is [`SkillError::Permanent`], with the key.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::key_stores::SETTING;
use crate::{SkillError, StepContext};

/// Prose of this size is a book shelf, and `threads` of them fit into memory several times over.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;
/// A guard against `/` as the corpus.
const MAX_FILES: u64 = 500_000;
/// From here on two documents are versions of one.
const NEAR_DUPLICATE_PERCENT: u8 = 80;
/// A footer or a contribution notice is in at least every fifth document.
const BOILERPLATE_PERCENT: u8 = 20;
/// These licences bind even services that only use the text or code.
const DENY_LICENCES: [&str; 3] = ["AGPL-3.0-only", "AGPL-3.0-or-later", "SSPL-1.0"];
/// Of SSH, GnuPG, clouds, clusters, registries, Git hosts, password managers, browsers and systems.
const KEY_STORES: [&str; 30] = [
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".config/gcloud",
    ".oci",
    ".kube",
    ".docker/config.json",
    ".config/gh",
    ".config/hub",
    ".cargo/credentials.toml",
    ".terraform.d/credentials.tfrc.json",
    ".vault-token",
    ".password-store",
    ".config/sops",
    ".config/rclone",
    ".local/share/keyrings",
    ".local/share/kwalletd",
    ".pki",
    "Library/Keychains",
    ".mozilla",
    ".thunderbird",
    ".config/chromium",
    ".config/google-chrome",
    ".config/microsoft-edge",
    ".config/BraveSoftware",
    "Library/Application Support/Firefox",
    "Library/Application Support/Google/Chrome",
    "/etc/shadow",
    "/etc/ssl/private",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestSettings {
    /// Largest file that is read, in bytes.
    pub max_file_bytes: u64,
    /// Most files of one source.
    pub max_files: u64,
    /// SPDX identifiers that are violations.
    pub deny_licences: Vec<String>,
    /// Similarity from which documents are near-duplicates, in per cent.
    pub near_duplicate_percent: u8,
    /// Share of documents from which a repeated paragraph is boilerplate, in per cent.
    pub boilerplate_percent: u8,
    /// Names of files and folders that hold keys, and are not read.
    pub key_stores: Vec<String>,
}

impl IngestSettings {
    /// The settings of a step.
    ///
    /// # Errors
    /// [`SkillError::Permanent`] for an invalid value.
    pub fn of(step: &StepContext) -> Result<Self, SkillError> {
        let whole = "give a positive whole number";
        let percent = "give a whole number from 1 to 100";
        // One less than the maximum keeps `limit + 1` in range.
        let is_limit = |limit: &u64| *limit > 0 && *limit < u64::MAX;
        let is_percent = |share: &u8| (1..=100).contains(share);
        Ok(Self {
            max_file_bytes: read(step, "max_file_bytes", MAX_FILE_BYTES, is_limit, whole)?,
            max_files: read(step, "max_files", MAX_FILES, is_limit, whole)?,
            deny_licences: read(
                step,
                "deny_licences",
                DENY_LICENCES.map(str::to_owned).to_vec(),
                |_| true,
                "use a list of SPDX identifiers, such as [\"AGPL-3.0-only\"]",
            )?,
            near_duplicate_percent: read(
                step,
                "near_duplicate_percent",
                NEAR_DUPLICATE_PERCENT,
                is_percent,
                percent,
            )?,
            boilerplate_percent: read(step, "boilerplate_percent", BOILERPLATE_PERCENT, is_percent, percent)?,
            key_stores: taken(
                SETTING,
                step.configured(SETTING),
                KEY_STORES.map(str::to_owned).to_vec(),
                |_| true,
                "use a list of names and paths, such as [\".ssh\"]",
            )?,
        })
    }
}

fn read<T: DeserializeOwned>(
    step: &StepContext,
    key: &str,
    built_in: T,
    makes_sense: impl Fn(&T) -> bool,
    wanted: &str,
) -> Result<T, SkillError> {
    taken(key, step.setting(key), built_in, makes_sense, wanted)
}

fn taken<T: DeserializeOwned>(
    key: &str,
    given: Option<&Value>,
    built_in: T,
    makes_sense: impl Fn(&T) -> bool,
    wanted: &str,
) -> Result<T, SkillError> {
    let given = match given {
        None | Some(Value::Null) => return Ok(built_in),
        Some(given) => given,
    };
    let value = T::deserialize(given).ok().filter(makes_sense);
    value.ok_or_else(|| SkillError::Permanent(format!("`{key}` is {given}: {wanted}")))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::StepControl;

    fn settings(inputs: Value, defaults: Value) -> Result<IngestSettings, SkillError> {
        let step = StepContext::new(PathBuf::new(), inputs, 1, Arc::new(StepControl::default()));
        IngestSettings::of(&step.with_defaults(Arc::new(defaults)))
    }

    #[test]
    fn the_card_comes_before_the_configuration_and_that_before_what_is_built_in() {
        let keys: [(&str, Value, Value); 5] = [
            ("max_file_bytes", json!(7), json!(9)),
            ("max_files", json!(7), json!(9)),
            ("deny_licences", json!(["MIT"]), json!(["0BSD"])),
            ("near_duplicate_percent", json!(7), json!(9)),
            ("boilerplate_percent", json!(7), json!(9)),
        ];
        let built_in = settings(json!({}), Value::Null).unwrap();
        for (key, card, config) in keys {
            let from_card = settings(json!({ key: card.clone() }), json!({ key: config.clone() })).unwrap();
            let from_config = settings(json!({}), json!({ key: config.clone() })).unwrap();
            assert_eq!(from_card, settings(json!({ key: card }), Value::Null).unwrap(), "{key}");
            assert_eq!(from_config, settings(json!({ key: config }), Value::Null).unwrap(), "{key}");
            assert!(from_card != from_config && from_config != built_in, "{key} is not read");
            assert_eq!(settings(json!({ key: null }), Value::Null).unwrap(), built_in, "{key}");
        }
    }

    #[test]
    fn a_card_opens_no_store_of_keys() {
        let built_in = settings(json!({}), Value::Null).unwrap();
        assert!(built_in.key_stores.iter().any(|name| name == ".ssh"));
        let carded = settings(json!({ "key_stores": [] }), Value::Null).unwrap();
        assert_eq!(carded, built_in);
        let configured = settings(json!({ "key_stores": ["a"] }), json!({ "key_stores": ["b"] })).unwrap();
        assert_eq!(configured.key_stores, ["b"]);
        assert!(
            settings(json!({}), json!({ "key_stores": 1 })).unwrap_err().to_string().contains("key_stores")
        );
    }

    #[test]
    fn a_value_that_makes_no_sense_is_refused_by_its_key() {
        for (key, value) in [
            ("max_file_bytes", json!(0)),
            ("max_file_bytes", json!("much")),
            ("max_files", json!(-1)),
            ("deny_licences", json!("MIT")),
            ("near_duplicate_percent", json!(101)),
            ("boilerplate_percent", json!(0)),
        ] {
            let error = settings(json!({ key: value.clone() }), Value::Null).unwrap_err();
            assert!(
                matches!(&error, SkillError::Permanent(text) if text.contains(key)),
                "{key} {value}: {error}"
            );
        }
    }
}
