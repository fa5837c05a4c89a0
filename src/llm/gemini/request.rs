//! The request: contents, tools, configuration.

use serde_json::{Map, Value, json};

use super::{EXTRA, STREAM, WHOLE, path, schema, signature_in};
use crate::catalogue;
use crate::chat::{ChatMessage, ChatRequest, ChatRole, ChatTool};
use crate::dialect::VendorRequest;
use crate::failure::VendorFailure;
use crate::message_parts::{self, MessagePart, ResponseFormat, ToolChoice};
use crate::vendor::Vendor;

const VENDOR: Vendor = Vendor::Gemini;
/// In place of the signature of a call that has none.
const UNCHECKED: &str = "skip_thought_signature_validator";
/// The vendor's maximum of candidates per request.
const MAX_CANDIDATES: u64 = 8;

pub(crate) fn chat(request: &ChatRequest, stream: bool) -> Result<VendorRequest, VendorFailure> {
    message_parts::refuse(VENDOR, request, MAX_CANDIDATES)?;
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
    let mut instructions = Vec::new();
    for message in request.messages.iter().filter(|message| message_parts::is_instruction(message)) {
        instructions.extend(parts(message)?);
    }
    if !instructions.is_empty() {
        set("systemInstruction", json!({"parts": instructions}));
    }
    set("contents", contents(request)?.into());
    if !request.tools.is_empty() {
        let declarations = request.tools.iter().map(declaration).collect::<Result<Vec<_>, _>>()?;
        set("tools", json!([{"functionDeclarations": declarations}]));
        if let Some(choice) = message_parts::tool_choice(request)? {
            set("toolConfig", json!({"functionCallingConfig": calling(&choice)}));
        }
    }
    set("generationConfig", configuration(request)?);
    let method = if stream { STREAM } else { WHOLE };
    VendorRequest::json(path(&request.model, method), &body)
}

/// The turns; adjacent messages of one role are merged, so that parallel calls are answered together.
fn contents(request: &ChatRequest) -> Result<Vec<Value>, VendorFailure> {
    let messages = &request.messages;
    let checks_signatures = checks_signatures(&request.model);
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        if message_parts::is_instruction(message) {
            continue;
        }
        let (role, said) = match message.role {
            ChatRole::Assistant => ("model", model_turn(message, checks_signatures)?),
            ChatRole::Tool => {
                let name = message_parts::called_function(&messages[..at], message)?;
                ("user", vec![function_response(name, message)])
            }
            _ => ("user", parts(message)?),
        };
        match turns.last_mut() {
            Some((last, turn)) if *last == role => turn.extend(said),
            _ if said.is_empty() => {}
            _ => turns.push((role, said)),
        }
    }
    Ok(turns.into_iter().map(|(role, parts)| json!({"role": role, "parts": parts})).collect())
}

/// Whether the model refuses calls without the signature of their thought: all since Gemini 3 do.
fn checks_signatures(model: &str) -> bool {
    let name = model.strip_prefix("models/").unwrap_or(model);
    !["gemini-1", "gemini-2", "gemma"].iter().any(|old| name.starts_with(old))
}

/// A turn of the model. Of parallel calls only the first is signed; one that another model made, or whose signature
/// a client has lost, gets the vendor's word for calls that are not to be checked.
fn model_turn(message: &ChatMessage, checks_signatures: bool) -> Result<Vec<Value>, VendorFailure> {
    let mut said = parts(message)?;
    let of_text = message.extra.get(EXTRA).and_then(signature_in);
    if let (Some(signature), Some(last)) = (of_text, said.last_mut()) {
        last["thoughtSignature"] = signature.into();
    }
    for (number, call) in message.tool_calls.iter().enumerate() {
        let args = message_parts::arguments(call);
        let mut part = json!({"functionCall": {"name": call.function.name, "args": args}});
        let signature = call.extra_content.as_ref().and_then(signature_in);
        let unchecked = (number == 0 && checks_signatures).then_some(UNCHECKED);
        if let Some(signature) = signature.or(unchecked) {
            part["thoughtSignature"] = signature.into();
        }
        said.push(part);
    }
    Ok(said)
}

