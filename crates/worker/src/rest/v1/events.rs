//! `GET /v1/events`: changes of connectors as they happen, as server-sent events.
//!
//! Shape: `event: connector` with a connector as `GET /v1/connectors/{name}` has it; `event: deleted` with `{"name"}`; first all there are. Who
//! reads slowly gets the newest state and not each before it.
//! Source: HTML standard, "Server-sent events".

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::super::Api;
use super::super::error::ApiError;
use super::connectors::connector;
use crate::view::ConnectorView;

/// Between two looks: a connector tells its progress some times a second.
const PAUSE: Duration = Duration::from_millis(250);
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(crate) async fn stream(
    State(api): State<Api>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let place = api.event_stream()?;
    let mut changes = api.group().changes();
    changes.mark_changed();
    let follower =
        Follower { api, changes, told: BTreeMap::new(), waiting: Vec::new(), _place: place };
    let events = futures_util::stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok(event), follower))
    });
    Ok(kept_alive(events))
}

/// A stream of events that says something now and then, so that both ends know of each other.
pub(super) fn kept_alive<S>(events: S) -> Sse<impl Stream<Item = Result<Event, Infallible>>>
where
    S: Stream<Item = Result<Event, Infallible>> + Send + 'static,
{
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// What one reader was told.
struct Follower {
    api: Api,
    changes: watch::Receiver<u64>,
    told: BTreeMap<String, ConnectorView>,
    waiting: Vec<Event>,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// The next event; `None` when the worker ends.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop() {
                return Some(event);
            }
            self.changes.changed().await.ok()?;
            self.look();
            if self.waiting.is_empty() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    fn look(&mut self) {
        let mut there = BTreeMap::new();
        for view in self.api.group().connectors() {
            if self.told.get(&view.name) != Some(&view) {
                self.waiting.push(event("connector", &connector(&self.api, &view)));
            }
            there.insert(view.name.clone(), view);
        }
        for name in self.told.keys().filter(|name| !there.contains_key(*name)) {
            self.waiting.push(event("deleted", &json!({"name": name})));
        }
        self.told = there;
    }
}

pub(super) fn event(kind: &str, body: &Value) -> Event {
    Event::default().event(kind).data(body.to_string())
}
