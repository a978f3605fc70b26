//! Signals from outside the source: a Kafka topic, a file.
//!
//! In: how far each channel was heeded. Out: [`FromOutside`], one after the other, each with the [`Mark`] that says how far its
//! channel is heeded once it is. The mark goes into the checkpoint, in the Kafka transaction of what the signal asks for: so
//! no signal is heeded twice or forgotten, whatever dies, and no group of consumers is needed.
//! Each channel is read by a task of its own beside the pipeline, which waits for nothing; a bounded channel joins them.
//! Never: a channel whose trouble ends the connector. It is told, and tried again.

mod file;
pub(super) mod fuzzing;
mod record;
mod topic;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use self::file::FileChannel;
pub(crate) use self::record::Unheedable;
use self::topic::TopicChannel;
use super::Signal;
use super::heeded::{Heeded, HeededFile, HeededTopic};
use crate::settings::Settings;
use crate::status::Notice;

/// Signals that are read and wait to be heeded.
const WAITING_MAX: usize = 16;

/// What a channel outside the source brings.
#[derive(Debug)]
pub(crate) enum FromOutside {
    /// A signal, or that there was none up to a mark.
    Delivery(Delivery),
    /// The channel cannot be read until somebody changes something.
    Trouble(Notice),
}

/// A part of a channel.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// How far the channel is heeded once this is.
    pub(crate) mark: Mark,
    /// `None` if what stands before the mark is for other connectors.
    pub(crate) signal: Option<Result<Signal, Unheedable>>,
}

/// How far a channel is heeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Channel `kafka`.
    Topic(HeededTopic),
    /// Channel `file`.
    File(HeededFile),
}

/// The channels as the pipeline sees them. They end with it.
#[derive(Debug)]
pub(crate) struct Outside {
    waiting: mpsc::Receiver<FromOutside>,
    /// What of the file the checkpoint in Kafka says is heeded.
    file_committed: watch::Sender<Option<HeededFile>>,
    /// The same, of the checkpoint on its way.
    file_handed_over: Option<HeededFile>,
    _readers: JoinSet<()>,
}

impl Outside {
    /// Begins to read the channels that the settings name, where the checkpoint says.
    pub(crate) fn start(settings: &Settings, heeded: &Heeded) -> Self {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        let (file_committed, committed) = watch::channel(heeded.file.clone());
        let mut readers = JoinSet::new();
        if let Some(wanted) = &settings.signal_channels.kafka {
            let key = &settings.encoder.topic_prefix;
            let channel = TopicChannel::new(wanted, key, heeded.topic.clone());
            readers.spawn(channel.read(sender.clone()).in_current_span());
        }
        if let Some(wanted) = &settings.signal_channels.file {
            let channel = FileChannel::new(wanted, heeded.file.clone(), committed);
            readers.spawn(channel.read(sender).in_current_span());
        }
        Self { waiting, file_committed, file_handed_over: None, _readers: readers }
    }

    /// The next that comes; waits for ever if there are no channels. Safe to cancel.
    pub(crate) async fn next(&mut self) -> FromOutside {
        match self.waiting.recv().await {
            Some(came) => came,
            None => std::future::pending().await,
        }
    }

    /// What has come already, if anything.
    pub(crate) fn waiting(&mut self) -> Option<FromOutside> {
        self.waiting.try_recv().ok()
    }

    /// A checkpoint that says this is on its way to Kafka.
    pub(crate) fn handed_over(&mut self, heeded: &Heeded) {
        self.file_handed_over.clone_from(&heeded.file);
    }

    /// Kafka holds that checkpoint.
    pub(crate) fn committed(&mut self) {
        let handed_over = self.file_handed_over.take();
        if handed_over.is_some() {
            self.file_committed.send_replace(handed_over);
        }
    }
}
