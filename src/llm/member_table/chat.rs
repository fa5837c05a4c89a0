//! OpenAI's chat completions.

use super::MemberFate::{Dropped, Mapped, Passed, Refused};
use super::{MemberFate, MemberRow, NOTHING, row};
use crate::passage::WireProtocol;

/// A function, as the protocol writes it.
const CHAT_TOOLS: &str = r#"{"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"string"}}}}}]}"#;

const fn chat(member: &'static str, sample: &'static str, others: [MemberFate; 3]) -> MemberRow {
    chat_with(member, NOTHING, sample, others)
}

const fn chat_with(
    member: &'static str,
    beside: &'static str,
    sample: &'static str,
    [anthropic, gemini, ollama]: [MemberFate; 3],
) -> MemberRow {
    row(WireProtocol::Chat, member, beside, sample, [Passed, anthropic, gemini, ollama])
}

/// The members of OpenAI's chat completions.
pub const CHAT_MEMBERS: &[MemberRow] = &[
    chat(
        "messages: system",
        r#"{"messages":[{"role":"system","content":"brief"},{"role":"user","content":"hi"}]}"#,
        [Mapped("/system/0/text"), Mapped("/systemInstruction/parts/0/text"), Passed],
    ),
    chat(
        "messages: picture as data",
        r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]}"#,
        [
            Mapped("/messages/0/content/0/source/data"),
            Mapped("/contents/0/parts/0/inlineData/data"),
            Mapped("/messages/0/images/0"),
        ],
    ),
    chat(
        "messages: picture at an address",
        r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://e.org/i.png"}}]}]}"#,
        [Mapped("/messages/0/content/0/source/url"), Refused, Refused],
    ),
    chat(
        "messages: sound",
        r#"{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]}]}"#,
        [Refused, Mapped("/contents/0/parts/0/inlineData/data"), Refused],
    ),
    chat(
        "messages: file",
        r#"{"messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"data:application/pdf;base64,AAAA"}}]}]}"#,
        [Refused; 3],
    ),
    chat(
        "messages: call and result",
        r#"{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"n\":12345678901234567890123}"}}]},{"role":"tool","tool_call_id":"c","content":"x"}]}"#,
        [
            Mapped("/messages/1/content/0/tool_use_id"),
            Mapped("/contents/1/parts/0/functionResponse"),
            Mapped("/messages/1/tool_name"),
        ],
    ),
    chat(
        "messages: role function",
        r#"{"messages":[{"role":"function","name":"f","content":"x"}]}"#,
        [Refused; 3],
    ),
    chat(
        "max_completion_tokens",
        r#"{"max_completion_tokens":77}"#,
        [Mapped("/max_tokens"), Mapped("/generationConfig/maxOutputTokens"), Mapped("/options/num_predict")],
    ),
    chat(
        "temperature",
        r#"{"temperature":0.5}"#,
        [Passed, Mapped("/generationConfig/temperature"), Mapped("/options/temperature")],
    ),
    chat("top_p", r#"{"top_p":0.5}"#, [Passed, Mapped("/generationConfig/topP"), Mapped("/options/top_p")]),
    chat("top_k", r#"{"top_k":5}"#, [Passed, Mapped("/generationConfig/topK"), Mapped("/options/top_k")]),
    chat(
        "stop",
        r#"{"stop":["END"]}"#,
        [Mapped("/stop_sequences/0"), Mapped("/generationConfig/stopSequences/0"), Mapped("/options/stop/0")],
    ),
    chat(
        "tools: function",
        CHAT_TOOLS,
        [Mapped("/tools/0/input_schema"), Mapped("/tools/0/functionDeclarations/0/parameters"), Passed],
    ),
    chat("tools: custom", r#"{"tools":[{"type":"custom","custom":{"name":"f"}}]}"#, [Refused; 3]),
    chat_with(
        "tool_choice: required",
        CHAT_TOOLS,
        r#"{"tool_choice":"required"}"#,
        [Mapped("/tool_choice/type"), Mapped("/toolConfig/functionCallingConfig/mode"), Refused],
    ),
    chat_with(
        "parallel_tool_calls",
        CHAT_TOOLS,
        r#"{"parallel_tool_calls":false}"#,
        [Mapped("/tool_choice/disable_parallel_tool_use"), Dropped, Dropped],
    ),
    chat(
        "response_format: schema",
        r#"{"response_format":{"type":"json_schema","json_schema":{"name":"r","schema":{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"string"}}}}}}"#,
        [
            Mapped("/output_config/format/schema"),
            Mapped("/generationConfig/responseSchema"),
            Mapped("/format"),
        ],
    ),
    chat(
        "response_format: JSON",
        r#"{"response_format":{"type":"json_object"}}"#,
        [Refused, Mapped("/generationConfig/responseMimeType"), Mapped("/format")],
    ),
    chat(
        "reasoning_effort",
        r#"{"reasoning_effort":"low"}"#,
        [Mapped("/thinking"), Mapped("/generationConfig/thinkingConfig"), Dropped],
    ),
    chat("n", r#"{"n":2}"#, [Refused, Mapped("/generationConfig/candidateCount"), Refused]),
    chat("seed", r#"{"seed":7}"#, [Dropped, Mapped("/generationConfig/seed"), Mapped("/options/seed")]),
    chat(
        "presence_penalty",
        r#"{"presence_penalty":0.5}"#,
        [Dropped, Mapped("/generationConfig/presencePenalty"), Mapped("/options/presence_penalty")],
    ),
    chat(
        "frequency_penalty",
        r#"{"frequency_penalty":0.5}"#,
        [Dropped, Mapped("/generationConfig/frequencyPenalty"), Mapped("/options/frequency_penalty")],
    ),
    chat("user", r#"{"user":"u"}"#, [Mapped("/metadata/user_id"), Dropped, Dropped]),
    chat("logprobs", r#"{"logprobs":true}"#, [Refused; 3]),
    chat("modalities: audio", r#"{"modalities":["text","audio"]}"#, [Refused; 3]),
    chat("functions", r#"{"functions":[{"name":"f"}]}"#, [Refused; 3]),
    chat("function_call", r#"{"function_call":"auto"}"#, [Refused; 3]),
    chat("web_search_options", r#"{"web_search_options":{}}"#, [Refused; 3]),
    chat("logit_bias", r#"{"logit_bias":{"5":1}}"#, [Dropped; 3]),
    chat("metadata", r#"{"metadata":{"k":"v"}}"#, [Dropped; 3]),
    chat("service_tier", r#"{"service_tier":"flex"}"#, [Dropped; 3]),
    chat("store", r#"{"store":true}"#, [Dropped; 3]),
    chat("prompt_cache_key", r#"{"prompt_cache_key":"k"}"#, [Dropped; 3]),
    chat("safety_identifier", r#"{"safety_identifier":"s"}"#, [Dropped; 3]),
    chat("verbosity", r#"{"verbosity":"low"}"#, [Dropped; 3]),
    chat("prediction", r#"{"prediction":{"type":"content","content":"x"}}"#, [Dropped; 3]),
    chat("stream_options", r#"{"stream_options":{"include_usage":true}}"#, [Dropped; 3]),
];
