//! Arguments to a connector's spec and settings.

use connector::settings::{Environment, Settings};
use connector::spec::{Flags, Spec};
use kafka::ClientConfig;

use crate::args::{ConnectorArguments, SnapshotArguments};
use crate::error::CliError;
use crate::output::Output;

/// What the arguments and the environment say, before it is resolved.
pub(crate) fn spec(
    arguments: &ConnectorArguments,
    environment: &Environment,
    output: Output,
) -> Result<Spec, CliError> {
    let Some(path) = &arguments.config else {
        return from_flags(arguments, environment, output);
    };
    let text = std::fs::read_to_string(path)
        .map_err(|cause| CliError::ConfigFile { path: path.clone(), cause })?;
    let mut spec = Spec::from_json(&text)?;
    if let Some(name) = &arguments.name {
        spec.name = Some(name.clone());
    }
    if let Some(source) = &arguments.source {
        spec.set_source(source);
    }
    if let Some(store) = &arguments.store {
        spec.set_store(store);
    }
    spec.set(&arguments.set);
    Ok(spec)
}

/// Everything ready to run.
pub(crate) fn settings(
    arguments: &ConnectorArguments,
    output: Output,
) -> Result<Settings, CliError> {
    let environment = Environment::of_process();
    let spec = spec(arguments, &environment, output)?;
    Ok(Settings::resolve(&spec, &environment)?)
}

/// Where Kafka is, for commands that need nothing else: a flag and properties, or the environment.
pub(crate) fn store(
    store: Option<&str>,
    properties: &[(String, String)],
    environment: &Environment,
) -> Result<(Spec, ClientConfig), CliError> {
    let mut spec = Spec::default();
    spec.set(properties);
    if let Some(store) = store {
        spec.set_store(store);
    } else if environment.kafka_url.is_none() && !spec.config.contains_key("bootstrap.servers") {
        return Err(CliError::NoStore);
    }
    let client = Settings::resolve_store(&spec, environment)?;
    Ok((spec, client))
}

/// The settings of the connector that a signal is for. One made by flags is known by its name: its tables do not matter here.
pub(crate) fn settings_of_named(
    arguments: &SnapshotArguments,
    output: Output,
) -> Result<Settings, CliError> {
    let SnapshotArguments { config, name, source, store, set, .. } = arguments;
    let environment = Environment::of_process();
    let spec = if config.is_some() {
        let connector = ConnectorArguments {
            config: config.clone(),
            source: source.clone(),
            store: store.clone(),
            name: name.clone(),
            set: set.clone(),
            ..ConnectorArguments::default()
        };
        spec(&connector, &environment, output)?
    } else {
        let flags = Flags {
            source: source.clone(),
            store: store.clone(),
            name: name.clone(),
            set: set.clone(),
            ..Flags::default()
        };
        Spec::from_flags(&flags, environment.database_url.as_deref())
    };
    Ok(Settings::resolve(&spec, &environment)?)
}

fn from_flags(
    arguments: &ConnectorArguments,
    environment: &Environment,
    output: Output,
) -> Result<Spec, CliError> {
    let chosen = |key: &str| arguments.set.iter().any(|(name, _)| name == key);
    let lists =
        ["table.include.list", "table.exclude.list", "schema.include.list", "schema.exclude.list"];
    if arguments.tables.is_empty() && !lists.into_iter().any(chosen) {
        return Err(CliError::NothingToCapture);
    }
    let flags = Flags {
        source: arguments.source.clone(),
        store: arguments.store.clone(),
        tables: arguments.tables.clone(),
        exclude_columns: arguments.exclude_columns.clone(),
        name: arguments.name.clone(),
        set: arguments.set.clone(),
    };
    let spec = Spec::from_flags(&flags, environment.database_url.as_deref());
    if arguments.name.is_none()
        && !chosen("name")
        && let Some(name) = &spec.name
    {
        output.note(&format!(
            "connector `{name}`: named after database and tables, so the same command finds its state again; --name keeps the name when the tables change"
        ));
    }
    Ok(spec)
}
