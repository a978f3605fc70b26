//! Where the server begins to decode anew: after another way of reading was chosen, and with each batch.

use pgoutput::{Assembler, Lsn};

use super::Gatherer;

impl Gatherer {
    /// The server decodes in a new session from the last complete position on, and describes every relation anew. What is in the
    /// open Kafka transaction stays there: of a source transaction that is in it by half, the rest is taken when it comes again.
    ///
    /// `began` is how far the log had come before the session began.
    pub(crate) fn begin_session(&mut self, began: Lsn) {
        self.assembler = Assembler::new();
        self.hold = None;
        // What was noted of a half read transaction would be noted twice.
        self.incremental.forget_chunk();
        self.progress.read_again();
        if let Some(signals) = &mut self.signals {
            // They come again with their transaction.
            drop(signals.take());
        }
        self.tables.session_begins(began);
    }
}
