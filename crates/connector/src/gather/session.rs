//! Where the server describes relations anew: after another way of reading was chosen, with each batch, and in each transaction
//! that it sent before it committed.

use pgoutput::{Assembler, Lsn};

use super::Gatherer;

impl Gatherer {
    /// Whether what follows was kept until it committed. The server describes every relation anew in such a transaction, too.
    #[inline]
    pub(crate) fn is_replayed(&mut self, is_replayed: bool) {
        self.replayed = is_replayed;
    }

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
