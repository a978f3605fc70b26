//! What signals ask for, from their commit to the requests that stand in the position.

use postgres::catalog::{self, TableSummary};
use regex::Regex;
use tracing::{info, warn};

use super::Gatherer;
use crate::captured;
use crate::error::ConnectorError;
use crate::position::{BlockingRequest, RequestedTable};
use crate::signal::{Action, Execute, Signal, Signals};
use crate::snapshot::{Purpose, SnapshotPlan, SnapshotTable};
use crate::status::Notice;

impl Gatherer {
    /// A snapshot is asked for that is taken while the stream stands still.
    pub(super) fn is_to_stand_still(&self) -> bool {
        !self.position().requests.blocking.is_empty()
    }

    /// The transaction has committed: what its signals ask for is done, or noted as to be done.
    pub(super) async fn heed_signals(&mut self) -> Result<(), ConnectorError> {
        let signals = self.signals.as_mut().map(Signals::take).unwrap_or_default();
        for signal in signals {
            self.heed_signal("source", &signal).await?;
        }
        Ok(())
    }

    /// What a signal of a channel asks for is done, or noted as to be done.
    pub(super) async fn heed_signal(
        &mut self,
        channel: &'static str,
        signal: &Signal,
    ) -> Result<(), ConnectorError> {
        let mut unknown = Vec::new();
        match Action::parse(signal, &mut unknown) {
            Ok(action) => {
                for field in unknown {
                    warn!(
                        signal.id,
                        "`{field}` means nothing in a signal of type `{}`", signal.kind
                    );
                }
                self.act(channel, signal, action).await?;
            }
            Err(reason) => {
                let reason = format!("of type `{}`: {reason}", signal.kind);
                self.not_heeded(channel, &signal.id, &reason);
            }
        }
        Ok(())
    }

    /// A signal cannot be heeded: each is a warning, and the first of a channel a notice as well.
    pub(super) fn not_heeded(&mut self, channel: &'static str, id: &str, reason: &str) {
        warn!(
            signal.id = id,
            channel, "signal `{id}` of channel `{channel}` is not heeded: {reason}"
        );
        self.news.signals.refuse(id, reason);
        let subject = format!("signals of channel {channel}");
        // The status keeps the first of each subject only.
        if self.news.notices.iter().any(|notice| notice.subject == subject) {
            return;
        }
        self.news.notices.push(Notice {
            code: "NT008",
            subject,
            text: format!(
                "[NT008] a signal of channel `{channel}` was not heeded: `{id}`, {reason}\n  fix: write it again as docs/guides/snapshots.md says; the log has a warning for each"
            ),
        });
    }

    async fn act(
        &mut self,
        channel: &'static str,
        signal: &Signal,
        action: Action,
    ) -> Result<(), ConnectorError> {
        match action {
            Action::Log { message } => {
                let at = self.position().end_lsn.to_string();
                info!(signal.id, "{}", message.replace("{}", &at));
            }
            Action::Execute(execute) => self.request(channel, signal, execute).await?,
            Action::Stop { tables } => self.stop_incremental(signal, &tables).await?,
            Action::Pause => self.pause_incremental(signal, true).await?,
            Action::Resume => self.pause_incremental(signal, false).await?,
            Action::Window => {}
        }
        Ok(())
    }

    async fn request(
        &mut self,
        channel: &'static str,
        signal: &Signal,
        execute: Execute,
    ) -> Result<(), ConnectorError> {
        let tables = self.requested_tables(&execute).await?;
        if tables.is_empty() {
            let reason =
                "no captured table matches its `data-collections`: there is nothing to read";
            self.not_heeded(channel, &signal.id, reason);
            return Ok(());
        }
        if !execute.blocking {
            return self.add_incremental(signal, &execute, tables).await;
        }
        let names: Vec<String> =
            tables.iter().map(|table| table.table_name().to_string()).collect();
        info!(signal.id, "a blocking snapshot of {} was asked for", names.join(", "));
        self.news.signals.ask(&signal.id, names, true);
        let request = BlockingRequest { signal: signal.id.clone(), tables };
        self.position_mut().requests.blocking.push(request);
        Ok(())
    }

    /// Plans the first of the snapshots asked for. `None` if none of its tables is captured any more; then it is forgotten.
    pub(crate) async fn plan_requested_snapshot(
        &mut self,
    ) -> Result<Option<SnapshotPlan>, ConnectorError> {
        let Some(request) = self.position().requests.blocking.first().cloned() else {
            return Ok(None);
        };
        let all = catalog::list_tables(self.tables.control()).await?;
        let mut tables = Vec::new();
        for summary in captured::select(all, &self.settings) {
            let name = summary.table_name();
            if let Some(wanted) = request.tables.iter().find(|table| table.table_name() == name) {
                tables.push(SnapshotTable { summary, select: wanted.filter.clone() });
            }
        }
        if tables.is_empty() {
            warn!(
                signal.id = request.signal,
                "none of the tables of a blocking snapshot exists any more: it is given up"
            );
            self.is_over(Purpose::Requested, Err("none of its tables exists any more".to_owned()));
            return Ok(None);
        }
        let plan = SnapshotPlan::export(tables, Purpose::Requested, &self.settings).await?;
        info!(
            signal.id = request.signal,
            "reads {} tables at {}, while streaming stands still",
            plan.tables.len(),
            plan.joins_at
        );
        Ok(Some(plan))
    }

    /// A snapshot is over in the open Kafka transaction: with so many rows, or given up for a reason.
    pub(crate) fn is_over(&mut self, purpose: Purpose, outcome: Result<u64, String>) {
        if purpose == Purpose::Requested
            && let Some(request) = self.progress.position().requests.blocking.first()
        {
            self.news.signals.blocking_over(&request.signal, outcome);
        }
        purpose.fulfil(self.position_mut());
    }

    /// The captured tables that are meant, as the catalog has them now, each with the first filter that fits it.
    async fn requested_tables(
        &self,
        execute: &Execute,
    ) -> Result<Vec<RequestedTable>, ConnectorError> {
        let all = catalog::list_tables(self.tables.control()).await?;
        let captured = captured::select(all, &self.settings);
        let wanted = captured.iter().filter(|table| matches_any(&execute.tables, table));
        let requested = wanted.map(|table| {
            let fits = |pattern: &Regex| pattern.is_match(&table.table_name().to_string());
            let condition = execute.conditions.iter().find(|condition| fits(&condition.table));
            RequestedTable {
                schema: table.schema.clone(),
                name: table.name.clone(),
                filter: condition.map(|condition| condition.filter.clone()),
            }
        });
        Ok(requested.collect())
    }
}

fn matches_any(patterns: &[Regex], table: &TableSummary) -> bool {
    let name = table.table_name().to_string();
    patterns.iter().any(|pattern| pattern.is_match(&name))
}
