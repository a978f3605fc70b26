//! Runs one group: its set-up, the connector, its cases one after the other.
//!
//! In: a group. Out: what became of each case, and the records that are in Kafka at the end.
//! Never: a failure of one case that keeps the others from being run.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::CaseReport;
use super::report;
use super::set::{Action, Case, Group, Sync};
use super::setup::{connector, drop_slot, quoted, search_path, set_up, tear_down};
use crate::connector::{Connector, ConnectorProcess};
use crate::session::Session;
pub(super) use crate::stack::MARKER_TABLE;
use crate::stack::{Database, Stack};
use crate::tail::Tail;
use crate::wait::{Seen, eventually};
use crate::{Failure, Result};

/// Recordings were made in this database, and events carry its name.
pub(super) const DATABASE: &str = "postgres";
pub(super) const TOPIC_PREFIX: &str = "test_server";
const ARRIVAL_MAX: Duration = Duration::from_secs(30);
/// How long nothing more may come before a case without a marker is over.
const QUIET: Duration = Duration::from_millis(700);

/// What became of a case, where that is not simply to compare its records.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    /// The server lacks this extension.
    Skipped(String),
    /// The connector should have done something else.
    Broken {
        /// What was recorded.
        expected: String,
        /// What happened.
        actual: String,
    },
    /// The connector ended with an error, as recorded. Its records depend on timing.
    Failed,
}

impl Verdict {
    pub(super) fn broken(expected: &str, actual: &impl ToString) -> Self {
        Self::Broken { expected: expected.to_owned(), actual: actual.to_string() }
    }
}

/// By case.
pub(super) type Verdicts = BTreeMap<String, Verdict>;

/// Replays a group and reports on each of its cases.
pub(super) async fn replay_group(stack: &Stack, group: &Group) -> Result<Vec<CaseReport>> {
    let database = stack.existing_database(DATABASE);
    let session = database.session().await?;
    let mut verdicts = set_up(&session, group).await?;
    let earlier = report::read_group(&database, group).await?;
    let connector = connector(&database, group, 0)?;
    if let Some(case) = group.cases.iter().find(|case| case.outcome.fails()) {
        let verdict = expect_failure(&connector, case).await?;
        verdicts.extend(group.cases.iter().map(|case| (case.id.clone(), verdict.clone())));
    } else if let Err(failure) = run_cases(&database, connector, group, &mut verdicts).await {
        for case in &group.cases {
            let broken = || Verdict::broken("the connector runs", &failure);
            verdicts.entry(case.id.clone()).or_insert_with(broken);
        }
    }
    let mut found = report::read_group(&database, group).await?;
    found.retain(|event| !report::is_among(event, &earlier));
    tear_down(&database, group).await?;
    Ok(report::report(group, &found, &verdicts))
}

async fn run_cases(
    database: &Database,
    connector: Connector,
    group: &Group,
    verdicts: &mut Verdicts,
) -> Result<()> {
    let cases = group.cases.iter().filter(|case| !verdicts.contains_key(&case.id));
    let cases: Vec<&Case> = cases.collect();
    if group.no_stream {
        let code = connector.start()?.exit_code(ARRIVAL_MAX).await?;
        return if code == 0 { Ok(()) } else { Err(Failure::new(format!("exit code {code}"))) };
    }
    let mut replay = Replay::start(database, connector, group).await?;
    for case in cases {
        if let Err(failure) = replay.run_case(case).await {
            verdicts.insert(case.id.clone(), Verdict::broken("the connector runs", &failure));
            replay = Replay::start_afresh(replay).await?;
        }
    }
    match replay.process.terminate().await? {
        0 => Ok(()),
        code => Err(Failure::new(format!("SIGTERM ended the connector with {code}"))),
    }
}

