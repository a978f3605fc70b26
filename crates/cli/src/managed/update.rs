//! `tributary update`: keys, tables and columns of a connector, all at once or not at all.

use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::api::{Api, segment};
use super::lists;
use crate::args::managed::UpdateArguments;
use crate::error::CliError;
use crate::output::Output;

const TABLES: &str = "table.include.list";
const COLUMNS: &str = "column.exclude.list";
/// Others may change it at the same time; each attempt begins with what it is then.
const ATTEMPTS_MAX: u32 = 10;
/// The revision is another one than that of the request.
const OVERTAKEN: u16 = 412;

pub(crate) async fn run(arguments: &UpdateArguments, output: Output) -> Result<ExitCode, CliError> {
    let api = Api::new(&arguments.worker)?;
    let path = format!("/v1/connectors/{}", segment(&arguments.name));
    let mut attempt = 1;
    let updated = loop {
        let known = api.expect("GET", &path, None).await?;
        let patch = patch(&known.body["config"], arguments)?;
        let body = json!({"config": patch});
        let answer = api.ask("PATCH", &path, Some(body), known.etag.as_deref()).await?;
        if answer.status != OVERTAKEN || attempt == ATTEMPTS_MAX {
            break answer.into_success()?;
        }
        attempt += 1;
    };
    if output.is_json() {
        output.json(&updated.body);
    } else {
        output.line(&format!("{} is being updated.", arguments.name));
        output.note(&format!("Run `tributary wait {}` to see when it is done.", arguments.name));
    }
    Ok(ExitCode::SUCCESS)
}

/// Keys with their new values; null removes one.
pub(super) fn patch(
    config: &Value,
    arguments: &UpdateArguments,
) -> Result<Map<String, Value>, CliError> {
    let list = |key: &str| config[key].as_str().unwrap_or_default().to_owned();
    let mut patch = Map::new();
    for (key, value) in &arguments.settings {
        patch.insert(key.clone(), json!(value));
    }
    for key in &arguments.unset {
        patch.insert(key.clone(), Value::Null);
    }
    if !arguments.add_tables.is_empty() || !arguments.remove_tables.is_empty() {
        let tables = lists::with(&list(TABLES), &arguments.add_tables, 2);
        let tables = lists::without(TABLES, &tables, &arguments.remove_tables, 2)?;
        if tables.is_empty() {
            return Err(CliError::LastTable { name: arguments.name.clone() });
        }
        patch.insert(TABLES.to_owned(), json!(tables));
    }
    if !arguments.exclude_columns.is_empty() || !arguments.remove_excluded_columns.is_empty() {
        let columns = lists::with(&list(COLUMNS), &arguments.exclude_columns, 3);
        let columns = lists::without(COLUMNS, &columns, &arguments.remove_excluded_columns, 3)?;
        let columns = if columns.is_empty() { Value::Null } else { json!(columns) };
        patch.insert(COLUMNS.to_owned(), columns);
    }
    Ok(patch)
}