/// The API requires an object; any other result is wrapped in one.
fn function_response(name: &str, message: &ChatMessage) -> Value {
    let text = message.content.as_ref().map(|content| content.to_text()).unwrap_or_default();
    let response = match serde_json::from_str(&text) {
        Ok(Value::Object(object)) => Value::Object(object),
        _ => json!({"result": text}),
    };
    json!({"functionResponse": {"name": name, "response": response}})
}

fn parts(message: &ChatMessage) -> Result<Vec<Value>, VendorFailure> {
    let part = |piece: MessagePart<'_>| match piece {
        MessagePart::Text(text, _) => Ok(json!({"text": text})),
        MessagePart::Data(media_type, data) => {
            Ok(json!({"inlineData": {"mimeType": media_type, "data": data}}))
        }
        MessagePart::Audio(format, data) => {
            Ok(json!({"inlineData": {"mimeType": format!("audio/{format}"), "data": data}}))
        }
        MessagePart::Link(_) => {
            let what = "reads no pictures at addresses; send them as data:image/…;base64,…";
            Err(VendorFailure::unsupported(VENDOR, what))
        }
    };
    message_parts::pieces(VENDOR, message)?.into_iter().map(part).collect()
}

fn declaration(tool: &ChatTool) -> Result<Value, VendorFailure> {
    let function = &tool.function;
    let mut declaration = json!({"name": function.name});
    if let Some(description) = &function.description {
        declaration["description"] = description.as_str().into();
    }
    // A function without arguments has no schema: the API refuses objects without properties.
    let has_arguments = |schema: &&Value| {
        schema.get("properties").and_then(Value::as_object).is_none_or(|properties| !properties.is_empty())
    };
    if let Some(parameters) = function.parameters.as_ref().filter(has_arguments) {
        declaration["parameters"] = schema::openapi(parameters)?;
    }
    Ok(declaration)
}

