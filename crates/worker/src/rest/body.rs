//! Bodies of requests: JSON, of bounded size, as Jackson reads it for Kafka Connect.
//!
//! In: a request. Out: a JSON value or a configuration. Numbers and booleans become their text. Never: a body read beyond its limit.

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header;
use futures_util::StreamExt;
use serde_json::{Map, Value};

use super::error::ApiError;
use crate::wanted::Config;

/// Bytes of a body. The largest configurations seen have some ten thousand.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;

/// Bytes of a body that is too large and read all the same.
const DISCARDED_BYTES_MAX: usize = 16 << 20;

/// A body that has to be there, and has to be an object.
pub(super) struct Object(pub(super) Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for Object {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        expect_json(&request)?;
        let bytes = read(request).await?;
        if bytes.is_empty() {
            return Err(ApiError::body("it is empty, and a JSON object is expected"));
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(object)) => Ok(Self(object)),
            Ok(other) => Err(ApiError::body(format!(
                "it is {}, and a JSON object is expected",
                kind(&other)
            ))),
            Err(error) => Err(ApiError::body(error.to_string())),
        }
    }
}

async fn read(request: Request) -> Result<Bytes, ApiError> {
    let too_large = || ApiError::TooLarge { limit_bytes: BODY_BYTES_MAX };
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > BODY_BYTES_MAX) {
        discard(request).await;
        return Err(too_large());
    }
    // One that ends early is none either; whoever sent it does not wait for the answer.
    to_bytes(request.into_body(), BODY_BYTES_MAX).await.map_err(|_| too_large())
}

/// Reads on for a while and keeps nothing: most clients look for an answer only once they have sent all, and would find the connection closed.
async fn discard(request: Request) {
    let mut body = request.into_body().into_data_stream();
    let mut bytes = 0;
    while let Some(Ok(piece)) = body.next().await {
        bytes += piece.len();
        if bytes > DISCARDED_BYTES_MAX {
            return;
        }
    }
}

fn expect_json(request: &Request) -> Result<(), ApiError> {
    let given = request.headers().get(header::CONTENT_TYPE);
    let essence = given
        .and_then(|value| value.to_str().ok())
        .map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    match essence.as_deref() {
        Some("application/json") => Ok(()),
        Some(other) if other.starts_with("application/") && other.ends_with("+json") => Ok(()),
        _ => Err(ApiError::ContentType),
    }
}

/// A configuration: a map of texts.
pub(super) fn config(object: Map<String, Value>) -> Result<Config, ApiError> {
    let mut config = Config::new();
    for (key, value) in object {
        let value = text(&key, value)?.ok_or_else(|| {
            ApiError::body(format!(
                "`{key}` is null; leave it out, or PATCH the configuration to remove it"
            ))
        })?;
        config.insert(key, value);
    }
    Ok(config)
}

/// A change of a configuration: what is null is removed.
pub(super) fn patch(
    object: Map<String, Value>,
) -> Result<std::collections::BTreeMap<String, Option<String>>, ApiError> {
    object.into_iter().map(|(key, value)| Ok((key.clone(), text(&key, value)?))).collect()
}

fn text(key: &str, value: Value) -> Result<Option<String>, ApiError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Bool(flag) => Ok(Some(flag.to_string())),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Array(_) | Value::Object(_) => Err(ApiError::body(format!(
            "`{key}` is {}; values are texts, numbers or booleans, and lists are comma-separated texts",
            kind(&value)
        ))),
    }
}

/// What a JSON value is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
