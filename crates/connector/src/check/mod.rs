//! Looks at both sides of a connector before it starts, or while it runs: every problem at once, each with what mends it.
//!
//! In: its settings. Out: a [`Report`]. Nothing is changed on either side and nobody is fenced. What cannot be looked at is a finding too.

mod columns;

use std::collections::BTreeSet;
use std::error::Error;

use kafka::Client;
use postgres::TableName;
use postgres::catalog::TableSummary;
use serde::{Deserialize, Serialize};

use crate::captured::{self, Powers};
use crate::checkpoint::offsets_topic;
use crate::error::ConnectorError;
use crate::provision;
use crate::pushdown::Pushdown;
use crate::settings::{Autocreate, InvalidSettings, Settings};

/// How bad a finding is; the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It does not work so.
    Error,
    /// It works, and may not do what is wanted.
    Warning,
    /// Good to know.
    Info,
}

/// One finding of either side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Code, as `tributary explain` knows it; may be empty.
    pub code: String,
    /// What it is about: a table, a topic, a key; may be empty.
    pub subject: String,
    /// What it is.
    pub message: String,
    /// What mends it; a statement, where there is one.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub fix: Option<String>,
}

/// A captured table and where its changes go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Captured {
    /// `schema.table`.
    pub table: String,
    /// Its topic.
    pub topic: String,
}

/// What was looked at, and what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Findings))]
pub struct Report {
    /// Name of the connector; empty if its configuration cannot be used.
    pub connector: String,
    /// `host:port/database`.
    pub source: String,
    /// Addresses of Kafka.
    pub store: String,
    /// The captured tables.
    pub tables: Vec<Captured>,
    /// The worst first.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Of a configuration that cannot be used: its problems, and nothing that was looked at.
    pub fn of_invalid(invalid: &InvalidSettings) -> Self {
        let findings = invalid.problems.iter().map(|problem| Finding {
            severity: Severity::Error,
            code: problem.code.to_owned(),
            subject: problem.key.clone(),
            message: problem.why.clone(),
            fix: Some(problem.fix.clone()),
        });
        Self { findings: findings.collect(), ..Self::default() }
    }

    /// Nothing keeps the connector from its work.
    pub fn is_ready(&self) -> bool {
        !self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// Looks at both sides.
pub async fn check(settings: &Settings) -> Report {
    let mut report = Report {
        connector: settings.name.to_string(),
        source: format!("{}/{}", settings.source.address(), settings.source.dbname()),
        store: settings.store.bootstrap.join(","),
        ..Report::default()
    };
    report.findings.extend(notes(settings));
    let (source, client) = tokio::join!(source(settings), Client::connect(settings.store.clone()));
    let tables = match source {
        Ok((tables, findings)) => {
            report.findings.extend(findings);
            tables
        }
        Err(error) => {
            report.findings.push(failure(&settings.source.address(), &error));
            Vec::new()
        }
    };
    report.tables = tables
        .iter()
        .map(|table| Captured {
            table: table.to_string(),
            topic: settings.topic_of(&table.schema, &table.name),
        })
        .collect();
    match client {
        Ok(client) => report.findings.extend(store(settings, &client, &report.tables).await),
        Err(error) => report.findings.push(failure(&report.store, &error)),
    }
    report.findings.sort_by_key(|finding| finding.severity);
    report
}

/// Keys that need nothing: good to know, once.
fn notes(settings: &Settings) -> impl Iterator<Item = Finding> + '_ {
    settings.notes.iter().map(|note| Finding {
        severity: Severity::Info,
        code: String::new(),
        subject: note.key.clone(),
        message: format!("needs nothing here: {}", note.reason),
        fix: None,
    })
}

/// An error as a finding; its text has code and fix in their places.
fn failure(subject: &str, error: &dyn Error) -> Finding {
    let mut found = finding(Severity::Error, subject, error.to_string());
    let mut cause = error.source();
    while let Some(inner) = cause {
        found.message.push_str(": ");
        found.message.push_str(&inner.to_string());
        cause = inner.source();
    }
    found
}

/// A text with code and fix in it, taken apart.
fn finding(severity: Severity, subject: &str, text: String) -> Finding {
    let (code, rest) = match text.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((code, rest)) => (code.to_owned(), rest.to_owned()),
        None => (String::new(), text),
    };
    let (message, fix) = match rest.split_once("\n  fix: ") {
        Some((message, fix)) => (message.to_owned(), Some(fix.to_owned())),
        None => (rest, None),
    };
    Finding { severity, code, subject: subject.to_owned(), message, fix }
}

