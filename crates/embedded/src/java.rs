//! The Java on this machine.
//!
//! In: `JAVA_HOME`, `PATH`. Out: a `java` that is new enough. Never here: `javac`.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{EmbeddedError, tools};

/// Finds a `java` of at least the major version `minimum`, for `needs`.
pub(crate) fn find(needs: &str, minimum: u32) -> Result<PathBuf, EmbeddedError> {
    let from_home = env::var_os("JAVA_HOME")
        .map(|home| PathBuf::from(home).join("bin/java"))
        .filter(|java| java.is_file());
    let path = from_home.or_else(|| tools::in_path("java")).ok_or(EmbeddedError::JavaMissing)?;
    let found = major_version(&path)?;
    if found < minimum {
        return Err(EmbeddedError::JavaTooOld { path, found, needs: needs.to_owned(), minimum });
    }
    Ok(path)
}

/// Memory of a Java process and how it is collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jvm {
    /// For a server that shares a machine with others: the serial collector.
    Small {
        /// Heap in MiB, at most.
        heap_mib: u32,
    },
    /// As `bin/connect-distributed.sh` and `bin/kafka-run-class.sh` of Kafka 4 start a worker: 256 MiB to 2 GiB, G1.
    KafkaScripts,
}

impl Jvm {
    fn arguments(self) -> Vec<String> {
        match self {
            Self::Small { heap_mib } => {
                vec![format!("-Xmx{heap_mib}m"), "-XX:+UseSerialGC".to_owned()]
            }
            Self::KafkaScripts => [
                "-Xms256M",
                "-Xmx2G",
                "-server",
                "-XX:+UseG1GC",
                "-XX:MaxGCPauseMillis=20",
                "-XX:InitiatingHeapOccupancyPercent=35",
                "-XX:+ExplicitGCInvokesConcurrent",
            ]
            .map(str::to_owned)
            .to_vec(),
        }
    }
}

/// Arguments of `java` up to the main class.
///
/// `log4j_property` tells the program's logging library where its configuration is.
pub(crate) fn server_arguments(
    jvm: Jvm,
    log4j_property: &str,
    log4j: &Path,
    class_path: &str,
) -> Vec<String> {
    let mut arguments = jvm.arguments();
    arguments.extend([
        "-XX:-UsePerfData".to_owned(),
        "-Xshare:auto".to_owned(),
        "-Djava.awt.headless=true".to_owned(),
        format!("-D{log4j_property}=file:{}", log4j.display()),
        "-cp".to_owned(),
        class_path.to_owned(),
    ]);
    arguments
}

/// The property that names [`LOG4J2`]'s file.
pub(crate) const LOG4J2_PROPERTY: &str = "log4j2.configurationFile";

/// A configuration of Log4j 2: standard output, level WARN.
pub(crate) const LOG4J2: &str = "status=WARN\n\
     appender.out.type=Console\n\
     appender.out.name=out\n\
     appender.out.layout.type=PatternLayout\n\
     appender.out.layout.pattern=[%d] %p %m (%c)%n%throwable\n\
     rootLogger.level=WARN\n\
     rootLogger.appenderRef.out.ref=out\n";

fn major_version(java: &Path) -> Result<u32, EmbeddedError> {
    let output = Command::new(java)
        .arg("-version")
        .output()
        .map_err(|source| EmbeddedError::Spawn { program: java.to_owned(), source })?;
    Ok(parse(&String::from_utf8_lossy(&output.stderr)))
}

/// Reads `openjdk version "17.0.15" 2025-04-15`, `java version "1.8.0_392"`; 0 if there is no such line.
fn parse(output: &str) -> u32 {
    let version = output
        .lines()
        .filter(|line| line.contains(" version "))
        .find_map(|line| line.split('"').nth(1))
        .unwrap_or_default();
    let version = version.strip_prefix("1.").unwrap_or(version);
    let digits = version.split(|letter: char| !letter.is_ascii_digit()).next();
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_old_and_new_spellings() {
        assert_eq!(parse("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime"), 17);
        assert_eq!(parse("Picked up JAVA_TOOL_OPTIONS: -Dx\njava version \"1.8.0_392\""), 8);
        assert_eq!(parse("openjdk version \"26-ea\" 2026-03-17"), 26);
        assert_eq!(parse("command not found"), 0);
    }
}
