//! When what a transaction of the log did can be read from the tables.
//!
//! The server sends a commit as soon as it is in the log. Other sessions see what the transaction did a moment later, and with a
//! synchronous standby once that has answered. Until then a query gives the row as it was before.
//! Source: PostgreSQL manual, "Synchronous Replication"; `CommitTransaction` writes the log before `ProcArrayEndTransaction`.

use std::time::{Duration, Instant};

use postgres::catalog::{self, CatalogHorizon};
use tokio::time::sleep;
use tracing::{info, warn};

use super::Tables;
use crate::error::ConnectorError;
use crate::history::order::Point;

/// A transaction that is in the log becomes visible at once, unless it waits for a synchronous standby; that may take long.
const VISIBLE_WITHIN: Duration = Duration::from_secs(1);
const VISIBLE_PAUSE: Duration = Duration::from_millis(2);
/// How long a transaction is waited for in silence, where it has to be seen.
const INVISIBLE_SILENCE: Duration = Duration::from_secs(10);

/// Whether commits may wait for this session's walsender, which has its name.
const WAITED_FOR: &str = "SELECT names ~ '[*]' OR position(lower(current_setting('application_name')) IN lower(names)) > 0 \
    FROM current_setting('synchronous_standby_names') AS names";

impl Tables {
    /// Waits until what the transaction being decoded did can be read; asks the server once for each transaction.
    ///
    /// Where the commit may wait for us, it is not waited for: neither would ever go on.
    pub(crate) async fn until_visible(&self, point: Point) -> Result<(), ConnectorError> {
        self.shown.get_or_try_init(|| self.wait_as_long_as_it_takes(point)).await.copied()
    }

    async fn wait_as_long_as_it_takes(&self, point: Point) -> Result<(), ConnectorError> {
        let began = Instant::now();
        let mut told = false;
        while !self.horizon_that_shows(point).await?.shows(point.xid) {
            if self.control.is_true("tell whom commits wait for", WAITED_FOR).await? {
                warn!(
                    "values are read again that may be older than transaction {}: commits wait for this connector (synchronous_standby_names)",
                    point.xid
                );
                return Ok(());
            }
            if !told && began.elapsed() > INVISIBLE_SILENCE {
                info!(
                    "the stream goes on when transaction {} can be seen: it may wait for a standby",
                    point.xid
                );
                told = true;
            }
        }
        Ok(())
    }

    /// Waits a short while until the transaction can be seen. Returns what can be seen then, with it or without.
    pub(super) async fn horizon_that_shows(
        &self,
        point: Point,
    ) -> Result<CatalogHorizon, ConnectorError> {
        let deadline = Instant::now() + VISIBLE_WITHIN;
        loop {
            let horizon = catalog::horizon(&self.control, &self.settings.slot.name).await?;
            if horizon.shows(point.xid) || Instant::now() >= deadline {
                return Ok(horizon);
            }
            sleep(VISIBLE_PAUSE).await;
        }
    }
}
