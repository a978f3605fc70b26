//! What goes out beside row changes: logical messages, transaction metadata, heartbeats, notifications, notices.

use envelope::{LostEras, SourcePosition};
use pgoutput::Lsn;

use super::Gatherer;
use crate::append::{Appender, no_change};
use crate::clock;
use crate::error::ConnectorError;
use crate::notification::{Aggregate, Stage};
use crate::status::StatusReporter;
use crate::tables::Tables;

impl Gatherer {
    /// The captured tables.
    pub(crate) fn tables(&mut self) -> &mut Tables {
        &mut self.tables
    }

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
            self.tables.schemas().identify(self.messages.frames()).await?;
            self.message_topic.insert(topic).clone()
        };
        let sent = send.then_some(&mut self.transaction);
        let mut appender = Appender::new(sent, &topic, at, &mut self.limits);
        self.messages.encode(
            at,
            prefix,
            content,
            &mut |record| appender.append(&record),
            &mut self.scratch,
        )?;
        appender.finish()
    }

    /// The record that begins the open source transaction goes before its first change, so that every position behind it
    /// counts at least that change.
    pub(super) async fn announce_begin(&mut self) -> Result<(), ConnectorError> {
        let Some(metadata) = &mut self.metadata else { return Ok(()) };
        if metadata.is_begun() {
            return Ok(());
        }
        let topic = self.tables.topics().ensure(metadata.topic()).await?;
        metadata.identify(self.tables.schemas()).await?;
        metadata.begin(&topic, &mut self.transaction, &mut self.scratch)
    }

    /// The record that ends the open source transaction, after its last change.
    pub(super) async fn announce_end(&mut self, commit_lsn: Lsn) -> Result<(), ConnectorError> {
        self.announce_begin().await?;
        let Some(metadata) = &mut self.metadata else { return Ok(()) };
        let topic = self.tables.topics().ensure(metadata.topic()).await?;
        metadata.identify(self.tables.schemas()).await?;
        metadata.end(commit_lsn, &topic, &mut self.transaction, &mut self.scratch)
    }

    /// Puts a heartbeat into the open Kafka transaction. It says nothing of positions, so it may stand anywhere.
    pub(crate) async fn heartbeat(&mut self) -> Result<(), ConnectorError> {
        let Some(plan) = &mut self.heartbeat else { return Ok(()) };
        let topic = self.tables.topics().ensure(plan.topic()).await?;
        self.tables.schemas().identify(plan.frames()).await?;
        let now_ns = clock::unix_ns();
        let at = no_change(now_ns / 1000);
        let sent = Some(&mut self.transaction);
        let mut appender = Appender::new(sent, &topic, &at, &mut self.limits);
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
        let Some(notifications) = &mut self.notifications else { return Ok(()) };
        let topic = match notifications.topic() {
            Some(name) => Some(self.tables.topics().ensure(name).await?),
            None => None,
        };
        notifications.identify(self.tables.schemas()).await?;
        notifications.tell(aggregate, stage, tables, topic.as_ref(), &mut self.transaction)
    }

    /// Puts into the status what events do not show as it is.
    pub(crate) fn tell(&mut self, status: &StatusReporter) {
        for notice in self.tables.take_notices().into_iter().chain(self.scratch.take_notices()) {
            status.notice(notice.into());
        }
        for notice in self.news.notices.drain(..).chain(self.limits.take_notices()) {
            status.notice(notice);
        }
        status.incremental(self.incremental_status());
    }

    /// Dates whose era the snapshot lost.
    pub(crate) fn lost_eras(&self) -> &LostEras {
        self.scratch.lost_eras()
    }
}
