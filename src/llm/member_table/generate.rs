//! Gemini's `generateContent`.

use super::MemberFate::{Dropped, Mapped, Passed, Refused};
use super::{MemberFate, MemberRow, NOTHING, row};
use crate::passage::WireProtocol;

/// A function, as the protocol writes it.
const TOOLS: &str = r#"{"tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT","properties":{"z":{"type":"STRING"},"a":{"type":"STRING"}}}}]}]}"#;

const fn generate(member: &'static str, sample: &'static str, others: [MemberFate; 3]) -> MemberRow {
    generate_with(member, NOTHING, sample, others)
}

const fn generate_with(
    member: &'static str,
    beside: &'static str,
    sample: &'static str,
    [chat, anthropic, ollama]: [MemberFate; 3],
) -> MemberRow {
    row(WireProtocol::Generate, member, beside, sample, [chat, anthropic, Passed, ollama])
}

/// The members of Gemini's requests.
pub const GENERATE_MEMBERS: &[MemberRow] = &[
    generate(
        "systemInstruction",
        r#"{"systemInstruction":{"parts":[{"text":"brief"}]}}"#,
        [Mapped("/messages/1"), Mapped("/system/0/text"), Mapped("/messages/1")],
    ),
    generate(
        "contents: picture as data",
        r#"{"contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}]}"#,
        [
            Mapped("/messages/0/content/0/image_url/url"),
            Mapped("/messages/0/content/0/source/data"),
            Mapped("/messages/0/images/0"),
        ],
    ),
    generate(
        "contents: picture at an address",
        r#"{"contents":[{"role":"user","parts":[{"fileData":{"mimeType":"image/png","fileUri":"https://e.org/i.png"}}]}]}"#,
        [Mapped("/messages/0/content/0/image_url/url"), Mapped("/messages/0/content/0/source/url"), Refused],
    ),
    generate(
        "contents: sound",
        r#"{"contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"audio/wav","data":"AAAA"}}]}]}"#,
        [Mapped("/messages/0/content/0/input_audio/data"), Refused, Refused],
    ),
    generate(
        "contents: file",
        r#"{"contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"application/pdf","data":"AAAA"}}]}]}"#,
        [Mapped("/messages/0/content/0/file/file_data"), Refused, Refused],
    ),
    generate(
        "contents: stored file",
        r#"{"contents":[{"role":"user","parts":[{"fileData":{"fileUri":"https://generativelanguage.googleapis.com/v1beta/files/f"}}]}]}"#,
        [Refused; 3],
    ),
    generate(
        "contents: call and result",
        r#"{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","args":{"z":12345678901234567890123,"a":1}}}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"r":"x"}}}]}]}"#,
        [
            Mapped("/messages/1/tool_call_id"),
            Mapped("/messages/1/content/0/tool_use_id"),
            Mapped("/messages/1/tool_name"),
        ],
    ),
    generate(
        "contents: executableCode",
        r#"{"contents":[{"role":"user","parts":[{"executableCode":{"language":"PYTHON","code":"1"}}]}]}"#,
        [Refused; 3],
    ),
    generate(
        "tools: functionDeclarations",
        TOOLS,
        [
            Mapped("/tools/0/function/parameters"),
            Mapped("/tools/0/input_schema"),
            Mapped("/tools/0/function/parameters"),
        ],
    ),
    generate("tools: googleSearch", r#"{"tools":[{"googleSearch":{}}]}"#, [Refused; 3]),
    generate("tools: codeExecution", r#"{"tools":[{"codeExecution":{}}]}"#, [Refused; 3]),
    generate("tools: urlContext", r#"{"tools":[{"urlContext":{}}]}"#, [Refused; 3]),
    generate_with(
        "toolConfig: ANY",
        TOOLS,
        r#"{"toolConfig":{"functionCallingConfig":{"mode":"ANY"}}}"#,
        [Mapped("/tool_choice"), Mapped("/tool_choice/type"), Refused],
    ),
    generate(
        "generationConfig.maxOutputTokens",
        r#"{"generationConfig":{"maxOutputTokens":77}}"#,
        [Mapped("/max_completion_tokens"), Mapped("/max_tokens"), Mapped("/options/num_predict")],
    ),
    generate(
        "generationConfig.temperature",
        r#"{"generationConfig":{"temperature":0.5}}"#,
        [Mapped("/temperature"), Mapped("/temperature"), Mapped("/options/temperature")],
    ),
    generate(
        "generationConfig.topP",
        r#"{"generationConfig":{"topP":0.5}}"#,
        [Mapped("/top_p"), Mapped("/top_p"), Mapped("/options/top_p")],
    ),
    generate(
        "generationConfig.topK",
        r#"{"generationConfig":{"topK":5}}"#,
        [Dropped, Mapped("/top_k"), Mapped("/options/top_k")],
    ),
    generate(
        "generationConfig.stopSequences",
        r#"{"generationConfig":{"stopSequences":["END"]}}"#,
        [Mapped("/stop/0"), Mapped("/stop_sequences/0"), Mapped("/options/stop/0")],
    ),
    generate(
        "generationConfig.candidateCount",
        r#"{"generationConfig":{"candidateCount":2}}"#,
        [Mapped("/n"), Refused, Refused],
    ),
    generate(
        "generationConfig.seed",
        r#"{"generationConfig":{"seed":7}}"#,
        [Mapped("/seed"), Dropped, Mapped("/options/seed")],
    ),
    generate(
        "generationConfig.presencePenalty",
        r#"{"generationConfig":{"presencePenalty":0.5}}"#,
        [Mapped("/presence_penalty"), Dropped, Mapped("/options/presence_penalty")],
    ),
    generate(
        "generationConfig.frequencyPenalty",
        r#"{"generationConfig":{"frequencyPenalty":0.5}}"#,
        [Mapped("/frequency_penalty"), Dropped, Mapped("/options/frequency_penalty")],
    ),
    generate(
        "generationConfig.responseMimeType: JSON",
        r#"{"generationConfig":{"responseMimeType":"application/json"}}"#,
        [Mapped("/response_format/type"), Refused, Mapped("/format")],
    ),
    generate(
        "generationConfig.responseSchema",
        r#"{"generationConfig":{"responseMimeType":"application/json","responseSchema":{"type":"OBJECT","properties":{"z":{"type":"STRING"},"a":{"type":"STRING"}}}}}"#,
        [
            Mapped("/response_format/json_schema/schema"),
            Mapped("/output_config/format/schema"),
            Mapped("/format"),
        ],
    ),
    generate(
        "generationConfig.thinkingConfig",
        r#"{"generationConfig":{"thinkingConfig":{"thinkingBudget":2048}}}"#,
        [Mapped("/reasoning_effort"), Mapped("/thinking"), Dropped],
    ),
    generate(
        "generationConfig.responseLogprobs",
        r#"{"generationConfig":{"responseLogprobs":true}}"#,
        [Mapped("/logprobs"), Refused, Refused],
    ),
    generate(
        "generationConfig.responseModalities: picture",
        r#"{"generationConfig":{"responseModalities":["IMAGE"]}}"#,
        [Refused, Refused, Refused],
    ),
    generate(
        "generationConfig.speechConfig",
        r#"{"generationConfig":{"speechConfig":{"languageCode":"de"}}}"#,
        [Refused, Refused, Refused],
    ),
    generate(
        "generationConfig.mediaResolution",
        r#"{"generationConfig":{"mediaResolution":"MEDIA_RESOLUTION_LOW"}}"#,
        [Dropped, Dropped, Dropped],
    ),
    generate("cachedContent", r#"{"cachedContent":"cachedContents/c"}"#, [Refused; 3]),
    generate(
        "safetySettings",
        r#"{"safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"BLOCK_NONE"}]}"#,
        [Dropped; 3],
    ),
    generate("serviceTier", r#"{"serviceTier":"flex"}"#, [Dropped; 3]),
    generate("labels", r#"{"labels":{"k":"v"}}"#, [Dropped; 3]),
    generate("store", r#"{"store":true}"#, [Dropped; 3]),
];
