//! A stream in the protocol of client and vendor: events pass, and only a failure is written.

use serde_json::json;

use super::{ApiProblem, InboundWriter, data_line, event};
use crate::chat::ChatChunk;
use crate::passage::WireProtocol;
use pas_domain::usage::TokenUsage;

/// Writes the end of a stream that is passed on.
#[derive(Debug)]
pub struct PassedWriter {
    protocol: WireProtocol,
}

impl PassedWriter {
    #[must_use]
    pub const fn new(protocol: WireProtocol) -> Self {
        Self { protocol }
    }
}

impl InboundWriter for PassedWriter {
    /// A stream that is passed on has no chunks.
    fn chunk(&mut self, _chunk: &ChatChunk, _out: &mut Vec<u8>) {}

    /// The vendor's own last event says it.
    fn finish(&mut self, _usage: Option<&TokenUsage>, _out: &mut Vec<u8>) {}

    fn fail(&mut self, problem: &ApiProblem, out: &mut Vec<u8>) {
        if let Some(said) = problem.said.as_ref().filter(|said| !said.event.is_empty()) {
            out.extend_from_slice(&said.event);
            return;
        }
        let mut body = problem.body(self.protocol.format());
        match self.protocol {
            WireProtocol::Chat | WireProtocol::Completions | WireProtocol::Generate => data_line(out, &body),
            WireProtocol::Messages => event(out, "error", &body),
            WireProtocol::Responses => {
                for name in ["code", "message", "param"] {
                    body[name] = body["error"][name].clone();
                }
                body["type"] = json!("error");
                event(out, "error", &body);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbound::ProblemKind;
    use crate::inbound::testing::written;

    #[test]
    fn a_cut_is_told_in_the_protocol() {
        let problem = ApiProblem::new(ProblemKind::Cut, "cut");
        let told = |protocol| written(&mut PassedWriter::new(protocol), &[], Err(&problem));
        assert!(told(WireProtocol::Chat).starts_with("data: {\"error\":{"));
        assert!(told(WireProtocol::Generate).contains("\"status\":\"INTERNAL\""));
        assert!(told(WireProtocol::Messages).starts_with("event: error\ndata: {"));
        assert!(told(WireProtocol::Messages).contains("\"type\":\"error\""));
        assert!(told(WireProtocol::Responses).contains("\"code\":\"stream_cut\""));
        let whole = written(&mut PassedWriter::new(WireProtocol::Chat), &[], Ok(None));
        assert_eq!(whole, "", "the vendor's end is the end");
    }
}
