//! What can go wrong with what is asked of a group, and with a worker itself.
//!
//! Each has a code with a page in `docs/errors/`. HTTP status codes are given to them in `rest/status.rs` alone.

use std::net::SocketAddr;

use connector::ConnectorError;
use connector::settings::InvalidSettings;
use kafka::KafkaError;

/// A request that was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// There is no connector of that name.
    #[error("[WK001] connector `{name}` not found")]
    NotFound {
        /// The name asked for.
        name: String,
    },
    /// There is one already.
    #[error("[WK002] connector `{name}` already exists: choose another name, or update that one")]
    Exists {
        /// The name asked for.
        name: String,
    },
    /// It was changed meanwhile.
    #[error(
        "[WK003] connector `{name}` is at revision {revision} and not {expected}: read it again, and repeat the change on what it is now"
    )]
    Changed {
        /// The name asked for.
        name: String,
        /// The revision the request was made for.
        expected: u64,
        /// The revision there is.
        revision: u64,
    },
    /// Its configuration cannot be used.
    #[error("{0}")]
    Invalid(#[from] InvalidSettings),
    /// The name in the address and the one in the configuration differ.
    #[error(
        "[WK004] the connector is called `{name}` in the address and `{inner}` in its configuration: keep one of the two"
    )]
    OtherName {
        /// In the address.
        name: String,
        /// In the configuration.
        inner: String,
    },
    /// It has to be stopped first.
    #[error(
        "[WK005] connector `{name}` is {state}, and its offsets can only be changed while it is stopped: PUT /connectors/{name}/stop first"
    )]
    NotStopped {
        /// The connector.
        name: String,
        /// What it is doing.
        state: String,
    },
    /// The offset is of another source.
    #[error(
        "[WK016] connector `{name}` has the source partition {{\"server\":\"{topic_prefix}\"}}, the offset is of {{\"server\":\"{server}\"}}: set topic.prefix to the one that wrote the offset"
    )]
    OtherPartition {
        /// The connector.
        name: String,
        /// What the offset is of.
        server: String,
        /// What the connector's is.
        topic_prefix: String,
    },
    /// Nothing that is written to Kafka reaches it.
    #[error(
        "[WK017] connector `{name}` reads no signals from a topic: its configuration does not enable the channel `kafka`\n  fix: {}",
        other_way(name, statement.as_deref())
    )]
    NoSignalTopic {
        /// The connector.
        name: String,
        /// The statement that gives it the signal through its signal table, if it has one.
        statement: Option<String>,
    },
    /// It does not capture the table.
    #[error(
        "[WK018] connector `{name}` does not capture table `{table}`\n  fix: name one that its lists admit, or add it: tributary update {name} --add-table {table}"
    )]
    NotCaptured {
        /// The connector.
        name: String,
        /// The table.
        table: String,
    },
    /// The group could not be asked or told.
    #[error("[WK006] the topics of the group cannot be used now")]
    Store(#[from] KafkaError),
    /// Many others changed the same connectors at the same time.
    #[error(
        "[WK007] others change the group's connectors at the same time, {attempts} attempts were overtaken: repeat the request"
    )]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
    /// What a connector has in Kafka or in its source could not be read or changed.
    #[error("{0}")]
    Connector(#[from] ConnectorError),
    /// What is wanted cannot be written down.
    #[error(
        "[WK014] the record of the connector cannot be written as JSON: please report it, with the configuration"
    )]
    Record(#[from] serde_json::Error),
    /// The worker is about to end.
    #[error("[WK008] this worker is shutting down: ask another one")]
    ShuttingDown,
}

/// Why a worker does not start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The address is taken, or is not ours.
    #[error("[WK010] cannot listen on {address}: choose another address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// Anybody on the network could change connectors.
    #[error(
        "[WK011] {address} can be reached from other machines: listen on 127.0.0.1, or name users with --auth-file, and a certificate with --tls-cert and --tls-key (or say --insecure where something else encrypts)"
    )]
    Open {
        /// The address.
        address: SocketAddr,
    },
    /// The topics of the group cannot be used.
    #[error("[WK012] the topics of group `{group}` cannot be used")]
    Store {
        /// The group.
        group: String,
        /// What Kafka said.
        #[source]
        cause: Box<KafkaError>,
    },
    /// Another process took this worker's identity.
    #[error(
        "[WK013] another worker has joined group `{group}` as `{worker}`: give each its own --worker-id"
    )]
    Replaced {
        /// The group.
        group: String,
        /// The identity.
        worker: String,
    },
}

impl GroupError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "WK001",
            Self::Exists { .. } => "WK002",
            Self::Changed { .. } => "WK003",
            Self::Invalid(invalid) => invalid.problems.first().map_or("CF003", |first| first.code),
            Self::OtherName { .. } => "WK004",
            Self::NotStopped { .. } => "WK005",
            Self::OtherPartition { .. } => "WK016",
            Self::NoSignalTopic { .. } => "WK017",
            Self::NotCaptured { .. } => "WK018",
            Self::Store(_) => "WK006",
            Self::Contended { .. } => "WK007",
            Self::Connector(error) => error.code(),
            Self::Record(_) => "WK014",
            Self::ShuttingDown => "WK008",
        }
    }
}

/// How a signal gets to a connector that reads none from a topic.
fn other_way(name: &str, statement: Option<&str>) -> String {
    let set = format!("tributary update {name} --setting signal.enabled.channels=source,kafka");
    match statement {
        None => set,
        Some(statement) => format!("{set}; or write it into its signal table: {statement}"),
    }
}

impl WorkerError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Listen { .. } => "WK010",
            Self::Open { .. } => "WK011",
            Self::Store { .. } => "WK012",
            Self::Replaced { .. } => "WK013",
        }
    }
}
