//! How a refusal is written: Kafka Connect's way, or as a problem (RFC 9457) below `/v1`.
//!
//! In: the [`ApiError`] a layer or handler left in its response. Out: the same response with a body.
//! Never: a second place that writes error bodies.

use std::sync::Arc;

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::error::ApiError;
use super::status;
use crate::error::GroupError;

const PROBLEM: &str = "application/problem+json";

/// Writes the body of a refusal.
pub(super) async fn render(request: Request, next: Next) -> Response {
    let is_v1 = request.uri().path().starts_with("/v1/");
    let response = next.run(request).await;
    let Some(error) = response.extensions().get::<Arc<ApiError>>().map(Arc::clone) else {
        return response;
    };
    let (mut parts, _) = response.into_parts();
    let body = if is_v1 { problem(&error) } else { connect(&error) };
    let written = Json(body).into_response();
    let (written_parts, body) = written.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(written_parts.headers);
    if is_v1 {
        parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
    }
    match &*error {
        ApiError::Unauthenticated => {
            let ways = HeaderValue::from_static("Basic realm=\"tributary\", Bearer");
            parts.headers.insert(header::WWW_AUTHENTICATE, ways);
        }
        ApiError::TooMany { wait_seconds, .. } => {
            parts.headers.insert(header::RETRY_AFTER, HeaderValue::from(*wait_seconds));
        }
        _ => {}
    }
    Response::from_parts(parts, body)
}

/// `{"error_code", "message"}`, in Connect's words where it has some.
fn connect(error: &ApiError) -> Value {
    json!({"error_code": status::of(error).as_u16(), "message": message(error)})
}

fn message(error: &ApiError) -> String {
    match error {
        ApiError::Group(GroupError::NotFound { name }) => format!("Connector {name} not found"),
        ApiError::Group(GroupError::Exists { name }) => format!("Connector {name} already exists"),
        ApiError::Group(GroupError::Invalid(invalid)) => format!(
            "Connector configuration is invalid and contains the following {} error(s):\n{invalid}\nYou can also find the above list of errors at the endpoint `/connector-plugins/{{connectorType}}/config/validate`",
            invalid.problems.len()
        ),
        ApiError::NoRoute => "HTTP 404 Not Found".to_owned(),
        ApiError::Method { .. } => "HTTP 405 Method Not Allowed".to_owned(),
        ApiError::ContentType => "HTTP 415 Unsupported Media Type".to_owned(),
        ApiError::Accept => "HTTP 406 Not Acceptable".to_owned(),
        other => text(other),
    }
}

/// A problem: its code, what is wrong, and what to do.
pub(super) fn problem(error: &ApiError) -> Value {
    let code = error.code();
    let status = status::of(error);
    let whole = text(error);
    let (detail, fix) = detail_and_fix(&whole);
    let explain = format!("tributary explain {code}");
    let fix = if fix.is_empty() { &explain } else { fix };
    let mut body = json!({
        "type": format!("urn:tributary:error:{code}"),
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "code": code,
        "detail": detail,
        "fix": fix,
    });
    if let ApiError::Group(GroupError::Invalid(invalid)) = error {
        let problems = invalid.problems.iter().map(|problem| {
            json!({"code": problem.code, "key": problem.key, "why": problem.why, "fix": problem.fix})
        });
        body["problems"] = problems.collect();
    }
    body
}

/// An error with the causes behind it, on one line each.
fn text(error: &ApiError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let words = next.to_string();
        // Some errors already say what is behind them.
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = next.source();
    }
    text
}

/// `[CODE] what: what to do` -> what, and what to do; of several problems the first fix counts.
fn detail_and_fix(text: &str) -> (&str, &str) {
    let text =
        text.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map_or(text, |it| it.1);
    if let Some((detail, fix)) = text.split_once("\n  fix: ") {
        return (detail, fix.lines().next().unwrap_or_default());
    }
    text.rsplit_once(": ").unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_and_what_to_do() {
        let error = ApiError::Group(GroupError::Exists { name: "a".to_owned() });
        let body = problem(&error);
        assert_eq!(body["code"], "WK002");
        assert_eq!(body["detail"], "connector `a` already exists");
        assert_eq!(body["fix"], "choose another name, or update that one");
    }
}
