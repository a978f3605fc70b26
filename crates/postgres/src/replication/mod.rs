//! The walsender session: commands first, then the stream.
//!
//! In: slot names and positions. Out: slots, snapshots, a [`ReplicationStream`]; or a [`BatchStream`] of the same messages.
//! Never here: decoding what pgoutput says, deciding when a position is safe.
//! Source: PostgreSQL manual, "Streaming Replication Protocol" and "Logical Streaming Replication Protocol".

mod batch;
mod chunk;
mod commands;
mod feedback;
pub(crate) mod fuzzing;
mod reader;
mod stream;

pub use batch::{
    BatchChunk, BatchItem, BatchLimits, BatchRequest, BatchStream, Batches, BatchesEnd,
};
pub use chunk::WalChunk;
pub use stream::ReplicationStream;

use std::time::Duration;

use pgoutput::Lsn;
use postgres_protocol::message::frontend;
use tokio::time::timeout;

use crate::name::quote_identifier;
use crate::session::{Purpose, Session, no_answer};
use crate::{ConnectionConfig, PostgresError, SlotName};
use stream::StreamParts;

/// Which server this is, and where its log ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemIdentity {
    /// Unique per cluster, the same on its standbys.
    pub system_id: String,
    /// The timeline it is on.
    pub timeline: u32,
    /// The end of the flushed log.
    pub flushed: Lsn,
    /// The database of this session.
    pub database: String,
}

/// Where one timeline was left for the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimelineSwitch {
    /// The timeline that ended.
    pub timeline: u32,
    /// What lies after this position on it does not exist on the next.
    pub switch_lsn: Lsn,
}

/// What becomes of the snapshot a new slot starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotAction {
    /// Other sessions can import it, as long as this session stays idle.
    Export,
    /// Nobody needs it.
    NoExport,
}

/// How a slot is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateSlot {
    /// Whether to export the snapshot.
    pub snapshot: SnapshotAction,
    /// Dropped with this session.
    pub temporary: bool,
    /// Synchronised to standbys; needs PostgreSQL 17.
    pub failover: bool,
}

/// A slot that was just created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedSlot {
    /// The stream begins here; what was committed before is in the snapshot.
    pub consistent_point: Lsn,
    /// The exported snapshot; alive while this connection is idle.
    pub snapshot_name: Option<String>,
}

/// What pgoutput shall send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PgoutputOptions {
    /// 1 to 4.
    pub proto_version: u32,
    /// Also large transactions in progress; protocol version 2 and PostgreSQL 14 or later.
    pub streaming: bool,
    /// The publications, at least one.
    pub publications: Vec<String>,
    /// Also logical decoding messages; PostgreSQL 14 and later.
    pub messages: bool,
    /// `none` or `any`; PostgreSQL 16 and later.
    pub origin: Option<String>,
    /// Further options, as they are (`slot.stream.params`).
    pub extra: Vec<(String, String)>,
}

/// How progress is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feedback {
    /// At least this often; shortened to a third of the server's `wal_sender_timeout` where that is less.
    pub status_interval: Duration,
    /// A server that is asked and says nothing for so long is given up, as by PostgreSQL's own `wal_receiver_timeout`.
    pub silence_max: Duration,
}

impl Default for PgoutputOptions {
    fn default() -> Self {
        Self {
            proto_version: 1,
            streaming: false,
            publications: Vec::new(),
            messages: false,
            origin: None,
            extra: Vec::new(),
        }
    }
}

impl PgoutputOptions {
    /// Names and values, the same for the walsender and for SQL.
    fn pairs(&self) -> Vec<(String, String)> {
        let publications: Vec<String> =
            self.publications.iter().map(|name| quote_identifier(name)).collect();
        let mut pairs = vec![
            ("proto_version".to_owned(), self.proto_version.to_string()),
            ("publication_names".to_owned(), publications.join(",")),
        ];
        if self.streaming {
            pairs.push(("streaming".to_owned(), "on".to_owned()));
        }
        if self.messages {
            pairs.push(("messages".to_owned(), "true".to_owned()));
        }
        pairs.extend(self.origin.iter().map(|origin| ("origin".to_owned(), origin.clone())));
        pairs.extend(self.extra.iter().cloned());
        pairs
    }
}

