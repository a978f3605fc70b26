//! What a start of the connector has come to, as PostgreSQL sees it; and the one who lets held back commits go.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use tokio::sync::watch;

use crate::Result;
use crate::session::Session;

/// How far the start has come. Each one comes after those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// There is no slot.
    Before,
    /// The slot is being made: PostgreSQL waits for transactions that were open.
    SlotListed,
    /// The slot has its consistent point.
    SlotMade,
    /// The stream runs.
    Streaming,
}

const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(1);

/// Tells of each phase as soon as it is there. Ends with the last.
pub(super) async fn watch(
    session: Session,
    slot: String,
    phases: watch::Sender<Phase>,
) -> Result<()> {
    let query = format!(
        "select confirmed_flush_lsn is not null,
                exists (select from pg_stat_replication r where r.pid = s.active_pid and r.state in ('catchup', 'streaming'))
         from pg_replication_slots s where slot_name = '{slot}'"
    );
    while *phases.borrow() != Phase::Streaming {
        let rows = session.rows(&query).await?;
        let phase = match rows.first().map(Vec::as_slice) {
            None => Phase::Before,
            Some([_, streams]) if streams == "t" => Phase::Streaming,
            Some([made, _]) if made == "t" => Phase::SlotMade,
            Some(_) => Phase::SlotListed,
        };
        phases.send_if_modified(|known| {
            let is_new = *known < phase;
            *known = phase.max(*known);
            is_new
        });
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
    Ok(())
}

/// Lets commits that wait for a standby go, each after a random time, until it is stopped.
pub(super) async fn let_commits_go(session: Session, mut random: StdRng) -> Result<()> {
    loop {
        tokio::time::sleep(Duration::from_millis(random.random_range(5..150))).await;
        session
            .text(
                "select count(pg_cancel_backend(pid)) from pg_stat_activity
                 where wait_event = 'SyncRep' and datname = current_database() and random() < 0.5",
            )
            .await?;
    }
}
