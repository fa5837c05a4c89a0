//! PAS's own facts about models: windows, limits, features, ends. Their prices stand elsewhere.
//!
//! Sources: the vendors' model and deprecation pages of November 2026; for ends also the lists in the SDKs of OpenAI
//! (3.54) and Anthropic (2.12); Ollama's `show` for the two local models. The first of a vendor that has not ended is
//! the default of its port.

use super::{ModelEnd, ModelFeatures, ModelKind, Vendor};

/// The facts of one model.
#[derive(Debug, Clone, Copy)]
pub(super) struct FactsRow {
    pub(super) vendor: Vendor,
    pub(super) model: &'static str,
    pub(super) window: u64,
    pub(super) output: u64,
    pub(super) features: ModelFeatures,
    pub(super) kind: ModelKind,
    /// Whether `auto` may choose it.
    pub(super) is_general: bool,
    pub(super) ends: ModelEnd,
}

impl FactsRow {
    /// Shut down on a day, with the vendor's replacement ("": none named).
    const fn ends(mut self, day: &'static str, replacement: &'static str) -> Self {
        self.ends = ModelEnd::On { day, replacement };
        self
    }

    /// Shut down on a day that no source names.
    const fn gone(mut self) -> Self {
        self.ends = ModelEnd::Past;
        self.by_name()
    }

    /// For callers who name it: special, or reached by one protocol only.
    const fn by_name(mut self) -> Self {
        self.is_general = false;
        self
    }

    const fn with(mut self, features: ModelFeatures) -> Self {
        self.features = features;
        self
    }

    const fn embedding(mut self) -> Self {
        self.kind = ModelKind::Embedding;
        self.by_name()
    }
}

const ALL: ModelFeatures = ModelFeatures { tools: true, images: true, streaming: true, json: true };
const BLIND: ModelFeatures = ModelFeatures { images: false, ..ALL };
/// Ollama answers 400 to tools for this model, since its template has no place for them.
const TEXT_ONLY: ModelFeatures = ModelFeatures { tools: false, ..BLIND };
/// Supports JSON mode and functions, but no schemas.
const NO_SCHEMA: ModelFeatures = ModelFeatures { json: false, ..ALL };
const OLD_TEXT: ModelFeatures = ModelFeatures { images: false, ..NO_SCHEMA };

const fn row(vendor: Vendor, model: &'static str, window: u64, output: u64) -> FactsRow {
    let kind = ModelKind::Chat;
    FactsRow { vendor, model, window, output, features: ALL, kind, is_general: true, ends: ModelEnd::Open }
}

const fn openai(model: &'static str, window: u64, output: u64) -> FactsRow {
    row(Vendor::OpenAi, model, window, output)
}

const fn claude(model: &'static str, window: u64, output: u64) -> FactsRow {
    row(Vendor::Anthropic, model, window, output)
}

const fn gemini(model: &'static str, window: u64, output: u64) -> FactsRow {
    row(Vendor::Gemini, model, window, output)
}

/// xAI publishes no limit of the output: it is the context window.
const fn grok(model: &'static str, window: u64) -> FactsRow {
    row(Vendor::Grok, model, window, window)
}

const M: u64 = 1_000_000;
const OPENAI_LONG: u64 = 1_050_000;
const GEMINI_LONG: u64 = 1_048_576;

