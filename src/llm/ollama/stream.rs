//! The stream: an object a line, the last of them `done`.

use super::response::{Answer, call_id};
use crate::domain::usage::Usage;
use crate::llm::chat::Delta;
use crate::llm::dialect::Asked;
use crate::llm::failure::Failure;
use crate::llm::stream::{self, Chunks};
use crate::llm::translate::{self, Head};

/// What has come so far.
pub(in crate::llm) struct Events {
    head: Head,
    has_begun: bool,
    calls: u32,
    is_over: bool,
    usage: Option<Usage>,
}

impl Events {
    pub(in crate::llm) const fn new(asked: Asked) -> Self {
        let head = Head { id: String::new(), asked };
        Self { head, has_begun: false, calls: 0, is_over: false, usage: None }
    }
}

impl stream::Events for Events {
    fn take(&mut self, _name: &[u8], data: &[u8], chunks: &mut Chunks) -> Result<(), Failure> {
        if self.is_over {
            return Ok(());
        }
        let mut answer = Answer::read(data)?;
        let mut news = Vec::new();
        if !std::mem::replace(&mut self.has_begun, true) {
            self.head.id = answer.id();
            self.head.model(answer.model.clone());
            news.push(translate::role());
        }
        if let Some(thinking) = answer.message.thinking.as_deref().filter(|text| !text.is_empty()) {
            news.push(translate::reasoning(thinking));
        }
        if !answer.message.content.is_empty() {
            news.push(translate::text(&answer.message.content));
        }
        for call in &mut answer.message.tool_calls {
            let id = call_id(call, &self.head.id, usize::try_from(self.calls).unwrap_or(usize::MAX));
            let arguments = call.function.arguments().to_string();
            news.push(translate::call(self.calls, Some((id, call.function.name.clone())), arguments));
            self.calls += 1;
        }
        chunks.extend(news.into_iter().map(|delta| self.head.chunk(0, delta, None)));
        if answer.done {
            self.is_over = true;
            self.usage = answer.usage();
            let reason = answer.finish_reason(self.calls > 0);
            chunks.push(self.head.chunk(0, Delta::default(), Some(reason)));
            chunks.extend(self.usage.map(|usage| self.head.usage_chunk(usage)));
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.is_over
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }
}
