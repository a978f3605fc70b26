//! Signals: what an operator asks of a running connector, in a row of a table of the source, a record of a Kafka topic, or a
//! line of a file.
//!
//! In: inserts into the signal table, as the stream delivers them; what [`outside`] reads. Out: [`Signal`]s;
//! [`Action::parse`] says what each asks for.
//! A signal of the table is taken at the commit of its own transaction, so what it asks for has a place in the log; one from
//! outside between two transactions. The checkpoint that follows holds what it asks for.
//! Never: a signal that ends the connector; what cannot be understood is a warning with its id.
//! Source: Debezium documentation, "Sending signals to a Debezium connector".

mod action;
pub(crate) mod fuzzing;
mod heeded;
pub(crate) mod outside;
mod request;
mod send;
mod written;

pub(crate) use action::{Action, Execute};
pub use heeded::{Heeded, HeededFile, HeededTopic};
pub use request::{
    BlockingRequest, IncrementalProgress, IncrementalRequest, RequestedTable, Requests,
};
pub use send::{SentSignal, send_signal};
pub use written::{SnapshotWanted, WrittenSignal, table_typed};

use pgoutput::{Oid, Relation, TupleData, TupleValue};
use postgres::TableName;
use tracing::warn;

/// Signals of one transaction that are kept until its commit; further ones are refused with a warning.
const SIGNALS_PER_TRANSACTION_MAX: usize = 1000;

/// What asks for something. The columns of the signal table count by position, whatever their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signal {
    /// What the operator calls it.
    pub(crate) id: String,
    /// What it asks for.
    pub(crate) kind: String,
    /// Details, as JSON.
    pub(crate) data: String,
}

/// Finds signals among the changes of the stream.
#[derive(Debug)]
pub(crate) struct Signals {
    table: TableName,
    /// The signal table, once the stream has described it.
    oid: Option<Oid>,
    /// Those of the open transaction.
    waiting: Vec<Signal>,
}

impl Signals {
    /// Starts with none found.
    pub(crate) fn of(table: TableName) -> Self {
        Self { table, oid: None, waiting: Vec::new() }
    }

    /// The server described a relation: it may be the signal table, or be it no longer.
    pub(crate) fn describe(&mut self, relation: &Relation) {
        if relation.namespace == self.table.schema && relation.name == self.table.name {
            self.oid = Some(relation.oid);
        } else if self.oid == Some(relation.oid) {
            self.oid = None;
        }
    }

    /// A row was inserted somewhere.
    pub(crate) fn note(&mut self, relation: &Relation, after: TupleData<'_>) {
        if self.oid != Some(relation.oid) {
            return;
        }
        if self.waiting.len() >= SIGNALS_PER_TRANSACTION_MAX {
            warn!(
                "a transaction has more than {SIGNALS_PER_TRANSACTION_MAX} signals: the rest is not heeded"
            );
            return;
        }
        let mut values = after.iter().map(|value| match value {
            TupleValue::Text(text) => String::from_utf8_lossy(text).into_owned(),
            _ => String::new(),
        });
        let mut next = || values.next().unwrap_or_default();
        self.waiting.push(Signal { id: next(), kind: next(), data: next() });
    }

    /// Those of the transaction that has committed.
    pub(crate) fn take(&mut self) -> Vec<Signal> {
        std::mem::take(&mut self.waiting)
    }
}
