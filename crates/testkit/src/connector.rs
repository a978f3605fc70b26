//! The `tributary` binary as a child process, with a configuration file as its users write it.
//!
//! In: Debezium keys. Out: a running process that can be killed at any moment.
//! Never: a process left behind; dropping a [`ConnectorProcess`] ends it, also when a test panics.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::session::Session;
use crate::stack::Database;
use crate::wait::{DEADLINE, Seen, eventually};
use crate::{Failure, Result};

/// One connector's configuration, and the folder that holds its file and its log.
pub struct Connector {
    database: Database,
    name: String,
    settings: Map<String, Value>,
    folder: TempDir,
    binary: PathBuf,
}

impl Connector {
    /// A connector for all tables of schema `public` of `database`; name, slot, publication and prefix are the database's name.
    pub fn new(database: Database) -> Result<Self> {
        let name = database.name().to_owned();
        let settings = json!({
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "tasks.max": "1",
            "plugin.name": "pgoutput",
            "database.hostname": "127.0.0.1",
            "database.port": database.port().to_string(),
            "database.user": "postgres",
            "database.password": "unused",
            "database.dbname": name,
            "topic.prefix": name,
            "slot.name": name,
            "publication.name": name,
            "table.include.list": "public[.].*",
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "key.converter.schemas.enable": "false",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schemas.enable": "false",
        });
        let Value::Object(settings) = settings else {
            return Err(Failure::new("the settings are an object"));
        };
        Ok(Self { database, name, settings, folder: TempDir::new()?, binary: binary()? })
    }

    /// Another name, as two connectors of one database need it.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Sets one key.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.insert(key.to_owned(), Value::String(value.to_owned()));
        self
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
        let file = self.write_file()?;
        let store = format!("kafka://{}", self.database.bootstrap());
        let arguments = ["run", "--config", &file.to_string_lossy(), "--store", &store];
        ConnectorProcess::start(&self.binary, &arguments, self.folder.path())
    }

    /// Starts it and waits until PostgreSQL streams to it.
    pub async fn start_streaming(&self) -> Result<ConnectorProcess> {
        let mut process = self.start()?;
        self.wait_until_streaming(&mut process).await?;
        Ok(process)
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

/// What a command that ended by itself left.
#[derive(Debug)]
pub struct Finished {
    /// Exit code, or -1 if a signal ended it.
    pub exit_code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs `tributary` with `arguments` to its end.
pub async fn tributary(arguments: &[&str], within: Duration) -> Result<Finished> {
    let mut command = command(&binary()?);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let finished = tokio::time::timeout(within, command.output()).await;
    let Ok(output) = finished else {
        return Err(Failure::new(format!(
            "`tributary {}` did not end within {within:?}",
            arguments.join(" ")
        )));
    };
    let output = output?;
    Ok(Finished {
        exit_code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// A command without the environment variables that configure `tributary`, so that a developer's shell changes no test.
fn command(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for variable in [
        "DATABASE_URL",
        "KAFKA_URL",
        "KAFKA_CLIENT_CERT",
        "KAFKA_CLIENT_CERT_KEY",
        "KAFKA_TRUSTED_CERT",
        "KAFKA_PREFIX",
        "RUST_LOG",
    ] {
        command.env_remove(variable);
    }
    command.env("NO_COLOR", "1");
    command
}

static BINARY: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();

/// The binary under test: the one given to [`use_binary`], else that of this build's profile, brought up to date first.
pub fn binary() -> Result<PathBuf> {
    let release = !cfg!(debug_assertions);
    let found = BINARY.get_or_init(|| build(release).map_err(|failure| failure.to_string()));
    found.clone().map_err(Failure::new)
}

/// Decides which binary is under test. Only the first decision counts, so a second one is an error.
pub fn use_binary(path: PathBuf) -> Result<()> {
    let refused = BINARY.set(Ok(path)).is_err();
    if refused {
        return Err(Failure::new("another binary is under test already"));
    }
    Ok(())
}

/// Builds the binary and returns its path. `TRIBUTARY_BIN` names another one and skips the build.
pub fn build(release: bool) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("TRIBUTARY_BIN") {
        return Ok(PathBuf::from(path));
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(cargo);
    command.current_dir(&workspace).args(["build", "--quiet", "--package", "cli"]);
    if release {
        command.arg("--release");
    }
    let output = command.output()?;
    if !output.status.success() {
        return Err(Failure::new(format!(
            "cargo build --package cli failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        )));
    }
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace.join("target"), PathBuf::from);
    let profile = if release { "release" } else { "debug" };
    Ok(target.join(profile).join("tributary"))
}
