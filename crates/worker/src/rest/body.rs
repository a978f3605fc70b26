//! Bodies of requests: JSON, of bounded size, as Jackson reads it for Kafka Connect.
//!
//! In: a request. Out: the type that a handler asks for, which the document shows. Numbers and booleans of configurations become their text.
//! Never: a body read beyond its limit.

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header;
use futures_util::StreamExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::error::ApiError;
use crate::wanted::{Config, Patch};

/// Bytes of a body. The largest configurations seen have some ten thousand.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;

/// Bytes of a body that is too large and read all the same.
const DISCARDED_BYTES_MAX: usize = 16 << 20;

/// A body that has to be there, and has to be an object: what a handler asks for.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        expect_json(&request)?;
        let bytes = read(request).await?;
        if bytes.is_empty() {
            return Err(ApiError::body("it is empty, and a JSON object is expected"));
        }
        match serde_json::from_slice(&bytes) {
            Ok(object @ Value::Object(_)) => serde_json::from_value(object)
                .map(Self)
                .map_err(|error| ApiError::body(error.to_string())),
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

/// Keys and values. A secret that comes back as it was shown, `[hidden]`, keeps what it was. Numbers and booleans become their text.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub(super) struct GivenConfig(pub(super) Config);

impl TryFrom<Map<String, Value>> for GivenConfig {
    type Error = String;

    fn try_from(object: Map<String, Value>) -> Result<Self, String> {
        let mut config = Config::new();
        for (key, value) in object {
            let value = text(&key, value)?.ok_or_else(|| {
                format!("`{key}` is null; leave it out, or PATCH the configuration to remove it")
            })?;
            config.insert(key, value);
        }
        Ok(Self(config))
    }
}

impl ToSchema for GivenConfig {}

impl PartialSchema for GivenConfig {
    fn schema() -> RefOr<Schema> {
        map_of(
            [Type::String, Type::Number, Type::Boolean],
            "Keys and values. A secret that comes back as it was shown, `[hidden]`, keeps what it was. Numbers and booleans become their text.",
        )
    }
}

/// Keys of a configuration with their new values; null removes a key.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub(super) struct ConfigPatch(pub(super) Patch);

impl TryFrom<Map<String, Value>> for ConfigPatch {
    type Error = String;

    fn try_from(object: Map<String, Value>) -> Result<Self, String> {
        let keys = object.into_iter().map(|(key, value)| Ok((key.clone(), text(&key, value)?)));
        keys.collect::<Result<_, String>>().map(Self)
    }
}

impl ToSchema for ConfigPatch {}

impl PartialSchema for ConfigPatch {
    fn schema() -> RefOr<Schema> {
        map_of([Type::String, Type::Number, Type::Boolean, Type::Null], "null removes a key")
    }
}

/// A map whose values [`text`] takes; there is no Rust type for a value of several kinds that becomes a text.
fn map_of<const N: usize>(values: [Type; N], description: &str) -> RefOr<Schema> {
    let values = ObjectBuilder::new().schema_type(SchemaType::Array(values.into()));
    ObjectBuilder::new().additional_properties(Some(values)).description(Some(description)).into()
}

fn text(key: &str, value: Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Bool(flag) => Ok(Some(flag.to_string())),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Array(_) | Value::Object(_) => Err(format!(
            "`{key}` is {}; values are texts, numbers or booleans, and lists are comma-separated texts",
            kind(&value)
        )),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_configuration_is_texts_whatever_it_was_written_as() {
        let given: GivenConfig =
            serde_json::from_value(json!({"a": "b", "c": 1, "d": true})).unwrap();
        let pairs = [("a", "b"), ("c", "1"), ("d", "true")];
        assert_eq!(given.0, pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        let list = serde_json::from_value::<GivenConfig>(json!({"a": ["b"]})).unwrap_err();
        assert!(list.to_string().starts_with("`a` is an array; values are texts"), "{list}");
        let null = serde_json::from_value::<GivenConfig>(json!({"a": null})).unwrap_err();
        assert!(null.to_string().starts_with("`a` is null; leave it out"), "{null}");
    }

    #[test]
    fn null_in_a_change_removes() {
        let patch: ConfigPatch = serde_json::from_value(json!({"a": null, "b": 1})).unwrap();
        let expected = [("a".to_owned(), None), ("b".to_owned(), Some("1".to_owned()))];
        assert_eq!(patch.0, expected.into());
    }
}
