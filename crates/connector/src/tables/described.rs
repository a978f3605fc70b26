//! Tables as the catalog alone describes them: what snapshots read, and what the stream lacks of a table.

use kafka::Transaction;
use pgoutput::Relation;
use postgres::catalog::TableDescription;
use tracing::warn;

use super::{CapturedTable, Tables};
use crate::error::ConnectorError;
use crate::history::Version;
use crate::{pushdown, shape};

impl Tables {
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
