//! Scenarios in which one check is all that stands between the connector and a broken promise.
//!
//! In: a check, and whether it is taken out. Out: what came of it. Each scenario is steered by failpoints, so that it comes out the
//! same each time: with the check nothing is wrong, without it the oracle finds what it is there for.
//! Never: luck, nor a scenario that fails for another reason; each is run both ways.

use failpoint::{Check, FAILPOINT, MUTATION};
use tempfile::TempDir;

use super::provoke::change_all;
use super::{SETTINGS, finish};
use crate::Result;
use crate::connector::{Connector, ConnectorProcess};
use crate::oracle::{Ground, Verdict};
use crate::session::Session;
use crate::stack::Stack;
use crate::wait::DEADLINE;

/// What a scenario came to.
#[derive(Debug)]
pub enum Outcome {
    /// The connector refused to go on and named what is missing.
    Refused {
        /// The end of its log.
        log: String,
    },
    /// It went on, and the oracle has compared.
    Judged(Verdict),
}

/// A ground without writers: what is written, and when, is the scenario.
struct Scene {
    ground: Ground,
    session: Session,
    connector: Connector,
    /// The mutation, if the check is taken out.
    mutation: &'static str,
}

/// Plays the scenario of a check, with it or without.
pub async fn scenario(stack: &Stack, check: Check, is_out: bool) -> Result<Outcome> {
    let ground = Ground::prepare(stack, "mutation", 2000).await?;
    let session = ground.database.session().await?;
    let mut connector = ground.database.connector()?;
    for (key, value) in &SETTINGS[..3] {
        connector = connector.set(key, value);
    }
    // No commit but those of the scenario.
    let connector = connector.set("tributary.checkpoint.idle.interval.ms", "600000");
    let mutation = if is_out { check.name() } else { "" };
    let scene = Scene { ground, session, connector, mutation };
    match check {
        Check::FenceFirst => scene.fence_first().await,
        Check::Ordinal => scene.ordinal().await,
        Check::CheckpointInTransaction => scene.checkpoint_in_transaction().await,
        Check::SlotAhead => scene.slot_ahead().await,
    }
}

impl Scene {
    /// The second copy is held where it is about to fence; the first commits meanwhile, and dies before PostgreSQL hears of it. A
    /// checkpoint that was read before is old by then.
    async fn fence_first(self) -> Result<Outcome> {
        let folder = TempDir::new()?;
        let gate = folder.path().join("go");
        let hold = format!("before-fencing=hold:{}", gate.display());
        let mut first = self.start("before-acknowledgement=kill")?;
        self.connector.wait_until_streaming(&mut first).await?;
        let mut second = self.start(&hold)?;
        second.log_with("failpoint before-fencing, hit 1", DEADLINE).await?;
        self.change_some().await?;
        first.killed(DEADLINE).await?;
        std::fs::write(&gate, "")?;
        self.judged(second).await
    }

    /// It dies when three slices of a large transaction are committed, and must go on behind them.
    async fn ordinal(self) -> Result<Outcome> {
        let mut process = self.start("slice-handed-over=kill@4")?;
        self.connector.wait_until_streaming(&mut process).await?;
        change_all(&self.session).await?;
        process.killed(DEADLINE).await?;
        self.judged(self.start("")?).await
    }

    /// It dies between the commit of some changes and whatever it does next. The first commit of a process is its claim.
    async fn checkpoint_in_transaction(self) -> Result<Outcome> {
        self.stopped().await?;
        let mut process = self.start("end-txn-answered=kill@2")?;
        self.connector.wait_until_streaming(&mut process).await?;
        self.change_some().await?;
        process.killed(DEADLINE).await?;
        self.judged(self.start("")?).await
    }

    /// Somebody moves the slot past changes that were not sent.
    async fn slot_ahead(self) -> Result<Outcome> {
        self.stopped().await?;
        self.connector.wait_until_slot_free(&self.session).await?;
        self.change_some().await?;
        let slot = self.connector.slot();
        self.session
            .run(&format!("select pg_replication_slot_advance('{slot}', pg_current_wal_lsn())"))
            .await?;
        let mut process = self.start("")?;
        if !self.mutation.is_empty() {
            return self.judged(process).await;
        }
        process.exit_code(DEADLINE).await?;
        Ok(Outcome::Refused { log: process.log_end() })
    }

    fn start(&self, failpoint: &str) -> Result<ConnectorProcess> {
        self.connector.start_with(&[(FAILPOINT, failpoint), (MUTATION, self.mutation)])
    }

    /// The snapshot is complete, and the connector was stopped.
    async fn stopped(&self) -> Result<()> {
        let mut process = self.start("")?;
        self.connector.wait_until_streaming(&mut process).await?;
        process.terminate().await?;
        Ok(())
    }

    /// A small transaction: one Kafka transaction.
    async fn change_some(&self) -> Result<()> {
        self.session
            .run(
                "begin;
                 update public.account set note = 'changed', version = nextval('oracle.version'), counter = counter + 1 where id <= 5;
                 delete from public.account where id = 6;
                 insert into public.account values (900001, 1, 'new', nextval('oracle.version'), 1);
                 commit",
            )
            .await
    }

    async fn judged(&self, mut process: ConnectorProcess) -> Result<Outcome> {
        self.connector.wait_until_streaming(&mut process).await?;
        finish(&self.ground, &mut process).await?;
        Ok(Outcome::Judged(self.ground.judge().await?))
    }
}
