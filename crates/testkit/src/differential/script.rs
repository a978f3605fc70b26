//! The SQL of a run: transactions, and changes of the tables between them.
//!
//! In: a seed and the types there are. Out: [`Step`]s, the same for the same seed. Never: a look at the server.

use std::collections::VecDeque;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, IteratorRandom};
use rand::{Rng, SeedableRng};

use super::table::{Column, KEYS, ODD_NAMES, Table, literal, quoted};
use super::types::ColumnType;

/// Statements of one transaction.
const STATEMENTS: std::ops::RangeInclusive<u32> = 1..=3;
/// Transactions between two changes of a table, at most.
const QUIET_MOST: u64 = 100;
const TRUNCATE_CHANCE: f64 = 0.001;
const ROLLBACK_CHANCE: f64 = 0.03;
/// Rows a table is kept near.
const ROWS_WANTED: usize = 200;

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A transaction of row changes.
    Transaction(String),
    /// A change of a table. Everything before it must have been read, and nothing after it may run before it.
    Ddl(String),
}

/// Which changes of the tables a script has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// The tables stay as they are.
    None,
    /// Columns that may be null come.
    NewColumns,
    /// Everything a table can go through.
    All,
}

/// All steps of a run.
#[derive(Debug)]
pub struct Script {
    random: StdRng,
    types: Vec<ColumnType>,
    tables: Vec<Table>,
    transactions_left: u64,
    until_ddl: u64,
    changes: Changes,
    labels: u32,
    waiting: VecDeque<Step>,
}