/// The connector must end with an error; a refused configuration must name the key it is about.
async fn expect_failure(connector: &Connector, case: &Case) -> Result<Verdict> {
    let mut process = connector.start()?;
    let expected = case.outcome.message.as_deref().unwrap_or("the connector ends with an error");
    let Ok(code) = process.exit_code(ARRIVAL_MAX).await else {
        process.kill().await?;
        return Ok(Verdict::broken(expected, &format!("it runs\n{}", process.log_end())));
    };
    let log = process.log();
    let names_key = case.outcome.refused_key().is_none_or(|key| log.contains(key));
    Ok(if code != 0 && names_key {
        Verdict::Failed
    } else {
        Verdict::broken(expected, &format!("exit code {code}\n{}", process.log_end()))
    })
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
    /// Of an idle group: a reader of each topic its cases name, and how many records were read and recorded so far.
    named: BTreeMap<String, Named>,
}

struct Named {
    tail: Tail,
    read: usize,
    recorded: usize,
}

impl<'a> Replay<'a> {
    async fn start(database: &Database, connector: Connector, group: &'a Group) -> Result<Self> {
        let process = connector.start_streaming().await?;
        let session = database.with(&search_path(group)).await?;
        let delimiter = group.config.get("topic.delimiter").and_then(Value::as_str).unwrap_or(".");
        let topic = [TOPIC_PREFIX, &group.schema, MARKER_TABLE].join(delimiter);
        let mut replay = Self {
            group,
            connector,
            process,
            session,
            marker: Tail::open(database.bootstrap(), &topic)?,
            marker_number: 0,
            restarts: 0,
            named: BTreeMap::new(),
        };
        if group.sync == Sync::Marker {
            replay.sync().await?;
        }
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
        if self.group.sync == Sync::Marker {
            self.sync().await?;
        }
        Ok(self)
    }

    async fn run_case(&mut self, case: &Case) -> Result<()> {
        let mut sessions: BTreeMap<String, Session> = BTreeMap::new();
        for action in case.actions()? {
            match action {
                Action::Sync => self.sync().await?,
                Action::Stop => drop(self.process.terminate().await?),
                Action::Start => self.process = self.connector.start_streaming().await?,
                Action::Sleep(time) => tokio::time::sleep(time).await,
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
        for record in &case.records {
            let bootstrap = self.connector.database().bootstrap();
            if !self.named.contains_key(&record.topic) {
                let tail = Tail::open(bootstrap, &record.topic)?;
                self.named.insert(record.topic.clone(), Named { tail, read: 0, recorded: 0 });
            }
            if let Some(named) = self.named.get_mut(&record.topic) {
                named.recorded += 1;
            }
        }
        self.sync().await
    }

    async fn sync(&mut self) -> Result<()> {
        match self.group.sync {
            Sync::Marker => self.await_marker().await,
            Sync::Idle => self.await_quiet().await,
        }
    }

    /// Writes a marker row and waits for its event, or fails with the log when the connector ends.
    async fn await_marker(&mut self) -> Result<()> {
        self.marker_number += 1;
        let number = self.marker_number;
        let table = format!("{}.{MARKER_TABLE}", quoted(&self.group.schema));
        let insert = format!("insert into {table} values ({number}, 'marker {number}')");
        self.session.run(&insert).await?;
        let (process, marker) = (&mut self.process, &mut self.marker);
        eventually("the marker row's event", ARRIVAL_MAX, async || {
            let slice = Instant::now() + Duration::from_millis(200);
            while let Some(event) = marker.next(slice).await? {
                if event.key_payload()["id"] == number {
                    return Ok(Seen::Yes(()));
                }
            }
            process.expect_running()?;
            Ok(Seen::NotYet(process.log_end()))
        })
        .await
    }

    /// Waits for as many records as were recorded, or [`ARRIVAL_MAX`], and for quiet then. What is missing shows in the report.
    async fn await_quiet(&mut self) -> Result<()> {
        let deadline = Instant::now() + ARRIVAL_MAX / 3;
        for named in self.named.values_mut() {
            while named.read < named.recorded && Instant::now() < deadline {
                self.process.expect_running()?;
                let slice = Instant::now() + Duration::from_millis(200);
                named.read += usize::from(named.tail.next(slice).await?.is_some());
            }
        }
        tokio::time::sleep(QUIET).await;
        self.process.expect_running()
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