pub(super) const FACTS: &[FactsRow] = &[
    openai("gpt-6.1-sol", OPENAI_LONG, 128_000),
    openai("gpt-6.1-terra", OPENAI_LONG, 128_000),
    openai("gpt-6-astra", OPENAI_LONG, 128_000),
    openai("gpt-6-sol", OPENAI_LONG, 128_000),
    openai("gpt-6-luna", OPENAI_LONG, 128_000),
    openai("gpt-5.6-sol", OPENAI_LONG, 128_000),
    openai("gpt-5.6-terra", OPENAI_LONG, 128_000),
    openai("gpt-5.6-luna", OPENAI_LONG, 128_000),
    openai("gpt-5.5", OPENAI_LONG, 128_000),
    openai("gpt-5.5-pro", OPENAI_LONG, 128_000).by_name(),
    openai("gpt-5.4", OPENAI_LONG, 128_000),
    openai("gpt-5.4-pro", OPENAI_LONG, 128_000).by_name(),
    openai("gpt-5.4-mini", 400_000, 128_000),
    openai("gpt-5.4-nano", 400_000, 128_000).ends("2027-04-01", ""),
    openai("gpt-5.3-codex", 400_000, 128_000).by_name().ends("2027-04-01", ""),
    openai("gpt-5.3-chat-latest", 128_000, 16_384).by_name().ends("2026-08-10", "gpt-5.5"),
    openai("gpt-5.2", 400_000, 128_000),
    openai("gpt-5.2-pro", 400_000, 128_000).by_name(),
    openai("gpt-5.2-chat-latest", 128_000, 16_384).by_name().ends("2026-08-10", "gpt-5.5"),
    openai("gpt-5.2-codex", 400_000, 128_000).by_name().ends("2026-07-23", "gpt-5.4"),
    openai("gpt-5.1", 400_000, 128_000).ends("2027-04-01", ""),
    openai("gpt-5.1-chat-latest", 128_000, 16_384).by_name().ends("2026-07-23", "gpt-5.5"),
    openai("gpt-5.1-codex", 400_000, 128_000).by_name().ends("2026-07-23", "gpt-5.4"),
    openai("gpt-5.1-codex-max", 400_000, 128_000).by_name().ends("2026-07-23", "gpt-5.4"),
    openai("gpt-5.1-codex-mini", 400_000, 128_000).by_name().ends("2026-07-23", "gpt-5.4-mini"),
    openai("gpt-5", 400_000, 128_000).ends("2026-12-11", "gpt-6.1-sol"),
    openai("gpt-5-mini", 400_000, 128_000).ends("2026-12-11", "gpt-6.1-terra"),
    openai("gpt-5-nano", 400_000, 128_000).ends("2026-12-11", "gpt-6-luna"),
    openai("gpt-5-pro", 400_000, 272_000).by_name().ends("2026-12-11", "gpt-6.1-sol"),
    openai("gpt-5-chat-latest", 128_000, 16_384).by_name().ends("2026-07-23", "gpt-5.5"),
    openai("gpt-5-codex", 400_000, 128_000).by_name().ends("2026-07-23", "gpt-5.4"),
    openai("gpt-4.1", 1_047_576, 32_768).ends("2027-01-14", "gpt-6-luna"),
    openai("gpt-4.1-mini", 1_047_576, 32_768).ends("2027-01-14", "gpt-6-luna"),
    openai("gpt-4.1-nano", 1_047_576, 32_768).ends("2026-10-23", "gpt-5.6-luna"),
    openai("gpt-4o", 128_000, 16_384).ends("2027-01-14", "gpt-6-luna"),
    openai("gpt-4o-mini", 128_000, 16_384).ends("2027-01-14", "gpt-6-luna"),
    openai("gpt-4o-2024-05-13", 128_000, 4_096).by_name().ends("2026-10-23", "gpt-5.6-sol"),
    openai("gpt-4o-search-preview", 128_000, 16_384).by_name().ends("2026-07-23", "gpt-4.1-mini"),
    openai("gpt-4.5-preview", 128_000, 16_384).by_name().ends("2025-07-14", "gpt-4.1"),
    openai("chatgpt-4o-latest", 128_000, 16_384).by_name().ends("2026-02-17", "gpt-5.1-chat-latest"),
    openai("gpt-4-turbo", 128_000, 4_096).with(NO_SCHEMA).ends("2026-10-23", "gpt-5.6-sol"),
    openai("gpt-4-vision-preview", 128_000, 4_096).with(NO_SCHEMA).ends("2024-12-06", "gpt-4o"),
    openai("gpt-4", 8_192, 8_192).with(OLD_TEXT).ends("2026-10-23", "gpt-5.6-sol"),
    openai("gpt-4-32k", 32_768, 32_768).with(OLD_TEXT).ends("2025-06-06", "gpt-4o"),
    openai("gpt-3.5-turbo", 16_385, 4_096).with(OLD_TEXT).ends("2026-10-23", "gpt-5.6-terra"),
    openai("gpt-3.5-turbo-1106", 16_385, 4_096).with(OLD_TEXT).ends("2026-09-28", "gpt-5.6-terra"),
    openai("gpt-3.5-turbo-16k", 16_385, 4_096).with(OLD_TEXT).ends("2024-09-13", "gpt-3.5-turbo"),
    openai("gpt-3.5-turbo-0613", 4_096, 4_096).with(OLD_TEXT).ends("2024-09-13", "gpt-3.5-turbo"),
    openai("gpt-3.5-0301", 4_096, 4_096).with(OLD_TEXT).ends("2024-09-13", "gpt-3.5-turbo"),
    openai("o4-mini", 200_000, 100_000).ends("2026-10-23", "gpt-5.6-terra"),
    openai("o3", 200_000, 100_000).ends("2026-12-11", "gpt-6.1-sol"),
    openai("o3-pro", 200_000, 100_000).by_name().ends("2026-12-11", "gpt-6.1-sol"),
    openai("o3-mini", 200_000, 100_000).with(BLIND).ends("2026-10-23", "gpt-5.6-sol"),
    openai("o1", 200_000, 100_000).ends("2026-10-23", "gpt-5.6-sol"),
    openai("o1-pro", 200_000, 100_000).by_name().ends("2026-10-23", "gpt-5.6-sol"),
    openai("o1-mini", 128_000, 65_536).with(TEXT_ONLY).ends("2025-10-27", "o4-mini"),
    openai("o1-preview", 128_000, 32_768).with(TEXT_ONLY).ends("2025-07-28", "o3"),
    openai("codex-mini", 200_000, 100_000).by_name().ends("2026-02-12", "gpt-5-codex"),
    openai("o3-deep-research", 200_000, 100_000).by_name().ends("2026-07-23", "gpt-5.4-pro"),
    openai("o4-mini-deep-research", 200_000, 100_000).by_name().ends("2026-07-23", "gpt-5.4-pro"),
    openai("text-embedding-3-small", 8_192, 0).embedding(),
    openai("text-embedding-3-large", 8_192, 0).embedding(),
    openai("text-embedding-ada-002", 8_192, 0).embedding(),
    claude("claude-sonnet-5-5", M, 128_000),
    claude("claude-opus-5-5", M, 128_000),
    claude("claude-haiku-5-5", M, 128_000),
    claude("claude-fable-5-1", M, 128_000),
    claude("claude-fable-5", M, 128_000),
    claude("claude-sonnet-5", M, 128_000),
    claude("claude-opus-5", M, 128_000),
    claude("claude-opus-4-8", M, 128_000),
    claude("claude-opus-4-7", M, 128_000),
    claude("claude-opus-4-6", M, 128_000),
    claude("claude-sonnet-4-6", M, 64_000),
    claude("claude-opus-4-5", 200_000, 64_000),
    claude("claude-haiku-4-5", 200_000, 64_000),
    claude("claude-sonnet-4-5", 200_000, 64_000).ends("2026-11-30", "claude-sonnet-5-5"),
    claude("claude-opus-4-1", 200_000, 32_000).ends("2026-08-05", "claude-opus-5-5"),
    claude("claude-opus-4-0", 200_000, 32_000).ends("2026-06-15", "claude-opus-5-5"),
    claude("claude-sonnet-4-0", 200_000, 64_000).ends("2026-06-15", "claude-sonnet-5-5"),
    claude("claude-3-7-sonnet-latest", 200_000, 64_000).ends("2026-02-19", "claude-sonnet-5-5"),
    claude("claude-3-5-haiku-latest", 200_000, 8_192).ends("2026-02-19", "claude-haiku-5-5"),
    claude("claude-3-5-sonnet", 200_000, 8_192).ends("2025-10-28", "claude-sonnet-5-5"),
    claude("claude-3-opus-latest", 200_000, 4_096).ends("2026-01-05", "claude-opus-5-5"),
    claude("claude-3-sonnet", 200_000, 4_096).ends("2025-07-21", "claude-sonnet-5-5"),
    claude("claude-3-haiku", 200_000, 4_096).ends("2026-04-20", "claude-haiku-5-5"),
    claude("claude-2", 200_000, 4_096).with(TEXT_ONLY).ends("2025-07-21", "claude-sonnet-5-5"),
    claude("claude-v1", 100_000, 4_096).with(TEXT_ONLY).ends("2024-11-06", "claude-sonnet-5-5"),
    gemini("gemini-3.8-flash", M, 65_536),
    gemini("gemini-4-argon", GEMINI_LONG, 65_536),
    gemini("gemini-3.7-flash", M, 65_536),
    gemini("gemini-3.6-flash", M, 65_536),
    gemini("gemini-3.5-flash", M, 65_536),
    gemini("gemini-3.5-flash-lite", M, 65_536),
    gemini("gemini-3.1-pro-preview", GEMINI_LONG, 65_536),
    gemini("gemini-3.1-flash-lite", M, 65_536).ends("2027-05-07", ""),
    gemini("gemini-3-flash-preview", M, 65_536),
    gemini("gemini-3-pro-preview", GEMINI_LONG, 65_536).ends("2026-03-09", "gemini-3.1-pro-preview"),
    gemini("gemini-2.5-pro", GEMINI_LONG, 65_536).ends("2026-12-01", "gemini-3.8-flash"),
    gemini("gemini-2.5-flash", GEMINI_LONG, 65_536).ends("2026-12-01", "gemini-3.5-flash-lite"),
    gemini("gemini-2.5-flash-lite", M, 65_536),
    gemini("gemini-embedding-001", 2_048, 0).embedding(),
    gemini("gemini-embedding-2", 8_192, 0).embedding(),
    grok("grok-4.7", 500_000),
    grok("grok-4.6", 500_000),
    grok("grok-4.5", 500_000),
    grok("grok-4.3", M),
    grok("grok-4.20", M),
    grok("grok-4.20-multi-agent", M).by_name(),
    grok("grok-build-0.1", 256_000).ends("2026-11-19", "grok-4.7"),
    grok("grok-4", 256_000).ends("2026-05-15", "grok-4.3"),
    grok("grok-4-fast-reasoning", 2 * M).ends("2026-05-15", "grok-4.3"),
    grok("grok-4-fast-non-reasoning", 2 * M).ends("2026-05-15", "grok-4.3"),
    grok("grok-4-1-fast-reasoning", 2 * M).ends("2026-05-15", "grok-4.3"),
    grok("grok-4-1-fast-non-reasoning", 2 * M).ends("2026-05-15", "grok-4.3"),
    grok("grok-code-fast-1", 256_000).with(BLIND).ends("2026-05-15", "grok-4.3"),
    grok("grok-3", 131_072).with(BLIND).ends("2026-05-15", "grok-4.3"),
    grok("grok-beta", 131_072).with(BLIND).gone(),
    row(Vendor::Ollama, "llama3.1:8b", 131_072, 131_072).with(BLIND),
    row(Vendor::Ollama, "tinyllama:1.1b", 2_048, 2_048).with(TEXT_ONLY),
];
