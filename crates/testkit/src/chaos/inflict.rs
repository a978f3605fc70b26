//! Does one fault, and what ends it.
//!
//! In: a fault. Out: the fault is over: what was away is back, what was stopped goes on. Whether the connector has recovered is the
//! caller's to see. Never: a fault left behind.

use std::time::Duration;

use super::Chaos;
use super::fault::{Act, Fault};
use super::network::Network;
use crate::Result;
use crate::oracle::TABLES;
use crate::proxy;
use crate::wait::{DEADLINE, Seen, eventually};

/// A point that is not passed within this time is not passed at all; then it was a SIGKILL.
const REACHED_WITHIN: Duration = Duration::from_secs(10);

/// Two copies side by side, at most, before one is told to go on alone.
const TOGETHER: Duration = Duration::from_secs(2);

impl Chaos<'_> {
    /// Does it, and ends it.
    pub(super) async fn inflict(&mut self, fault: &Fault) -> Result<()> {
        match fault {
            Fault::Failpoint { point, hit, act } => {
                let (name, action) = (point.name(), act.setting());
                self.crew.replace(&format!("{name}={action}@{hit}")).await?;
                let line = format!("failpoint {name}, hit {hit}");
                if !self.crew.reaches(&line, REACHED_WITHIN).await? {
                    self.missed += 1;
                }
                match act {
                    // Whether it died is seen when it is looked after.
                    Act::Dies => drop(self.crew.newest()?.killed(Duration::from_secs(1)).await),
                    Act::Fails => {}
                    Act::Stalls(time) => tokio::time::sleep(*time).await,
                }
            }
            Fault::Kill => {
                self.crew.kill().await?;
            }
            Fault::Freeze { time, with_successor } => self.freeze(*time, *with_successor).await?,
            Fault::SecondCopy => {
                self.crew.join(&[])?;
                tokio::time::sleep(TOGETHER).await;
            }
            Fault::SwitchWays { every, time } => {
                let every = every.as_millis().to_string();
                self.hang_up(&every).await?;
                tokio::time::sleep(*time).await;
                self.hang_up("0").await?;
            }
            Fault::EndWalsender => {
                let slot = self.crew.connector.slot();
                let sql = format!(
                    "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = '{slot}' and active_pid is not null"
                );
                self.run(&sql).await?;
            }
            Fault::CrashPostgres { away } => self.site.stack.crash_postgres(*away).await?,
            Fault::KillBroker { away } => {
                self.site.stack.kill_broker().await?;
                tokio::time::sleep(*away).await;
                self.site.stack.start_broker().await?;
            }
            Fault::Network(network) => self.disturb(*network).await,
            Fault::AddColumn { table } => {
                self.columns += 1;
                let (name, number) = (TABLES[*table].name, self.columns);
                let column = format!("extra_{number} int default {number}");
                self.run(&format!(
                    "set lock_timeout = '2s'; alter table public.{name} add column {column}"
                ))
                .await?;
            }
            Fault::ReadTable { table } => {
                let name = TABLES[*table].name;
                self.run(&format!(
                    "insert into public.signals values (gen_random_uuid()::text, 'execute-snapshot', '{{\"data-collections\": [\"public.{name}\"]}}')"
                ))
                .await?;
            }
        }
        self.crew.look_after()
    }

    /// The whole process stands still, with whatever Kafka transaction it has open.
    async fn freeze(&mut self, time: Duration, with_successor: bool) -> Result<()> {
        self.crew.signal("STOP").await?;
        if with_successor {
            self.crew.join(&[])?;
        }
        tokio::time::sleep(time).await;
        self.crew.signal("CONT").await
    }

    /// The network is as it is told for a time, and then as it was. A frame that is to be caught is waited for first.
    async fn disturb(&mut self, network: Network) {
        let Network { side, order, time } = network;
        let path = self.site.path(side);
        path.set(order);
        if matches!(order, proxy::Fault::Catch(_)) && path.caught(REACHED_WITHIN).await.is_err() {
            self.missed += 1;
        }
        tokio::time::sleep(time).await;
        path.release();
        path.set(proxy::Fault::Pass);
    }

    /// Changes the configuration file and has it read.
    async fn hang_up(&mut self, switch_every_ms: &str) -> Result<()> {
        self.crew.connector.put("tributary.read.switch.every.ms", switch_every_ms);
        self.crew.connector.write_file()?;
        self.crew.signal("HUP").await
    }

    /// Runs a statement in a new session; a lock that is not to be had, and a server that is just back, are waited for.
    async fn run(&self, sql: &str) -> Result<()> {
        eventually(sql, DEADLINE, async || {
            let done = match self.ground.database.session().await {
                Ok(session) => session.run(sql).await,
                Err(failure) => Err(failure),
            };
            Ok(done.map_or_else(|failure| Seen::NotYet(failure.to_string()), Seen::Yes))
        })
        .await
    }
}
