//! A PostgreSQL server that ends with us.
//!
//! In: [`PostgresOptions`]. Out: a server that has answered a startup packet, on a port of 127.0.0.1 and on a Unix socket.
//! Never here: SQL. `wal_level` is `logical`; durability is off only where the data is thrown away at the end anyway.

mod configuration;
mod data;
mod install;
pub(crate) mod installed;
mod options;
mod probe;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use tracing::debug;

pub use self::options::{PostgresOptions, PostgresSource, StopMode};
use self::{data::DataFolder, install::Programs};
use crate::{
    EmbeddedError, Event, Progress, log, ports, user,
    watchdog::{Ending, Guarded, Watched},
};

/// How long a stopping server may write its checkpoint before it is killed.
const STOP_GRACE: Duration = Duration::from_secs(30);
/// How long it may do so when we are gone.
const ORPHAN_GRACE: Duration = Duration::from_secs(10);
const READY_POLL: Duration = Duration::from_millis(20);
const PORT_ATTEMPTS: u32 = 10;

/// A running PostgreSQL. Dropping it ends the server; if its folder is temporary, the folder goes too.
#[derive(Debug)]
pub struct Postgres {
    /// Ended but not dropped after [`Postgres::shut_down`]: it still guards a temporary folder. Dropped before `data`.
    watched: Option<Watched>,
    data: DataFolder,
    programs: Programs,
    settings: Vec<(String, String)>,
    password: Option<String>,
    deadline: Duration,
    port: u16,
}

impl Postgres {
    /// Starts a server and waits until it accepts connections.
    ///
    /// Errors: what is missing, with the command that installs it; a server that ends or stays silent, with the end of its log.
    pub async fn start(
        options: PostgresOptions,
        progress: &dyn Progress,
    ) -> Result<Self, EmbeddedError> {
        let user = user::for_postgres()?;
        let major = data::wanted_major(options.data_dir.as_deref(), options.version)?;
        let programs = install::programs(major, options.source, progress).await?;
        if let Some(user) = &user {
            user::check_enterable(&programs.bin_dir, user)?;
        }
        let data = DataFolder::prepare(&options, &programs, user, progress).await?;
        data.write_files(&options.files)?;
        if let Some(pg_hba) = &options.pg_hba {
            data.write("pg_hba.conf", pg_hba)?;
        }
        let step = format!("start PostgreSQL {}", programs.version);
        progress.event(Event::Started { step: &step, total_bytes: None });
        let mut server = Self {
            watched: None,
            data,
            programs,
            settings: options.settings,
            password: options.password,
            deadline: options.deadline,
            port: 0,
        };
        server.launch_on(options.port).await?;
        progress.event(Event::Finished { step: &step });
        Ok(server)
    }

    /// TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `postgres://postgres@127.0.0.1:PORT/postgres`, with the password if one was set.
    pub fn url(&self) -> String {
        let password = self.password.as_deref().map(percent_encoded).unwrap_or_default();
        format!("postgres://postgres{password}@127.0.0.1:{}/postgres", self.port)
    }

    /// Folder of the Unix socket, for `host=` in a connection string.
    pub fn socket_dir(&self) -> &Path {
        self.data.socket_dir()
    }

    /// Full version as the program says it: `17.11`.
    pub fn version(&self) -> &str {
        &self.programs.version
    }

    /// Major version: `17`.
    pub fn major_version(&self) -> u16 {
        self.programs.major
    }

    /// Folder of `postgres` and `initdb`. Client programs need not be there: see [`crate::tools::find`].
    pub fn bin_dir(&self) -> &Path {
        &self.programs.bin_dir
    }

    /// The server's data folder.
    pub fn data_dir(&self) -> &Path {
        self.data.folder()
    }

    /// The server's log, appended to over restarts.
    pub fn log_file(&self) -> &Path {
        self.data.log()
    }

    /// Process id of the postmaster; `None` after [`Self::shut_down`].
    pub fn pid(&self) -> Option<u32> {
        self.running().map(Watched::pid)
    }

    /// Stops the server. A temporary folder is gone when this returns.
    pub async fn stop(mut self, mode: StopMode) -> Result<(), EmbeddedError> {
        self.shut_down(mode).await;
        self.watched = None;
        self.data.remove_if_temporary()
    }

