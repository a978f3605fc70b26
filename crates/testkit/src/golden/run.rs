//! Runs one group: its set-up, the connector, its cases one after the other.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::CaseReport;
use super::compare::{Difference, compare_records};
use super::set::{Action, Case, Group, RecordedRecord};
use crate::connector::{Connector, ConnectorProcess};
use crate::event::Event;
use crate::session::Session;
use crate::stack::{Database, MARKER_TABLE, Stack};
use crate::tail::{Tail, read_topic, topics_with_prefix};
use crate::wait::{Seen, eventually};
use crate::{Failure, Result};

/// Recordings were made in this database, and events carry its name.
const DATABASE: &str = "postgres";
const TOPIC_PREFIX: &str = "test_server";
const EXTENSIONS: [&str; 5] = ["hstore", "citext", "ltree", "isn", "cube"];
const ARRIVAL_MAX: Duration = Duration::from_secs(30);

/// Replays a group and reports on each of its cases.
pub(super) async fn replay_group(stack: &Stack, group: &Group) -> Result<Vec<CaseReport>> {
    let database = stack.existing_database(DATABASE);
    let session = database.session().await?;
    let mut broken = set_up(&session, group).await?;
    let mut replay = Replay::start(&database, group).await?;
    let mut failed = Vec::new();
    for case in group.cases.iter().filter(|case| !broken.contains_key(&case.id)) {
        if let Err(failure) = replay.run_case(case).await {
            failed.push((case.id.clone(), failure.to_string()));
            replay = Replay::start_afresh(replay).await?;
        }
    }
    broken.extend(failed);
    let exit_code = replay.process.terminate().await?;
    if exit_code != 0 {
        return Err(Failure::new(format!("SIGTERM ended the connector with {exit_code}")));
    }
    let found = read_group(&database, group).await?;
    replay.tear_down().await?;
    Ok(report(group, &found, &broken))
}

/// Creates the schema, the marker table and the tables of the selected cases. Out: the cases whose tables cannot be made,
/// such as those of an extension that is not installed, and why.
async fn set_up(session: &Session, group: &Group) -> Result<BTreeMap<String, String>> {
    session.run("set client_min_messages = error").await?;
    for extension in EXTENSIONS {
        let available = format!("select 1 from pg_available_extensions where name = '{extension}'");
        if session.text(&available).await?.is_some() {
            session
                .run(&format!("create extension if not exists {extension} schema public"))
                .await?;
        }
    }
    let schema = quoted(&group.schema);
    session
        .run(&format!(
            "create schema {schema}; create table {schema}.{MARKER_TABLE}(id int primary key, note text); {}",
            search_path(group)
        ))
        .await?;
    for sql in &group.pre {
        session.run(sql).await?;
    }
    let mut broken = BTreeMap::new();
    for case in &group.cases {
        for sql in &case.setup {
            if let Err(failure) = session.run(sql).await {
                broken.insert(case.id.clone(), failure.to_string());
                break;
            }
        }
    }
    Ok(broken)
}

/// A group while it runs.
struct Replay<'a> {
    group: &'a Group,
    connector: Connector,
    process: ConnectorProcess,
    session: Session,
    marker: Tail,
    marker_number: u32,
    restarts: u32,
}

impl<'a> Replay<'a> {
    async fn start(database: &Database, group: &'a Group) -> Result<Self> {
        let connector = connector(database, group, 0)?;
        let process = connector.start_streaming().await?;
        let session = database.with(&search_path(group)).await?;
        let topic = format!("{TOPIC_PREFIX}.{}.{MARKER_TABLE}", group.schema);
        let mut replay = Self {
            group,
            connector,
            process,
            session,
            marker: Tail::open(database.bootstrap(), &topic)?,
            marker_number: 0,
            restarts: 0,
        };
        replay.sync().await?;
        Ok(replay)
    }

