//! Watches how much of the log the slot keeps, so that a connector that cannot go on does not fill the disk of its source unnoticed.
//!
//! In: the slot, every few seconds, in a session of its own, whatever the connector itself is doing. Out: what it keeps, until when
//! there is room, and why, in the status; a notice at half, at four fifths and at all of the limit; and, if the settings want
//! it, the end of the slot.
//! Never: a slot dropped that this run has not taken over; a failure of its own that ends the connector.
//! Source: `docs/guides/retention.md`.

mod cause;

use std::mem::{Discriminant, discriminant};
use std::time::{Duration, Instant};

use postgres::retention::{self, Retention};
use postgres::{Connection, ReplicationConnection};
use tracing::{debug, info, warn};

use crate::error::ConnectorError;
use crate::lifecycle::chain;
use crate::settings::{RetentionPolicy, RetentionSettings, Settings};
use crate::status::{Notice, RetentionCause, RetentionStatus, State, StatusReporter};
use cause::{Evidence, cause};

/// Percent of the limit at which it is said.
const LEVELS_PERCENT: [u64; 3] = [50, 80, 100];
/// Looks between two words about what holds the log up.
const LOOKS_PER_CAUSE: u32 = 10;

/// Watches until the slot has to go.
pub(crate) async fn watch(settings: &Settings, status: &StatusReporter) -> ConnectorError {
    let mut watch = Watch { settings, status, session: None, last: None, level: 0, said: None };
    loop {
        tokio::time::sleep(settings.retention.interval).await;
        if let Some(failure) = watch.look().await {
            return failure;
        }
    }
}

/// Watches the slot of a connector that does not run, and says in the status what that costs: what the slot keeps, and until when there is
/// room. It does not end by itself.
pub async fn watch_at_rest(settings: &Settings, status: &StatusReporter) {
    status.state(State::Stopped);
    loop {
        // Of what has not taken over it does not say that the slot has to go.
        let _ = watch(settings, status).await;
    }
}

/// Drops the slot. The connector does not run any more.
///
/// It is tried until it is done: what was decided was that the source cannot wait.
pub(crate) async fn drop_slot(settings: &Settings) {
    loop {
        match try_to_drop(settings).await {
            Ok(()) => {
                info!(connector.name = %settings.name, slot.name = %settings.slot.name, "dropped slot `{}`, which kept too much of the log", settings.slot.name);
                return;
            }
            Err(failure) => {
                warn!(connector.name = %settings.name, code = failure.code(), "the slot cannot be dropped yet: {}", chain(&failure));
            }
        }
        tokio::time::sleep(settings.retention.interval).await;
    }
}

async fn try_to_drop(settings: &Settings) -> Result<(), ConnectorError> {
    let control = postgres::connect(&settings.source).await?;
    let slot = &settings.slot.name;
    let Some(state) = postgres::slot::read(&control, slot).await? else { return Ok(()) };
    let application = settings.source.application_name();
    postgres::slot::end_stale_walsender(&control, &state, application).await?;
    ReplicationConnection::connect(&settings.source).await?.drop_slot(slot, true).await?;
    Ok(())
}

struct Watch<'a> {
    settings: &'a Settings,
    status: &'a StatusReporter,
    session: Option<Connection>,
    last: Option<Look>,
    /// Percent of the limit that were said.
    level: u64,
    said: Option<Said>,
}

/// What was said last.
#[derive(Clone, Copy)]
struct Said {
    at: Instant,
    cause: Discriminant<RetentionCause>,
}

impl Said {
    /// Something else holds the log up now, and it is long enough ago: causes may change to and fro.
    fn is_other(&self, status: &RetentionStatus, interval: Duration) -> bool {
        let cause = &status.cause;
        *cause != RetentionCause::Nothing
            && discriminant(cause) != self.cause
            && self.at.elapsed() >= interval * LOOKS_PER_CAUSE
    }
}

