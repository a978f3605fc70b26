//! Values the stream does not carry, read again from the table.
//!
//! In: the new row of an insert or update. Out: the same row, with values stored out of line that did not change (and NULLs,
//! if wanted) as the table has them now.
//! "Now" is after the change, once its transaction can be seen: the value may be one that a later change brings again. REPLICA
//! IDENTITY FULL has no such race; this exists for configurations that ask for it.
//! Never: in a snapshot, whose rows are whole.
//! Source: Debezium documentation, "Reselect columns post processor".

use envelope::Table;
use pgoutput::{ReplicaIdentity, TupleValue};
use postgres::{Class, Connection, TableName, quote_identifier, quote_literal};
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
    failure: OnFailure,
}

/// What a query that fails, or finds no row, means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnFailure {
    /// The connector ends.
    End,
    /// A warning; the event goes out without.
    Warn,
    /// The row or the column is gone by now, and the stream will tell; only what may pass ends the connector.
    Gone,
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
            failure: if settings.fails { OnFailure::End } else { OnFailure::Warn },
        })
    }

    /// Every captured value that the stream leaves out because it is stored out of line and did not change; by what tells the row in
    /// the stream. `None` if the stream tells rows by all their values: then it leaves nothing out.
    pub(crate) fn lacking(table: &Table) -> Option<Self> {
        let named = |index: usize| (index, table.columns[index].name.clone());
        let identity =
            matches!(table.replica_identity, ReplicaIdentity::Default | ReplicaIdentity::Index);
        let column = |index: &usize| &table.columns[*index];
        let all = 0..table.columns.len();
        let key: Vec<_> =
            all.clone().filter(|index| column(index).is_identity).map(named).collect();
        let wanted = |index: &usize| column(index).captured && !column(index).is_identity;
        let columns: Vec<_> = all.filter(wanted).map(named).collect();
        (identity && !key.is_empty() && !columns.is_empty()).then(|| Self {
            table: TableName::new(&table.schema, &table.name),
            key,
            columns,
            unavailable: true,
            nulls: false,
            failure: OnFailure::Gone,
        })
    }

    /// Whether a row has to be read again.
    pub(crate) fn lacks(&self, before: &Row<'_>, after: &Row<'_>) -> bool {
        self.columns.iter().any(|&(index, _)| self.lacks_value(index, before, after))
    }

    fn lacks_value(&self, index: usize, before: &Row<'_>, after: &Row<'_>) -> bool {
        match after[index] {
            TupleValue::UnchangedToast => {
                let known = before.get(index).is_some_and(|old| matches!(old, TupleValue::Text(_)));
                self.unavailable && !known
            }
            TupleValue::Null => self.nulls,
            TupleValue::Text(_) | TupleValue::Binary(_) => false,
        }
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
        let columns: Vec<&(usize, String)> = self
            .columns
            .iter()
            .filter(|&&(index, _)| self.lacks_value(index, before, after))
            .collect();
        let Some(query) = self.query(&columns, after) else {
            return Ok(Reselected::default());
        };
        match control.text_row("read columns again", &query).await {
            Ok(Some(values)) => {
                let indexes = columns.into_iter().map(|&(index, _)| index);
                Ok(Reselected(indexes.zip(values).collect()))
            }
            Ok(None) if self.failure == OnFailure::Gone => Ok(Reselected::default()),
            Ok(None) => {
                warn!(
                    "a row of {} is gone already: its event goes out without the values the stream does not carry",
                    self.table
                );
                Ok(Reselected::default())
            }
            Err(error) if self.failure == OnFailure::End => Err(error.into()),
            Err(error) if self.failure == OnFailure::Gone && error.class() != Class::Definite => {
                Err(error.into())
            }
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
