//! `GET /v1/events`: changes of connectors as they happen, as server-sent events.
//!
//! Shape: `event: connector` with a connector as `GET /v1/connectors/{name}` has it; `event: deleted` with `{"name"}`; first all there are. Who
//! reads slowly gets the newest state and not each before it.
//! Never: a reader that holds up a connector.
//! Source: HTML standard, "Server-sent events".

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use serde::Serialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};
use utoipa::ToSchema;

use super::super::error::ApiError;
use super::super::openapi::{Answer, Doc, one};
use super::super::{Api, status};
use super::connector::Connector;
use crate::view::ConnectorView;

/// Between two looks: a connector tells its progress some times a second.
const PAUSE: Duration = Duration::from_millis(250);
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A connector that is gone.
#[derive(Serialize, ToSchema)]
pub(super) struct Deleted {
    pub(super) name: String,
}

pub(crate) const STREAM: Doc = Doc {
    answers: &[Answer {
        events: &[("connector", one::<Connector>), ("deleted", one::<Deleted>)],
        ..Answer::empty(
            status::OK,
            "`event: connector` with a Connector, `event: deleted` with {\"name\"}; first all there are",
        )
    }],
    ..Doc::of("Changes of connectors as they happen")
};

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
                self.waiting.push(event("connector", &Connector::of(&self.api, &view)));
            }
            there.insert(view.name.clone(), view);
        }
        for name in self.told.keys().filter(|name| !there.contains_key(*name)) {
            self.waiting.push(event("deleted", &Deleted { name: name.clone() }));
        }
        self.told = there;
    }
}

pub(super) fn event<T: Serialize>(kind: &str, body: &T) -> Event {
    Event::default().event(kind).data(json!(body).to_string())
}
