//! What a description means: one of the stream, that something may have changed; one of the catalog alone, what snapshots read;
//! one of both, what the stream lacks of a table.

use std::collections::HashSet;

use kafka::Transaction;
use pgoutput::{Oid, Relation};
use postgres::catalog::TableDescription;
use tokio::sync::OnceCell;
use tracing::warn;

use super::{CapturedTable, Tables};
use crate::error::ConnectorError;
use crate::history::Version;
use crate::history::reading::Reading;
use crate::{pushdown, shape};

impl Tables {
    /// A source transaction begins. One that was sent before it committed describes every relation, whether or not that has
    /// changed, as a session does.
    #[inline]
    pub(crate) fn transaction_begins(&mut self, describes_all: bool) {
        self.own_descriptions = describes_all.then(HashSet::new);
        self.shown = OnceCell::new();
    }

    /// The server describes a relation. Says whether it has done so before and had no other reason than a change to do it again.
    pub(super) fn is_described_anew(&mut self, oid: Oid) -> bool {
        let is_first = self.own_descriptions.as_mut().is_some_and(|own| own.insert(oid));
        let in_session = |reading: &Reading| reading.session == self.session;
        !is_first && self.readings.get(&oid).is_some_and(in_session)
    }

    /// Plan and topic of a table that is described by the catalog alone, as a snapshot reads it: with the columns of the
    /// plan's table and no others. What the table is now is kept.
    pub(crate) async fn compile_for_snapshot(
        &mut self,
        description: &TableDescription,
        transaction: &mut Transaction,
    ) -> Result<CapturedTable, ConnectorError> {
        self.history.keep(description.oid, Version::of(description), transaction)?;
        self.compile_chunk(description).await
    }

    /// Plan and topic of a table whose rows are read while the stream runs.
    pub(crate) async fn compile_chunk(
        &mut self,
        description: &TableDescription,
    ) -> Result<CapturedTable, ConnectorError> {
        let read = shape::read_by_snapshot(description, &self.settings);
        let table = self.join(&shape::relation_of(&read), &Version::of(&read));
        self.compile(table).await
    }

    /// Keeps what such a table is where its rows are sent, unless the stream has told of it already.
    pub(crate) fn keep_unless_known(
        &mut self,
        description: &TableDescription,
        transaction: &mut Transaction,
    ) -> Result<(), ConnectorError> {
        match self.history.get(description.oid) {
            Some(_) => Ok(()),
            None => self.history.keep(description.oid, Version::of(description), transaction),
        }
    }

    /// Says so if the stream lacks captured columns because they came after the publication's column list.
    pub(super) fn look_for_unpublished(&self, relation: &Relation, now: &TableDescription) {
        let lacking = pushdown::unpublished(relation, now, &self.settings);
        if !lacking.is_empty() {
            let (schema, table) = (&relation.namespace, &relation.name);
            warn!(connector.name = %self.settings.name, code = "PG073", schema, table, "[PG073] events of {schema}.{table} lack {} here, which came after the column list of the publication; a start of the connector brings the list up to date", lacking.join(", "));
        }
    }
}
