//! Connect's jars, the plugins, and the Java that runs them.
//!
//! In: which plugins. Out: a class path and a plugin path, complete and verified, and a `java`. Never here: workers.

use std::path::PathBuf;

use super::Plugin;
use crate::{EmbeddedError, Progress, archive, cache, java, lock, maven};

/// The version of Kafka Connect that is pinned.
pub(super) const VERSION: &str = "4.3.1";
const JAVA_MINIMUM: u32 = 17;

/// What a worker needs.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) java: PathBuf,
    pub(super) class_path: String,
    /// Folders of the plugins, comma-separated.
    pub(super) plugin_path: String,
}

impl Programs {
    /// Finds Java and makes sure that jars and plugins are in the cache.
    pub(super) async fn provide(
        plugins: &[Plugin],
        progress: &dyn Progress,
    ) -> Result<Self, EmbeddedError> {
        let name = format!("Kafka Connect {VERSION}");
        let java = java::find(&name, JAVA_MINIMUM)?;
        let cache = cache::folder()?;
        let folder = cache.join("connect");
        let libs_dir = folder.join(VERSION).join("libs");
        let artifacts = lock::artifacts(lock::CONNECT);
        let class_path =
            maven::provide_class_path(&name, &artifacts, &cache, &libs_dir, progress).await?;
        let pinned = lock::artifacts(lock::DEBEZIUM);
        let mut plugin_folders = Vec::new();
        for artifact in &pinned {
            if plugins.iter().any(|plugin| plugin.artifact_name() == artifact.name) {
                let what = format!("{} {}", artifact.name, artifact.version);
                let parent = folder.join("plugins");
                let unpacked = archive::provide(&what, artifact, &cache, &parent, progress).await?;
                plugin_folders.push(unpacked.display().to_string());
            }
        }
        if plugins.contains(&Plugin::ApicurioConverter) {
            // Not an archive but jars, in a folder within the one that is named: that is what makes them one plugin.
            let jars = lock::artifacts(lock::APICURIO_CONVERTER);
            let parent = folder.join("plugins").join("apicurio-2.6.13.Final");
            let plugin = parent.join("converters");
            maven::provide("Apicurio's converters", &jars, &cache, &plugin, progress).await?;
            plugin_folders.push(parent.display().to_string());
        }
        Ok(Self { java, class_path, plugin_path: plugin_folders.join(",") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_plugin_is_pinned() {
        for (plugin, pinned) in [
            (Plugin::DebeziumPostgres, lock::DEBEZIUM),
            (Plugin::DebeziumJdbcSink, lock::DEBEZIUM),
            (Plugin::ApicurioConverter, lock::APICURIO_CONVERTER),
        ] {
            let name = plugin.artifact_name();
            assert!(lock::artifacts(pinned).iter().any(|artifact| artifact.name == name));
        }
    }
}
