//! A Kafka Connect worker with other people's connectors, which ends with us.
//!
//! In: [`ConnectOptions`]. Out: a worker, standalone or distributed, whose REST API answers on a port of 127.0.0.1. Never here: a request to
//! it beyond "are you there", connectors, a state that outlives the worker: its folder is always temporary.
//! Source: Kafka manual, "Kafka Connect", "Running Kafka Connect" and "Connect Configs".

mod install;
mod options;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;
use tracing::debug;

use self::install::Programs;
pub use self::options::{ConnectOptions, Plugin};
use crate::{
    EmbeddedError, Event, Progress, java, log, ports, probe,
    watchdog::{Ending, Guarded, Watched},
};

const STOP_GRACE: Duration = Duration::from_secs(30);
const ORPHAN_GRACE: Duration = Duration::from_secs(10);
const PORT_ATTEMPTS: u32 = 5;
const PROPERTIES: &str = "connect-standalone.properties";
const LOG4J: &str = "log4j2.properties";

/// A running worker. Dropping it ends the process and removes its folder.
#[derive(Debug)]
pub struct Connect {
    /// Dropped before `folder`, which it guards.
    watched: Watched,
    port: u16,
    folder: TempDir,
}

impl Connect {
    /// Starts a worker and waits until it takes connectors. Kafka must be up.
    ///
    /// Errors: what is missing, with the command that installs it; a worker that ends or stays silent, with the end of its log.
    pub async fn start(
        options: ConnectOptions,
        progress: &dyn Progress,
    ) -> Result<Self, EmbeddedError> {
        let programs = Programs::provide(&options.plugins, progress).await?;
        let step = format!("start Kafka Connect {}", install::VERSION);
        progress.event(Event::Started { step: &step, total_bytes: None });
        let mut attempt = 1;
        loop {
            let started = Self::launch(&options, &programs).await;
            match started {
                Ok(connect) => {
                    progress.event(Event::Finished { step: &step });
                    return Ok(connect);
                }
                Err(Refused { collided: true, .. }) if attempt < PORT_ATTEMPTS => {
                    debug!(attempt, "a port was taken");
                    attempt += 1;
                }
                Err(Refused { error, .. }) => return Err(error),
            }
        }
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The worker's log: warnings and errors.
    pub fn log_file(&self) -> PathBuf {
        log_file(self.folder.path())
    }

    /// Process id; `None` if the worker has ended.
    pub fn pid(&self) -> Option<u32> {
        self.watched.exit_code().is_none().then(|| self.watched.pid())
    }

    /// Ends the worker with its connectors, and waits for that.
    pub async fn stop(mut self) {
        self.watched.end("TERM", STOP_GRACE).await;
    }

    async fn launch(options: &ConnectOptions, programs: &Programs) -> Result<Self, Refused> {
        let port = ports::free(1)?[0];
        let folder = folder()?;
        write(folder.path(), PROPERTIES, &properties(options, programs, folder.path(), port))?;
        write(folder.path(), LOG4J, java::LOG4J2)?;
        let mut arguments = java::server_arguments(
            options.jvm,
            java::LOG4J2_PROPERTY,
            &folder.path().join(LOG4J),
            &programs.class_path,
        );
        arguments.extend([main_class(options), PROPERTIES].map(str::to_owned));
        let command = Guarded {
            program: programs.java.clone(),
            arguments,
            environment: vec![("TZ", "UTC".to_owned())],
            folder: folder.path().to_owned(),
            log: log_file(folder.path()),
            user: None,
            ending: Ending {
                signal: "KILL",
                grace: ORPHAN_GRACE,
                remove: Some(folder.path().to_owned()),
            },
        };
        let mut connect = Self { watched: command.start()?, port, folder };
        let server = format!("Kafka Connect {}", install::VERSION);
        let (at, log) = ((port, "/health"), connect.log_file());
        let ready =
            probe::until_healthy(&mut connect.watched, &server, at, &log, options.deadline).await;
        match ready {
            Ok(()) => Ok(connect),
            Err(error) => {
                let collided = log::names_a_taken_port(&connect.log_file(), 0);
                connect.watched.end("KILL", STOP_GRACE).await;
                Err(Refused { error, collided })
            }
        }
    }
}

/// Why a worker is not there.
struct Refused {
    error: EmbeddedError,
    /// Somebody else had its port: another one may be free.
    collided: bool,
}

impl From<EmbeddedError> for Refused {
    fn from(error: EmbeddedError) -> Self {
        Self { error, collided: false }
    }
}

fn folder() -> Result<TempDir, EmbeddedError> {
    let parent = std::env::temp_dir();
    tempfile::Builder::new()
        .prefix("tributary-connect-")
        .tempdir_in(&parent)
        .map_err(EmbeddedError::file("create", parent))
}

fn write(folder: &Path, name: &str, content: &str) -> Result<(), EmbeddedError> {
    let path = folder.join(name);
    fs::write(&path, content).map_err(EmbeddedError::file("write", path))
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("connect.log")
}

fn main_class(options: &ConnectOptions) -> &'static str {
    match options.group {
        Some(_) => "org.apache.kafka.connect.cli.ConnectDistributed",
        None => "org.apache.kafka.connect.cli.ConnectStandalone",
    }
}

