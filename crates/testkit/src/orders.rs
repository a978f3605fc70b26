//! The table `orders` of the benchmarks: nine columns of the types that most tables have.
//!
//! In: numbers. Out: SQL. Never: a random value: the same numbers make the same rows on every machine.

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

/// Creates the table with rows 1 to `rows`.
pub(crate) fn table_of(rows: u64) -> String {
    format!(
        "create table orders ({COLUMNS}); insert into orders select {VALUES} from generate_series(1, {rows}) i"
    )
}
