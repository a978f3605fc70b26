//! `/v1/connectors/{name}/check`: both sides of a connector looked at, as it is or as a change would make it.
//!
//! In: a name, and for a plan the keys that would change. Out: a report, ready or not. Nothing is changed.
//! Never: a plan for somebody who may not make the change: the source's password goes wherever the configuration says.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use connector::check::Report;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::audit::Changed;
use super::super::body::{Body, ConfigPatch};
use super::super::error::ApiError;
use super::super::openapi::{Answer, Doc, Refusal, one};
use super::super::{Api, secrets};
use super::connectors::ConnectorChange;
use crate::wanted::Config;

/// What was found of a connector.
#[derive(Serialize, ToSchema)]
#[schema(as = Report)]
pub(crate) struct Checked {
    #[serde(flatten)]
    report: Report,
    /// No finding is an error.
    ready: bool,
}

/// What would be found of a connector after a change.
#[derive(Serialize, ToSchema)]
pub(crate) struct Plan {
    #[serde(flatten)]
    checked: Checked,
    /// By key.
    changes: BTreeMap<String, KeyChange>,
}

/// What a key is and would be, as it is shown; null where it is not there.
#[derive(Serialize, ToSchema)]
struct KeyChange {
    #[schema(required)]
    from: Option<String>,
    #[schema(required)]
    to: Option<String>,
}

pub(crate) const CHECK: Doc = Doc {
    answers: &[Answer::json("what was found", one::<Checked>)],
    refusals: &[Refusal::Wrong, Refusal::NotFound],
    ..Doc::of("What is wrong on both sides of a connector; nothing is changed")
};

pub(crate) async fn check(
    State(api): State<Api>,
    Path(name): Path<String>,
) -> Result<Json<Checked>, ApiError> {
    let _place = api.look()?;
    Ok(Json(Checked::of(Box::pin(api.group().check(&name)).await?)))
}

pub(crate) const PLAN: Doc = Doc {
    body: Some(one::<ConnectorChange>),
    answers: &[Answer::json("what was found", one::<Plan>)],
    refusals: &[Refusal::Wrong, Refusal::NotFound],
    ..Doc::of(
        "What a change of some keys would change, and what would be wrong then; nothing is changed",
    )
};

/// What a change of some keys would change, and what would be found.
pub(crate) async fn plan(
    State(api): State<Api>,
    Path(name): Path<String>,
    Body(change): Body<ConnectorChange>,
) -> Result<(Changed, Json<Plan>), ApiError> {
    let _place = api.look()?;
    let ConnectorChange { config: ConfigPatch(patch) } = change;
    let patch = api.incoming_patch(&name, patch)?;
    let before = api.group().connector(&name)?.wanted.config;
    let (after, report) = Box::pin(api.group().plan(&name, &patch)).await?;
    let plan = Plan { checked: Checked::of(report), changes: changes(&before, &after) };
    Ok((Changed(patch.into_keys().collect()), Json(plan)))
}

impl Checked {
    fn of(report: Report) -> Self {
        Self { ready: report.is_ready(), report }
    }
}

/// Keys that differ; a secret that becomes another is hidden on both sides.
fn changes(before: &Config, after: &Config) -> BTreeMap<String, KeyChange> {
    let keys = before.keys().chain(after.keys());
    let changed = keys.filter(|key| before.get(*key) != after.get(*key)).map(|key| {
        let shown = |value: Option<&String>| value.map(|value| secrets::shown(key, value));
        (key.clone(), KeyChange { from: shown(before.get(key)), to: shown(after.get(key)) })
    });
    changed.collect()
}

#[cfg(test)]
mod tests {
    use connector::check::{Captured, Finding, Severity};
    use serde_json::json;

    use super::super::super::openapi::expect_fit;
    use super::*;

    #[test]
    fn a_plan_is_what_the_document_says() {
        let report = Report {
            tables: vec![Captured { table: "s.t".to_owned(), topic: "t".to_owned() }],
            findings: vec![Finding {
                severity: Severity::Error,
                code: "PG004".to_owned(),
                subject: "s.t".to_owned(),
                message: "a".to_owned(),
                fix: None,
            }],
            ..Report::default()
        };
        let config = |value: &str| [("slot.name".to_owned(), value.to_owned())].into();
        let changes = changes(&config("a"), &config("b"));
        let plan = Plan { checked: Checked::of(report), changes };
        expect_fit(&plan);
        expect_fit(&plan.checked);
        let written = json!(plan);
        assert_eq!(written["ready"], false);
        assert_eq!(written["changes"], json!({"slot.name": {"from": "a", "to": "b"}}));
    }
}
