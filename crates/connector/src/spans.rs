//! What traces show of a connector: its take-overs step by step, its snapshots, the chunks it reads, its commits.
//!
//! Out: spans with the target `spans`, of which nothing is made unless somebody records them (`docs/guides/traces.md`).
//! Cost: one span and two below it for each Kafka transaction, none for a change. Never: a value of a row.
//! Source: OpenTelemetry, semantic conventions, "Messaging spans" and "Recording errors".

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use pgoutput::Lsn;
use postgres::PostgresError;
use postgres::chunk::Chunk;
use tracing::field::{Empty, display};
use tracing::{Instrument as _, Span};

use crate::error::ConnectorError;
use crate::settings::Settings;

/// A span whose failure can be recorded.
macro_rules! span {
    ($name:literal $(, $($fields:tt)*)?) => {
        tracing::trace_span!(
            target: "spans",
            $name,
            otel.status_code = Empty,
            otel.status_description = Empty,
            "error.type" = Empty,
            $($($fields)*)?
        )
    };
}

/// From nothing to a connector that can run.
pub(crate) fn take_over(settings: &Settings) -> Span {
    span!("take over", connector.name = %settings.name, slot.name = %settings.slot.name)
}

/// A part of it.
pub(crate) fn step(name: &'static str) -> Span {
    span!("step", otel.name = name)
}

/// The slot is asked for its changes, until the server agrees.
pub(crate) fn open_source(settings: &Settings, from: Lsn) -> Span {
    span!("open source", connector.name = %settings.name, slot.name = %settings.slot.name, lsn = %from)
}

/// Tables that are read at one moment, from the first row to the commit of the last.
pub(crate) fn snapshot(settings: &Settings, tables: usize, at: Lsn) -> Span {
    span!("snapshot", connector.name = %settings.name, tables, lsn = %at, rows = Empty)
}

/// A chunk of a table that is read while the stream runs.
pub(crate) fn chunk(settings: &Settings) -> Span {
    span!("read chunk", connector.name = %settings.name, table = Empty, bytes = Empty)
}

/// What came of it.
pub(crate) fn chunk_read(span: &Span, outcome: &Result<Option<Chunk>, PostgresError>) {
    match outcome {
        Ok(Some(Chunk { description, lines, .. })) => {
            let table = format_args!("{}.{}", description.schema, description.name);
            span.record("table", display(table));
            span.record("bytes", lines.iter().map(Bytes::len).sum::<usize>());
        }
        Ok(None) => {}
        Err(failure) => failed(span, failure, failure.code()),
    }
}

/// One Kafka transaction, from its first request to the answer that it is committed.
pub(crate) fn commit(connector: &str, records: usize, end_lsn: Lsn) -> Span {
    span!(
        "commit",
        otel.kind = "producer",
        connector.name = connector,
        messaging.system = "kafka",
        messaging.batch.message_count = records,
        lsn = %end_lsn,
        sent_bytes = Empty,
        latency_ms = Empty,
    )
}

/// What came of the commit that this is inside of; `latency`: since its newest source transaction committed.
pub(crate) fn committed(sent_bytes: usize, latency: Option<Duration>) {
    let span = Span::current();
    span.record("sent_bytes", sent_bytes);
    if let Some(latency) = latency {
        span.record("latency_ms", latency.as_secs_f64() * 1e3);
    }
}

/// Does the work inside the span, which is told if it fails.
pub(crate) async fn within<T>(
    span: Span,
    work: impl Future<Output = Result<T, ConnectorError>>,
) -> Result<T, ConnectorError> {
    let outcome = work.instrument(span.clone()).await;
    if let Err(failure) = &outcome {
        failed(&span, failure, failure.code());
    }
    outcome
}

fn failed(span: &Span, failure: &dyn Error, code: &str) {
    span.record("otel.status_code", "ERROR");
    span.record("otel.status_description", display(failure));
    span.record("error.type", code);
}
