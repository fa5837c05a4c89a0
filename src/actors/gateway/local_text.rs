//! Texts from local models for the daemon's own services: answers to the classifier's questions, and
//! summaries for the token governor.
//!
//! These calls are ordinary calls pinned to the local Ollama, so they have receipts and never leave the
//! machine. Failure policy: when the last probe found the model absent nothing is sent; a summary that
//! the model does not deliver is extracted instead, an answer is refused with the reason.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::{
    GatewayCaller, GatewayHandle, GatewayShared, LOCAL_MODELS, LocalModel, ModelCall, ModelRequest,
    ModelTarget,
};
use crate::domain::accounts::budget::{RunName, ScopeLabel};
use crate::llm::Vendor;
use crate::llm::chat::{ChatMessage, ChatRequest, ChatRole};
use crate::skills::summary::{ExtractiveSummariser, MAX_TOKENS, SummaryDigest, SummaryError, TextSummariser};
use crate::skills::tlc::TextModel;
use crate::supervision::Address;

/// Most tokens of an answer to the classifier: three domains with their probabilities take a hundred.
const MAX_ANSWER: u64 = 256;
/// Most tokens for the model to summarise: a laptop reads these in about half a minute.
const MAX_READ: u64 = 16_000;
/// Longest wait for a summary, so that extraction still comes within the governor's deadline of 90 s.
const PATIENCE: Duration = Duration::from_secs(60);
/// The instruction to the summarising model.
const INSTRUCTION: &str = "Summarise the notes of an agent so that another can go on from them. Write Markdown with the headings \
     Goal, Decisions, Open items, Failures. Keep numbers, names, paths, hashes and error messages exactly \
     as they are. Add nothing that is not in the notes. At most 1500 words.";

/// A slot filled with the gateway once that exists: the token governor, which the gateway itself needs, is
/// made earlier. Holds the gateway weakly, so that the two do not keep each other alive for ever. Cheap to
/// clone.
#[derive(Clone, Default)]
pub struct GatewaySlot(Arc<OnceLock<(Weak<GatewayShared>, Address<super::GatewayMessage>)>>);

impl GatewaySlot {
    /// Fills the slot; only the first gateway is kept.
    pub fn fill(&self, gateway: &GatewayHandle) {
        self.0.get_or_init(|| (Arc::downgrade(&gateway.inner), gateway.address.clone()));
    }

    fn gateway(&self) -> Option<GatewayHandle> {
        let (inner, address) = self.0.get()?;
        Some(GatewayHandle { inner: inner.upgrade()?, address: address.clone() })
    }
}

/// A local model for one purpose.
#[derive(Clone)]
struct LocalTextModel {
    seat: GatewaySlot,
    model: LocalModel,
    /// The caller name of its calls.
    caller: &'static str,
}

impl LocalTextModel {
    /// The gateway, if the model can be called now.
    fn gateway(&self) -> Option<GatewayHandle> {
        self.seat.gateway().filter(|gateway| gateway.ready().has(self.model.model))
    }

    async fn ask_model(&self, messages: Vec<ChatMessage>, limit: u64) -> Result<String, String> {
        let gateway = self.gateway().ok_or("the local Ollama does not offer it now")?;
        let request = ChatRequest {
            model: self.model.model.to_owned(),
            messages,
            max_completion_tokens: Some(limit),
            temperature: Some(0.0),
            ..ChatRequest::default()
        };
        let caller = GatewayCaller {
            request_id: format!("{}-{}", self.caller, Uuid::now_v7().simple()),
            run: RunName::default(),
            job: None,
            agent: ScopeLabel::new(self.caller).map_err(|error| error.to_string())?,
            lane: None,
        };
        let call = ModelCall::new(caller, ModelTarget::Pinned(Vendor::Ollama), ModelRequest::Chat(request));
        let chatted = gateway.chat(call).await.map_err(|error| error.to_string())?;
        let said = chatted.answer.choices.into_iter().next().and_then(|choice| choice.message.content);
        Ok(said.map(|content| content.to_text()).unwrap_or_default())
    }
}

/// The small local model, which answers the classifier's questions.
pub struct LocalClassifier(LocalTextModel);

impl LocalClassifier {
    /// A classifier that asks the gateway in this slot.
    #[must_use]
    pub const fn new(seat: GatewaySlot) -> Self {
        Self(LocalTextModel { seat, model: LOCAL_MODELS[1], caller: GatewayCaller::CLASSIFIER })
    }
}

impl fmt::Debug for LocalClassifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalClassifier").field(&self.0.model.model).finish()
    }
}

impl TextModel for LocalClassifier {
    fn name(&self) -> String {
        self.0.model.model.to_owned()
    }

    fn is_ready(&self) -> bool {
        self.0.gateway().is_some()
    }

    fn complete(&self, prompt: String) -> BoxFuture<'_, Result<String, String>> {
        self.0.ask_model(vec![ChatMessage::text(ChatRole::User, prompt)], MAX_ANSWER).boxed()
    }
}

/// The larger local model as a writer of summaries, with extraction as the fallback.
pub struct LocalSummariser {
    local: LocalTextModel,
    extractive: ExtractiveSummariser,
}

impl LocalSummariser {
    /// A summariser that asks the gateway in this slot, or else extracts.
    #[must_use]
    pub const fn new(seat: GatewaySlot, extractive: ExtractiveSummariser) -> Self {
        let local = LocalTextModel { seat, model: LOCAL_MODELS[0], caller: GatewayCaller::SUMMARISER };
        Self { local, extractive }
    }
}

impl TextSummariser for LocalSummariser {
    fn summarise(&self, text: Arc<str>) -> BoxFuture<'static, Result<SummaryDigest, SummaryError>> {
        let (local, extractive) = (self.local.clone(), self.extractive.clone());
        async move {
            let extracted = extractive.summarise(Arc::clone(&text)).await?;
            let is_worth_it = (MAX_TOKENS + 1..=MAX_READ).contains(&extracted.tokens_before);
            if !is_worth_it || local.gateway().is_none() {
                return Ok(extracted);
            }
            let messages = vec![
                ChatMessage::text(ChatRole::System, INSTRUCTION),
                ChatMessage::text(ChatRole::User, &*text),
            ];
            let said = tokio::time::timeout(PATIENCE, local.ask_model(messages, MAX_TOKENS)).await;
            match said.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}"))) {
                Ok(said) => Ok(written(&local, &extractive, said, extracted).await),
                Err(why) => {
                    tracing::info!(why, "the summary is extracted, not written by the local model");
                    Ok(extracted)
                }
            }
        }
        .boxed()
    }
}

/// The model's summary, if there is one and it fits.
async fn written(
    local: &LocalTextModel,
    extractive: &ExtractiveSummariser,
    said: String,
    extracted: SummaryDigest,
) -> SummaryDigest {
    let counter = extractive.clone();
    let counted = tokio::task::spawn_blocking(move || {
        let tokens = counter.count(&said);
        (said, tokens)
    });
    match counted.await {
        Ok((text, tokens_after)) if (1..=MAX_TOKENS).contains(&tokens_after) && !text.trim().is_empty() => {
            SummaryDigest { text, tokens_after, method: local.model.model.to_owned(), ..extracted }
        }
        _ => {
            tracing::info!("the local model's summary is empty or too long; using the extracted one");
            extracted
        }
    }
}