    /// Stops the server and starts it again with the same data, settings and port.
    pub async fn restart(&mut self, mode: StopMode) -> Result<(), EmbeddedError> {
        self.shut_down(mode).await;
        self.start_again().await
    }

    /// Stops the server and keeps its folder, even a temporary one, for [`Self::start_again`]. Safe to repeat.
    pub async fn shut_down(&mut self, mode: StopMode) {
        if let Some(watched) = &mut self.watched
            && watched.exit_code().is_none()
        {
            watched.end(mode.signal(), STOP_GRACE).await;
        }
    }

    /// Starts the server after [`Self::shut_down`] or a crash, on the port it had. Does nothing if it runs.
    pub async fn start_again(&mut self) -> Result<(), EmbeddedError> {
        match self.running() {
            Some(_) => Ok(()),
            None => self.launch_on(Some(self.port)).await,
        }
    }

    fn running(&self) -> Option<&Watched> {
        self.watched.as_ref().filter(|watched| watched.exit_code().is_none())
    }

    /// Starts on `port`, or on a free one; on collision tries another, or the same again if one is asked for.
    async fn launch_on(&mut self, port: Option<u16>) -> Result<(), EmbeddedError> {
        let mut attempt = 1;
        loop {
            self.port = match port {
                Some(port) => port,
                None => ports::free(1)?[0],
            };
            let log_bytes = log::length_bytes(self.data.log());
            let Err(error) = self.launch().await else {
                return Ok(());
            };
            let collided = matches!(error, EmbeddedError::Exited { .. })
                && log::names_a_taken_port(self.data.log(), log_bytes);
            if !collided || attempt == PORT_ATTEMPTS {
                return Err(error);
            }
            debug!(port = self.port, attempt, "port {} was taken", self.port);
            attempt += 1;
            tokio::time::sleep(READY_POLL * attempt).await;
        }
    }

    async fn launch(&mut self) -> Result<(), EmbeddedError> {
        let settings = configuration::settings(self.data.is_temporary(), &self.settings);
        self.data.write_settings(&settings)?;
        let arguments = [
            "-D".to_owned(),
            self.data.folder().display().to_string(),
            "-p".to_owned(),
            self.port.to_string(),
            "-c".to_owned(),
            format!("unix_socket_directories={}", self.data.socket_dir().display()),
        ];
        let command = Guarded {
            program: self.programs.bin_dir.join("postgres"),
            arguments: arguments.into(),
            environment: vec![("TZ", "UTC".to_owned())],
            folder: self.data.folder().to_owned(),
            log: self.data.log().to_owned(),
            user: self.data.user().cloned(),
            ending: Ending {
                // What is removed anyway needs no checkpoint.
                signal: if self.data.is_temporary() { "QUIT" } else { "INT" },
                grace: ORPHAN_GRACE,
                remove: self.data.removed_at_end(),
            },
        };
        let mut watched = command.start()?;
        if let Err(error) = self.wait_until_ready(&mut watched).await {
            watched.end(StopMode::Immediate.signal(), STOP_GRACE).await;
            watched.close_and_keep();
            return Err(error);
        }
        if let Some(before) = self.watched.replace(watched) {
            before.close_and_keep();
        }
        Ok(())
    }

    async fn wait_until_ready(&self, watched: &mut Watched) -> Result<(), EmbeddedError> {
        let server = || format!("PostgreSQL {}", self.programs.version);
        let begun = Instant::now();
        loop {
            if let Some(code) = watched.ended(READY_POLL).await {
                let log = self.data.log().to_owned();
                let tail = log::tail(&log);
                return Err(EmbeddedError::Exited { server: server(), code, log, tail });
            }
            // The status file first: it is ours, whereas the port may be answered by somebody who was faster.
            if self.data.says_ready(watched.pid(), self.port) && probe::answers(self.port).await {
                return Ok(());
            }
            if begun.elapsed() > self.deadline {
                let log = self.data.log().to_owned();
                let tail = log::tail(&log);
                let waited = begun.elapsed();
                return Err(EmbeddedError::NotReady { server: server(), waited, log, tail });
            }
        }
    }
}

/// `:password` for a URL, every byte but letters and digits encoded.
fn percent_encoded(password: &str) -> String {
    let encoded: String = password
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    format!(":{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_url_is_encoded() {
        assert_eq!(percent_encoded("a/b@1"), ":a%2Fb%401");
    }
}
