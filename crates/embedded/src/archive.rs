//! Unpacks PostgreSQL's binaries: a `.txz` inside a jar.
//!
//! In: a jar with the right checksum. Out: a folder with `bin`, `lib` and `share`. Never here: tools of the machine.

use std::{
    fs::{self, File},
    io::{self, BufReader},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use crate::{EmbeddedError, cache};

/// Unpacks `jar` into the new folder `folder`, readable for everybody.
pub(crate) fn unpack(jar: &Path, folder: &Path) -> Result<(), EmbeddedError> {
    try_unpack(jar, folder).map_err(|source| EmbeddedError::Unpack {
        archive: jar.to_owned(),
        folder: folder.to_owned(),
        source,
    })
}

fn try_unpack(jar: &Path, folder: &Path) -> io::Result<()> {
    let mut zip = zip::ZipArchive::new(BufReader::new(File::open(jar)?))?;
    let inner = zip
        .file_names()
        .filter_map(Result::ok)
        .find(|name| name.ends_with(".txz"))
        .map(std::borrow::Cow::into_owned)
        .ok_or_else(|| io::Error::other("no .txz inside"))?;
    let packed = BufReader::new(zip.by_name(&inner)?);
    let mut tar = tar::Archive::new(lzma_rust2::XzReader::new(packed, true));
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
