//! Chooses PostgreSQL's programs, and brings the published ones if no installed ones fit.
//!
//! In: a major version, if one is wanted. Out: a folder with `initdb` and `postgres`. Never here: data folders.
//! The published binaries are those of `io.zonky.test.postgres:embedded-postgres-binaries-*`.

use std::{env, path::PathBuf};

use super::{
    PostgresSource,
    installed::{self, Installed, OLDEST},
};
use crate::{
    EmbeddedError, Progress, archive, cache,
    lock::{self, Artifact},
};

/// Taken from the binaries when nobody asks for a version.
const DEFAULT_MAJOR: u16 = 17;
const OFFERED: &str = "14, 15, 16, 17, 18, or one that is installed";

/// Programs of one PostgreSQL version.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    pub(super) bin_dir: PathBuf,
    pub(super) major: u16,
    pub(super) version: String,
}

impl From<Installed> for Programs {
    fn from(Installed { bin_dir, major, version }: Installed) -> Self {
        Self { bin_dir, major, version }
    }
}

/// Finds or fetches the programs of a major version.
pub(super) async fn programs(
    major: Option<u16>,
    source: PostgresSource,
    progress: &dyn Progress,
) -> Result<Programs, EmbeddedError> {
    let installed = match source {
        PostgresSource::Any | PostgresSource::Installed => installed::find(major),
        PostgresSource::Binaries => None,
    };
    match (installed, source) {
        (Some(installed), _) => Ok(installed.into()),
        (None, PostgresSource::Installed) => Err(EmbeddedError::NotInstalled {
            wanted: major.map_or_else(|| format!("{OLDEST} or later"), |major| major.to_string()),
        }),
        (None, PostgresSource::Any | PostgresSource::Binaries) => {
            binaries(major.unwrap_or(DEFAULT_MAJOR), progress).await
        }
    }
}

async fn binaries(major: u16, progress: &dyn Progress) -> Result<Programs, EmbeddedError> {
    let artifact = artifact(major)?;
    let version = artifact.version.trim_end_matches(".0").to_owned();
    let cache = cache::folder()?;
    let parent = cache.join("postgres");
    let what = format!("PostgreSQL {version}");
    let folder = archive::provide(&what, &artifact, &cache, &parent, progress).await?;
    Ok(Programs { bin_dir: folder.join("bin"), major, version })
}

fn artifact(major: u16) -> Result<Artifact, EmbeddedError> {
    let all = lock::artifacts(lock::POSTGRES);
    let of_major = |artifact: &Artifact| {
        artifact.version.split('.').next().and_then(|text| text.parse().ok()) == Some(major)
    };
    if !all.iter().any(of_major) {
        return Err(EmbeddedError::Version {
            product: "PostgreSQL",
            asked: major.to_string(),
            offered: OFFERED,
        });
    }
    let no_platform =
        EmbeddedError::Platform { version: major, os: env::consts::OS, arch: env::consts::ARCH };
    let Some(platform) = platform(env::consts::OS, env::consts::ARCH) else {
        return Err(no_platform);
    };
    all.into_iter()
        .find(|artifact| of_major(artifact) && artifact.name.ends_with(platform))
        .ok_or(no_platform)
}

fn platform(os: &str, arch: &str) -> Option<&'static str> {
    match (os, arch) {
        ("linux", "x86_64") => Some("-linux-amd64"),
        ("linux", "aarch64") => Some("-linux-arm64v8"),
        ("macos", "x86_64") => Some("-darwin-amd64"),
        ("macos", "aarch64") => Some("-darwin-arm64v8"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_offered_version_is_pinned_for_linux_on_both_processors() {
        for major in 14..=18 {
            for arch in ["x86_64", "aarch64"] {
                let platform = platform("linux", arch).unwrap();
                let pinned = lock::artifacts(lock::POSTGRES).into_iter().any(|artifact| {
                    artifact.name.ends_with(platform)
                        && artifact.version.starts_with(&format!("{major}."))
                });
                assert!(pinned, "PostgreSQL {major} on {arch}");
            }
        }
    }

    #[test]
    fn an_unknown_version_is_refused_with_those_there_are() {
        let error = artifact(9).unwrap_err();
        assert_eq!(error.code(), "EM007");
        assert!(error.to_string().contains("14, 15, 16, 17, 18"));
    }
}
