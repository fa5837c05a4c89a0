//! The model behind all servers: it answers from the request alone, and counts.
//!
//! * With tools on offer and a user's message last, it calls: the tool that the choice names, else every
//!   tool once (only the first where parallel calls are off), arguments being a [`sample`] of the schema.
//! * With tool results last, it says `The tools answered: <results joined by "; ">`.
//! * With a schema (or "JSON object") asked for, it says a sample of it.
//! * Else it says `You said: <last user text>`, and ` (with <n> images)` if there are any.
//! * A text beyond the limit of output tokens ends with the limit's words (finish: length).
//! * It streams one piece a word.
//! * A play's line ([`super::play`]) takes the place of all that.
//!
//! A token is four bytes of text, begun ones count; an image is 85. Reasoning comes to [`REASONED`].
//! Prompts of 1,024 tokens and more are cached, as at the vendors: the longest beginning that an earlier prompt
//! wrote counts as read.

use std::collections::HashMap;

use pas::domain::usage::TokenUsage;
use pas::llm::catalogue;
use serde_json::{Value, json};

use super::Vendor;
use super::error::Refusal;
use super::fault::Fault;
use super::play::PlayLine;
use super::sample::sample;

/// When something is asked that takes thought.
pub(super) const REASONED: u64 = 64;
/// What it thought then.
pub(super) const THOUGHT: &str = "The user wants an answer, so I give one.";
/// Bytes of a token.
const TOKEN: usize = 4;
/// As OpenAI bills an image of low detail.
const IMAGE: u64 = 85;
/// The shortest prompt that is cached, in tokens: 1,024 at OpenAI, Anthropic and Gemini.
pub(super) const CACHEABLE: u64 = 1024;
/// OpenAI caches in steps of 128 tokens.
const CACHE_STEP: u64 = 128;

/// A request of any vendor, as far as the model looks at it.
#[derive(Debug, Default)]
pub(super) struct Ask {
    pub(super) model: String,
    /// All text of the prompt, in order: system, messages, tools.
    pub(super) prompt: String,
    /// The last message's text, if it is a user's.
    pub(super) said: String,
    /// Results of tools in the last messages.
    pub(super) results: Vec<String>,
    pub(super) images: u64,
    /// Names and schemas, already narrowed by the choice.
    pub(super) tools: Vec<(String, Value)>,
    pub(super) one_call: bool,
    pub(super) schema: Option<Value>,
    pub(super) limit: Option<u64>,
    /// The text ends before the first of these.
    pub(super) stops: Vec<String>,
    pub(super) thinks: bool,
    /// What the request itself wants written to a cache, in bytes of `prompt`, and whether for an hour.
    /// `None` where the vendor caches by itself.
    pub(super) marked: Option<(usize, bool)>,
}

/// What the model says.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) thought: Option<&'static str>,
    /// Parts in the vendor's own form that come before the words: a search that it ran, and what it found.
    pub(super) blocks: Vec<Value>,
    pub(super) text: String,
    pub(super) calls: Vec<Call>,
    pub(super) finish: Finish,
    /// Whether the text says that it will not answer.
    pub(super) refused: bool,
    /// The stop sequence that ended the text.
    pub(super) stopped: Option<String>,
    pub(super) usage: TokenUsage,
}

/// A call of a tool.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Without the vendor's prefix; `None`: its place in the answer.
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) arguments: Value,
    /// The arguments as text where that is no JSON.
    pub(super) raw: Option<String>,
}

impl Call {
    /// Its id as a vendor gives it that has this prefix.
    pub(super) fn id(&self, prefix: &str, at: usize) -> String {
        let own = || format!("{at:08}");
        format!("{prefix}_{}", self.id.clone().unwrap_or_else(own))
    }

    /// The arguments as text.
    pub(super) fn text(&self) -> String {
        self.raw.clone().unwrap_or_else(|| self.arguments.to_string())
    }
}

/// Why it stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Finish {
    #[default]
    Stop,
    Length,
    Tools,
    Filter,
}

