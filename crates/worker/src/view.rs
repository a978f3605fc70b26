//! What this worker knows of all connectors of its group: both topics, folded.
//!
//! In: records of the config and status topics, the members of the group. Out: a [`ConnectorView`] per name.
//! Never: I/O.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::told::{Phase, Told};
use crate::wanted::{Target, Wanted};

/// A worker of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id, as connectors' statuses name it.
    pub id: String,
    /// Where its API is.
    pub url: String,
}

/// One connector: what is wanted, and what was told of it last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorView {
    /// Its name.
    pub name: String,
    /// What is wanted.
    pub wanted: Wanted,
    /// What its worker told last; `None` before any had it.
    pub told: Option<Told>,
    /// The worker that told it is a member of the group.
    pub is_assigned: bool,
}

/// A state of Kafka Connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ConnectState {
    /// No worker has it.
    Unassigned,
    /// It runs.
    Running,
    /// It was asked to pause.
    Paused,
    /// It was asked to stop.
    Stopped,
    /// It cannot go on.
    Failed,
    /// It starts again after a failure.
    Restarting,
}

impl ConnectState {
    /// As Kafka Connect writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unassigned => "UNASSIGNED",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Stopped => "STOPPED",
            Self::Failed => "FAILED",
            Self::Restarting => "RESTARTING",
        }
    }
}

impl ConnectorView {
    /// The state of the connector itself: as with Connect, what fails while it runs fails in its task.
    pub fn connector_state(&self) -> ConnectState {
        match self.phase() {
            Phase::Unassigned => ConnectState::Unassigned,
            Phase::Paused => ConnectState::Paused,
            Phase::Stopped | Phase::Destroying => ConnectState::Stopped,
            Phase::Invalid => ConnectState::Failed,
            Phase::Starting
            | Phase::Snapshotting
            | Phase::Streaming
            | Phase::Retrying
            | Phase::Failed => ConnectState::Running,
        }
    }

    /// The state of its one task; `None` if it has none: a stopped connector, and one whose configuration cannot be used.
    pub fn task_state(&self) -> Option<ConnectState> {
        match self.phase() {
            Phase::Stopped | Phase::Destroying | Phase::Invalid => None,
            Phase::Unassigned => {
                (self.wanted.target != Target::Stopped).then_some(ConnectState::Unassigned)
            }
            Phase::Paused => Some(ConnectState::Paused),
            Phase::Starting | Phase::Snapshotting | Phase::Streaming => Some(ConnectState::Running),
            Phase::Retrying => Some(ConnectState::Restarting),
            Phase::Failed => Some(ConnectState::Failed),
        }
    }

    /// What it is doing, as far as anybody who lives told.
    pub fn phase(&self) -> Phase {
        match &self.told {
            Some(told) if self.is_assigned => told.phase,
            _ => Phase::Unassigned,
        }
    }

    /// Whether anybody may be running it.
    pub fn is_running(&self) -> bool {
        matches!(
            self.phase(),
            Phase::Starting | Phase::Snapshotting | Phase::Streaming | Phase::Retrying
        )
    }

    /// Topics it has written to, as far as was told, since they were reset.
    pub fn topics(&self) -> &[String] {
        let told = self.told.as_ref().filter(|told| told.at_ms >= self.wanted.topics_reset_at_ms);
        told.map_or(&[], |told| &told.topics)
    }

    /// The tables its list names literally, as schema and table.
    pub fn literal_tables(&self) -> Vec<(String, String)> {
        let named = self.listed_tables().into_iter().filter(|listed| listed.is_literal);
        let parts = named.filter_map(|listed| {
            let (schema, table) = listed.name.split_once('.')?;
            Some((schema.to_owned(), table.to_owned()))
        });
        parts.collect()
    }

    /// The entries of its list of tables.
    pub(crate) fn listed_tables(&self) -> Vec<ListedTable> {
        let list = self.wanted.config.get("table.include.list").map_or("", String::as_str);
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(ListedTable::of).collect()
    }

    /// Who has it; the last one that had it where nobody does.
    pub fn worker_id(&self) -> &str {
        self.told.as_ref().map_or("", |told| &told.worker)
    }
}

