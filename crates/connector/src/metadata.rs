//! The records that begin and end each source transaction, on their way into the same Kafka transactions as its changes.
//!
//! In: begin and commit of the stream. Out: a BEGIN before the first change, an END with the counts after the last.
//! After a restart inside a source transaction its BEGIN is not sent again, and what was sent before still counts.
//! Source: Debezium documentation, "Transaction metadata".

use std::sync::Arc;

use envelope::{EncoderSettings, Record, Scratch, TransactionPlan};
use kafka::{Topic, Transaction};
use pgoutput::{Begin, Lsn};

use crate::append::{Appender, no_change};
use crate::error::ConnectorError;
use crate::oversized::RecordLimits;
use crate::schemas::Schemas;
use crate::settings::Settings;

/// State of the source transaction that is being read, as its records need it.
pub(crate) struct TransactionRecords {
    plan: TransactionPlan,
    /// Where its BEGIN message stands.
    begin_lsn: Lsn,
    committed_at_unix_us: i64,
    /// BEGIN is in Kafka, or on its way.
    begun: bool,
    limits: RecordLimits,
}

impl TransactionRecords {
    /// `None` unless `provide.transaction.metadata` is on.
    pub(crate) fn new(
        settings: &Settings,
        encoder: &Arc<EncoderSettings>,
    ) -> Result<Option<Self>, ConnectorError> {
        let Some(topic) = settings.transaction_topic.as_deref() else { return Ok(None) };
        Ok(Some(Self {
            plan: TransactionPlan::compile(encoder, topic)?,
            begin_lsn: Lsn::ZERO,
            committed_at_unix_us: 0,
            begun: true,
            limits: RecordLimits::fixed(&settings.producer),
        }))
    }

    /// Has the schemas of these records registered, the first time.
    pub(crate) async fn identify(&mut self, schemas: &mut Schemas) -> Result<(), ConnectorError> {
        schemas.identify(self.plan.frames()).await
    }

    /// Name of the topic of these records.
    pub(crate) fn topic(&self) -> &str {
        self.plan.topic()
    }

    /// The open source transaction needs no BEGIN any more; or none is open.
    pub(crate) fn is_begun(&self) -> bool {
        self.begun
    }

    /// A source transaction begins at `begin_lsn`. If it `resumes`, its BEGIN was sent before a restart.
    pub(crate) fn open(
        &mut self,
        begin: &Begin,
        begin_lsn: Lsn,
        resumes: bool,
        scratch: &mut Scratch,
    ) {
        scratch.begin_transaction(begin.xid);
        self.begin_lsn = begin_lsn;
        self.committed_at_unix_us = begin.committed_at.unix_micros();
        self.begun = resumes;
    }

    /// Puts BEGIN into the open Kafka transaction.
    pub(crate) fn begin(
        &mut self,
        topic: &Topic,
        transaction: &mut Transaction,
        scratch: &mut Scratch,
    ) -> Result<(), ConnectorError> {
        self.begun = true;
        let at = no_change(self.committed_at_unix_us);
        let mut appender = Appender::new(Some(transaction), topic, &at, &mut self.limits);
        let unix_ms = self.committed_at_unix_us / 1000;
        let mut append = |record: Record<'_>| appender.append(&record);
        self.plan.begin(self.begin_lsn, unix_ms, &mut append, scratch);
        appender.finish()
    }

    /// Puts END into the open Kafka transaction; the COMMIT message stands at `commit_lsn`.
    pub(crate) fn end(
        &mut self,
        commit_lsn: Lsn,
        topic: &Topic,
        transaction: &mut Transaction,
        scratch: &mut Scratch,
    ) -> Result<(), ConnectorError> {
        let at = no_change(self.committed_at_unix_us);
        let mut appender = Appender::new(Some(transaction), topic, &at, &mut self.limits);
        let unix_ms = self.committed_at_unix_us / 1000;
        self.plan.end(commit_lsn, unix_ms, &mut |record| appender.append(&record), scratch);
        appender.finish()
    }
}
