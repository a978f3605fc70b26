//! The commands of a walsender session that come before the stream.
//!
//! Source: PostgreSQL manual, "Streaming Replication Protocol".

use std::time::Duration;

use failpoint::Check;
use pgoutput::Lsn;
use postgres_protocol::message::backend::Message;

use super::{
    CreateSlot, CreatedSlot, ReplicationConnection, SnapshotAction, SystemIdentity, TimelineSwitch,
};
use crate::name::{quote_identifier, quote_literal};
use crate::session::{CommandError, Row, server_error};
use crate::sqlstate::{SlotRefusal, slot_refusal, statement_error};
use crate::{PostgresError, ServerError, SlotName};

/// The tag of `CopyBothResponse`, which postgres-protocol does not know.
const COPY_BOTH_RESPONSE: u8 = b'W';

impl ReplicationConnection {
    /// `IDENTIFY_SYSTEM`.
    pub async fn identify_system(&mut self) -> Result<SystemIdentity, PostgresError> {
        let asked = self.session.command("IDENTIFY_SYSTEM").await;
        let rows = asked.map_err(|error| error.while_doing("identify itself"))?;
        let row = rows.first().ok_or_else(|| malformed("IDENTIFY_SYSTEM"))?;
        Ok(SystemIdentity {
            system_id: text(row, 0, "IDENTIFY_SYSTEM")?.to_owned(),
            timeline: parsed(row, 1, "IDENTIFY_SYSTEM")?,
            flushed: parsed(row, 2, "IDENTIFY_SYSTEM")?,
            database: text(row, 3, "IDENTIFY_SYSTEM")?.to_owned(),
        })
    }

    /// `TIMELINE_HISTORY`: where each timeline before `timeline` was left, oldest first. Empty for timeline 1.
    pub async fn timeline_history(
        &mut self,
        timeline: u32,
    ) -> Result<Vec<TimelineSwitch>, PostgresError> {
        if timeline <= 1 {
            return Ok(Vec::new()); // The first timeline has no history file; asking for it is an error.
        }
        let asked = self.session.command(&format!("TIMELINE_HISTORY {timeline}")).await;
        let rows = asked.map_err(|error| error.while_doing("tell its timeline's history"))?;
        let row = rows.first().ok_or_else(|| malformed("TIMELINE_HISTORY"))?;
        parse_history(text(row, 1, "TIMELINE_HISTORY")?)
    }

    /// `CREATE_REPLICATION_SLOT … LOGICAL pgoutput`. Waits until every transaction that runs now, in the whole cluster, has
    /// ended; give it a deadline of your own and look for the long one in `pg_stat_activity`.
    ///
    /// Errors: [`PostgresError::SlotExists`], [`PostgresError::NoFreeSlot`], [`PostgresError::WalLevel`],
    /// [`PostgresError::NoPrivilege`].
    pub async fn create_slot(
        &mut self,
        name: &SlotName,
        options: CreateSlot,
    ) -> Result<CreatedSlot, PostgresError> {
        let sql = create_statement(name, options);
        let rows = match self.session.patient_command(&sql).await {
            Ok(rows) => rows,
            Err(CommandError::Refused(refused)) => {
                return Err(self
                    .explain_refusal(name, "create the replication slot", refused)
                    .await);
            }
            Err(CommandError::Broken(error)) => return Err(error),
        };
        let row = rows.first().ok_or_else(|| malformed("CREATE_REPLICATION_SLOT"))?;
        Ok(CreatedSlot {
            consistent_point: parsed(row, 1, "CREATE_REPLICATION_SLOT")?,
            snapshot_name: row.get(2).cloned().flatten(),
        })
    }

    /// `DROP_REPLICATION_SLOT`; `wait` waits for its reader to leave instead of failing.
    pub async fn drop_slot(&mut self, name: &SlotName, wait: bool) -> Result<(), PostgresError> {
        let slot = quote_identifier(name.as_str());
        let sql = format!("DROP_REPLICATION_SLOT {slot}{}", if wait { " WAIT" } else { "" });
        match self.session.patient_command(&sql).await {
            Ok(_) => Ok(()),
            Err(CommandError::Refused(refused)) => {
                Err(self.explain_refusal(name, "drop the replication slot", refused).await)
            }
            Err(CommandError::Broken(error)) => Err(error),
        }
    }

