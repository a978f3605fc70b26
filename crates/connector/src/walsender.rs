//! Walsenders that an earlier run of the connector left behind, and the slots they hold.
//!
//! In: a slot, as it was found. Out: nobody of ours holds it any more.
//! Whoever calls this has fenced the earlier run: what its walsender would still send, nobody may publish.
//! Never: a walsender of another role or another connector.

use std::time::Duration;

use postgres::slot::{self, SlotState};
use postgres::{Connection, PostgresError, SlotName};
use tracing::info;

use crate::error::ConnectorError;
use crate::settings::Settings;

/// How long a walsender may take to let go of the slot.
const END_MAX: Duration = Duration::from_secs(5);

/// Ends the walsender that holds the slot, if there is one and it is ours, and waits until it is gone.
///
/// Errors: [`PostgresError::SlotActive`], if it is not ours.
pub(crate) async fn free(
    control: &Connection,
    slot: &SlotState,
    settings: &Settings,
) -> Result<(), ConnectorError> {
    let Some(pid) = slot.active_pid else { return Ok(()) };
    let application = settings.source.application_name();
    if slot::end_stale_walsender(control, slot, application).await? {
        info!(connector.name = %settings.name, slot.name = %slot.name, pid, "ended process {pid}, a walsender an earlier run left behind");
    }
    slot::wait_until_inactive(control, &slot.name, END_MAX).await?;
    Ok(())
}

/// The same with a slot that ends with its walsender.
///
/// Errors: as [`free`].
pub(crate) async fn end_temporary(
    name: &SlotName,
    settings: &Settings,
) -> Result<(), ConnectorError> {
    let control = postgres::connect(&settings.source).await?;
    let Some(slot) = slot::read(&control, name).await? else { return Ok(()) };
    match free(&control, &slot, settings).await {
        Err(ConnectorError::Postgres(PostgresError::SlotMissing { .. })) => Ok(()),
        freed => freed,
    }
}
