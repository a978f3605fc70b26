//! Everything that can go wrong between "start a server" and its first answer, with the way out.
//!
//! Each text begins with the code of a page in `docs/errors`.

use std::{io, path::PathBuf, time::Duration};

use crate::tools::install_command;

/// What the caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The same call may succeed a little later.
    Transient,
    /// The same call fails again until somebody changes something.
    Definite,
}

/// Why a server, or what it needs, is not there.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No `java` in `JAVA_HOME` or `PATH`.
    #[error(
        "[EM001] no `java` found in JAVA_HOME or PATH; Apache Kafka runs on Java\n  fix: {}",
        install_command("java")
    )]
    JavaMissing,
    /// No `mvn` in `PATH`.
    #[error(
        "[EM002] no `mvn` (Apache Maven) found in PATH; {what} comes through it\n  fix: {}",
        install_command("mvn")
    )]
    MavenMissing {
        /// What would have been fetched.
        what: String,
    },
    /// The `java` that was found cannot run the wanted Kafka.
    #[error(
        "[EM003] `{}` is Java {found}, but {needs} needs Java {minimum} or later\n  fix: {}, or point JAVA_HOME at one",
        path.display(), install_command("java")
    )]
    JavaTooOld {
        /// The program found.
        path: PathBuf,
        /// Its major version, 0 if it could not be read.
        found: u32,
        /// What wants to run on it.
        needs: String,
        /// The oldest major version that would do.
        minimum: u32,
    },
    /// `mvn` ran and did not bring everything.
    #[error(
        "[EM004] `mvn` could not fetch {what}; its last lines:\n{tail}\n  fix: make sure that `mvn` reaches a repository (mirrors and proxies go into ~/.m2/settings.xml), then try again"
    )]
    Fetch {
        /// What was to be fetched.
        what: String,
        /// The end of Maven's output.
        tail: String,
    },
    /// A fetched file is not the one this version of the project was tested with.
    #[error(
        "[EM005] `{file}` has sha256 {found}, expected {expected}; it is refused\n  fix: try again; if it stays so, the repository or a mirror before it serves a changed file: do not use it"
    )]
    Checksum {
        /// File name of the artifact.
        file: String,
        /// The checksum of the lock file, hexadecimal.
        expected: String,
        /// The checksum of what came, hexadecimal.
        found: String,
    },
    /// No PostgreSQL binaries are published for this operating system and processor.
    #[error(
        "[EM006] no PostgreSQL {version} binaries for {os}/{arch}\n  fix: {}",
        install_command("postgres")
    )]
    Platform {
        /// The major version that was wanted.
        version: u16,
        /// Operating system.
        os: &'static str,
        /// Processor.
        arch: &'static str,
    },
    /// A version this crate has no lock for.
    #[error("[EM007] {product} {asked} is not offered\n  fix: ask for one of {offered}")]
    Version {
        /// Product name.
        product: &'static str,
        /// What was asked for.
        asked: String,
        /// What there is.
        offered: &'static str,
    },
    /// An archive with the right checksum could not be unpacked.
    #[error(
        "[EM008] cannot unpack `{}` into `{}`\n  fix: free disk space and check the folder's permissions",
        archive.display(), folder.display()
    )]
    Unpack {
        /// The archive.
        archive: PathBuf,
        /// Where its content should go.
        folder: PathBuf,
        /// What the operating system or the decoder said.
        #[source]
        source: io::Error,
    },
    /// Nowhere to keep what was fetched.
    #[error(
        "[EM009] the cache folder `{}` cannot be used\n  fix: set TRIBUTARY_CACHE to a folder you can write to",
        path.display()
    )]
    Cache {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// PostgreSQL runs as another user, who cannot enter a folder.
    #[error(
        "[EM010] user `{user}` cannot enter `{}`, and PostgreSQL must run as that user because it refuses root\n  fix: choose a folder below one that everybody may enter (TMPDIR, TRIBUTARY_CACHE or the data folder), or `chmod o+x` it",
        path.display()
    )]
    NotEnterable {
        /// The first folder on the way that is closed.
        path: PathBuf,
        /// The user PostgreSQL would run as.
        user: String,
    },
    /// A program could not be started at all.
    #[error(
        "[EM011] cannot start `{}`\n  fix: check that it exists and is executable, and that `sh` is in PATH",
        program.display()
    )]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A program that prepares a data folder failed.
    #[error(
        "[EM012] `{program}` failed for `{}`; its last lines:\n{tail}\n  fix: the lines above name the cause; most often the folder is not empty, full or not writable",
        folder.display()
    )]
    Prepare {
        /// The program's name.
        program: &'static str,
        /// The folder being prepared.
        folder: PathBuf,
        /// The end of its output.
        tail: String,
    },
    /// A server ended before it answered.
    #[error(
        "[EM013] {server} ended with code {code} before it answered; the end of `{}`:\n{tail}\n  fix: the lines above name the cause; check settings you passed",
        log.display()
    )]
    Exited {
        /// Which server.
        server: String,
        /// Its exit code; above 128: the signal plus 128.
        code: i32,
        /// Its log file.
        log: PathBuf,
        /// The end of its log.
        tail: String,
    },
    /// A server runs but does not answer.
    #[error(
        "[EM014] {server} did not answer within {} s; the end of `{}`:\n{tail}\n  fix: give it more time (`deadline`) on a slow machine, or see its log",
        waited.as_secs(), log.display()
    )]
    NotReady {
        /// Which server.
        server: String,
        /// How long it was given.
        waited: Duration,
        /// Its log file.
        log: PathBuf,
        /// The end of its log.
        tail: String,
    },
    /// The operating system gives no port.
    #[error(
        "[EM015] no free port on 127.0.0.1\n  fix: close programs that hold many connections, or allow binding to the loopback interface"
    )]
    NoPort {
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The data folder belongs to another major version.
    #[error(
        "[EM016] `{}` was made by {found}, but {asked} was asked for\n  fix: ask for {found}, or use another data folder",
        path.display()
    )]
    DataVersion {
        /// The data folder.
        path: PathBuf,
        /// What made it.
        found: String,
        /// What was asked for.
        asked: String,
    },
    /// A file operation failed.
    #[error(
        "[EM017] cannot {action} `{}`\n  fix: check the folder's permissions and free space",
        path.display()
    )]
    File {
        /// Verb: `write`, `create`, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A broker number outside of the cluster.
    #[error(
        "[EM018] there is no broker {broker} in a cluster of {count}\n  fix: brokers are numbered 1 to {count}"
    )]
    NoSuchBroker {
        /// The number that was given.
        broker: i32,
        /// How many brokers there are.
        count: usize,
    },
    /// A client program is not installed.
    #[error(
        "[EM019] no `{tool}` found in PATH or in an installed PostgreSQL\n  fix: {}",
        install_command(tool)
    )]
    ToolMissing {
        /// Its name.
        tool: String,
    },
    /// Another process fills the cache and does not finish.
    #[error(
        "[EM020] another process has held `{}` for {} s\n  fix: wait for it, or end it if it hangs",
        path.display(), waited.as_secs()
    )]
    CacheBusy {
        /// The lock file.
        path: PathBuf,
        /// How long we waited.
        waited: Duration,
    },
    /// We are root and there is nobody else PostgreSQL could run as.
    #[error(
        "[EM021] PostgreSQL refuses to run as root, and neither `postgres` nor `nobody` exists in /etc/passwd\n  fix: `useradd --system postgres`, or run as an ordinary user"
    )]
    NoUser,
    /// No installed PostgreSQL fits, and only an installed one was wanted.
    #[error("[EM022] no installed PostgreSQL {wanted}\n  fix: {}", install_command("postgres"))]
    NotInstalled {
        /// `13 or later`, or the major version.
        wanted: String,
    },
}

