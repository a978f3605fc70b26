//! Tables `t0`, `t1`, … of a key and a payload, and rows for them in turns.
//!
//! In: numbers. Out: rows 1 to so many, each in one of the tables. Payloads are hexadecimal digits that no compressor of the way can shorten
//! much; PostgreSQL must not either. Never: a random value.

use crate::Result;
use crate::session::Session;

/// Tables made in one transaction.
const TABLES_AT_ONCE: u64 = 100;

/// Rows to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    pub(crate) count: u64,
    /// Characters of each payload, 2 to 1,000,000.
    pub(crate) payload_bytes: u64,
    /// The transactions go to so many tables in turns.
    pub(crate) tables: u64,
    /// Rows of each transaction, the last one perhaps less.
    pub(crate) per_transaction: u64,
}

/// Creates the tables, and the procedure that writes.
pub(crate) async fn create(session: &Session, tables: u64) -> Result<()> {
    let all: Vec<u64> = (0..tables).collect();
    for some in all.chunks(usize::try_from(TABLES_AT_ONCE)?) {
        let table = |number: &u64| {
            format!(
                "create table t{number} (id bigint primary key, payload text);
                 alter table t{number} alter payload set storage external;"
            )
        };
        session.run(&some.iter().map(table).collect::<String>()).await?;
    }
    session
        .run(
            "create procedure write_rows(rows bigint, payload_bytes bigint, tables bigint, per_transaction bigint)
             language plpgsql as $$
             declare
               pool bytea := (select string_agg(decode(md5(i::text), 'hex'), '' order by i) from generate_series(1, 65536) i);
               span bigint := length(pool) - payload_bytes / 2 + 1;
               turn bigint := 0;
               first bigint := 1;
               last bigint;
             begin
               while first <= rows loop
                 last := least(first + per_transaction - 1, rows);
                 execute format('insert into t%s select i, encode(substring($1 from 1 + (i * 7919 %% $2)::int for $3), ''hex'') from generate_series($4, $5) i', turn % tables)
                   using pool, span, (payload_bytes / 2)::int, first, last;
                 commit;
                 first := last + 1;
                 turn := turn + 1;
               end loop;
             end $$",
        )
        .await
}

impl Rows {
    /// Writes all of them.
    pub(crate) async fn write(self, session: &Session) -> Result<()> {
        let Self { count, payload_bytes, tables, per_transaction } = self;
        session.run("set synchronous_commit = off").await?;
        session
            .run(&format!("call write_rows({count}, {payload_bytes}, {tables}, {per_transaction})"))
            .await
    }
}
