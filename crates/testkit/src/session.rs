//! One SQL session to the database under test.

use std::ops::Deref;

use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

use crate::Result;
use crate::wait::{DEADLINE, Seen, eventually};

/// An open session. Derefs to the client; the connection ends when this is dropped.
pub struct Session {
    client: Client,
    _driver: JoinSet<()>,
}

impl Session {
    /// Connects by URL, without TLS.
    pub async fn connect(url: &str) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // A broken connection is seen by the next call on the client.
            let _ = connection.await;
        });
        Ok(Self { client, _driver: driver })
    }

    /// Runs one or several statements, without results.
    pub async fn run(&self, sql: &str) -> Result<()> {
        self.client
            .batch_execute(sql)
            .await
            .map_err(|error| crate::Failure::from(error).during(sql))
    }

    /// The text of the first column of the first row, if there is one and it is not NULL.
    pub async fn text(&self, sql: &str) -> Result<Option<String>> {
        let rows = self.client.simple_query(sql).await;
        let rows = rows.map_err(|error| crate::Failure::from(error).during(sql))?;
        Ok(rows.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        }))
    }

    /// All rows as texts; NULL is the empty string.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>> {
        let messages = self.client.simple_query(sql).await;
        let messages = messages.map_err(|error| crate::Failure::from(error).during(sql))?;
        let rows = messages.iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(
                (0..row.len())
                    .map(|column| row.get(column).unwrap_or_default().to_owned())
                    .collect(),
            ),
            _ => None,
        });
        Ok(rows.collect())
    }

    /// Waits until somebody reads a slot.
    pub async fn slot_is_read(&self, slot: &str) -> Result<()> {
        let query = format!("select active from pg_replication_slots where slot_name = '{slot}'");
        eventually("the slot is read", DEADLINE, async || {
            let active = self.text(&query).await?;
            Ok(Seen::when(active.as_deref() == Some("t"), || format!("{active:?}")))
        })
        .await
    }

    /// Drops a slot, once nobody reads it: it would keep all WAL of the runs that follow.
    pub async fn drop_slot(&self, slot: &str) -> Result<()> {
        let drop = format!(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = '{slot}' and not active"
        );
        eventually("the slot is dropped", DEADLINE, async || {
            self.text(&drop).await?;
            let left = format!("select 1 from pg_replication_slots where slot_name = '{slot}'");
            let left = self.text(&left).await?;
            Ok(Seen::when(left.is_none(), || "it is there".to_owned()))
        })
        .await
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}
