//! The artifacts this version of the project was tested with: coordinates, sizes, checksums.
//!
//! In: the lock files of `crates/embedded/lock`. Out: [`Artifact`]s. Never here: I/O.

/// One file of a Maven repository, pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Artifact {
    /// Hexadecimal.
    pub(crate) sha256: &'static str,
    pub(crate) size_bytes: u64,
    pub(crate) group: &'static str,
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
}

impl Artifact {
    /// `kafka-clients-4.3.1.jar`.
    pub(crate) fn file_name(&self) -> String {
        format!("{}-{}.jar", self.name, self.version)
    }

    /// Folder of the artifact within a Maven repository: `org/apache/kafka/kafka-clients/4.3.1`.
    pub(crate) fn repository_folder(&self) -> String {
        format!("{}/{}/{}", self.group.replace('.', "/"), self.name, self.version)
    }
}

/// All artifacts of a lock file: lines of `sha256 size group:name:version`, `#` begins a comment.
pub(crate) fn artifacts(text: &'static str) -> Vec<Artifact> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(artifact).collect()
}

fn artifact(line: &'static str) -> Option<Artifact> {
    let mut fields = line.split(' ');
    let sha256 = fields.next()?;
    let size_bytes = fields.next()?.parse().ok()?;
    let mut coordinates = fields.next()?.split(':');
    let group = coordinates.next()?;
    let name = coordinates.next()?;
    let version = coordinates.next()?;
    Some(Artifact { sha256, size_bytes, group, name, version })
}

pub(crate) const KAFKA_4: &str = include_str!("../lock/kafka-4.3.1.lock");
pub(crate) const KAFKA_3: &str = include_str!("../lock/kafka-3.9.2.lock");
pub(crate) const POSTGRES: &str = include_str!("../lock/postgres.lock");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_every_lock_file_pins_one_artifact() {
        for text in [KAFKA_4, KAFKA_3, POSTGRES] {
            let artifacts = artifacts(text);
            let lines = text.lines().filter(|line| !line.starts_with('#')).count();
            assert_eq!(artifacts.len(), lines);
            assert!(artifacts.iter().all(|artifact| artifact.sha256.len() == 64));
            assert!(artifacts.iter().all(|artifact| artifact.size_bytes > 0));
        }
    }
}
