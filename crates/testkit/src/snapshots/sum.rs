//! A snapshot is of one moment: money that moves between accounts meanwhile is in it once, however many read it.
//!
//! In: a seed. Out: the sum over the rows the snapshot gave, which must be the sum there always was, and whether rows and stream
//! together make the table.

use std::fmt;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

use super::load::{Load, Pace};
use super::{ARRIVAL_MAX, Begin, Counted, finish, remove};
use crate::Result;
use crate::session::Session;
use crate::stack::{Database, Stack};

const BALANCE: i64 = 1_000;
/// Transfers before the connector starts.
const TRANSFERS_FIRST: u64 = 50;

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Seed of every choice.
    pub seed: u64,
    /// Accounts.
    pub accounts: u64,
    /// Bytes of a row beside its numbers: more of them spread the accounts over more blocks.
    pub filler_bytes: u32,
    /// Sessions that move money.
    pub writers: u64,
    /// `snapshot.max.threads`.
    pub threads: u32,
}

/// What one run found.
#[derive(Debug)]
pub struct Report {
    seed: u64,
    accounts: u64,
    transfers: u64,
    transfers_meanwhile: u64,
    sum: i64,
    counted: Counted,
}

impl Report {
    /// Every account was read once, at one moment, and the topic is the table.
    pub fn is_clean(&self) -> bool {
        self.sum == sum_of(self.accounts)
            && self.counted.read == self.accounts
            && self.counted.is_clean()
    }

    /// Whether money moved while the snapshot was taken: else it proves nothing.
    pub fn is_telling(&self) -> bool {
        self.transfers_meanwhile > 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = sum_of(self.accounts);
        writeln!(
            formatter,
            "seed {}: {} transfers, {} of them from the start of the connector to its stream; sum of the rows read {} ({})",
            self.seed,
            self.transfers,
            self.transfers_meanwhile,
            self.sum,
            if self.sum == wanted { "exact".to_owned() } else { format!("instead of {wanted}") }
        )?;
        writeln!(formatter, "  {}", self.counted)
    }
}

/// Runs a plan in a database of its own.
pub async fn run(stack: &Stack, plan: &Plan) -> Result<Report> {
    let database = stack.database("sum").await?;
    let session = database.session().await?;
    create(&session, plan).await?;
    let accounts = plan.accounts;
    let pace = Pace { writers: plan.writers, pause: Duration::ZERO };
    let mut load =
        Load::start(&database, plan.seed, pace, move |random, _| transfer(random, accounts))
            .await?;
    load.until(TRANSFERS_FIRST).await?;
    let connector = database.connector()?.set("snapshot.max.threads", &plan.threads.to_string());
    let before = load.committed();
    let mut process = connector.start()?;
    connector.wait_until_streaming(&mut process).await?;
    let transfers_meanwhile = load.committed() - before;
    let transfers = load.stop().await?;
    finish(&database, &mut process).await?;
    let (sum, counted) = judge(&database, &session).await?;
    drop(session);
    remove(stack, &database, &connector).await?;
    let (seed, accounts) = (plan.seed, plan.accounts);
    Ok(Report { seed, accounts, transfers, transfers_meanwhile, sum, counted })
}

async fn create(session: &Session, plan: &Plan) -> Result<()> {
    // Nothing is compressed or stored elsewhere: the table has as many blocks as it seems to.
    session
        .run(&format!(
            "create table accounts (id int primary key, n bigint not null, balance bigint not null, filler text not null);
             alter table accounts alter column filler set storage plain;
             insert into accounts select i, 0, {BALANCE}, repeat('x', {}) from generate_series(1, {}) i;
             analyze accounts",
            plan.filler_bytes, plan.accounts
        ))
        .await
}

/// Two accounts in the order of their ids, so that no two transfers wait for each other.
fn transfer(random: &mut StdRng, accounts: u64) -> String {
    let one = random.random_range(1..accounts);
    let other = random.random_range(one + 1..=accounts);
    let amount = random.random_range(-100..=100);
    format!(
        "update accounts set n = n + 1, balance = balance - {amount} where id = {one};
         update accounts set n = n + 1, balance = balance + {amount} where id = {other}"
    )
}

fn sum_of(accounts: u64) -> i64 {
    BALANCE * i64::try_from(accounts).unwrap_or(i64::MAX)
}

async fn judge(database: &Database, session: &Session) -> Result<(i64, Counted)> {
    let mut counted = Counted::new(Begin::Snapshot);
    let mut sum = 0;
    let mut tail = database.tail("public.accounts")?;
    tail.each_to_end(ARRIVAL_MAX, |event| {
        let told = counted.take(&event)?;
        if told.operation == 'r' {
            sum += told.balance.unwrap_or_default();
        }
        Ok(())
    })
    .await?;
    counted.compare(session, "accounts").await?;
    Ok((sum, counted))
}
