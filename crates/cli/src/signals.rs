//! SIGINT and SIGTERM ask for a graceful stop, SIGHUP for the configuration to be read again.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::CliError;

/// Both signals as one.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Starts to listen; from now on neither signal ends the process by itself.
    pub(crate) fn listen() -> Result<Self, CliError> {
        let open = |kind| signal(kind).map_err(|cause| CliError::Signals { cause });
        Ok(Self {
            interrupt: open(SignalKind::interrupt())?,
            terminate: open(SignalKind::terminate())?,
        })
    }

    /// The next of them. Cancel-safe.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// SIGHUP.
pub(crate) struct Hangups {
    hangup: Signal,
}

impl Hangups {
    /// Starts to listen; from now on the signal does not end the process.
    pub(crate) fn listen() -> Result<Self, CliError> {
        let hangup = signal(SignalKind::hangup()).map_err(|cause| CliError::Signals { cause })?;
        Ok(Self { hangup })
    }

    /// The next of them. Cancel-safe.
    pub(crate) async fn next(&mut self) {
        self.hangup.recv().await;
    }
}
