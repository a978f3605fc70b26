//! The clock of the heartbeats, and the statement that may go with each.
//!
//! In: an interval, a statement of the user's. Out: ticks; each is one record in the heartbeat topic.
//! Nothing here depends on heartbeats: an idle database's position moves with PostgreSQL's keepalives. They are for
//! consumers that expect them.
//! Never: a statement that holds the stream up, or whose failure ends the connector.
//! Source: Debezium documentation, `heartbeat.interval.ms`, `heartbeat.action.query`.

use std::time::Duration;

use postgres::{Connection, ConnectionConfig, PostgresError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{Instrument as _, warn};

use crate::settings::Settings;

/// A statement that takes longer is given up; the next heartbeat tries again.
const ACTION_MAX: Duration = Duration::from_secs(10);

/// Ticks of the heartbeat.
#[derive(Debug, Default)]
pub(crate) struct Heartbeat {
    ticks: Option<mpsc::Receiver<()>>,
    /// Ends with its owner.
    _clock: JoinSet<()>,
}

impl Heartbeat {
    /// Starts the clock, if the settings want one.
    pub(crate) fn start(settings: &Settings) -> Self {
        let Some(wanted) = &settings.heartbeat else { return Self::default() };
        let (sender, receiver) = mpsc::channel(1);
        let action = wanted.action_query.clone().map(|statement| Action {
            statement,
            source: settings.source.clone(),
            open: None,
        });
        let mut clock = JoinSet::new();
        clock.spawn(beat(wanted.interval, action, sender).in_current_span());
        Self { ticks: Some(receiver), _clock: clock }
    }

    /// Waits for the next tick; for ever if there is no clock. Safe to cancel.
    pub(crate) async fn tick(&mut self) {
        let ticked = match &mut self.ticks {
            Some(ticks) => ticks.recv().await.is_some(),
            None => false,
        };
        if !ticked {
            std::future::pending::<()>().await;
        }
    }
}

async fn beat(period: Duration, mut action: Option<Action>, ticks: mpsc::Sender<()>) {
    let mut clock = interval(period);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    clock.tick().await;
    loop {
        clock.tick().await;
        if let Some(action) = &mut action {
            action.run().await;
        }
        if ticks.send(()).await.is_err() {
            return;
        }
    }
}

/// `heartbeat.action.query`, in a session of its own.
struct Action {
    statement: String,
    source: ConnectionConfig,
    open: Option<Connection>,
}

impl Action {
    async fn run(&mut self) {
        let failure = match timeout(ACTION_MAX, self.attempt()).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => format!("no answer within {ACTION_MAX:?}"),
        };
        self.open = None;
        warn!(
            "heartbeat.action.query failed and is tried again with the next heartbeat: {failure}"
        );
    }

    async fn attempt(&mut self) -> Result<(), PostgresError> {
        let connection = match self.open.take() {
            Some(connection) => connection,
            None => postgres::connect(&self.source).await?,
        };
        connection.run("run heartbeat.action.query", &self.statement).await?;
        self.open = Some(connection);
        Ok(())
    }
}
