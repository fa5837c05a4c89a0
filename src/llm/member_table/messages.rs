//! Anthropic's messages.

use super::MemberFate::{Dropped, Mapped, Passed, Refused};
use super::{MemberFate, MemberRow, NOTHING, row};
use crate::passage::WireProtocol;

/// A function, as the protocol writes it.
const MESSAGES_TOOLS: &str = r#"{"tools":[{"name":"f","input_schema":{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"string"}}}}]}"#;

const fn messages(member: &'static str, sample: &'static str, others: [MemberFate; 3]) -> MemberRow {
    messages_with(member, NOTHING, sample, others)
}

const fn messages_with(
    member: &'static str,
    beside: &'static str,
    sample: &'static str,
    [chat, gemini, ollama]: [MemberFate; 3],
) -> MemberRow {
    row(WireProtocol::Messages, member, beside, sample, [chat, Passed, gemini, ollama])
}

/// The members of Anthropic's messages.
pub const MESSAGES_MEMBERS: &[MemberRow] = &[
    messages(
        "system",
        r#"{"system":"brief"}"#,
        [Mapped("/messages/1"), Mapped("/systemInstruction/parts/0/text"), Mapped("/messages/1")],
    ),
    messages(
        "messages: image",
        r#"{"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]}"#,
        [
            Mapped("/messages/0/content/0/image_url/url"),
            Mapped("/contents/0/parts/0/inlineData/data"),
            Mapped("/messages/0/images/0"),
        ],
    ),
    messages(
        "messages: tool_use and tool_result",
        r#"{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":{"z":12345678901234567890123,"a":1}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c","is_error":true,"content":"x"}]}]}"#,
        [
            Mapped("/messages/1/tool_call_id"),
            Mapped("/contents/1/parts/0/functionResponse"),
            Mapped("/messages/1/tool_name"),
        ],
    ),
    messages(
        "messages: document",
        r#"{"messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AAAA"}}]}]}"#,
        [Refused; 3],
    ),
    messages(
        "messages: search_result",
        r#"{"messages":[{"role":"user","content":[{"type":"search_result","source":"s","title":"t","content":[]}]}]}"#,
        [Refused; 3],
    ),
    messages(
        "max_tokens",
        r#"{"max_tokens":77}"#,
        [Passed, Mapped("/generationConfig/maxOutputTokens"), Mapped("/options/num_predict")],
    ),
    messages(
        "temperature",
        r#"{"temperature":0.5}"#,
        [Passed, Mapped("/generationConfig/temperature"), Mapped("/options/temperature")],
    ),
    messages(
        "top_p",
        r#"{"top_p":0.5}"#,
        [Passed, Mapped("/generationConfig/topP"), Mapped("/options/top_p")],
    ),
    messages(
        "top_k",
        r#"{"top_k":5}"#,
        [Dropped, Mapped("/generationConfig/topK"), Mapped("/options/top_k")],
    ),
    messages(
        "stop_sequences",
        r#"{"stop_sequences":["END"]}"#,
        [Mapped("/stop/0"), Mapped("/generationConfig/stopSequences/0"), Mapped("/options/stop/0")],
    ),
    messages(
        "tools",
        MESSAGES_TOOLS,
        [
            Mapped("/tools/0/function/parameters"),
            Mapped("/tools/0/functionDeclarations/0/parameters"),
            Mapped("/tools/0/function/parameters"),
        ],
    ),
    messages(
        "tools: of the vendor",
        r#"{"tools":[{"type":"web_search_20250305","name":"web_search"}]}"#,
        [Refused; 3],
    ),
    messages_with(
        "tool_choice: any",
        MESSAGES_TOOLS,
        r#"{"tool_choice":{"type":"any"}}"#,
        [Mapped("/tool_choice"), Mapped("/toolConfig/functionCallingConfig/mode"), Refused],
    ),
    messages_with(
        "tool_choice.disable_parallel_tool_use",
        r#"{"tools":[{"name":"f"}],"tool_choice":{"type":"auto"}}"#,
        r#"{"tool_choice":{"type":"auto","disable_parallel_tool_use":true}}"#,
        [Mapped("/parallel_tool_calls"), Dropped, Dropped],
    ),
    messages(
        "thinking",
        r#"{"thinking":{"type":"enabled","budget_tokens":2048}}"#,
        [Mapped("/reasoning_effort"), Mapped("/generationConfig/thinkingConfig"), Dropped],
    ),
    messages(
        "output_config.effort",
        r#"{"output_config":{"effort":"low"}}"#,
        [Mapped("/reasoning_effort"), Mapped("/generationConfig/thinkingConfig"), Dropped],
    ),
    messages(
        "output_config.format",
        r#"{"output_config":{"format":{"type":"json_schema","schema":{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"string"}}}}}}"#,
        [
            Mapped("/response_format/json_schema/schema"),
            Mapped("/generationConfig/responseSchema"),
            Mapped("/format"),
        ],
    ),
    messages(
        "mcp_servers",
        r#"{"mcp_servers":[{"type":"url","url":"https://e.org","name":"m"}]}"#,
        [Refused; 3],
    ),
    messages("container", r#"{"container":"c"}"#, [Refused; 3]),
    messages("metadata", r#"{"metadata":{"user_id":"u"}}"#, [Dropped; 3]),
    messages("service_tier", r#"{"service_tier":"auto"}"#, [Dropped; 3]),
    messages("context_management", r#"{"context_management":{"edits":[]}}"#, [Dropped; 3]),
];
