//! `/admin/loggers`: what is logged, changed while it runs.
//!
//! In: a logger (a target of our log, such as `connector::sink`) and a level in Java's words. Out: other directives for the log of this worker.
//! With `scope=cluster` it is this worker that changes, too: workers do not speak with each other.
//! Source: Kafka Connect, KIP-495, KIP-976.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::body::Body;
use super::error::ApiError;
use super::openapi::{Answer, Doc, Parameter, Refusal, Values, map, one, texts};
use super::query::query_values;
use super::{Api, status};
use crate::clock::now_ms;

/// A level of Java's logging.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
enum LevelName {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    /// As `ERROR` here.
    Fatal,
    Off,
}

/// Levels of Java's logging, and ours.
const LEVELS: [(LevelName, &str, &str); 7] = [
    (LevelName::Trace, "TRACE", "trace"),
    (LevelName::Debug, "DEBUG", "debug"),
    (LevelName::Info, "INFO", "info"),
    (LevelName::Warn, "WARN", "warn"),
    (LevelName::Error, "ERROR", "error"),
    (LevelName::Fatal, "FATAL", "error"),
    (LevelName::Off, "OFF", "off"),
];
/// The logger all others follow.
const ROOT: &str = "root";
/// Loggers that can be set; each set one makes every log line a little dearer.
const LOGGERS_MAX: usize = 200;

/// Makes directives (`info,connector=debug`) those of the log; says why it cannot.
type Apply = dyn Fn(&str) -> Result<(), String> + Send + Sync;

/// The levels of this process's log.
pub struct LogLevels {
    levels: Mutex<BTreeMap<String, Level>>,
    apply: Box<Apply>,
}

#[derive(Clone, Copy)]
struct Level {
    name: LevelName,
    /// Milliseconds since 1970; `None` if it is as at the start.
    modified_at_ms: Option<i64>,
}

impl LogLevels {
    /// `directives`: those of the start. Directives that name spans or fields are not kept when a level changes.
    pub fn new(
        directives: &str,
        apply: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        let mut levels = BTreeMap::new();
        levels.insert(ROOT.to_owned(), Level { name: LevelName::Error, modified_at_ms: None });
        for directive in directives.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            let (target, level) = directive.split_once('=').unwrap_or((ROOT, directive));
            let found = LEVELS.iter().find(|(_, _, ours)| ours.eq_ignore_ascii_case(level));
            if let Some(&(name, ..)) = found {
                levels.insert(target.to_owned(), Level { name, modified_at_ms: None });
            }
        }
        Self { levels: Mutex::new(levels), apply: Box::new(apply) }
    }

    fn set(&self, logger: &str, level: &str) -> Result<(), ApiError> {
        let name = LEVELS.iter().find(|(_, java, _)| java.eq_ignore_ascii_case(level));
        let Some(&(name, ..)) = name else {
            let why = format!(
                "there is no level `{level}`: write TRACE, DEBUG, INFO, WARN, ERROR or OFF"
            );
            return Err(ApiError::Logger { why });
        };
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = levels.clone();
        changed.insert(logger.to_owned(), Level { name, modified_at_ms: Some(now_ms()) });
        if changed.len() > LOGGERS_MAX {
            let why = format!("more than {LOGGERS_MAX} loggers have a level of their own");
            return Err(ApiError::Logger { why });
        }
        (self.apply)(&directives(&changed)).map_err(|why| ApiError::Logger { why })?;
        *levels = changed;
        Ok(())
    }

    fn all(&self) -> BTreeMap<String, Level> {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Default for LogLevels {
    /// Levels of a log that cannot be changed.
    fn default() -> Self {
        Self::new("info", |_| Err("the log of this process cannot be changed".to_owned()))
    }
}

fn directives(levels: &BTreeMap<String, Level>) -> String {
    let mut text = String::new();
    for (logger, level) in levels {
        let ours =
            LEVELS.iter().find(|(name, ..)| *name == level.name).map_or("info", |found| found.2);
        let separator = if text.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = match logger.as_str() {
            ROOT => write!(text, "{separator}{ours}"),
            // Rust's names have no dots, and a directive of Java's names is one of nothing.
            _ => write!(text, "{separator}{}={ours}", logger.replace('.', "::")),
        };
    }
    text
}

/// What is logged of a logger, and of those that follow it.
#[derive(Serialize, ToSchema)]
pub(super) struct LoggerLevel {
    level: LevelName,
    /// Milliseconds since 1970; null if it is as at the start.
    #[schema(required)]
    last_modified: Option<i64>,
}

impl LoggerLevel {
    fn of(level: Level) -> Self {
        Self { level: level.name, last_modified: level.modified_at_ms }
    }
}

/// A level that a logger is to have.
#[derive(Deserialize, ToSchema)]
#[serde(try_from = "Map<String, Value>")]
pub(super) struct LoggerChange {
    /// In whatever case.
    #[schema(value_type = LevelName)]
    level: String,
}

impl TryFrom<Map<String, Value>> for LoggerChange {
    type Error = &'static str;

    fn try_from(object: Map<String, Value>) -> Result<Self, &'static str> {
        let level = object.get("level").and_then(Value::as_str);
        let level = level.ok_or("`level` is missing: {\"level\": \"DEBUG\"}")?;
        Ok(Self { level: level.to_owned() })
    }
}

