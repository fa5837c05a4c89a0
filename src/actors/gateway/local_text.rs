//! Texts from the local models, for the daemon's own services: answers to the classifier's questions,
//! and summaries for the token governor.
//!
//! Calls go the way of all calls, pinned to the local Ollama, so they have receipts and never leave the
//! machine. Failure policy: where the model was absent at the last look nothing is sent; a summary that
//! cannot be had from it is extracted, an answer is refused with the reason.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::{Ask, Call, Caller, Gateway, Inner, LOCAL_MODELS, LocalModel, Target};
use crate::domain::budget::{Label, RunName};
use crate::llm::Vendor;
use crate::llm::chat::{ChatRequest, Message, Role};
use crate::skills::summary::{Digest, Extractive, MAX_TOKENS, Summariser, SummaryError};
use crate::skills::tlc::TextModel;
use crate::supervision::Address;

/// Most tokens of an answer to the classifier: three domains with their probabilities take a hundred.
const MAX_ANSWER: u64 = 256;
/// Most tokens that are summarised by the model: a laptop reads these in about half a minute.
const MAX_READ: u64 = 16_000;
/// Longest wait for a summary, so that extraction still comes within the governor's deadline of 90 s.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is asked of the model that summarises.
const INSTRUCTION: &str = "Summarise the notes of an agent so that another can go on from them. Write Markdown with the headings \
     Goal, Decisions, Open items, Failures. Keep numbers, names, paths, hashes and error messages exactly \
     as they are. Add nothing that is not in the notes. At most 1500 words.";

/// Where the gateway is put once it is made: the token governor, which the gateway itself needs, is made
/// before it. Holds it weakly, so that the two do not keep each other for ever. Cheap to clone.
#[derive(Clone, Default)]
pub struct Seat(Arc<OnceLock<(Weak<Inner>, Address<super::Message>)>>);

impl Seat {
    /// Puts the gateway in; only the first one is kept.
    pub fn put(&self, gateway: &Gateway) {
        self.0.get_or_init(|| (Arc::downgrade(&gateway.inner), gateway.address.clone()));
    }

    fn gateway(&self) -> Option<Gateway> {
        let (inner, address) = self.0.get()?;
        Some(Gateway { inner: inner.upgrade()?, address: address.clone() })
    }
}

/// A local model for one purpose.
#[derive(Clone)]
struct Local {
    seat: Seat,
    model: LocalModel,
    /// In whose name it is asked.
    caller: &'static str,
}

impl Local {
    /// The gateway, if the model can be asked now.
    fn gateway(&self) -> Option<Gateway> {
        self.seat.gateway().filter(|gateway| gateway.ready().has(self.model.model))
    }

    async fn say(&self, messages: Vec<Message>, limit: u64) -> Result<String, String> {
        let gateway = self.gateway().ok_or("the local Ollama does not offer it now")?;
        let request = ChatRequest {
            model: self.model.model.to_owned(),
            messages,
            max_completion_tokens: Some(limit),
            temperature: Some(0.0),
            ..ChatRequest::default()
        };
        let caller = Caller {
            request_id: format!("{}-{}", self.caller, Uuid::now_v7().simple()),
            run: RunName::default(),
            job: None,
            agent: Label::new(self.caller).map_err(|error| error.to_string())?,
            lane: None,
        };
        let call = Call { caller, target: Target::Pinned(Vendor::Ollama), ask: Ask::Chat(request) };
        let chatted = gateway.chat(call).await.map_err(|error| error.to_string())?;
        let said = chatted.answer.choices.into_iter().next().and_then(|choice| choice.message.content);
        Ok(said.map(|content| content.to_text()).unwrap_or_default())
    }
}

/// The small local model, which answers the classifier's questions.
pub struct LocalClassifier(Local);

impl LocalClassifier {
    /// One that asks the gateway in this seat.
    #[must_use]
    pub const fn new(seat: Seat) -> Self {
        Self(Local { seat, model: LOCAL_MODELS[1], caller: Caller::CLASSIFIER })
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
        self.0.say(vec![Message::text(Role::User, prompt)], MAX_ANSWER).boxed()
    }
}

/// The larger local model as a writer of summaries; by extraction where it cannot.
pub struct LocalSummariser {
    local: Local,
    extractive: Extractive,
}

impl LocalSummariser {
    /// One that asks the gateway in this seat, or else extracts.
    #[must_use]
    pub const fn new(seat: Seat, extractive: Extractive) -> Self {
        let local = Local { seat, model: LOCAL_MODELS[0], caller: Caller::SUMMARISER };
        Self { local, extractive }
    }
}

impl Summariser for LocalSummariser {
    fn summarise(&self, text: Arc<str>) -> BoxFuture<'static, Result<Digest, SummaryError>> {
        let (local, extractive) = (self.local.clone(), self.extractive.clone());
        async move {
            let extracted = extractive.summarise(Arc::clone(&text)).await?;
            let is_worth_it = (MAX_TOKENS + 1..=MAX_READ).contains(&extracted.tokens_before);
            if !is_worth_it || local.gateway().is_none() {
                return Ok(extracted);
            }
            let messages = vec![Message::text(Role::System, INSTRUCTION), Message::text(Role::User, &*text)];
            let said = tokio::time::timeout(PATIENCE, local.say(messages, MAX_TOKENS)).await;
            match said.unwrap_or_else(|_| Err(format!("nothing came within {PATIENCE:?}"))) {
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

/// What the model wrote, where it wrote something that fits.
async fn written(local: &Local, extractive: &Extractive, said: String, extracted: Digest) -> Digest {
    let counter = extractive.clone();
    let counted = tokio::task::spawn_blocking(move || {
        let tokens = counter.count(&said);
        (said, tokens)
    });
    match counted.await {
        Ok((text, tokens_after)) if (1..=MAX_TOKENS).contains(&tokens_after) && !text.trim().is_empty() => {
            Digest { text, tokens_after, method: local.model.model.to_owned(), ..extracted }
        }
        _ => {
            tracing::info!("the local model's summary is empty or too long; the extracted one is taken");
            extracted
        }
    }
}
