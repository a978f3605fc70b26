//! The connector's notifications in their topic: how it says that a snapshot is over.
//!
//! Source: Debezium documentation, "Notifications".

use std::time::Duration;

use crate::Result;
use crate::connector::Connector;
use crate::event::Event;
use crate::stack::Database;
use crate::tail::Tail;

/// Has the connector send notifications into a topic of its own.
pub(super) fn sent_by(connector: Connector) -> Connector {
    let topic = topic(connector.database());
    connector
        .set("notification.enabled.channels", "sink")
        .set("notification.sink.topic.name", &topic)
}

/// Waits until a snapshot of this kind is over: `Initial Snapshot` or `Incremental Snapshot`.
pub(super) async fn completed(database: &Database, kind: &str, within: Duration) -> Result<Event> {
    let mut tail = Tail::open(database.bootstrap(), &topic(database))?;
    let told = tail.until(within, |event| {
        let notice = event.payload();
        notice["aggregate_type"] == kind && notice["type"] == "COMPLETED"
    });
    let mut told = told.await?;
    told.pop().ok_or_else(|| crate::Failure::new("no notice"))
}

fn topic(database: &Database) -> String {
    format!("{}.notices", database.name())
}
