//! A connector's checkpoint, asked for and set from outside while it does not run.
//!
//! In: an offset, ours or Debezium's, or none. Out: the checkpoint record. Whoever ran the connector is fenced before anything is written,
//! so that a run that was believed to have ended cannot write after it.
//! Never: an offset that cannot be gone on from; what it stands for is looked up at the source first.
//! Source: KIP-875, "First-class offsets support in Kafka Connect".

mod import;

use kafka::{Client, Transaction};
use serde_json::{Map, Value};

use crate::checkpoint::CheckpointLog;
use crate::error::ConnectorError;
use crate::position::Position;
use crate::settings::Settings;

/// The newest committed offset: the map that is kept for the partition `{"server": topic.prefix}`. `None` if there is none.
///
/// Errors: those of Kafka.
pub async fn read(settings: &Settings) -> Result<Option<Map<String, Value>>, ConnectorError> {
    let client = Client::connect(settings.store.clone()).await?;
    let log = CheckpointLog::open(&client, settings).await?;
    let Some(value) = log.read_value(&client).await? else { return Ok(None) };
    serde_json::from_slice(&value).map(Some).map_err(|error| ConnectorError::unreadable(&error))
}

/// Sets the offset a start goes on from: one that [`read`] gave, or one that Debezium's connector for PostgreSQL has stored for the same
/// slot. `None` forgets it: the next start is the first.
///
/// Errors: [`ConnectorError::OffsetUnusable`], [`ConnectorError::CheckpointUnreadable`], those of Kafka and, for an offset of Debezium's, of the
/// source.
pub async fn write(
    settings: &Settings,
    offset: Option<&Map<String, Value>>,
) -> Result<(), ConnectorError> {
    let mut known = Vec::new();
    let position = match offset {
        None => None,
        Some(offset) if offset.contains_key("tributary") => {
            let text = Value::Object(offset.clone()).to_string();
            Some(Position::from_json(text.as_bytes())?)
        }
        Some(offset) => {
            let control = postgres::connect(&settings.source).await?;
            known = import::tables(settings, &control).await?;
            Some(import::position(settings, &control, offset).await?)
        }
    };
    let client = Client::connect(settings.store.clone()).await?;
    let log = CheckpointLog::open(&client, settings).await?;
    let mut producer = log.producer(&client, settings).await?;
    let mut transaction = Transaction::new(producer.settings().batch_bytes_max);
    let mut history = log.history(settings);
    for (table, version) in known {
        history.keep(table, version, &mut transaction)?;
    }
    match &position {
        Some(position) => log.append(&mut transaction, position),
        None => log.forget(&mut transaction),
    }
    producer.commit(transaction).await?;
    Ok(())
}
