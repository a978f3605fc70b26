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
    /// `jar` unless the lock file says otherwise.
    pub(crate) packaging: &'static str,
    /// Which of several files of one version.
    pub(crate) classifier: Option<&'static str>,
}

impl Artifact {
    /// `kafka-clients-4.3.1.jar`, `debezium-connector-jdbc-3.6.0.Final-plugin.tar.gz`.
    pub(crate) fn file_name(&self) -> String {
        let classifier = self.classifier.map(|classifier| format!("-{classifier}"));
        let classifier = classifier.unwrap_or_default();
        format!("{}-{}{classifier}.{}", self.name, self.version, self.packaging)
    }

    /// Folder of the artifact within a Maven repository: `org/apache/kafka/kafka-clients/4.3.1`.
    pub(crate) fn repository_folder(&self) -> String {
        format!("{}/{}/{}", self.group.replace('.', "/"), self.name, self.version)
    }
}

/// All artifacts of a lock file: lines of `sha256 size group:name:version[:packaging[:classifier]]`, `#` begins a comment.
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
    let packaging = coordinates.next().unwrap_or("jar");
    let classifier = coordinates.next();
    Some(Artifact { sha256, size_bytes, group, name, version, packaging, classifier })
}

pub(crate) const KAFKA_4: &str = include_str!("../lock/kafka-4.3.1.lock");
pub(crate) const KAFKA_3: &str = include_str!("../lock/kafka-3.9.2.lock");
pub(crate) const APICURIO: &str = include_str!("../lock/apicurio-2.6.13.lock");
pub(crate) const APICURIO_CONVERTER: &str = include_str!("../lock/apicurio-converter-2.6.13.lock");
pub(crate) const CONNECT: &str = include_str!("../lock/connect-4.3.1.lock");
pub(crate) const CONNECT_CLIENT: &str = include_str!("../lock/connect-client-4.0.5.lock");
pub(crate) const DEBEZIUM: &str = include_str!("../lock/debezium-3.6.0.lock");
pub(crate) const FLINK: &str = include_str!("../lock/flink-1.20.4.lock");
pub(crate) const POSTGRES: &str = include_str!("../lock/postgres.lock");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_every_lock_file_pins_one_artifact() {
        let registry = [APICURIO, APICURIO_CONVERTER];
        let all = [KAFKA_4, KAFKA_3, CONNECT, CONNECT_CLIENT, DEBEZIUM, FLINK, POSTGRES];
        for text in all.into_iter().chain(registry) {
            let artifacts = artifacts(text);
            let lines = text.lines().filter(|line| !line.starts_with('#')).count();
            assert_eq!(artifacts.len(), lines);
            assert!(artifacts.iter().all(|artifact| artifact.sha256.len() == 64));
            assert!(artifacts.iter().all(|artifact| artifact.size_bytes > 0));
        }
    }

    #[test]
    fn a_file_name_has_the_packaging_and_the_classifier_of_its_line() {
        let line = |text| artifact(text).map(|artifact| artifact.file_name());
        assert_eq!(line("00 1 g:n:1.2").as_deref(), Some("n-1.2.jar"));
        assert_eq!(line("00 1 g:n:1.2:tar.gz:plugin").as_deref(), Some("n-1.2-plugin.tar.gz"));
        assert_eq!(line("00 1 g:n"), None);
    }
}
