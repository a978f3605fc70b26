//! What has to happen so that a point is passed.
//!
//! In: a point. Out: statements, again and again until the caller has seen enough. Never: a change without its journal entry.

use std::time::Duration;

use failpoint::Point;

use crate::oracle::{Ground, TABLES};
use crate::session::Session;
use crate::{Failure, Result};

/// A table for signals, and one that nobody captures.
pub(super) const SIGNALS: &str = "create table public.signals (id varchar(42) primary key, type varchar(32) not null, data varchar(2048));
     create table oracle.noise (n int)";

/// Between two attempts.
const AGAIN_AFTER: Duration = Duration::from_millis(300);

/// Provokes until it is dropped. Errors only.
pub(super) async fn provoke(ground: &Ground, point: Point) -> Result<()> {
    let session = ground.database.session().await?;
    let _quiet = Quiet::begin(ground, point == Point::CheckpointOnly);
    let mut number = 0;
    loop {
        number += 1;
        match point {
            Point::CheckpointOnly => session.run("insert into oracle.noise values (1)").await?,
            Point::SliceHandedOver => change_all(&session).await?,
            Point::IncrementalRead | Point::IncrementalSent => ask(&session, number).await?,
            _ => {}
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Changes every row of a table in one transaction, which is far larger than a Kafka transaction may be.
pub(super) async fn change_all(session: &Session) -> Result<()> {
    let table = &TABLES[0];
    let (name, update) = (table.name, table.update);
    let sql = format!(
        "update public.{name} set {update}, version = nextval('oracle.version'), counter = counter + 1"
    );
    match session.execute(sql.as_str(), &[]).await {
        // A writer was in the way; the next attempt is another.
        Err(error) if error.as_db_error().is_none() => Err(Failure::from(error).during(sql)),
        _ => Ok(()),
    }
}

/// Asks for a table to be read while the stream runs.
async fn ask(session: &Session, number: u32) -> Result<()> {
    let name = TABLES[number as usize % TABLES.len()].name;
    session
        .run(&format!(
            "insert into public.signals values (gen_random_uuid()::text, 'execute-snapshot', '{{\"data-collections\": [\"public.{name}\"]}}')"
        ))
        .await
}

/// Writers that stand still until this is dropped.
struct Quiet<'a>(&'a Ground);

impl<'a> Quiet<'a> {
    fn begin(ground: &'a Ground, quiet: bool) -> Option<Self> {
        quiet.then(|| {
            ground.pause(true);
            Self(ground)
        })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        self.0.pause(false);
    }
}
