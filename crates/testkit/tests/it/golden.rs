//! What the real Debezium connector emits for the same SQL, record by record: key, value, schema, headers.
//! Groups share one database name and one topic prefix, so they take turns.

use testkit::Result;
use testkit::golden::{Selection, expect_all_pass, replay};
use testkit::stack::Stack;
use tokio::sync::Mutex;

static TURN: Mutex<()> = Mutex::const_new(());

async fn group(name: &str) -> Result<()> {
    let _turn = TURN.lock().await;
    let cases = std::env::var("TRIBUTARY_GOLDEN_CASES").unwrap_or_else(|_| ".*".to_owned());
    let reports = replay(Stack::shared()?, &Selection::new(name, &cases)?).await?;
    expect_all_pass(&reports)
}

/// Every group is in exactly one of these.
const FAMILIES: [(&str, &str); 9] = [
    ("streamed types", "types_stream"),
    ("types in a snapshot", "types_snapshot"),
    ("times", "types_time_.*"),
    (
        "other modes of types",
        "types_(bin|combo|dec|default|dt|hstore|interval|propagate|unknown).*",
    ),
    ("snapshots", "snap_.*|snapshot_.*"),
    ("unchanged values", "toast.*"),
    ("events and keys", "envelope|extended_.*|msgkey|names|no_tombstone|restart|skip_.*|topic_.*"),
    ("messages and transactions", "messages.*|truncate|tx_meta.*"),
    (
        "tables, columns, settings",
        "adj_.*|col.*|ddl.*|fail_.*|filter_.*|json_.*|part_.*|pub_.*|ri_.*",
    ),
];

async fn family(name: &str) -> Result<()> {
    let found = FAMILIES.iter().find(|(family, _)| *family == name);
    let (_, groups) = found.ok_or_else(|| testkit::Failure::new(format!("no family {name}")))?;
    group(groups).await
}

#[test]
fn every_recorded_group_is_replayed_by_one_family() -> Result<()> {
    let folder = Selection::new(".*", ".*")?.folder;
    for group in testkit::golden::load(&folder)? {
        let families: Vec<&str> = FAMILIES
            .iter()
            .filter(|(_, groups)| {
                regex::Regex::new(&format!("^(?:{groups})$"))
                    .is_ok_and(|it| it.is_match(&group.name))
            })
            .map(|(family, _)| *family)
            .collect();
        assert_eq!(families.len(), 1, "{}: {families:?}", group.name);
    }
    Ok(())
}

#[tokio::test]
async fn streamed_values_of_each_type_are_as_recorded() -> Result<()> {
    family("streamed types").await
}

#[tokio::test]
async fn snapshot_values_of_each_type_are_as_recorded() -> Result<()> {
    family("types in a snapshot").await
}

#[tokio::test]
async fn times_in_every_precision_are_as_recorded() -> Result<()> {
    family("times").await
}

#[tokio::test]
async fn types_in_every_other_mode_are_as_recorded() -> Result<()> {
    family("other modes of types").await
}

#[tokio::test]
async fn snapshots_are_as_recorded() -> Result<()> {
    family("snapshots").await
}

#[tokio::test]
async fn unchanged_toast_values_are_as_recorded() -> Result<()> {
    family("unchanged values").await
}

#[tokio::test]
async fn events_and_keys_are_as_recorded() -> Result<()> {
    family("events and keys").await
}

#[tokio::test]
async fn messages_truncates_and_transactions_are_as_recorded() -> Result<()> {
    family("messages and transactions").await
}

#[tokio::test]
async fn changes_of_tables_and_filters_are_as_recorded() -> Result<()> {
    family("tables, columns, settings").await
}
