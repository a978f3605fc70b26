//! `tributary snapshot NAME`: tables read again by a connector on a worker.
//!
//! In: what is wanted. Out: the id of the signal the worker wrote; with `--wait` how the snapshot ended, as the connector's status tells.
//! Never: an end that Kafka does not hold; the status tells of it once the rows are committed.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::api::{Api, segment};
use super::wait::{bar, cause};
use crate::args::SnapshotArguments;
use crate::error::CliError;
use crate::output::Output;
use crate::snapshot::{Ending, show, warn_of_compaction};

const LOOK: Duration = Duration::from_millis(250);

pub(crate) async fn run(
    name: &str,
    arguments: &SnapshotArguments,
    output: Output,
) -> Result<ExitCode, CliError> {
    let api = Api::new(&arguments.worker)?;
    let path = format!("/v1/connectors/{}", segment(name));
    let asked = api.expect("POST", &format!("{path}/snapshots"), Some(body(arguments))).await?;
    let asked = asked.body;
    let id = asked["id"].as_str().unwrap_or_default();
    let topic = asked["topic"].as_str().unwrap_or_default();
    if asked["is_new_topic"] == true {
        output.note(&format!("created topic `{topic}`"));
    }
    if asked["is_compacted"] == true {
        warn_of_compaction(topic, output);
    }
    if output.is_json() {
        output.json(&asked);
    } else {
        output.line(id);
        let kind = asked["type"].as_str().unwrap_or_default();
        output.note(&format!("`{kind}` for connector `{name}` is in topic `{topic}`"));
    }
    if !arguments.wait {
        return Ok(ExitCode::SUCCESS);
    }
    let end_offset = asked["end_offset"].as_i64().unwrap_or(i64::MAX);
    let watch = Watch { name, id, end_offset, was_seen: false };
    let ending = until_over(&api, &path, watch, arguments.wait_max, output).await?;
    show(ending, id, output)
}

/// What the worker is asked for.
fn body(arguments: &SnapshotArguments) -> Value {
    let action = if arguments.pause {
        "pause"
    } else if arguments.resume {
        "resume"
    } else if arguments.stop {
        "stop"
    } else {
        "execute"
    };
    let mut body = Map::new();
    body.insert("action".to_owned(), json!(action));
    body.insert("tables".to_owned(), json!(arguments.tables));
    body.insert("blocking".to_owned(), json!(arguments.blocking));
    for (key, value) in [
        ("where", &arguments.condition),
        ("surrogate_key", &arguments.surrogate_key),
        ("id", &arguments.id),
    ] {
        if let Some(value) = value {
            body.insert(key.to_owned(), json!(value));
        }
    }
    body.into()
}

