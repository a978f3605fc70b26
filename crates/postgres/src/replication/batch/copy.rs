//! The temporary copy of a slot, and the statements about it.
//!
//! In: a slot and a position. Out: a session that holds a copy which stands exactly there.
//! Never here: reading of rows, decisions.
//! Source: PostgreSQL manual, "Replication Management Functions"; `copy_replication_slot` and
//! `LogicalSlotGetChangesGuts` in its source.

use pgoutput::{Lsn, PgTimestamp};

use super::super::PgoutputOptions;
use super::BatchRequest;
use super::pace::{Portion, Standing};
use crate::name::quote_literal;
use crate::session::{CommandError, Purpose, Row, Session};
use crate::sqlstate::{SlotRefusal, slot_refusal};
use crate::{ConnectionConfig, PostgresError, SlotName};

/// A name is cut here so that what makes the copy's unique has room in the 63 characters of one.
const NAME_CHARACTERS_MAX: usize = 40;

/// `work_mem` for the rows of one batch, which wait in a temporary file of the server; in memory they come no faster.
const WORK_MEM: &str = "4MB";

/// A copy of a slot, alive as long as its session.
pub(super) struct SlotCopy {
    pub(super) session: Session,
    slot: SlotName,
    name: String,
    options: PgoutputOptions,
}

impl SlotCopy {
    /// Opens the session. There is no copy yet.
    pub(super) async fn open(
        config: &ConnectionConfig,
        request: &BatchRequest,
    ) -> Result<Self, PostgresError> {
        let session = Session::open(config, Purpose::Sql).await?;
        let name = copy_name(&request.slot, session.facts.backend_pid);
        let (slot, options) = (request.slot.clone(), request.options.clone());
        let mut copy = Self { session, slot, name, options };
        copy.expect_beside(request.beside_pid).await?;
        copy.command("set work_mem", &format!("SET work_mem = '{WORK_MEM}'")).await?;
        Ok(copy)
    }

    /// Makes the copy, which will begin at `start`. Returns where it stands.
    pub(super) async fn make(&mut self, start: Lsn) -> Result<Standing, PostgresError> {
        let sql = format!(
            "SELECT pg_catalog.pg_copy_logical_replication_slot({}, {}, true)",
            quote_literal(self.slot.as_str()),
            quote_literal(&self.name)
        );
        self.command("copy the replication slot", &sql).await?;
        let name = self.name.clone();
        let mut standing = self.standing_of_slot(&name).await?;
        if standing.confirmed < start {
            let sql = advance(&self.name, start);
            self.command("advance the copy of the replication slot", &sql).await?;
            standing = self.standing_of_slot(&name).await?;
        }
        if standing.confirmed != start {
            let (slot, confirmed) = (self.slot.clone(), standing.confirmed);
            return Err(PostgresError::SlotAhead { slot, confirmed, asked: start });
        }
        Ok(standing)
    }

    /// Of several hosts, this session may have come to another than the walsender.
    async fn expect_beside(&mut self, pid: i32) -> Result<(), PostgresError> {
        let sql = format!("SELECT 1 FROM pg_catalog.pg_stat_activity WHERE pid = {pid}");
        let rows = self.command("look for the walsender", &sql).await?;
        if rows.is_empty() {
            return Err(PostgresError::Protocol {
                what: "this session came to another server than the one before".to_owned(),
            });
        }
        Ok(())
    }

    /// Where the slot itself stands. Errors: [`PostgresError::SlotAhead`] when that is past `start`.
    pub(super) async fn slot_before(&mut self, start: Lsn) -> Result<Standing, PostgresError> {
        let slot = self.slot.clone();
        let standing = self.standing_of_slot(slot.as_str()).await?;
        let confirmed = standing.confirmed;
        if confirmed > start {
            return Err(PostgresError::SlotAhead { slot, confirmed, asked: start });
        }
        Ok(standing)
    }

    /// Moves the slot itself to `start`, which is safe in Kafka, unless somebody streams from it. Else a connector that dies again and
    /// again before it has moved its slot would have every start decode what all runs before have brought.
    pub(super) async fn move_slot(&mut self, start: Lsn) -> Result<(), PostgresError> {
        let sql = format!(
            "{} FROM pg_catalog.pg_replication_slots \
             WHERE slot_name = {} AND NOT active AND confirmed_flush_lsn < '{start}'",
            advance(self.slot.as_str(), start),
            quote_literal(self.slot.as_str()),
        );
        self.command("advance the replication slot", &sql).await.map(drop)
    }

