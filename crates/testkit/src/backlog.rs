//! A backlog: a slot that waits with changes behind it, and how a connector gets through.
//!
//! In: a connector. Out: its slot, made by a first run; later the time from the start of its process to the record of the row written last, and
//! what it had used by then. Never: a record lost or doubled unseen: whoever measures counts the topic afterwards.

use std::time::{Duration, Instant};

use crate::connector::{Connector, ConnectorProcess};
use crate::event::Event;
use crate::orders::Tally;
use crate::process_stat::{Usage, usage};
use crate::session::Session;
use crate::stack::{Database, MARKER_TABLE};
use crate::tail::Tail;
use crate::{Failure, Result};

/// How long the last row may take.
pub(crate) const ARRIVAL_MAX: Duration = Duration::from_mins(10);
/// How long a topic may take to be read.
pub(crate) const READING_MAX: Duration = Duration::from_mins(20);
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Makes the slot of a connector by a first run. Nothing is lost from then on.
pub(crate) async fn make_slot(connector: &Connector, session: &Session) -> Result<()> {
    let mut process = connector.start_streaming().await?;
    process.terminate().await?;
    connector.wait_until_slot_free(session).await
}

/// Writes the row that says that everything before has been written.
pub(crate) async fn write_marker(session: &Session) -> Result<()> {
    session.run(&format!("insert into {MARKER_TABLE}(note) values ('end')")).await
}

/// Waits for the record of [`write_marker`]; the moment when it was read. `running` fails when nothing will come any more.
pub(crate) async fn marker_arrived(
    database: &Database,
    prefix: &str,
    mut running: impl AsyncFnMut() -> Result<()>,
) -> Result<Instant> {
    let mut tail = Tail::open(database.bootstrap(), &format!("{prefix}.public.{MARKER_TABLE}"))?;
    let deadline = Instant::now() + ARRIVAL_MAX;
    loop {
        match tail.next(Instant::now() + LOOK_INTERVAL).await? {
            Some(event) if is_end(&event) => return Ok(event.read_at),
            _ if Instant::now() > deadline => {
                return Err(Failure::new(format!(
                    "the last row is not there after {ARRIVAL_MAX:?}"
                )));
            }
            _ => running().await?,
        }
    }
}

/// Whether a record is that of [`write_marker`], in JSON or in Avro, which has the length before the text.
fn is_end(event: &Event) -> bool {
    let value = event.value.as_deref().unwrap_or_default();
    let avro = value.first() == Some(&0) && value.windows(4).any(|part| part == b"\x06end");
    avro || event.payload()["after"]["note"] == "end"
}

/// What a connector needed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drained {
    pub(crate) elapsed: Duration,
    pub(crate) usage: Usage,
}

/// Starts a connector, waits for the row written last, and ends it. Its topics have its name before theirs.
pub(crate) async fn drain(connector: &Connector) -> Result<Drained> {
    let mut process = connector.start()?;
    let arrived = arrived(connector, &mut process).await;
    let arrived = arrived.map_err(|failure| failure.during(process.log_end()))?;
    let elapsed = arrived.duration_since(process.started());
    let id = process.id().ok_or_else(|| Failure::new("the connector has ended"))?;
    let usage = usage(id)?;
    process.terminate().await?;
    Ok(Drained { elapsed, usage })
}

/// When the row written last had arrived from a connector that runs.
pub(crate) async fn arrived(
    connector: &Connector,
    process: &mut ConnectorProcess,
) -> Result<Instant> {
    marker_arrived(connector.database(), connector.name(), async || process.expect_running()).await
}

/// Counts the topic of `orders`, once nobody writes to it any more.
pub(crate) async fn tally_of(database: &Database, prefix: &str) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut tail = Tail::open(database.bootstrap(), &format!("{prefix}.public.orders"))?;
    tail.each_to_end(READING_MAX, |event| tally.take(&event)).await?;
    Ok(tally)
}
