//! Who we are, and who PostgreSQL runs as if we are root.
//!
//! In: /etc/passwd and the owner of files we create. Out: a user to switch to. Never here: libc, `unsafe`, a name service.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use crate::EmbeddedError;

/// A user of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Whether this process runs as root, read from the owner of a file it creates.
pub(crate) fn is_root() -> io::Result<bool> {
    Ok(tempfile::tempfile()?.metadata()?.uid() == 0)
}

/// The user PostgreSQL is run as: `None` if that is ourselves, else `postgres` or `nobody`.
pub(crate) fn for_postgres() -> Result<Option<User>, EmbeddedError> {
    if !is_root().map_err(EmbeddedError::file("create", std::env::temp_dir()))? {
        return Ok(None);
    }
    let passwd =
        fs::read_to_string("/etc/passwd").map_err(EmbeddedError::file("read", "/etc/passwd"))?;
    ["postgres", "_postgres", "nobody"]
        .iter()
        .find_map(|name| parse(&passwd, name))
        .map(Some)
        .ok_or(EmbeddedError::NoUser)
}

/// Refuses a folder that another user cannot reach, naming the first closed one on the way.
pub(crate) fn check_enterable(folder: &Path, user: &User) -> Result<(), EmbeddedError> {
    match first_closed(folder, user) {
        None => Ok(()),
        Some(closed) => {
            Err(EmbeddedError::NotEnterable { path: closed.to_owned(), user: user.name.clone() })
        }
    }
}

/// Whether every user may pass through all folders on the way to `folder`, as far as they exist.
pub(crate) fn is_enterable_by_all(folder: &Path) -> bool {
    let nobody = User { name: String::new(), uid: u32::MAX, gid: u32::MAX };
    first_closed(folder, &nobody).is_none()
}

fn first_closed<'a>(folder: &'a Path, user: &User) -> Option<&'a Path> {
    let mut ancestors: Vec<&Path> = folder.ancestors().collect();
    ancestors.reverse();
    ancestors.into_iter().find(|ancestor| {
        let Ok(metadata) = fs::metadata(ancestor) else {
            return false;
        };
        let mode = metadata.permissions().mode();
        let execute = if metadata.uid() == user.uid {
            0o100
        } else if metadata.gid() == user.gid {
            0o010
        } else {
            0o001
        };
        metadata.is_dir() && mode & execute == 0
    })
}

fn parse(passwd: &str, name: &str) -> Option<User> {
    let mut fields = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then_some(fields)
    })?;
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(User { name: name.to_owned(), uid, gid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgresql:x:9:9::/:/bin/sh\npostgres:x:101:104:PG,,,:/var:/bin/sh\n";
        let user = parse(passwd, "postgres").unwrap();
        assert_eq!((user.uid, user.gid), (101, 104));
        assert_eq!(parse(passwd, "nobody"), None);
    }

    #[test]
    fn a_folder_below_a_private_one_is_not_enterable() {
        let private = tempfile::tempdir().unwrap();
        fs::set_permissions(private.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!is_enterable_by_all(&private.path().join("below")));
        fs::set_permissions(private.path(), fs::Permissions::from_mode(0o711)).unwrap();
        assert!(is_enterable_by_all(&private.path().join("below")));
    }
}
