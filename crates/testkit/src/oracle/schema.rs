//! The tables of the oracle, and the journal that knows the truth.
//!
//! Each table has a key, a `version` that no other row version has, and a `counter` of the versions of its row. A trigger
//! writes one journal row per row change, in the same transaction, so a rollback (also one to a savepoint) takes it back.
//! The journal's `seq` grows in commit order for each key: a second transaction can touch a key only after the first has
//! ended, because of the row's lock or the unique index. A TRUNCATE locks out all others until its transaction has ended, so its
//! place among the changes of every key is known too.

use crate::session::Session;
use crate::{Failure, Result};

/// A captured table: name, key columns, and how rows are made.
#[derive(Debug)]
pub struct Table {
    /// Its name in schema `public`.
    pub name: &'static str,
    /// Statement that creates it, without the columns all tables have.
    create: &'static str,
    /// Its key as an SQL text expression over the row `{row}`.
    key: &'static str,
    /// Columns and values of an insert for key number `n`, without the columns all tables have.
    pub columns: &'static str,
    /// Values of those columns for key number `n`.
    pub values: &'static str,
    /// Condition that finds key number `n`.
    pub find: &'static str,
    /// Assignment that changes the key to number `n`.
    pub change_key: &'static str,
    /// Assignments of an ordinary update.
    pub update: &'static str,
}

/// The one of [`TABLES`] that is emptied now and then.
pub(super) const SCRATCH: usize = 3;

/// A plain table, one with a composite key that logs whole old rows, one with values stored out of line, and one that is emptied now
/// and then where the run says so.
pub const TABLES: [Table; 4] = [
    Table {
        name: "account",
        create: "create table public.account (id bigint primary key, balance numeric(12,2), note text",
        key: "{row}.id::text",
        columns: "id, balance, note",
        values: "n, (random() * 1000)::numeric(12,2), 'note ' || n",
        find: "id = n",
        change_key: "id = n",
        update: "balance = balance + 1",
    },
    Table {
        name: "item",
        create: "create table public.item (a int, b text, primary key (a, b), tags text[]",
        key: "{row}.a || ',' || {row}.b",
        columns: "a, b, tags",
        values: "(n % 97)::int, 'b' || n, array['x', n::text]",
        find: "a = (n % 97)::int and b = 'b' || n",
        change_key: "a = (n % 97)::int, b = 'b' || n",
        update: "tags = array[a::text, b]",
    },
    Table {
        name: "document",
        create: "create table public.document (id uuid primary key, title text, body text",
        key: "{row}.id::text",
        columns: "id, title, body",
        values: "md5(n::text)::uuid, 'title ' || n, (select string_agg(md5(n::text || i), '') from generate_series(1, case n % 50 when 0 then 120 else 2 end) i)",
        find: "id = md5(n::text)::uuid",
        change_key: "id = md5(n::text)::uuid",
        update: "title = title || '.'",
    },
    Table {
        name: "scratch",
        create: "create table public.scratch (id int primary key, note text",
        key: "{row}.id::text",
        columns: "id, note",
        values: "n::int, 'scratch ' || n",
        find: "id = n",
        change_key: "id = n",
        update: "note = note || '.'",
    },
];

impl Table {
    /// An insert of the key numbers that the query `numbers` gives in a column `n`; keys that exist are left alone.
    pub fn insert(&self, numbers: &str) -> String {
        format!(
            "insert into public.{}({}, version, counter) select {}, nextval('oracle.version'), 1 from ({numbers}) numbers(n) on conflict do nothing",
            self.name, self.columns, self.values
        )
    }

    /// The condition for one key number.
    pub fn key_is(&self, number: u64) -> String {
        replace_number(self.find, number)
    }

    /// The assignment of one key number.
    pub fn key_becomes(&self, number: u64) -> String {
        replace_number(self.change_key, number)
    }

    /// Query for all rows: key as text, version, counter.
    pub fn content(&self) -> String {
        let key = self.key.replace("{row}", "t");
        format!("select {key}, version, counter from public.{} t", self.name)
    }
}

