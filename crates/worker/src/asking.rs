//! What a group does for a connector that needs the connector's secrets, whichever worker runs it: a signal written, both sides looked at.
//!
//! In: a connector's name, a wish. Out: what came of it. Any worker of the group does it, for each knows every configuration.
//! Never: a secret in what comes out.

use connector::check::{self, Report, Severity};
use connector::{SentSignal, WrittenSignal, send_signal};

use crate::error::GroupError;
use crate::group::Group;
use crate::view::ConnectorView;
use crate::wanted::{Config, Patch, patched};

/// What is found of a slot that somebody reads.
const SLOT_IN_USE: &str = "PG011";

impl Group {
    /// Writes a signal where the connector heeds it: into its topic of signals.
    ///
    /// Errors: [`GroupError::NoSignalTopic`] with another way, [`GroupError::NotFound`], those of its configuration and of Kafka.
    pub async fn signal(
        &self,
        name: &str,
        signal: &WrittenSignal,
        id: &str,
    ) -> Result<SentSignal, GroupError> {
        let settings = self.settings(name, &self.connector(name)?.wanted.config)?;
        let Some(wanted) = &settings.signal_channels.kafka else {
            let table = settings.signals.as_ref().map(|signals| &signals.table);
            let statement = table.map(|table| signal.to_insert(table, id));
            return Err(GroupError::NoSignalTopic { name: name.to_owned(), statement });
        };
        let sent = send_signal(&settings, wanted, signal, id).await;
        sent.map_err(|cause| GroupError::Connector(cause.into()))
    }

    /// Looks at both sides of a connector; a configuration that cannot be used is a report too.
    ///
    /// Errors: [`GroupError::NotFound`], [`GroupError::OtherName`].
    pub async fn check(&self, name: &str) -> Result<Report, GroupError> {
        let view = self.connector(name)?;
        self.check_config(&view, &view.wanted.config).await
    }

    /// Looks at both sides as if some keys had been changed; the configuration that would be, and what is found.
    ///
    /// Errors: [`GroupError::NotFound`], [`GroupError::OtherName`].
    pub async fn plan(&self, name: &str, patch: &Patch) -> Result<(Config, Report), GroupError> {
        let view = self.connector(name)?;
        let config = patched(&view.wanted.config, patch);
        let report = self.check_config(&view, &config).await?;
        Ok((config, report))
    }

    async fn check_config(
        &self,
        view: &ConnectorView,
        config: &Config,
    ) -> Result<Report, GroupError> {
        let mut report = match self.settings(&view.name, config) {
            Ok(settings) => Box::pin(check::check(&settings)).await,
            Err(GroupError::Invalid(invalid)) => Report::of_invalid(&invalid),
            Err(other) => return Err(other),
        };
        if view.is_running() {
            // Who reads the slot is the connector itself.
            report.findings.retain(|finding| {
                finding.code != SLOT_IN_USE || finding.severity != Severity::Warning
            });
        }
        Ok(report)
    }
}
