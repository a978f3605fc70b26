//! Servers, names and deadlines the tests share.

use std::time::Duration;

use embedded::{Postgres, PostgresOptions, Silent};
use pgoutput::Lsn;
use pgoutput::message::Message;
use pgoutput::replication::ReplicationMessage;
use postgres::{
    Connection, ConnectionConfig, CreateSlot, Feedback, PgoutputOptions, ReplicationConnection,
    ReplicationStream, SlotName, SnapshotAction, WalChunk, connect,
};
use tokio::time::{Instant, sleep, timeout};

/// Longer than anything a test waits for.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A server with its defaults.
pub(crate) async fn server() -> Postgres {
    start(PostgresOptions::default()).await
}

/// Starts a server. `TRIBUTARY_TEST_PG=17` runs the tests that name no version on that one.
pub(crate) async fn start(options: PostgresOptions) -> Postgres {
    let wanted = std::env::var("TRIBUTARY_TEST_PG").ok().map(|major| major.parse().unwrap());
    let options = PostgresOptions { version: options.version.or(wanted), ..options };
    Postgres::start(options, &Silent).await.unwrap()
}

pub(crate) fn config(server: &Postgres) -> ConnectionConfig {
    ConnectionConfig::parse(&server.url()).unwrap()
}

pub(crate) async fn session(server: &Postgres) -> Connection {
    connect(&config(server)).await.unwrap()
}

pub(crate) fn slot_name(name: &str) -> SlotName {
    SlotName::new(name).unwrap()
}

/// A permanent slot without a snapshot.
pub(crate) const PLAIN_SLOT: CreateSlot =
    CreateSlot { snapshot: SnapshotAction::NoExport, temporary: false, failover: false };

/// Creates a slot and starts a stream of publication `p` on it.
pub(crate) async fn slot_and_stream(
    config: &ConnectionConfig,
    name: &str,
    feedback: Feedback,
) -> (ReplicationStream, Lsn) {
    let mut walsender = ReplicationConnection::connect(config).await.unwrap();
    let slot = slot_name(name);
    let created = walsender.create_slot(&slot, PLAIN_SLOT).await.unwrap();
    let start = created.consistent_point;
    let stream = walsender.start_replication(&slot, start, &options(), feedback).await.unwrap();
    (stream, start)
}

/// Streams publication `p`.
pub(crate) fn options() -> PgoutputOptions {
    PgoutputOptions { publications: vec!["p".to_owned()], ..PgoutputOptions::default() }
}

/// What of a chunk the tests look at.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) inserts: Vec<String>,
    pub(crate) commits: Vec<Lsn>,
    pub(crate) keepalives: Vec<Lsn>,
}

impl Seen {
    pub(crate) fn add(&mut self, chunk: &WalChunk) {
        for message in chunk.messages() {
            match message.unwrap() {
                ReplicationMessage::PrimaryKeepalive(keepalive) => {
                    self.keepalives.push(keepalive.wal_end);
                }
                ReplicationMessage::XLogData(data) => {
                    match pgoutput::decode(data.payload, false).unwrap() {
                        Message::Insert(insert) => {
                            let first = insert.new.iter().next().unwrap();
                            let pgoutput::TupleValue::Text(text) = first else {
                                panic!("{first:?}")
                            };
                            self.inserts.push(String::from_utf8(text.to_vec()).unwrap());
                        }
                        Message::Commit(commit) => self.commits.push(commit.end_lsn),
                        _ => {}
                    }
                }
            }
        }
    }

    /// Reads on until `enough`.
    pub(crate) async fn until(
        &mut self,
        stream: &mut ReplicationStream,
        enough: impl Fn(&Self) -> bool,
    ) {
        let read = async {
            while !enough(self) {
                self.add(&stream.next().await.unwrap());
            }
        };
        timeout(DEADLINE, read).await.expect("the stream did not bring it in time");
    }
}

/// Asks again until the answer is there.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < end, "{what} did not happen in time");
        sleep(Duration::from_millis(20)).await;
    }
}