impl EmbeddedError {
    /// Whether trying again can help.
    pub fn class(&self) -> Class {
        match self {
            Self::Fetch { .. }
            | Self::NotReady { .. }
            | Self::NoPort { .. }
            | Self::CacheBusy { .. } => Class::Transient,
            Self::JavaMissing
            | Self::MavenMissing { .. }
            | Self::JavaTooOld { .. }
            | Self::Checksum { .. }
            | Self::Platform { .. }
            | Self::Version { .. }
            | Self::Unpack { .. }
            | Self::Cache { .. }
            | Self::NotEnterable { .. }
            | Self::Spawn { .. }
            | Self::Prepare { .. }
            | Self::Exited { .. }
            | Self::DataVersion { .. }
            | Self::File { .. }
            | Self::NoSuchBroker { .. }
            | Self::ToolMissing { .. }
            | Self::NoUser
            | Self::NotInstalled { .. } => Class::Definite,
        }
    }

    /// The stable code its text begins with, which names its page in `docs/errors`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::JavaMissing => "EM001",
            Self::MavenMissing { .. } => "EM002",
            Self::JavaTooOld { .. } => "EM003",
            Self::Fetch { .. } => "EM004",
            Self::Checksum { .. } => "EM005",
            Self::Platform { .. } => "EM006",
            Self::Version { .. } => "EM007",
            Self::Unpack { .. } => "EM008",
            Self::Cache { .. } => "EM009",
            Self::NotEnterable { .. } => "EM010",
            Self::Spawn { .. } => "EM011",
            Self::Prepare { .. } => "EM012",
            Self::Exited { .. } => "EM013",
            Self::NotReady { .. } => "EM014",
            Self::NoPort { .. } => "EM015",
            Self::DataVersion { .. } => "EM016",
            Self::File { .. } => "EM017",
            Self::NoSuchBroker { .. } => "EM018",
            Self::ToolMissing { .. } => "EM019",
            Self::CacheBusy { .. } => "EM020",
            Self::NoUser => "EM021",
            Self::NotInstalled { .. } => "EM022",
        }
    }

    /// For `map_err`: a failed file operation, with what was being done to which path.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
