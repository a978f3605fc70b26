//! The shop's customers: sessions that order, pay, cancel and change their minds.
//!
//! In: a database with the shop. Out: a [`Journal`] of what was committed. A transaction counts only when `COMMIT` has
//! answered; a rollback, a savepoint that was rolled back and a deadlock leave no trace.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use postgres::{Connection, ConnectionConfig, PostgresError};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_util::sync::CancellationToken;

use super::journal::{Journal, Row, Step};
use super::shop::{CUSTOMERS_AT_FIRST, PRODUCTS_AT_FIRST, Table};

/// What the sessions of one workload share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Rows may be deleted: not before the snapshot is done, or a row could come and go unseen.
    pub(crate) may_delete: AtomicBool,
    /// Highest order id that was committed.
    pub(crate) newest_order: AtomicI64,
}

/// When a session works.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Before its first transaction: sessions begin one after the other.
    pub(crate) first: Duration,
    /// From one to the next.
    pub(crate) every: Duration,
}

type Changes = Vec<(Row, Step)>;

/// One customer's session.
pub(crate) struct Session {
    connection: Connection,
    random: StdRng,
    shared: Arc<Shared>,
    journal: Journal,
}

impl Session {
    pub(crate) async fn open(
        config: &ConnectionConfig,
        seed: u64,
        shared: Arc<Shared>,
    ) -> Result<Self, PostgresError> {
        let connection = postgres::connect(config).await?;
        Ok(Self {
            connection,
            random: StdRng::seed_from_u64(seed),
            shared,
            journal: Journal::default(),
        })
    }