/// What was seen, and when.
#[derive(Clone, Copy)]
struct Look {
    at: Instant,
    retained_bytes: u64,
    waited_for_kafka: Duration,
}

impl Watch<'_> {
    /// Looks once. A source that does not answer says nothing of the slot, and the connector itself says that it does not.
    async fn look(&mut self) -> Option<ConnectorError> {
        match self.read().await {
            Ok(Some(found)) => self.judge(&found),
            Ok(None) => {
                self.last = None;
                self.status.retention(None);
                None
            }
            Err(failure) => {
                debug!(connector.name = %self.settings.name, code = failure.code(), "cannot look what the slot keeps: {}", chain(&failure));
                self.session = None;
                None
            }
        }
    }

    async fn read(&mut self) -> Result<Option<Retention>, ConnectorError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => postgres::connect(&self.settings.source).await?,
        };
        let found = retention::read(&session, &self.settings.slot.name).await?;
        self.session = Some(session);
        Ok(found)
    }

    fn judge(&mut self, found: &Retention) -> Option<ConnectorError> {
        let now = Look {
            at: Instant::now(),
            retained_bytes: found.retained_bytes,
            waited_for_kafka: self.status.waited_for_kafka(),
        };
        let before = self.last.replace(now);
        let cause = cause(found, &Evidence::since(before, &now, self.status));
        let limit_bytes = limit_bytes(&self.settings.retention, found);
        let growth_bytes_per_second = before.map_or(0, |before| growth(&before, &now));
        let status = RetentionStatus {
            retained_bytes: found.retained_bytes,
            unacknowledged_bytes: found.unacknowledged_bytes,
            limit_bytes,
            growth_bytes_per_second,
            cause,
        };
        let (percent, interval) = (status.percent(), self.settings.retention.interval);
        let reached = LEVELS_PERCENT.into_iter().rev().find(|level| percent >= *level).unwrap_or(0);
        let is_other =
            reached > 0 && self.said.is_some_and(|said| said.is_other(&status, interval));
        if reached > self.level || is_other {
            self.say(reached.max(self.level), &status);
        }
        if reached == 0 && self.level > 0 {
            self.status.withdraw_notices("NT012");
            self.said = None;
        }
        self.level = if reached == 0 { 0 } else { self.level.max(reached) };
        let limit = self.settings.retention.bytes_max.filter(|max| found.retained_bytes >= *max);
        let text = status.to_string();
        self.status.retention(Some(status));
        match (limit, self.settings.retention.policy) {
            (Some(limit_bytes), RetentionPolicy::DropSlot) if self.status.has_taken_over() => {
                Some(ConnectorError::SlotKeepsTooMuch {
                    slot: self.settings.slot.name.to_string(),
                    limit_bytes,
                    status: text,
                })
            }
            _ => None,
        }
    }

    fn say(&mut self, level: u64, status: &RetentionStatus) {
        self.said = Some(Said { at: Instant::now(), cause: discriminant(&status.cause) });
        self.status.withdraw_notices("NT012");
        let slot = &self.settings.slot.name;
        let (subject, text) = (format!("{slot} at {level} %"), format!("slot `{slot}` {status}"));
        self.status.notice(Notice { code: "NT012", subject, text });
    }
}

/// What the settings allow or the server, whichever is less.
fn limit_bytes(settings: &RetentionSettings, found: &Retention) -> Option<u64> {
    let by_server = found.safe_bytes.map(|safe_bytes| found.retained_bytes + safe_bytes);
    settings.bytes_max.into_iter().chain(by_server).min()
}

/// Bytes a second, since the last look.
fn growth(before: &Look, now: &Look) -> u64 {
    let millis = u64::try_from((now.at - before.at).as_millis()).unwrap_or(u64::MAX).max(1);
    now.retained_bytes.saturating_sub(before.retained_bytes).saturating_mul(1000) / millis
}
