//! The reference page of all metrics, made from the list of families.

use std::fmt::Write;

use super::exposition::{Family, Kind};
use super::{connect, debezium, ours, process};

const HEAD: &str = "# Metrics

`tributary run --metrics-listen 127.0.0.1:9404` and every worker answer `GET /metrics` in Prometheus' text format.

- Numbers that only grow begin at zero when the process starts the connector; what Kafka has not committed is not counted, and what is sent again after a
  failure is not counted twice.
- A number that is not known is left out, not zero.
- Names of Debezium are those that the JMX exporter gives with the configuration of Debezium's monitoring example
  (`debezium_metrics_<attribute>{plugin,name,context}`, `name` is `topic.prefix`); names of Kafka Connect are those of the exporter's own example for Connect.
- [`examples/monitoring`](../../examples/monitoring) has a Grafana dashboard and alert rules.
- A worker asks for the role `read`; `tributary run --metrics-listen` asks for nothing: who can reach that address can read names of connectors, tables and
  codes, and no value of a row or a setting.
- A worker shows the connectors it has; those of the whole group are on the pages of all workers together.

This page is generated; after a change run `UPDATE_METRICS_PAGE=1 cargo test -p worker --lib metrics_page`.
";

const TAIL: &str = "
## What is not here

Of Debezium: `QueueTotalCapacity`, `QueueRemainingCapacity`, `MaxQueueSizeInBytes`, `CurrentQueueSizeInBytes` (there is no such queue; `tributary_kafka_wait_seconds_total`
says when Kafka is the bottleneck), `NumberOfEventsFiltered` and `NumberOfUnchangedEventsSkipped` (not counted), `NumberOfErroneousEvents` (a change that cannot be
encoded stops the connector or goes where `tributary.oversized.policy` says; `tributary_connector_failures_total` and `tributary_connector_notices` tell), percentiles of
`MilliSecondsBehindSource` (`tributary_commit_to_acknowledged_seconds` has all), `LastEvent`, `SourceEventPosition`, `LastTransactionId`, `CapturedTables`, chunk
bounds (texts, which the exporter leaves out too).

Of Kafka Connect: rates, averages, maxima and percentages over a window (Prometheus computes them from the totals), `source-record-active-count`, and everything of Java's own clients.
";

/// Renders `docs/reference/metrics.md`.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for (title, families) in [
        ("Connectors", ours::STATE),
        ("What came through", ours::FLOW),
        ("The source's log and our disk", ours::SOURCE),
        ("The worker", ours::GROUP),
        ("Debezium's names", debezium::FAMILIES),
        ("Kafka Connect's names", connect::FAMILIES),
        ("The process", process::FAMILIES),
    ] {
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## {title}\n\n| Name | Labels | |\n|---|---|---|\n");
        for family in families {
            let _ = writeln!(page, "{}", row(family));
        }
    }
    page + TAIL
}

fn row(family: &Family) -> String {
    let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
    let kind = match family.kind {
        Kind::Counter => "Counter",
        Kind::Gauge => "Gauge",
        Kind::Histogram => "Histogram, with `_bucket`, `_sum`, `_count`",
    };
    format!("| `{}` | {} | {kind}. {} |", family.name, labels.join(", "), family.help)
}
