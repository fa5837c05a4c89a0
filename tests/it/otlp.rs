//! The export of spans, against a receiver that decodes them like a collector.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use prost::Message as _;
use serde_json::json;

use crate::support::{Place, until};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_gets_every_span_of_a_run_with_its_parent() {
    let spans: Arc<Mutex<HashMap<String, Span>>> = Arc::default();
    let kept = Arc::clone(&spans);
    let receive = post(async move |body: Bytes| {
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        for resource in request.resource_spans {
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                let twice = kept.lock().insert(hex(&span.span_id), span);
                assert!(twice.is_none(), "sent twice: {twice:?}");
            }
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/v1/traces", receive);
    let collector =
        tokio::runtime::Handle::current().spawn(async { axum::serve(listener, router).await.unwrap() });

    let place = Place::with_documents(4)
        .setting("PAS_TRACE__OTLP__ENDPOINT", endpoint)
        .setting("PAS_TRACE__OTLP__INTERVAL_MS", 100);
    let swarm = place.start().await;
    let api = &swarm.api;
    let run = api.ingest(json!({})).await;
    api.done(&run).await;
    let trace = api.job(&run).await["trace_id"].as_str().unwrap().to_owned();
    let kept = api.get(&format!("/trace/{trace}")).await;
    let shown = kept["spans"].as_array().unwrap().clone();
    assert!(shown.len() > 10, "{kept:#}");
    let ended = shown.iter().filter(|span| !span["ended_at"].is_null());
    for span in ended {
        let id = span["span_id"].as_str().unwrap();
        let exported = until(&format!("span {id} is exported"), async || spans.lock().get(id).cloned()).await;
        assert_eq!(hex(&exported.trace_id), trace);
        let parent = span["parent_span_id"].as_str().unwrap_or_default();
        assert_eq!(hex(&exported.parent_span_id), parent, "{span:#}");
        let (to, kind) = (span["to"].as_str().unwrap(), span["kind"].as_str().unwrap());
        assert_eq!(exported.name, format!("{to} {kind}"));
        assert!(exported.start_time_unix_nano <= exported.end_time_unix_nano);
    }
    swarm.stop().await;
    collector.abort();
}
