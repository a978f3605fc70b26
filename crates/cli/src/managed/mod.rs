//! What is asked of a worker: connectors made, looked at, changed and taken away.
//!
//! In: a name and a wish. Out: what the worker says, readably or as JSON. Never: Kafka or PostgreSQL themselves; the worker has them.

mod alter_key;
mod api;
mod apply;
mod check;
mod destroy;
mod info;
mod lists;
mod logs;
mod offsets;
mod snapshot;
mod stream;
mod tail;
mod update;
mod verify;
mod wait;

use std::process::ExitCode;

use connector::settings::Environment;
use connector::spec::{Flags, Spec};
use rand::Rng;
use serde_json::{Value, json};

use crate::args::managed::{CreateArguments, ListArguments, NameArguments};
use crate::error::CliError;
use crate::output::Output;
use crate::specify;
use api::{Api, segment};

pub(crate) use alter_key::run as alter_key;
pub(crate) use apply::run as apply;
pub(crate) use check::{plan, run as check};
pub(crate) use destroy::run as destroy;
pub(crate) use info::run as info;
pub(crate) use logs::run as logs;
pub(crate) use offsets::run as offsets;
pub(crate) use snapshot::run as snapshot;
pub(crate) use tail::run as tail;
pub(crate) use update::run as update;
pub(crate) use verify::run as verify;
pub(crate) use wait::run as wait;

/// `tributary create`.
pub(crate) async fn create(
    arguments: &CreateArguments,
    output: Output,
) -> Result<ExitCode, CliError> {
    let spec = spec(arguments, output)?;
    let name = spec.name.unwrap_or_default();
    let api = Api::new(&arguments.worker)?;
    let body = json!({"name": name, "config": spec.config});
    let answer = api.expect("POST", "/connectors", Some(body)).await?;
    if arguments.wait {
        return wait::until_running(&api, &name, arguments.wait_max, output).await;
    }
    if output.is_json() {
        output.json(&answer.body);
    } else {
        output.line(&format!("Name:   {name}"));
        output.line("Status: creating");
        output.note(&format!("\nRun `tributary wait {name}` to see when it follows the log."));
    }
    Ok(ExitCode::SUCCESS)
}

/// What is to be made; a name is made up where none was given.
fn spec(arguments: &CreateArguments, output: Output) -> Result<Spec, CliError> {
    let connector = &arguments.connector;
    if connector.config.is_some() {
        let mut spec = specify::spec(connector, &Environment::of_process(), output)?;
        spec.name = Some(spec.name.unwrap_or_else(invented_name));
        return Ok(spec);
    }
    if connector.tables.is_empty() {
        return Err(CliError::NothingToCapture);
    }
    let environment = Environment::of_process();
    let flags = Flags {
        // The worker's environment is another one than ours.
        source: connector.source.clone().or(environment.database_url),
        store: connector.store.clone(),
        tables: connector.tables.clone(),
        exclude_columns: connector.exclude_columns.clone(),
        name: Some(connector.name.clone().unwrap_or_else(invented_name)),
        set: connector.set.clone(),
    };
    Ok(Spec::from_flags(&flags, None))
}

/// A name nobody has to think of: `gentle-connector-1234`.
fn invented_name() -> String {
    let mut random = rand::rng();
    let adjective =
        connector::spec::ADJECTIVES[random.random_range(0..connector::spec::ADJECTIVES.len())];
    format!("{adjective}-connector-{}", random.random_range(1000..10_000))
}

/// `tributary list`.
pub(crate) async fn list(arguments: &ListArguments, output: Output) -> Result<ExitCode, CliError> {
    let api = Api::new(&arguments.worker)?;
    let answer = api.expect("GET", "/v1/connectors", None).await?;
    if output.is_json() {
        output.json(&answer.body);
        return Ok(ExitCode::SUCCESS);
    }
    let connectors = answer.body["connectors"].as_array().cloned().unwrap_or_default();
    if connectors.is_empty() {
        output.note("There is no connector. `tributary create --help` says how to make one.");
    }
    for connector in &connectors {
        info::summary(connector, output);
    }
    Ok(ExitCode::SUCCESS)
}

/// `tributary topics`.
pub(crate) async fn topics(
    arguments: &NameArguments,
    output: Output,
) -> Result<ExitCode, CliError> {
    let api = Api::new(&arguments.worker)?;
    let path = format!("/connectors/{}/topics", segment(&arguments.name));
    let answer = api.expect("GET", &path, None).await?;
    let topics = &answer.body[&arguments.name]["topics"];
    if output.is_json() {
        output.json(topics);
    } else {
        let topics = topics.as_array().map(Vec::as_slice).unwrap_or_default();
        if topics.is_empty() {
            output.note(&format!("{} has written to no topic yet.", arguments.name));
        }
        for topic in topics.iter().filter_map(Value::as_str) {
            output.line(topic);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A verb that changes what a connector shall be doing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verb {
    Pause,
    Resume,
    Stop,
    Restart,
}

/// `tributary pause`, `resume`, `stop`, `restart`.
pub(crate) async fn verb(
    verb: Verb,
    arguments: &NameArguments,
    output: Output,
) -> Result<ExitCode, CliError> {
    let api = Api::new(&arguments.worker)?;
    let name = segment(&arguments.name);
    let (method, path, said) = match verb {
        Verb::Pause => ("PUT", format!("/connectors/{name}/pause"), "pausing"),
        Verb::Resume => ("PUT", format!("/connectors/{name}/resume"), "resuming"),
        Verb::Stop => ("PUT", format!("/connectors/{name}/stop"), "stopping"),
        Verb::Restart => {
            ("POST", format!("/connectors/{name}/restart?includeTasks=true"), "restarting")
        }
    };
    let answer = api.expect(method, &path, None).await?;
    // A restart does not let go on what rests.
    let resting = answer.body["connector"]["state"].as_str().map(str::to_lowercase);
    let resting = resting.filter(|state| state == "paused" || state == "stopped");
    let said = resting.as_deref().unwrap_or(said);
    let name = &arguments.name;
    if output.is_json() {
        output.json(&json!({"name": name, "status": said}));
        return Ok(ExitCode::SUCCESS);
    }
    if resting.is_some() {
        output.line(&format!(
            "{name} is {said}, and stays so: `tributary resume {name}` lets it go on."
        ));
        return Ok(ExitCode::SUCCESS);
    }
    output.line(&format!("{name} is {said}."));
    output.note(&match verb {
        Verb::Pause | Verb::Stop => format!(
            "Its slot keeps the source's log meanwhile: `tributary info {name}` says how much, and until when there is room."
        ),
        Verb::Resume | Verb::Restart => {
            format!("Run `tributary wait {name}` to see when it follows the log.")
        }
    });
    Ok(ExitCode::SUCCESS)
}