    /// `wal_sender_timeout`; `None` is never.
    pub(super) async fn wal_sender_timeout(&mut self) -> Result<Option<Duration>, PostgresError> {
        let sql = "SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout'";
        let asked = self.session.command(sql).await;
        let rows = asked.map_err(|error| error.while_doing("show wal_sender_timeout"))?;
        let row = rows.first().ok_or_else(|| malformed("wal_sender_timeout"))?;
        let milliseconds: u64 = parsed(row, 0, "wal_sender_timeout")?;
        Ok((milliseconds > 0).then(|| Duration::from_millis(milliseconds)))
    }

    /// Looks at the slot first, because `START_REPLICATION` would skip what lies between without a word.
    pub(super) async fn refuse_slot_ahead(
        &mut self,
        slot: &SlotName,
        start: Lsn,
    ) -> Result<(), PostgresError> {
        let sql = format!(
            "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = {}",
            quote_literal(slot.as_str())
        );
        let asked = self.session.command(&sql).await;
        let rows = asked.map_err(|error| error.while_doing("read the replication slot"))?;
        let Some(row) = rows.first() else {
            return Err(PostgresError::SlotMissing { slot: slot.clone(), source: None });
        };
        let confirmed = match row.first() {
            Some(Some(_)) => parsed(row, 0, "confirmed_flush_lsn")?,
            _ => Lsn::ZERO,
        };
        // Zero asks for "wherever the slot stands".
        let is_ahead = start != Lsn::ZERO && confirmed > start;
        if is_ahead && !failpoint::is_out(Check::SlotAhead) {
            return Err(PostgresError::SlotAhead { slot: slot.clone(), confirmed, asked: start });
        }
        Ok(())
    }

    /// Waits for `CopyBothResponse`.
    pub(super) async fn expect_copy_both(&mut self, slot: &SlotName) -> Result<(), PostgresError> {
        const DURING: &str = "starting replication";
        let mut refused = None;
        loop {
            if self.session.wire.peek_tag(DURING).await? == COPY_BOTH_RESPONSE {
                self.session.wire.skip_message(DURING).await?;
                return Ok(());
            }
            match self.session.wire.message(DURING).await? {
                Message::ErrorResponse(body) => refused = Some(Box::new(server_error(&body))),
                Message::NoticeResponse(_) | Message::ParameterStatus(_) => {}
                Message::ReadyForQuery(_) => break,
                _ => return Err(malformed("the answer to START_REPLICATION")),
            }
        }
        match refused {
            Some(error) => Err(self.explain_refusal(slot, "start replication", error).await),
            None => Err(malformed("the answer to START_REPLICATION")),
        }
    }

    /// Asks the catalog what a refused slot command was about; the session still answers.
    async fn explain_refusal(
        &mut self,
        slot: &SlotName,
        action: &'static str,
        source: Box<ServerError>,
    ) -> PostgresError {
        let slot = slot.clone();
        match slot_refusal(&source.sqlstate) {
            SlotRefusal::Missing => PostgresError::SlotMissing { slot, source: Some(source) },
            SlotRefusal::Exists => PostgresError::SlotExists { slot },
            SlotRefusal::NoneFree => PostgresError::NoFreeSlot { source },
            SlotRefusal::Active => {
                let pid = self.slot_facts(&slot).await.and_then(|facts| facts.active_pid);
                PostgresError::SlotActive { slot, pid }
            }
            SlotRefusal::State => self.explain_state(slot, action, source).await,
            SlotRefusal::Privilege => PostgresError::NoPrivilege {
                action: action.to_owned(),
                fix: format!("ALTER ROLE {} REPLICATION;", quote_identifier(&self.user)),
                source,
            },
            SlotRefusal::Other => statement_error(action, source),
        }
    }

    /// "Not in prerequisite state" may be the server's `wal_level`, that it is a standby, or one of three things about the slot.
    async fn explain_state(
        &mut self,
        slot: SlotName,
        action: &'static str,
        source: Box<ServerError>,
    ) -> PostgresError {
        if let Ok(rows) = self.session.command("SHOW wal_level").await
            && let Some(Some(level)) = rows.first().and_then(|row| row.first())
            && level != "logical"
        {
            return PostgresError::WalLevel { wal_level: level.clone() };
        }
        if let Ok(rows) = self.session.command("SELECT pg_is_in_recovery()").await
            && rows.first().and_then(|row| row.first()) == Some(&Some("t".to_owned()))
        {
            return PostgresError::Standby { slot, source };
        }
        match self.slot_facts(&slot).await {
            Some(facts) if facts.wal_status.as_deref() == Some("lost") => {
                PostgresError::SlotLost { slot, reason: "wal_status = lost".to_owned() }
            }
            Some(facts) => match facts.foreign() {
                Some(reason) => PostgresError::SlotForeign { slot, reason },
                None => statement_error(action, source),
            },
            None => statement_error(action, source),
        }
    }

