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

#[tokio::test]
async fn streamed_values_of_each_type_are_as_recorded() -> Result<()> {
    group("types_stream").await
}

#[tokio::test]
async fn snapshot_values_of_each_type_are_as_recorded() -> Result<()> {
    group("types_snapshot").await
}

#[tokio::test]
async fn envelopes_keys_and_transactions_are_as_recorded() -> Result<()> {
    group("envelope").await
}

#[tokio::test]
async fn truncates_are_as_recorded() -> Result<()> {
    group("truncate").await
}

#[tokio::test]
async fn logical_messages_are_as_recorded() -> Result<()> {
    group("messages").await
}

#[tokio::test]
async fn unchanged_toast_values_are_as_recorded() -> Result<()> {
    group("toast").await
}
