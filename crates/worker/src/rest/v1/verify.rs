//! `GET /v1/connectors/{name}/verify`: its topics held against its tables, as server-sent events.
//!
//! Shape: `event: progress` with what, total, done; at the end `event: report` as `tributary verify --output json` has it, or `event: problem`.
//! `wait_max` are the seconds the connector may take to come as far as the tables are. It ends with the connection.
//! Source: HTML standard, "Server-sent events".

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::response::sse::{Event, Sse};
use connector::verify::{ReportJson, VerifyProgress};
use futures_util::Stream;
use tokio::sync::OwnedSemaphorePermit;

use super::super::answer::{Problem, problem};
use super::super::error::ApiError;
use super::super::openapi::{Answer, Doc, Parameter, Refusal, Values, one};
use super::super::query::query_values;
use super::super::{Api, status};
use super::events::{event, kept_alive};
use crate::verifying::{Verified, Verifying};

const WAIT_SECONDS: u64 = 60;
const WAIT_SECONDS_MAX: u64 = 24 * 3600;

pub(crate) const STREAM: Doc = Doc {
    parameters: &[Parameter::query(
        "wait_max",
        Values::Number { most: WAIT_SECONDS_MAX, default: WAIT_SECONDS },
        "seconds it may take the connector to come as far as the tables are",
    )],
    answers: &[Answer {
        events: &[
            ("progress", one::<VerifyProgress>),
            ("report", one::<ReportJson>),
            ("problem", one::<Problem>),
        ],
        ..Answer::empty(
            status::OK,
            "`event: progress` with what, total, done; at the end `event: report` with lsn, clean, tables, or `event: problem` with a Problem",
        )
    }],
    refusals: &[Refusal::Wrong, Refusal::NotFound],
    ..Doc::of("Its topics held against its tables")
};

pub(crate) async fn stream(
    State(api): State<Api>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let wait_max = wait_max(query.as_deref().unwrap_or_default())?;
    let place = api.look()?;
    let verifying = api.group().verify(&name, wait_max)?;
    let told = Told { verifying, _place: place };
    let events = futures_util::stream::unfold(told, |mut told| async move {
        let event = told.next().await?;
        Some((Ok(event), told))
    });
    Ok(kept_alive(events))
}

/// What one reader is told.
struct Told {
    verifying: Verifying,
    _place: OwnedSemaphorePermit,
}

impl Told {
    async fn next(&mut self) -> Option<Event> {
        Some(match self.verifying.next().await? {
            Verified::Progress(progress) => event("progress", &progress),
            Verified::Report(report) => event("report", &ReportJson::from(&report)),
            Verified::Failed(failure) => event("problem", &problem(&failure.into())),
        })
    }
}

fn wait_max(query: &str) -> Result<Duration, ApiError> {
    let Some(given) = query_values(query, "wait_max").pop() else {
        return Ok(Duration::from_secs(WAIT_SECONDS));
    };
    match given.parse::<u64>() {
        Ok(seconds) if seconds <= WAIT_SECONDS_MAX => Ok(Duration::from_secs(seconds)),
        _ => Err(ApiError::body(format!(
            "wait_max is `{given}`, not a number of seconds up to {WAIT_SECONDS_MAX}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use connector::verify::{Report, TableReport};

    use super::super::super::openapi::expect_fit;
    use super::*;

    #[test]
    fn a_report_is_what_the_document_says() {
        let table = TableReport { not_compared: Some("a".to_owned()), ..TableReport::default() };
        let report =
            Report { lsn: "0/1".parse().unwrap(), tables: vec![table, TableReport::default()] };
        expect_fit(&ReportJson::from(&report));
        expect_fit(&VerifyProgress::default());
    }
}
