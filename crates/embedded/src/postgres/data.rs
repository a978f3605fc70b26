//! A server's data folder: made by `initdb`, owned by the user the server runs as.
//!
//! In: a folder or none. Out: a folder the server can start on. Never here: a running server, removal of what was given to us.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    time::Duration,
};

use tracing::warn;

use super::{PostgresOptions, configuration, install::Programs};
use crate::{
    EmbeddedError, Event, Progress, log,
    user::{self, User},
    watchdog::{self, Ending, Guarded},
};

const INITDB_DEADLINE: Duration = Duration::from_mins(3);
const INITDB_GRACE: Duration = Duration::from_secs(5);
/// A socket's path has 103 bytes on some systems; `/.s.PGSQL.65535.lock` takes 20 of them.
const SOCKET_DIR_BYTES_MAX: usize = 80;
const TEMPORARY_PREFIX: &str = "tributary-pg-";
const PG_HBA: &str = "local all all trust\nhost all all 127.0.0.1/32 trust\n\
                      local replication all trust\nhost replication all 127.0.0.1/32 trust\n";

/// A folder with a database cluster in it.
#[derive(Debug)]
pub(super) struct DataFolder {
    folder: PathBuf,
    log: PathBuf,
    socket_dir: PathBuf,
    user: Option<User>,
    /// The folder around ours, if all of it is temporary.
    temporary: Option<PathBuf>,
}

/// The major version to start: the one asked for, else that of an existing folder.
pub(super) fn wanted_major(
    folder: Option<&Path>,
    asked: Option<u16>,
) -> Result<Option<u16>, EmbeddedError> {
    let Some(folder) = folder else {
        return Ok(asked);
    };
    let Ok(text) = fs::read_to_string(folder.join("PG_VERSION")) else {
        return Ok(asked);
    };
    let found: Option<u16> = text.trim().parse().ok();
    match (found, asked) {
        (Some(found), Some(asked)) if found == asked => Ok(Some(found)),
        (Some(found), None) => Ok(Some(found)),
        (_, asked) => Err(EmbeddedError::DataVersion {
            path: folder.to_owned(),
            found: format!("PostgreSQL {}", text.trim()),
            asked: asked
                .map_or_else(|| "PostgreSQL".to_owned(), |asked| format!("PostgreSQL {asked}")),
        }),
    }
}

impl DataFolder {
    /// Makes the folder if it is not there, and a cluster in it if there is none.
    pub(super) async fn prepare(
        options: &PostgresOptions,
        programs: &Programs,
        user: Option<User>,
        progress: &dyn Progress,
    ) -> Result<Self, EmbeddedError> {
        let data = match &options.data_dir {
            Some(folder) => Self::given(folder, user)?,
            None => Self::temporary(user)?,
        };
        if let Some(user) = &data.user {
            user::check_enterable(&data.folder, user)?;
        }
        if data.folder.join("PG_VERSION").is_file() {
            return Ok(data);
        }
        let step = format!("make a PostgreSQL {} data folder", programs.version);
        progress.event(Event::Started { step: &step, total_bytes: None });
        data.initialize(programs, options.password.as_deref()).await?;
        progress.event(Event::Finished { step: &step });
        Ok(data)
    }

    fn temporary(user: Option<User>) -> Result<Self, EmbeddedError> {
        let mut parent = std::env::temp_dir();
        if parent.as_os_str().len() + TEMPORARY_PREFIX.len() + 12 > SOCKET_DIR_BYTES_MAX {
            parent = PathBuf::from("/tmp");
        }
        let around = tempfile::Builder::new()
            .prefix(TEMPORARY_PREFIX)
            .tempdir_in(&parent)
            .map_err(EmbeddedError::file("create", &parent))?
            .keep();
        let folder = around.join("data");
        fs::create_dir(&folder).map_err(EmbeddedError::file("create", &folder))?;
        own(&around, user.as_ref())?;
        own(&folder, user.as_ref())?;
        Ok(Self {
            log: around.join("server.log"),
            socket_dir: folder.clone(),
            folder,
            user,
            temporary: Some(around),
        })
    }

    fn given(folder: &Path, user: Option<User>) -> Result<Self, EmbeddedError> {
        fs::create_dir_all(folder).map_err(EmbeddedError::file("create", folder))?;
        let folder = fs::canonicalize(folder).map_err(EmbeddedError::file("open", folder))?;
        let metadata = fs::metadata(&folder).map_err(EmbeddedError::file("open", &folder))?;
        let user = if folder.join("PG_VERSION").is_file() && metadata.uid() != 0 {
            // PostgreSQL insists on running as the owner of its folder.
            user.map(|_| User {
                name: format!("with id {}", metadata.uid()),
                uid: metadata.uid(),
                gid: metadata.gid(),
            })
        } else {
            // initdb refuses a folder with something in it; then its owner stays who it is.
            let mut entries =
                fs::read_dir(&folder).map_err(EmbeddedError::file("open", &folder))?;
            if entries.next().is_none() {
                own(&folder, user.as_ref())?;
            }
            user
        };
        let socket_dir = if folder.as_os_str().len() > SOCKET_DIR_BYTES_MAX {
            let socket_dir = tempfile::Builder::new()
                .prefix(TEMPORARY_PREFIX)
                .tempdir_in("/tmp")
                .map_err(EmbeddedError::file("create", "/tmp"))?
                .keep();
            own(&socket_dir, user.as_ref())?;
            socket_dir
        } else {
            folder.clone()
        };
        Ok(Self { log: folder.join("server.log"), folder, socket_dir, user, temporary: None })
    }

