//! The end of a connector for good: what it made is taken away, at the source first, because there it costs something.
//!
//! In: settings of a connector that does not run. Out: what was there and is not any more, and what is left.
//! Never: a topic deleted that was not asked for; a walsender ended that is not ours.

use kafka::{Client, Transaction};
use postgres::{Connection, ReplicationConnection, catalog, publication, quote_identifier, slot};
use tracing::info;

use crate::captured;
use crate::checkpoint::CheckpointLog;
use crate::error::ConnectorError;
use crate::settings::{Autocreate, Settings};

/// What else is to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Destroy {
    /// Its topics, and what consumers have not read of them.
    pub topics: bool,
    /// Another connector may read through the same publication: it stays.
    pub keeps_publication: bool,
}

/// What became of what a connector had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destroyed {
    /// Its slot, if there was one.
    pub slot: Option<String>,
    /// Its publication, if there was one and it is gone.
    pub publication: Option<String>,
    /// Topics that are deleted.
    pub topics_deleted: Vec<String>,
    /// Topics that are still there.
    pub topics_kept: Vec<String>,
}

/// Takes away the slot, the publication, the checkpoint, and, if asked, the topics of the tables it captures. Done again, it does what
/// is left to do.
///
/// Errors: those of the source and of Kafka.
pub async fn destroy(settings: &Settings, what: Destroy) -> Result<Destroyed, ConnectorError> {
    let client = Client::connect(settings.store.clone()).await?;
    let log = CheckpointLog::open(&client, settings).await?;
    // Whoever still runs it is fenced, and does not make the slot again.
    let mut producer = log.producer(&client, settings).await?;
    let control = postgres::connect(&settings.source).await?;
    let captured = captured::select(catalog::list_tables(&control).await?, settings);
    let mut destroyed = Destroyed {
        slot: drop_slot(settings, &control).await?,
        publication: drop_publication(settings, &control, what).await?,
        ..Destroyed::default()
    };
    let mut names: Vec<String> =
        captured.iter().map(|table| settings.topic_of(&table.schema, &table.name)).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        if client.topic(&name).await?.is_none() {
            continue;
        }
        if what.topics {
            client.delete_topics(&[&name]).await?;
            destroyed.topics_deleted.push(name);
        } else {
            destroyed.topics_kept.push(name);
        }
    }
    let mut history = log.history(settings);
    history.load(&client).await?;
    let mut done = log.snapshot_done(settings);
    done.load(&client).await?;
    let mut transaction = Transaction::new(producer.settings().batch_bytes_max);
    let tables: Vec<_> = history.iter().map(|(table, _)| table).collect();
    for table in tables {
        history.forget(table, &mut transaction);
    }
    done.forget(&mut transaction);
    log.forget(&mut transaction);
    producer.commit(transaction).await?;
    info!(connector.name = %settings.name, "destroyed: {destroyed:?}");
    Ok(destroyed)
}

async fn drop_slot(
    settings: &Settings,
    control: &Connection,
) -> Result<Option<String>, ConnectorError> {
    let name = &settings.slot.name;
    let Some(state) = slot::read(control, name).await? else { return Ok(None) };
    slot::end_stale_walsender(control, &state, settings.source.application_name()).await?;
    ReplicationConnection::connect(&settings.source).await?.drop_slot(name, true).await?;
    Ok(Some(name.to_string()))
}

async fn drop_publication(
    settings: &Settings,
    control: &Connection,
    what: Destroy,
) -> Result<Option<String>, ConnectorError> {
    let name = &settings.publication.name;
    let is_ours = settings.publication.mode != Autocreate::Disabled && !what.keeps_publication;
    if !is_ours || publication::read(control, name).await?.is_none() {
        return Ok(None);
    }
    let statement = format!("DROP PUBLICATION IF EXISTS {}", quote_identifier(name));
    control.run(format!("run `{statement}`"), &statement).await?;
    Ok(Some(name.clone()))
}
