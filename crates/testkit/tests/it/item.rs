//! The table `item` of tests that read it again: numbers `n` by `id`, as a consumer and as the database have them.

use std::collections::BTreeMap;

use serde_json::Value;
use testkit::Result;
use testkit::event::Event;
use testkit::session::Session;
use testkit::tail::Tail;
use testkit::wait::DEADLINE;

/// What a consumer that keeps the newest value of each key holds in the end: `id` and `n`.
pub(crate) fn folded(events: &[Event]) -> BTreeMap<i64, Option<i64>> {
    let mut rows = BTreeMap::new();
    for event in events {
        let id = event.key_payload()["id"].as_i64().unwrap_or_default();
        let after = event.payload()["after"].clone();
        if after == Value::Null {
            rows.remove(&id);
        } else {
            rows.insert(id, after["n"].as_i64());
        }
    }
    rows
}

/// The same, from the table.
pub(crate) async fn table(session: &Session) -> Result<BTreeMap<i64, Option<i64>>> {
    let rows = session.rows("select id, n from item").await?;
    let number = |text: &String| text.parse::<i64>().ok();
    Ok(rows.iter().map(|row| (number(&row[0]).unwrap_or_default(), number(&row[1]))).collect())
}

/// The last id that is in the topic by now of a transaction that inserts rows up to `all`: more than `before`, and not all.
pub(crate) async fn half_sent(tail: &mut Tail, before: u64, all: u64) -> Result<u64> {
    let sent = tail.to_end(DEADLINE).await?;
    let last = sent.last().and_then(|event| event.key_payload()["id"].as_u64()).unwrap_or(0);
    assert!((before + 1..all).contains(&last), "{before}, then {last} of {all}");
    Ok(last)
}
