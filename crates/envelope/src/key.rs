//! The key of a table's records. In: the key columns of a row. Out: the record key, and the key as a header shows it.
//! Never: a key for a table without one; a masked value: what identifies a row must differ from row to row.
//!
//! Source: Debezium documentation, "Change event keys"; Kafka Connect, `SimpleHeaderConverter`.

use crate::EnvelopeError;
use crate::fragment::Fragment;
use crate::row::{Row, RowError, RowPlan};
use crate::table::{Column, Table};
use crate::types::Context;

/// How the key of one table version is written.
#[derive(Debug)]
pub(crate) struct KeyPlan {
    /// Up to the payload.
    head: Fragment,
    columns: RowPlan,
    /// After the payload.
    close: &'static [u8],
    header: RowPlan,
}

impl KeyPlan {
    /// `None` for a table without key.
    pub(crate) fn compile(
        table: &Table,
        schema_prefix: &str,
        context: &Context<'_>,
    ) -> Result<Option<Self>, EnvelopeError> {
        if let Some(&index) = table.key.iter().find(|&&index| index >= table.columns.len()) {
            return Err(EnvelopeError::KeyColumn {
                table: format!("{}.{}", table.schema, table.name),
                index,
                columns: table.columns.len(),
            });
        }
        if table.key.is_empty() {
            return Ok(None);
        }
        let in_keys = table.columns.iter().map(Column::in_key).collect();
        let table = Table { columns: in_keys, ..table.clone() };
        let (columns, schema) = RowPlan::compile(&table, &table.key, &context.capturing())?;
        let (head, close) =
            schema.called(format!("{schema_prefix}.Key"), None).framing(context.format);
        Ok(Some(Self { head: Fragment::new(head), header: columns.for_header(), columns, close }))
    }

    /// Appends the record key.
    pub(crate) fn write(&self, row: Row<'_>, out: &mut Vec<u8>) -> Result<(), RowError> {
        self.head.write(out);
        self.columns.write(row, out, &mut |_, _| {})?;
        out.extend_from_slice(self.close);
        Ok(())
    }

    /// Appends the key as the value of a header.
    pub(crate) fn write_header(&self, row: Row<'_>, out: &mut Vec<u8>) -> Result<(), RowError> {
        self.header.write(row, out, &mut |_, _| {})
    }

    /// False only if the keys of both rows are the same for sure.
    pub(crate) fn may_differ(&self, new: Row<'_>, old: Row<'_>) -> bool {
        self.columns.may_differ(new, old)
    }
}