impl Script {
    /// A script of so many transactions over two tables with one column of each of `types`.
    pub fn new(seed: u64, transactions: u64, types: Vec<ColumnType>, changes: Changes) -> Self {
        let tables = vec![
            Table::new("every_default", false, &types),
            Table::new("every_full", true, &types),
        ];
        Self {
            random: StdRng::seed_from_u64(seed),
            types,
            tables,
            transactions_left: transactions,
            until_ddl: QUIET_MOST / 2,
            changes,
            labels: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Statements that create the tables as they are at the beginning.
    pub fn create_tables(&self) -> Vec<String> {
        self.tables.iter().map(Table::create).collect()
    }

    /// Names of the tables.
    pub fn table_names(&self) -> Vec<&'static str> {
        self.tables.iter().map(|table| table.name).collect()
    }

    fn transaction(&mut self) -> String {
        let random = &mut self.random;
        let mut statements = Vec::new();
        for _ in 0..random.random_range(STATEMENTS) {
            let table = usize::from(random.random::<bool>()) % self.tables.len();
            let table = &mut self.tables[table];
            statements.push(statement(table, random));
            if random.random_bool(ROLLBACK_CHANCE) {
                let in_vain = table.insert_in_vain(random);
                statements.push(format!("savepoint s; {in_vain}; rollback to s"));
            }
        }
        format!("begin; {}; commit", statements.join("; "))
    }

    /// Queues a change of a table, and what must happen before it.
    fn change_table(&mut self) {
        let table = usize::from(self.random.random::<bool>());
        let change = match self.changes {
            Changes::None => return,
            Changes::NewColumns => 0,
            Changes::All => self.random.random_range(0..21),
        };
        match change {
            0..=4 => self.add_column(table),
            5..=7 => self.drop_column(table),
            8..=9 => self.rename_column(table),
            10..=13 => self.widen_column(table),
            14 => self.set_default(table),
            15 => self.drop_default(table),
            16 => self.set_not_null(table),
            17 => self.drop_not_null(table),
            18 => self.change_identity(table),
            19 => self.change_primary_key(),
            _ => self.add_label(),
        }
    }

    fn ddl(&mut self, table: usize, change: &str) {
        let name = self.tables[table].name;
        self.waiting.push_back(Step::Ddl(format!("alter table {name} {change}")));
    }

    /// Adds a column of a type the table lacks, or else of any type.
    fn add_column(&mut self, table: usize) {
        let random = &mut self.random;
        let there = &self.tables[table].columns;
        let lacking = self.types.iter().filter(|one| there.iter().all(|c| c.of.sql != one.sql));
        let Some(of) = lacking.choose(random).or_else(|| self.types.choose(random)).copied() else {
            return;
        };
        let odd = odd_names(random, self.changes);
        let mut column = self.tables[table].column(of, odd);
        let mut change = format!("add column {} {}", quoted(&column.name), of.sql);
        let wanted = self.changes == Changes::All && random.random_bool(0.4);
        if wanted && let Some(value) = column.give_default(random) {
            column.not_null = random.random_bool(0.5) && of.may_be_required();
            change.push_str(" default ");
            change.push_str(&value);
        }
        if column.not_null {
            change.push_str(" not null");
        }
        if of.in_row {
            change.push_str(", ");
            change.push_str(&column.stay_in_row());
        }
        self.tables[table].columns.push(column);
        self.ddl(table, &change);
    }

    fn drop_column(&mut self, table: usize) {
        let columns = &mut self.tables[table].columns;
        let Some(index) = (0..columns.len()).choose(&mut self.random) else { return };
        let column = columns.remove(index);
        self.ddl(table, &format!("drop column {}", quoted(&column.name)));
    }

    fn rename_column(&mut self, table: usize) {
        let Some(index) = (0..self.tables[table].columns.len()).choose(&mut self.random) else {
            return;
        };
        let odd = odd_names(&mut self.random, self.changes);
        let of = self.tables[table].columns[index].of;
        let name = self.tables[table].column(of, odd).name;
        let old = std::mem::replace(&mut self.tables[table].columns[index].name, name.clone());
        self.ddl(table, &format!("rename column {} to {}", quoted(&old), quoted(&name)));
    }

    fn widen_column(&mut self, table: usize) {
        let columns = self.tables[table].columns.iter();
        let changes = columns.flat_map(|column| {
            let of = |sql: &str| self.types.iter().find(|one| one.sql == sql);
            let wider = column.of.wider.iter().filter_map(|sql| of(sql));
            let required = column.not_null;
            let fits = wider.filter(move |wider| !required || wider.may_be_required());
            fits.map(|wider| (column.name.clone(), wider)).collect::<Vec<_>>()
        });
        let Some((name, wider)) = changes.choose(&mut self.random) else { return };
        let wider = *wider;
        for column in self.tables[table].columns.iter_mut().filter(|column| column.name == name) {
            column.of = wider;
        }
        let name = quoted(&name);
        self.ddl(table, &format!("alter column {name} type {0} using {name}::{0}", wider.sql));
    }

    fn set_default(&mut self, table: usize) {
        let random = &mut self.random;
        let Some(column) = self.tables[table].columns.iter_mut().choose(random) else { return };
        let Some(value) = column.give_default(random) else { return };
        let change = format!("alter column {} set default {value}", quoted(&column.name));
        self.ddl(table, &change);
    }

    fn drop_default(&mut self, table: usize) {
        let columns = self.tables[table].columns.iter_mut();
        let Some(column) = columns.filter(|column| column.default).choose(&mut self.random) else {
            return;
        };
        column.default = false;
        let change = format!("alter column {} drop default", quoted(&column.name));
        self.ddl(table, &change);
    }

    fn set_not_null(&mut self, table: usize) {
        let random = &mut self.random;
        let name = self.tables[table].name;
        let columns = self.tables[table].columns.iter_mut();
        let free = |column: &&mut Column| !column.not_null && column.of.may_be_required();
        let Some(column) = columns.filter(free).choose(random) else { return };
        column.not_null = true;
        let (value, column) = (literal(&column.of.value(random)), quoted(&column.name));
        self.waiting.push_back(Step::Transaction(format!(
            "update {name} set {column} = {value} where {column} is null"
        )));
        self.ddl(table, &format!("alter column {column} set not null"));
    }

    fn drop_not_null(&mut self, table: usize) {
        let columns = self.tables[table].columns.iter_mut();
        let Some(column) = columns.filter(|column| column.not_null).choose(&mut self.random) else {
            return;
        };
        column.not_null = false;
        let change = format!("alter column {} drop not null", quoted(&column.name));
        self.ddl(table, &change);
    }

    fn change_identity(&mut self, table: usize) {
        // Without a key the server refuses updates of a published table unless its identity is full.
        let full = !self.tables[table].full || self.tables[table].key.is_none();
        self.tables[table].full = full;
        self.ddl(table, &format!("replica identity {}", if full { "full" } else { "default" }));
    }

    /// Gives the table with a column `part` another primary key, or none.
    fn change_primary_key(&mut self) {
        let Some(table) = self.tables.iter().position(|table| table.composite) else { return };
        let random = &mut self.random;
        let there = self.tables[table].key;
        let none_fits = self.tables[table].full && there.is_some();
        let key = if none_fits && random.random_bool(0.3) {
            None
        } else {
            KEYS.iter().filter(|key| there != Some(**key)).choose(random).copied()
        };
        self.tables[table].key = key;
        let drop = there.map(|_| format!("drop constraint {}_pkey", self.tables[table].name));
        let add = key.map(|key| format!("add primary key ({key})"));
        let change: Vec<String> = drop.into_iter().chain(add).collect();
        self.ddl(table, &change.join(", "));
    }

    fn add_label(&mut self) {
        self.labels += 1;
        self.waiting.push_back(Step::Ddl(format!(
            "alter type mood add value 'label {}' before 'a'",
            self.labels
        )));
    }
}

/// Ends of names for one column in four.
fn odd_names(random: &mut StdRng, changes: Changes) -> &'static [&'static str] {
    if !random.random_bool(0.25) {
        return &[];
    }
    match changes {
        // There are systems that cannot quote a quote.
        Changes::None | Changes::NewColumns => &ODD_NAMES[..3],
        Changes::All => &ODD_NAMES,
    }
}

