//! What one compared table looks like at a point of the script.
//!
//! In: random numbers. Out: statements that fit the table as it is then. Never: a look at the server; everything follows
//! from the seed.

use std::fmt::Write as _;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, IteratorRandom};

use super::types::ColumnType;

const NULL_CHANCE: f64 = 0.15;
const OMIT_CHANCE: f64 = 0.1;
const SET_MOST: usize = 6;
/// How often a default is a call, where the type has one.
const FUNCTION_CHANCE: f64 = 0.3;
/// Ends of names that must be quoted, for some of the columns.
pub(super) const ODD_NAMES: [&str; 4] = ["Upper", "with space", "ünï", "sel\"ect"];

/// Primary keys that a table with a column `part` can have.
pub(super) const KEYS: [&str; 3] = ["part, id", "id, part", "id"];

/// A table and the rows it has.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// It has a second column for the key, `part`, beside `id`.
    pub(super) composite: bool,
    /// Columns of the primary key; `None` without one.
    pub(super) key: Option<&'static str>,
    pub(super) columns: Vec<Column>,
    /// Their `id`s.
    pub(super) rows: Vec<i64>,
    pub(super) full: bool,
    next_id: i64,
    next_column: usize,
}

/// A column that is not part of the key.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) of: ColumnType,
    pub(super) not_null: bool,
    pub(super) default: bool,
}

impl Table {
    pub(super) fn new(name: &'static str, composite: bool, types: &[ColumnType]) -> Self {
        let mut table = Self {
            name,
            composite,
            key: Some(if composite { KEYS[0] } else { "id" }),
            columns: Vec::new(),
            rows: Vec::new(),
            full: composite,
            next_id: 1,
            next_column: 1,
        };
        for of in types {
            let column = table.column(*of, &[]);
            table.columns.push(column);
        }
        table
    }

    /// A column with a name no other column has had; it ends in one of `odd`, if there are some.
    pub(super) fn column(&mut self, of: ColumnType, odd: &[&str]) -> Column {
        let number = self.next_column;
        self.next_column += 1;
        let mut name = format!("{}_{number}", of.word());
        if let Some(end) = number.checked_rem(odd.len()).and_then(|index| odd.get(index)) {
            let _ = write!(name, " {end}");
        }
        Column { name, of, not_null: false, default: false }
    }

    pub(super) fn create(&self) -> String {
        let mut sql = format!("create table {} (id bigint not null", self.name);
        if self.composite {
            sql.push_str(", part varchar(10) not null");
        }
        for column in &self.columns {
            let _ = write!(sql, ", {} {}", quoted(&column.name), column.of.sql);
        }
        let key = self.key.unwrap_or("id");
        let identity = if self.full { "full" } else { "default" };
        let _ = write!(
            sql,
            ", primary key ({key})); alter table {} replica identity {identity}",
            self.name
        );
        for column in self.columns.iter().filter(|column| column.of.in_row) {
            let _ = write!(sql, ", {}", column.stay_in_row());
        }
        sql
    }

    /// Inserts one to three rows with the same columns.
    pub(super) fn insert(&mut self, random: &mut StdRng) -> String {
        let count = if random.random_bool(0.1) { 3 } else { 1 };
        let ids: Vec<i64> = (0..count).map(|_| self.take_id()).collect();
        let sql = self.insert_of(random, &ids);
        self.rows.extend(ids);
        sql
    }

    /// Inserts a row that the caller rolls back.
    pub(super) fn insert_in_vain(&mut self, random: &mut StdRng) -> String {
        let id = self.take_id();
        self.insert_of(random, &[id])
    }

    fn take_id(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id
    }