    async fn slot_facts(&mut self, slot: &SlotName) -> Option<SlotFacts> {
        let sql = format!(
            "SELECT active_pid, wal_status, slot_type, plugin, database, current_database() \
             FROM pg_replication_slots WHERE slot_name = {}",
            quote_literal(slot.as_str())
        );
        // Only explains an error that is told in any case; if this fails as well, that one is told without explanation.
        let rows = self.session.command(&sql).await.ok()?;
        let mut row = rows.into_iter().next()?.into_iter();
        let mut next = || row.next().flatten();
        Some(SlotFacts {
            active_pid: next().and_then(|pid| pid.parse().ok()),
            wal_status: next(),
            slot_type: next(),
            plugin: next(),
            database: next(),
            current_database: next(),
        })
    }
}

struct SlotFacts {
    active_pid: Option<i32>,
    wal_status: Option<String>,
    slot_type: Option<String>,
    plugin: Option<String>,
    database: Option<String>,
    current_database: Option<String>,
}

impl SlotFacts {
    /// Why the slot is not one of ours, if so.
    fn foreign(&self) -> Option<String> {
        if self.slot_type.as_deref() != Some("logical") {
            return Some("it is a physical slot".to_owned());
        }
        if self.database != self.current_database {
            let database = self.database.as_deref().unwrap_or("none");
            return Some(format!("it belongs to database `{database}`"));
        }
        let plugin = self.plugin.as_deref().unwrap_or("none");
        (plugin != "pgoutput").then(|| format!("its output plugin is `{plugin}`, not pgoutput"))
    }
}

/// The old grammar, which every version takes, unless an option needs the new one.
fn create_statement(name: &SlotName, options: CreateSlot) -> String {
    let slot = quote_identifier(name.as_str());
    let temporary = if options.temporary { " TEMPORARY" } else { "" };
    let rest = match (options.failover, options.snapshot) {
        (false, SnapshotAction::Export) => "EXPORT_SNAPSHOT",
        (false, SnapshotAction::NoExport) => "NOEXPORT_SNAPSHOT",
        (true, SnapshotAction::Export) => "(SNAPSHOT 'export', FAILOVER true)",
        (true, SnapshotAction::NoExport) => "(SNAPSHOT 'nothing', FAILOVER true)",
    };
    format!("CREATE_REPLICATION_SLOT {slot}{temporary} LOGICAL pgoutput {rest}")
}

/// A history file: one line per timeline that ended, `id · switch position · reason`, and comments.
fn parse_history(content: &str) -> Result<Vec<TimelineSwitch>, PostgresError> {
    let lines = content.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            let timeline = words.next().and_then(|word| word.parse().ok());
            let switch_lsn = words.next().and_then(|word| word.parse().ok());
            match (timeline, switch_lsn) {
                (Some(timeline), Some(switch_lsn)) => Ok(TimelineSwitch { timeline, switch_lsn }),
                _ => Err(malformed("a timeline history file")),
            }
        })
        .collect()
}

fn malformed(place: &str) -> PostgresError {
    PostgresError::Protocol { what: format!("{place} does not have the shape it should have") }
}

fn text<'a>(row: &'a Row, index: usize, place: &str) -> Result<&'a str, PostgresError> {
    row.get(index).and_then(Option::as_deref).ok_or_else(|| malformed(place))
}

fn parsed<T: std::str::FromStr>(row: &Row, index: usize, place: &str) -> Result<T, PostgresError> {
    text(row, index, place)?.parse().map_err(|_| malformed(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_file_lists_every_switch() {
        let content =
            "1\t0/3000158\tno recovery target specified\n\n# comment\n2\tA/30001F0\tbefore 2000\n";
        let history = parse_history(content).unwrap();
        let switches: Vec<_> =
            history.iter().map(|item| (item.timeline, item.switch_lsn.to_string())).collect();
        assert_eq!(switches, [(1, "0/3000158".to_owned()), (2, "A/30001F0".to_owned())]);
        assert!(parse_history("x y").is_err());
    }

    #[test]
    fn only_failover_needs_the_new_grammar() {
        let name = SlotName::new("s").unwrap();
        let mut options =
            CreateSlot { snapshot: SnapshotAction::Export, temporary: true, failover: false };
        let old = "CREATE_REPLICATION_SLOT \"s\" TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT";
        assert_eq!(create_statement(&name, options), old);
        options.failover = true;
        assert!(create_statement(&name, options).ends_with("(SNAPSHOT 'export', FAILOVER true)"));
    }
}
