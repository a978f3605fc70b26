//! A gap that a new snapshot closes, as the checkpoint keeps it until the rows that vanished in it are told of.
//!
//! In: the captured tables, when the snapshot is decided on. Out: the ends of their topics at that moment. What lies before
//! them is from before the gap; every row the snapshot reads, and every change since, lies behind them.
//! The ends are high watermarks, not ends for `read_committed` readers: committed records of ours may lie behind another
//! writer's open transaction, and they are from before the gap all the same.
//! Never: a table taken as read whole of which some start of the snapshot reads only a part; rows that are left out are not
//! known to be gone.

use std::collections::BTreeMap;
use std::fmt;

use kafka::{Client, Isolation};
use pgoutput::Oid;
use postgres::Connection;
use postgres::catalog::{self, TableSummary};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::ConnectorError;
use crate::settings::Settings;

/// What is to be looked through once the snapshot is complete.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The topics that held something.
    pub topics: Vec<GapTopic>,
}

/// One topic, as it was before the snapshot began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapTopic {
    /// Its name.
    pub name: String,
    /// Its id in hexadecimal: a topic of the same name that was made since holds nothing from before.
    pub id: String,
    /// Where the records of each partition ended.
    pub ends: Vec<i64>,
    /// The captured tables whose records go there.
    pub tables: Vec<GapTable>,
}

/// One table, by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapTable {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Every start of the snapshot so far has read all of its rows.
    pub read_whole: bool,
    /// Fingerprint of the files that held them. A snapshot does not see rows that were written into another file since.
    pub files: String,
}

/// Why rows of a table that are not in the snapshot are not known to be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// `snapshot.include.collection.list` leaves it out, or it was not captured.
    NotRead,
    /// `snapshot.select.statement.overrides` has a statement for it.
    Statement,
    /// `tributary.row.filter` has a condition for it.
    RowFilter,
    /// An earlier start of the same snapshot had one of these.
    Before,
    /// It has other files than when the snapshot was decided on.
    Rewritten,
    /// It is gone, or its records go elsewhere.
    Gone,
    /// Its records have no keys.
    NoKey,
    /// Its records are not in JSON.
    Avro,
}

impl fmt::Display for Doubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotRead => "the new snapshot does not read it",
            Self::Statement => {
                "the new snapshot reads what snapshot.select.statement.overrides selects of it"
            }
            Self::RowFilter => "the new snapshot reads what its row filter admits",
            Self::Before => {
                "the new snapshot did not read all of it under the settings it began with"
            }
            Self::Rewritten => {
                "its files were replaced since the snapshot was decided on, by TRUNCATE, VACUUM FULL or ALTER TABLE, or it has a new partition, so that the snapshot may not have seen all of its rows"
            }
            Self::Gone => "it exists no longer, or its records go to another topic now",
            Self::NoKey => "it has no key, so that nothing says which records are of one row",
            Self::Avro => "its records are in Avro, which is not read yet",
        })
    }
}

impl Gap {
    /// The topics of the captured tables, as they end now.
    pub(crate) async fn begin(
        client: &Client,
        control: &Connection,
        settings: &Settings,
        captured: &[TableSummary],
    ) -> Result<Self, ConnectorError> {
        let mut by_topic: BTreeMap<String, Vec<GapTable>> = BTreeMap::new();
        for TableSummary { schema, name, oid, .. } in captured {
            let read_whole = doubt(settings, schema, name).is_none();
            let files = files(control, *oid).await?;
            let table = GapTable { schema: schema.clone(), name: name.clone(), read_whole, files };
            by_topic.entry(settings.topic_of(schema, name)).or_default().push(table);
        }
        let mut topics = Vec::new();
        for (name, tables) in by_topic {
            let Some(found) = client.topic(&name).await? else { continue };
            let ends = client.latest_offsets(&found.topic, Isolation::ReadUncommitted).await?;
            if ends.iter().any(|end| *end > 0) {
                topics.push(GapTopic { name, id: hex::encode(found.topic.id()), ends, tables });
            }
        }
        Ok(Self { topics })
    }

    /// As the settings of now have it too: each start of a snapshot that goes on after an interruption may have others.
    pub(crate) fn narrowed(mut self, settings: &Settings) -> Self {
        for table in self.topics.iter_mut().flat_map(|topic| &mut topic.tables) {
            table.read_whole &= doubt(settings, &table.schema, &table.name).is_none();
        }
        self
    }
}

/// The fingerprint of a table's files.
pub(super) async fn files(control: &Connection, table: Oid) -> Result<String, ConnectorError> {
    let mut digest = Sha256::new();
    for (oid, file) in catalog::files(control, table).await? {
        digest.update(oid.0.to_be_bytes());
        digest.update(file.0.to_be_bytes());
    }
    Ok(hex::encode(&digest.finalize()[..8]))
}

/// What keeps a snapshot from reading all rows of a table.
pub(super) fn doubt(settings: &Settings, schema: &str, name: &str) -> Option<Doubt> {
    let snapshot = &settings.snapshot;
    if !settings.encoder.is_json() {
        return Some(Doubt::Avro);
    }
    if !settings.tables.captures(schema, name) || !snapshot.copies(schema, name) {
        return Some(Doubt::NotRead);
    }
    if snapshot.select_override(schema, name).is_some() {
        return Some(Doubt::Statement);
    }
    settings.publication.pushdown.row_filter(schema, name).map(|_| Doubt::RowFilter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::fixture::settings;

    #[test]
    fn a_table_that_one_start_reads_in_part_stays_in_doubt_whatever_later_starts_read() {
        let table = |name: &str| GapTable {
            schema: "s".into(),
            name: name.into(),
            read_whole: true,
            files: String::new(),
        };
        let tables = ["a", "b", "c", "d"].map(table).to_vec();
        let topic = GapTopic { name: "p".into(), id: String::new(), ends: vec![1], tables };
        let in_part = settings(&[
            ("table.include.list", "s[.][abc]"),
            ("snapshot.include.collection.list", "s[.][abd]"),
            ("snapshot.select.statement.overrides", "s.a"),
            ("snapshot.select.statement.overrides.s.a", "select 1"),
        ]);
        let gap = Gap { topics: vec![topic] }.narrowed(&in_part).narrowed(&settings(&[]));
        let whole = gap.topics[0].tables.iter().filter(|table| table.read_whole);
        assert_eq!(whole.map(|table| table.name.as_str()).collect::<Vec<_>>(), ["b"]);
        assert_eq!(doubt(&in_part, "s", "a"), Some(Doubt::Statement));
        assert_eq!(doubt(&in_part, "s", "c"), Some(Doubt::NotRead));
        assert_eq!(doubt(&in_part, "s", "d"), Some(Doubt::NotRead));
    }
}
