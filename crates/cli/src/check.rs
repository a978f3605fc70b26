//! `tributary check`: looks at both sides and reports every problem at once, each with the statement that mends it.
//!
//! Nothing is changed on either side and nobody is fenced. What cannot be looked at is a finding too.

mod columns;

use std::collections::BTreeSet;
use std::error::Error;
use std::process::ExitCode;

use connector::settings::{Autocreate, Settings};
use connector::{Powers, Pushdown};
use kafka::{Client, NewTopic};
use postgres::TableName;
use postgres::catalog::TableSummary;
use serde::Serialize;

use crate::args::ConnectorArguments;
use crate::error::CliError;
use crate::output::{Colour, Output};
use crate::specify;

/// How bad a finding is; the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    Error,
    Warning,
    Info,
}

/// One finding of either side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    pub(crate) code: String,
    pub(crate) subject: String,
    pub(crate) message: String,
    pub(crate) fix: Option<String>,
}

/// What was looked at, for the last line.
#[derive(Debug, Default, Serialize)]
struct Report {
    connector: String,
    source: String,
    store: String,
    tables: Vec<Captured>,
    findings: Vec<Finding>,
}

/// A captured table and where its changes go.
#[derive(Debug, Serialize)]
struct Captured {
    table: String,
    topic: String,
}

pub(crate) async fn run(
    arguments: &ConnectorArguments,
    output: Output,
) -> Result<ExitCode, CliError> {
    let settings = match specify::settings(arguments, output) {
        Ok(settings) => settings,
        Err(CliError::Settings(invalid)) => {
            let findings = invalid.problems.iter().map(|problem| Finding {
                severity: Severity::Error,
                code: problem.code.to_owned(),
                subject: problem.key.clone(),
                message: problem.why.clone(),
                fix: Some(problem.fix.clone()),
            });
            return Ok(show(&Report { findings: findings.collect(), ..Report::default() }, output));
        }
        Err(error) => return Err(error),
    };
    let mut report = Report {
        connector: settings.name.to_string(),
        source: format!("{}/{}", settings.source.address(), settings.source.dbname()),
        store: settings.store.bootstrap.join(","),
        ..Report::default()
    };
    report.findings.extend(notes(&settings));
    let (source, client) = tokio::join!(source(&settings), Client::connect(settings.store.clone()));
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
        Ok(client) => report.findings.extend(store(&settings, &client, &report.tables).await),
        Err(error) => report.findings.push(failure(&report.store, &error)),
    }
    report.findings.sort_by_key(|finding| finding.severity);
    Ok(show(&report, output))
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
    let summaries = connector::select(summaries, settings);
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
        publication_tables: connector::published(settings, &summaries, &all, powers, &pushdown),
        publish: connector::operations(settings),
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
    findings.extend(connector::shared_topics(settings, &summaries).iter().map(|shared| {
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
        let exceeded = connector::ConnectorError::TooManyTables { found: tables.len(), tables_max };
        let severity = if guardrail.fails { Severity::Error } else { Severity::Warning };
        findings.push(Finding { severity, ..failure(settings.source.dbname(), &exceeded) });
    }
    match connector::identity_statements(connection, settings, tables).await {
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
    let offsets = NewTopic {
        name: settings.offsets_topic.clone(),
        partitions: settings.offsets_topic_partitions,
        replication_factor: settings.topic_creation.default_replication_factor(),
        configs: [("cleanup.policy".to_owned(), "compact".to_owned())].into(),
    };
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

/// Prints the report; 1 when something does not work.
fn show(report: &Report, output: Output) -> ExitCode {
    let failed = report.findings.iter().any(|finding| finding.severity == Severity::Error);
    if output.is_json() {
        output.json(report);
    } else {
        for line in lines(report, output) {
            output.line(&line);
        }
    }
    if failed { ExitCode::from(1) } else { ExitCode::SUCCESS }
}

fn lines(report: &Report, output: Output) -> Vec<String> {
    let mut lines = Vec::new();
    if !report.connector.is_empty() {
        lines.push(format!("=== {}", report.connector));
        lines.push(format!("Source:  {}", report.source));
        lines.push(format!("Store:   {}", report.store));
    }
    let width = report.tables.iter().map(|table| table.table.len()).max().unwrap_or_default();
    for (index, table) in report.tables.iter().enumerate() {
        let label = if index == 0 { "Tables:  " } else { "         " };
        lines.push(format!("{label}{:width$}  →  {}", table.table, table.topic));
    }
    if !lines.is_empty() {
        lines.push(String::new());
    }
    for finding in &report.findings {
        let (colour, word) = match finding.severity {
            Severity::Error => (Colour::Red, "error"),
            Severity::Warning => (Colour::Yellow, "warning"),
            Severity::Info => (Colour::Grey, "info"),
        };
        let word = output.paint(colour, &format!("{word:<8}"));
        let code =
            if finding.code.is_empty() { String::new() } else { format!("[{}] ", finding.code) };
        let subject = if finding.subject.is_empty() {
            String::new()
        } else {
            format!("{}: ", finding.subject)
        };
        lines.push(format!("{word}{code}{subject}{}", finding.message));
        if let Some(fix) = &finding.fix {
            lines.extend(fix.lines().enumerate().map(|(index, line)| {
                if index == 0 {
                    format!("        fix: {line}")
                } else {
                    format!("             {line}")
                }
            }));
        }
    }
    let count =
        |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    lines.push(match (count(Severity::Error), count(Severity::Warning)) {
        (0, 0) => output.paint(Colour::Green, "ready"),
        (0, warnings) => {
            output.paint(Colour::Yellow, &format!("ready, with {warnings} warning(s)"))
        }
        (errors, warnings) => output
            .paint(Colour::Red, &format!("not ready: {errors} error(s), {warnings} warning(s)")),
    });
    lines
}
