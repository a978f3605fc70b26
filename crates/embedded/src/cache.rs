//! The folder that keeps what was fetched, shared by all processes of a user.
//!
//! In: `TRIBUTARY_CACHE`, `XDG_CACHE_HOME`, `HOME`. Out: the folder, and a lock that one process at a time holds while it
//! changes something there. Never here: fetching. What is complete appears by rename, so readers need no lock.

use std::{
    env, fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{EmbeddedError, user};

/// Filling the cache on a slow line takes minutes, not hours.
const LOCK_WAIT_MAX: Duration = Duration::from_mins(30);
const LOCK_POLL: Duration = Duration::from_millis(50);

/// The cache folder of this user; it exists when this returns.
///
/// `TRIBUTARY_CACHE`, else `$XDG_CACHE_HOME/tributary`, else `~/.cache/tributary`. As root the last two only if other users can
/// enter them (PostgreSQL runs as one of those), else `/var/cache/tributary`.
pub(crate) fn folder() -> Result<PathBuf, EmbeddedError> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = if let Some(folder) = set("TRIBUTARY_CACHE") {
        folder
    } else {
        let of_user = set("XDG_CACHE_HOME")
            .or_else(|| set("HOME").map(|home| home.join(".cache")))
            .map(|cache| cache.join("tributary"));
        let root = user::is_root().map_err(EmbeddedError::file("create", env::temp_dir()))?;
        of_user
            .filter(|folder| !root || user::is_enterable_by_all(folder))
            .unwrap_or_else(|| PathBuf::from("/var/cache/tributary"))
    };
    create(&folder)
        .and_then(|()| fs::canonicalize(&folder))
        .map_err(|source| EmbeddedError::Cache { path: folder, source })
}

/// Creates a folder, with those above it, that everybody may enter and read whatever the umask says.
pub(crate) fn create(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        create(parent)?;
    }
    match fs::create_dir(folder) {
        Ok(()) => fs::set_permissions(folder, fs::Permissions::from_mode(0o755)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Held while one process changes the cache; the operating system takes it back when the process ends.
#[derive(Debug)]
pub(crate) struct CacheLock {
    _file: fs::File,
}

/// Waits until no other process changes the cache.
pub(crate) async fn lock(folder: &Path) -> Result<CacheLock, EmbeddedError> {
    let path = folder.join("lock");
    let unusable = |source| EmbeddedError::Cache { path: folder.to_owned(), source };
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(unusable)?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(CacheLock { _file: file }),
            Err(fs::TryLockError::WouldBlock) if begun.elapsed() < LOCK_WAIT_MAX => {
                tokio::time::sleep(LOCK_POLL).await;
            }
            Err(fs::TryLockError::WouldBlock) => {
                return Err(EmbeddedError::CacheBusy { path, waited: begun.elapsed() });
            }
            Err(fs::TryLockError::Error(source)) => return Err(unusable(source)),
        }
    }
}
