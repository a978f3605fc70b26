//! Rows of a snapshot, from their values to records in the open Kafka transaction.

use envelope::{SourcePosition, VanishedRow};
use kafka::Transaction;
use pgoutput::TupleValue;
use postgres::catalog::TableDescription;
use smallvec::SmallVec;

use super::Gatherer;
use crate::append::{Appender, Row, RowChange, append_row};
use crate::error::ConnectorError;
use crate::reselect::Reselected;
use crate::settings::DeliveryGuarantee;
use crate::tables::CapturedTable;

impl Gatherer {
    /// One row of a snapshot.
    pub(crate) fn read(
        &mut self,
        table: &CapturedTable,
        at: &SourcePosition<'_>,
        values: &[TupleValue<'_>],
    ) -> Result<(), ConnectorError> {
        let Self { transaction, scratch, limits, .. } = self;
        append_row(table, at, &RowChange::Read(values), Some(transaction), limits, scratch)
    }

    /// Until the stream stands still, changed rows go out whole: values stored out of line that did not change are read from the
    /// table. Part of a snapshot is in Kafka, and a row may have moved there from a part that was not read yet: then no record has
    /// those values.
    pub(crate) fn fill_in_what_the_stream_lacks(&mut self) {
        self.fills_in = true;
    }

    /// Whether new rows of a table may have to be read again.
    #[inline]
    pub(super) fn reads_again(&self, table: &CapturedTable) -> bool {
        self.fills_in || !table.reselects.is_empty()
    }

    /// Reads again what of a new row is wanted and not in the stream.
    pub(super) async fn read_again(
        &self,
        table: &CapturedTable,
        old: &Row<'_>,
        new: &Row<'_>,
        again: &mut SmallVec<[Reselected; 1]>,
    ) -> Result<(), ConnectorError> {
        let lacking = self.fills_in.then_some(table.lacking.as_ref()).flatten();
        for reselect in lacking.into_iter().chain(&table.reselects) {
            if reselect.lacks(old, new) {
                self.tables.until_visible(self.point).await?;
                again.push(reselect.read(self.tables.control(), old, new).await?);
            }
        }
        Ok(())
    }

    /// Where a snapshot keeps what is done of it: in the Kafka transaction of its rows, and without one not before them.
    pub(crate) fn kept_with_rows(&mut self) -> &mut Transaction {
        match self.settings.delivery {
            DeliveryGuarantee::ExactlyOnce => &mut self.transaction,
            DeliveryGuarantee::AtLeastOnce => &mut self.with_checkpoint,
        }
    }

    /// The delete of a row of which only its last record is left.
    pub(crate) fn vanished(
        &mut self,
        table: &CapturedTable,
        at: &SourcePosition<'_>,
        row: &VanishedRow<'_>,
    ) -> Result<(), ConnectorError> {
        let Self { transaction, scratch, limits, .. } = self;
        // What an application said of the transaction that was read last is not said of this.
        scratch.set_context(Vec::new());
        let mut appender = Appender::new(Some(transaction), &table.topic, at, limits);
        table.plan.vanished(at, row, &mut |record| appender.append(&record), scratch);
        appender.finish()
    }

    /// Plan and topic of a table as a snapshot reads it: with the columns of the plan's table.
    pub(crate) async fn compile_for_snapshot(
        &mut self,
        description: &TableDescription,
    ) -> Result<CapturedTable, ConnectorError> {
        self.tables.compile_for_snapshot(description, &mut self.transaction).await
    }
}
