//! A schema registry with Confluent's API, which ends with us: Apicurio Registry, in memory.
//!
//! In: a port, or none. Out: a registry that answers on 127.0.0.1. Never here: a request to it beyond "are you there", schemas, a
//! state that outlives it.
//! Source: Apicurio Registry documentation, "Installing with in-memory storage"; `MicroProfile` Health, `/health/ready`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;
use tracing::debug;

use crate::{
    EmbeddedError, Event, Progress, archive, cache, java, lock, ports, probe,
    watchdog::{Ending, Guarded, Watched},
};

const NAME: &str = "Apicurio Registry 2.6.13";
const JAVA_MINIMUM: u32 = 17;
const HEAP_MIB: u32 = 384;
const READY_MAX: Duration = Duration::from_mins(2);
const STOP_GRACE: Duration = Duration::from_secs(10);
const PORT_ATTEMPTS: u32 = 5;
const LOG: &str = "registry.log";

/// A running registry. Dropping it ends the process and forgets its schemas.
#[derive(Debug)]
pub struct SchemaRegistry {
    /// Dropped before `folder`, which it guards.
    watched: Watched,
    port: u16,
    folder: TempDir,
}

impl SchemaRegistry {
    /// Starts a registry on a free port, and waits until it answers.
    ///
    /// Errors: what is missing, with the command that installs it; a registry that ends or stays silent, with the end of its log.
    pub async fn start(progress: &dyn Progress) -> Result<Self, EmbeddedError> {
        let mut attempt = 1;
        loop {
            let port = ports::free(1)?[0];
            match Self::start_at(port, progress).await {
                Err(EmbeddedError::Exited { .. }) if attempt < PORT_ATTEMPTS => {
                    debug!(attempt, "the port may have been taken");
                    attempt += 1;
                }
                started => return started,
            }
        }
    }

    /// Starts an empty registry on this port, as one that comes back.
    pub async fn start_at(port: u16, progress: &dyn Progress) -> Result<Self, EmbeddedError> {
        let java = java::find(NAME, JAVA_MINIMUM)?;
        let cache = cache::folder()?;
        let artifacts = lock::artifacts(lock::APICURIO);
        let parent = cache.join("registry");
        let program = archive::provide(NAME, &artifacts[0], &cache, &parent, progress).await?;
        let step = format!("start {NAME}");
        progress.event(Event::Started { step: &step, total_bytes: None });
        let folder = folder()?;
        let command = Guarded {
            program: java,
            arguments: arguments(&program, port),
            environment: vec![("TZ", "UTC".to_owned())],
            folder: folder.path().to_owned(),
            log: folder.path().join(LOG),
            user: None,
            ending: Ending {
                signal: "KILL",
                grace: STOP_GRACE,
                remove: Some(folder.path().to_owned()),
            },
        };
        let mut registry = Self { watched: command.start()?, port, folder };
        let log = registry.log_file();
        let at = (port, "/health/ready");
        probe::until_healthy(&mut registry.watched, NAME, at, &log, READY_MAX).await?;
        progress.event(Event::Finished { step: &step });
        Ok(registry)
    }

    /// Where its API of Confluent's form is, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/apis/ccompat/v7", self.port)
    }

    /// Where its own API is, as Apicurio's converters want it.
    pub fn apicurio_url(&self) -> String {
        format!("http://127.0.0.1:{}/apis/registry/v2", self.port)
    }

    /// The port it answers on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its log.
    pub fn log_file(&self) -> PathBuf {
        self.folder.path().join(LOG)
    }

    /// Ends it, and waits for that.
    pub async fn stop(mut self) {
        self.watched.end("TERM", STOP_GRACE).await;
    }
}

fn arguments(program: &Path, port: u16) -> Vec<String> {
    let jar = program.join("apicurio-registry-app-2.6.13.Final-runner.jar");
    vec![
        format!("-Xmx{HEAP_MIB}m"),
        "-XX:+UseSerialGC".to_owned(),
        "-XX:-UsePerfData".to_owned(),
        "-Dquarkus.http.host=127.0.0.1".to_owned(),
        format!("-Dquarkus.http.port={port}"),
        "-jar".to_owned(),
        jar.display().to_string(),
    ]
}

fn folder() -> Result<TempDir, EmbeddedError> {
    let parent = std::env::temp_dir();
    tempfile::Builder::new()
        .prefix("tributary-registry-")
        .tempdir_in(&parent)
        .map_err(EmbeddedError::file("create", parent))
}
