//! `tributary destroy`: a connector, its slot and its publication gone, its topics kept and named.

use std::io::{self, BufRead, IsTerminal};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::json;

use super::api::{Api, segment};
use crate::args::managed::DestroyArguments;
use crate::error::CliError;
use crate::output::Output;

const LOOK: Duration = Duration::from_millis(200);
const NOT_FOUND: u16 = 404;

pub(crate) async fn run(
    arguments: &DestroyArguments,
    output: Output,
) -> Result<ExitCode, CliError> {
    let name = &arguments.name;
    let confirmed = match &arguments.confirm {
        Some(confirmed) => confirmed.clone(),
        None => asked(name, output)?,
    };
    if confirmed != *name {
        return Err(CliError::NotConfirmed { name: name.clone(), confirmed });
    }
    let api = Api::new(&arguments.worker)?;
    let path = format!("/v1/connectors/{}", segment(name));
    let known = api.expect("GET", &path, None).await?;
    let topics = known.body["topics"].clone();
    let delete = format!("{path}?topics={}", arguments.delete_topics);
    api.expect("DELETE", &delete, None).await?;
    let started = Instant::now();
    loop {
        let answer = api.ask("GET", &path, None, None).await?;
        if answer.status == NOT_FOUND {
            break;
        }
        let state = answer.into_success()?.body["state"].clone();
        if started.elapsed() >= arguments.wait_max {
            let cause = state["cause"]["text"].as_str().unwrap_or("its worker has not got to it");
            return Err(CliError::StillWaiting {
                name: name.clone(),
                goal: "is not gone",
                waited: arguments.wait_max,
                state: format!("destroying: {cause}"),
            });
        }
        tokio::time::sleep(LOOK).await;
    }
    if output.is_json() {
        output.json(&json!({"name": name, "status": "deleted", "topics": topics, "topics_deleted": arguments.delete_topics}));
        return Ok(ExitCode::SUCCESS);
    }
    output.line(&format!("{name} is gone, with its slot and its publication."));
    let names: Vec<&str> =
        topics.as_array().into_iter().flatten().filter_map(|topic| topic.as_str()).collect();
    if !arguments.delete_topics && !names.is_empty() {
        output.line(
            "Its topics are still there, because they may hold what consumers have not read:",
        );
        for name in names {
            output.line(&format!("  {name}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The name, typed by whoever sits there.
fn asked(name: &str, output: Output) -> Result<String, CliError> {
    if !io::stdin().is_terminal() {
        return Err(CliError::NotConfirmed { name: name.to_owned(), confirmed: String::new() });
    }
    output.note(&format!(
        "This takes away connector {name}, its slot and its publication. To go on, type its name:"
    ));
    let mut typed = String::new();
    // Nothing typed is no confirmation.
    let _ = io::stdin().lock().read_line(&mut typed);
    Ok(typed.trim().to_owned())
}
