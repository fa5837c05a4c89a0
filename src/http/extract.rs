//! Extractors whose rejections have the contract's form: body, query and path, each with the path to the
//! offending field.
//!
//! Invariant: extracted values have the contract's types; handlers never see raw input.

use axum::body::{Body, Bytes};
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Path, RawPathParams, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::body::BodyError;
use super::error::{ApiError, LocationStep};

/// A JSON body of type `T`; optional as `Option<ContractJson<T>>`.
#[derive(Debug, Clone, Copy)]
pub struct ContractJson<T>(pub T);

/// Query parameters of type `T`; a name may repeat where `T` has a list.
#[derive(Debug, Clone, Copy)]
pub struct ContractQuery<T>(pub T);

/// Path parameters of type `T`: one value, a tuple, or a struct.
#[derive(Debug, Clone, Copy)]
pub struct ContractPath<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for ContractJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let bytes = collect_body(request.into_body()).await?;
        if bytes.is_empty() {
            return Err(ApiError::violation(vec!["body".into()], "missing", "a JSON body is required"));
        }
        parse_json(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned, S: Sync> OptionalFromRequest<S> for ContractJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Option<Self>, ApiError> {
        let bytes = collect_body(request.into_body()).await?;
        if bytes.is_empty() { Ok(None) } else { parse_json(&bytes).map(|value| Some(Self(value))) }
    }
}

pub(super) async fn collect_body(body: Body) -> Result<Bytes, ApiError> {
    let error = match body.collect().await {
        Ok(collected) => return Ok(collected.to_bytes()),
        Err(error) => error.into_inner(),
    };
    let status = match error.downcast_ref::<BodyError>() {
        Some(BodyError::TooLarge(_)) => StatusCode::PAYLOAD_TOO_LARGE,
        Some(BodyError::TooSlow(_)) => StatusCode::REQUEST_TIMEOUT,
        Some(BodyError::Broken(_)) | None => StatusCode::BAD_REQUEST,
    };
    Err(ApiError::new(status, error.to_string()))
}

fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // Only a body that breaks the contract pays for tracking field paths.
    serde_json::from_slice(bytes).or_else(|_| parse_tracked(bytes))
}

fn parse_tracked<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut parser).map_err(|error| {
        if error.inner().is_data() {
            let message = error.inner().to_string();
            // The field's path is more useful than the parser's position in the text.
            let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(text, _)| text);
            violation("body", error.path(), message)
        } else {
            malformed(error.inner())
        }
    })?;
    parser.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> ApiError {
    ApiError::violation(vec!["body".into()], "json_invalid", format!("the body is not valid JSON: {error}"))
}

/// A violation from serde's message and path.
fn violation(part: &'static str, path: &serde_path_to_error::Path, message: &str) -> ApiError {
    let mut loc: Vec<LocationStep> = vec![part.into()];
    for segment in path {
        match segment {
            Segment::Seq { index } => loc.push(LocationStep::Index(*index)),
            Segment::Map { key: name } | Segment::Enum { variant: name } => {
                loc.push(LocationStep::Name(name.clone().into()));
            }
            Segment::Unknown => {}
        }
    }
    if let Some(field) = quoted(message, "missing field ") {
        loc.push(LocationStep::Name(field.to_owned().into()));
        return ApiError::violation(loc, "missing", "this field is required");
    }
    let kind = if let Some(field) = quoted(message, "unknown field ") {
        let name = LocationStep::Name(field.to_owned().into());
        if loc.last() != Some(&name) {
            loc.push(name);
        }
        "extra_forbidden"
    } else if message.starts_with("unknown variant ") {
        "enum"
    } else if message.starts_with("invalid type") {
        "type_error"
    } else {
        "value_error"
    };
    ApiError::violation(loc, kind, message)
}

/// The back-quoted name right after `prefix` in a message of serde.
fn quoted<'m>(message: &'m str, prefix: &str) -> Option<&'m str> {
    message.strip_prefix(prefix)?.strip_prefix('`')?.split('`').next()
}

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for ContractQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parse_query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    let parser = serde_html_form::Deserializer::from_bytes(query.as_bytes());
    serde_path_to_error::deserialize(parser)
        .map_err(|error| violation("query", error.path(), &error.inner().to_string()))
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for ContractPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => {
                let names = parameter_names(parts, state).await;
                Err(path_violation(error.into_kind(), &names))
            }
            Err(other) => Err(ApiError::internal(&other)),
        }
    }
}

/// The names of the path's parameters in order: axum reports only an index for a tuple.
async fn parameter_names<S: Send + Sync>(parts: &mut Parts, state: &S) -> Vec<String> {
    let params = RawPathParams::from_request_parts(parts, state).await;
    params.map(|params| params.iter().map(|(name, _)| name.to_owned()).collect()).unwrap_or_default()
}

