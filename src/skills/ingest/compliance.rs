//! compliance-checker: permissions of licences, projects without one, and relevant secrets and personal data.
//!
//! Reads the audit and, if present, the cleaned text; writes one [`ComplianceReport`]. The setting
//! `deny_licences` defines violations. Invariants: findings are ordered by severity, then by rule and place;
//! every finding names a remedy; the verdict covers all findings, including those beyond the limit. Failure
//! policy: a missing audit or a deny list with unknown names is a permanent error.

mod flags;
pub mod licences;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;
use serde_json::{Value, json};

use self::licences::{DenyList, LicenceFamily};
use super::formats::{AUDIT, AuditRow, AuditStatus, CLEAN, COMPLIANCE, ComplianceFinding, ComplianceReport};
use super::output;
use super::settings::IngestSettings;
use crate::{SkillError, StepContext, StepOutcome};

pub use self::flags::FindingSeverity;

/// Findings kept, most severe first: more than a person reads, few enough to open the file in an editor.
const MAX_FINDINGS: usize = 500;
/// Below this a licence was recognised by a text that differs from the known one.
const SURE: f32 = 0.9;
/// The project of files outside every folder.
const ROOT: &str = ".";

/// Runs the step.
///
/// # Errors
/// [`SkillError::Permanent`] when the audit is missing or damaged, or `deny_licences` is no list of SPDX
/// identifiers; [`SkillError::Cancelled`] on request.
pub fn run(step: &StepContext) -> Result<StepOutcome, SkillError> {
    let deny = deny_list(step)?;
    let audit: Vec<AuditRow> = output::read_rows(step, AUDIT)?;
    let texts = texts_of_flagged(step, &audit)?;
    step.begin(audit.len() as u64, "checking licences, secrets and personal data");

    let tally = LicenceTally::of(&audit);
    let mut drafts = licence_findings(&audit, &deny);
    drafts.extend(tally.unlicensed.iter().map(|project| unlicensed_finding(project)));
    for row in &audit {
        step.checkpoint()?;
        drafts.extend(flag_findings(row, texts.get(&row.doc_id).map(String::as_str)));
        step.advance(1);
    }
    drafts.sort_unstable();

    let compliance = conclude(tally, &drafts);
    let artifact = output::write_json(step, COMPLIANCE, "compliance", &compliance)?;
    Ok(StepOutcome { artifacts: vec![artifact], outputs: summary(&compliance, &drafts) })
}

/// Licences of a corpus, counted by document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LicenceTally {
    /// Licence as found (identifier or expression, in one spelling) → documents.
    pub licences: BTreeMap<String, u32>,
    /// Family → documents that name a licence. A document with several counts by the strictest.
    pub families: BTreeMap<LicenceFamily, u32>,
    /// Project → strictest family; `None` where no document names a licence.
    pub projects: BTreeMap<String, Option<LicenceFamily>>,
    /// Projects without a licence of their own, unless a licence at the root covers all.
    pub unlicensed: Vec<String>,
}

impl LicenceTally {
    /// Counts the licences of all documents that were read.
    #[must_use]
    pub fn of(audit: &[AuditRow]) -> Self {
        let mut tally = Self::default();
        for row in audit.iter().filter(|row| row.status == AuditStatus::Ok) {
            tally.count(row);
        }
        let covered = audit.iter().any(|row| {
            project(&row.path) == ROOT
                && row.licences.iter().any(|hit| hit.by == "manifest" || row.kind == "licence")
        });
        if !covered {
            let bare = tally.projects.iter().filter(|(_, family)| family.is_none());
            tally.unlicensed = bare.map(|(project, _)| project.clone()).collect();
        }
        tally
    }

    fn count(&mut self, row: &AuditRow) {
        let found: BTreeSet<_> = row.licences.iter().map(|hit| licences::canonical(&hit.spdx)).collect();
        let strictest = found.iter().map(|spdx| licences::family(spdx)).max();
        let project = self.projects.entry(project(&row.path).to_owned()).or_default();
        *project = (*project).max(strictest);
        if let Some(family) = strictest {
            *self.families.entry(family).or_default() += 1;
        }
        for spdx in found {
            *self.licences.entry(spdx).or_default() += 1;
        }
    }
}

