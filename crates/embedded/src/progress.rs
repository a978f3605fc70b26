//! What is going on while somebody waits: downloads, unpacking, servers coming up.
//!
//! In: events from this crate. Out: whatever the caller makes of them (bars, lines, nothing). Never here: printing.

/// One thing that happened. `step` is a short English phrase, the same in all events of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A step began; steps without a known size have `total_bytes: None`.
    Started {
        /// What is being done, as `fetch Apache Kafka 4.3.1`.
        step: &'a str,
        /// Size of the whole step in bytes.
        total_bytes: Option<u64>,
    },
    /// A step with a known size went on.
    Advanced {
        /// The step that began before.
        step: &'a str,
        /// Bytes done since its beginning; never less than in the event before.
        done_bytes: u64,
        /// Size of the whole step in bytes.
        total_bytes: u64,
    },
    /// A step ended well. A step that fails has no such event: the error says the rest.
    Finished {
        /// The step that began before.
        step: &'a str,
    },
}

/// Receives [`Event`]s, in order, on the task that does the work: return at once.
pub trait Progress: Send + Sync {
    /// Takes note of one event.
    fn event(&self, event: Event<'_>);
}

/// Shows nothing: for tests and for programs that speak in logs only.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _event: Event<'_>) {}
}