    /// Works until it is told to stop; one transaction at a time.
    pub(crate) async fn work(
        mut self,
        pace: Pace,
        stop: CancellationToken,
    ) -> Result<Journal, PostgresError> {
        let mut ticks = interval_at(Instant::now() + pace.first, pace.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(self.journal),
                _ = ticks.tick() => {}
            }
            self.transaction().await?;
        }
    }

    /// One transaction, to its commit or rollback.
    async fn transaction(&mut self) -> Result<(), PostgresError> {
        self.run("BEGIN").await?;
        let done = match self.random.random_range(0..100) {
            0..35 => self.place_order().await,
            35..60 => self.advance_order().await,
            60..72 => self.change_customer().await,
            72..80 => self.new_customer().await,
            80..90 => self.reprice().await,
            _ => self.cancel_order().await,
        };
        let changes = match done {
            Ok(changes) => changes,
            Err(error) if is_conflict(&error) => {
                self.journal.rolled_back += 1;
                return self.run("ROLLBACK").await;
            }
            Err(error) => return Err(PostgresError::from_sql("work in the shop", &error)),
        };
        if self.random.random_ratio(1, 12) {
            self.journal.rolled_back += 1;
            return self.run("ROLLBACK").await;
        }
        self.run("COMMIT").await?;
        self.remember_order(&changes);
        if !changes.is_empty() {
            self.journal.commit(changes);
        }
        Ok(())
    }

    fn remember_order(&self, changes: &Changes) {
        for (row, step) in changes {
            if let (Table::Orders, Step::Create(_), Ok(id)) = (row.table, step, row.key.parse()) {
                self.shared.newest_order.fetch_max(id, Ordering::Relaxed);
            }
        }
    }

    async fn run(&self, statement: &str) -> Result<(), PostgresError> {
        let done = self.connection.client().batch_execute(statement).await;
        done.map_err(|error| PostgresError::from_sql(statement.to_owned(), &error))
    }

    /// Runs a statement that returns key and version of each row it has changed.
    async fn change(
        &self,
        changes: &mut Changes,
        table: Table,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<String>, tokio_postgres::Error> {
        let rows = self.connection.client().query(sql, parameters).await?;
        let mut keys = Vec::with_capacity(rows.len());
        for row in rows {
            let (key, version): (String, i32) = (row.get(0), row.get(1));
            let step = match sql.as_bytes().first() {
                Some(b'I') => Step::Create(version),
                Some(b'U') => Step::Update(version),
                _ => Step::Delete,
            };
            changes.push((Row { table, key: key.clone() }, step));
            keys.push(key);
        }
        Ok(keys)
    }

    /// An order with some lines; each takes from the stock. Now and then a line is taken back by a savepoint.
    async fn place_order(&mut self) -> Result<Changes, tokio_postgres::Error> {
        let mut changes = Vec::new();
        let customer = self.random.random_range(1..=CUSTOMERS_AT_FIRST);
        let note = self
            .random
            .random_bool(0.3)
            .then(|| format!("leave it with neighbour {}", self.random.random_range(1..99)));
        let sql = "INSERT INTO orders (customer_id, status, total, note, version) VALUES ($1, 'new', 0, $2, 1) RETURNING id::text, version";
        let order = self.change(&mut changes, Table::Orders, sql, &[&customer, &note]).await?;
        let Some(order) = order.first().and_then(|id| id.parse::<i64>().ok()) else {
            return Ok(changes);
        };
        for line in 1..=self.random.random_range(1..=4) {
            let savepoint = self.random.random_ratio(1, 8);
            let mark = changes.len();
            if savepoint {
                self.connection.client().batch_execute("SAVEPOINT line").await?;
            }
            self.order_line(&mut changes, order, line).await?;
            if savepoint {
                self.connection.client().batch_execute("ROLLBACK TO SAVEPOINT line").await?;
                changes.truncate(mark);
            }
        }
        let sql = "UPDATE orders SET total = coalesce((SELECT sum(amount) FROM order_lines WHERE order_id = $1), 0), version = version + 1 WHERE id = $1 RETURNING id::text, version";
        self.change(&mut changes, Table::Orders, sql, &[&order]).await?;
        Ok(changes)
    }

    async fn order_line(
        &mut self,
        changes: &mut Changes,
        order: i64,
        line: i32,
    ) -> Result<(), tokio_postgres::Error> {
        let product = self.random.random_range(1..=PRODUCTS_AT_FIRST);
        let quantity: i32 = self.random.random_range(1..=5);
        let sql = "INSERT INTO order_lines (order_id, line, product_id, quantity, amount, version) SELECT $1, $2, id, $4::int, price * $4::int, 1 FROM products WHERE id = $3 RETURNING order_id || ',' || line, version";
        self.change(changes, Table::OrderLines, sql, &[&order, &line, &product, &quantity]).await?;
        let sql = "UPDATE products SET stock = stock - $2, version = version + 1 WHERE id = $1 RETURNING id::text, version";
        self.change(changes, Table::Products, sql, &[&product, &quantity]).await?;
        Ok(())
    }

    /// Some order that may exist; older ones are rarer.
    fn some_order(&mut self) -> i64 {
        let newest = self.shared.newest_order.load(Ordering::Relaxed).max(1);
        self.random.random_range((newest - 200).max(1)..=newest)
    }

    async fn advance_order(&mut self) -> Result<Changes, tokio_postgres::Error> {
        let mut changes = Vec::new();
        let order = self.some_order();
        let sql = "UPDATE orders SET status = CASE status WHEN 'new' THEN 'paid' WHEN 'paid' THEN 'shipped' ELSE 'returned' END::order_status, version = version + 1 WHERE id = $1 RETURNING id::text, version";
        self.change(&mut changes, Table::Orders, sql, &[&order]).await?;
        Ok(changes)
    }

    async fn change_customer(&mut self) -> Result<Changes, tokio_postgres::Error> {
        let mut changes = Vec::new();
        let customer = self.random.random_range(1..=CUSTOMERS_AT_FIRST);
        let email = format!("moved{}@example.com", self.random.random_range(1..100_000));
        let sql = "UPDATE customers SET email = $2, loyalty_points = loyalty_points + 10, version = version + 1 WHERE id = $1 RETURNING id::text, version";
        self.change(&mut changes, Table::Customers, sql, &[&customer, &email]).await?;
        Ok(changes)
    }

    async fn new_customer(&mut self) -> Result<Changes, tokio_postgres::Error> {
        let mut changes = Vec::new();
        let number = self.random.random_range(1..1_000_000);
        let (name, email) = (format!("Newcomer {number}"), format!("new{number}@example.com"));
        let sql = "INSERT INTO customers (name, email, loyalty_points, version) VALUES ($1, $2, 0, 1) RETURNING id::text, version";
        self.change(&mut changes, Table::Customers, sql, &[&name, &email]).await?;
        Ok(changes)
    }

    /// Several rows by one statement.
    async fn reprice(&mut self) -> Result<Changes, tokio_postgres::Error> {
        let mut changes = Vec::new();
        let first = self.random.random_range(1..=PRODUCTS_AT_FIRST - 4);
        let sql = "UPDATE products SET price = round(price * 1.01, 2) % 1000 + 1, version = version + 1 WHERE id BETWEEN $1 AND $1 + 4 RETURNING id::text, version";
        self.change(&mut changes, Table::Products, sql, &[&first]).await?;
        Ok(changes)
    }

    /// An order and all of its lines, gone.
    async fn cancel_order(&mut self) -> Result<Changes, tokio_postgres::Error> {
        if !self.shared.may_delete.load(Ordering::Relaxed) {
            return self.advance_order().await;
        }
        let mut changes = Vec::new();
        let order = self.some_order();
        let sql = "DELETE FROM order_lines WHERE order_id = $1 RETURNING order_id || ',' || line, version";
        self.change(&mut changes, Table::OrderLines, sql, &[&order]).await?;
        let sql = "DELETE FROM orders WHERE id = $1 RETURNING id::text, version";
        self.change(&mut changes, Table::Orders, sql, &[&order]).await?;
        Ok(changes)
    }
}

/// Two customers in each other's way: PostgreSQL ends one of them, which is a rollback like any other.
fn is_conflict(error: &tokio_postgres::Error) -> bool {
    let conflicts = [
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::FOREIGN_KEY_VIOLATION,
    ];
    error.code().is_some_and(|code| conflicts.contains(code))
}