/// The top-level folder of a path, or `.` for a file outside every folder.
#[must_use]
pub fn project(path: &str) -> &str {
    path.split_once('/').map_or(ROOT, |(folder, _)| folder)
}

/// A finding in the making; the order of the fields is the order of the findings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct FindingDraft {
    severity: FindingSeverity,
    rule: String,
    path: String,
    line: u32,
    message: String,
}

impl FindingDraft {
    fn finding(&self) -> ComplianceFinding {
        ComplianceFinding {
            severity: self.severity.name().to_owned(),
            rule: self.rule.clone(),
            place: placed((&self.path, self.line)),
            message: self.message.clone(),
        }
    }
}

/// `path:line`, or the path alone.
fn placed((path, line): (&str, u32)) -> String {
    if line == 0 { path.to_owned() } else { format!("{path}:{line}") }
}

fn deny_list(step: &StepContext) -> Result<DenyList, SkillError> {
    let names = IngestSettings::of(step)?.deny_licences;
    DenyList::new(names.iter().map(String::as_str))
        .map_err(|name| SkillError::Permanent(format!("`deny_licences` {}", not_on_the_list(&name))))
}

fn not_on_the_list(name: &str) -> String {
    format!(
        "names {name:?}, which is not an SPDX identifier: write it as on the SPDX list, such as \"AGPL-3.0-only\""
    )
}

/// Why a licence cannot be denied, in words that follow `deny_licences`.
#[must_use]
pub fn trouble_with_licence(name: &str) -> Option<String> {
    DenyList::new([name]).err().map(|name| not_on_the_list(&name))
}

/// The cleaned texts that a second look needs: those of documents with a flagged secret.
fn texts_of_flagged(step: &StepContext, audit: &[AuditRow]) -> Result<HashMap<u32, String>, SkillError> {
    #[derive(Deserialize)]
    struct DocumentText {
        doc_id: u32,
        text: String,
    }
    let has_secret = |row: &&AuditRow| row.flags.iter().any(|flag| flag.class == "secret");
    let wanted: BTreeSet<u32> = audit.iter().filter(has_secret).map(|row| row.doc_id).collect();
    if wanted.is_empty() || !step.run_dir().join(CLEAN).exists() {
        return Ok(HashMap::new());
    }
    let rows: Vec<DocumentText> = output::read_rows(step, CLEAN)?;
    Ok(rows
        .into_iter()
        .filter(|row| wanted.contains(&row.doc_id))
        .map(|row| (row.doc_id, row.text))
        .collect())
}

/// Severity, rule, project and message.
type LicenceFindingKey<'a> = (FindingSeverity, String, &'a str, String);

/// One finding for each licence worth a word in each project.
fn licence_findings(audit: &[AuditRow], deny: &DenyList) -> Vec<FindingDraft> {
    let mut places: BTreeMap<LicenceFindingKey<'_>, Vec<(&str, u32)>> = BTreeMap::new();
    for row in audit {
        for hit in &row.licences {
            for (severity, rule, message) in judge_licence(&hit.spdx, hit.confidence, deny) {
                let key = (severity, format!("licence.{rule}"), project(&row.path), message);
                places.entry(key).or_default().push((&row.path, hit.line));
            }
        }
    }
    let draft =
        |((severity, rule, project, message), mut paths): (LicenceFindingKey<'_>, Vec<(&str, u32)>)| {
            paths.dedup_by_key(|(path, _)| *path);
            let (path, line, message) = match paths.as_slice() {
                [(only, line)] => ((*only).to_owned(), *line, message),
                several => (
                    project.to_owned(),
                    0,
                    format!("{message} ({} documents, the first is {})", several.len(), placed(several[0])),
                ),
            };
            FindingDraft { severity, rule, path, line, message }
        };
    places.into_iter().map(draft).collect()
}

