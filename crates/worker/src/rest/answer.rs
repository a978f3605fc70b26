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
use connector::settings;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;
use super::status;
use crate::error::GroupError;

pub(super) const PROBLEM: &str = "application/problem+json";

/// Writes the body of a refusal.
pub(super) async fn render(request: Request, next: Next) -> Response {
    let is_v1 = request.uri().path().starts_with("/v1/");
    let response = next.run(request).await;
    let Some(error) = response.extensions().get::<Arc<ApiError>>().map(Arc::clone) else {
        return response;
    };
    let (mut parts, _) = response.into_parts();
    let written = if is_v1 {
        Json(problem(&error)).into_response()
    } else {
        Json(connect(&error)).into_response()
    };
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

/// What Kafka Connect writes of a refusal, in its words where it has some.
#[derive(Serialize, ToSchema)]
pub(super) struct ConnectError {
    /// The status of the answer.
    error_code: u16,
    message: String,
}

/// A problem (RFC 9457): what is wrong, and what to do.
#[derive(Serialize, ToSchema)]
pub(super) struct Problem {
    /// `urn:tributary:error:CODE`.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: &'static str,
    status: u16,
    /// `tributary explain CODE` has its page.
    code: &'static str,
    /// What is wrong.
    detail: String,
    /// What to do.
    fix: String,
    /// All that is wrong with a configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    problems: Option<Vec<KeyProblem>>,
}

/// What is wrong with one key of a configuration.
#[derive(Serialize, ToSchema)]
struct KeyProblem {
    /// `tributary explain CODE` has its page.
    code: &'static str,
    /// Empty if it is about the whole.
    key: String,
    why: String,
    fix: String,
}

fn connect(error: &ApiError) -> ConnectError {
    ConnectError { error_code: status::of(error).as_u16(), message: message(error) }
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
pub(super) fn problem(error: &ApiError) -> Problem {
    let code = error.code();
    let status = status::of(error);
    let whole = text(error);
    let (detail, fix) = detail_and_fix(&whole);
    let fix = if fix.is_empty() { format!("tributary explain {code}") } else { fix.to_owned() };
    let problems = match error {
        ApiError::Group(GroupError::Invalid(invalid)) => {
            Some(invalid.problems.iter().map(KeyProblem::of).collect())
        }
        _ => None,
    };
    Problem {
        kind: format!("urn:tributary:error:{code}"),
        title: status.canonical_reason().unwrap_or_default(),
        status: status.as_u16(),
        code,
        detail: detail.to_owned(),
        fix,
        problems,
    }
}

impl KeyProblem {
    fn of(problem: &settings::Problem) -> Self {
        let settings::Problem { key, why, fix, .. } = problem;
        Self { code: problem.code, key: key.clone(), why: why.clone(), fix: fix.clone() }
    }
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
    use super::super::openapi::expect_fit;
    use super::*;

    #[test]
    fn a_refusal_is_what_the_document_says() {
        let problem_of_a_key = settings::Problem {
            code: "CF001",
            key: "a".to_owned(),
            why: "b".to_owned(),
            fix: "c".to_owned(),
            nearest: None,
        };
        let invalid = settings::InvalidSettings { problems: vec![problem_of_a_key] };
        for error in [ApiError::Group(GroupError::Invalid(invalid)), ApiError::NoRoute] {
            expect_fit(&problem(&error));
            expect_fit(&connect(&error));
        }
    }

    #[test]
    fn a_problem_says_what_and_what_to_do() {
        let error = ApiError::Group(GroupError::Exists { name: "a".to_owned() });
        let body = problem(&error);
        assert_eq!(body.code, "WK002");
        assert_eq!(body.detail, "connector `a` already exists");
        assert_eq!(body.fix, "choose another name, or update that one");
    }
}
