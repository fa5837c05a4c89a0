//! Tests of the step as a whole, on the seeded corpus and on rows made for one rule.

use super::super::sample::{self, SampleCorpus};
use super::*;
use crate::ingest::formats::{AuditFlag, LicenceHit};

fn row(doc_id: u32, path: &str, licences: &[&str]) -> AuditRow {
    let hit =
        |spdx: &&str| LicenceHit { spdx: (*spdx).to_owned(), confidence: 1.0, by: "tag".into(), line: 7 };
    AuditRow {
        raw_path: String::new(),
        format: String::new(),
        doc_id,
        path: path.to_owned(),
        bytes: 10,
        status: AuditStatus::Ok,
        reason: String::new(),
        kind: "text".into(),
        encoding: "UTF-8".into(),
        decode_errors: 0,
        language: "eng".into(),
        licences: licences.iter().map(hit).collect(),
        flags: Vec::new(),
        blake3: String::new(),
    }
}

fn check(audit: &[AuditRow], inputs: Value) -> Result<(ComplianceReport, Value), SkillError> {
    let folder = tempfile::tempdir().unwrap();
    let step = sample::step(folder.path(), inputs);
    sample::write_all(&step, AUDIT, audit);
    let outcome = run(&step)?;
    Ok((output::read_json(&step, COMPLIANCE).unwrap(), outcome.outputs))
}

#[test]
fn the_seeded_corpus_fails_for_its_one_real_key() {
    let folder = SampleCorpus::seeded(60).checked_run();
    let compliance: ComplianceReport =
        output::read_json(&sample::step(folder.path(), Value::Null), COMPLIANCE).unwrap();
    assert_eq!(compliance.verdict, "fail");
    let high: Vec<&ComplianceFinding> =
        compliance.findings.iter().filter(|finding| finding.severity == "high").collect();
    assert_eq!(high.len(), 1);
    assert_eq!(
        (high[0].rule.as_str(), high[0].place.as_str()),
        ("secret.private_key", "scratch/README.md:12")
    );
    assert_eq!(compliance.unlicensed, ["handbook", "scratch"]);
    let example = compliance.findings.iter().find(|finding| finding.rule == "secret.aws_access_key").unwrap();
    assert_eq!(example.severity, "low", "the key that AWS prints in its own manual: {}", example.message);
}

#[test]
fn a_document_counts_once_a_licence_and_in_its_strictest_family() {
    let audit = [row(0, "a/x", &["MIT", "MIT", "GPL-3.0-only"]), row(1, "b/x", &["MIT/Apache-2.0"])];
    let (compliance, _) = check(&audit, Value::Null).unwrap();
    let licences: Vec<(&str, u32)> =
        compliance.licences.iter().map(|(id, count)| (id.as_str(), *count)).collect();
    assert_eq!(licences, [("GPL-3.0-only", 1), ("MIT", 1), ("MIT OR Apache-2.0", 1)]);
    assert_eq!(compliance.families, [("strong copyleft".to_owned(), 1), ("permissive".to_owned(), 1)].into());
    assert_eq!(compliance.verdict, "attention");
}

#[test]
fn a_denied_licence_fails_the_check() {
    let audit = [row(0, "a/x", &["AGPL-3.0-or-later"]), row(1, "a/y", &["MIT OR AGPL-3.0-only"])];
    let (compliance, outputs) = check(&audit, json!({"deny_licences": ["AGPL-3.0-only"]})).unwrap();
    assert_eq!(compliance.verdict, "fail");
    assert_eq!(compliance.findings[0].rule, "licence.denied");
    assert_eq!(compliance.findings[0].place, "a/x:7");
    assert_eq!(outputs["findings"]["high"], 1);
}

#[test]
fn a_licence_file_at_the_root_covers_every_folder() {
    let mut root = row(0, "LICENSE", &["MIT"]);
    root.kind = "licence".into();
    let (compliance, _) = check(&[root, row(1, "src/x", &[])], Value::Null).unwrap();
    assert_eq!((compliance.verdict.as_str(), compliance.unlicensed), ("pass", vec![]));
    let (compliance, _) = check(&[row(0, "notes", &[]), row(1, "src/x", &["MIT"])], Value::Null).unwrap();
    assert_eq!(compliance.unlicensed, ["."]);
}

#[test]
fn findings_stop_at_the_limit_and_say_how_many_are_left() {
    let mut audit: Vec<AuditRow> = (0..700).map(|id| row(id, &format!("p/{id:04}"), &["MIT"])).collect();
    for row in &mut audit {
        let class = if row.doc_id == 699 { "secret" } else { "pii" };
        row.flags.push(AuditFlag {
            class: class.into(),
            kind: "email".into(),
            line: 1,
            column: 1,
            masked: "a…z".into(),
        });
    }
    let (compliance, outputs) = check(&audit, Value::Null).unwrap();
    assert_eq!(compliance.findings.len(), MAX_FINDINGS + 1);
    assert_eq!(compliance.findings[0].place, "p/0699:1", "gravest first, whatever its place");
    assert!(compliance.findings[MAX_FINDINGS].message.starts_with("200 more findings"));
    assert_eq!(outputs["findings_omitted"], 200);
}

#[test]
fn nonsense_inputs_and_a_missing_audit_are_permanent() {
    for inputs in [json!({"deny_licences": "MIT"}), json!({"deny_licences": ["NOPE"]})] {
        assert!(matches!(check(&[], inputs), Err(SkillError::Permanent(_))));
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(run(&sample::step(folder.path(), Value::Null)), Err(SkillError::Permanent(_))));
}

#[test]
fn an_empty_folder_passes() {
    let (compliance, _) = check(&[], json!({})).unwrap();
    assert_eq!(compliance, ComplianceReport { verdict: "pass".into(), ..ComplianceReport::default() });
}
