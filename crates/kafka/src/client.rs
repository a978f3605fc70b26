//! stub
use crate::{topic::Broker, *};
/// A handle of one cluster; cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {}
/// What the cluster says of itself.
#[derive(Clone, Debug)]
pub struct ClusterDescription {
    /// Its id.
    pub cluster_id: Option<String>,
    /// Node id of the controller (KRaft: some broker).
    pub controller: Option<i32>,
    /// Its brokers.
    pub brokers: Vec<Broker>,
    /// Finalized level of the feature `transaction.version`: 2 is TV2 of KIP-890, `None` means none.
    pub transaction_version: Option<i16>,
    /// Finalized features by name: (level).
    pub features: std::collections::BTreeMap<String, i16>,
    /// Version ranges of requests by api key: (lowest, highest).
    pub api_versions: std::collections::BTreeMap<i16, (i16, i16)>,
}
impl Client {
    /// Connects to the first bootstrap server that answers and learns the brokers.
    pub async fn connect(_config: ClientConfig) -> Result<Self, KafkaError> {
        Err(KafkaError::Interrupted)
    }
    /// The configuration it was made with.
    pub fn config(&self) -> &ClientConfig {
        unreachable!()
    }
    /// What the cluster says of itself, asked now.
    pub async fn cluster(&self) -> Result<ClusterDescription, KafkaError> {
        Err(KafkaError::Interrupted)
    }
    /// One topic, asked now; `None` if it does not exist.
    pub async fn topic(&self, _name: &str) -> Result<Option<TopicDescription>, KafkaError> {
        Err(KafkaError::Interrupted)
    }
    /// All topics, asked now.
    pub async fn topics(&self) -> Result<Vec<TopicDescription>, KafkaError> {
        Err(KafkaError::Interrupted)
    }
}