/// An entry of a list of tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedTable {
    /// The table, or the pattern.
    pub(crate) name: String,
    /// It fits one table only.
    pub(crate) is_literal: bool,
}

impl ListedTable {
    fn of(entry: &str) -> Self {
        let name = entry.replace("\\.", ".").replace("[.]", ".");
        let is_literal =
            !name.contains(['*', '+', '?', '|', '(', ')', '[', ']', '{', '}', '\\', '^', '$']);
        Self { name: if is_literal { name } else { entry.to_owned() }, is_literal }
    }
}

/// All connectors of the group.
#[derive(Debug)]
pub(crate) struct View {
    state: RwLock<State>,
    changes: watch::Sender<u64>,
    /// Of what is wanted only: what connectors tell changes all the time.
    wishes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    wanted: BTreeMap<String, Arc<Wanted>>,
    told: BTreeMap<String, Arc<Told>>,
    members: Vec<Member>,
}

impl View {
    pub(crate) fn new() -> Self {
        let (changes, wishes) = (watch::Sender::new(0), watch::Sender::new(0));
        Self { state: RwLock::default(), changes, wishes }
    }

    /// Marks every change, of whatever kind.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Marks every change of what is wanted.
    pub(crate) fn wishes(&self) -> watch::Receiver<u64> {
        self.wishes.subscribe()
    }

    /// A record of the config topic; `None` is a tombstone.
    pub(crate) fn want(&self, name: &str, wanted: Option<Wanted>) {
        self.modify(|state| match wanted {
            Some(wanted) => drop(state.wanted.insert(name.to_owned(), Arc::new(wanted))),
            None => drop(state.wanted.remove(name)),
        });
        self.wishes.send_modify(|wishes| *wishes += 1);
    }

    /// A record of the status topic; `None` is a tombstone. One of an earlier term, told late, does not count.
    pub(crate) fn tell(&self, name: &str, told: Option<Told>) {
        self.modify(|state| match told {
            Some(told) => {
                let later = |known: &Arc<Told>| known.term > told.term;
                if !state.told.get(name).is_some_and(later) {
                    state.told.insert(name.to_owned(), Arc::new(told));
                }
            }
            None => drop(state.told.remove(name)),
        });
    }

    /// The term of the last worker that had it; 0 before any had.
    pub(crate) fn term(&self, name: &str) -> i64 {
        self.read(|state| state.told.get(name).map_or(0, |told| told.term))
    }

    pub(crate) fn set_members(&self, members: Vec<Member>) {
        self.modify(|state| state.members = members);
    }

    pub(crate) fn members(&self) -> Vec<Member> {
        self.read(|state| state.members.clone())
    }

    pub(crate) fn wanted(&self, name: &str) -> Option<Arc<Wanted>> {
        self.read(|state| state.wanted.get(name).cloned())
    }

    /// Everything wanted, by name.
    pub(crate) fn all_wanted(&self) -> Vec<(String, Arc<Wanted>)> {
        self.read(|state| {
            state.wanted.iter().map(|(name, wanted)| (name.clone(), Arc::clone(wanted))).collect()
        })
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.read(|state| state.wanted.keys().cloned().collect())
    }

    pub(crate) fn connector(&self, name: &str) -> Option<ConnectorView> {
        self.read(|state| state.wanted.get(name).map(|wanted| state.connector(name, wanted)))
    }

    pub(crate) fn connectors(&self) -> Vec<ConnectorView> {
        self.read(|state| {
            state.wanted.iter().map(|(name, wanted)| state.connector(name, wanted)).collect()
        })
    }

    // A panic while it was held leaves maps that are whole: each change is one insertion or removal.
    fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn modify(&self, modify: impl FnOnce(&mut State)) {
        modify(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
        self.changes.send_modify(|changes| *changes += 1);
    }
}

impl State {
    fn connector(&self, name: &str, wanted: &Wanted) -> ConnectorView {
        // What was told of an earlier connector of the same name is not about this one.
        let told = self.told.get(name).filter(|told| told.created_at_ms == wanted.created_at_ms);
        let told = told.map(|told| (**told).clone());
        let is_assigned = told
            .as_ref()
            .is_some_and(|told| self.members.iter().any(|member| member.id == told.worker));
        ConnectorView { name: name.to_owned(), wanted: wanted.clone(), told, is_assigned }
    }
}