fn path_violation(kind: ErrorKind, names: &[String]) -> ApiError {
    let only = || names.first().filter(|_| names.len() == 1).cloned();
    let unlike = |value: &str, expected: &str| format!("`{value}` is not a valid {expected}");
    let (name, message) = match kind {
        ErrorKind::ParseErrorAtKey { key, value, expected_type } => {
            (Some(key), unlike(&value, expected_type))
        }
        ErrorKind::ParseErrorAtIndex { index, value, expected_type } => {
            (names.get(index).cloned(), unlike(&value, expected_type))
        }
        ErrorKind::ParseError { value, expected_type } => (only(), unlike(&value, expected_type)),
        ErrorKind::DeserializeError { key, message, .. } => (Some(key), message),
        ErrorKind::InvalidUtf8InPathParam { key } => (Some(key), "is not valid UTF-8".to_owned()),
        ErrorKind::Message(message) => (only(), message),
        other => (only(), other.to_string()),
    };
    let mut loc: Vec<LocationStep> = vec!["path".into()];
    loc.extend(name.map(|name| LocationStep::Name(name.into())));
    ApiError::violation(loc, "value_error", message)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::ids::JobId;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum SampleKind {
        Model,
        Tool,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct SampleInner {
        kind: SampleKind,
        sizes: Vec<u8>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct SampleOuter {
        name: String,
        inner: Option<SampleInner>,
    }

    async fn first(error: ApiError) -> Value {
        use axum::response::IntoResponse as _;
        let response = error.into_response();
        assert_eq!(response.status(), 422);
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let mut body: Value = serde_json::from_slice(&bytes).unwrap();
        body["detail"][0].take()
    }

    async fn body_error(text: &str) -> (Value, Value) {
        let mut violation = first(parse_json::<SampleOuter>(text.as_bytes()).unwrap_err()).await;
        (violation["loc"].take(), violation["type"].take())
    }

    #[tokio::test]
    async fn body_errors_name_the_field() {
        let cases = [
            ("{}", json!(["body", "name"]), "missing"),
            (r#"{"name": 7}"#, json!(["body", "name"]), "type_error"),
            ("[]", json!(["body"]), "value_error"),
            ("7", json!(["body"]), "type_error"),
            (r#"{"name": "a""#, json!(["body"]), "json_invalid"),
            (r#"{"name": "a"} x"#, json!(["body"]), "json_invalid"),
            (r#"{"name": "a", "inner": {"sizes": []}}"#, json!(["body", "inner", "kind"]), "missing"),
            (r#"{"name": "a", "inner": {"kind": "car"}}"#, json!(["body", "inner", "kind"]), "enum"),
            (
                r#"{"name": "a", "inner": {"kind": "tool", "sizes": [1, 300]}}"#,
                json!(["body", "inner", "sizes", 1]),
                "value_error",
            ),
            (r#"{"name": "a", "inner": {"more": 1}}"#, json!(["body", "inner", "more"]), "extra_forbidden"),
        ];
        for (text, loc, kind) in cases {
            assert_eq!(body_error(text).await, (loc, json!(kind)), "{text}");
        }
        assert_eq!(
            parse_json::<SampleOuter>(br#"{"name": "a"}"#).unwrap(),
            SampleOuter { name: "a".into(), inner: None }
        );
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct SampleFilter {
        limit: Option<u32>,
        #[serde(default)]
        state: Vec<String>,
    }

    #[tokio::test]
    async fn query_errors_name_the_parameter() {
        let error = first(parse_query::<SampleFilter>("limit=many").unwrap_err()).await;
        assert_eq!(error["loc"], json!(["query", "limit"]));
        let error = first(parse_query::<SampleOuter>("").unwrap_err()).await;
        assert_eq!((&error["loc"], &error["type"]), (&json!(["query", "name"]), &json!("missing")));
        let filter: SampleFilter = parse_query("limit=5&state=done&state=failed").unwrap();
        assert_eq!(filter, SampleFilter { limit: Some(5), state: vec!["done".into(), "failed".into()] });
    }

    #[tokio::test]
    async fn path_errors_name_the_parameter() {
        use tower::ServiceExt as _;
        let router = axum::Router::new()
            .route("/jobs/{job_id}", axum::routing::get(async |ContractPath(_): ContractPath<JobId>| "ok"))
            .route(
                "/a/{b}/{c}",
                axum::routing::get(async |ContractPath(_): ContractPath<(String, u8)>| "ok"),
            );
        for (path, loc) in [("/jobs/UP", json!(["path", "job_id"])), ("/a/x/999", json!(["path", "c"]))] {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(body["detail"][0]["loc"], loc, "{body}");
        }
    }
}