fn calling(choice: &ToolChoice<'_>) -> Value {
    match choice {
        ToolChoice::Auto => json!({"mode": "AUTO"}),
        ToolChoice::Never => json!({"mode": "NONE"}),
        ToolChoice::Any => json!({"mode": "ANY"}),
        ToolChoice::One(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
    }
}

fn configuration(request: &ChatRequest) -> Result<Value, VendorFailure> {
    let extra = |name: &str| request.extra.get(name).filter(|value| !value.is_null()).cloned();
    let stops = message_parts::stops(request);
    let (kind, schema) = match message_parts::format(request)? {
        ResponseFormat::Text => (None, None),
        ResponseFormat::JsonObject => (Some("application/json".into()), None),
        ResponseFormat::Schema(schema) => (Some("application/json".into()), Some(schema::openapi(schema)?)),
    };
    let all = [
        ("maxOutputTokens", Some(catalogue::output_limit(VENDOR, request).into())),
        ("temperature", request.temperature.map(Into::into)),
        ("topP", request.top_p.map(Into::into)),
        ("topK", extra("top_k")),
        ("stopSequences", (!stops.is_empty()).then(|| stops.into())),
        ("candidateCount", extra("n").filter(|n| *n != 1)),
        ("seed", extra("seed")),
        ("presencePenalty", extra("presence_penalty")),
        ("frequencyPenalty", extra("frequency_penalty")),
        ("responseMimeType", kind),
        ("responseSchema", schema),
        ("thinkingConfig", thinking(request.reasoning_effort.as_deref())),
    ];
    Ok(all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

/// Budgets as in the vendor's OpenAI-compatible endpoint.
fn thinking(effort: Option<&str>) -> Option<Value> {
    let budget = match effort? {
        "none" => 0,
        "minimal" | "low" => 1_024,
        "medium" => 8_192,
        "high" => 24_576,
        _ => return None,
    };
    Some(json!({"thinkingBudget": budget}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VendorFailureKind;

    fn wire(request: Value, stream: bool) -> Result<(Value, String), VendorFailure> {
        let wire = chat(&serde_json::from_value(request).unwrap(), stream)?;
        Ok((serde_json::from_slice(&wire.body).unwrap(), wire.path))
    }

    #[test]
    fn a_conversation_with_parallel_tools_pictures_and_sound_is_translated_whole() {
        let (body, path) = wire(json!({
            "model": "gemini-2.5-pro", "temperature": 0.25, "seed": 4, "stop": ["a", "b"], "reasoning_effort": "low",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [
                    {"type": "text", "text": "Compare"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                    {"type": "input_audio", "input_audio": {"data": "BBBB", "format": "wav"}}]},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"},
                     "extra_content": {"google": {"thought_signature": "sig"}}},
                    {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "{\"x\": 1}"},
                {"role": "tool", "tool_call_id": "c2", "content": "two"}],
            "tools": [
                {"type": "function", "function": {"name": "f", "description": "d", "parameters": {
                    "type": "object", "properties": {"a": {"type": ["integer", "null"]}}, "additionalProperties": false}}},
                {"type": "function", "function": {"name": "g", "parameters": {"type": "object", "properties": {}}}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
        }), true)
        .unwrap();
        assert_eq!(path, "/models/gemini-2.5-pro:streamGenerateContent?alt=sse");
        assert_eq!(body["systemInstruction"], json!({"parts": [{"text": "Be brief."}]}));
        assert_eq!(
            body["contents"],
            json!([
            {"role": "user", "parts": [
                {"text": "Compare"},
                {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
                {"inlineData": {"mimeType": "audio/wav", "data": "BBBB"}}]},
            {"role": "model", "parts": [
                {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "sig"},
                {"functionCall": {"name": "g", "args": {}}}]},
            {"role": "user", "parts": [
                {"functionResponse": {"name": "f", "response": {"x": 1}}},
                {"functionResponse": {"name": "g", "response": {"result": "two"}}}]}])
        );
        assert_eq!(
            body["tools"],
            json!([{"functionDeclarations": [
            {"name": "f", "description": "d", "parameters": {
                "type": "object", "properties": {"a": {"type": "integer", "nullable": true}}}},
            {"name": "g"}]}])
        );
        let calling = json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}});
        assert_eq!(body["toolConfig"], calling);
        assert_eq!(
            body["generationConfig"],
            json!({
            "maxOutputTokens": 65_536, "temperature": 0.25, "seed": 4, "stopSequences": ["a", "b"],
            "thinkingConfig": {"thinkingBudget": 1_024}})
        );
    }

    #[test]
    fn a_call_without_its_signature_is_marked_as_unchecked_where_the_model_asks() {
        let parts = |model: &str, extra: Value| {
            let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
            let said = json!({"role": "assistant", "content": "so", "extra_content": extra, "tool_calls": [call("a"), call("b")]});
            let (body, _) = wire(json!({"model": model, "messages": [said]}), false).unwrap();
            let parts = body["contents"][0]["parts"].as_array().unwrap().clone();
            parts.into_iter().map(|part| part["thoughtSignature"].clone()).collect::<Vec<_>>()
        };
        let nothing = Value::Null;
        assert_eq!(
            parts("gemini-3-pro-preview", json!(null)),
            [nothing.clone(), UNCHECKED.into(), nothing.clone()]
        );
        assert_eq!(parts("gemini-2.5-pro", json!(null)), [nothing.clone(), nothing.clone(), nothing.clone()]);
        let of_text = super::super::signed("T");
        assert_eq!(parts("gemini-2.5-pro", of_text), [json!("T"), nothing.clone(), nothing]);
    }

    #[test]
    fn structured_output_is_a_media_type_and_a_schema() {
        let ask = |format: Value| {
            let request =
                json!({"model": "models/g", "messages": [], "response_format": format, "max_tokens": 5});
            wire(request, false).unwrap()
        };
        let (body, path) = ask(json!({"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}));
        assert_eq!(path, "/models/g:generateContent");
        let wanted = json!({"maxOutputTokens": 5, "responseMimeType": "application/json",
            "responseSchema": {"type": "object"}});
        assert_eq!(body["generationConfig"], wanted);
        let (body, _) = ask(json!({"type": "json_object"}));
        assert_eq!(body["generationConfig"]["responseMimeType"], "application/json");
    }

    #[test]
    fn a_picture_at_an_address_and_an_answer_to_no_call_are_refused() {
        let picture = json!({"type": "image_url", "image_url": {"url": "https://a/b.png"}});
        let request = json!({"model": "g", "messages": [{"role": "user", "content": [picture]}]});
        assert_eq!(wire(request, false).unwrap_err().kind, VendorFailureKind::Unsupported);
        let request =
            json!({"model": "g", "messages": [{"role": "tool", "tool_call_id": "c9", "content": "x"}]});
        assert_eq!(wire(request, false).unwrap_err().kind, VendorFailureKind::BadRequest);
    }
}
