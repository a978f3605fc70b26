//! What goes out beside row changes: logical messages, heartbeats, notifications, notices.

use envelope::{LostEras, SourcePosition};

use super::Gatherer;
use crate::append::{Appender, no_change};
use crate::clock;
use crate::error::ConnectorError;
use crate::notification::{Aggregate, Stage};
use crate::status::StatusReporter;

impl Gatherer {
    /// A logical message of an application.
    pub(super) async fn message(
        &mut self,
        at: &SourcePosition<'_>,
        prefix: &str,
        content: &[u8],
        send: bool,
    ) -> Result<(), ConnectorError> {
        if !self.message_filter.captures(prefix) {
            return Ok(());
        }
        let topic = if let Some(topic) = &self.message_topic {
            topic.clone()
        } else {
            let topic = self.tables.topics().ensure(self.messages.topic()).await?;
            self.message_topic.insert(topic).clone()
        };
        let sent = send.then_some(&mut self.transaction);
        let mut appender = Appender::new(sent, &topic, at, self.record_bytes_max);
        self.messages.encode(
            at,
            prefix,
            content,
            &mut |record| appender.append(&record),
            &mut self.scratch,
        )?;
        appender.finish()
    }

    /// Puts a heartbeat into the open Kafka transaction. It says nothing of positions, so it may stand anywhere.
    pub(crate) async fn heartbeat(&mut self) -> Result<(), ConnectorError> {
        let Some(plan) = &mut self.heartbeat else { return Ok(()) };
        let topic = self.tables.topics().ensure(plan.topic()).await?;
        let now_ns = clock::unix_ns();
        let at = no_change(now_ns / 1000);
        let sent = Some(&mut self.transaction);
        let mut appender = Appender::new(sent, &topic, &at, self.record_bytes_max);
        plan.encode(now_ns / 1_000_000, &mut |record| appender.append(&record));
        appender.finish()
    }

    /// Tells of a stage of a snapshot, whose tables are given comma-separated.
    pub(crate) async fn notify(
        &mut self,
        aggregate: &Aggregate,
        stage: &Stage,
        tables: &str,
    ) -> Result<(), ConnectorError> {
        let Some(notifications) = &self.notifications else { return Ok(()) };
        let topic = match notifications.topic() {
            Some(name) => Some(self.tables.topics().ensure(name).await?),
            None => None,
        };
        notifications.tell(aggregate, stage, tables, topic.as_ref(), &mut self.transaction)
    }

    /// Puts into the status what events do not show as it is.
    pub(crate) fn tell(&mut self, status: &StatusReporter) {
        for notice in self.tables.take_notices().into_iter().chain(self.scratch.take_notices()) {
            status.notice(notice.into());
        }
    }

    /// Dates whose era the snapshot lost.
    pub(crate) fn lost_eras(&self) -> &LostEras {
        self.scratch.lost_eras()
    }
}
