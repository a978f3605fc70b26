//! PostgreSQL as the machine's package manager installed it.
//!
//! In: `PATH` and the usual folders. Out: folders that hold `initdb` and `postgres`. Never here: starting a server.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::tools;

/// The oldest major version that is taken without being asked for.
pub(super) const OLDEST: u16 = 13;

/// Folders of several versions, as distributions lay them out; each holds `<version>/bin` or is itself versioned.
const FOLDERS: [(&str, &str); 6] = [
    ("/usr/lib/postgresql", "bin"),
    ("/usr/lib64/postgresql", "bin"),
    ("/usr", "bin"),
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "bin"),
];

/// An installed server.
#[derive(Debug, Clone)]
pub(super) struct Installed {
    pub(super) bin_dir: PathBuf,
    pub(super) major: u16,
    /// As the program says it: `15.18`.
    pub(super) version: String,
}

/// The installed server with this major version, or the newest that is 13 or later.
pub(super) fn find(major: Option<u16>) -> Option<Installed> {
    bin_dirs()
        .into_iter()
        .filter_map(|bin_dir| {
            let version = version_of(&bin_dir)?;
            let major = version.split('.').next()?.parse().ok()?;
            Some(Installed { bin_dir, major, version })
        })
        .find(|installed| match major {
            Some(major) => installed.major == major,
            None => installed.major >= OLDEST,
        })
}

/// Folders with an installed server's programs: those in `PATH` first, then the others, newest first.
pub(crate) fn bin_dirs() -> Vec<PathBuf> {
    let of_pg_config = tools::in_path("pg_config")
        .and_then(|program| Command::new(program).arg("--bindir").output().ok())
        .map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let of_path = tools::in_path("initdb")
        .and_then(|program| fs::canonicalize(program).ok())
        .and_then(|program| program.parent().map(Path::to_owned));
    let mut found: Vec<PathBuf> =
        of_pg_config.into_iter().chain(of_path).chain(usual_folders()).collect();
    found.retain(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file());
    let mut seen = Vec::new();
    for folder in found {
        if !seen.contains(&folder) {
            seen.push(folder);
        }
    }
    seen
}

fn usual_folders() -> Vec<PathBuf> {
    let mut versions: Vec<(u16, PathBuf)> = FOLDERS
        .iter()
        .filter_map(|(parent, bin)| Some((fs::read_dir(parent).ok()?, bin)))
        .flat_map(|(entries, bin)| {
            entries.filter_map(Result::ok).filter_map(move |entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                let major = major_in(&name)?;
                Some((major, entry.path().join(bin)))
            })
        })
        .collect();
    versions.sort_by(|left, right| right.cmp(left));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

/// The version in a folder's name: `15`, `pgsql-16`, `postgresql@17`, `postgresql15`.
fn major_in(name: &str) -> Option<u16> {
    let digits = ["pgsql-", "postgresql@", "postgresql", ""]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))?;
    digits.parse().ok()
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn version_of(bin_dir: &Path) -> Option<String> {
    let output = Command::new(bin_dir.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().nth(2).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_folder_names_of_distributions() {
        for (name, major) in
            [("15", 15), ("pgsql-16", 16), ("postgresql@17", 17), ("postgresql14", 14)]
        {
            assert_eq!(major_in(name), Some(major), "{name}");
        }
        assert_eq!(major_in("postgresql"), None);
        assert_eq!(major_in("bin"), None);
    }
}
