//! What a Java program needs to ask a Kafka Connect worker by a client that others wrote.
//!
//! In: nothing. Out: a `java` and a class path with `org.sourcelab:kafka-connect-client`. Never here: a worker, a running program.

use std::{path::Path, path::PathBuf, process::Command};

use crate::{EmbeddedError, Progress, cache, java, lock, maven};

const VERSION: &str = "4.0.5";
/// The program is started from its source text.
const JAVA_MINIMUM: u32 = 17;

/// The client, 4.0.5.
#[derive(Debug, Clone)]
pub struct ConnectClient {
    java: PathBuf,
    class_path: String,
}

impl ConnectClient {
    /// Finds Java and makes sure that the jars are in the cache.
    pub async fn provide(progress: &dyn Progress) -> Result<Self, EmbeddedError> {
        let name = format!("kafka-connect-client {VERSION}");
        let java = java::find(&name, JAVA_MINIMUM)?;
        let cache = cache::folder()?;
        let folder = cache.join("connect-client").join(VERSION);
        let artifacts = lock::artifacts(lock::CONNECT_CLIENT);
        let class_path =
            maven::provide_class_path(&name, &artifacts, &cache, &folder, progress).await?;
        Ok(Self { java, class_path })
    }

    /// A command that compiles and runs the program in the file `source`; its arguments follow. It needs a JDK, not only a JRE.
    pub fn command(&self, source: &Path) -> Command {
        let mut command = Command::new(&self.java);
        command.args(["-Xmx256m", "-XX:+UseSerialGC", "-cp", &self.class_path]).arg(source);
        command
    }
}
