//! Kafka's jars and the Java that runs them.
//!
//! In: a version. Out: a class path, complete and verified, and a `java`. Never here: brokers.

use std::path::{Path, PathBuf};

use super::KafkaVersion;
use crate::java::{self, Jvm};
use crate::{EmbeddedError, Progress, cache, lock, maven};

/// What every Java program of one Kafka version needs.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    pub(super) version: KafkaVersion,
    pub(super) java: PathBuf,
    pub(super) libs_dir: PathBuf,
    pub(super) class_path: String,
}

impl Programs {
    /// Finds Java and makes sure that the jars are in the cache.
    pub(super) async fn provide(
        version: KafkaVersion,
        progress: &dyn Progress,
    ) -> Result<Self, EmbeddedError> {
        let (lock, java_minimum) = match version {
            KafkaVersion::V3_9_2 => (lock::KAFKA_3, 11),
            KafkaVersion::V4_3_1 => (lock::KAFKA_4, 17),
        };
        let name = format!("Apache Kafka {}", version.as_str());
        let java = java::find(&name, java_minimum)?;
        let cache = cache::folder()?;
        let libs_dir = cache.join("kafka").join(version.as_str()).join("libs");
        let artifacts = lock::artifacts(lock);
        let class_path =
            maven::provide_class_path(&name, &artifacts, &cache, &libs_dir, progress).await?;
        Ok(Self { version, java, libs_dir, class_path })
    }

    /// Folder for what is made once per version, beside the jars.
    pub(super) fn folder(&self) -> &Path {
        self.libs_dir.parent().unwrap_or(&self.libs_dir)
    }

    /// Arguments of `java` up to the main class; the log goes to standard output at level WARN.
    pub(super) fn java_arguments(&self, heap_mib: u32, log4j: &Path) -> Vec<String> {
        let log4j_property = match self.version {
            KafkaVersion::V3_9_2 => "log4j.configuration",
            KafkaVersion::V4_3_1 => java::LOG4J2_PROPERTY,
        };
        java::server_arguments(Jvm::Small { heap_mib }, log4j_property, log4j, &self.class_path)
    }

    /// Name and content of the logging configuration.
    pub(super) fn log4j(&self) -> (&'static str, &'static str) {
        match self.version {
            KafkaVersion::V3_9_2 => (
                "log4j.properties",
                "log4j.rootLogger=WARN, out\n\
                 log4j.appender.out=org.apache.log4j.ConsoleAppender\n\
                 log4j.appender.out.layout=org.apache.log4j.PatternLayout\n\
                 log4j.appender.out.layout.ConversionPattern=[%d] %p %m (%c)%n\n",
            ),
            KafkaVersion::V4_3_1 => ("log4j2.properties", java::LOG4J2),
        }
    }
}
