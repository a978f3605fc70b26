//! What a caller may ask of Kafka Connect. In: fields. Out: fields. Never here: names of Connect's properties.

use std::time::Duration;

use crate::java::Jvm;

/// Which worker to start, and with which plugins.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// `HOST:PORT` of the Kafka that holds the topics.
    pub bootstrap: String,
    /// Connectors the worker can run.
    pub plugins: Vec<Plugin>,
    /// Properties of the worker, as in `connect-standalone.properties`; they win over this crate's.
    pub settings: Vec<(String, String)>,
    /// The group of a distributed worker, whose state is in topics that begin with it; `None` starts a standalone one.
    pub group: Option<String>,
    /// Memory of the worker.
    pub jvm: Jvm,
    /// How long the worker may take to answer after its start.
    pub deadline: Duration,
}

impl ConnectOptions {
    /// A worker for this Kafka with these plugins.
    pub fn new(bootstrap: impl Into<String>, plugins: &[Plugin]) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            plugins: plugins.to_vec(),
            settings: Vec::new(),
            group: None,
            jvm: Jvm::Small { heap_mib: 1_024 },
            deadline: Duration::from_mins(2),
        }
    }

    /// Makes it a distributed worker, the only one of its group.
    #[must_use]
    pub fn distributed(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Adds one property of the worker.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }
}

/// The plugins that are pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plugin {
    /// Debezium's source connector for PostgreSQL, 3.6.0.Final.
    DebeziumPostgres,
    /// Debezium's sink connector for JDBC, 3.6.0.Final, with its transformations.
    DebeziumJdbcSink,
    /// Apicurio's converters, 2.6.13.Final; among them the one for Avro.
    ApicurioConverter,
}

impl Plugin {
    /// As Maven names the artifact.
    pub(super) fn artifact_name(self) -> &'static str {
        match self {
            Self::DebeziumPostgres => "debezium-connector-postgres",
            Self::DebeziumJdbcSink => "debezium-connector-jdbc",
            Self::ApicurioConverter => "apicurio-registry-utils-converter",
        }
    }

    /// Whether its jars say what is in them; the worker looks into every class of one that does not.
    pub(super) fn is_declared(self) -> bool {
        self != Self::ApicurioConverter
    }
}
