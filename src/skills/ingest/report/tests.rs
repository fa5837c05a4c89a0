//! Tests of the report as a whole, on the seeded corpus and on folders at the edges.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::formats::*;
use super::super::sample::{self, SampleCorpus};
use super::*;

/// Markdown, page and outputs of a report on `run_dir`.
fn report(run_dir: &Path) -> (String, String, Value) {
    let step = sample::step(run_dir, json!({"name": "crates"}));
    let outcome = run(&step).unwrap();
    let read = |path: &str| std::fs::read_to_string(run_dir.join(path)).unwrap();
    (read(REPORT_MD), read(REPORT_HTML), outcome.outputs)
}

fn findings(outputs: &Value) -> Vec<&str> {
    outputs["findings"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect()
}

/// Fails unless every tag is closed in order, every id exists once, every link leads inside the page and
/// nothing is loaded from elsewhere.
fn assert_sound(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    let (mut ids, mut links) = (Vec::new(), Vec::new());
    let body = html.split_once("</style>").map_or(html, |(_, body)| body);
    for piece in body.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').unwrap_or_else(|| panic!("no end of a tag: {piece}"));
        if let Some(name) = tag.strip_prefix('/') {
            if !matches!(name, "head" | "html") {
                assert_eq!(open.pop(), Some(name), "closed out of order");
            }
        } else {
            open.push(tag.split([' ', '\n']).next().unwrap());
        }
        ids.extend(attribute(tag, " id=\""));
        links.extend(attribute(tag, " href=\""));
        assert!(!tag.contains(" src=") && !tag.contains(" on"), "loads or runs something: {tag}");
    }
    assert!(open.is_empty(), "left open: {open:?}");
    for link in links {
        assert!(ids.contains(&link.trim_start_matches('#')), "leads nowhere: {link}");
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id twice");
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    tag.split_once(name).and_then(|(_, rest)| rest.split('"').next())
}

#[test]
fn the_report_on_the_seeded_corpus_reads_as_agreed() {
    let folder = SampleCorpus::seeded(60).checked_run();
    let (markdown, html, outputs) = report(folder.path());
    insta::assert_snapshot!(markdown);
    assert_sound(&html);
    assert!(html.contains("prefers-color-scheme: dark") && html.contains("<svg"));
    let lines = findings(&outputs);
    assert_eq!(lines.len(), STANDOUTS);
    assert!(lines[0].contains("Private key") && lines[0].contains("scratch/README.md:12"), "{lines:?}");
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let sample = SampleCorpus::seeded(60);
    let (first, second): (TempDir, TempDir) = (sample.checked_run(), sample.checked_run());
    assert_eq!(report(first.path()), report(second.path()));
    let place = first.path().to_string_lossy().into_owned();
    assert!(!report(first.path()).1.contains(&place), "no absolute path");
}

#[test]
fn hostile_names_stay_text() {
    let hostile = "<script>alert(1)</script>&\"'`|*[x](y)\n\u{202e}.md";
    let mut sample = SampleCorpus::seeded(40);
    for row in &mut sample.audit {
        row.path = format!("{hostile}/{}", row.doc_id);
        row.kind = format!("<b>{}", row.kind);
        row.reason = "</td><script>x</script>".into();
    }
    sample.clean.iter_mut().for_each(|row| (row.path, row.title) = (hostile.into(), hostile.into()));
    sample.domains.iter_mut().for_each(|row| (row.path, row.domain) = (hostile.into(), "<i>law".into()));
    sample.graph.nodes.iter_mut().for_each(|node| node.path = hostile.into());
    sample.graph.communities.iter_mut().for_each(|community| community.label = hostile.into());
    sample.graph.outside_hosts = [("<img src=x onerror=y>".to_owned(), 1)].into();
    sample.graph.broken = vec![(0, hostile.into())];
    let folder = sample.checked_run();
    let (markdown, html, _) = report(folder.path());
    assert_sound(&html);
    for tag in ["<script", "<img", "<i>", "<b>law"] {
        assert!(!html.contains(tag), "{tag} got through");
    }
    let raw =
        pulldown_cmark::Parser::new_ext(&markdown, pulldown_cmark::Options::ENABLE_TABLES).filter(|event| {
            matches!(event, pulldown_cmark::Event::Html(_) | pulldown_cmark::Event::InlineHtml(_))
        });
    assert_eq!(raw.count(), 0);
    assert!(!html.contains('\u{202e}') && !markdown.contains('\u{202e}'));
}

#[test]
fn each_absent_file_is_said_to_be_absent() {
    for (path, says) in [
        (AUDIT, "The audit was left out"),
        (CLEAN, "Duplicates were not looked for"),
        (CHUNKS, "not cut into chunks"),
        (DOMAINS, "not sorted by subject"),
        (GRAPH, "References were not followed"),
        (COMPLIANCE, "The compliance check was left out"),
        (INDEX, "There is no full-text index"),
    ] {
        let folder = SampleCorpus::seeded(60).checked_run();
        let whole = report(folder.path()).0;
        assert!(!whole.contains(says) && !whole.contains("Left out of this run"), "{path}");
        let target = folder.path().join(path);
        if target.is_dir() {
            std::fs::remove_dir(target).unwrap();
        } else {
            std::fs::remove_file(target).unwrap();
        }
        let (markdown, html, _) = report(folder.path());
        assert!(markdown.contains(says) && html.contains(says), "{path}");
        assert_sound(&html);
    }
}

#[test]
fn nothing_at_all_still_gives_a_true_report() {
    let folder = tempfile::tempdir().unwrap();
    let (markdown, html, outputs) = report(folder.path());
    assert_sound(&html);
    assert!(markdown.contains("The files themselves were not audited"));
    assert_eq!(findings(&outputs).len(), 1);
}

#[test]
fn an_empty_folder_is_called_empty() {
    let folder = SampleCorpus::default().checked_run();
    let (markdown, html, outputs) = report(folder.path());
    assert_sound(&html);
    assert!(markdown.contains("The folder is empty"));
    assert_eq!(findings(&outputs)[0], "The folder holds no file.");
}

#[test]
fn one_document_gets_five_lines_and_good_grammar() {
    let folder = SampleCorpus::seeded(1).checked_run();
    let (markdown, html, outputs) = report(folder.path());
    assert_sound(&html);
    assert_eq!(findings(&outputs).len(), STANDOUTS);
    assert!(markdown.contains("1 file in 1 top-level folder"), "{markdown}");
    for wrong in ["1 files", "1 documents", "1 folders", "NaN", "inf"] {
        assert!(!markdown.contains(&format!(" {wrong}")), "{wrong}: {markdown}");
    }
}

#[test]
fn the_report_on_five_thousand_documents_stays_small() {
    // Paths near the longest that file systems take, to count against the page.
    let mut sample = SampleCorpus::seeded(5000);
    let long = "long-folder-name/".repeat(200);
    sample.audit.iter_mut().for_each(|row| row.path = format!("{}/{long}{}", row.doc_id, row.path));
    sample.clean.iter_mut().for_each(|row| row.path = format!("{long}{}", row.path));
    sample.graph.nodes.iter_mut().for_each(|node| node.path = format!("{long}{}", node.path));
    let folder = sample.checked_run();
    let (markdown, html, _) = report(folder.path());
    assert_sound(&html);
    assert!(html.len() < 250_000, "{} bytes of HTML", html.len());
    assert!(markdown.len() < 80_000, "{} bytes of Markdown", markdown.len());
}

#[test]
fn a_damaged_file_is_permanent_and_a_stop_is_heard() {
    let folder = SampleCorpus::seeded(3).checked_run();
    std::fs::write(folder.path().join(GRAPH), "{").unwrap();
    let error = run(&sample::step(folder.path(), Value::Null)).unwrap_err();
    assert!(matches!(&error, SkillError::Permanent(text) if text.contains("graph.json")), "{error}");
    let control = std::sync::Arc::new(crate::StepControl::default());
    control.stop();
    let step = StepContext::new(folder.path().to_owned(), Value::Null, 1, control);
    assert_eq!(run(&step), Err(SkillError::Cancelled));
}

#[test]
fn a_model_s_words_are_quoted_kept_and_left_out_of_the_hash() {
    let folder = SampleCorpus::seeded(40).checked_run();
    let step = sample::step(folder.path(), Value::Null);
    let told = brief(&step).unwrap();
    assert!(told.digest.contains("Finding: ") && told.digest.contains("Licences found: "), "{}", told.digest);
    assert_eq!(told.known, None);
    let without = run(&step).unwrap();
    assert!(without.artifacts.iter().all(|artifact| artifact.deterministic));
    let words = json!({
        "outcome": "text", "digest": told.hash, "text": "<b>Much</b> of it.\n\n1. Repeats.", "provider": "p",
        "model": "m", "cost_nano_usd": 5_000, "request_id": "summary-1",
    });
    let outcome = run(&step.clone().with_aside(words.clone())).unwrap();
    let paths: Vec<&str> = outcome.artifacts.iter().map(|artifact| artifact.path.as_str()).collect();
    assert_eq!(paths, [REPORT_MD, REPORT_HTML, SUMMARY]);
    assert!(outcome.artifacts.iter().all(|artifact| !artifact.deterministic));
    let html = std::fs::read_to_string(folder.path().join(REPORT_HTML)).unwrap();
    assert_sound(&html);
    assert!(html.contains("“&lt;b&gt;Much") && html.contains("summary-1") && html.contains("$0.000005"));
    assert_eq!(brief(&step).unwrap().known, Some(words), "an interrupted attempt is not paid twice");
}
