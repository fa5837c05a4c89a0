//! How many of the SPDX list's texts are found, under names that say nothing. The crate `spdx` has them in `src/text/licenses`:
//!
//! `PAS_LICENCE_TEXTS=FOLDER cargo nextest run -p pas-skills --run-ignored only --no-capture -E 'test(texts_of_the_list)'`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::*;

/// The texts by identifier, those of deprecated identifiers left out.
fn texts(folder: &Path) -> BTreeMap<String, String> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let current = |path: &PathBuf| {
        let id = path.file_name()?.to_str()?.to_owned();
        spdx::license_id(&id)
            .is_some_and(|known| known.name == id && !known.is_deprecated() && id != "NOASSERTION")
            .then_some(id)
    };
    // The crate that carries them stores each as a literal of Rust.
    let bare = |text: &str| text.trim().trim_start_matches("r#\"").trim_end_matches("\"#").to_owned();
    let text = |path: PathBuf| Some((current(&path)?, bare(&std::fs::read_to_string(&path).unwrap())));
    files.filter_map(text).collect()
}

#[test]
#[ignore = "needs the texts"]
fn texts_of_the_list_are_found_under_any_name() {
    let folder =
        std::env::var("PAS_LICENCE_TEXTS").expect("PAS_LICENCE_TEXTS: a folder of texts named by identifier");
    let texts = texts(Path::new(&folder));
    let known = LicenceTexts::default();
    // Some identifiers differ in what a grant says, not in their texts.
    let plain = |text: &str| plain::flat(text).text;
    let mut same: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (id, text) in &texts {
        same.entry(plain(text)).or_default().push(id);
    }
    for (name, kind) in [("LICENSE", "licence"), ("words.txt", "text")] {
        let answers: Vec<_> = texts
            .par_iter()
            .map(|(id, text)| {
                let found = of(Path::new(name), kind, text, &known).unwrap();
                (id, found.into_iter().map(|hit| (hit.spdx, hit.confidence)).collect::<Vec<_>>())
            })
            .collect();
        let is_right = |id: &str, found: &[(String, f32)]| {
            found.len() == 1 && same[&plain(&texts[id])].contains(&found[0].0.as_str())
        };
        let right = answers.iter().filter(|(id, found)| is_right(id, found)).count();
        let share = right as f64 / answers.len() as f64;
        println!("{name}: {right} of {} exact, {share:.3}", answers.len());
        for (id, found) in answers.iter().filter(|(id, found)| !is_right(id, found)) {
            println!("  {id}: {found:?}");
        }
        assert!(share >= 0.97, "{name}: {share}");
    }
}