    /// After a case that ended the connector: a new one, with a new slot, for the cases that follow.
    async fn start_afresh(mut self) -> Result<Self> {
        self.process.kill().await?;
        self.connector.wait_until_slot_free(&self.session).await?;
        drop_slot(&self.session, &self.group.slot).await?;
        self.restarts += 1;
        self.connector = connector(self.connector.database(), self.group, self.restarts)?
            .set("snapshot.mode", "no_data");
        self.process = self.connector.start_streaming().await?;
        self.sync().await?;
        Ok(self)
    }

    async fn run_case(&mut self, case: &Case) -> Result<()> {
        let mut sessions: BTreeMap<String, Session> = BTreeMap::new();
        for action in case.actions()? {
            match action {
                Action::Sync => self.sync().await?,
                Action::Stop => drop(self.process.terminate().await?),
                Action::Start => self.process = self.connector.start_streaming().await?,
                Action::Sql { sql, session, error } => {
                    let name = session.unwrap_or_default();
                    if !sessions.contains_key(&name) {
                        let opened =
                            self.connector.database().with(&search_path(self.group)).await?;
                        sessions.insert(name.clone(), opened);
                    }
                    if let Some(session) = sessions.get(&name) {
                        execute(session, &sql, error.as_deref()).await?;
                    }
                    if self.group.sync_each {
                        self.sync().await?;
                    }
                }
            }
        }
        self.sync().await
    }

    /// Writes a marker row and waits for its event, or fails with the log when the connector ends.
    async fn sync(&mut self) -> Result<()> {
        self.marker_number += 1;
        let number = self.marker_number;
        let table = format!("{}.{MARKER_TABLE}", quoted(&self.group.schema));
        let insert = format!("insert into {table} values ({number}, 'marker {number}')");
        self.session.run(&insert).await?;
        let (process, marker) = (&mut self.process, &mut self.marker);
        eventually("the marker row's event", ARRIVAL_MAX, async || {
            let slice = std::time::Instant::now() + Duration::from_millis(200);
            while let Some(event) = marker.next(slice).await? {
                if event.payload()["after"]["id"] == number {
                    return Ok(Seen::Yes(()));
                }
            }
            process.expect_running()?;
            Ok(Seen::NotYet(process.log_end()))
        })
        .await
    }

    async fn tear_down(self) -> Result<()> {
        let session = &self.session;
        self.connector.wait_until_slot_free(session).await?;
        drop_slot(session, &self.group.slot).await?;
        let schemas = std::iter::once(&self.group.schema).chain(&self.group.schemas);
        for schema in schemas {
            let schema = quoted(schema);
            session
                .run(&format!(
                    "set client_min_messages = error; drop schema if exists {schema} cascade"
                ))
                .await?;
        }
        let publication = quoted(&self.group.publication);
        session.run(&format!("drop publication if exists {publication}")).await?;
        for sql in &self.group.teardown {
            session.run(sql).await?;
        }
        Ok(())
    }
}

async fn execute(session: &Session, sql: &str, error: Option<&str>) -> Result<()> {
    let failure = match (session.batch_execute(sql).await, error) {
        (Ok(()), None) => return Ok(()),
        (Ok(()), Some(code)) => Failure::new(format!("succeeded; SQLSTATE {code} was expected")),
        (Err(error), Some(code)) if error.code().is_some_and(|found| found.code() == code) => {
            return Ok(());
        }
        (Err(error), _) => Failure::from(error),
    };
    Err(failure.during(sql))
}

/// The group's connector; `restarts` makes its name new, so that it finds no checkpoint of the one before.
fn connector(database: &Database, group: &Group, restarts: u32) -> Result<Connector> {
    let mut settings = Map::new();
    for (key, value) in &group.config {
        let mut text = value.as_str().unwrap_or_default().to_owned();
        let port = database.port().to_string();
        let filled = [
            ("${PG_HOST}", "127.0.0.1"),
            ("${PG_PORT}", &port),
            ("${PG_USER}", "postgres"),
            ("${PG_PASSWORD}", "x"),
            ("${PG_DB}", DATABASE),
        ];
        for (placeholder, value) in filled {
            text = text.replace(placeholder, value);
        }
        settings.insert(key.clone(), Value::String(text));
    }
    let name = format!("gold-{}-{restarts}", group.name);
    Ok(Connector::new(database.clone())?.named(&name).with_settings(settings))
}