fn statement(table: &mut Table, random: &mut StdRng) -> String {
    if random.random_bool(TRUNCATE_CHANCE) {
        return table.truncate();
    }
    let crowded = table.rows.len() > ROWS_WANTED;
    let made = match random.random_range(0..100) {
        0..=34 if !crowded => None,
        0..=74 => table.update(random),
        75..=84 => table.change_key(random),
        _ => table.delete(random),
    };
    made.unwrap_or_else(|| table.insert(random))
}

impl Iterator for Script {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if let Some(step) = self.waiting.pop_front() {
            return Some(step);
        }
        self.transactions_left = self.transactions_left.checked_sub(1)?;
        if let Some(left) = self.until_ddl.checked_sub(1) {
            self.until_ddl = left;
        } else {
            self.until_ddl = self.random.random_range(1..=QUIET_MOST);
            self.change_table();
        }
        let transaction = Step::Transaction(self.transaction());
        self.waiting.push_back(transaction);
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::TYPES;
    use super::*;

    fn script(seed: u64) -> Vec<Step> {
        Script::new(seed, 1_000, TYPES.to_vec(), Changes::All).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_sql() {
        assert!(script(7) == script(7));
        assert!(script(7) != script(8));
    }

    #[test]
    fn a_script_has_its_transactions_and_changes_of_the_tables_between_them() {
        let steps = script(1);
        let ddl = steps.iter().filter(|step| matches!(step, Step::Ddl(_))).count();
        assert!(steps.len() - ddl >= 1_000, "{} steps, {ddl} of them DDL", steps.len());
        assert!(ddl >= 3, "{ddl}");
        assert!(matches!(steps.last(), Some(Step::Transaction(_))));
    }

    #[test]
    fn a_script_has_only_the_changes_asked_for() {
        let mut steps = Script::new(1, 500, TYPES.to_vec(), Changes::None);
        assert!(steps.all(|step| matches!(step, Step::Transaction(_))));
        for step in Script::new(1, 500, TYPES.to_vec(), Changes::NewColumns) {
            if let Step::Ddl(sql) = step {
                assert!(sql.contains(" add column ") && !sql.contains(" default '"), "{sql}");
            }
        }
    }
}