async fn until_over(
    api: &Api,
    path: &str,
    mut watch: Watch<'_>,
    wait_max: Option<Duration>,
    output: Output,
) -> Result<Ending, CliError> {
    let started = Instant::now();
    let bar = bar(output);
    loop {
        let connector = api.expect("GET", path, None).await?.body;
        match watch.look(&connector) {
            Seen::Over(ending) => {
                bar.finish_and_clear();
                return Ok(ending);
            }
            Seen::Rests(phase) => {
                bar.finish_and_clear();
                let (name, cause) = (watch.name.to_owned(), cause(&connector));
                return Err(CliError::NotRunning { name, phase, cause });
            }
            Seen::UnderWay(progress) => bar.set_message(progress),
        }
        if let Some(waited) = wait_max.filter(|most| started.elapsed() >= *most) {
            bar.finish_and_clear();
            return Err(CliError::SnapshotNotOver { id: watch.id.to_owned(), waited });
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// One snapshot, as the status of its connector tells of it. Pure.
struct Watch<'a> {
    name: &'a str,
    id: &'a str,
    /// A connector that has heeded signals up to here has heeded this one.
    end_offset: i64,
    was_seen: bool,
}

/// Where it stands.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    UnderWay(String),
    Over(Ending),
    /// The connector does not run, in this phase.
    Rests(String),
}

impl Watch<'_> {
    fn look(&mut self, connector: &Value) -> Seen {
        let state = &connector["state"];
        let signals = &state["signals"];
        let snapshots = signals["snapshots"].as_array().map(Vec::as_slice).unwrap_or_default();
        let phase = state["phase"].as_str().unwrap_or("unassigned");
        if let Some(asked) = snapshots.iter().rev().find(|asked| asked["signal"] == self.id) {
            self.was_seen = true;
            if asked["tables_left"] == 0 {
                return Seen::Over(ending(asked));
            }
        } else if signals["topic_offset"].as_i64().is_some_and(|at| at >= self.end_offset) {
            // Nothing of it is left to do, and who was told how it went has ended.
            let told = "the connector was started again meanwhile, and it is not known whether all was read before or some of it was stopped";
            return Seen::Over(Ending { rows: 0, missed: Some(told.to_owned()) });
        }
        match phase {
            "failed" | "invalid" | "paused" | "stopped" | "destroying" => {
                Seen::Rests(phase.to_owned())
            }
            _ if !self.was_seen => Seen::UnderWay(format!("{phase}: waits for the connector")),
            _ => Seen::UnderWay(progress(phase, state)),
        }
    }
}

fn ending(asked: &Value) -> Ending {
    let missed = asked["missed"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let missed = missed.collect::<Vec<_>>().join(", ");
    Ending {
        rows: asked["rows_read"].as_u64().unwrap_or_default(),
        missed: (!missed.is_empty()).then_some(missed),
    }
}

fn progress(phase: &str, state: &Value) -> String {
    let incremental = &state["incremental"];
    match incremental["table"].as_str() {
        None => phase.to_owned(),
        Some(table) => format!(
            "{table}: {} rows read, {} tables wait",
            incremental["rows_read"], incremental["tables_waiting"]
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connector(phase: &str, offset: i64, snapshots: &Value) -> Value {
        let signals = json!({"topic_offset": offset, "snapshots": snapshots});
        json!({"state": {"phase": phase, "signals": signals}})
    }

    fn watch() -> Watch<'static> {
        Watch { name: "shop", id: "i", end_offset: 7, was_seen: false }
    }

    #[test]
    fn it_is_over_when_no_table_is_left() {
        let mut watch = watch();
        let others = json!([{"signal": "h", "tables_left": 0, "rows_read": 9, "missed": []}]);
        let seen = watch.look(&connector("streaming", 6, &others));
        assert!(matches!(seen, Seen::UnderWay(_)), "{seen:?}");
        let under_way = json!([{"signal": "i", "tables_left": 1, "rows_read": 2, "missed": []}]);
        assert!(matches!(watch.look(&connector("streaming", 7, &under_way)), Seen::UnderWay(_)));
        let over = json!([{"signal": "i", "tables_left": 0, "rows_read": 3, "missed": []}]);
        let seen = watch.look(&connector("streaming", 7, &over));
        assert_eq!(seen, Seen::Over(Ending { rows: 3, missed: None }));
    }

    #[test]
    fn what_was_not_read_is_told() {
        let over = json!([{"signal": "i", "tables_left": 0, "rows_read": 0, "missed": ["a", "b"]}]);
        let Seen::Over(ending) = watch().look(&connector("streaming", 7, &over)) else { panic!() };
        assert_eq!(ending.missed.as_deref(), Some("a, b"));
    }

    #[test]
    fn a_connector_that_rests_reads_nothing() {
        let seen = watch().look(&connector("paused", 6, &json!([])));
        assert_eq!(seen, Seen::Rests("paused".to_owned()));
    }

    #[test]
    fn a_start_in_between_does_not_wait_for_ever() {
        let Seen::Over(ending) = watch().look(&connector("streaming", 7, &json!([]))) else {
            panic!()
        };
        assert!(ending.missed.is_some());
    }
}
