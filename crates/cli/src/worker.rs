//! `tributary worker`: this process's share of a group's connectors, until it is told to stop.

use std::process::ExitCode;

use ::worker::rest::{self, Allowed, RestOptions, Users};
use ::worker::{SealKey, WorkerOptions};
use connector::settings::Environment;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::args::WorkerArguments;
use crate::error::CliError;
use crate::logging::Log;
use crate::output::Output;
use crate::signals::Signals;
use crate::specify;

pub(crate) async fn run(
    arguments: &WorkerArguments,
    log: Log,
    output: Output,
) -> Result<ExitCode, CliError> {
    let options = options(arguments)?;
    let group = options.group.clone();
    let rest = rest_options(arguments, log)?;
    let scheme = if rest.tls.is_some() { "https" } else { "http" };
    let stop = CancellationToken::new();
    let mut signals = Signals::listen()?;
    let ready = |address: std::net::SocketAddr| {
        let url = format!("{scheme}://{address}");
        if output.is_json() {
            output.json(&json!({"state": "ready", "url": url, "group": group}));
        } else {
            output.note(&format!("worker of group `{group}` answers at {url}"));
        }
    };
    let mut worker = std::pin::pin!(::worker::run(options, rest, &stop, ready));
    loop {
        tokio::select! {
            outcome = &mut worker => return outcome.map(|()| ExitCode::SUCCESS).map_err(Into::into),
            signal = signals.next() => {
                if stop.is_cancelled() {
                    // Asked twice: its connectors need no farewell, others take over from their checkpoints.
                    return Ok(ExitCode::SUCCESS);
                }
                info!("{signal}: stopping");
                stop.cancel();
            }
        }
    }
}

fn rest_options(arguments: &WorkerArguments, log: Log) -> Result<RestOptions, CliError> {
    let users = arguments.auth_file.as_deref().map(Users::read).transpose()?;
    let tls = match (&arguments.tls_cert, &arguments.tls_key) {
        (Some(certificates), Some(key)) => Some(rest::server_config(certificates, key)?),
        _ => None,
    };
    Ok(RestOptions {
        tls,
        users,
        is_insecure: arguments.insecure,
        allowed: Allowed {
            paths: arguments.allow_path.clone(),
            variables: arguments.allow_env.clone(),
        },
        logs: log.levels,
        lines: log.lines,
        trace_parent: log.trace_parent,
    })
}

/// What secrets are sealed with: a file, or the environment.
fn seal_key(arguments: &WorkerArguments) -> Result<Option<SealKey>, CliError> {
    const VARIABLE: &str = "TRIBUTARY_SECRET_KEY";
    if let Some(path) = &arguments.secret_key_file {
        return Ok(Some(SealKey::from_file(path)?));
    }
    let given = std::env::var(VARIABLE).ok().filter(|key| !key.is_empty());
    Ok(given.map(|key| SealKey::parse(&key, VARIABLE)).transpose()?)
}

fn options(arguments: &WorkerArguments) -> Result<WorkerOptions, CliError> {
    let environment = Environment::of_process();
    let (spec, client) = specify::store(arguments.store.as_deref(), &arguments.set, &environment)?;
    Ok(WorkerOptions {
        group: environment.prefixed(&arguments.group),
        worker_id: arguments.worker_id.clone(),
        listen: arguments.listen,
        advertised_url: arguments.advertised_url.clone(),
        client,
        store_keys: spec.config,
        environment,
        seal_key: seal_key(arguments)?,
        partitions: arguments.partitions,
        replication_factor: arguments.replication_factor.unwrap_or(-1),
        session_timeout: arguments.session_timeout,
    })
}
