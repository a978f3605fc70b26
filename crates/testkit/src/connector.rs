//! The `tributary` binary as a child process, with a configuration file as its users write it.
//!
//! In: Debezium keys. Out: a running process that can be killed at any moment.
//! Never: a process left behind; dropping a [`ConnectorProcess`] ends it, also when a test panics.

use std::fs::OpenOptions;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

pub use crate::binary::{binary, build, build_for_chaos, use_binary};
use crate::command::command;
pub use crate::command::{Finished, tributary};
use crate::session::Session;
use crate::stack::Database;
use crate::wait::{DEADLINE, Seen, eventually};
use crate::{Failure, Result};

/// Number of the signal that nobody can catch.
pub const SIGKILL: i32 = 9;

/// A process that is killed and never comes back leaves a Kafka transaction open, and until that is over nobody can read the end of the
/// offsets topic, which all connectors of a stack share. It has to be over before whoever waits gives up.
const TRANSACTION_TIMEOUT_MS: &str = "20000";

/// One connector's configuration, and the folder that holds its file and its log.
pub struct Connector {
    database: Database,
    name: String,
    settings: Map<String, Value>,
    /// `HOST:PORT` of the broker, if it is not the database's.
    store: Option<String>,
    folder: TempDir,
    binary: PathBuf,
}

/// The configuration of a connector for all tables of schema `public`, as Debezium takes it too; slot, publication and prefix have
/// one name. `more` is an object, whose keys come last.
pub(crate) fn settings(database: &Database, name: &str, more: Value) -> Map<String, Value> {
    let all = [
        json!({
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "tasks.max": "1",
            "plugin.name": "pgoutput",
            "database.hostname": "127.0.0.1",
            "database.port": database.port().to_string(),
            "database.user": "postgres",
            "database.password": "unused",
            "database.dbname": database.name(),
            "topic.prefix": name,
            "slot.name": name,
            "publication.name": name,
            "table.include.list": "public[.].*",
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "key.converter.schemas.enable": "false",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schemas.enable": "false",
        }),
        more,
    ];
    let objects = all.into_iter().filter_map(|object| match object {
        Value::Object(settings) => Some(settings),
        _ => None,
    });
    objects.flatten().collect()
}

impl Connector {
    /// A connector for all tables of schema `public` of `database`; name, slot, publication and prefix are the database's name.
    pub fn new(database: Database) -> Result<Self> {
        let name = database.name().to_owned();
        let settings = settings(
            &database,
            &name,
            json!({"producer.override.transaction.timeout.ms": TRANSACTION_TIMEOUT_MS}),
        );
        let (folder, binary) = (TempDir::new()?, binary()?);
        Ok(Self { database, name, settings, store: None, folder, binary })
    }

    /// Another name, as two connectors of one database need it.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Reaches Kafka at `address`: by another listener of the broker that the tests read from, or through a proxy before it.
    #[must_use]
    pub fn at_store(mut self, address: &str) -> Self {
        self.store = Some(address.to_owned());
        self
    }

    /// Another program starts it: one that becomes the binary, with the same arguments.
    #[must_use]
    pub fn started_by(mut self, program: PathBuf) -> Self {
        self.binary = program;
        self
    }

    /// Sets one key.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.insert(key.to_owned(), Value::String(value.to_owned()));
        self
    }

    /// Sets one key of a connector that runs; [`Self::write_file`] and SIGHUP make it known.
    pub fn put(&mut self, key: &str, value: &str) {
        self.settings.insert(key.to_owned(), Value::String(value.to_owned()));
    }

    /// Removes one key.
    #[must_use]
    pub fn unset(mut self, key: &str) -> Self {
        self.settings.shift_remove(key);
        self
    }

    /// Replaces the whole configuration.
    #[must_use]
    pub fn with_settings(mut self, settings: Map<String, Value>) -> Self {
        self.settings = settings;
        self
    }

    /// Its configuration.
    pub fn settings(&self) -> &Map<String, Value> {
        &self.settings
    }

    /// Name of the connector.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name of its slot.
    pub fn slot(&self) -> &str {
        self.settings.get("slot.name").and_then(Value::as_str).unwrap_or("debezium")
    }

    /// The database it captures.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Writes the configuration file as `{"name", "config"}` and returns its path.
    pub fn write_file(&self) -> Result<PathBuf> {
        let path = self.folder.path().join("connector.json");
        let body = json!({"name": self.name, "config": self.settings});
        std::fs::write(&path, serde_json::to_vec_pretty(&body)?)?;
        Ok(path)
    }

    /// Starts `tributary run` with this configuration.
    pub fn start(&self) -> Result<ConnectorProcess> {
        self.start_with(&[])
    }

    /// The same with these environment variables.
    pub fn start_with(&self, environment: &[(&str, &str)]) -> Result<ConnectorProcess> {
        let file = self.write_file()?;
        let store = self.store.as_deref().unwrap_or(self.database.bootstrap());
        let store = format!("kafka://{store}");
        let arguments = ["run", "--config", &file.to_string_lossy(), "--store", &store];
        ConnectorProcess::start_with(&self.binary, &arguments, self.folder.path(), environment)
    }

    /// Starts it and waits until PostgreSQL streams to it.
    pub async fn start_streaming(&self) -> Result<ConnectorProcess> {
        let mut process = self.start()?;
        self.wait_until_streaming(&mut process).await?;
        Ok(process)
    }

    /// Starts a process that dies at a failpoint, `POINT=kill[:MS][@HIT]`, and waits until it has.
    pub async fn die_at(&self, failpoint: &str) -> Result<()> {
        let mut process = self.start_with(&[(failpoint::FAILPOINT, failpoint)])?;
        process.killed(DEADLINE).await.map_err(|failure| failure.during(failpoint))
    }

    /// Waits until the slot is being streamed; fails at once, with the log, if the process ends first.
    pub async fn wait_until_streaming(&self, process: &mut ConnectorProcess) -> Result<()> {
        let session = self.database.session().await?;
        let query = format!(
            "select state from pg_stat_replication r join pg_replication_slots s on s.active_pid = r.pid where s.slot_name = '{}'",
            self.slot()
        );
        eventually("the connector streams", DEADLINE, async || {
            process.expect_running()?;
            let state = session.text(&query).await?.unwrap_or_default();
            let streams = state == "streaming" || state == "catchup";
            Ok(Seen::when(streams, || format!("walsender state `{state}`\n{}", process.log_end())))
        })
        .await
    }

    /// Waits until no walsender holds the slot.
    pub async fn wait_until_slot_free(&self, session: &Session) -> Result<()> {
        let query =
            format!("select active from pg_replication_slots where slot_name = '{}'", self.slot());
        eventually("the slot is free", DEADLINE, async || {
            let active = session.text(&query).await?;
            Ok(Seen::when(active.as_deref() != Some("t"), || "slot active".to_owned()))
        })
        .await
    }
}