impl Default for Feedback {
    fn default() -> Self {
        Self { status_interval: Duration::from_secs(10), silence_max: Duration::from_mins(1) }
    }
}

/// The walsender session, waiting for a command.
pub struct ReplicationConnection {
    session: Session,
    user: String,
}

impl ReplicationConnection {
    /// Opens a session with `replication=database` on the first host that accepts it.
    pub async fn connect(config: &ConnectionConfig) -> Result<Self, PostgresError> {
        let session = Session::open(config, Purpose::Replication).await?;
        Ok(Self { session, user: config.user().to_owned() })
    }

    /// `server_version_num` of the server: 150004 is 15.4.
    pub fn server_version_num(&self) -> u32 {
        self.session.facts.server_version_num
    }

    /// The server process of this session.
    pub fn backend_pid(&self) -> i32 {
        self.session.facts.backend_pid
    }

    /// `START_REPLICATION`: the session becomes the stream.
    ///
    /// PostgreSQL begins at `confirmed_flush_lsn` if that is later than `start`, without a word; here that is
    /// [`PostgresError::SlotAhead`]. Further errors: [`PostgresError::SlotMissing`], [`PostgresError::SlotActive`],
    /// [`PostgresError::SlotLost`], [`PostgresError::SlotForeign`]. A missing publication shows only at the first change.
    pub async fn start_replication(
        mut self,
        slot: &SlotName,
        start: Lsn,
        options: &PgoutputOptions,
        feedback: Feedback,
    ) -> Result<ReplicationStream, PostgresError> {
        self.refuse_slot_ahead(slot, start).await?;
        let sender_timeout = self.wal_sender_timeout().await?;
        let sql = start_statement(slot, start, options);
        self.session.wire.send(|buffer| frontend::query(&sql, buffer)).await?;
        let patience = self.session.config.answer_timeout;
        match timeout(patience, self.expect_copy_both(slot)).await {
            Ok(begun) => begun?,
            Err(_elapsed) => return Err(no_answer("the start of replication", patience)),
        }
        let parts = StreamParts {
            wire: self.session.wire,
            status_interval: status_interval(feedback, sender_timeout),
            silence_max: feedback.silence_max,
            start,
            publications: options.publications.join(", "),
        };
        Ok(ReplicationStream::start(parts))
    }
}

/// A third of the server's patience and of ours, so that one lost or late report is not the end.
fn status_interval(feedback: Feedback, sender_timeout: Option<Duration>) -> Duration {
    let patience =
        sender_timeout.map_or(feedback.silence_max, |timeout| timeout.min(feedback.silence_max));
    feedback.status_interval.min(patience / 3).max(Duration::from_millis(100))
}

fn start_statement(slot: &SlotName, start: Lsn, options: &PgoutputOptions) -> String {
    let pairs = options.pairs();
    let written: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{} {}", quote_identifier(name), replication_literal(value)))
        .collect();
    let slot = quote_identifier(slot.as_str());
    format!("START_REPLICATION SLOT {slot} LOGICAL {start} ({})", written.join(", "))
}

/// The replication grammar knows only plain literals: quotes are doubled, a backslash is itself.
fn replication_literal(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_start_command_cannot_end_it() {
        let options = PgoutputOptions {
            publications: vec!["a'b".to_owned(), "C\"d".to_owned()],
            messages: true,
            origin: Some("none".to_owned()),
            ..PgoutputOptions::default()
        };
        let slot = SlotName::new("s").unwrap();
        assert_eq!(
            start_statement(&slot, Lsn::new(0x1_0000_000A), &options),
            "START_REPLICATION SLOT \"s\" LOGICAL 1/A (\"proto_version\" '1', \
             \"publication_names\" '\"a''b\",\"C\"\"d\"', \"messages\" 'true', \"origin\" 'none')"
        );
    }

    #[test]
    fn reports_come_often_enough_for_an_impatient_server() {
        let feedback = Feedback::default();
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(status_interval(feedback, seconds(60)), Duration::from_secs(10));
        assert_eq!(status_interval(feedback, seconds(6)), Duration::from_secs(2));
        assert_eq!(status_interval(feedback, None), Duration::from_secs(10));
    }
}