pub(super) const LIST: Doc = Doc {
    answers: &[Answer::json("by logger", map::<LoggerLevel>)],
    ..Doc::of("Levels of the log")
};

pub(super) async fn list(State(api): State<Api>) -> Json<BTreeMap<String, LoggerLevel>> {
    let levels = api.0.logs.all().into_iter();
    Json(levels.map(|(logger, level)| (logger, LoggerLevel::of(level))).collect())
}

pub(super) const GET: Doc = Doc {
    answers: &[Answer::json("level", one::<LoggerLevel>)],
    refusals: &[Refusal::NotFound],
    ..Doc::of("One level")
};

pub(super) async fn get(
    State(api): State<Api>,
    Path(logger): Path<String>,
) -> Result<Json<LoggerLevel>, ApiError> {
    let level = api.0.logs.all().get(&logger).copied();
    let why =
        || format!("there is no logger `{logger}`, or it follows another: GET /admin/loggers");
    level.map(|level| Json(LoggerLevel::of(level))).ok_or_else(|| ApiError::Logger { why: why() })
}

pub(super) const SET: Doc = Doc {
    parameters: &[Parameter::query(
        "scope",
        Values::OneOf(&["worker", "cluster"]),
        "either sets this worker only",
    )],
    body: Some(one::<LoggerChange>),
    answers: &[
        Answer::json("loggers that were set", texts),
        Answer::empty(status::DONE, "set, with scope=cluster"),
    ],
    refusals: &[Refusal::Wrong, Refusal::NotFound],
    ..Doc::of("Set a level on this worker")
};

pub(super) async fn set(
    State(api): State<Api>,
    Path(logger): Path<String>,
    RawQuery(query): RawQuery,
    Body(LoggerChange { level }): Body<LoggerChange>,
) -> Result<Response, ApiError> {
    let is_name =
        |character: char| character.is_ascii_alphanumeric() || "_.:-$".contains(character);
    if logger.is_empty() || !logger.chars().all(is_name) {
        return Err(ApiError::Logger { why: format!("`{logger}` cannot be the name of a logger") });
    }
    api.0.logs.set(&logger, &level)?;
    let scope = query_values(query.as_deref().unwrap_or_default(), "scope");
    if scope.last().is_some_and(|scope| scope == "cluster") {
        return Ok(status::DONE.into_response());
    }
    Ok(Json([logger]).into_response())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::openapi::expect_fit;
    use super::*;

    #[test]
    fn a_level_becomes_a_directive_beside_those_of_the_start() {
        let applied = Arc::new(Mutex::new(String::new()));
        let seen = Arc::clone(&applied);
        let levels = LogLevels::new("info,kafka=warn", move |directives| {
            directives.clone_into(&mut seen.lock().unwrap());
            Ok(())
        });
        levels.set("connector::sink", "debug").unwrap();
        levels.set("root", "ERROR").unwrap();
        assert_eq!(*applied.lock().unwrap(), "connector::sink=debug,kafka=warn,error");
        assert!(matches!(levels.set("root", "LOUD"), Err(ApiError::Logger { .. })));
        for level in levels.all().into_values() {
            expect_fit(&LoggerLevel::of(level));
        }
    }
}
