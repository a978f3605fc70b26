//! Which topics a connector has written to, since they were last reset.
//!
//! In: records by table of the status, what an earlier worker told. Out: names of topics. Never: a topic nothing was committed to.
//! Source: Kafka Connect, KIP-558.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use connector::settings::Settings;
use connector::status::Status;

use crate::view::ConnectorView;
use crate::wanted::Wanted;

/// The topics of one connector.
#[derive(Debug, Default)]
pub(crate) struct Written {
    topics: BTreeSet<String>,
    reset_at_ms: i64,
    /// Records by table that are in `topics` already.
    seen: BTreeMap<Arc<str>, u64>,
}

impl Written {
    /// What was told before, by this worker or another one.
    pub(crate) fn of(view: Option<&ConnectorView>) -> Self {
        let topics = view.map(ConnectorView::topics).unwrap_or_default();
        let reset_at_ms = view.map_or(0, |view| view.wanted.topics_reset_at_ms);
        Self { topics: topics.iter().cloned().collect(), reset_at_ms, seen: BTreeMap::new() }
    }

    /// A run begins to count anew.
    pub(crate) fn begin(&mut self) {
        self.seen.clear();
    }

    /// Takes in what was committed since the last look.
    pub(crate) fn look(&mut self, wanted: &Wanted, status: &Status, settings: &Settings) {
        if wanted.topics_reset_at_ms > self.reset_at_ms {
            self.reset_at_ms = wanted.topics_reset_at_ms;
            self.topics.clear();
        }
        for (table, measured) in &status.measured.tables {
            let seen = self.seen.entry(Arc::clone(table)).or_default();
            if measured.records > *seen {
                *seen = measured.records;
                if let Some((schema, name)) = table.split_once('.') {
                    self.topics.insert(settings.topic_of(schema, name));
                }
            }
        }
    }

    /// Their names, in order.
    pub(crate) fn topics(&self) -> Vec<String> {
        self.topics.iter().cloned().collect()
    }
}
