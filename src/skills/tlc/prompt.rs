//! Prompts to a language model, and the validation of the answers.
//!
//! Invariant: only words of the contract are passed on from an answer; shares outside 0 to 1 are refused.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::TextModel;
use super::tmd::{QueryTask, QueryTmd, RetrievalMethod};
use crate::ingest::classify::KnowledgeDomain;

/// Characters of the question and of all documents in a prompt: a small model reads 2,048 tokens.
const QUESTION_CHARS: usize = 2_000;
const DOCUMENT_CHARS: usize = 2_000;

/// Why a model's answer is unusable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextModelError {
    #[error("the model `{0}` did not answer: {1}")]
    Silent(String, String),
    /// The answer has another form than requested.
    #[error("the model `{0}` did not answer in the requested form: {1}")]
    Form(String, String),
}

#[derive(Deserialize)]
struct DomainAnswer {
    domain: String,
    confidence: f32,
}

#[derive(Deserialize)]
struct TmdAnswer {
    task: QueryTask,
    method: RetrievalMethod,
    domain: String,
}

/// The domains a model names, most likely first; at least one.
///
/// # Errors
/// [`TextModelError`].
pub async fn domains_by(
    model: &dyn TextModel,
    question: &str,
    documents: &[String],
    top: usize,
) -> Result<Vec<(KnowledgeDomain, f32)>, TextModelError> {
    let prompt = format!(
        "Name the {top} most likely domains of the question, best first, each with its probability.\n\
         Domains: {}.\n\
         Answer with JSON only: [{{\"domain\": \"PHYSICS\", \"confidence\": 0.9}}]\n{}\nJSON:",
        names(),
        asked(question, documents)
    );
    let answers: Vec<DomainAnswer> = ask(model, prompt, ['[', ']']).await?;
    let mut ranked = Vec::new();
    for DomainAnswer { domain, confidence } in answers {
        if !(0.0..=1.0).contains(&confidence) {
            return Err(wrong_form(model, format!("{confidence} is no probability")));
        }
        ranked.push((parsed(model, &domain)?, confidence));
    }
    if ranked.is_empty() {
        return Err(wrong_form(model, "it names no domain"));
    }
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked.truncate(top);
    Ok(ranked)
}

/// Task, method and domain by a model. The model is not asked for confidence, which small models cannot
/// judge; each label gets the value in `sure`.
///
/// # Errors
/// [`TextModelError`].
pub async fn tmd_by(
    model: &dyn TextModel,
    question: &str,
    documents: &[String],
    hint: Option<RetrievalMethod>,
    sure: f32,
) -> Result<QueryTmd, TextModelError> {
    let prompt = format!(
        "Classify the question.\n\
         task: RETRIEVE (show documents), ANSWER, VERIFY (is a statement true), COMPARE or SUMMARIZE.\n\
         method: DENSE (by meaning), SPARSE (by exact words), HYBRID (both) or GRAPH (along relations).\n\
         domain: {}.\n\
         Answer with JSON only: {{\"task\": \"ANSWER\", \"method\": \"DENSE\", \"domain\": \"PHYSICS\"}}\n{}\nJSON:",
        names(),
        asked(question, documents)
    );
    let answer: TmdAnswer = ask(model, prompt, ['{', '}']).await?;
    Ok(QueryTmd {
        task: (answer.task, sure),
        method: hint.map_or((answer.method, sure), |hint| (hint, 1.0)),
        domain: (parsed(model, &answer.domain)?, sure),
    })
}

async fn ask<T: DeserializeOwned>(
    model: &dyn TextModel,
    prompt: String,
    [open, close]: [char; 2],
) -> Result<T, TextModelError> {
    let text = model.complete(prompt).await.map_err(|why| TextModelError::Silent(model.name(), why))?;
    // Models often wrap their JSON in prose.
    let json = text.find(open).and_then(|from| text.rfind(close).and_then(|to| text.get(from..=to)));
    let json = json.ok_or_else(|| wrong_form(model, "there is no JSON in it"))?;
    serde_json::from_str(json).map_err(|error| wrong_form(model, error.to_string()))
}

fn parsed(model: &dyn TextModel, name: &str) -> Result<KnowledgeDomain, TextModelError> {
    name.parse().map_err(|error: crate::ingest::classify::UnknownDomain| wrong_form(model, error.to_string()))
}

fn wrong_form(model: &dyn TextModel, what: impl Into<String>) -> TextModelError {
    TextModelError::Form(model.name(), what.into())
}

fn names() -> String {
    KnowledgeDomain::ALL.map(KnowledgeDomain::name).join(", ")
}

fn asked(question: &str, documents: &[String]) -> String {
    let question: String = question.chars().take(QUESTION_CHARS).collect();
    let documents: String =
        documents.iter().flat_map(|text| text.chars().chain(['\n'])).take(DOCUMENT_CHARS).collect();
    if documents.is_empty() {
        format!("Question: {question}")
    } else {
        format!("Documents: {documents}\nQuestion: {question}")
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::future::BoxFuture;

    use super::*;

    #[derive(Debug)]
    struct FixedModel(&'static str);

    impl TextModel for FixedModel {
        fn name(&self) -> String {
            "parrot".to_owned()
        }

        fn complete(&self, prompt: String) -> BoxFuture<'_, Result<String, String>> {
            assert!(
                prompt.contains("FACTOIDWIKI") && prompt.contains("OTHER") && prompt.chars().count() < 6_000
            );
            std::future::ready(Ok(self.0.to_owned())).boxed()
        }
    }

    #[tokio::test]
    async fn words_around_the_json_are_passed_over_and_the_best_comes_first() {
        let says = FixedModel(
            r#"Sure! [{"domain": "LAW", "confidence": 0.2}, {"domain": "PHYSICS", "confidence": 0.7}] Ok?"#,
        );
        let ranked = domains_by(&says, &"why ".repeat(9_000), &["doc".repeat(9_000)], 3).await.unwrap();
        assert_eq!(ranked, [(KnowledgeDomain::Physics, 0.7), (KnowledgeDomain::Law, 0.2)]);
        let says = FixedModel(r#"{"task": "COMPARE", "method": "SPARSE", "domain": "LAW"}"#);
        let tmd = tmd_by(&says, "?", &[], Some(RetrievalMethod::Dense), 0.5).await.unwrap();
        assert_eq!(
            (tmd.task, tmd.method, tmd.domain),
            ((QueryTask::Compare, 0.5), (RetrievalMethod::Dense, 1.0), (KnowledgeDomain::Law, 0.5))
        );
    }

    #[tokio::test]
    async fn what_is_not_in_the_contract_is_refused() {
        for text in [
            "PHYSICS",
            "[]",
            r#"[{"domain": "ASTROLOGY", "confidence": 1}]"#,
            r#"[{"domain": "PHYSICS", "confidence": 90}]"#,
            r#"[{"domain": "PHYSICS"}]"#,
            "][",
        ] {
            let answer = domains_by(&FixedModel(text), "?", &[], 3).await;
            assert!(matches!(answer, Err(TextModelError::Form(..))), "{text}: {answer:?}");
        }
    }
}
