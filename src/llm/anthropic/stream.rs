//! The stream: typed events, from `message_start` to `message_stop`.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::response::{
    AnthropicBlock, AnthropicResponse, AnthropicUsage, object, redacted_block, thinking_block,
};
use super::{THINKING_BLOCKS, finish_reason};
use crate::chat::{ChatChunk, ChatDelta};
use crate::dialect::AnswerDefaults;
use crate::exact_integers;
use crate::failure::VendorFailure;
use crate::message_parts::{self, ChunkHead};
use crate::stream::{self, DecodedItems};
use crate::vendor::Vendor;
use crate::vendor_error;
use pas_domain::usage::TokenUsage;

const VENDOR: Vendor = Vendor::Anthropic;

/// The state so far.
pub(crate) struct AnthropicDecoder {
    head: ChunkHead,
    calls: u32,
    /// The thinking so far, which its signature vouches for.
    thought: String,
    /// The call whose arguments are coming.
    open: Option<OpenCall>,
    usage: Option<AnthropicUsage>,
    is_over: bool,
}

struct OpenCall {
    index: u32,
    /// The initial input of the block; sent if no argument delta comes.
    input: Value,
    has_arguments: bool,
}

/// Unknown kinds of events are ignored; the vendor may add some.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum AnthropicEvent {
    MessageStart {
        message: AnthropicResponse,
    },
    ContentBlockStart {
        content_block: AnthropicBlock,
    },
    ContentBlockDelta {
        delta: AnthropicDelta,
    },
    ContentBlockStop,
    MessageDelta {
        delta: AnthropicEnding,
        #[serde(default)]
        usage: Option<AnthropicUsage>,
    },
    MessageStop,
    Error,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "the names are the vendor's")]
enum AnthropicDelta {
    TextDelta {
        text: String,
    },
    InputJsonDelta {
        partial_json: String,
    },
    ThinkingDelta {
        thinking: String,
    },
    SignatureDelta {
        signature: String,
    },
    #[serde(other)]
    OtherDelta,
}

#[derive(Deserialize)]
struct AnthropicEnding {
    #[serde(default)]
    stop_reason: Option<String>,
}

impl AnthropicDecoder {
    pub(crate) fn new(asked: AnswerDefaults) -> Self {
        let head = ChunkHead { id: String::new(), asked };
        Self { head, calls: 0, thought: String::new(), open: None, usage: None, is_over: false }
    }

    fn event(&mut self, event: AnthropicEvent) -> Option<ChatChunk> {
        match event {
            AnthropicEvent::MessageStart { message } => {
                self.head.id = message.id;
                self.head.model(message.model);
                self.usage = message.usage;
                Some(self.news(message_parts::role()))
            }
            AnthropicEvent::ContentBlockStart { content_block } => self.begin(content_block),
            AnthropicEvent::ContentBlockDelta { delta } => self.piece(delta),
            AnthropicEvent::ContentBlockStop => {
                let open = self.open.take().filter(|open| !open.has_arguments)?;
                Some(self.news(message_parts::call(
                    open.index,
                    None,
                    exact_integers::text_of(&object(open.input)),
                )))
            }
            AnthropicEvent::MessageDelta { delta, usage } => {
                if let Some(later) = usage {
                    self.usage = Some(self.usage.unwrap_or_default().updated(later));
                }
                let reason = finish_reason(&delta.stop_reason?);
                Some(self.head.chunk(0, ChatDelta::default(), Some(reason)))
            }
            AnthropicEvent::MessageStop => {
                self.is_over = true;
                self.usage.and_then(|usage| usage.usage()).map(|usage| self.head.usage_chunk(usage))
            }
            AnthropicEvent::Error | AnthropicEvent::Other => None,
        }
    }

    fn begin(&mut self, block: AnthropicBlock) -> Option<ChatChunk> {
        match block {
            AnthropicBlock::ToolUse { id, name, input } => {
                let index = self.calls;
                self.calls += 1;
                self.open = Some(OpenCall { index, input, has_arguments: false });
                Some(self.news(message_parts::call(index, Some((id, name)), String::new())))
            }
            AnthropicBlock::Text { text } => {
                (!text.is_empty()).then(|| self.news(message_parts::text(&text)))
            }
            AnthropicBlock::Thinking { thinking, .. } => {
                self.thought.clone_from(&thinking);
                (!thinking.is_empty()).then(|| self.news(message_parts::reasoning(&thinking)))
            }
            AnthropicBlock::RedactedThinking { data } => Some(self.thought(redacted_block(&data))),
            AnthropicBlock::Other => None,
        }
    }

    fn piece(&mut self, piece: AnthropicDelta) -> Option<ChatChunk> {
        match piece {
            AnthropicDelta::TextDelta { text } => Some(self.news(message_parts::text(&text))),
            AnthropicDelta::ThinkingDelta { thinking } => {
                self.thought.push_str(&thinking);
                Some(self.news(message_parts::reasoning(&thinking)))
            }
            AnthropicDelta::SignatureDelta { signature } => {
                let thinking = std::mem::take(&mut self.thought);
                Some(self.thought(thinking_block(&thinking, Some(signature))))
            }
            AnthropicDelta::InputJsonDelta { partial_json } => {
                let open = self.open.as_mut().filter(|_| !partial_json.is_empty())?;
                open.has_arguments = true;
                let index = open.index;
                Some(self.news(message_parts::call(index, None, partial_json)))
            }
            AnthropicDelta::OtherDelta => None,
        }
    }

    fn news(&self, delta: ChatDelta) -> ChatChunk {
        self.head.chunk(0, delta, None)
    }

    fn thought(&self, block: Value) -> ChatChunk {
        let extra = Map::from_iter([(THINKING_BLOCKS.to_owned(), vec![block].into())]);
        self.news(ChatDelta { extra, ..ChatDelta::default() })
    }
}

impl stream::EventDecoder for AnthropicDecoder {
    fn take(&mut self, _name: &[u8], data: &[u8], chunks: &mut DecodedItems) -> Result<(), VendorFailure> {
        if self.is_over {
            return Ok(());
        }
        let event: AnthropicEvent = exact_integers::read(data)
            .map_err(|error| VendorFailure::malformed(VENDOR, &error.to_string()))?;
        if let AnthropicEvent::Error = event {
            let unknown = || VendorFailure::malformed(VENDOR, "an error event without an error");
            return Err(vendor_error::in_answer(VENDOR, data).unwrap_or_else(unknown));
        }
        chunks.extend(self.event(event));
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.is_over
    }

    fn usage(&self) -> Option<TokenUsage> {
        self.usage.and_then(|usage| usage.usage())
    }
}