/// Where a worker keeps what it knows. A distributed one takes whatever begins with `offset.storage` for a property of its topic.
fn state(options: &ConnectOptions, folder: &Path) -> Vec<(String, String)> {
    let Some(group) = &options.group else {
        let offsets = folder.join("offsets").display().to_string();
        return vec![("offset.storage.file.filename".to_owned(), offsets)];
    };
    let mut state = vec![
        ("group.id".to_owned(), group.clone()),
        ("offset.storage.partitions".to_owned(), "1".to_owned()),
        ("status.storage.partitions".to_owned(), "1".to_owned()),
    ];
    for kind in ["config", "offset", "status"] {
        state.push((format!("{kind}.storage.topic"), format!("{group}-{kind}")));
        state.push((format!("{kind}.storage.replication.factor"), "1".to_owned()));
    }
    state
}

fn properties(options: &ConnectOptions, programs: &Programs, folder: &Path, port: u16) -> String {
    const CONVERTER: &str = "org.apache.kafka.connect.json.JsonConverter";
    let listener = format!("http://127.0.0.1:{port}");
    let declared = options.plugins.iter().all(|plugin| plugin.is_declared());
    let fixed = [
        ("bootstrap.servers", options.bootstrap.as_str()),
        ("listeners", &listener),
        ("key.converter", CONVERTER),
        ("value.converter", CONVERTER),
        // The default also looks into every class of every plugin, which takes seconds.
        ("plugin.discovery", if declared { "service_load" } else { "hybrid_warn" }),
        ("connector.client.config.override.policy", "All"),
    ];
    // An empty path is refused.
    let plugin_path = (!programs.plugin_path.is_empty())
        .then_some(("plugin.path", programs.plugin_path.as_str()));
    let state = state(options, folder);
    let state = state.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let of_caller = options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    // java.util.Properties takes the last of two lines with one name; a backslash begins an escape there.
    fixed
        .into_iter()
        .chain(plugin_path)
        .chain(state)
        .chain(of_caller)
        .map(|(name, value)| [name, "=", &value.replace('\\', "\\\\"), "\n"].concat())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_of_the_caller_comes_last() {
        let options = ConnectOptions::new("127.0.0.1:1", &[]).set("plugin.discovery", "only_scan");
        let programs = Programs {
            java: PathBuf::new(),
            class_path: String::new(),
            plugin_path: "/plugins".to_owned(),
        };
        let text = properties(&options, &programs, Path::new("/d"), 8083);
        assert!(!text.contains("group.id"), "{text}");
        assert!(text.ends_with("plugin.discovery=only_scan\n"), "{text}");
        assert!(text.contains("listeners=http://127.0.0.1:8083\n"), "{text}");
        assert!(text.contains("plugin.path=/plugins\n"), "{text}");
    }
}
