//! What connectors write into the log, kept for whoever asks any worker: a topic of the group, `G-logs`.
//!
//! In: lines of the process's log that are of a connector, as the log has them: no secret is in them. Out: records of the topic, and the last
//! lines of a connector read back, whichever worker wrote them and whether that lives.
//! Never: a connector that waits for its log; lines that come faster than Kafka takes them are counted and left out, here and not in the log.

mod read;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use utoipa::ToSchema;

pub(crate) use read::{Lines, Logged};
pub(crate) use write::run;

use crate::clock::now_ms;
use crate::options::WorkerOptions;

/// Lines that may wait for Kafka.
const WAITING_MAX: usize = 1024;
/// Bytes of a line that are kept.
const TEXT_BYTES_MAX: usize = 8 * 1024;

/// One line of a connector's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    pub level: String,
    /// The worker that wrote it.
    #[serde(default)]
    #[schema(required)]
    pub worker: String,
    /// The line, with its fields.
    pub text: String,
    #[serde(skip)]
    connector: String,
}

/// Where lines are given; cheap to clone.
#[derive(Clone, Debug)]
pub struct LogSender {
    lines: mpsc::Sender<LogLine>,
    left_out: Arc<AtomicU64>,
}

/// Where lines come out, for the worker to write.
#[derive(Debug)]
pub struct LogLines {
    lines: mpsc::Receiver<LogLine>,
}

/// A way for lines from the log of the process to a worker.
pub fn log_lines() -> (LogSender, LogLines) {
    let (sender, lines) = mpsc::channel(WAITING_MAX);
    (LogSender { lines: sender, left_out: Arc::default() }, LogLines { lines })
}

impl LogSender {
    /// Gives a line of a connector. Never waits.
    pub fn send(&self, connector: &str, level: &str, mut text: String) {
        if text.len() > TEXT_BYTES_MAX {
            text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
            text.push('…');
        }
        let before = self.left_out.swap(0, Ordering::Relaxed);
        if before > 0 {
            text =
                format!("(before this, {before} lines are in the log of the worker only) {text}");
        }
        let line = LogLine {
            at_ms: now_ms(),
            level: level.to_owned(),
            worker: String::new(),
            text,
            connector: connector.to_owned(),
        };
        if self.lines.try_send(line).is_err() {
            self.left_out.fetch_add(before + 1, Ordering::Relaxed);
        }
    }
}

impl LogLines {
    /// The next line that waits, with its connector; `None` if none does.
    pub fn try_next(&mut self) -> Option<(String, LogLine)> {
        let line = self.lines.try_recv().ok()?;
        Some((line.connector.clone(), line))
    }
}

/// The topic of a group.
fn topic_name(options: &WorkerOptions) -> String {
    format!("{}-logs", options.group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_that_nobody_takes_in_time_are_counted_in_the_next() {
        let (sender, mut lines) = log_lines();
        for number in 0..WAITING_MAX + 3 {
            sender.send("shop", "INFO", number.to_string());
        }
        assert_eq!(lines.lines.recv().await.unwrap().text, "0");
        sender.send("shop", "INFO", "the next".to_owned());
        let mut last = None;
        while let Ok(line) = lines.lines.try_recv() {
            last = Some(line.text);
        }
        let last = last.unwrap();
        assert!(last.contains("3 lines") && last.ends_with("the next"), "{last}");
    }

    #[tokio::test]
    async fn a_line_of_any_length_has_an_end() {
        let (sender, mut lines) = log_lines();
        sender.send("shop", "INFO", "ä".repeat(TEXT_BYTES_MAX));
        let text = lines.lines.recv().await.unwrap().text;
        assert!(text.len() < TEXT_BYTES_MAX + 8 && text.ends_with('…'));
    }
}
