//! Kafka Connect's numbers, as the JMX exporter gives them with its own example for Connect. A connector has one task, 0.
//!
//! Source: Kafka documentation, "Kafka Connect monitoring", 4.3.

use super::exposition::{Family, Kind, of_connector, of_instance};
use super::{Observed, number};

const TASK: &[&str] = &["connector", "task"];
const CONNECTOR: &[&str] = &["connector"];

pub(super) const FAMILIES: &[Family] = &[
    of_connector(
        "kafka_connect_connector_status",
        Kind::Gauge,
        &["connector", "task", "status"],
        "1, with the state of the task: running, paused, stopped, failed, restarting, unassigned.",
        |connector, _, samples| {
            let [name, task] = of(connector);
            samples.add(&[name, task, ("status", connector.connect_state())], 1.0);
        },
    ),
    of_connector(
        "kafka_connect_source_task_source_record_poll_total",
        Kind::Counter,
        TASK,
        "Committed changes and rows of snapshots.",
        |connector, _, samples| {
            let tables = connector.status.measured.tables.values();
            let changes = tables.map(|measured| measured.changes.iter().sum::<u64>()).sum();
            samples.count(&of(connector), changes);
        },
    ),
    of_connector(
        "kafka_connect_source_task_source_record_write_total",
        Kind::Counter,
        TASK,
        "Records in committed Kafka transactions.",
        |connector, _, samples| {
            samples.count(&of(connector), connector.status.records_committed);
        },
    ),
    of_connector(
        "kafka_connect_task_error_total_record_failures",
        Kind::Counter,
        TASK,
        "How often the task failed.",
        |connector, _, samples| {
            samples.count(&of(connector), connector.status.measured.failures);
        },
    ),
    of_connector(
        "kafka_connect_task_error_total_retries",
        Kind::Counter,
        TASK,
        "How often the task began again after a failure.",
        |connector, _, samples| {
            samples.count(&of(connector), connector.status.measured.takeovers.saturating_sub(1));
        },
    ),
    of_connector(
        "kafka_connect_task_error_last_error_timestamp",
        Kind::Gauge,
        TASK,
        "When the task last failed, milliseconds since 1970; 0 if it never did.",
        |connector, _, samples| {
            let at_ms = connector.status.measured.last_failure_at_ms.unwrap_or(0);
            samples.add(&of(connector), number(at_ms.unsigned_abs()));
        },
    ),
    of_instance(
        "kafka_connect_worker_connector_count",
        Kind::Gauge,
        &[],
        "Connectors of this worker.",
        |instance, samples| {
            samples.count(&[], instance.connectors.len() as u64);
        },
    ),
    of_instance(
        "kafka_connect_worker_task_count",
        Kind::Gauge,
        &[],
        "Tasks of this worker: one of each connector that is not stopped.",
        |instance, samples| {
            let connectors = instance.connectors.iter();
            let tasks = connectors.filter(|connector| connector.connect_state() != "stopped");
            samples.count(&[], tasks.count() as u64);
        },
    ),
    of_connector(
        "kafka_connect_worker_connector_total_task_count",
        Kind::Gauge,
        CONNECTOR,
        "1, or 0 if the connector is stopped.",
        |connector, _, samples| {
            samples.flag(&of(connector)[..1], connector.connect_state() != "stopped");
        },
    ),
    of_connector(
        "kafka_connect_worker_connector_running_task_count",
        Kind::Gauge,
        CONNECTOR,
        "1 if the task is running.",
        |connector, _, samples| {
            samples.flag(&of(connector)[..1], connector.connect_state() == "running");
        },
    ),
    of_connector(
        "kafka_connect_worker_connector_paused_task_count",
        Kind::Gauge,
        CONNECTOR,
        "1 if the task is paused.",
        |connector, _, samples| {
            samples.flag(&of(connector)[..1], connector.connect_state() == "paused");
        },
    ),
    of_connector(
        "kafka_connect_worker_connector_failed_task_count",
        Kind::Gauge,
        CONNECTOR,
        "1 if the task has failed for good.",
        |connector, _, samples| {
            samples.flag(&of(connector)[..1], connector.connect_state() == "failed");
        },
    ),
    of_connector(
        "kafka_connect_worker_connector_restarting_task_count",
        Kind::Gauge,
        CONNECTOR,
        "1 while the task waits to begin again after a failure.",
        |connector, _, samples| {
            samples.flag(&of(connector)[..1], connector.connect_state() == "restarting");
        },
    ),
    of_connector(
        "kafka_connect_worker_connector_unassigned_task_count",
        Kind::Gauge,
        CONNECTOR,
        "1 if the task should run here and does not.",
        |connector, _, samples| {
            samples.flag(&of(connector)[..1], connector.connect_state() == "unassigned");
        },
    ),
    of_instance(
        "kafka_connect_worker_rebalance_epoch",
        Kind::Gauge,
        &[],
        "The group's generation.",
        |instance, samples| {
            if let Some(membership) = instance.membership {
                samples.add(&[], f64::from(membership.generation));
            }
        },
    ),
    of_instance(
        "kafka_connect_worker_rebalance_completed_rebalances_total",
        Kind::Counter,
        &[],
        "Assignments since the process started.",
        |instance, samples| {
            if let Some(membership) = instance.membership {
                samples.count(&[], membership.assignments);
            }
        },
    ),
    of_instance(
        "kafka_connect_worker_rebalance_time_since_last_rebalance_ms",
        Kind::Gauge,
        &[],
        "Since the newest assignment.",
        |instance, samples| {
            let assigned_at_ms =
                instance.membership.and_then(|membership| membership.assigned_at_ms);
            if let Some(assigned_at_ms) = assigned_at_ms {
                samples.add(&[], number(instance.now_ms.abs_diff(assigned_at_ms)));
            }
        },
    ),
];

fn of(connector: &Observed) -> [(&str, &str); 2] {
    [("connector", &connector.name), ("task", "0")]
}
