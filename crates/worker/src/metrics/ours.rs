//! Our own numbers.

use connector::measure::Operation;
use connector::status::{RetentionStatus, SnapshotStatus};

use super::exposition::{Family, Kind, Samples, of_connector, of_instance};
use super::{Observed, number};
use crate::told::Phase;

const CONNECTOR: &[&str] = &["connector"];

/// What connectors are doing.
pub(super) const STATE: &[Family] = &[
    of_connector(
        "tributary_connector_state",
        Kind::Gauge,
        &["connector", "state"],
        "1 for what the connector is doing, 0 for everything else: starting, snapshotting, streaming, retrying, failed, paused, stopped.",
        |connector, _, samples| {
            let now = state(connector);
            for state in STATES {
                samples.flag(&[("connector", &connector.name), ("state", state)], now == state);
            }
        },
    ),
    of_connector(
        "tributary_connector_takeovers_total",
        Kind::Counter,
        CONNECTOR,
        "How often the connector took over its slot and its transactional id, the first time included.",
        |connector, _, samples| {
            samples.count(&of(connector), connector.status.measured.takeovers);
        },
    ),
    of_connector(
        "tributary_connector_failures_total",
        Kind::Counter,
        CONNECTOR,
        "How often the connector failed, in a way that may pass or not.",
        |connector, _, samples| {
            samples.count(&of(connector), connector.status.measured.failures);
        },
    ),
    of_connector(
        "tributary_connector_notices",
        Kind::Gauge,
        &["connector", "code"],
        "What the user should know that does not stop the connector, by code; `tributary explain CODE` says what it is.",
        |connector, _, samples| {
            let notices = &connector.status.notices;
            let mut codes: Vec<&str> = notices.iter().map(|notice| notice.code).collect();
            codes.sort_unstable();
            for code in codes.chunk_by(|a, b| a == b) {
                samples
                    .count(&[("connector", &connector.name), ("code", code[0])], code.len() as u64);
            }
        },
    ),
    of_connector(
        "tributary_snapshot_bytes",
        Kind::Gauge,
        CONNECTOR,
        "Size of the tables of the newest snapshot.",
        |connector, _, samples| {
            snapshot(connector, samples, |snapshot| Some(number(snapshot.bytes_total)));
        },
    ),
    of_connector(
        "tributary_snapshot_read_bytes",
        Kind::Gauge,
        CONNECTOR,
        "What is read of them.",
        |connector, _, samples| {
            snapshot(connector, samples, |snapshot| Some(number(snapshot.bytes_done)));
        },
    ),
    of_connector(
        "tributary_snapshot_remaining_seconds",
        Kind::Gauge,
        CONNECTOR,
        "How long the snapshot will take at the pace it had so far; left out while that cannot be told.",
        |connector, _, samples| {
            let runs = connector.phase == Phase::Snapshotting;
            snapshot(connector, samples, |snapshot| {
                snapshot.remaining().filter(|_| runs).map(|left| left.as_secs_f64())
            });
        },
    ),
    of_connector(
        "tributary_incremental_snapshot_rows",
        Kind::Gauge,
        &["connector", "table"],
        "Rows read of the table that is read while the stream runs.",
        |connector, _, samples| {
            if let Some(incremental) = &connector.status.incremental {
                let labels =
                    [("connector", connector.name.as_str()), ("table", &incremental.table)];
                samples.count(&labels, incremental.rows_read);
            }
        },
    ),
    of_connector(
        "tributary_incremental_snapshot_tables_waiting",
        Kind::Gauge,
        CONNECTOR,
        "Tables that wait behind it.",
        |connector, _, samples| {
            if let Some(incremental) = &connector.status.incremental {
                samples.count(&of(connector), incremental.tables_waiting as u64);
            }
        },
    ),
];