/// What a server remembers between requests.
#[derive(Debug)]
pub(super) struct Model {
    vendor: pas::llm::Vendor,
    /// Models that it lists and their context windows; it knows all others of the catalogue too.
    pub(super) windows: Vec<(String, u64)>,
    /// TokenUsage to report in place of the counted.
    pub(super) fixed: Option<TokenUsage>,
    /// What to say to the next request.
    pub(super) line: Option<PlayLine>,
    /// The prompts in the cache by their hash, with their length in bytes.
    cached: HashMap<blake3::Hash, usize>,
}

impl Model {
    pub(super) fn new(vendor: Vendor) -> Self {
        let offered: &[(&str, u64)] = match vendor {
            Vendor::OpenAi => &[
                ("gpt-5-codex", 400_000),
                ("gpt-4-turbo", 128_000),
                ("gpt-3.5-turbo", 16_385),
                ("text-embedding-3-small", 8_191),
                ("text-embedding-3-large", 8_191),
            ],
            Vendor::Anthropic => &[("claude-sonnet-4-5", 200_000), ("claude-haiku-4-5", 200_000)],
            Vendor::Gemini => &[
                ("gemini-2.5-pro", 1_048_576),
                ("gemini-2.5-flash", 1_048_576),
                ("gemini-embedding-001", 2_048),
            ],
            Vendor::Grok => &[
                ("grok-beta", 131_072),
                ("grok-4", 256_000),
                ("grok-4-0709", 256_000),
                ("grok-4.7", 500_000),
            ],
            Vendor::Ollama => &[("llama3.1:8b", 131_072), ("tinyllama:1.1b", 2_048)],
        };
        let windows = offered.iter().map(|(name, window)| ((*name).to_owned(), *window)).collect();
        let vendor = match vendor {
            Vendor::OpenAi => pas::llm::Vendor::OpenAi,
            Vendor::Anthropic => pas::llm::Vendor::Anthropic,
            Vendor::Gemini => pas::llm::Vendor::Gemini,
            Vendor::Grok => pas::llm::Vendor::Grok,
            Vendor::Ollama => pas::llm::Vendor::Ollama,
        };
        Self { vendor, windows, fixed: None, line: None, cached: HashMap::new() }
    }

    /// The context window of a model on offer.
    pub(super) fn window(&self, name: &str) -> Result<u64, Refusal> {
        let found = self.windows.iter().find(|(offered, _)| offered == name);
        let listed = || catalogue::find(self.vendor, name).map(|facts| facts.context_window);
        found.map(|(_, window)| *window).or_else(listed).ok_or_else(|| Refusal::UnknownModel(name.to_owned()))
    }

    /// Answers a chat.
    pub(super) fn reply(&mut self, ask: &Ask, fault: &Fault) -> Result<Reply, Refusal> {
        let window = self.window(&ask.model)?;
        let prompt = tokens(&ask.prompt) + ask.images * IMAGE;
        if prompt > window {
            return Err(Refusal::ContextTooLong(window, prompt));
        }
        let line = self.line.take().unwrap_or_else(|| say(ask));
        let PlayLine { blocks, mut text, calls, mut finish, refused, usage: told } = line;
        let stop = ask.stops.iter().filter_map(|stop| Some((text.find(stop)?, stop))).min();
        let stopped = stop.map(|(_, stop)| stop.clone());
        text.truncate(stop.map_or(text.len(), |(at, _)| at));
        if let Some(limit) = ask.limit.filter(|limit| tokens(&text) > *limit) {
            text = text
                .chars()
                .take(usize::try_from(limit).unwrap_or(usize::MAX).saturating_mul(TOKEN))
                .collect();
            finish = Finish::Length;
        }
        match fault {
            Fault::Huge(bytes) => text = "x".repeat(*bytes),
            Fault::AnswerFiltered => finish = Finish::Filter,
            _ => {}
        }
        let arguments: u64 = calls.iter().map(|call| tokens(&call.text())).sum();
        let reasoning = if ask.thinks { REASONED } else { 0 };
        let output = tokens(&text) + arguments + reasoning;
        let usage = TokenUsage { output, reasoning, ..self.caches(ask, prompt) };
        Ok(Reply {
            thought: ask.thinks.then_some(THOUGHT),
            blocks,
            text,
            calls,
            finish,
            refused,
            stopped,
            usage: told.or(self.fixed).unwrap_or(usage),
        })
    }

