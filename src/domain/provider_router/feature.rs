//! Synonyms for a model's features: vendors and clients name the same feature differently.
//!
//! Owns the one table of synonyms. Records keep their original words; only the comparison uses the table. A
//! word outside the table means itself, regardless of case and hyphens.

use std::collections::BTreeSet;

/// A feature, then its other names.
const SYNONYMS: [(&str, &[&str]); 6] = [
    (
        "tools",
        &[
            "tool",
            "tool_use",
            "tool_call",
            "tool_calls",
            "tool_calling",
            "function",
            "functions",
            "function_call",
            "function_calls",
            "function_calling",
        ],
    ),
    ("images", &["image", "image_input", "image_inputs", "image_understanding", "vision", "visual"]),
    ("streaming", &["stream", "streams", "sse"]),
    (JSON, &["json_output"]),
    (JSON_MODE, &["json_object"]),
    (JSON_SCHEMA, &["structured_output", "structured_outputs", "structured_generation"]),
];

/// JSON by any method. PAS's own offers list this for models that follow a schema.
const JSON: &str = "json";
/// Valid JSON of any shape.
const JSON_MODE: &str = "json_mode";
/// JSON of a given schema.
const JSON_SCHEMA: &str = "json_schema";

/// The canonical word for a feature.
fn canonical(word: &str) -> String {
    let plain = word.trim().to_lowercase().replace(['-', ' '], "_");
    let row = SYNONYMS.iter().find(|(_, others)| others.contains(&plain.as_str()));
    row.map_or(plain, |(feature, _)| (*feature).to_owned())
}

/// Whether one of the offered words means the requested feature.
#[must_use]
pub fn is_offered(offered: &BTreeSet<String>, asked: &str) -> bool {
    if offered.contains(asked) {
        return true;
    }
    let asked = canonical(asked);
    offered.iter().map(|word| canonical(word)).any(|word| means(&word, &asked))
}

fn means(offered: &str, asked: &str) -> bool {
    let is_json = |word| [JSON, JSON_MODE, JSON_SCHEMA].contains(&word);
    // Valid JSON is not yet JSON of a schema; every other pair of the three will do.
    offered == asked || (is_json(offered) && is_json(asked) && (offered, asked) != (JSON_MODE, JSON_SCHEMA))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(offered: &str, asked: &str) -> bool {
        is_offered(&BTreeSet::from([offered.to_owned()]), asked)
    }

    #[test]
    fn every_word_of_a_feature_finds_every_other() {
        for (feature, others) in SYNONYMS {
            for word in others.iter().copied().chain([feature]) {
                assert!(has(feature, word) && has(word, feature), "{word} is {feature}");
            }
        }
        for (offered, asked) in [
            ("tools", "function_calling"),
            ("function_calling", "tools"),
            ("images", "vision"),
            ("Function-Calling", "tool_use"),
            ("json", "json_mode"),
            ("json", "structured_output"),
            ("structured_output", "json_mode"),
            ("json_mode", "json"),
            ("thinking", "Thinking"),
        ] {
            assert!(has(offered, asked), "{offered} offers {asked}");
        }
    }

    #[test]
    fn a_feature_is_no_other_one() {
        for (offered, asked) in [
            ("tools", "images"),
            ("streaming", "json"),
            ("json_mode", "json_schema"),
            ("json_mode", "structured_output"),
            ("thinking", "tools"),
            ("", "tools"),
        ] {
            assert!(!has(offered, asked), "{offered} offers no {asked}");
        }
        let words = SYNONYMS.iter().flat_map(|(feature, others)| others.iter().chain([feature]));
        let words: Vec<_> = words.collect();
        assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len(), "a word has one meaning");
    }
}
