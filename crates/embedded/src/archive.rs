//! Artifacts that are archives: PostgreSQL's binaries, a `.txz` inside a jar, and plugins, a `.tar.gz`.
//!
//! In: an artifact. Out: a folder that holds what was in it, complete if it is there. Never here: tools of the machine.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::{EmbeddedError, Event, Progress, cache, lock::Artifact, maven};

/// Brings `artifact` and unpacks it into `parent/NAME-VERSION`; both only if that folder is not there.
///
/// `what` names it for people. `cache` is the cache folder and `parent` lies inside it.
pub(crate) async fn provide(
    what: &str,
    artifact: &Artifact,
    cache: &Path,
    parent: &Path,
    progress: &dyn Progress,
) -> Result<PathBuf, EmbeddedError> {
    let folder = parent.join(format!("{}-{}", artifact.name, artifact.version));
    if folder.is_dir() {
        return Ok(folder);
    }
    maven::provide(what, &[*artifact], cache, parent, progress).await?;
    let _lock = cache::lock(cache).await?;
    if folder.is_dir() {
        return Ok(folder);
    }
    let archive = parent.join(artifact.file_name());
    let step = format!("unpack {what}");
    progress.event(Event::Started { step: &step, total_bytes: None });
    let target = folder.clone();
    tokio::task::spawn_blocking(move || unpack_once(&archive, &target))
        .await
        .map_err(io::Error::from)
        .map_err(EmbeddedError::file("create", &folder))??;
    progress.event(Event::Finished { step: &step });
    Ok(folder)
}

/// Unpacks beside the target and renames, so that a folder that is there is complete.
fn unpack_once(archive: &Path, folder: &Path) -> Result<(), EmbeddedError> {
    let mut beside = folder.as_os_str().to_owned();
    beside.push(".partial");
    let beside = PathBuf::from(beside);
    if beside.exists() {
        fs::remove_dir_all(&beside).map_err(EmbeddedError::file("remove", &beside))?;
    }
    unpack(archive, &beside)?;
    fs::rename(&beside, folder).map_err(EmbeddedError::file("create", folder))?;
    fs::remove_file(archive).map_err(EmbeddedError::file("remove", archive))
}

/// Unpacks `archive` into the new folder `folder`, readable for everybody.
fn unpack(archive: &Path, folder: &Path) -> Result<(), EmbeddedError> {
    try_unpack(archive, folder).map_err(|source| EmbeddedError::Unpack {
        archive: archive.to_owned(),
        folder: folder.to_owned(),
        source,
    })
}

fn try_unpack(archive: &Path, folder: &Path) -> io::Result<()> {
    let file = BufReader::new(File::open(archive)?);
    if archive.extension().is_some_and(|extension| extension == "gz") {
        return unpack_tar(flate2::bufread::GzDecoder::new(file), folder);
    }
    let mut zip = zip::ZipArchive::new(file)?;
    let inner = zip
        .file_names()
        .filter_map(Result::ok)
        .find(|name| name.ends_with(".txz"))
        .map(std::borrow::Cow::into_owned)
        .ok_or_else(|| io::Error::other("no .txz inside"))?;
    let packed = BufReader::new(zip.by_name(&inner)?);
    unpack_tar(lzma_rust2::XzReader::new(packed, true), folder)
}

fn unpack_tar(packed: impl Read, folder: &Path) -> io::Result<()> {
    let mut tar = tar::Archive::new(packed);
    cache::create(folder)?;
    // The user PostgreSQL runs as must be able to read all of it, whatever our umask and the archive's modes are.
    for entry in tar.entries()? {
        let mut entry = entry?;
        entry.set_preserve_permissions(false);
        let path = folder.join(entry.path()?);
        let mode = entry.header().mode()?;
        if let Some(parent) = path.parent() {
            // The archive may name files only, not the folders they are in.
            cache::create(parent)?;
        }
        if !entry.unpack_in(folder)? {
            return Err(io::Error::other("a path leads out of the folder"));
        }
        if !entry.header().entry_type().is_symlink() {
            let readable = if mode & 0o100 != 0 || path.is_dir() { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(readable))?;
        }
    }
    Ok(())
}
