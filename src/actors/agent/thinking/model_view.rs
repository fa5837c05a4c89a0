//! A step's view in the chat form, and a model's answer as a row.

use serde_json::{Map, Value};

use crate::domain::thinking::{
    AnswerFinish, AnsweredRow, BlockBody, ThinkingView, ViewMessage, ViewRole, WrittenCall,
};
use crate::llm::chat::{
    ChatContent, ChatMessage, ChatRequest, ChatRole, ChatTool, FunctionCall, ToolCall, ToolFunction,
};
use crate::llm::model_caller::TurnAnswer;

/// The request for the next turn.
pub(super) fn chat_of(view: &ThinkingView, output_tokens: u64) -> ChatRequest {
    let mut messages = vec![ChatMessage::text(ChatRole::System, view.system.clone())];
    messages.extend(view.messages.iter().flat_map(messages_of));
    let tools: Vec<ChatTool> = offered(&view.tools_json);
    let has_tools = !tools.is_empty();
    ChatRequest {
        messages,
        max_tokens: Some(output_tokens),
        parallel_tool_calls: has_tools.then_some(true),
        tools,
        ..ChatRequest::default()
    }
}

fn offered(tools_json: &str) -> Vec<ChatTool> {
    let offers: Vec<Value> = serde_json::from_str(tools_json).unwrap_or_default();
    let text = |offer: &Value, name: &str| offer.get(name).and_then(Value::as_str).map(str::to_owned);
    let tool = |offer: Value| ChatTool {
        kind: "function".to_owned(),
        function: ToolFunction {
            name: text(&offer, "name").unwrap_or_default(),
            description: text(&offer, "description"),
            parameters: offer.get("parameters").cloned(),
            strict: None,
        },
        cache_control: None,
    };
    offers.into_iter().map(tool).collect()
}

/// Results become messages of their own; the texts of a person's message stay together.
fn messages_of(message: &ViewMessage) -> Vec<ChatMessage> {
    let mut made = Vec::new();
    let mut texts: Vec<&str> = Vec::new();
    let mut calls = Vec::new();
    for block in &message.blocks {
        match block {
            BlockBody::Text(text) => texts.push(text),
            BlockBody::Call { id, tool, args } => {
                let function = FunctionCall { name: tool.clone(), arguments: args.clone() };
                calls.push(ToolCall::of_function(id.clone(), function));
            }
            BlockBody::Result { id, text, .. } => made.push(ChatMessage {
                tool_call_id: Some(id.clone()),
                ..ChatMessage::text(ChatRole::Tool, text.clone())
            }),
        }
    }
    let content = (!texts.is_empty()).then(|| ChatContent::Text(texts.join("\n\n")));
    match message.role {
        ViewRole::Assistant => made.push(ChatMessage {
            role: ChatRole::Assistant,
            content,
            tool_calls: calls,
            tool_call_id: None,
            refusal: None,
            extra: Map::new(),
        }),
        ViewRole::User if content.is_some() => {
            made.push(ChatMessage { content, ..ChatMessage::text(ChatRole::User, "") });
        }
        ViewRole::User => {}
    }
    made
}

/// An answer as the log keeps it.
pub(super) fn row_of(answer: TurnAnswer, turn: u32, elapsed_ms: u64) -> AnsweredRow {
    let usage = answer.usage.unwrap_or_default();
    let content = answer.message.content.as_ref().map(ChatContent::to_text);
    let refusal = answer.message.refusal.filter(|text| !text.is_empty());
    let finish = match answer.finish_reason.as_deref() {
        _ if refusal.is_some() => AnswerFinish::Refused,
        Some("length") => AnswerFinish::Length,
        Some("content_filter") => AnswerFinish::Refused,
        _ => AnswerFinish::Stop,
    };
    let calls = answer.message.tool_calls.into_iter().map(|call| WrittenCall {
        vendor_id: call.id,
        tool: call.function.name,
        args: call.function.arguments,
    });
    AnsweredRow {
        turn,
        text: refusal.or(content).unwrap_or_default(),
        calls: calls.collect(),
        finish,
        model: format!("{}/{}", answer.vendor, answer.model),
        receipt: answer.receipt,
        tokens_in: usage.prompt(),
        tokens_out: usage.output,
        cost_nano: answer.cost.0,
        money_left_nano: answer.money_left.map(|left| left.0),
        elapsed_ms,
    }
}
