//! OpenAI's responses.

use super::MemberFate::{Dropped, Mapped, Passed, Refused};
use super::{MemberFate, MemberRow, NOTHING, row};
use crate::passage::WireProtocol;

/// A function, as the protocol writes it.
const RESPONSES_TOOLS: &str = r#"{"tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"string"}}}}]}"#;

const ALL_REFUSED: [MemberFate; 4] = [Refused; 4];
const ALL_DROPPED: [MemberFate; 4] = [Dropped; 4];

const fn responses(member: &'static str, sample: &'static str, fates: [MemberFate; 4]) -> MemberRow {
    row(WireProtocol::Responses, member, NOTHING, sample, fates)
}

/// The members of OpenAI's responses; servers that have them get them as they came.
pub const RESPONSES_MEMBERS: &[MemberRow] = &[
    responses(
        "instructions",
        r#"{"instructions":"brief"}"#,
        [
            Mapped("/messages/1"),
            Mapped("/system/0/text"),
            Mapped("/systemInstruction/parts/0/text"),
            Mapped("/messages/1"),
        ],
    ),
    responses(
        "input: picture",
        r#"{"input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,AAAA"}]}]}"#,
        [
            Mapped("/messages/0/content/0/image_url/url"),
            Mapped("/messages/0/content/0/source/data"),
            Mapped("/contents/0/parts/0/inlineData/data"),
            Mapped("/messages/0/images/0"),
        ],
    ),
    responses(
        "input: call and result",
        r#"{"input":[{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"x"}]}"#,
        [
            Mapped("/messages/1/tool_call_id"),
            Mapped("/messages/1/content/0/tool_use_id"),
            Mapped("/contents/1/parts/0/functionResponse"),
            Mapped("/messages/1/tool_name"),
        ],
    ),
    responses(
        "input: file",
        r#"{"input":[{"role":"user","content":[{"type":"input_file","file_id":"f"}]}]}"#,
        ALL_REFUSED,
    ),
    responses("input: item_reference", r#"{"input":[{"type":"item_reference","id":"x"}]}"#, ALL_REFUSED),
    responses(
        "input: custom_tool_call",
        r#"{"input":[{"type":"custom_tool_call","call_id":"c","name":"f","input":"x"}]}"#,
        ALL_REFUSED,
    ),
    responses(
        "max_output_tokens",
        r#"{"max_output_tokens":77}"#,
        [
            Mapped("/max_completion_tokens"),
            Mapped("/max_tokens"),
            Mapped("/generationConfig/maxOutputTokens"),
            Mapped("/options/num_predict"),
        ],
    ),
    responses(
        "temperature",
        r#"{"temperature":0.5}"#,
        [Passed, Passed, Mapped("/generationConfig/temperature"), Mapped("/options/temperature")],
    ),
    responses(
        "top_p",
        r#"{"top_p":0.5}"#,
        [Passed, Passed, Mapped("/generationConfig/topP"), Mapped("/options/top_p")],
    ),
    responses(
        "tools: function",
        RESPONSES_TOOLS,
        [
            Mapped("/tools/0/function/parameters"),
            Mapped("/tools/0/input_schema"),
            Mapped("/tools/0/functionDeclarations/0/parameters"),
            Mapped("/tools/0/function/parameters"),
        ],
    ),
    responses("tools: web_search", r#"{"tools":[{"type":"web_search"}]}"#, ALL_REFUSED),
    responses("tools: custom", r#"{"tools":[{"type":"custom","name":"f"}]}"#, ALL_REFUSED),
    responses("tools: mcp", r#"{"tools":[{"type":"mcp","server_url":"https://e.org"}]}"#, ALL_REFUSED),
    row(
        WireProtocol::Responses,
        "tool_choice: required",
        RESPONSES_TOOLS,
        r#"{"tool_choice":"required"}"#,
        [Passed, Mapped("/tool_choice/type"), Mapped("/toolConfig/functionCallingConfig/mode"), Refused],
    ),
    row(
        WireProtocol::Responses,
        "parallel_tool_calls",
        RESPONSES_TOOLS,
        r#"{"parallel_tool_calls":false}"#,
        [Passed, Mapped("/tool_choice/disable_parallel_tool_use"), Dropped, Dropped],
    ),
    responses(
        "text.format: schema",
        r#"{"text":{"format":{"type":"json_schema","name":"r","schema":{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"string"}}}}}}"#,
        [
            Mapped("/response_format/json_schema/schema"),
            Mapped("/output_config/format/schema"),
            Mapped("/generationConfig/responseSchema"),
            Mapped("/format"),
        ],
    ),
    responses("text.verbosity", r#"{"text":{"verbosity":"low"}}"#, ALL_DROPPED),
    responses(
        "reasoning.effort",
        r#"{"reasoning":{"effort":"low"}}"#,
        [
            Mapped("/reasoning_effort"),
            Mapped("/thinking"),
            Mapped("/generationConfig/thinkingConfig"),
            Dropped,
        ],
    ),
    responses("reasoning.summary", r#"{"reasoning":{"summary":"auto"}}"#, ALL_DROPPED),
    responses("previous_response_id", r#"{"previous_response_id":"r"}"#, ALL_REFUSED),
    responses("conversation", r#"{"conversation":"c"}"#, ALL_REFUSED),
    responses("prompt", r#"{"prompt":{"id":"p"}}"#, ALL_REFUSED),
    responses("top_logprobs", r#"{"top_logprobs":2}"#, ALL_REFUSED),
    responses("include", r#"{"include":["reasoning.encrypted_content"]}"#, ALL_DROPPED),
    responses("metadata", r#"{"metadata":{"k":"v"}}"#, ALL_DROPPED),
    responses("store", r#"{"store":true}"#, ALL_DROPPED),
    responses("service_tier", r#"{"service_tier":"flex"}"#, ALL_DROPPED),
    responses("prompt_cache_key", r#"{"prompt_cache_key":"k"}"#, ALL_DROPPED),
    responses("safety_identifier", r#"{"safety_identifier":"s"}"#, ALL_DROPPED),
    responses("truncation", r#"{"truncation":"auto"}"#, ALL_DROPPED),
    responses("user", r#"{"user":"u"}"#, ALL_DROPPED),
];
