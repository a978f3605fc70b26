//! Prepares a broker's data folder as `kafka-storage format` does, without starting Java each time.
//!
//! In: a version, feature levels, users. Out: `meta.properties` and `bootstrap.checkpoint`. The checkpoint holds feature levels
//! and SCRAM credentials and nothing of one cluster, so Kafka's own tool makes it once and copies serve every start.
//! Never here: records written by hand. Source: KIP-853, KIP-900 (`--add-scram`), KIP-1022 (`--feature`).

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{KafkaOptions, install::Programs};
use crate::{
    EmbeddedError, cache, log,
    watchdog::{self, Ending, Guarded},
};

const DEADLINE: Duration = Duration::from_mins(2);
const CHECKPOINT: &str = "bootstrap.checkpoint";

/// Writes what a broker needs to start on an empty folder. Does nothing on a folder that has it.
pub(super) fn format(
    data: &Path,
    cluster_id: &str,
    broker: usize,
    checkpoint: &[u8],
) -> Result<(), EmbeddedError> {
    let meta = data.join("meta.properties");
    if meta.is_file() {
        return Ok(());
    }
    fs::create_dir_all(data).map_err(EmbeddedError::file("create", data))?;
    let path = data.join(CHECKPOINT);
    fs::write(&path, checkpoint).map_err(EmbeddedError::file("write", &path))?;
    // Last, because its presence means that the folder is complete.
    let text = format!(
        "version=1\ncluster.id={cluster_id}\nnode.id={broker}\ndirectory.id={}\n",
        random_id()
    );
    fs::write(&meta, text).map_err(EmbeddedError::file("write", &meta))
}

/// A random id as Kafka prints them: 16 bytes, base64 for URLs.
pub(super) fn random_id() -> String {
    // Kafka's own tool avoids ids that begin with a dash, which look like an option on a command line.
    let mut bytes: [u8; 16] = rand::random();
    bytes[0] &= 0x7f;
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The checkpoint for these options: from the cache, unless it holds credentials.
pub(super) async fn checkpoint(
    programs: &Programs,
    options: &KafkaOptions,
) -> Result<Vec<u8>, EmbeddedError> {
    if !options.users.is_empty() {
        return make(programs, options).await;
    }
    let levels: Vec<String> =
        options.features.iter().map(|(name, level)| format!("{name}-{level}")).collect();
    let levels = if levels.is_empty() { "default".to_owned() } else { levels.join("-") };
    let kept = programs.folder().join(format!("{levels}.checkpoint"));
    if let Ok(bytes) = fs::read(&kept) {
        return Ok(bytes);
    }
    let cache = cache::folder()?;
    let _lock = cache::lock(&cache).await?;
    if let Ok(bytes) = fs::read(&kept) {
        return Ok(bytes);
    }
    let bytes = make(programs, options).await?;
    let partial = kept.with_extension("partial");
    fs::write(&partial, &bytes)
        .and_then(|()| fs::rename(&partial, &kept))
        .map_err(EmbeddedError::file("write", kept))?;
    Ok(bytes)
}

/// Runs Kafka's storage tool on a folder of no further use and takes its checkpoint.
async fn make(programs: &Programs, options: &KafkaOptions) -> Result<Vec<u8>, EmbeddedError> {
    let work = tempfile::Builder::new()
        .prefix("tributary-kafka-format-")
        .tempdir()
        .map_err(EmbeddedError::file("create", std::env::temp_dir()))?;
    let folder = work.path();
    let (log4j, log4j_content) = programs.log4j();
    let data = folder.join("data");
    let properties = format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:1\n\
         controller.listener.names=CONTROLLER\nlisteners=PLAINTEXT://127.0.0.1:2,CONTROLLER://127.0.0.1:1\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\nlog.dirs={}\n",
        data.display()
    );
    for (name, content) in [("format.properties", properties.as_str()), (log4j, log4j_content)] {
        let path = folder.join(name);
        fs::write(&path, content).map_err(EmbeddedError::file("write", &path))?;
    }
    let log = folder.join("format.log");
    let code = watchdog::run(command(programs, options, folder, log.clone()), DEADLINE).await?;
    if code != 0 {
        return Err(EmbeddedError::Prepare {
            program: "kafka.tools.StorageTool",
            folder: folder.to_owned(),
            tail: log::tail(&log),
        });
    }
    let path = data.join(CHECKPOINT);
    fs::read(&path).map_err(EmbeddedError::file("read", path))
}

fn command(programs: &Programs, options: &KafkaOptions, folder: &Path, log: PathBuf) -> Guarded {
    let mut arguments = programs.java_arguments(128, &folder.join(programs.log4j().0));
    arguments.insert(0, "-XX:TieredStopAtLevel=1".to_owned());
    arguments.extend(["kafka.tools.StorageTool", "format", "--cluster-id"].map(str::to_owned));
    arguments.extend([random_id(), "--config".to_owned(), "format.properties".to_owned()]);
    for (name, level) in &options.features {
        arguments.extend(["--feature".to_owned(), format!("{name}={level}")]);
    }
    for user in &options.users {
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            let credential = format!("{mechanism}=[name={},password={}]", user.name, user.password);
            arguments.extend(["--add-scram".to_owned(), credential]);
        }
    }
    Guarded {
        program: programs.java.clone(),
        arguments,
        environment: Vec::new(),
        folder: folder.to_owned(),
        log,
        user: None,
        ending: Ending {
            signal: "KILL",
            grace: Duration::from_secs(1),
            remove: Some(folder.to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_kafkas_shape() {
        for _ in 0..1_000 {
            let id = random_id();
            assert_eq!(id.len(), 22);
            assert!(!id.starts_with('-'));
        }
    }
}
