//! `tributary snapshot`: writes a signal for a running connector into its topic of signals.
//!
//! In: a connector's configuration, what is wanted of it. Out: a record, its id on stdout; with `--wait` how it ended.
//! Never here: a look at the source. Which of the tables are captured only the connector knows.

mod wait;

use std::process::ExitCode;

use connector::{SnapshotWanted, WrittenSignal, send_signal, table_typed};
use rand::Rng;
use serde_json::json;

pub(crate) use self::wait::Ending;
use self::wait::Waiting;
use crate::args::SnapshotArguments;
use crate::error::CliError;
use crate::managed;
use crate::output::Output;
use crate::specify;

pub(crate) async fn run(
    arguments: &SnapshotArguments,
    output: Output,
) -> Result<ExitCode, CliError> {
    if let Some(name) = &arguments.managed {
        return Box::pin(managed::snapshot(name, arguments, output)).await;
    }
    let settings = specify::settings_of_named(arguments, output)?;
    let Some(wanted) = &settings.signal_channels.kafka else {
        return Err(CliError::NoSignalTopic { connector: settings.name.to_string() });
    };
    let id = arguments.id.clone().unwrap_or_else(new_id);
    let signal = signal(arguments);
    // What is told from here on is about this signal, or about earlier ones.
    let waiting =
        if arguments.wait { Some(Waiting::open(&settings, &signal, &id).await?) } else { None };
    let sent = send_signal(&settings, wanted, &signal, &id).await?;
    let (topic, connector) = (&sent.topic, &settings.name);
    if sent.is_new_topic {
        output.note(&format!("created topic `{topic}`"));
    }
    if sent.is_compacted {
        warn_of_compaction(topic, output);
    }
    if output.is_json() {
        output.json(&json!({
            "id": id, "type": signal.kind(), "topic": topic, "connector": connector.as_str(),
        }));
    } else {
        output.line(&id);
    }
    let looked_at = if arguments.tables.is_empty() {
        ""
    } else {
        "; which of the tables are captured only the connector knows, it says in its log if none is"
    };
    output.note(&format!(
        "`{}` for connector `{connector}` is in topic `{topic}`{looked_at}",
        signal.kind()
    ));
    match waiting {
        Some(waiting) => show(waiting.until_over(arguments.wait_max).await?, &id, output),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// What the arguments ask for.
fn signal(arguments: &SnapshotArguments) -> WrittenSignal {
    let tables = arguments.tables.iter().map(|typed| table_typed(typed)).collect();
    if arguments.pause {
        WrittenSignal::Pause
    } else if arguments.resume {
        WrittenSignal::Resume
    } else if arguments.stop {
        WrittenSignal::Stop(tables)
    } else {
        WrittenSignal::Execute(SnapshotWanted {
            tables,
            condition: arguments.condition.clone(),
            blocking: arguments.blocking,
            surrogate_key: arguments.surrogate_key.clone(),
        })
    }
}

/// A name that no other signal has.
fn new_id() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}

pub(crate) fn warn_of_compaction(topic: &str, output: Output) {
    output.note(&format!(
        "warning: topic `{topic}` is compacted: of several signals that the connector has not read, the last alone may be left; set its cleanup.policy to delete"
    ));
}

/// How the snapshot ended.
pub(crate) fn show(ending: Ending, id: &str, output: Output) -> Result<ExitCode, CliError> {
    let Ending { rows, missed } = ending;
    if let Some(what) = missed {
        return Err(CliError::SnapshotIncomplete { id: id.to_owned(), what });
    }
    if output.is_json() {
        output.json(&json!({"id": id, "outcome": "completed", "rows": rows}));
    } else {
        output.note(&format!("completed: {rows} rows"));
    }
    Ok(ExitCode::SUCCESS)
}
