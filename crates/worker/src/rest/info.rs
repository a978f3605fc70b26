//! A connector as tools of Kafka Connect see it.
//!
//! In: what the group knows of it. Out: Connect's `ConnectorInfo`, `ConnectorStateInfo`, and their parts.
//! Never: a configuration whose secrets are not hidden.
//! Source: Kafka Connect, `ConnectorInfo`, `ConnectorStateInfo`, `ConnectorTaskId`.

use serde::Serialize;
use utoipa::ToSchema;

use super::root;
use super::secrets::{self, Shown};
use crate::view::{ConnectState, ConnectorView};

/// A connector, and what it is to do.
#[derive(Serialize, ToSchema)]
pub(super) struct ConnectorInfo {
    name: String,
    config: Shown,
    /// One at most.
    tasks: Vec<TaskId>,
    #[serde(rename = "type")]
    kind: ConnectorKind,
}

/// What kind of connector it is; there are no others.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ConnectorKind {
    Source,
}

/// A task of a connector.
#[derive(Serialize, ToSchema)]
pub(super) struct TaskId {
    connector: String,
    /// Its number, which is 0.
    task: i32,
}

/// A task, and what it is to do.
#[derive(Serialize, ToSchema)]
pub(super) struct TaskInfo {
    pub(super) id: TaskId,
    pub(super) config: Shown,
}

/// What a connector and its task are doing.
#[derive(Serialize, ToSchema)]
pub(super) struct ConnectorState {
    name: String,
    connector: Doing,
    /// One at most.
    tasks: Vec<TaskState>,
    #[serde(rename = "type")]
    kind: ConnectorKind,
}

/// What a connector is doing.
#[derive(Serialize, ToSchema)]
#[schema(as = State)]
struct Doing {
    state: ConnectState,
    /// The worker that has it, or had it last.
    worker_id: String,
    version: &'static str,
    /// Why it failed; only where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    trace: Option<String>,
}

/// What a task is doing.
#[derive(Serialize, ToSchema)]
pub(super) struct TaskState {
    /// Its number, which is 0.
    id: i32,
    state: ConnectState,
    /// The worker that has it, or had it last.
    worker_id: String,
    version: &'static str,
    /// Why it failed; only where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    trace: Option<String>,
}

impl ConnectorInfo {
    pub(super) fn of(view: &ConnectorView) -> Self {
        // Before any worker had it there is none, as with Connect.
        let task = view.told.as_ref().and(view.task_state());
        Self {
            name: view.name.clone(),
            config: secrets::hidden(&view.wanted.config),
            tasks: task.map(|_| TaskId::of(&view.name)).into_iter().collect(),
            kind: ConnectorKind::Source,
        }
    }
}

impl TaskId {
    /// The one task of a connector.
    pub(super) fn of(connector: &str) -> Self {
        Self { connector: connector.to_owned(), task: 0 }
    }
}

impl ConnectorState {
    pub(super) fn of(view: &ConnectorView) -> Self {
        Self::with(view, view.connector_state(), view.task_state())
    }

    /// The same, for states it is about to have.
    pub(super) fn with(
        view: &ConnectorView,
        connector: ConnectState,
        task: Option<ConnectState>,
    ) -> Self {
        Self {
            name: view.name.clone(),
            connector: Doing::of(view, connector),
            tasks: task.map(|state| TaskState::of(view, state)).into_iter().collect(),
            kind: ConnectorKind::Source,
        }
    }
}

impl Doing {
    fn of(view: &ConnectorView, state: ConnectState) -> Self {
        let has_failed = matches!(state, ConnectState::Failed | ConnectState::Restarting);
        let cause = view.told.as_ref().and_then(|told| told.cause.as_ref());
        Self {
            state,
            worker_id: view.worker_id().to_owned(),
            version: root::VERSION,
            trace: cause.filter(|_| has_failed).map(|cause| cause.text.clone()),
        }
    }
}

impl TaskState {
    pub(super) fn of(view: &ConnectorView, state: ConnectState) -> Self {
        let Doing { state, worker_id, version, trace } = Doing::of(view, state);
        Self { id: 0, state, worker_id, version, trace }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::openapi::expect_fit;
    use super::*;
    use crate::wanted::Wanted;

    fn view(phase: &str) -> ConnectorView {
        let told = json!({
            "worker": "w:1", "term": 1, "created_at_ms": 1, "revision": 1, "restarts": 0,
            "since_ms": 1, "at_ms": 1, "phase": phase,
            "cause": {"code": "PG001", "text": "nobody answers"},
        });
        let config = [("database.password".to_owned(), "s3cret".to_owned())].into();
        ConnectorView {
            name: "a".to_owned(),
            wanted: Wanted::new(config, crate::Target::Running, 1),
            told: Some(serde_json::from_value(told).unwrap()),
            is_assigned: true,
        }
    }

    #[test]
    fn what_is_shown_is_what_the_document_says() {
        let never_had = ConnectorView { told: None, is_assigned: false, ..view("streaming") };
        for view in [view("streaming"), view("failed"), view("stopped"), never_had] {
            expect_fit(&ConnectorInfo::of(&view));
            expect_fit(&ConnectorState::of(&view));
        }
    }

    #[test]
    fn only_what_has_failed_says_why() {
        let failed = json!(ConnectorState::of(&view("failed")));
        assert_eq!(
            failed["tasks"][0],
            json!({
                "id": 0, "state": "FAILED", "worker_id": "w:1", "version": root::VERSION,
                "trace": "nobody answers",
            })
        );
        assert_eq!(failed["connector"].get("trace"), None);
        assert_eq!(
            json!(ConnectorInfo::of(&view("failed")))["config"],
            json!({"database.password": "[hidden]"})
        );
    }
}
