//! Bars for what takes long: downloads and snapshots. Only where a person looks on.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::sync::Mutex;
use std::time::Duration;

use connector::status::State;
use embedded::{Event, Progress};
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};

use crate::output::Output;

const BYTES: &str = "{msg:40} {bar:28} {bytes:>10}/{total_bytes:<10} {eta:>4}";
const TABLES: &str = "{bar:28} {bytes:>10}/{total_bytes:<10} {msg}";
const WAIT: &str = "{msg:40} {spinner}";

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Steps of `embedded` as bars; as lines where stderr is no terminal.
pub(crate) struct Bars {
    output: Output,
    drawn: MultiProgress,
    is_terminal: bool,
    by_step: Mutex<HashMap<String, ProgressBar>>,
}

impl Bars {
    pub(crate) fn new(output: Output) -> Self {
        Self {
            output,
            drawn: MultiProgress::new(),
            is_terminal: io::stderr().is_terminal(),
            by_step: Mutex::default(),
        }
    }

    fn started(&self, step: &str, total_bytes: Option<u64>) {
        if !self.is_terminal {
            self.output.note(&format!("{step} …"));
            return;
        }
        let bar = self.drawn.add(match total_bytes {
            Some(bytes) => ProgressBar::new(bytes).with_style(style(BYTES)),
            None => ProgressBar::new_spinner().with_style(style(WAIT)),
        });
        bar.set_message(step.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        if let Ok(mut bars) = self.by_step.lock() {
            bars.insert(step.to_owned(), bar);
        }
    }
}

impl Progress for Bars {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Started { step, total_bytes } => self.started(step, total_bytes),
            Event::Advanced { step, done_bytes, .. } => {
                let bars = self.by_step.lock().ok();
                if let Some(bar) = bars.as_ref().and_then(|bars| bars.get(step)) {
                    bar.set_position(done_bytes);
                }
            }
            Event::Finished { step } => {
                let bar = self.by_step.lock().ok().and_then(|mut bars| bars.remove(step));
                if let Some(bar) = bar {
                    bar.finish_and_clear();
                }
            }
        }
    }
}

/// The tables of an initial snapshot.
pub(crate) struct SnapshotBar {
    bar: Option<ProgressBar>,
    is_terminal: bool,
}

impl SnapshotBar {
    pub(crate) fn new() -> Self {
        Self { bar: None, is_terminal: io::stderr().is_terminal() }
    }

    /// Follows the connector's state; the bar is gone once it streams.
    pub(crate) fn show(&mut self, state: &State) {
        let State::Snapshotting(snapshot) = state else { return self.clear() };
        if !self.is_terminal {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| ProgressBar::new(0).with_style(style(TABLES)));
        bar.set_length(snapshot.bytes_total.max(snapshot.bytes_done));
        bar.set_position(snapshot.bytes_done);
        let left = snapshot.remaining().map(|left| format!(", {} left", HumanDuration(left)));
        bar.set_message(format!(
            "snapshot: {} of {} tables, {} rows{}",
            snapshot.tables_done,
            snapshot.tables_total,
            snapshot.rows_read,
            left.unwrap_or_default()
        ));
    }

    pub(crate) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
