//! Why the slot keeps what it keeps: who is slow, or who does not end.
//!
//! In: what the server shows, and what the connector did since the last look. Out: one [`RetentionCause`]. Pure.

use std::time::Duration;

use postgres::retention::{OldTransaction, Retention};

use super::Look;
use crate::status::{RetentionCause, State, StatusReporter};

/// The log is kept from the beginning of a transaction on; one that is younger is everyday life.
const OLD_TRANSACTION_MIN: Duration = Duration::from_secs(2);
/// Less than this is on its way, not late.
const LATE_BYTES_MIN: u64 = 16 << 20;

/// What the connector did since the last look.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    pub(super) state: State,
    /// Percent of the time in which it could not read on because Kafka had not committed.
    pub(super) kafka_percent: u128,
}

impl Evidence {
    pub(super) fn since(before: Option<Look>, now: &Look, status: &StatusReporter) -> Self {
        let kafka_percent = before.map_or(0, |before| {
            let waited = now.waited_for_kafka.saturating_sub(before.waited_for_kafka);
            waited.as_millis() * 100 / (now.at - before.at).as_millis().max(1)
        });
        Self { state: status.current_state(), kafka_percent }
    }
}

/// Decides.
pub(super) fn cause(found: &Retention, evidence: &Evidence) -> RetentionCause {
    match &evidence.state {
        State::Retrying { code, .. } if code.starts_with("KA") => {
            return RetentionCause::KafkaAway { code };
        }
        State::Retrying { code, .. } => return RetentionCause::SourceAway { code },
        State::Starting => return RetentionCause::Starting,
        State::Snapshotting(_) => return RetentionCause::Snapshot,
        State::Stopped | State::Failed { .. } => return RetentionCause::Stopped,
        State::Streaming => {}
    }
    if found.unacknowledged_bytes < LATE_BYTES_MIN.max(found.retained_bytes / 2) {
        return match &found.oldest {
            Some(oldest) if oldest.age() >= OLD_TRANSACTION_MIN => transaction(oldest),
            _ => RetentionCause::Nothing,
        };
    }
    if evidence.kafka_percent >= 50 {
        return RetentionCause::KafkaSlow { percent: evidence.kafka_percent };
    }
    match found.unsent_bytes {
        Some(unsent_bytes) if unsent_bytes >= found.unacknowledged_bytes / 2 => {
            RetentionCause::SourceSlow
        }
        Some(_) => RetentionCause::ConnectorSlow,
        // Batches by SQL have no walsender: PostgreSQL decodes while we encode.
        None => RetentionCause::SourceSlow,
    }
}

fn transaction(oldest: &OldTransaction) -> RetentionCause {
    match oldest {
        OldTransaction::Session { pid, application, state, age } => RetentionCause::Transaction {
            pid: *pid,
            application: application.clone(),
            state: state.clone(),
            age_seconds: age.as_secs(),
        },
        OldTransaction::Prepared { gid, age } => {
            RetentionCause::PreparedTransaction { gid: gid.clone(), age_seconds: age.as_secs() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    fn found(retained: u64, unacknowledged: u64, unsent: Option<u64>) -> Retention {
        Retention {
            retained_bytes: retained * MB,
            unacknowledged_bytes: unacknowledged * MB,
            unsent_bytes: unsent.map(|unsent| unsent * MB),
            safe_bytes: None,
            oldest: Some(OldTransaction::Session {
                pid: 7,
                application: "report".to_owned(),
                state: "idle in transaction".to_owned(),
                age: Duration::from_secs(90),
            }),
        }
    }

    fn streaming(kafka_percent: u128) -> Evidence {
        Evidence { state: State::Streaming, kafka_percent }
    }

    fn retrying(code: &'static str) -> Evidence {
        let (cause, after) = (String::new(), Duration::ZERO);
        Evidence { state: State::Retrying { code, cause, attempt: 1, after }, kafka_percent: 0 }
    }

    #[test]
    fn a_transaction_is_named_only_where_the_connector_keeps_up() {
        let kept_up = cause(&found(500, 1, Some(0)), &streaming(0));
        assert!(matches!(kept_up, RetentionCause::Transaction { pid: 7, age_seconds: 90, .. }));
        assert_eq!(cause(&found(500, 400, Some(390)), &streaming(0)), RetentionCause::SourceSlow);
    }

    #[test]
    fn who_is_slow_is_told_apart() {
        assert_eq!(
            cause(&found(500, 500, Some(490)), &streaming(80)),
            RetentionCause::KafkaSlow { percent: 80 }
        );
        assert_eq!(
            cause(&found(500, 500, Some(10)), &streaming(10)),
            RetentionCause::ConnectorSlow
        );
        assert_eq!(cause(&found(500, 500, None), &streaming(10)), RetentionCause::SourceSlow);
    }

    #[test]
    fn what_is_away_is_told_by_the_code() {
        assert_eq!(
            cause(&found(500, 500, None), &retrying("KA011")),
            RetentionCause::KafkaAway { code: "KA011" }
        );
        assert_eq!(
            cause(&found(500, 500, None), &retrying("PG001")),
            RetentionCause::SourceAway { code: "PG001" }
        );
    }

    #[test]
    fn what_is_on_its_way_is_not_late() {
        let mut found = found(20, 12, Some(0));
        found.oldest = None;
        assert_eq!(cause(&found, &streaming(90)), RetentionCause::Nothing);
    }
}
