//! The stream: typed events, from `message_start` to `message_stop`.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::response::{Answer, Block, WireUsage, object, redacted_block, thinking_block};
use super::{THINKING_BLOCKS, finish_reason};
use crate::domain::usage::Usage;
use crate::llm::chat::{ChatChunk, Delta};
use crate::llm::dialect::Asked;
use crate::llm::failure::Failure;
use crate::llm::refusal;
use crate::llm::stream::{self, Chunks};
use crate::llm::translate::{self, Head};
use crate::llm::vendor::Vendor;

const VENDOR: Vendor = Vendor::Anthropic;

/// What has come so far.
pub(in crate::llm) struct Events {
    head: Head,
    calls: u32,
    /// The thinking so far, which its signature vouches for.
    thought: String,
    /// The call whose arguments are coming.
    open: Option<OpenCall>,
    usage: Option<WireUsage>,
    is_over: bool,
}

struct OpenCall {
    index: u32,
    /// What the block began with; sent if no piece of arguments comes.
    input: Value,
    has_arguments: bool,
}

/// The vendor may add kinds of events, which then say nothing to us.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Answer,
    },
    ContentBlockStart {
        content_block: Block,
    },
    ContentBlockDelta {
        delta: Piece,
    },
    ContentBlockStop,
    MessageDelta {
        delta: Ending,
        #[serde(default)]
        usage: Option<WireUsage>,
    },
    MessageStop,
    Error,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "the names are the vendor's")]
enum Piece {
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
struct Ending {
    #[serde(default)]
    stop_reason: Option<String>,
}

impl Events {
    pub(in crate::llm) fn new(asked: Asked) -> Self {
        let head = Head { id: String::new(), asked };
        Self { head, calls: 0, thought: String::new(), open: None, usage: None, is_over: false }
    }

    fn event(&mut self, event: Event) -> Option<ChatChunk> {
        match event {
            Event::MessageStart { message } => {
                self.head.id = message.id;
                self.head.model(message.model);
                self.usage = message.usage;
                Some(self.news(translate::role()))
            }
            Event::ContentBlockStart { content_block } => self.begin(content_block),
            Event::ContentBlockDelta { delta } => self.piece(delta),
            Event::ContentBlockStop => {
                let open = self.open.take().filter(|open| !open.has_arguments)?;
                Some(self.news(translate::call(open.index, None, object(open.input).to_string())))
            }
            Event::MessageDelta { delta, usage } => {
                if let Some(later) = usage {
                    self.usage = Some(self.usage.unwrap_or_default().updated(later));
                }
                let reason = finish_reason(&delta.stop_reason?);
                Some(self.head.chunk(0, Delta::default(), Some(reason)))
            }
            Event::MessageStop => {
                self.is_over = true;
                self.usage.and_then(|usage| usage.usage()).map(|usage| self.head.usage_chunk(usage))
            }
            Event::Error | Event::Other => None,
        }
    }

    fn begin(&mut self, block: Block) -> Option<ChatChunk> {
        match block {
            Block::ToolUse { id, name, input } => {
                let index = self.calls;
                self.calls += 1;
                self.open = Some(OpenCall { index, input, has_arguments: false });
                Some(self.news(translate::call(index, Some((id, name)), String::new())))
            }
            Block::Text { text } => (!text.is_empty()).then(|| self.news(translate::text(&text))),
            Block::Thinking { thinking, .. } => {
                self.thought.clone_from(&thinking);
                (!thinking.is_empty()).then(|| self.news(translate::reasoning(&thinking)))
            }
            Block::RedactedThinking { data } => Some(self.thought(redacted_block(&data))),
            Block::Other => None,
        }
    }

    fn piece(&mut self, piece: Piece) -> Option<ChatChunk> {
        match piece {
            Piece::TextDelta { text } => Some(self.news(translate::text(&text))),
            Piece::ThinkingDelta { thinking } => {
                self.thought.push_str(&thinking);
                Some(self.news(translate::reasoning(&thinking)))
            }
            Piece::SignatureDelta { signature } => {
                let thinking = std::mem::take(&mut self.thought);
                Some(self.thought(thinking_block(&thinking, Some(signature))))
            }
            Piece::InputJsonDelta { partial_json } => {
                let open = self.open.as_mut().filter(|_| !partial_json.is_empty())?;
                open.has_arguments = true;
                let index = open.index;
                Some(self.news(translate::call(index, None, partial_json)))
            }
            Piece::OtherDelta => None,
        }
    }

    fn news(&self, delta: Delta) -> ChatChunk {
        self.head.chunk(0, delta, None)
    }

    fn thought(&self, block: Value) -> ChatChunk {
        let extra = Map::from_iter([(THINKING_BLOCKS.to_owned(), vec![block].into())]);
        self.news(Delta { extra, ..Delta::default() })
    }
}

impl stream::Events for Events {
    fn take(&mut self, _name: &[u8], data: &[u8], chunks: &mut Chunks) -> Result<(), Failure> {
        if self.is_over {
            return Ok(());
        }
        let event: Event =
            serde_json::from_slice(data).map_err(|error| Failure::malformed(VENDOR, &error.to_string()))?;
        if let Event::Error = event {
            let unknown = || Failure::malformed(VENDOR, "an error event without an error");
            return Err(refusal::in_answer(VENDOR, data).unwrap_or_else(unknown));
        }
        chunks.extend(self.event(event));
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.is_over
    }

    fn usage(&self) -> Option<Usage> {
        self.usage.and_then(|usage| usage.usage())
    }
}