    /// The classes of a prompt's tokens.
    fn caches(&mut self, ask: &Ask, prompt: u64) -> TokenUsage {
        let (part, hour) = match ask.marked {
            Some((bytes, hour)) => (tokens(&ask.prompt[..bytes]), hour),
            None => (prompt / CACHE_STEP * CACHE_STEP, false),
        };
        if part < CACHEABLE || part > prompt {
            return TokenUsage { input: prompt, ..TokenUsage::default() };
        }
        let bytes = ask.marked.map_or(ask.prompt.len(), |(bytes, _)| bytes);
        let known = self.read_from_cache(&ask.prompt.as_bytes()[..bytes]);
        let step = if ask.marked.is_some() { 1 } else { CACHE_STEP };
        let read = if known == bytes { part } else { tokens(&ask.prompt[..known]).min(part) / step * step };
        self.cached.insert(blake3::hash(&ask.prompt.as_bytes()[..bytes]), bytes);
        let mut usage = TokenUsage { input: prompt - part, cache_read: read, ..TokenUsage::default() };
        match (ask.marked, hour) {
            (Some(_), true) => usage.cache_write_1h = part - read,
            (Some(_), false) => usage.cache_write_5m = part - read,
            (None, _) => usage.input = prompt - read,
        }
        usage
    }

    /// Bytes of the longest beginning of a prompt that is in the cache.
    fn read_from_cache(&self, prompt: &[u8]) -> usize {
        let begins = |length: usize| {
            prompt.get(..length).is_some_and(|part| self.cached.get(&blake3::hash(part)) == Some(&length))
        };
        self.cached.values().copied().filter(|length| begins(*length)).max().unwrap_or_default()
    }
}

/// What it says of itself.
fn say(ask: &Ask) -> PlayLine {
    let words = |text| PlayLine { text, calls: Vec::new(), finish: Finish::Stop, ..PlayLine::default() };
    if !ask.results.is_empty() {
        return words(format!("The tools answered: {}", ask.results.join("; ")));
    }
    if !ask.tools.is_empty() {
        let count = if ask.one_call { 1 } else { ask.tools.len() };
        let call = |(name, schema): &(String, Value)| {
            let (name, arguments) = (name.clone(), sample(schema));
            Call { id: None, name, arguments, raw: None }
        };
        let calls = ask.tools.iter().take(count).map(call).collect();
        return PlayLine { calls, finish: Finish::Tools, ..words(String::new()) };
    }
    if let Some(schema) = &ask.schema {
        return words(sample(schema).to_string());
    }
    let images = if ask.images > 0 { format!(" (with {} images)", ask.images) } else { String::new() };
    words(format!("You said: {}{images}", ask.said))
}

/// The tokens of a text.
pub(super) fn tokens(text: &str) -> u64 {
    text.len().div_ceil(TOKEN) as u64
}

/// The pieces that a text is streamed in: words with the space before them.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let start = rest.find(|letter: char| letter != ' ').unwrap_or(rest.len());
        let end = rest[start..].find(' ').map_or(rest.len(), |end| start + end);
        let (piece, others) = rest.split_at(end);
        rest = others;
        Some(piece)
    })
}

/// A vector for a text: unit length, the same for the same text.
pub(super) fn embedding(text: &str, dimensions: usize) -> Vec<f32> {
    let seed =
        u64::from_le_bytes(blake3::hash(text.as_bytes()).as_bytes()[..8].try_into().expect("eight bytes"));
    let mut random = fastrand::Rng::with_seed(seed);
    let raw: Vec<f32> = (0..dimensions).map(|_| random.f32() - 0.5).collect();
    let length = raw.iter().map(|value| value * value).sum::<f32>().sqrt();
    raw.iter().map(|value| value / length).collect()
}

/// The schema that asks for any JSON object.
pub(super) fn any_object() -> Value {
    json!({ "type": "object", "properties": { "answer": { "type": "string" } } })
}