    fn insert_of(&self, random: &mut StdRng, ids: &[i64]) -> String {
        let named: Vec<&Column> = self
            .columns
            .iter()
            .filter(|column| {
                (column.not_null && !column.default) || !random.random_bool(OMIT_CHANCE)
            })
            .collect();
        let mut sql = format!("insert into {} (id", self.name);
        if self.composite {
            sql.push_str(", part");
        }
        for column in &named {
            let _ = write!(sql, ", {}", quoted(&column.name));
        }
        sql.push_str(") values ");
        for (index, id) in ids.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            let _ = write!(sql, "{separator}({id}");
            if self.composite {
                let _ = write!(sql, ", '{}'", part(random));
            }
            for column in &named {
                let _ = write!(sql, ", {}", column.literal(random));
            }
            sql.push(')');
        }
        sql
    }

    /// Changes some columns of one row, seldom of several. `None` without rows.
    pub(super) fn update(&self, random: &mut StdRng) -> Option<String> {
        let rows = if random.random_bool(0.1) { 3 } else { 1 };
        let ids = self.some_rows(random, rows)?;
        let count = random.random_range(1..=SET_MOST);
        let mut columns = self.columns.iter().choose_multiple(random, count);
        // The order within `choose_multiple` is not specified to be stable between versions; names are.
        columns.sort_by(|left, right| left.name.cmp(&right.name));
        let set: Vec<String> = columns
            .iter()
            .map(|column| format!("{} = {}", quoted(&column.name), column.literal(random)))
            .collect();
        if set.is_empty() {
            return None;
        }
        Some(format!("update {} set {} where id in ({ids})", self.name, set.join(", ")))
    }

    /// Gives a row another key. `None` without rows.
    pub(super) fn change_key(&mut self, random: &mut StdRng) -> Option<String> {
        let index = (0..self.rows.len()).choose(random)?;
        let old = self.rows[index];
        if self.composite && random.random_bool(0.5) {
            let part = part(random);
            return Some(format!("update {} set part = '{part}' where id = {old}", self.name));
        }
        let id = self.take_id();
        self.rows[index] = id;
        Some(format!("update {} set id = {id} where id = {old}", self.name))
    }

    /// Deletes a row. `None` without rows.
    pub(super) fn delete(&mut self, random: &mut StdRng) -> Option<String> {
        let index = (0..self.rows.len()).choose(random)?;
        let id = self.rows.swap_remove(index);
        Some(format!("delete from {} where id = {id}", self.name))
    }

    /// Empties the table.
    pub(super) fn truncate(&mut self) -> String {
        self.rows.clear();
        format!("truncate {}", self.name)
    }

    fn some_rows(&self, random: &mut StdRng, count: usize) -> Option<String> {
        let mut ids: Vec<i64> =
            (0..count).filter_map(|_| self.rows.choose(random)).copied().collect();
        ids.sort_unstable();
        ids.dedup();
        let texts: Vec<String> = ids.iter().map(i64::to_string).collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    }
}

impl Column {
    /// A change of its table that keeps its values from being stored out of line.
    pub(super) fn stay_in_row(&self) -> String {
        format!("alter column {} set storage plain", quoted(&self.name))
    }

    /// Gives it a default, as SQL writes it: a constant, or a call. Debezium reads the server's text of one with a regular expression,
    /// which ends at a quote within and does not pass the end of a line, and makes a number that has wrapped around of
    /// `infinity` in microseconds; `None` if no value without these was found.
    pub(super) fn give_default(&mut self, random: &mut StdRng) -> Option<String> {
        const ATTEMPTS: usize = 20;
        if random.random_bool(FUNCTION_CHANCE)
            && let Some(call) = self.of.function(random)
        {
            self.default = true;
            return Some(call.to_owned());
        }
        let wraps = |value: &str| value == "infinity" && !self.of.sql.starts_with("timestamptz");
        let value = (0..ATTEMPTS)
            .map(|_| self.of.value(random))
            .filter(|value| !wraps(value))
            .find(|value| !value.contains(['\'', '\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']))?;
        self.default = true;
        Some(literal(&value))
    }

    /// A value as SQL writes it, or `null` where the column may be null.
    pub(super) fn literal(&self, random: &mut StdRng) -> String {
        if !self.not_null && random.random_bool(NULL_CHANCE) {
            return "null".to_owned();
        }
        literal(&self.of.value(random))
    }
}

/// A text as a string constant.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name as a quoted identifier.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn part(random: &mut StdRng) -> &'static str {
    ["a", "b", "ž", ""].choose(random).copied().unwrap_or_default()
}