async fn source(
    settings: &Settings,
) -> Result<(Vec<TableName>, Vec<Finding>), postgres::PostgresError> {
    use postgres::preflight::{self, Expectations, PublicationOwner};
    let connection = postgres::connect(&settings.source).await?;
    let summaries = postgres::catalog::list_tables(&connection).await?;
    let all = summaries.clone();
    let summaries = captured::select(summaries, settings);
    let server = postgres::catalog::server(&connection).await?;
    let powers = Powers { version_num: server.version_num, superuser: server.user_is_superuser };
    let tables: Vec<TableName> = summaries.iter().map(TableSummary::table_name).collect();
    let (pushdown, parts) = pushdown(&connection, settings, &summaries).await;
    let expectations = Expectations {
        slot: settings.slot.name.clone(),
        publication: settings.publication.name.clone(),
        publication_owner: match settings.publication.mode {
            Autocreate::Filtered => PublicationOwner::Filtered,
            Autocreate::AllTables => PublicationOwner::AllTables,
            Autocreate::Disabled | Autocreate::NoTables => PublicationOwner::Existing,
        },
        tables: tables.clone(),
        publication_tables: captured::published(settings, &summaries, &all, powers, &pushdown),
        publish: captured::operations(settings),
        via_root: settings.publication.via_partition_root,
        snapshot: settings.snapshot.mode.reads_tables(),
        batches: settings.read.has_batches(),
        snapshot_columns: columns::read_by_snapshot(&connection, &summaries, settings).await?,
    };
    let findings = preflight::check(&connection, &expectations).await?;
    let mut findings: Vec<Finding> = findings
        .into_iter()
        .map(|finding| Finding {
            severity: match finding.severity {
                preflight::Severity::Error => Severity::Error,
                preflight::Severity::Warning => Severity::Warning,
                preflight::Severity::Info => Severity::Info,
            },
            code: finding.code.to_owned(),
            subject: finding.subject,
            message: finding.message,
            fix: finding.fix,
        })
        .collect();
    findings.extend(parts);
    findings.extend(columns::check(&connection, &summaries, settings).await?);
    findings.extend(arrangements(&connection, &summaries, settings).await);
    findings.extend(captured::shared_topics(settings, &summaries).iter().map(|shared| {
        finding(Severity::Warning, &format!("topic {}", shared.topic), shared.to_string())
    }));
    if tables.is_empty() {
        findings.push(Finding {
            severity: Severity::Error,
            code: "CL011".to_owned(),
            subject: settings.source.dbname().to_owned(),
            message: format!("no table of the database matches {}", settings.tables),
            fix: Some(
                "compare the lists with: SELECT schemaname || '.' || tablename FROM pg_tables"
                    .to_owned(),
            ),
        });
    }
    Ok((tables, findings))
}

/// What the publication would leave out, and what is to be said of it.
async fn pushdown(
    connection: &postgres::Connection,
    settings: &Settings,
    tables: &[TableSummary],
) -> (Pushdown, Vec<Finding>) {
    match Pushdown::plan(connection, settings, tables).await {
        Ok(pushdown) => {
            let findings = pushdown.remarks.iter().map(|remark| {
                finding(Severity::Warning, &remark.table.to_string(), remark.to_string())
            });
            let findings = findings.collect();
            (pushdown, findings)
        }
        Err(error) => (Pushdown::default(), vec![failure(settings.source.dbname(), &error)]),
    }
}

/// What a start would change or refuse because of settings about the tables as a whole.
async fn arrangements(
    connection: &postgres::Connection,
    tables: &[TableSummary],
    settings: &Settings,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(guardrail) = settings.guardrail
        && tables.len() > guardrail.tables_max
    {
        let tables_max = guardrail.tables_max;
        let exceeded = ConnectorError::TooManyTables { found: tables.len(), tables_max };
        let severity = if guardrail.fails { Severity::Error } else { Severity::Warning };
        findings.push(Finding { severity, ..failure(settings.source.dbname(), &exceeded) });
    }
    match provision::identity_statements(connection, settings, tables).await {
        Ok(statements) if statements.is_empty() => {}
        Ok(statements) => findings.push(Finding {
            severity: Severity::Info,
            code: "PG060".to_owned(),
            subject: "replica.identity.autoset.values".to_owned(),
            message: "a start runs the statements below".to_owned(),
            fix: Some(statements.join("\n")),
        }),
        Err(error) => findings.push(failure(settings.source.dbname(), &error)),
    }
    findings
}

async fn store(settings: &Settings, client: &Client, tables: &[Captured]) -> Vec<Finding> {
    use kafka::preflight::{self, Expectations, TopicExpectation};
    let names: BTreeSet<&String> = tables.iter().map(|table| &table.topic).collect();
    let topics = names.into_iter().map(|name| TopicExpectation {
        name: name.clone(),
        create: Some(settings.topic_creation.for_topic(name)),
    });
    let offsets = offsets_topic(settings);
    let expectations = Expectations {
        transactional_id: settings.producer.transactional_id.clone(),
        may_fence: false,
        transaction_timeout: settings.producer.transaction_timeout,
        batch_bytes_max: settings.producer.batch_bytes_max,
        topics: topics.collect(),
        offsets_topic: Some(TopicExpectation { name: offsets.name.clone(), create: Some(offsets) }),
    };
    let findings = preflight::check(client, &expectations).await;
    let findings = findings.into_iter().map(|finding| Finding {
        severity: match finding.severity {
            preflight::Severity::Error => Severity::Error,
            preflight::Severity::Warning => Severity::Warning,
            preflight::Severity::Info => Severity::Info,
        },
        code: finding.code.to_owned(),
        subject: finding.subject,
        message: finding.message,
        fix: finding.fix,
    });
    findings.collect()
}