/// A running `tributary`. Ends with its owner.
pub struct ConnectorProcess {
    child: Child,
    log: PathBuf,
    output: PathBuf,
    started: Instant,
}

impl ConnectorProcess {
    /// Starts `binary` with `arguments`; standard error and output are kept in `folder`.
    pub fn start(binary: &Path, arguments: &[&str], folder: &Path) -> Result<Self> {
        Self::start_with(binary, arguments, folder, &[])
    }

    /// As [`ConnectorProcess::start`], with these environment variables.
    pub fn start_with(
        binary: &Path,
        arguments: &[&str],
        folder: &Path,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let log = folder.join(format!("stderr-{number}"));
        let output = folder.join(format!("stdout-{number}"));
        let open = |path: &Path| OpenOptions::new().create(true).append(true).open(path);
        let mut command = command(binary);
        command
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(open(&output)?)
            .stderr(open(&log)?)
            .kill_on_drop(true);
        let started = Instant::now();
        let child =
            command.spawn().map_err(|error| Failure::from(error).during(binary.display()))?;
        Ok(Self { child, log, output, started })
    }

    /// When it was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Everything it wrote to standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Everything it wrote to standard output.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// The last lines of its log, for error messages.
    pub fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    /// Fails with the log if the process has ended.
    pub fn expect_running(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(Failure::new(format!(
                "the connector ended ({status}) and should run:\n{}",
                self.log_end()
            ))),
        }
    }

    /// The exit code, once it has ended; `None` while it runs.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Sends SIGKILL and waits for the end.
    pub async fn kill(&mut self) -> Result<()> {
        self.child.kill().await?;
        Ok(())
    }

    /// Sends SIGTERM and waits for the end; the exit code.
    pub async fn terminate(&mut self) -> Result<i32> {
        self.signal("TERM").await?;
        self.exit_code(DEADLINE).await
    }

    /// Sends a signal by name, as `kill -NAME` does.
    pub async fn signal(&self, name: &str) -> Result<()> {
        let Some(id) = self.child.id() else {
            return Err(Failure::new(format!(
                "the connector ended before SIG{name} was sent:\n{}",
                self.log_end()
            )));
        };
        let mut kill = Command::new("kill");
        let status = kill.arg(format!("-{name}")).arg(id.to_string()).status().await?;
        if status.success() {
            Ok(())
        } else {
            Err(Failure::new(format!("kill -{name} {id}: {status}")))
        }
    }

    /// Waits for the end; the exit code, or -1 if a signal ended it.
    pub async fn exit_code(&mut self, within: Duration) -> Result<i32> {
        match tokio::time::timeout(within, self.child.wait()).await {
            Ok(status) => Ok(status?.code().unwrap_or(-1)),
            Err(_elapsed) => Err(Failure::new(format!(
                "the process did not end within {within:?}:\n{}",
                self.log_end()
            ))),
        }
    }

    /// Waits until SIGKILL has ended it, whoever sent it.
    ///
    /// Errors: any other end, and none within this time.
    pub async fn killed(&mut self, within: Duration) -> Result<()> {
        let what = match tokio::time::timeout(within, self.child.wait()).await {
            Ok(status) => {
                let status = status?;
                if status.signal() == Some(SIGKILL) {
                    return Ok(());
                }
                format!("it ended with {status}, not by SIGKILL")
            }
            Err(_elapsed) => format!("it lives after {within:?}"),
        };
        Err(Failure::new(format!("{what}:\n{}", self.log_end())))
    }

    /// Waits until the log holds `text`.
    pub async fn log_with(&mut self, text: &str, within: Duration) -> Result<()> {
        eventually(&format!("log with `{text}`"), within, async || {
            let log = self.log();
            Ok(Seen::when(log.contains(text), || self.log_end()))
        })
        .await
    }
}

impl Drop for ConnectorProcess {
    /// A test that ends before it has ended the connector has failed: its log says more than the test does.
    #[expect(clippy::print_stderr, reason = "the test harness shows it if the test fails")]
    fn drop(&mut self) {
        if self.child.id().is_some() {
            eprintln!("log of the connector:\n{}", self.log_end());
        }
    }
}
