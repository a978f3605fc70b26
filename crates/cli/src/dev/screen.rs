//! The scrolling part of `tributary dev`.

use std::time::Duration;

use connector::status::State;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::watch::Seen;
use crate::event::Memory;
use crate::output::{Colour, Output};
use crate::tail;

/// Events shown per second; nobody reads faster.
const SHOWN_PER_SECOND: u32 = 12;

/// The scrolling part: some events each second, and how many more there were.
pub(super) struct Screen {
    output: Output,
    /// Ticks once a second; then [`Screen::next_second`] is due.
    pub(super) second: Interval,
    shown: u32,
    hidden: u64,
    memory: Memory,
    state: Option<&'static str>,
}

impl Screen {
    pub(super) fn new(output: Output) -> Self {
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { output, second, shown: 0, hidden: 0, memory: Memory::default(), state: None }
    }

    pub(super) fn show(&mut self, mut seen: Seen) {
        self.memory.complete(&mut seen.event);
        if self.output.is_json() || seen.event.is_tombstone() {
            return;
        }
        if self.shown >= SHOWN_PER_SECOND {
            self.hidden += 1;
            return;
        }
        self.shown += 1;
        let table = seen.event.table.as_deref().unwrap_or_default();
        let table = self.output.paint(Colour::Grey, &format!("{table:<18}"));
        let line = tail::line(&seen.event, seen.latency_us, self.output);
        self.output.line(&format!("{table}  {line}"));
    }

    pub(super) fn next_second(&mut self) {
        if self.hidden > 0 {
            let more = format!("{:<18}  and {} more", "", self.hidden);
            self.output.line(&self.output.paint(Colour::Grey, &more));
        }
        (self.shown, self.hidden) = (0, 0);
    }

    /// Says once what the connector does now.
    pub(super) fn state(&mut self, state: &State) {
        let (word, text) = match state {
            State::Starting => ("starting", "connector: starting".to_owned()),
            State::Snapshotting(_) => ("snapshotting", "connector: copying the tables".to_owned()),
            State::Streaming => ("streaming", "connector: streaming".to_owned()),
            State::Stopped => ("stopped", "connector: stopped".to_owned()),
            State::Retrying { cause, after, .. } => {
                ("retrying", format!("connector: tries again in {after:?}: {cause}"))
            }
            State::Failed { cause, .. } => ("failed", format!("connector: failed: {cause}")),
        };
        if self.state.replace(word) != Some(word) {
            self.output.note(&text);
        }
    }
}