fn judge_licence(
    spdx: &str,
    confidence: f32,
    deny: &DenyList,
) -> Vec<(FindingSeverity, &'static str, String)> {
    let spdx = licences::canonical(spdx);
    let mut found = Vec::new();
    if let Some(denied) = deny.hit(&spdx) {
        let message =
            format!("{denied} is on the deny list: remove the work, or get it under another licence.");
        found.push((FindingSeverity::High, "denied", message));
    }
    match licences::family(&spdx) {
        LicenceFamily::StrongCopyleft => found.push((
            FindingSeverity::Medium,
            "strong_copyleft",
            format!("{spdx} asks for the source of works built on it: keep it apart from closed work."),
        )),
        LicenceFamily::Unknown => found.push((
            FindingSeverity::Medium,
            "unknown",
            format!("{spdx} is not known as a free licence: read it before use."),
        )),
        LicenceFamily::WeakCopyleft => found.push((
            FindingSeverity::Low,
            "weak_copyleft",
            format!("{spdx} asks that changes to its files be given out under it."),
        )),
        LicenceFamily::Permissive | LicenceFamily::PublicDomain => {}
    }
    if confidence < SURE {
        let message = format!("The text only resembles {spdx}: compare it with the original.");
        found.push((FindingSeverity::Low, "uncertain", message));
    }
    found
}

fn unlicensed_finding(project: &str) -> FindingDraft {
    FindingDraft {
        severity: FindingSeverity::Medium,
        rule: "licence.missing".to_owned(),
        path: project.to_owned(),
        line: 0,
        message: "No licence was found, so no permission can be assumed: ask the owner, or leave it out."
            .to_owned(),
    }
}

/// Secrets one by one, because each has to be revoked; personal data once for each kind in a file.
fn flag_findings(row: &AuditRow, text: Option<&str>) -> Vec<FindingDraft> {
    let mut secrets = Vec::new();
    let mut personal: BTreeMap<(FindingSeverity, &str), (FindingDraft, u32)> = BTreeMap::new();
    for flag in &row.flags {
        let (severity, reason) = flags::judge(flag, &row.path, text);
        let (name, remedy) = flags::advice(flag);
        let remedy = if reason.is_empty() || severity < FindingSeverity::Low {
            remedy
        } else {
            "Look once, to be sure."
        };
        let reason = if reason.is_empty() { String::new() } else { format!(", {reason}") };
        let draft = FindingDraft {
            severity,
            rule: format!("{}.{}", flag.class, flag.kind),
            path: row.path.clone(),
            line: flag.line,
            message: format!("{} ({}{reason}). {remedy}", capital(&name), flag.masked),
        };
        if flag.class == "secret" {
            secrets.push(draft);
        } else {
            personal.entry((severity, &flag.kind)).or_insert((draft, 0)).1 += 1;
        }
    }
    secrets.extend(personal.into_values().map(|(mut draft, count)| {
        if count > 1 {
            draft.message = format!("{} {} of this kind in the file.", draft.message, count);
        }
        draft
    }));
    secrets
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn conclude(tally: LicenceTally, drafts: &[FindingDraft]) -> ComplianceReport {
    let mut findings: Vec<ComplianceFinding> =
        drafts.iter().take(MAX_FINDINGS).map(FindingDraft::finding).collect();
    let omitted = drafts.len().saturating_sub(MAX_FINDINGS);
    if omitted > 0 {
        findings.push(ComplianceFinding {
            severity: FindingSeverity::Low.name().to_owned(),
            rule: "findings.omitted".to_owned(),
            place: ROOT.to_owned(),
            message: format!(
                "{omitted} more findings, none graver than the last, are not listed: mend these first."
            ),
        });
    }
    let verdict = match drafts.first().map(|draft| draft.severity) {
        Some(FindingSeverity::High) => "fail",
        Some(FindingSeverity::Medium) => "attention",
        Some(FindingSeverity::Low) | None => "pass",
    };
    ComplianceReport {
        verdict: verdict.to_owned(),
        licences: tally.licences,
        families: tally
            .families
            .into_iter()
            .map(|(family, count)| (family.name().to_owned(), count))
            .collect(),
        unlicensed: tally.unlicensed,
        findings,
    }
}

fn summary(compliance: &ComplianceReport, drafts: &[FindingDraft]) -> Value {
    let count = |severity| drafts.iter().filter(|draft| draft.severity == severity).count();
    json!({
        "verdict": compliance.verdict,
        "licences": compliance.licences.len(),
        "unlicensed": compliance.unlicensed.len(),
        "findings": {
            "high": count(FindingSeverity::High),
            "medium": count(FindingSeverity::Medium),
            "low": count(FindingSeverity::Low),
        },
        "findings_omitted": drafts.len().saturating_sub(MAX_FINDINGS),
    })
}

#[cfg(test)]
mod tests;
