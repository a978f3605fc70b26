//! What a Java program needs to read topics as Apache Flink does.
//!
//! In: nothing. Out: a `java` and a class path with Flink's formats and Kafka's client. Never here: a Flink cluster, a running
//! program.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{EmbeddedError, Progress, cache, java, lock, maven};

const VERSION: &str = "1.20.4";
/// The program is started from its source text.
const JAVA_MINIMUM: u32 = 17;

/// Flink's JSON formats, 1.20.4, beside Kafka's client.
#[derive(Debug, Clone)]
pub struct FlinkJson {
    java: PathBuf,
    class_path: String,
}

impl FlinkJson {
    /// Finds Java and makes sure that the jars are in the cache.
    pub async fn provide(progress: &dyn Progress) -> Result<Self, EmbeddedError> {
        let name = format!("Flink's JSON formats {VERSION}");
        let java = java::find(&name, JAVA_MINIMUM)?;
        let cache = cache::folder()?;
        let folder = cache.join("flink").join(VERSION);
        let artifacts = lock::artifacts(lock::FLINK);
        let class_path =
            maven::provide_class_path(&name, &artifacts, &cache, &folder, progress).await?;
        Ok(Self { java, class_path })
    }

    /// A command that compiles and runs the program in the file `source`; its arguments follow. It needs a JDK, not only a JRE.
    pub fn command(&self, source: &Path) -> Command {
        let mut command = Command::new(&self.java);
        command.args(["-Xmx512m", "-XX:+UseSerialGC", "-cp", &self.class_path]).arg(source);
        command
    }
}
