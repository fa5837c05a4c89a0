//! The same questions to a language model, and the check of what it answers.
//!
//! Invariant: nothing a model says is passed on unless it is one of the words of the contract; shares
//! outside 0 to 1 are refused.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::TextModel;
use super::tmd::{Method, Task, Tmd};
use crate::skills::ingest::classify::Domain;

/// Characters of the question and of all documents that a prompt holds: a small model reads 2,048 tokens.
const QUESTION_CHARS: usize = 2_000;
const DOCUMENT_CHARS: usize = 2_000;

/// Why a model's answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    #[error("the model `{0}` did not answer: {1}")]
    Silent(String, String),
    /// It is not in the form that was asked for.
    #[error("the model `{0}` did not answer in the form asked for: {1}")]
    Form(String, String),
}

#[derive(Deserialize)]
struct DomainAnswer {
    domain: String,
    confidence: f32,
}

#[derive(Deserialize)]
struct TmdAnswer {
    task: Task,
    method: Method,
    domain: String,
}

/// The domains a model names, most likely first; at least one.
///
/// # Errors
/// [`ModelError`].
pub async fn domains_by(
    model: &dyn TextModel,
    question: &str,
    documents: &[String],
    top: usize,
) -> Result<Vec<(Domain, f32)>, ModelError> {
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

/// Task, method and domain as a model sees them. How sure it is it is not asked: small models do not
/// know, so each counts as one in `sure`.
///
/// # Errors
/// [`ModelError`].
pub async fn tmd_by(
    model: &dyn TextModel,
    question: &str,
    documents: &[String],
    hint: Option<Method>,
    sure: f32,
) -> Result<Tmd, ModelError> {
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
    Ok(Tmd {
        task: (answer.task, sure),
        method: hint.map_or((answer.method, sure), |hint| (hint, 1.0)),
        domain: (parsed(model, &answer.domain)?, sure),
    })
}

async fn ask<T: DeserializeOwned>(
    model: &dyn TextModel,
    prompt: String,
    [open, close]: [char; 2],
) -> Result<T, ModelError> {
    let text = model.complete(prompt).await.map_err(|why| ModelError::Silent(model.name(), why))?;
    // Models like to put words around their JSON.
    let json = text.find(open).and_then(|from| text.rfind(close).and_then(|to| text.get(from..=to)));
    let json = json.ok_or_else(|| wrong_form(model, "there is no JSON in it"))?;
    serde_json::from_str(json).map_err(|error| wrong_form(model, error.to_string()))
}

fn parsed(model: &dyn TextModel, name: &str) -> Result<Domain, ModelError> {
    name.parse()
        .map_err(|error: crate::skills::ingest::classify::UnknownDomain| wrong_form(model, error.to_string()))
}

fn wrong_form(model: &dyn TextModel, what: impl Into<String>) -> ModelError {
    ModelError::Form(model.name(), what.into())
}

fn names() -> String {
    Domain::ALL.map(Domain::name).join(", ")
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
    struct Says(&'static str);

    impl TextModel for Says {
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
        let says = Says(
            r#"Sure! [{"domain": "LAW", "confidence": 0.2}, {"domain": "PHYSICS", "confidence": 0.7}] Ok?"#,
        );
        let ranked = domains_by(&says, &"why ".repeat(9_000), &["doc".repeat(9_000)], 3).await.unwrap();
        assert_eq!(ranked, [(Domain::Physics, 0.7), (Domain::Law, 0.2)]);
        let says = Says(r#"{"task": "COMPARE", "method": "SPARSE", "domain": "LAW"}"#);
        let tmd = tmd_by(&says, "?", &[], Some(Method::Dense), 0.5).await.unwrap();
        assert_eq!(
            (tmd.task, tmd.method, tmd.domain),
            ((Task::Compare, 0.5), (Method::Dense, 1.0), (Domain::Law, 0.5))
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
            let answer = domains_by(&Says(text), "?", &[], 3).await;
            assert!(matches!(answer, Err(ModelError::Form(..))), "{text}: {answer:?}");
        }
    }
}