/// What came through.
pub(super) const FLOW: &[Family] = &[
    of_connector(
        "tributary_commit_to_acknowledged_seconds",
        Kind::Histogram,
        CONNECTOR,
        "From a transaction's commit at the source, by the source's clock, until Kafka had committed its records, by ours; of each source transaction with records.",
        |connector, _, samples| {
            samples.histogram(&of(connector), &connector.status.measured.latency);
        },
    ),
    of_connector(
        "tributary_records_total",
        Kind::Counter,
        CONNECTOR,
        "Records in committed Kafka transactions, snapshots and tombstones included.",
        |connector, _, samples| {
            samples.count(&of(connector), connector.status.records_committed);
        },
    ),
    of_connector(
        "tributary_record_bytes_total",
        Kind::Counter,
        CONNECTOR,
        "Bytes of these records with keys and headers, before compression.",
        |connector, _, samples| {
            samples.count(&of(connector), connector.status.measured.record_bytes);
        },
    ),
    of_connector(
        "tributary_sent_bytes_total",
        Kind::Counter,
        CONNECTOR,
        "Bytes of these records as they were sent, after compression.",
        |connector, _, samples| {
            samples.count(&of(connector), connector.status.measured.sent_bytes);
        },
    ),
    of_connector(
        "tributary_commits_total",
        Kind::Counter,
        CONNECTOR,
        "Committed Kafka transactions, those with a position only included.",
        |connector, _, samples| {
            samples.count(&of(connector), connector.status.transactions_committed);
        },
    ),
    of_connector(
        "tributary_commit_seconds_total",
        Kind::Counter,
        CONNECTOR,
        "Time that Kafka took to commit them.",
        |connector, _, samples| {
            samples.add(&of(connector), connector.status.measured.commit_time.as_secs_f64());
        },
    ),
    of_connector(
        "tributary_kafka_wait_seconds_total",
        Kind::Counter,
        CONNECTOR,
        "Time in which the connector could not read on because Kafka had not committed.",
        |connector, _, samples| {
            samples.add(&of(connector), connector.status.waited_for_kafka.as_secs_f64());
        },
    ),
    of_connector(
        "tributary_last_record_timestamp_seconds",
        Kind::Gauge,
        CONNECTOR,
        "When Kafka last committed records of the connector, seconds since 1970.",
        |connector, _, samples| {
            if let Some(at_ms) = connector.status.measured.last_record_at_ms {
                samples.add(&of(connector), number(at_ms.unsigned_abs()) / 1000.0);
            }
        },
    ),
    of_connector(
        "tributary_table_changes_total",
        Kind::Counter,
        &["connector", "table", "operation"],
        "Committed changes of a table: create, update, delete, read (by snapshots), truncate. Kinds that never occurred are left out.",
        |connector, _, samples| {
            for (table, measured) in &connector.status.measured.tables {
                for operation in Operation::ALL {
                    let count = measured.changes_of(operation);
                    if count > 0 {
                        let labels = [
                            ("connector", connector.name.as_str()),
                            ("table", table),
                            ("operation", operation.as_str()),
                        ];
                        samples.count(&labels, count);
                    }
                }
            }
        },
    ),
    of_connector(
        "tributary_table_records_total",
        Kind::Counter,
        &["connector", "table"],
        "Committed records of a table.",
        |connector, _, samples| {
            for (table, measured) in &connector.status.measured.tables {
                samples
                    .count(&[("connector", &connector.name), ("table", table)], measured.records);
            }
        },
    ),
    of_connector(
        "tributary_table_bytes_total",
        Kind::Counter,
        &["connector", "table"],
        "Bytes of these records with keys and headers, before compression.",
        |connector, _, samples| {
            for (table, measured) in &connector.status.measured.tables {
                samples.count(&[("connector", &connector.name), ("table", table)], measured.bytes);
            }
        },
    ),
];

