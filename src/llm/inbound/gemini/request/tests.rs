//! Requests of Gemini's form in the canonical form.

use super::*;

fn chat(body: Value) -> Result<ChatRequest, ApiProblem> {
    serde_json::from_value::<GenerateRequest>(body).unwrap().into_chat()
}

fn conversation() -> Value {
    json!({
        "systemInstruction": { "parts": [{ "text": "Be short." }] },
        "contents": [
            { "role": "user", "parts": [{ "text": "Where is this?" },
                { "inlineData": { "mimeType": "image/png", "data": "AA==" } }] },
            { "role": "model", "parts": [
                { "text": "hm", "thought": true },
                { "text": "Let me look." },
                { "functionCall": { "name": "weather", "args": { "city": "Bern" } }, "thoughtSignature": "sig" },
                { "functionCall": { "name": "weather", "args": { "city": "Basel" } } },
                { "functionCall": { "id": "own", "name": "time" } }] },
            { "role": "user", "parts": [
                { "functionResponse": { "id": "own", "name": "time", "response": { "result": "noon" } } },
                { "functionResponse": { "name": "weather", "response": { "result": "sun" } } },
                { "functionResponse": { "name": "weather", "response": { "result": "rain" } } },
                { "text": "And now?" }] },
        ],
        "tools": [{ "functionDeclarations": [
            { "name": "weather", "description": "now", "parameters": { "type": "OBJECT",
                "properties": { "city": { "type": "STRING" } } } },
            { "name": "time", "parametersJsonSchema": { "type": "object" } }] }],
        "toolConfig": { "functionCallingConfig": { "mode": "ANY", "allowedFunctionNames": ["weather"] } },
        "generationConfig": { "temperature": 0.5, "topK": 5, "maxOutputTokens": 77, "candidateCount": 2,
            "stopSequences": ["END"], "seed": 7, "thinkingConfig": { "thinkingBudget": 2048 },
            "responseMimeType": "application/json", "responseSchema": { "type": "STRING" } },
    })
}

#[test]
fn a_conversation_with_pictures_and_calls_keeps_all_of_it() {
    let chat = serde_json::to_value(chat(conversation()).unwrap()).unwrap();
    let roles: Vec<&str> =
        chat["messages"].as_array().unwrap().iter().map(|one| one["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "tool", "tool", "user"]);
    let at = |pointer: &str| chat.pointer(pointer).unwrap_or_else(|| panic!("{pointer}: {chat}")).clone();
    assert_eq!(at("/messages/1/content/1/image_url/url"), "data:image/png;base64,AA==");
    assert_eq!(at("/messages/2/content"), "Let me look.", "thoughts stay behind");
    assert_eq!(at("/messages/2/tool_calls/0/extra_content/google/thought_signature"), "sig");
    assert_eq!(at("/messages/2/tool_calls/1/function/arguments"), r#"{"city":"Basel"}"#);
    let answered: Vec<Value> = (3..6).map(|number| at(&format!("/messages/{number}/tool_call_id"))).collect();
    let asked: Vec<Value> = (0..3).map(|number| at(&format!("/messages/2/tool_calls/{number}/id"))).collect();
    assert_eq!(
        answered,
        [asked[2].clone(), asked[0].clone(), asked[1].clone()],
        "by id, else by name in order"
    );
    assert_eq!(at("/messages/4/content"), r#"{"result":"sun"}"#);
    assert_eq!(at("/messages/6/content"), "And now?");
    assert_eq!(chat["tools"].as_array().unwrap().len(), 1, "only what may be called is on offer");
    assert_eq!(at("/tools/0/function/parameters/properties/city/type"), "string");
    assert_eq!(at("/tool_choice/function/name"), "weather");
    assert_eq!(at("/response_format/json_schema/schema/type"), "string");
    let settings = ["temperature", "top_k", "max_completion_tokens", "n", "stop", "seed", "reasoning_effort"];
    let wanted = [json!(0.5), json!(5), json!(77), json!(2), json!(["END"]), json!(7), json!("low")];
    assert_eq!(settings.map(|name| chat[name].clone()), wanted);
}

#[test]
fn both_spellings_are_read_and_an_instruction_may_be_a_text() {
    let chat = chat(json!({
        "system_instruction": "Be short.",
        "contents": [{ "parts": [{ "inline_data": { "mime_type": "audio/wav", "data": "AA==" } }] }],
        "tools": [{ "function_declarations": [{ "name": "f", "parameters_json_schema": { "type": "object" } }] }],
        "tool_config": { "function_calling_config": { "mode": "none" } },
        "generation_config": { "max_output_tokens": 9, "thinking_config": { "thinking_level": "HIGH" } },
    }))
    .unwrap();
    assert_eq!((chat.output_limit(), chat.reasoning_effort.as_deref()), (Some(9), Some("high")));
    assert_eq!((chat.messages.len(), chat.tool_choice), (2, Some(json!("none"))));
    assert!(chat.tools[0].function.parameters.is_some());
    let sound = serde_json::to_value(&chat.messages[1]).unwrap();
    assert_eq!(sound["content"][0]["input_audio"], json!({ "format": "wav", "data": "AA==" }));
}

#[test]
fn what_cannot_be_served_is_refused_by_name() {
    let with = |name: &str, value: Value| {
        let mut body = json!({ "contents": [{ "role": "user", "parts": [{ "text": "x" }] }] });
        body[name] = value;
        chat(body).unwrap_err().param.unwrap()
    };
    assert_eq!(with("tools", json!([{ "googleSearch": {} }])), "tools[0].googleSearch");
    assert_eq!(with("cachedContent", json!("cachedContents/1")), "cachedContent");
    let settings = |value| with("generationConfig", value);
    assert_eq!(settings(json!({ "responseModalities": ["IMAGE"] })), "generationConfig.responseModalities");
    assert_eq!(settings(json!({ "responseMimeType": "text/x.enum" })), "generationConfig.responseMimeType");
    let contents = |part: Value| with("contents", json!([{ "role": "model", "parts": [part] }]));
    assert_eq!(contents(json!({ "executableCode": { "code": "1" } })), "contents[0].parts[0]");
    assert_eq!(contents(json!({ "fileData": { "fileUri": "files/1" } })), "contents[0].parts[0]");
    assert_eq!(with("contents", json!([{ "role": "assistant", "parts": [] }])), "contents[0].role");
}
