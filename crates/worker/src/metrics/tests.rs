use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use connector::measure::{Measured, TableMeasured};
use connector::status::{
    self, IncrementalStatus, Notice, RetentionCause, RetentionStatus, SnapshotStatus,
    StreamedStatus,
};

use super::exposition::Kind;
use super::*;

/// A connector that has everything to say.
fn observed(name: &str) -> Observed {
    let mut status = status::channel().1.borrow().clone();
    let table = TableMeasured { changes: [5, 4, 3, 2, 1], records: 17, bytes: 1700 };
    status.records_committed = 17;
    status.transactions_committed = 3;
    status.snapshot = Some(SnapshotStatus {
        tables_total: 1,
        tables_done: 1,
        bytes_total: 8192,
        bytes_done: 4096,
        elapsed: Duration::from_secs(7),
        ..SnapshotStatus::default()
    });
    status.incremental = Some(IncrementalStatus {
        table: "public.items".to_owned(),
        rows_read: 9,
        reads_to: None,
        read_up_to: None,
        tables_waiting: 2,
        is_paused: true,
    });
    status.retention = Some(RetentionStatus {
        retained_bytes: 600,
        unacknowledged_bytes: 500,
        limit_bytes: Some(1000),
        growth_bytes_per_second: 40,
        cause: RetentionCause::Nothing,
    });
    status.streamed = Some(StreamedStatus { open: 2, spilled_bytes: 300 });
    status.notices = ["NT001", "NT012", "NT001"]
        .map(|code| Notice { code, subject: String::new(), text: String::new() })
        .into();
    status.measured = Arc::new(Measured {
        tables: BTreeMap::from([("public.orders".into(), table)]),
        latency_last: Some(Duration::from_micros(12_400)),
        record_bytes: 1700,
        sent_bytes: 400,
        commit_time: Duration::from_millis(30),
        last_record_at_ms: Some(1_000_000),
        takeovers: 2,
        failures: 1,
        last_failure_at_ms: Some(900_000),
        ..Measured::default()
    });
    Observed {
        name: name.to_owned(),
        topic_prefix: format!("{name}-prefix"),
        phase: Phase::Streaming,
        status,
    }
}

fn instance() -> Instance {
    let mut reading = observed("reading");
    reading.phase = Phase::Snapshotting;
    Instance {
        connectors: vec![observed("shop"), reading],
        membership: Some(MembershipObserved {
            generation: 4,
            members: 3,
            partitions: 16,
            assignments: 2,
            losses: 0,
            assigned_at_ms: Some(1_000_000),
        }),
        now_ms: 1_002_500,
    }
}

/// Names of the list, as they stand in samples.
fn names() -> BTreeSet<String> {
    let suffixes = |family: &Family| match family.kind {
        Kind::Histogram => vec!["_bucket", "_sum", "_count"],
        Kind::Counter | Kind::Gauge => vec![""],
    };
    families()
        .flat_map(|family| suffixes(family).into_iter().map(|end| format!("{}{end}", family.name)))
        .collect()
}

