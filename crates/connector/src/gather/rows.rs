//! Rows of a snapshot, from their values to records in the open Kafka transaction.

use envelope::{Scratch, SourcePosition};
use kafka::Transaction;
use pgoutput::TupleValue;
use postgres::catalog::TableDescription;

use super::Gatherer;
use crate::append::Appender;
use crate::error::ConnectorError;
use crate::tables::CapturedTable;

impl Gatherer {
    /// One row of a snapshot.
    pub(crate) fn read(
        &mut self,
        table: &CapturedTable,
        at: &SourcePosition<'_>,
        values: &[TupleValue<'_>],
    ) -> Result<(), ConnectorError> {
        let Self { transaction, scratch, record_bytes_max, .. } = self;
        read_row(table, at, values, transaction, scratch, *record_bytes_max)
    }

    /// Plan and topic of a table as a snapshot reads it: with the columns of the plan's table.
    pub(crate) async fn compile_for_snapshot(
        &mut self,
        description: &TableDescription,
    ) -> Result<CapturedTable, ConnectorError> {
        self.tables.compile_for_snapshot(description, &mut self.transaction).await
    }
}

/// Encodes one row as it was read.
pub(super) fn read_row(
    table: &CapturedTable,
    at: &SourcePosition<'_>,
    values: &[TupleValue<'_>],
    transaction: &mut Transaction,
    scratch: &mut Scratch,
    record_bytes_max: usize,
) -> Result<(), ConnectorError> {
    let mut appender = Appender::new(Some(transaction), &table.topic, at, record_bytes_max);
    table.plan.read(at, values, &mut |record| appender.append(&record), scratch)?;
    appender.finish()
}
