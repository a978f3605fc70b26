//! Debezium's numbers, as the JMX exporter gives them: `debezium_metrics_` and the name of the attribute, with the labels of the
//! configuration in Debezium's own monitoring example.
//!
//! Source: Debezium documentation, "Monitoring", 3.6.

use connector::measure::Operation;

use super::exposition::{Family, Kind, Samples, of_connector};
use super::{Observed, number};
use crate::told::Phase;

const STREAMING: &str = "streaming";
const SNAPSHOT: &str = "snapshot";
const LABELS: &[&str] = &["plugin", "name", "context"];
/// What Debezium says where it has nothing to say.
const UNKNOWN: f64 = -1.0;

pub(super) const FAMILIES: &[Family] = &[
    of_connector(
        "debezium_metrics_Connected",
        Kind::Gauge,
        LABELS,
        "1 while the connector follows the log.",
        |connector, _, samples| {
            samples.flag(&of(connector, STREAMING), connector.phase == Phase::Streaming);
        },
    ),
    of_connector(
        "debezium_metrics_MilliSecondsBehindSource",
        Kind::Gauge,
        LABELS,
        "How long the newest source transaction took from its commit until Kafka had committed its records; -1 before the first. Debezium's ends where it has read the event.",
        |connector, _, samples| {
            let latency = connector.status.measured.latency_last;
            let value = latency.map_or(UNKNOWN, |latency| latency.as_secs_f64() * 1000.0);
            samples.add(&of(connector, STREAMING), value.round());
        },
    ),
    of_connector(
        "debezium_metrics_MilliSecondsSinceLastEvent",
        Kind::Gauge,
        LABELS,
        "Since Kafka last committed records of the connector; -1 before the first.",
        |connector, now_ms, samples| {
            let since = connector.status.measured.last_record_at_ms;
            let value = since.map_or(UNKNOWN, |at_ms| number(now_ms.abs_diff(at_ms)));
            samples.add(&of(connector, STREAMING), value);
        },
    ),
    of_connector(
        "debezium_metrics_TotalNumberOfEventsSeen",
        Kind::Counter,
        LABELS,
        "Committed changes: of the stream, and rows of snapshots.",
        |connector, _, samples| {
            let streamed =
                Operation::ALL.into_iter().filter(|operation| *operation != Operation::Read);
            let streamed = streamed.map(|operation| changes(connector, operation)).sum();
            samples.count(&of(connector, STREAMING), streamed);
            samples.count(&of(connector, SNAPSHOT), changes(connector, Operation::Read));
        },
    ),
    of_connector(
        "debezium_metrics_TotalNumberOfCreateEventsSeen",
        Kind::Counter,
        LABELS,
        "Committed inserts.",
        |connector, _, samples| {
            samples.count(&of(connector, STREAMING), changes(connector, Operation::Create));
        },
    ),
    of_connector(
        "debezium_metrics_TotalNumberOfUpdateEventsSeen",
        Kind::Counter,
        LABELS,
        "Committed updates.",
        |connector, _, samples| {
            samples.count(&of(connector, STREAMING), changes(connector, Operation::Update));
        },
    ),
    of_connector(
        "debezium_metrics_TotalNumberOfDeleteEventsSeen",
        Kind::Counter,
        LABELS,
        "Committed deletes.",
        |connector, _, samples| {
            samples.count(&of(connector, STREAMING), changes(connector, Operation::Delete));
        },
    ),
    of_connector(
        "debezium_metrics_NumberOfCommittedTransactions",
        Kind::Counter,
        LABELS,
        "Source transactions with records that are committed in Kafka.",
        |connector, _, samples| {
            samples.count(&of(connector, STREAMING), connector.status.measured.latency.count());
        },
    ),
    of_connector(
        "debezium_metrics_TotalTableCount",
        Kind::Gauge,
        LABELS,
        "Tables of the newest snapshot.",
        |connector, _, samples| {
            let total = connector.status.snapshot.map_or(0, |snapshot| snapshot.tables_total);
            samples.count(&of(connector, SNAPSHOT), total as u64);
        },
    ),
    of_connector(
        "debezium_metrics_RemainingTableCount",
        Kind::Gauge,
        LABELS,
        "Tables of it that are not read completely.",
        |connector, _, samples| {
            let snapshot = connector.status.snapshot.filter(|_| !is_completed(connector));
            let left = snapshot.map_or(0, |snapshot| snapshot.tables_total - snapshot.tables_done);
            samples.count(&of(connector, SNAPSHOT), left as u64);
        },
    ),
    of_connector(
        "debezium_metrics_SnapshotRunning",
        Kind::Gauge,
        LABELS,
        "1 while a snapshot is taken for which the stream waits.",
        |connector, _, samples| {
            let runs = connector.phase == Phase::Snapshotting;
            samples.flag(&of(connector, SNAPSHOT), runs);
        },
    ),
    of_connector(
        "debezium_metrics_SnapshotPaused",
        Kind::Gauge,
        LABELS,
        "1 while an incremental snapshot rests until it is resumed.",
        |connector, _, samples| {
            let incremental = connector.status.incremental.as_ref();
            samples.flag(&of(connector, SNAPSHOT), incremental.is_some_and(|one| one.is_paused));
        },
    ),
    of_connector(
        "debezium_metrics_SnapshotAborted",
        Kind::Gauge,
        LABELS,
        "1 while the connector does not work on the snapshot it had begun.",
        |connector, _, samples| {
            let failed = matches!(connector.phase, Phase::Retrying | Phase::Failed);
            let begun =
                connector.status.snapshot.is_some_and(|one| one.tables_done < one.tables_total);
            samples.flag(&of(connector, SNAPSHOT), failed && begun);
        },
    ),
    of_connector(
        "debezium_metrics_SnapshotCompleted",
        Kind::Gauge,
        LABELS,
        "1 once the newest snapshot of this process is complete.",
        |connector, _, samples| {
            samples.flag(&of(connector, SNAPSHOT), is_completed(connector));
        },
    ),
    of_connector(
        "debezium_metrics_SnapshotSkipped",
        Kind::Gauge,
        LABELS,
        "1 if the connector streams and this process has taken no snapshot.",
        |connector, _, samples| {
            let streams = connector.phase == Phase::Streaming;
            samples.flag(&of(connector, SNAPSHOT), streams && connector.status.snapshot.is_none());
        },
    ),
    of_connector(
        "debezium_metrics_SnapshotDurationInSeconds",
        Kind::Gauge,
        LABELS,
        "How long the newest snapshot takes, or took.",
        |connector, _, samples| {
            let snapshot = connector.status.snapshot;
            let seconds = snapshot.map_or(0, |snapshot| snapshot.elapsed.as_secs());
            samples.count(&of(connector, SNAPSHOT), seconds);
        },
    ),
    of_connector(
        "debezium_metrics_RowsScanned",
        Kind::Counter,
        &["plugin", "name", "context", "table"],
        "Committed rows of snapshots, by table.",
        |connector, _, samples| rows_scanned(connector, samples),
    ),
];

fn rows_scanned(connector: &Observed, samples: &mut Samples<'_>) {
    let [plugin, name, context] = of(connector, SNAPSHOT);
    for (table, measured) in &connector.status.measured.tables {
        let rows = measured.changes_of(Operation::Read);
        if rows > 0 {
            samples.count(&[plugin, name, context, ("table", table)], rows);
        }
    }
}

fn is_completed(connector: &Observed) -> bool {
    connector.status.snapshot.is_some() && connector.phase == Phase::Streaming
}

fn changes(connector: &Observed, operation: Operation) -> u64 {
    let tables = connector.status.measured.tables.values();
    tables.map(|measured| measured.changes_of(operation)).sum()
}

fn of<'a>(connector: &'a Observed, context: &'a str) -> [(&'a str, &'a str); 3] {
    [("plugin", "postgres"), ("name", &connector.topic_prefix), ("context", context)]
}