/// What the source keeps for us, and we for it.
pub(super) const SOURCE: &[Family] = &[
    of_connector(
        "tributary_slot_retained_bytes",
        Kind::Gauge,
        CONNECTOR,
        "Bytes of the source's log that cannot be removed because of the slot.",
        |connector, _, samples| {
            if let Some(retention) = &connector.status.retention {
                samples.count(&of(connector), retention.retained_bytes);
            }
        },
    ),
    of_connector(
        "tributary_slot_unacknowledged_bytes",
        Kind::Gauge,
        CONNECTOR,
        "Bytes of the source's log that the connector has not acknowledged.",
        |connector, _, samples| {
            if let Some(retention) = &connector.status.retention {
                samples.count(&of(connector), retention.unacknowledged_bytes);
            }
        },
    ),
    of_connector(
        "tributary_slot_limit_bytes",
        Kind::Gauge,
        CONNECTOR,
        "What the slot may keep by the settings or the server, whichever is less; left out without a limit.",
        |connector, _, samples| {
            let retention = connector.status.retention.as_ref();
            if let Some(limit_bytes) = retention.and_then(|retention| retention.limit_bytes) {
                samples.count(&of(connector), limit_bytes);
            }
        },
    ),
    of_connector(
        "tributary_slot_growth_bytes_per_second",
        Kind::Gauge,
        CONNECTOR,
        "How fast what the slot keeps grew between the last two looks.",
        |connector, _, samples| {
            if let Some(retention) = &connector.status.retention {
                samples.count(&of(connector), retention.growth_bytes_per_second);
            }
        },
    ),
    of_connector(
        "tributary_slot_seconds_to_loss",
        Kind::Gauge,
        CONNECTOR,
        "How long until the limit at that pace, when the server gives the slot up, or the settings do; left out if it does not grow.",
        |connector, _, samples| {
            let retention = connector.status.retention.as_ref();
            if let Some(left) = retention.and_then(RetentionStatus::until_limit) {
                samples.add(&of(connector), left.as_secs_f64());
            }
        },
    ),
    of_connector(
        "tributary_spilled_bytes",
        Kind::Gauge,
        CONNECTOR,
        "What large transactions take on our disk until they commit.",
        |connector, _, samples| {
            let streamed = connector.status.streamed;
            samples.count(&of(connector), streamed.map_or(0, |streamed| streamed.spilled_bytes));
        },
    ),
    of_connector(
        "tributary_streamed_transactions",
        Kind::Gauge,
        CONNECTOR,
        "Large transactions that have come in part and not committed.",
        |connector, _, samples| {
            let streamed = connector.status.streamed;
            samples.count(&of(connector), streamed.map_or(0, |streamed| streamed.open as u64));
        },
    ),
];

/// The worker's place in its group.
pub(super) const GROUP: &[Family] = &[
    of_instance(
        "tributary_worker_members",
        Kind::Gauge,
        &[],
        "Workers of the group.",
        |instance, samples| {
            if let Some(membership) = instance.membership {
                samples.count(&[], membership.members as u64);
            }
        },
    ),
    of_instance(
        "tributary_worker_partitions",
        Kind::Gauge,
        &[],
        "Partitions of the config topic that are this worker's.",
        |instance, samples| {
            if let Some(membership) = instance.membership {
                samples.count(&[], membership.partitions as u64);
            }
        },
    ),
    of_instance(
        "tributary_worker_losses_total",
        Kind::Counter,
        &[],
        "How often this worker lost all its connectors: its session was over, or it was replaced.",
        |instance, samples| {
            if let Some(membership) = instance.membership {
                samples.count(&[], membership.losses);
            }
        },
    ),
    of_instance("tributary_build_info", Kind::Gauge, &["version"], "1.", |_, samples| {
        samples.add(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    }),
];

const STATES: [&str; 7] =
    ["starting", "snapshotting", "streaming", "retrying", "failed", "paused", "stopped"];

fn state(connector: &Observed) -> &'static str {
    match connector.phase {
        Phase::Starting => "starting",
        Phase::Snapshotting => "snapshotting",
        Phase::Streaming => "streaming",
        Phase::Retrying => "retrying",
        Phase::Failed | Phase::Invalid => "failed",
        Phase::Paused => "paused",
        Phase::Stopped | Phase::Destroying | Phase::Unassigned => "stopped",
    }
}

fn of(connector: &Observed) -> [(&str, &str); 1] {
    [("connector", &connector.name)]
}

fn snapshot(
    connector: &Observed,
    samples: &mut Samples<'_>,
    value: impl Fn(&SnapshotStatus) -> Option<f64>,
) {
    if let Some(value) = connector.status.snapshot.as_ref().and_then(value) {
        samples.add(&of(connector), value);
    }
}
