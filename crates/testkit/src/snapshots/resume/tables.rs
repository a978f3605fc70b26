//! The tables of the proof: one with values stored out of line, one without a key, one in partitions, one with a key of two columns.
//!
//! Each row has a number `w`, by which writers find it through an index of its own, so that what the key's index or a scan gives
//! was read by the connector; and `n` from one sequence, so that a newer row has a larger one.

use std::fmt;

use rand::Rng;
use rand::rngs::StdRng;

use crate::session::Session;
use crate::{Failure, Result};

/// A table, and the columns that tell its rows apart in its topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// The tables that hold its rows; each has a topic.
    pub(super) leaves: &'static [&'static str],
    /// Columns of the key, or the column that stands for one that the table has not.
    pub(super) identity: &'static [&'static str],
    /// Whether its events have a key.
    pub(super) is_keyed: bool,
    create: &'static str,
    /// Columns of row `w`.
    values: &'static str,
    /// Assignments, one of which an update makes.
    updates: &'static [&'static str],
}

pub(super) const TABLES: [Table; 4] = [
    Table {
        name: "document",
        leaves: &["document"],
        identity: &["id"],
        is_keyed: true,
        create: "create table document (id bigint primary key, w bigint not null, n bigint not null, title text not null, body text not null);
                 alter table document alter column body set storage external",
        values: "w, w, nextval('version'), repeat('t', 300) || w, (select string_agg(md5(w::text || i), '') from generate_series(1, case w % 8 when 0 then 100 else 2 end) i)",
        // The body stays as it is in most of them, and then it is not in the event.
        updates: &[
            "title = title || '.'",
            "title = 'title ' || w",
            "title = 'another ' || w",
            "body = (select string_agg(md5(w::text || n || i), '') from generate_series(1, 100) i)",
        ],
    },
    Table {
        name: "trail",
        leaves: &["trail"],
        identity: &["w"],
        is_keyed: false,
        create: "create table trail (w bigint not null, n bigint not null, note text); alter table trail replica identity full",
        values: "w, nextval('version'), repeat('n', 400) || w",
        updates: &["note = note || '.'", "note = null"],
    },
    Table {
        name: "visit",
        leaves: &["visit_0", "visit_1", "visit_2"],
        identity: &["id", "region"],
        is_keyed: true,
        create: "create table visit (id bigint not null, region int not null, w bigint not null, n bigint not null, note text, primary key (id, region)) partition by list (region);
                 create table visit_0 partition of visit for values in (0);
                 create table visit_1 partition of visit for values in (1);
                 create table visit_2 partition of visit for values in (2)",
        values: "w, (w % 3)::int, w, nextval('version'), repeat('v', 400)",
        updates: &["note = 'seen ' || n", "region = (region + 1) % 3"],
    },
    Table {
        name: "pair",
        leaves: &["pair"],
        identity: &["a", "b"],
        is_keyed: true,
        create: "create table pair (a int not null, b text not null, w bigint not null, n bigint not null, note text not null, primary key (a, b))",
        values: "(w % 97)::int, 'b' || w, w, nextval('version'), repeat('p', 400)",
        updates: &["note = 'note ' || n", "note = note || '.'", "b = 'b' || w || '-' || n"],
    },
];

/// Creates the tables with `rows` rows each. Nothing but the connector reads them by a scan: neither autovacuum nor statistics.
pub(super) async fn create(session: &Session, rows: u64) -> Result<()> {
    session.run("create sequence version").await?;
    for table in TABLES {
        let (name, values) = (table.name, table.values);
        session
            .run(&format!(
                "{}; create index {name}_w on {name} (w);
                 insert into {name} select {values} from generate_series(1, {rows}) w; analyze {name}",
                table.create
            ))
            .await?;
        for leaf in table.leaves {
            session.run(&format!("alter table {leaf} set (autovacuum_enabled = off)")).await?;
        }
    }
    Ok(())
}

/// The most rows that so many bytes of one of the tables have.
pub(super) async fn rows_in(session: &Session, bytes: u64) -> Result<u64> {
    let leaves = TABLES.iter().flat_map(|table| table.leaves);
    let leaves: Vec<String> = leaves.map(|leaf| format!("'{leaf}'")).collect();
    let query = format!(
        "select max(ceil(reltuples * least(1, {bytes}::float / pg_relation_size(oid))))::bigint from pg_class where relname in ({})",
        leaves.join(", ")
    );
    let rows = session.text(&query).await?;
    rows.and_then(|rows| rows.parse().ok()).ok_or_else(|| Failure::new("tables without rows"))
}

/// A transaction of one to three changes. Rows that writers insert have numbers of their own.
pub(super) fn transaction(random: &mut StdRng, rows: u64, next: &mut u64) -> String {
    let mut statements = Vec::new();
    for _ in 0..random.random_range(1..4) {
        let table = TABLES[random.random_range(0..TABLES.len())];
        let name = table.name;
        let w = random.random_range(1..=rows);
        statements.push(match random.random_range(0..10) {
            0 => {
                *next += 1;
                let values = table.values;
                format!("insert into {name} select {values} from (values ({next}::bigint)) row(w)")
            }
            1 => format!("delete from {name} where w = {w}"),
            _ => {
                let update = table.updates[random.random_range(0..table.updates.len())];
                format!("update {name} set {update}, n = nextval('version') where w = {w}")
            }
        });
    }
    statements.join("; ")
}

/// Rows of a table that somebody read.
#[derive(Clone, Debug)]
pub(super) struct Reads {
    table: &'static str,
    /// By scans of the table or a part of it.
    scanned: u64,
    /// By the index of the key.
    by_key: u64,
    /// Rows there were: at the beginning, and those inserted since.
    pub(super) rows: u64,
}

impl Reads {
    /// Leaves out what was read and inserted before; `rows` were there then.
    pub(super) fn begin_after(&mut self, before: &Self, rows: u64) {
        self.scanned -= before.scanned;
        self.by_key -= before.by_key;
        self.rows = self.rows - before.rows + rows;
    }

    pub(super) fn total(&self) -> u64 {
        self.scanned + self.by_key
    }
}

impl fmt::Display for Reads {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: {} rows, read at the source {} ({} by scans, {} by key)",
            self.table,
            self.rows,
            self.total(),
            self.scanned,
            self.by_key
        )
    }
}

/// What was read of each table and inserted into it so far. Writers read by the index on `w` only.
pub(super) async fn reads(session: &Session) -> Result<Vec<Reads>> {
    let mut all = Vec::new();
    for table in TABLES {
        let leaves: Vec<String> = table.leaves.iter().map(|leaf| format!("'{leaf}'")).collect();
        let leaves = leaves.join(", ");
        let query = format!(
            "select (select sum(seq_tup_read) from pg_stat_user_tables where relname in ({leaves})),
                    (select coalesce(sum(idx_tup_read), 0) from pg_stat_user_indexes i join pg_index x using (indexrelid)
                     where relname in ({leaves}) and x.indisprimary),
                    (select sum(n_tup_ins) from pg_stat_user_tables where relname in ({leaves}))"
        );
        let found = session.rows(&query).await?;
        let number = |column: usize| -> u64 {
            let text = found.first().and_then(|row| row.get(column));
            text.and_then(|text| text.parse().ok()).unwrap_or_default()
        };
        let reads =
            Reads { table: table.name, scanned: number(0), by_key: number(1), rows: number(2) };
        all.push(reads);
    }
    Ok(all)
}
