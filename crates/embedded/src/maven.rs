//! Brings pinned artifacts from whatever repositories the machine's `mvn` is set up for.
//!
//! In: [`Artifact`]s. Out: files with the right checksums in one folder. Never here: an address of a repository, a version
//! that is not pinned, a file with another checksum. Source: Maven manual, "Introduction to Repositories" (local layout).

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

use sha2::{Digest, Sha256};
use tracing::{info, warn};

use crate::{
    EmbeddedError, Event, Progress, cache,
    lock::Artifact,
    log, tools,
    watchdog::{Ending, Guarded, Watched},
};

const PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:resolve";
const POLL: Duration = Duration::from_millis(100);
const ATTEMPTS: u32 = 2;

/// Files this process has verified already: a checksum over 50 MB once, not at each start of a server.
static VERIFIED: LazyLock<Mutex<BTreeSet<PathBuf>>> = LazyLock::new(Mutex::default);

/// Makes sure that `folder` holds `artifacts`; fetches those that are missing or have another checksum.
///
/// `what` names them for people. `cache` is the cache folder and `folder` lies inside it.
pub(crate) async fn provide(
    what: &str,
    artifacts: &[Artifact],
    cache: &Path,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<(), EmbeddedError> {
    let paths: Vec<PathBuf> = artifacts.iter().map(|one| folder.join(one.file_name())).collect();
    if paths.iter().all(|path| is_verified(path)) {
        return Ok(());
    }
    let _lock = cache::lock(cache).await?;
    let unusable = |source| EmbeddedError::Cache { path: folder.to_owned(), source };
    cache::create(folder).map_err(unusable)?;
    let mut wanted = unverified(artifacts, folder).map_err(unusable)?;
    for attempt in 1.. {
        if wanted.is_empty() {
            break;
        }
        let fetched = fetch(what, &wanted, cache, folder, progress).await;
        if fetched.is_err() && attempt == ATTEMPTS {
            return fetched;
        }
        if let Err(error) = fetched {
            warn!(%error, "fetching {what} again");
        }
        wanted = unverified(&wanted, folder).map_err(unusable)?;
    }
    VERIFIED.lock().unwrap_or_else(PoisonError::into_inner).extend(paths);
    Ok(())
}

/// As [`provide`], for jars; gives the class path of them, and of nothing else that lies in `folder`.
pub(crate) async fn provide_class_path(
    what: &str,
    artifacts: &[Artifact],
    cache: &Path,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<String, EmbeddedError> {
    provide(what, artifacts, cache, folder, progress).await?;
    let jars: Vec<String> = artifacts
        .iter()
        .map(|artifact| folder.join(artifact.file_name()).display().to_string())
        .collect();
    Ok(jars.join(":"))
}

fn is_verified(path: &Path) -> bool {
    VERIFIED.lock().unwrap_or_else(PoisonError::into_inner).contains(path) && path.is_file()
}

/// The artifacts that are missing in `folder`; what is there with another checksum is removed.
fn unverified(artifacts: &[Artifact], folder: &Path) -> io::Result<Vec<Artifact>> {
    let mut wanted = Vec::new();
    for artifact in artifacts {
        let path = folder.join(artifact.file_name());
        if !path.is_file() {
            wanted.push(*artifact);
        } else if checksum(&path)? != artifact.sha256 {
            warn!(file = %path.display(), "`{}` is damaged, fetching it again", path.display());
            fs::remove_file(&path)?;
            wanted.push(*artifact);
        }
    }
    Ok(wanted)
}

/// Fetches all of `artifacts` into a local repository of our own, verifies them and moves them to `folder`.
async fn fetch(
    what: &str,
    artifacts: &[Artifact],
    cache: &Path,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<(), EmbeddedError> {
    let mvn = tools::in_path("mvn")
        .ok_or_else(|| EmbeddedError::MavenMissing { what: what.to_owned() })?;
    let step = format!("fetch {what}");
    let total_bytes = artifacts.iter().map(|artifact| artifact.size_bytes).sum();
    progress.event(Event::Started { step: &step, total_bytes: Some(total_bytes) });
    info!(total_bytes, "fetching {what}, {} files", artifacts.len());

    let repository = cache.join("m2");
    let project = tempfile::Builder::new()
        .prefix("fetch-")
        .tempdir_in(cache)
        .map_err(|source| EmbeddedError::Cache { path: cache.to_owned(), source })?;
    let log = project.path().join("mvn.log");
    let pom = project.path().join("pom.xml");
    fs::write(&pom, project_file(artifacts)).map_err(EmbeddedError::file("write", &pom))?;
    let mut running = start(mvn, &repository, project.path())?;
    let code = loop {
        if let Some(code) = running.ended(POLL).await {
            break code;
        }
        let done_bytes = arrived_bytes(artifacts, &repository).min(total_bytes);
        progress.event(Event::Advanced { step: &step, done_bytes, total_bytes });
    };
    running.close_and_keep();

    // Also after a failure: what came well need not come again.
    let moved = move_verified(artifacts, &repository, folder)?;
    if code != 0 || moved < artifacts.len() {
        return Err(EmbeddedError::Fetch { what: what.to_owned(), tail: log::tail(&log) });
    }
    progress.event(Event::Advanced { step: &step, done_bytes: total_bytes, total_bytes });
    progress.event(Event::Finished { step: &step });
    Ok(())
}

fn start(mvn: PathBuf, repository: &Path, project: &Path) -> Result<Watched, EmbeddedError> {
    let command = Guarded {
        program: mvn,
        // -U: a failure Maven remembers from an earlier run is no reason not to try.
        arguments: ["-B", "-U", "-q", "-f", "pom.xml", PLUGIN]
            .into_iter()
            .map(str::to_owned)
            .chain([format!("-Dmaven.repo.local={}", repository.display())])
            .collect(),
        environment: Vec::new(),
        folder: project.to_owned(),
        log: project.join("mvn.log"),
        user: None,
        ending: Ending { signal: "TERM", grace: Duration::from_secs(2), remove: None },
    };
    command.start()
}

/// Moves what came into `folder`, each by one rename; counts them. One with another checksum is removed and is an error.
fn move_verified(
    artifacts: &[Artifact],
    repository: &Path,
    folder: &Path,
) -> Result<usize, EmbeddedError> {
    let mut moved = 0;
    let mut mismatch = None;
    for artifact in artifacts {
        let file = artifact.file_name();
        let from = repository.join(artifact.repository_folder()).join(&file);
        if !from.is_file() {
            continue;
        }
        let found = checksum(&from).map_err(EmbeddedError::file("read", &from))?;
        if found == artifact.sha256 {
            let to = folder.join(&file);
            fs::rename(&from, &to).map_err(EmbeddedError::file("create", to))?;
            moved += 1;
        } else {
            fs::remove_file(&from).map_err(EmbeddedError::file("remove", &from))?;
            let expected = artifact.sha256.to_owned();
            mismatch = Some(EmbeddedError::Checksum { file, expected, found });
        }
    }
    mismatch.map_or(Ok(moved), Err)
}

/// Bytes of `artifacts` in the local repository, those still being written included.
fn arrived_bytes(artifacts: &[Artifact], repository: &Path) -> u64 {
    let of_one = |artifact: &Artifact| {
        let file = artifact.file_name();
        let entries = fs::read_dir(repository.join(artifact.repository_folder())).ok()?;
        entries
            .filter_map(Result::ok)
            .filter(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                name.starts_with(&file) && !name.contains(".sha") && !name.contains(".md5")
            })
            .filter_map(|entry| entry.metadata().ok())
            .map(|metadata| metadata.len())
            .max()
    };
    artifacts.iter().filter_map(of_one).sum()
}

/// A Maven project that depends on exactly `artifacts` and on nothing they depend on.
fn project_file(artifacts: &[Artifact]) -> String {
    let dependencies: Vec<String> = artifacts
        .iter()
        .map(|Artifact { group, name, version, packaging, classifier, .. }| {
            let classifier = classifier.map(|text| format!("<classifier>{text}</classifier>"));
            let classifier = classifier.unwrap_or_default();
            format!(
                "<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version>\
                 <type>{packaging}</type>{classifier}<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>"
            )
        })
        .collect();
    let dependencies = dependencies.join("\n");
    format!(
        "<project><modelVersion>4.0.0</modelVersion><groupId>tributary</groupId><artifactId>fetch</artifactId>\
         <version>1</version><packaging>pom</packaging>\n<dependencies>\n{dependencies}\n</dependencies></project>\n"
    )
}

fn checksum(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(hex::encode(hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock;

    #[test]
    fn a_project_names_each_artifact_and_excludes_what_it_would_drag_in() {
        let artifacts = lock::artifacts(lock::KAFKA_4);
        let project = project_file(&artifacts);
        assert_eq!(project.matches("<dependency>").count(), artifacts.len());
        assert_eq!(project.matches("<artifactId>*</artifactId>").count(), artifacts.len());
    }

    #[test]
    fn a_file_with_another_checksum_is_removed_and_wanted_again() {
        let folder = tempfile::tempdir().unwrap();
        let artifact = lock::artifacts(lock::KAFKA_4)[0];
        let path = folder.path().join(artifact.file_name());
        fs::write(&path, "damaged").unwrap();
        assert_eq!(unverified(&[artifact], folder.path()).unwrap(), [artifact]);
        assert!(!path.exists());
    }
}
