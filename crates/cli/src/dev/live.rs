//! While the shop is open: connector, customers and followers side by side, and their orderly end.
//!
//! One task owns the state; the others end with it. An end of any of them before its time is a failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use connector::settings::Settings;
use connector::status::{self, State, Status};
use connector::{Class, ConnectorError};
use kafka::{Client, KafkaError};
use postgres::{Connection, ConnectionConfig, PostgresError};
use tokio::sync::{mpsc, watch as status_watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::journal::Journal;
use super::screen::Screen;
use super::shop::Table;
use super::summary::Latencies;
use super::watch::{self, Seen};
use super::workload::{Pace, Session, Shared};
use crate::clock;
use crate::error::CliError;
use crate::output::Output;
use crate::signals::Signals;

/// Sessions of the workload.
const SESSIONS: u32 = 4;
/// Events between the followers and the screen.
const EVENTS_WAITING_MAX: usize = 1024;
/// How long the connector may take to deliver what was committed last.
const DRAIN: Duration = Duration::from_mins(1);

/// Everything that runs while the shop is open.
pub(super) struct Live {
    connector: JoinSet<Result<(), ConnectorError>>,
    stop_connector: CancellationToken,
    statuses: status_watch::Receiver<Status>,
    sessions: JoinSet<Result<Journal, PostgresError>>,
    stop_sessions: CancellationToken,
    followers: JoinSet<Result<(), KafkaError>>,
    events: mpsc::Receiver<Seen>,
    shared: Arc<Shared>,
    streaming_since_us: Option<i64>,
    /// From commit to us, of every change so far.
    pub(super) latencies: Latencies,
}

impl Live {
    /// Connector and customers begin together: the snapshot is taken while rows change.
    pub(super) async fn start(
        database_url: &str,
        rate: u32,
        settings: Settings,
        seed: u64,
    ) -> Result<Self, CliError> {
        let (stop_connector, stop_sessions) = (CancellationToken::new(), CancellationToken::new());
        let (reporter, statuses) = status::channel();
        let client = Client::connect(settings.store.clone()).await?;
        let (sender, events) = mpsc::channel(EVENTS_WAITING_MAX);
        let mut followers = JoinSet::new();
        for table in Table::ALL {
            let topic = settings.topic_of("public", table.name());
            followers.spawn(watch::follow(client.clone(), topic, sender.clone()));
        }
        let shared = Arc::new(Shared {
            may_delete: AtomicBool::new(false),
            newest_order: AtomicI64::new(0),
        });
        let config = ConnectionConfig::parse(database_url)?.with_application_name("shop");
        let mut sessions = JoinSet::new();
        for number in 0..SESSIONS {
            let seed = seed.wrapping_add(u64::from(number));
            let session = Session::open(&config, seed, Arc::clone(&shared)).await?;
            let pace = Pace {
                first: Duration::from_secs(1) * number / rate,
                every: Duration::from_secs(1) * SESSIONS / rate,
            };
            sessions.spawn(session.work(pace, stop_sessions.clone()));
        }
        let mut connector = JoinSet::new();
        let stop = stop_connector.clone();
        connector.spawn(async move { connector::run(settings, &reporter, &stop).await });
        let latencies = Latencies::default();
        Ok(Self {
            connector,
            stop_connector,
            statuses,
            sessions,
            stop_sessions,
            followers,
            events,
            shared,
            streaming_since_us: None,
            latencies,
        })
    }

    /// Shows events until the time is over or a signal comes. An end of anything else is a failure.
    pub(super) async fn watch(
        &mut self,
        duration: Option<Duration>,
        output: Output,
        signals: &mut Signals,
    ) -> Result<(), CliError> {
        let end = async move {
            match duration {
                Some(duration) => sleep(duration).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(end);
        let mut screen = Screen::new(output);
        loop {
            tokio::select! {
                () = &mut end => return Ok(()),
                _ = signals.next() => return Ok(()),
                Some(ended) = self.connector.join_next() => return Err(ended_early(ended)),
                Some(ended) = self.sessions.join_next() => return Err(session_ended(ended)),
                Some(ended) = self.followers.join_next() => {
                    return Err(match ended {
                        Ok(Err(error)) => error.into(),
                        _ => CliError::Workload { what: "a reader of the topics ended".to_owned() },
                    });
                }
                Some(seen) = self.events.recv() => self.take(seen, &mut screen),
                Ok(()) = self.statuses.changed() => self.note_state(&mut screen),
                _ = screen.second.tick() => screen.next_second(),
            }
        }
    }

    fn take(&mut self, seen: Seen, screen: &mut Screen) {
        self.measure(&seen);
        screen.show(seen);
    }

    /// What was committed during the snapshot had to wait for its end and says nothing about the stream.
    fn measure(&mut self, seen: &Seen) {
        let since = self.streaming_since_us.unwrap_or(i64::MAX);
        if let Some(latency_us) = seen.latency_us.filter(|_| seen.event.committed_us >= Some(since))
        {
            self.latencies.add(latency_us);
        }
    }

    fn note_state(&mut self, screen: &mut Screen) {
        let state = self.statuses.borrow_and_update().state.clone();
        if state == State::Streaming {
            self.shared.may_delete.store(true, Ordering::Relaxed);
            self.streaming_since_us.get_or_insert_with(clock::unix_us);
        }
        screen.state(&state);
    }

    /// Ends the workload, waits until all of it is in Kafka, ends the connector. The journal then knows every commit.
    pub(super) async fn close(
        &mut self,
        connection: &Connection,
        journal: &mut Journal,
    ) -> Result<(), CliError> {
        self.stop_sessions.cancel();
        while let Some(session) = self.sessions.join_next().await {
            match session {
                Ok(Ok(done)) => journal.merge(done),
                ended => return Err(session_ended(ended)),
            }
        }
        let row = connection
            .client()
            .query_one("SELECT pg_current_wal_lsn()::text", &[])
            .await
            .map_err(|error| PostgresError::from_sql("ask for the end of the log", &error))?;
        let end: pgoutput::Lsn = row.get::<_, String>(0).parse().map_err(|_| {
            CliError::Workload { what: "the server's end of the log cannot be read".to_owned() }
        })?;
        timeout(DRAIN, self.drain(end)).await.map_err(|_| CliError::TimedOut {
            what: "delivering the last changes",
            waited: DRAIN,
        })??;
        self.stop_connector.cancel();
        while let Some(ended) = self.connector.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                ended => return Err(ended_early(ended)),
            }
        }
        self.followers.shutdown().await;
        Ok(())
    }

    /// Until Kafka holds everything before `end`; latencies are still taken.
    async fn drain(&mut self, end: pgoutput::Lsn) -> Result<(), CliError> {
        let mut poll = interval(Duration::from_millis(50));
        loop {
            let is_done =
                self.statuses.borrow().committed.is_some_and(|committed| committed >= end);
            tokio::select! {
                biased;
                Some(seen) = self.events.recv() => self.measure(&seen),
                Some(ended) = self.connector.join_next() => return Err(ended_early(ended)),
                _ = poll.tick(), if !is_done => {}
                () = std::future::ready(()), if is_done => return Ok(()),
            }
        }
    }
}

type Ended<T, E> = Result<Result<T, E>, JoinError>;

fn ended_early(ended: Ended<(), ConnectorError>) -> CliError {
    match ended {
        Ok(Err(error)) if error.class() == Class::Fenced => {
            CliError::Workload { what: format!("the connector was fenced: {error}") }
        }
        Ok(Err(error)) => error.into(),
        Ok(Ok(())) => CliError::Workload { what: "the connector ended by itself".to_owned() },
        Err(error) => CliError::Workload { what: format!("the connector's task: {error}") },
    }
}

fn session_ended(ended: Ended<Journal, PostgresError>) -> CliError {
    match ended {
        Ok(Err(error)) => error.into(),
        Ok(Ok(_)) => CliError::Workload { what: "a session ended by itself".to_owned() },
        Err(error) => CliError::Workload { what: format!("a session's task: {error}") },
    }
}
