//! Everything that would stop a connector, found before it starts, each with the statement that mends it.
//!
//! In: what the connector is going to need. Out: all findings at once, worst first. Nothing is changed on the server; one
//! replication connection is opened and closed. Never here: Kafka, the connector's configuration.

mod publication;
mod server;
mod tables;

use std::collections::HashMap;

use crate::catalog::{ServerInfo, TableSummary, list_tables, server as ask_server};
use crate::publication::{PublicationTables, PublishOperations};
use crate::{Connection, PostgresError, SlotName, TableName};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Info,
    /// It works, but it will bite.
    Warning,
    /// It does not work.
    Error,
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The stable code, the name of its page in `docs/errors`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: a setting, a table, a role.
    pub subject: String,
    /// What is the matter, and why it matters.
    pub message: String,
    /// The exact statement, or line of a file, that mends it.
    pub fix: Option<String>,
}

/// Who makes the publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicationOwner {
    /// We do, holding exactly the captured tables.
    Filtered,
    /// We do, `FOR ALL TABLES`.
    AllTables,
    /// Somebody did before us; it is used as it is.
    Existing,
}

/// What the connector is going to need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectations {
    /// Its slot.
    pub slot: SlotName,
    /// Its publication.
    pub publication: String,
    /// Who makes it.
    pub publication_owner: PublicationOwner,
    /// The tables it captures, as the topics will name them.
    pub tables: Vec<TableName>,
    /// What its publication shall hold, where the connector makes it.
    pub publication_tables: PublicationTables,
    /// What it wants of them.
    pub publish: PublishOperations,
    /// Whether partitions appear as their root.
    pub via_root: bool,
    /// Whether it will read the tables' present rows.
    pub snapshot: bool,
    /// Whether it reads in batches when it is far behind.
    pub batches: bool,
    /// The columns it reads of them; of a table that is not here, all.
    pub snapshot_columns: HashMap<TableName, Vec<String>>,
}

/// Checks everything and reports everything, worst first.
///
/// Errors only when the check itself cannot go on, such as a lost connection.
pub async fn check(
    connection: &Connection,
    expectations: &Expectations,
) -> Result<Vec<Finding>, PostgresError> {
    let known = list_tables(connection).await?;
    let mut check = Check {
        connection,
        expectations,
        server: ask_server(connection).await?,
        known: known.into_iter().map(|table| (table.table_name(), table)).collect(),
        slots_needed: 0,
        findings: Vec::new(),
    };
    check.server_settings();
    check.slot().await?;
    check.room_for_batches();
    check.replication_connection().await;
    check.tables().await?;
    check.publication().await?;
    let mut findings = check.findings;
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Ok(findings)
}

/// A check under way.
struct Check<'a> {
    connection: &'a Connection,
    expectations: &'a Expectations,
    server: ServerInfo,
    known: HashMap<TableName, TableSummary>,
    /// Slots that a start will make.
    slots_needed: u32,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn find(
        &mut self,
        code: &'static str,
        severity: Severity,
        subject: impl Into<String>,
        message: impl Into<String>,
        fix: Option<String>,
    ) {
        let (subject, message) = (subject.into(), message.into());
        self.findings.push(Finding { code, severity, subject, message, fix });
    }
}