async fn drop_slot(session: &Session, slot: &str) -> Result<()> {
    let drop = format!(
        "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = '{slot}'"
    );
    session.text(&drop).await.map(std::mem::drop)
}

/// All records of the group's topics and of the topics its cases name, but for the marker's.
async fn read_group(database: &Database, group: &Group) -> Result<Vec<Event>> {
    let bootstrap = database.bootstrap();
    let mut topics = topics_with_prefix(bootstrap, &format!("{TOPIC_PREFIX}.{}.", group.schema))?;
    let named = group.cases.iter().flat_map(|case| &case.records);
    topics.extend(named.map(|record| record.topic.clone()));
    topics.sort();
    topics.dedup();
    let mut events = Vec::new();
    for topic in topics.iter().filter(|topic| !topic.ends_with(MARKER_TABLE)) {
        events.extend(read_topic(bootstrap, topic).await?);
    }
    Ok(events)
}

/// Attributes the records to the cases and compares them.
fn report(group: &Group, found: &[Event], broken: &BTreeMap<String, String>) -> Vec<CaseReport> {
    let mut shares = shares(group, found);
    let reports = group.cases.iter().map(|case| {
        let share = shares.remove(case.id.as_str()).unwrap_or_default();
        let differences = match broken.get(&case.id) {
            Some(text) => vec![Difference::new("outcome", "the connector runs", text)],
            None => compare_records(&case.records, &share),
        };
        CaseReport {
            name: format!("{}/{}", group.name, case.id),
            title: case.title.clone(),
            debezium_bug: case.debezium_bug.clone(),
            differences,
        }
    });
    let mut reports: Vec<CaseReport> = reports.collect();
    let strangers = compare_records(&[], &shares.remove("").unwrap_or_default());
    if !strangers.is_empty() {
        reports.push(CaseReport {
            name: format!("{}/*", group.name),
            title: "records that belong to no case".to_owned(),
            debezium_bug: None,
            differences: strangers,
        });
    }
    reports
}

/// Records by case. A topic belongs to the cases that name it; where several do, their records follow each other in the
/// order of the cases, and the last one gets what is left. Topics of a case's tables that it does not name belong to it
/// too; what belongs to no case is under the empty name.
fn shares<'a>(group: &'a Group, found: &[Event]) -> BTreeMap<&'a str, Vec<Event>> {
    let mut by_topic: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for event in found {
        by_topic.entry(&event.topic).or_default().push(event);
    }
    let mut shares: BTreeMap<&str, Vec<Event>> = BTreeMap::new();
    for (topic, events) in by_topic {
        let count = |case: &Case| {
            let named =
                case.records.iter().filter(|record: &&RecordedRecord| record.topic == topic);
            named.count()
        };
        let owners: Vec<&Case> = group.cases.iter().filter(|case| count(case) > 0).collect();
        let mut rest = events.into_iter().cloned();
        if let Some((last, others)) = owners.split_last() {
            for case in others {
                let share = rest.by_ref().take(count(case));
                shares.entry(&case.id).or_default().extend(share);
            }
            shares.entry(&last.id).or_default().extend(rest);
        } else {
            let table = topic.rsplit('.').next().unwrap_or(topic);
            let owner = group.cases.iter().find(|case| {
                table == case.id
                    || table.strip_prefix(&case.id).is_some_and(|rest| rest.starts_with('_'))
            });
            let name = owner.map_or("", |case| case.id.as_str());
            shares.entry(name).or_default().extend(rest);
        }
    }
    shares
}

fn search_path(group: &Group) -> String {
    format!("set timezone = 'UTC'; set search_path to {}, public", quoted(&group.schema))
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
