//! A request of any vendor's form as a play looks at it. What it cannot read it leaves out: the server itself refuses
//! what the vendor would refuse.

use serde_json::Value;

use super::super::Vendor;
use super::reading::cache_marks;

/// One request for an answer.
#[derive(Debug, Clone)]
pub(crate) struct PlayRequest {
    pub(crate) vendor: Vendor,
    pub(crate) model: String,
    /// All instructions, joined by line feeds.
    pub(crate) system: String,
    pub(crate) messages: Vec<PlayMessage>,
    /// The names of the tools on offer.
    pub(crate) tools: Vec<String>,
    pub(crate) output_limit: Option<u64>,
    /// Whether calls side by side are switched off.
    pub(crate) one_call: bool,
    /// Parts marked for the prompt cache.
    pub(crate) cache_marks: usize,
    pub(crate) streams: bool,
    /// As it came.
    pub(crate) body: Value,
}

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PlayMessage {
    User(String),
    Assistant {
        text: String,
        calls: Vec<PlayCallback>,
    },
    /// The results that stand together: the id of the call (empty where the vendor has none) and the text.
    Results(Vec<(String, String)>),
}

/// A call of an earlier turn as it came back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlayCallback {
    /// Empty where the vendor has none.
    pub(crate) id: String,
    pub(crate) tool: String,
    pub(crate) arguments: Value,
}

impl PlayRequest {
    /// Reads a body of one vendor's form.
    pub(crate) fn of(vendor: Vendor, path: &str, body: &Value) -> Self {
        let mut request = Self {
            vendor,
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            system: String::new(),
            messages: Vec::new(),
            tools: Vec::new(),
            output_limit: None,
            one_call: false,
            cache_marks: cache_marks(body),
            streams: body["stream"] == true,
            body: body.clone(),
        };
        match vendor {
            Vendor::OpenAi if path.ends_with("/responses") => request.read_responses(),
            Vendor::OpenAi | Vendor::Grok => request.read_openai(),
            Vendor::Anthropic => request.read_anthropic(),
            Vendor::Gemini => request.read_gemini(path),
            Vendor::Ollama => request.read_ollama(),
        }
        request
    }

    /// All text: instructions, messages, results.
    pub(crate) fn text(&self) -> String {
        let mut all = self.system.clone();
        for message in &self.messages {
            all.push('\n');
            all.push_str(&message.text());
        }
        all
    }

    pub(crate) fn contains(&self, text: &str) -> bool {
        self.text().contains(text)
    }

    /// What came after the assistant's last message: results and words, joined by line feeds.
    pub(crate) fn newest(&self) -> String {
        let is_assistant = |message: &PlayMessage| matches!(message, PlayMessage::Assistant { .. });
        let after = self.messages.iter().rposition(is_assistant).map_or(0, |last| last + 1);
        self.messages[after..].iter().map(PlayMessage::text).collect::<Vec<_>>().join("\n")
    }

    /// The texts of the last results, in order.
    pub(crate) fn last_results(&self) -> Vec<&str> {
        let results = self.messages.iter().rev().find_map(|message| match message {
            PlayMessage::Results(results) => Some(results),
            _ => None,
        });
        results.into_iter().flatten().map(|(_, text)| text.as_str()).collect()
    }

    /// Names its instructions and tools: the same for the same, letter for letter.
    pub(super) fn prefix(&self) -> blake3::Hash {
        blake3::hash(format!("{}\n{}", self.system, self.body["tools"]).as_bytes())
    }
}

impl PlayMessage {
    /// How many things are in it: results one by one, as vendors differ in whether they stand together.
    pub(super) const fn parts(&self) -> usize {
        match self {
            Self::Results(results) => results.len(),
            _ => 1,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::User(text) | Self::Assistant { text, .. } => text.clone(),
            Self::Results(results) => {
                results.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\n")
            }
        }
    }
}