#[test]
fn every_metric_of_the_list_is_on_the_page_with_the_labels_it_says() {
    let page = render(&instance());
    let mut seen = BTreeSet::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let name: String = line.chars().take_while(|letter| !"{ ".contains(*letter)).collect();
        let labels = line.strip_prefix(&name).and_then(|rest| rest.strip_prefix('{'));
        let labels = labels.and_then(|rest| rest.rsplit_once("\"} ")).map_or("", |(all, _)| all);
        let labels: Vec<&str> = labels
            .split("\",")
            .filter_map(|label| label.split_once("=\""))
            .map(|(l, _)| l)
            .collect();
        let labels: Vec<&str> = labels.into_iter().filter(|label| *label != "le").collect();
        let family = families().find(|family| {
            name.strip_prefix(family.name).is_some_and(|end| {
                end.is_empty() || (family.kind == Kind::Histogram && end.starts_with('_'))
            })
        });
        let family = family.unwrap_or_else(|| panic!("{name} is not in the list"));
        assert_eq!(labels, family.labels, "{line}");
        assert!(line.rsplit_once(' ').unwrap().1.parse::<f64>().is_ok(), "{line}");
        seen.insert(name);
    }
    assert_eq!(names().difference(&seen).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn samples_of_one_name_stand_together_and_no_series_comes_twice() {
    let page = render(&instance());
    let heads: Vec<&str> = page.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    let distinct: BTreeSet<&str> = heads.iter().copied().collect();
    assert_eq!(heads.len(), distinct.len());
    let series: Vec<&str> = page
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').unwrap().0)
        .collect();
    let distinct: BTreeSet<&str> = series.iter().copied().collect();
    assert_eq!(series.len(), distinct.len());
    assert_eq!(
        families().map(|family| family.name).collect::<BTreeSet<_>>().len(),
        families().count()
    );
}

#[test]
fn numbers_are_those_of_the_status() {
    let page = render(&instance());
    for line in [
        "tributary_connector_state{connector=\"shop\",state=\"streaming\"} 1",
        "tributary_connector_state{connector=\"shop\",state=\"failed\"} 0",
        "tributary_connector_notices{connector=\"shop\",code=\"NT001\"} 2",
        "tributary_table_changes_total{connector=\"shop\",table=\"public.orders\",operation=\"delete\"} 3",
        "tributary_table_bytes_total{connector=\"shop\",table=\"public.orders\"} 1700",
        "tributary_slot_seconds_to_loss{connector=\"shop\"} 10",
        "tributary_snapshot_remaining_seconds{connector=\"reading\"} 7",
        "tributary_commit_seconds_total{connector=\"shop\"} 0.03",
        "tributary_commit_to_acknowledged_seconds_bucket{connector=\"shop\",le=\"0.002\"} 0",
        "debezium_metrics_MilliSecondsBehindSource{plugin=\"postgres\",name=\"shop-prefix\",context=\"streaming\"} 12",
        "debezium_metrics_MilliSecondsSinceLastEvent{plugin=\"postgres\",name=\"shop-prefix\",context=\"streaming\"} 2500",
        "debezium_metrics_TotalNumberOfEventsSeen{plugin=\"postgres\",name=\"shop-prefix\",context=\"streaming\"} 13",
        "debezium_metrics_TotalNumberOfEventsSeen{plugin=\"postgres\",name=\"shop-prefix\",context=\"snapshot\"} 2",
        "debezium_metrics_RowsScanned{plugin=\"postgres\",name=\"shop-prefix\",context=\"snapshot\",table=\"public.orders\"} 2",
        "kafka_connect_connector_status{connector=\"shop\",task=\"0\",status=\"running\"} 1",
        "kafka_connect_worker_connector_count 2",
        "kafka_connect_worker_rebalance_time_since_last_rebalance_ms 2500",
        "tributary_worker_members 3",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
    assert!(
        !page.contains("tributary_snapshot_remaining_seconds{connector=\"shop\"}"),
        "it is over"
    );
}

#[test]
fn a_connector_that_rests_is_not_one_that_failed() {
    let mut resting = observed("shop");
    resting.phase = Phase::Paused;
    assert_eq!(resting.connect_state(), "paused");
    let connectors = vec![resting];
    let page = render(&Instance { connectors, ..Instance::default() });
    assert!(page.contains("tributary_connector_state{connector=\"shop\",state=\"paused\"} 1"));
    assert!(page.contains("tributary_connector_state{connector=\"shop\",state=\"stopped\"} 0"));
    assert!(
        page.contains("kafka_connect_worker_connector_failed_task_count{connector=\"shop\"} 0")
    );
}

fn in_repository(path: &str) -> String {
    format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_metrics_page_is_the_list() {
    let path = in_repository("docs/reference/metrics.md");
    if std::env::var_os("UPDATE_METRICS_PAGE").is_some() {
        fs::write(&path, reference_page()).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == reference_page(),
        "docs/reference/metrics.md is not the list; run UPDATE_METRICS_PAGE=1 cargo test -p worker --lib metrics_page"
    );
}

/// Names of metrics in an expression: whatever begins as one of ours does.
fn named_in(text: &str) -> BTreeSet<&str> {
    let prefixes = ["tributary_", "debezium_metrics_", "kafka_connect_", "process_"];
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| prefixes.iter().any(|prefix| word.starts_with(prefix)))
        .collect()
}

#[test]
fn the_dashboard_and_the_alerts_only_name_what_there_is() {
    let names = names();
    let dashboard = fs::read_to_string(in_repository("examples/monitoring/grafana.json")).unwrap();
    let alerts = fs::read_to_string(in_repository("examples/monitoring/alerts.yaml")).unwrap();
    let parsed: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let mut expressions = Vec::new();
    collect_expressions(&parsed, &mut expressions);
    assert!(expressions.len() >= 15, "{} expressions", expressions.len());
    let rules: Vec<&str> = alerts.lines().filter(|line| !line.trim().starts_with('#')).collect();
    for text in expressions.iter().map(String::as_str).chain(rules) {
        for name in named_in(text) {
            assert!(names.contains(name), "`{name}` in `{text}` is no metric");
        }
    }
    assert!(alerts.lines().filter(|line| line.contains("alert:")).count() >= 8);
}

fn collect_expressions(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                match value {
                    serde_json::Value::String(text) if key == "expr" || key == "query" => {
                        found.push(text.clone());
                    }
                    value => collect_expressions(value, found),
                }
            }
        }
        serde_json::Value::Array(list) => {
            for value in list {
                collect_expressions(value, found);
            }
        }
        _ => {}
    }
}