    async fn standing_of_slot(&mut self, name: &str) -> Result<Standing, PostgresError> {
        let rows = self.command("read the replication slot", &standing_query(name)).await?;
        let slot = self.slot.clone();
        rows.first().map_or(Err(PostgresError::SlotMissing { slot, source: None }), standing_of)
    }

    /// The statements that read one batch and then tell where that has led; first the slot itself is moved to
    /// `acknowledged`, if there is something new.
    pub(super) fn batch_query(&self, portion: Portion, acknowledged: Option<Lsn>) -> String {
        let moved = acknowledged.map_or_else(String::new, |flushed| {
            format!("{}; ", advance(self.slot.as_str(), flushed))
        });
        let options: Vec<String> = self
            .options
            .pairs()
            .iter()
            .flat_map(|(name, value)| [quote_literal(name), quote_literal(value)])
            .collect();
        format!(
            "{moved}COPY (SELECT lsn, data FROM pg_catalog.pg_logical_slot_get_binary_changes({}, '{}', {}, {})) \
             TO STDOUT (FORMAT binary); {}",
            quote_literal(&self.name),
            portion.upto,
            portion.messages,
            options.join(", "),
            standing_query(&self.name),
        )
    }

    /// The publications, for messages.
    pub(super) fn publications(&self) -> String {
        self.options.publications.join(", ")
    }

    async fn command(&mut self, action: &str, sql: &str) -> Result<Vec<Row>, PostgresError> {
        self.session.command(sql).await.map_err(|error| match error {
            CommandError::Refused(source) => match slot_refusal(&source.sqlstate) {
                SlotRefusal::NoneFree => PostgresError::NoFreeSlot { source },
                SlotRefusal::Missing => {
                    PostgresError::SlotMissing { slot: self.slot.clone(), source: Some(source) }
                }
                _ => CommandError::Refused(source).while_doing(action),
            },
            CommandError::Broken(error) => error,
        })
    }
}

/// Unique as long as its session lives, and so as long as the copy does.
fn copy_name(slot: &SlotName, backend_pid: i32) -> String {
    let name: String = slot.as_str().chars().take(NAME_CHARACTERS_MAX).collect();
    format!("{name}_batch_{backend_pid}")
}

fn advance(slot: &str, upto: Lsn) -> String {
    format!("SELECT pg_catalog.pg_replication_slot_advance({}, '{upto}')", quote_literal(slot))
}

fn standing_query(slot: &str) -> String {
    format!(
        "SELECT restart_lsn, confirmed_flush_lsn, \
         CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END, \
         (extract(epoch FROM clock_timestamp()) * 1000000)::int8 \
         FROM pg_catalog.pg_replication_slots WHERE slot_name = {}",
        quote_literal(slot)
    )
}

/// Reads a row of [`standing_query`].
pub(super) fn standing_of(row: &Row) -> Result<Standing, PostgresError> {
    let text = |index: usize| row.get(index).and_then(Option::as_deref);
    let lsn = |index| {
        let parsed = text(index).and_then(|text| text.parse::<Lsn>().ok());
        parsed.ok_or_else(|| malformed("pg_replication_slots"))
    };
    let clock = text(3).and_then(|text| text.parse().ok()).map(PgTimestamp::from_unix_micros);
    Ok(Standing {
        restart: lsn(0)?,
        confirmed: lsn(1)?,
        flushed: lsn(2)?,
        clock: clock.ok_or_else(|| malformed("clock_timestamp()"))?,
    })
}

fn malformed(place: &str) -> PostgresError {
    PostgresError::Protocol { what: format!("{place} does not have the shape it should have") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_of_a_long_name_still_is_a_name() {
        let slot = SlotName::new("s".repeat(63)).unwrap();
        let name = copy_name(&slot, i32::MAX);
        assert!(SlotName::new(&name).is_ok(), "{name}");
    }

    #[test]
    fn a_standing_is_read_as_the_server_writes_it() {
        let text = |text: &str| Some(text.to_owned());
        let row = vec![text("0/1"), text("0/2"), text("1/3"), text("946684800000005")];
        let standing = standing_of(&row).unwrap();
        assert_eq!(standing.restart, Lsn::new(1));
        assert_eq!(standing.flushed, Lsn::new(0x1_0000_0003));
        assert_eq!(standing.clock.micros(), 5);
        assert!(standing_of(&vec![None; 4]).is_err());
    }
}
