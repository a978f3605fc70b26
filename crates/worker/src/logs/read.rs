//! The last lines of a connector, and those that follow, out of the topic of the group.
//!
//! In: a connector's name, how many lines. Out: lines, in the order they were written by each worker. Ends with its owner.
//! Never: more lines in memory than asked for and what one answer of Kafka holds.

use std::collections::VecDeque;
use std::time::Duration;

use kafka::reader::{ConsumedRecord, PartitionReader, StartAt};
use kafka::{Client, Isolation, KafkaError};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{LogLine, topic_name};
use crate::error::GroupError;
use crate::group::Group;

/// How long one request waits for more.
const POLL: Duration = Duration::from_millis(500);
/// Between two looks for a topic that is not there yet.
const LOOK: Duration = Duration::from_secs(1);

/// The lines of one connector.
pub(crate) struct Lines {
    group: Group,
    name: String,
    client: Client,
    /// `None` while there is no topic.
    reader: Option<PartitionReader>,
    waiting: VecDeque<LogLine>,
    changes: watch::Receiver<u64>,
}

/// What there is to say to whoever follows.
pub(crate) enum Logged {
    /// A line.
    Line(LogLine),
    /// The connector is gone; nothing follows.
    Gone,
    /// Why nothing follows.
    Failed(GroupError),
}

impl Group {
    /// The last lines of a connector, at most so many.
    ///
    /// Errors: [`GroupError::NotFound`], [`GroupError::Store`].
    pub(crate) async fn log(&self, name: &str, count: usize) -> Result<Lines, GroupError> {
        self.connector(name)?;
        let client = Client::connect(self.options().client.clone()).await?;
        let changes = self.changes();
        let (group, name) = (self.clone(), name.to_owned());
        let waiting = VecDeque::new();
        let mut lines = Lines { group, name, client, reader: None, waiting, changes };
        lines.open(count).await?;
        Ok(lines)
    }
}

impl Lines {
    /// The last lines, as they were when it was opened.
    pub(crate) fn into_last(self) -> Vec<LogLine> {
        self.waiting.into()
    }

    /// The next line, once there is one. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Logged {
        loop {
            if let Some(line) = self.waiting.pop_front() {
                return Logged::Line(line);
            }
            if self.group.connector(&self.name).is_err() {
                return Logged::Gone;
            }
            if let Err(failure) = self.more().await {
                return Logged::Failed(failure.into());
            }
        }
    }

    async fn more(&mut self) -> Result<(), KafkaError> {
        let Some(reader) = &mut self.reader else {
            sleep(LOOK).await;
            return self.open(usize::MAX).await;
        };
        tokio::select! {
            records = reader.poll(POLL) => {
                let lines = records?.into_iter().filter_map(|record| line_of(&self.name, record));
                self.waiting.extend(lines);
            }
            // It may be gone.
            _ = self.changes.changed() => {}
        }
        Ok(())
    }

    /// Reads what is there, and keeps the last lines of it.
    async fn open(&mut self, count: usize) -> Result<(), KafkaError> {
        let name = topic_name(self.group.options());
        let Some(found) = self.client.topic(&name).await? else { return Ok(()) };
        let (topic, committed) = (found.topic, Isolation::ReadCommitted);
        let partition = topic.partition_for(Some(self.name.as_bytes()));
        let ends = self.client.latest_offsets(&topic, committed).await?;
        let end = usize::try_from(partition).ok().and_then(|index| ends.get(index).copied());
        let start = StartAt::Earliest;
        let mut reader =
            PartitionReader::open(&self.client, &name, partition, start, committed).await?;
        while reader.position() < end.unwrap_or_default() {
            for record in reader.poll(POLL).await? {
                self.waiting.extend(line_of(&self.name, record));
            }
            let more = self.waiting.len().saturating_sub(count);
            drop(self.waiting.drain(..more));
        }
        self.reader = Some(reader);
        Ok(())
    }
}

/// The line of a record, if it is of the connector.
fn line_of(connector: &str, record: ConsumedRecord) -> Option<LogLine> {
    if record.key.as_deref() != Some(connector.as_bytes()) {
        return None;
    }
    // What somebody else wrote there is no line.
    serde_json::from_slice(&record.value?).ok()
}
