//! Exports spans as OTLP over HTTP (protobuf), if the configuration names a receiver.
//!
//! Reads the rings with a cursor; overwritten records are counted and logged. Failure policy: a receiver that
//! does not answer loses that batch and never costs the daemon memory.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;

use crate::llm::tls;
use crate::supervision::trace::ring::RingCursor;
use crate::supervision::trace::{MessageOutcome, TraceRecord};
use crate::supervision::{Actor, ActorContext, ActorError, ActorMessage, ActorSystem};

/// Longest wait for the receiver.
const EXPORT_DEADLINE: Duration = Duration::from_secs(10);

pub enum OtlpMessage {
    /// Time to export new spans.
    Export,
    /// An export has ended: the number of spans, and the failure.
    Exported(usize, Option<String>),
}

impl ActorMessage for OtlpMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Export => "export",
            Self::Exported(..) => "exported",
        }
    }
}

pub struct OtlpExporter {
    system: ActorSystem,
    client: reqwest::Client,
    url: String,
    interval: Duration,
    cursor: RingCursor,
}

impl OtlpExporter {
    /// Starts to export to `endpoint` (such as `http://127.0.0.1:4318`) every `interval`.
    ///
    /// # Errors
    /// The HTTP client's, when it cannot be built.
    pub fn start(
        system: ActorSystem,
        endpoint: &str,
        interval: Duration,
        context: &ActorContext<OtlpMessage>,
    ) -> Result<Self, ActorError> {
        let client = tls::plain_client_builder()?.timeout(EXPORT_DEADLINE).build()?;
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        schedule(interval, context);
        Ok(Self { system, client, url, interval, cursor: RingCursor::default() })
    }

    fn export(&mut self, context: &ActorContext<OtlpMessage>) {
        let (records, lost) = self.system.ring().since(&mut self.cursor);
        if lost > 0 {
            tracing::warn!(lost, "spans were overwritten before they could be exported");
        }
        if records.is_empty() {
            return schedule(self.interval, context);
        }
        let body = request(&self.system, &records).encode_to_vec();
        let sent =
            self.client.post(&self.url).header("content-type", "application/x-protobuf").body(body).send();
        let (address, count) = (context.address().clone(), records.len());
        context.spawn(async move {
            let failure = match sent.await {
                Ok(answer) if answer.status().is_success() => None,
                Ok(answer) => Some(format!("the receiver answered {}", answer.status())),
                Err(error) => Some(error.without_url().to_string()),
            };
            // An exporter that has ended needs no notice.
            let _ = address.send(OtlpMessage::Exported(count, failure)).await;
        });
    }
}

impl Actor for OtlpExporter {
    type Message = OtlpMessage;

    async fn handle(
        &mut self,
        message: OtlpMessage,
        context: &ActorContext<OtlpMessage>,
    ) -> Result<(), ActorError> {
        match message {
            OtlpMessage::Export => self.export(context),
            OtlpMessage::Exported(count, failure) => {
                if let Some(failure) = failure {
                    tracing::warn!(count, failure, "spans could not be exported");
                }
                schedule(self.interval, context);
            }
        }
        Ok(())
    }
}

fn schedule(interval: Duration, context: &ActorContext<OtlpMessage>) {
    let address = context.address().clone();
    context.spawn(async move {
        tokio::time::sleep(interval).await;
        // An exporter that has ended needs no reminder.
        let _ = address.send(OtlpMessage::Export).await;
    });
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    let value = AnyValue { value: Some(Any::StringValue(value.into())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

/// Records as one export request, named after OpenTelemetry's messaging conventions.
fn request(system: &ActorSystem, records: &[TraceRecord]) -> ExportTraceServiceRequest {
    let resource = Resource {
        attributes: vec![text("service.name", "pas"), text("service.version", env!("CARGO_PKG_VERSION"))],
        ..Resource::default()
    };
    let scope =
        InstrumentationScope { name: "pas.supervision".to_owned(), ..InstrumentationScope::default() };
    let spans = records.iter().map(|record| span(system, record)).collect();
    let scope_spans = ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() };
    let resource_spans = ResourceSpans {
        resource: Some(resource),
        scope_spans: vec![scope_spans],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
}

fn span(system: &ActorSystem, record: &TraceRecord) -> Span {
    let (ring, tree) = (system.ring(), system.tree());
    let unix_ns = |ns: u64| u64::try_from(ring.wall(0).as_millis()).unwrap_or(0) * 1_000_000 + ns;
    let to = tree.name_of(record.to);
    let code = if record.outcome == MessageOutcome::Ok { StatusCode::Ok } else { StatusCode::Error };
    Span {
        trace_id: record.trace.as_u128().to_be_bytes().to_vec(),
        span_id: record.span.as_u64().to_be_bytes().to_vec(),
        parent_span_id: record
            .parent
            .map(|parent| parent.as_u64().to_be_bytes().to_vec())
            .unwrap_or_default(),
        name: format!("{to} {}", record.kind),
        kind: SpanKind::Consumer.into(),
        start_time_unix_nano: unix_ns(record.sent_ns),
        end_time_unix_nano: unix_ns(record.ended_ns),
        attributes: vec![
            text("messaging.system", "pas"),
            text("messaging.operation.name", record.kind),
            text("messaging.destination.name", to.to_string()),
            text("pas.from", tree.name_of(record.from).to_string()),
            text("pas.started_at", ring.wall(record.started_ns).to_string()),
        ],
        status: Some(Status { code: code.into(), ..Status::default() }),
        ..Span::default()
    }
}