/// Puts a number in the place of the word `n`.
fn replace_number(text: &str, number: u64) -> String {
    let words: Vec<String> = text
        .split_inclusive(|letter: char| !letter.is_ascii_alphanumeric())
        .map(|word| {
            let (head, tail) = word.split_at(word.len().min(1));
            let is_number =
                head == "n" && !tail.starts_with(|letter: char| letter.is_ascii_alphanumeric());
            if is_number { format!("{number}{tail}") } else { word.to_owned() }
        })
        .collect();
    words.concat()
}

/// Creates tables, triggers and journal, and `rows` rows in each table.
pub(super) async fn create(session: &Session, rows: u64) -> Result<()> {
    session
        .run(
            "create schema oracle;
             create sequence oracle.version cache 100;
             create table oracle.journal (
               seq bigserial primary key, xid bigint not null, table_name text not null, operation \"char\" not null,
               old_key text, new_key text, version bigint not null, counter bigint not null)",
        )
        .await?;
    for table in &TABLES {
        let name = table.name;
        let (old, new) = (table.key.replace("{row}", "old"), table.key.replace("{row}", "new"));
        session
            .run(&format!(
                "{}, version bigint not null, counter bigint not null);
                 create function oracle.journal_{name}() returns trigger language plpgsql as $$
                 begin
                   if tg_op = 'INSERT' then
                     insert into oracle.journal(xid, table_name, operation, new_key, version, counter)
                       values (pg_current_xact_id()::text::bigint, '{name}', 'c', {new}, new.version, new.counter);
                   elsif tg_op = 'UPDATE' then
                     insert into oracle.journal(xid, table_name, operation, old_key, new_key, version, counter)
                       values (pg_current_xact_id()::text::bigint, '{name}', 'u', {old}, {new}, new.version, new.counter);
                   else
                     insert into oracle.journal(xid, table_name, operation, old_key, version, counter)
                       values (pg_current_xact_id()::text::bigint, '{name}', 'd', {old}, old.version, old.counter);
                   end if;
                   return null;
                 end $$;
                 create trigger journal after insert or update or delete on public.{name}
                   for each row execute function oracle.journal_{name}();
                 create function oracle.journal_{name}_emptied() returns trigger language plpgsql as $$
                 begin
                   insert into oracle.journal(xid, table_name, operation, version, counter)
                     values (pg_current_xact_id()::text::bigint, '{name}', 't', 0, 0);
                   return null;
                 end $$;
                 create trigger emptied after truncate on public.{name}
                   for each statement execute function oracle.journal_{name}_emptied()",
                table.create
            ))
            .await?;
        session.run(&table.insert(&format!("select * from generate_series(1, {rows})"))).await?;
    }
    session.run("alter table public.item replica identity full; analyze").await
}

/// One row change that PostgreSQL committed.
#[derive(Clone, Debug)]
pub struct JournalEntry {
    /// Transaction that made it.
    pub xid: u64,
    /// Index into [`TABLES`].
    pub table: usize,
    /// `c`, `u`, `d`, or `t` for a table that was emptied.
    pub operation: char,
    /// Key before; absent for `c` and `t`.
    pub old_key: Option<String>,
    /// Key after; absent for `d` and `t`.
    pub new_key: Option<String>,
    /// Version written, or the version deleted; 0 for `t`.
    pub version: i64,
    /// Counter written, or the counter deleted; 0 for `t`.
    pub counter: i64,
}

/// The whole journal in order of `seq`.
pub(super) async fn journal(session: &Session) -> Result<Vec<JournalEntry>> {
    let query = "select xid, table_name, operation::text, old_key, new_key, version, counter from oracle.journal order by seq";
    let rows = session.query(query, &[]).await?;
    let entries = rows.iter().map(|row| {
        let name: &str = row.get(1);
        let table = TABLES.iter().position(|table| table.name == name);
        let operation: &str = row.get(2);
        Ok(JournalEntry {
            xid: row.get::<_, i64>(0).cast_unsigned(),
            table: table.ok_or_else(|| Failure::new(format!("journal names table {name}")))?,
            operation: operation.chars().next().unwrap_or('?'),
            old_key: row.get(3),
            new_key: row.get(4),
            version: row.get(5),
            counter: row.get(6),
        })
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_word_n_is_replaced_by_the_number() {
        assert_eq!(TABLES[1].key_is(7), "a = (7 % 97)::int and b = 'b' || 7");
        assert_eq!(TABLES[2].key_is(7), "id = md5(7::text)::uuid");
    }
}
