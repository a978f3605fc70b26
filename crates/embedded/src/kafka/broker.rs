//! One broker: its folder and its process.
//!
//! In: a properties file's content and a class path. Out: a process under a watchdog. Never here: other brokers.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tracing::warn;

use super::{
    Listener, ListenerSecurity,
    configuration::{self, Cluster, Ports},
    install::Programs,
};
use crate::{
    EmbeddedError, log,
    watchdog::{Ending, Guarded, Watched},
};

const STOP_GRACE: Duration = Duration::from_secs(30);
const ORPHAN_GRACE: Duration = Duration::from_secs(10);
const PROPERTIES: &str = "server.properties";

/// A broker's folder: `server.properties`, `server.log`, `data/`.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    pub(super) fn temporary() -> Result<Self, EmbeddedError> {
        let parent = std::env::temp_dir();
        let path = tempfile::Builder::new()
            .prefix("tributary-kafka-")
            .tempdir_in(&parent)
            .map_err(EmbeddedError::file("create", parent))?
            .keep();
        Ok(Self { path, temporary: true })
    }

    pub(super) fn given(path: &Path) -> Result<Self, EmbeddedError> {
        fs::create_dir_all(path).map_err(EmbeddedError::file("create", path))?;
        let path = fs::canonicalize(path).map_err(EmbeddedError::file("open", path))?;
        Ok(Self { path, temporary: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn write(&self, name: &str, content: &str) -> Result<(), EmbeddedError> {
        let path = self.path.join(name);
        fs::write(&path, content)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)))
            .map_err(EmbeddedError::file("write", path))
    }

    /// Writes keys and certificates of the listeners that have some.
    pub(super) fn write_stores(&self, listeners: &[Listener]) -> Result<(), EmbeddedError> {
        for listener in listeners {
            let (ListenerSecurity::Ssl(tls) | ListenerSecurity::SaslSsl(_, tls)) =
                &listener.security
            else {
                continue;
            };
            let keystore = format!("{}\n{}", tls.private_key_pem, tls.certificate_chain_pem);
            self.write(&configuration::store(&self.path, listener, "keystore"), &keystore)?;
            self.write(
                &configuration::store(&self.path, listener, "truststore"),
                &tls.trusted_pem,
            )?;
        }
        Ok(())
    }

    fn remove_if_temporary(&self) -> Result<(), EmbeddedError> {
        if self.temporary && self.path.exists() {
            return fs::remove_dir_all(&self.path)
                .map_err(EmbeddedError::file("remove", &self.path));
        }
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = self.remove_if_temporary() {
            warn!(%error, "a temporary folder stays behind");
        }
    }
}

/// A broker that runs, was killed, or has not been started yet.
#[derive(Debug)]
pub(super) struct Broker {
    /// Ended but not dropped after a kill: it still guards a temporary folder. Dropped before `folder`.
    watched: Option<Watched>,
    folder: Folder,
    ports: Ports,
    log_bytes_before: u64,
    /// Started and not killed by us: its end is news.
    wanted: bool,
}

impl Broker {
    pub(super) fn new(folder: Folder) -> Self {
        let ports = Ports { plaintext: 0, controller: 0, others: Vec::new() };
        Self { watched: None, folder, ports, log_bytes_before: 0, wanted: false }
    }

    /// Takes its ports and writes its properties; `number` counts from 1.
    pub(super) fn configure(
        &mut self,
        cluster: &Cluster<'_>,
        number: usize,
    ) -> Result<(), EmbeddedError> {
        self.ports = cluster.ports[number - 1].clone();
        self.folder.write(PROPERTIES, &cluster.properties(number, &self.folder.path))
    }

    /// Starts the process.
    pub(super) fn launch(
        &mut self,
        programs: &Programs,
        heap_mib: u32,
    ) -> Result<(), EmbeddedError> {
        self.log_bytes_before = log::length_bytes(&self.log());
        let mut arguments =
            programs.java_arguments(heap_mib, &self.folder.path.join(programs.log4j().0));
        arguments.extend(["kafka.Kafka".to_owned(), PROPERTIES.to_owned()]);
        let command = Guarded {
            program: programs.java.clone(),
            arguments,
            environment: Vec::new(),
            folder: self.folder.path.clone(),
            log: self.log(),
            user: None,
            ending: Ending {
                signal: self.stop_signal(),
                grace: ORPHAN_GRACE,
                remove: self.folder.temporary.then(|| self.folder.path.clone()),
            },
        };
        let watched = command.start()?;
        if let Some(before) = self.watched.replace(watched) {
            before.close_and_keep();
        }
        self.wanted = true;
        Ok(())
    }

    pub(super) fn ports(&self) -> &Ports {
        &self.ports
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.path.join("server.log")
    }

    /// `None` unless it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.watched.as_ref().filter(|watched| watched.exit_code().is_none()).map(Watched::pid)
    }

    /// Whether it was started and not killed by us since.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// `None` unless it has ended.
    pub(super) fn exit_code(&self) -> Option<i32> {
        self.watched.as_ref().and_then(Watched::exit_code)
    }

    /// Whether it ended because somebody else had one of its ports.
    pub(super) fn lost_its_port(&self) -> bool {
        self.exit_code().is_some() && log::names_a_taken_port(&self.log(), self.log_bytes_before)
    }

    pub(super) async fn kill(&mut self) {
        self.wanted = false;
        if let Some(watched) = &mut self.watched {
            watched.end("KILL", STOP_GRACE).await;
        }
    }

    /// Tells it to stop, without waiting.
    pub(super) fn begin_stop(&mut self) {
        let signal = self.stop_signal();
        if let Some(watched) = &mut self.watched {
            watched.signal(signal);
        }
    }

    /// Waits for its end after [`Self::begin_stop`].
    pub(super) async fn stop(mut self) -> Result<(), EmbeddedError> {
        if let Some(mut watched) = self.watched.take()
            && watched.ended(STOP_GRACE).await.is_none()
        {
            watched.end("KILL", STOP_GRACE).await;
        }
        self.folder.remove_if_temporary()
    }

    /// What is removed anyway needs no orderly end.
    fn stop_signal(&self) -> &'static str {
        if self.folder.temporary { "KILL" } else { "TERM" }
    }
}
