//! Where spill files are: a folder for each run of each connector, which ends with the run.
//!
//! In: a connector's name, and where its folder may be. Out: files, each removed when nobody needs it any more.
//! A run holds a lock beside its folder. What has no lock, or one that nobody holds, was left by a run that was killed, and is
//! removed by the next. So a second copy of the connector on this machine takes nothing away from the first.
//! Never: anything that has to outlive the process.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

/// Characters of a connector's name that count.
const NAME_CHARACTERS_MAX: usize = 100;
const LOCK: &str = "lock";

/// The folder of this run.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    lock_path: PathBuf,
    /// Held for as long as the folder is there.
    _lock: File,
    files: AtomicU64,
}

impl Folder {
    /// Makes the folder of this run inside `directory`. It is for our user alone, since rows are in it.
    pub(crate) fn make(directory: &Path, connector: &str) -> io::Result<Self> {
        let all = of_connector(directory, connector);
        let run = Uuid::new_v4().simple().to_string();
        let lock_path = all.join(&run).with_extension(LOCK);
        let make_lock = || {
            fs::create_dir_all(&all)?;
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&lock_path)
        };
        // A run that ends takes the folder away if it is empty.
        let lock = make_lock().or_else(|_| make_lock())?;
        lock.try_lock()?;
        let path = all.join(run);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self { path, lock_path, _lock: lock, files: AtomicU64::new(0) })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A name for one more file.
    pub(crate) fn file(self: &Arc<Self>) -> SpillFile {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        SpillFile { path: self.path.join(number.to_string()), _folder: Arc::clone(self) }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is removed by the next run.
        let _ = fs::remove_dir_all(&self.path);
        let _ = fs::remove_file(&self.lock_path);
        // That of the connector goes unless another run is in it.
        if let Some(all) = self.path.parent() {
            let _ = fs::remove_dir(all);
        }
    }
}

/// Removes what runs of the connector left that are gone. Returns how many folders there were.
pub(crate) fn sweep(directory: &Path, connector: &str) -> io::Result<usize> {
    let all = of_connector(directory, connector);
    let entries = match fs::read_dir(&all) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut swept = 0;
    for entry in entries {
        let path = entry?.path();
        let is_lock = path.extension().is_some_and(|extension| extension == LOCK);
        let (lock_path, folder) = (path.with_extension(LOCK), path.with_extension(""));
        let lock = match File::open(&lock_path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            lock => Some(lock?),
        };
        let is_held = lock.as_ref().is_some_and(|lock| lock.try_lock().is_err());
        if !is_held && folder.is_dir() {
            fs::remove_dir_all(&folder)?;
            swept += 1;
        }
        if !is_held && is_lock {
            fs::remove_file(&lock_path)?;
        }
    }
    Ok(swept)
}

fn of_connector(directory: &Path, connector: &str) -> PathBuf {
    let plain = |character: char| {
        let keep = character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
        if keep { character } else { '_' }
    };
    let name: String = connector.chars().take(NAME_CHARACTERS_MAX).map(plain).collect();
    directory.join(format!("tributary-{name}"))
}

/// One file of the folder, which is made when it is first written to.
#[derive(Debug)]
pub(crate) struct SpillFile {
    path: PathBuf,
    /// Not removed before its files.
    _folder: Arc<Folder>,
}

impl SpillFile {
    /// Opens it to write at its end.
    pub(super) fn append(&self) -> io::Result<File> {
        OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)
    }

    /// Opens it to read from its beginning.
    pub(super) fn read(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        // Its folder goes, too.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_folder_and_its_files_end_with_their_owners() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Arc::new(Folder::make(directory.path(), "a/b").unwrap());
        let all = directory.path().join("tributary-a_b");
        let (one, other) = (folder.file(), folder.file());
        one.append().unwrap().write_all(b"rows").unwrap();
        other.append().unwrap().write_all(b"more").unwrap();
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.exists() && other.path().exists());
        drop(folder);
        assert!(other.path().exists(), "a file is still needed");
        drop(other);
        assert!(!all.exists(), "that of the connector, too");
    }

    #[test]
    fn only_what_nobody_holds_is_swept() {
        let directory = tempfile::tempdir().unwrap();
        let alive = Arc::new(Folder::make(directory.path(), "c").unwrap());
        let file = alive.file();
        file.append().unwrap().write_all(b"rows").unwrap();
        let all = directory.path().join("tributary-c");
        for left in ["killed", "older"] {
            fs::create_dir(all.join(left)).unwrap();
            fs::write(all.join(left).join("0"), "rows").unwrap();
        }
        fs::write(all.join("killed.lock"), "").unwrap();
        assert_eq!(sweep(directory.path(), "c").unwrap(), 2);
        assert!(file.path().exists());
        assert_eq!(fs::read_dir(&all).unwrap().count(), 2);
        assert_eq!(sweep(directory.path(), "other").unwrap(), 0);
    }
}
