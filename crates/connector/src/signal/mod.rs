//! Signals: rows that an operator inserts into a table of the source to ask something of the connector.
//!
//! In: inserts into the signal table, as the stream delivers them. Out: [`Signal`]s, once their transaction has committed;
//! [`Action::parse`] says what each asks for.
//! A signal is taken at the commit of its own transaction, so what it asks for has a place in the log, and the checkpoint
//! that follows holds it.
//! Never: a signal that ends the connector; what cannot be understood is a warning with its id.
//! Source: Debezium documentation, "Sending signals to a Debezium connector", source channel.

mod action;
mod request;

pub(crate) use action::{Action, Execute};
pub use request::{
    BlockingRequest, IncrementalProgress, IncrementalRequest, RequestedTable, Requests,
};

use pgoutput::{Oid, Relation, TupleData, TupleValue};
use postgres::TableName;
use tracing::warn;

/// Signals of one transaction that are kept until its commit; further ones are refused with a warning.
const SIGNALS_PER_TRANSACTION_MAX: usize = 1000;

/// One row of the signal table. Its columns count by position, whatever their names.
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
