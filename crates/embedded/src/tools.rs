//! Programs of the machine: where they are, and the command that installs them if they are not there.
//!
//! In: a program's name. Out: its path, or an error naming the command. Never here: starting anything but `--version`.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::{EmbeddedError, postgres::installed};

/// Finds a client program (`psql`, `pgbench`, `pg_recvlogical`, …) in `PATH` or in the newest installed PostgreSQL.
///
/// Errors: [`EmbeddedError::ToolMissing`], which names the command that installs it.
pub fn find(tool: &str) -> Result<PathBuf, EmbeddedError> {
    // An installed server's own folder first: distributions put a wrapper in PATH that wants its own cluster layout.
    installed::bin_dirs()
        .into_iter()
        .map(|folder| folder.join(tool))
        .find(|path| path.is_file())
        .or_else(|| in_path(tool))
        .ok_or_else(|| EmbeddedError::ToolMissing { tool: tool.to_owned() })
}

/// Finds a program in `PATH`.
pub(crate) fn in_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// The command that installs `tool` with this machine's package manager.
pub(crate) fn install_command(tool: &str) -> String {
    let managers = [
        ("apt-get", "apt-get install -y", ["openjdk-17-jre-headless", "maven", "postgresql"]),
        ("dnf", "dnf install -y", ["java-17-openjdk-headless", "maven", "postgresql-server"]),
        ("apk", "apk add", ["openjdk17-jre-headless", "maven", "postgresql"]),
        ("pacman", "pacman -S --noconfirm", ["jre17-openjdk-headless", "maven", "postgresql"]),
        ("brew", "brew install", ["openjdk@17", "maven", "postgresql@17"]),
    ];
    let column = match tool {
        "java" => 0,
        "mvn" => 1,
        _ => 2,
    };
    let found = managers.iter().find(|(manager, ..)| {
        in_path(manager).is_some() || Path::new("/usr/bin").join(manager).is_file()
    });
    match found {
        Some((_, command, packages)) => format!("{command} {}", packages[column]),
        None => format!("install `{}` with your package manager", managers[0].2[column]),
    }
}
