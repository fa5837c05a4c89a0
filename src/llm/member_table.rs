//! What becomes of each member of a client's request at a vendor of another protocol.
//!
//! The one list of the translations' promises, in the order of the vendors' references; its test sends every row
//! through the real translators. Between a client and a vendor of one protocol everything passes, so those pairs
//! have no column. A member that only tunes or labels is left out where a vendor has no word for it; one that would
//! change the answer is refused.

use super::passage::WireProtocol;

/// What becomes of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberFate {
    /// The same member with the same value.
    Passed,
    /// In the vendor's words, at this JSON pointer of the body.
    Mapped(&'static str),
    /// The request is refused, and the refusal names what cannot be done.
    Refused,
    /// Left out: it only tunes or labels.
    Dropped,
}

/// A member, or one kind of its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberRow {
    /// The protocol of the client.
    pub protocol: WireProtocol,
    pub member: &'static str,
    /// Members that it needs beside it, as a JSON object.
    pub beside: &'static str,
    /// A request's members with it, as a JSON object.
    pub sample: &'static str,
    /// At servers of OpenAI's chat form, Anthropic, Gemini and Ollama; `None`: it passes as it came.
    pub fates: [Option<MemberFate>; 4],
}

use MemberFate::{Dropped, Mapped, Passed, Refused};

/// A function, as each protocol writes it.
const CHAT_TOOLS: &str = r#"{"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"string"}}}}}]}"#;
const RESPONSES_TOOLS: &str = r#"{"tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"string"}}}}]}"#;
const MESSAGES_TOOLS: &str = r#"{"tools":[{"name":"f","input_schema":{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"string"}}}}]}"#;
const NOTHING: &str = "{}";

const ALL_REFUSED: [MemberFate; 4] = [Refused; 4];
const ALL_DROPPED: [MemberFate; 4] = [Dropped; 4];

const fn row(
    protocol: WireProtocol,
    member: &'static str,
    beside: &'static str,
    sample: &'static str,
    fates: [MemberFate; 4],
) -> MemberRow {
    let [chat, anthropic, gemini, ollama] = fates;
    let mut fates = [Some(chat), Some(anthropic), Some(gemini), Some(ollama)];
    match protocol {
        WireProtocol::Chat => fates[0] = None,
        WireProtocol::Messages => fates[1] = None,
        WireProtocol::Responses => {}
    }
    MemberRow { protocol, member, beside, sample, fates }
}

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

const fn responses(member: &'static str, sample: &'static str, fates: [MemberFate; 4]) -> MemberRow {
    row(WireProtocol::Responses, member, NOTHING, sample, fates)
}

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

#[cfg(test)]
mod tests;