    async fn initialize(
        &self,
        programs: &Programs,
        password: Option<&str>,
    ) -> Result<(), EmbeddedError> {
        // initdb wants its folder empty, so its log and the password lie elsewhere.
        let work = tempfile::Builder::new()
            .prefix(TEMPORARY_PREFIX)
            .tempdir()
            .map_err(EmbeddedError::file("create", std::env::temp_dir()))?;
        own(work.path(), self.user.as_ref())?;
        let log = work.path().join("initdb.log");
        let mut options: Vec<String> =
            ["-U", "postgres", "-E", "UTF8", "--auth=trust", "--no-sync"].map(str::to_owned).into();
        if let Some(password) = password {
            let file = work.path().join("password");
            self.write_to(&file, password)?;
            options.push(format!("--pwfile={}", file.display()));
        }
        // C.UTF-8 is not everywhere; C sorts the same way and is.
        let mut code = 1;
        for locale in ["C.UTF-8", "C"] {
            let locale = format!("--locale={locale}");
            let arguments = options.iter().cloned().chain([locale]).collect();
            code = watchdog::run(self.initdb(programs, arguments, work.path()), INITDB_DEADLINE)
                .await?;
            if code == 0 || !log_says_invalid_locale(&log) {
                break;
            }
        }
        if code != 0 {
            return Err(EmbeddedError::Prepare {
                program: "initdb",
                folder: self.folder.clone(),
                tail: log::tail(&log),
            });
        }
        self.write("pg_hba.conf", PG_HBA)?;
        self.append("postgresql.conf", &format!("include_if_exists '{}'\n", configuration::FILE))
    }

    fn initdb(&self, programs: &Programs, mut arguments: Vec<String>, work: &Path) -> Guarded {
        arguments.extend(["-D".to_owned(), self.folder.display().to_string()]);
        Guarded {
            program: programs.bin_dir.join("initdb"),
            arguments,
            environment: vec![("TZ", "UTC".to_owned())],
            folder: self.folder.clone(),
            log: work.join("initdb.log"),
            user: self.user.clone(),
            ending: Ending {
                signal: "TERM",
                grace: INITDB_GRACE,
                remove: self.temporary.clone().or_else(|| Some(work.to_owned())),
            },
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    pub(super) fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    pub(super) fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    pub(super) fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }

    /// What the watchdog removes when server and caller are gone.
    pub(super) fn removed_at_end(&self) -> Option<PathBuf> {
        let socket_dir = (self.socket_dir != self.folder).then(|| self.socket_dir.clone());
        self.temporary.clone().or(socket_dir)
    }

    /// Removes a temporary folder; the server must have ended.
    pub(super) fn remove_if_temporary(&self) -> Result<(), EmbeddedError> {
        match self.removed_at_end() {
            Some(folder) if folder.exists() => {
                fs::remove_dir_all(&folder).map_err(EmbeddedError::file("remove", folder))
            }
            _ => Ok(()),
        }
    }

    /// Writes the settings file that `postgresql.conf` includes, also in a folder made by somebody else.
    pub(super) fn write_settings(&self, settings: &str) -> Result<(), EmbeddedError> {
        let main = self.folder.join("postgresql.conf");
        let text = fs::read_to_string(&main).map_err(EmbeddedError::file("read", &main))?;
        if !text.contains(configuration::FILE) {
            let include = format!("include_if_exists '{}'\n", configuration::FILE);
            self.append("postgresql.conf", &include)?;
        }
        self.write(configuration::FILE, settings)
    }

    /// Writes a file the caller wants in the folder.
    pub(super) fn write_files(&self, files: &[(String, String)]) -> Result<(), EmbeddedError> {
        files.iter().try_for_each(|(name, content)| self.write(name, content))
    }

    /// Writes one file into the folder, readable for the server only.
    pub(super) fn write(&self, name: &str, content: &str) -> Result<(), EmbeddedError> {
        self.write_to(&self.folder.join(name), content)
    }

    /// Whether the server with this process id has written that it is ready on this port.
    ///
    /// Source: PostgreSQL's `miscadmin.h`, lines of `postmaster.pid`: 1 pid, 4 port, 8 status.
    pub(super) fn says_ready(&self, pid: u32, port: u16) -> bool {
        let Ok(text) = fs::read_to_string(self.folder.join("postmaster.pid")) else {
            return false;
        };
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        lines.first() == Some(&pid.to_string().as_str())
            && lines.get(3) == Some(&port.to_string().as_str())
            && lines.get(7) == Some(&"ready")
    }

    fn write_to(&self, path: &Path, content: &str) -> Result<(), EmbeddedError> {
        fs::write(path, content)
            .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o600)))
            .map_err(EmbeddedError::file("write", path))?;
        own(path, self.user.as_ref())
    }

    fn append(&self, name: &str, content: &str) -> Result<(), EmbeddedError> {
        let path = self.folder.join(name);
        fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| io::Write::write_all(&mut file, content.as_bytes()))
            .map_err(EmbeddedError::file("write", &path))
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        if let Err(error) = self.remove_if_temporary() {
            warn!(%error, "a temporary folder stays behind");
        }
    }
}

fn log_says_invalid_locale(log: &Path) -> bool {
    fs::read_to_string(log).is_ok_and(|text| text.contains("invalid locale name"))
}

fn own(path: &Path, user: Option<&User>) -> Result<(), EmbeddedError> {
    match user {
        Some(user) => chown(path, Some(user.uid), Some(user.gid))
            .map_err(EmbeddedError::file("change the owner of", path)),
        None => Ok(()),
    }
}
