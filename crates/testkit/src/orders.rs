//! The table `orders` of the benchmarks: nine columns of the types that most tables have, and transactions of ten changes on it.
//!
//! In: numbers. Out: SQL, and what a reader must find in the topic. Never: a random value: the same numbers make the same rows on every
//! machine.

use serde::Deserialize;

use crate::event::Event;
use crate::session::Session;
use crate::{Failure, Result};

/// Columns of the table.
pub(crate) const COLUMNS: &str = "\
    id bigint primary key, customer_id bigint not null, status text not null, amount numeric(12,2) not null, \
    currency char(3) not null, note text, attributes jsonb, placed_at timestamptz not null, updated_at timestamp not null";

/// The values of row `i`.
pub(crate) const VALUES: &str = "\
    i, i % 9973, 'new', (i % 100000)::numeric / 100, 'EUR', \
    md5(i::text) || md5((i + 1)::text) || md5((i + 2)::text), \
    jsonb_build_object('source', 'web', 'campaign', md5(i::text), 'items', i % 7, 'gift', false), \
    '2026-01-01 00:00:00+00'::timestamptz + i * interval '1 second', '2026-01-01'::timestamp + i * interval '1 ms'";

/// Row changes of one transaction: 5 inserts, 4 updates, 1 delete.
pub(crate) const CHANGES_PER_TRANSACTION: u64 = 10;
/// Records of one transaction: a tombstone follows the delete.
const RECORDS_PER_TRANSACTION: u64 = 11;
/// Rows that are there before a writer's first transaction.
const FIRST_ROWS: u64 = 1_000;
/// Between the ids of two writers.
const WRITER_IDS: u64 = 1_000_000_000_000;

/// Creates the table with rows 1 to `rows`.
pub(crate) fn table_of(rows: u64) -> String {
    format!(
        "create table orders ({COLUMNS}); insert into orders select {VALUES} from generate_series(1, {rows}) i"
    )
}

/// Creates the table and the procedure that [`write`] calls, with the first rows of each of so many writers.
pub(crate) async fn create(session: &Session, writers: u64) -> Result<()> {
    session
        .run(&format!(
            "create table orders ({COLUMNS});
             create procedure write_orders(base bigint, from_transaction bigint, transactions bigint) language plpgsql as $$
             declare first bigint;
             begin
               for t in from_transaction .. from_transaction + transactions - 1 loop
                 first := base + {FIRST_ROWS} + t * 5;
                 insert into orders select {VALUES} from generate_series(first, first + 4) i;
                 update orders set status = 'paid', updated_at = updated_at + interval '1 hour' where id in (first, first + 1);
                 update orders set amount = amount + 1 where id in (first - 3, first - 4);
                 delete from orders where id = first - {FIRST_ROWS} + 3;
                 commit;
               end loop;
             end $$;
             insert into orders
             select base + i, i, 'old', 1.00, 'EUR', md5(i::text), '{{}}', now(), now()
             from generate_series(0, ({writers} - 1) * {WRITER_IDS}, {WRITER_IDS}) base, generate_series(1, {FIRST_ROWS} - 1) i;
             checkpoint"
        ))
        .await
}

/// Transactions of one writer, in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transactions {
    pub(crate) writer: u64,
    /// Those of this writer that were written before.
    pub(crate) from: u64,
    pub(crate) count: u64,
}

impl Transactions {
    /// Writes them, each committed by itself.
    pub(crate) async fn write(self, session: &Session) -> Result<()> {
        let base = self.writer * WRITER_IDS;
        session.run(&format!("call write_orders({base}, {}, {})", self.from, self.count)).await
    }

    /// What a reader must find of them.
    pub(crate) fn expected(self) -> Tally {
        let mut tally = Tally::default();
        for transaction in self.from..self.from + self.count {
            let first = self.writer * WRITER_IDS + FIRST_ROWS + transaction * 5;
            tally.records += RECORDS_PER_TRANSACTION;
            tally.tombstones += 1;
            // Inserts, four updates, and the delete with its tombstone.
            let inserted = 5 * first + 10;
            let updated = 2 * first + 1 + 2 * first - 7;
            let deleted = 2 * (first - FIRST_ROWS + 3);
            tally.id_sum = tally.id_sum.wrapping_add(inserted + updated + deleted);
        }
        tally
    }
}

/// What was found in the topic of the table: records that are lost or doubled change at least the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) records: u64,
    pub(crate) tombstones: u64,
    /// Sum of the ids of all records, modulo 2^64.
    pub(crate) id_sum: u64,
}

impl Tally {
    /// Counts a record in. Errors: a key without an id.
    pub(crate) fn take(&mut self, event: &Event) -> Result<()> {
        #[derive(Deserialize)]
        struct Key {
            id: u64,
        }
        let key: Key = serde_json::from_slice(event.key.as_deref().unwrap_or_default())?;
        self.records += 1;
        self.tombstones += u64::from(event.value.is_none());
        self.id_sum = self.id_sum.wrapping_add(key.id);
        Ok(())
    }

    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            records: self.records + other.records,
            tombstones: self.tombstones + other.tombstones,
            id_sum: self.id_sum.wrapping_add(other.id_sum),
        }
    }

    /// Errors: anything lost or doubled.
    pub(crate) fn expect(self, expected: Self) -> Result<()> {
        if self == expected {
            return Ok(());
        }
        Err(Failure::new(format!("the topic holds {self:?}; {expected:?} was expected")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sum_is_that_of_the_ids_one_by_one() {
        let expected = Transactions { writer: 1, from: 2, count: 2 }.expected();
        let ids = |first: u64| {
            let inserted = first..first + 5;
            let others =
                [first, first + 1, first - 3, first - 4, first - 1_000 + 3, first - 1_000 + 3];
            inserted.chain(others)
        };
        let all: Vec<u64> =
            [1_010, 1_015].into_iter().map(|id| WRITER_IDS + id).flat_map(ids).collect();
        let sum = all.iter().sum();
        assert_eq!(expected, Tally { records: all.len() as u64, tombstones: 2, id_sum: sum });
        assert!(Tally { id_sum: sum + 1, ..expected }.expect(expected).is_err());
    }
}
