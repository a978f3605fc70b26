//! Values the stream does not carry, read again from the table.
//!
//! In: the new row of an insert or update. Out: the same row, with values stored out of line that did not change (and NULLs,
//! if wanted) as the table has them now.
//! "Now" is later than the change: the value may be one that a later change brings again. REPLICA IDENTITY FULL has no such
//! race; this exists for configurations that ask for it.
//! Never: in a snapshot, whose rows are whole.
//! Source: Debezium documentation, "Reselect columns post processor".

use envelope::Table;
use pgoutput::{ReplicaIdentity, TupleValue};
use postgres::{Connection, TableName, quote_identifier, quote_literal};
use tracing::warn;

use crate::append::Row;
use crate::error::ConnectorError;
use crate::settings::ReselectSettings;

/// What to read again of one table, for one post-processor.
#[derive(Debug)]
pub(crate) struct Reselect {
    table: TableName,
    /// Index and name.
    key: Vec<(usize, String)>,
    columns: Vec<(usize, String)>,
    unavailable: bool,
    nulls: bool,
    fails: bool,
}

/// Values read again, by the index of their column.
#[derive(Debug, Default)]
pub(crate) struct Reselected(Vec<(usize, Option<String>)>);

impl Reselect {
    /// `None` if no column is to be read again, or the table has no key to find a row by.
    pub(crate) fn new(table: &Table, settings: &ReselectSettings) -> Option<Self> {
        let named = |index: usize| (index, table.columns[index].name.clone());
        let identity =
            matches!(table.replica_identity, ReplicaIdentity::Default | ReplicaIdentity::Index);
        let key: Vec<usize> = if identity && !settings.by_event_key {
            (0..table.columns.len()).filter(|&index| table.columns[index].is_identity).collect()
        } else {
            table.key.clone()
        };
        let wanted = |&index: &usize| {
            let column = &table.columns[index];
            let name = format!("{}.{}:{}", table.schema, table.name, column.name);
            column.captured && !key.contains(&index) && settings.takes(&name)
        };
        let columns: Vec<_> = (0..table.columns.len()).filter(wanted).map(named).collect();
        (!key.is_empty() && !columns.is_empty()).then(|| Self {
            table: TableName::new(&table.schema, &table.name),
            key: key.into_iter().map(named).collect(),
            columns,
            unavailable: settings.unavailable,
            nulls: settings.nulls,
            fails: settings.fails,
        })
    }

    /// Reads again what `after` lacks and `before` does not have either.
    ///
    /// Errors: the query's, if such are to end the connector; otherwise they are logged.
    pub(crate) async fn read(
        &self,
        control: &Connection,
        before: &Row<'_>,
        after: &Row<'_>,
    ) -> Result<Reselected, ConnectorError> {
        let lacking = |&&(index, _): &&(usize, String)| match after[index] {
            TupleValue::UnchangedToast => {
                let known = before.get(index).is_some_and(|old| matches!(old, TupleValue::Text(_)));
                self.unavailable && !known
            }
            TupleValue::Null => self.nulls,
            TupleValue::Text(_) | TupleValue::Binary(_) => false,
        };
        let columns: Vec<&(usize, String)> = self.columns.iter().filter(lacking).collect();
        let Some(query) = self.query(&columns, after) else {
            return Ok(Reselected::default());
        };
        match control.text_row("read columns again", &query).await {
            Ok(Some(values)) => {
                let indexes = columns.into_iter().map(|&(index, _)| index);
                Ok(Reselected(indexes.zip(values).collect()))
            }
            Ok(None) => {
                warn!(
                    "a row of {} is gone already: its event goes out without the values the stream does not carry",
                    self.table
                );
                Ok(Reselected::default())
            }
            Err(error) if self.fails => Err(error.into()),
            Err(error) => {
                warn!(
                    "reading columns of {} again failed, the event goes out without: {error}",
                    self.table
                );
                Ok(Reselected::default())
            }
        }
    }

    /// `None` if there is nothing to read, or a key value that is not there.
    fn query(&self, columns: &[&(usize, String)], after: &Row<'_>) -> Option<String> {
        if columns.is_empty() {
            return None;
        }
        let names: Vec<String> = columns.iter().map(|(_, name)| quote_identifier(name)).collect();
        let mut conditions = Vec::new();
        for (index, name) in &self.key {
            let TupleValue::Text(text) = after[*index] else { return None };
            let value = quote_literal(std::str::from_utf8(text).ok()?);
            conditions.push(format!("{} = {value}", quote_identifier(name)));
        }
        Some(format!(
            "SELECT {} FROM {} WHERE {}",
            names.join(", "),
            self.table.quoted(),
            conditions.join(" AND ")
        ))
    }
}

impl Reselected {
    /// Puts the values into the row.
    pub(crate) fn fill<'a>(&'a self, row: &mut Row<'a>) {
        for (index, value) in &self.0 {
            row[*index] =
                value.as_ref().map_or(TupleValue::Null, |text| TupleValue::Text(text.as_bytes()));
        }
    }
}
