//! Looks at a cluster before it is used and reports everything at once.
//!
//! In: what the caller is about to do. Out: [`Finding`]s, each with the command or setting that mends
//! it. Nothing is changed, except that `may_fence` takes the transactional id for a moment. Never
//! here: stopping at the first problem. Source: Kafka documentation, "Broker Configs", "Topic
//! Configs"; KIP-618, KIP-890.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    Client, ClusterDescription, ConfigEntry, KafkaError, NewTopic, Producer, ProducerSettings,
    TopicDescription,
    coordinator::{Coordinated, find_coordinator},
};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It cannot work.
    Error,
    /// It works, but not as one would want.
    Warning,
    /// Good to know.
    Info,
}

/// One thing found out about the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable code; its page is in `docs/errors`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: the cluster, a topic, a transactional id.
    pub subject: String,
    /// What was found.
    pub message: String,
    /// The exact command or setting that mends it.
    pub fix: Option<String>,
}

/// What the caller is about to do with the cluster.
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    /// The transactional id that will be used; `None`: no transactions.
    pub transactional_id: Option<String>,
    /// True: take the transactional id for a moment, which fences whoever uses it, and proves that
    /// transactions work. False: only ask who coordinates it.
    pub may_fence: bool,
    /// `transaction.timeout.ms`.
    pub transaction_timeout: Duration,
    /// `batch.size`: the largest batch that will be sent, in bytes.
    pub batch_bytes_max: usize,
    /// Topics that will be written to.
    pub topics: Vec<TopicExpectation>,
    /// The compacted topic of the checkpoints.
    pub offsets_topic: Option<TopicExpectation>,
}

/// A topic that will be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicExpectation {
    /// Its name.
    pub name: String,
    /// How it is created if it is missing. `None`: it must exist.
    pub create: Option<NewTopic>,
}

/// Codes of findings that are no errors of a request.
const VERSION: &str = "KA040";
const TOPIC_STATE: &str = "KA041";
const BATCH_SIZE: &str = "KA042";
const REPLICATION: &str = "KA043";
const NOT_COMPACTED: &str = "KA044";
const TRANSACTION_TIMEOUT: &str = "KA045";
const NOT_VISIBLE: &str = "KA046";

/// Looks at everything; an unreachable cluster is one finding.
pub async fn check(client: &Client, expectations: &Expectations) -> Vec<Finding> {
    let mut check = Check { client, findings: Vec::new() };
    match client.cluster().await {
        Err(error) => check.failed("the cluster", &error),
        Ok(cluster) => {
            check.version(&cluster);
            check.transactions(&cluster, expectations).await;
            for topic in &expectations.topics {
                check.topic(&cluster, topic, expectations, false).await;
            }
            if let Some(offsets) = &expectations.offsets_topic {
                check.topic(&cluster, offsets, expectations, true).await;
            }
        }
    }
    check.findings
}

struct Check<'a> {
    client: &'a Client,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn add(
        &mut self,
        (code, severity): (&'static str, Severity),
        subject: &str,
        message: String,
        fix: Option<String>,
    ) {
        self.findings.push(Finding { code, severity, subject: subject.into(), message, fix });
    }

    /// A request that failed, with the cure its error names.
    fn failed(&mut self, subject: &str, error: &KafkaError) {
        let text = error.to_string();
        let text = text.strip_prefix(&format!("[{}] ", error.code())).unwrap_or(&text);
        let (message, fix) = text.split_once("\n  fix: ").unwrap_or((text, ""));
        let fix = (!fix.is_empty()).then(|| fix.to_owned());
        let mut message = message.to_owned();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            message.push_str(": ");
            message.push_str(cause_text.split("\n  fix: ").next().unwrap_or_default());
            source = cause.source();
        }
        self.add((error.code(), Severity::Error), subject, message, fix);
    }

    fn version(&mut self, cluster: &ClusterDescription) {
        if cluster.transaction_version >= Some(2) {
            return;
        }
        let message = "transactions are those before KIP-890 (transaction.version below 2): each commit takes a round trip more, and the guard against a delayed EndTxn is missing".into();
        let knows_it = cluster.transaction_version.is_some()
            || cluster.api_versions.get(&26).is_some_and(|(_, highest)| *highest >= 5);
        let fix = if knows_it {
            "kafka-features.sh --bootstrap-server … upgrade --feature transaction.version=2"
        } else {
            "upgrade the brokers to Apache Kafka 4.0 or later"
        };
        self.add((VERSION, Severity::Info), "the cluster", message, Some(fix.into()));
    }

    async fn transactions(&mut self, cluster: &ClusterDescription, expectations: &Expectations) {
        let Some(id) = &expectations.transactional_id else { return };
        let subject = format!("transactional id `{id}`");
        let outcome = if expectations.may_fence {
            let settings = ProducerSettings {
                transactional_id: Some(id.clone()),
                transaction_timeout: expectations.transaction_timeout,
                ..ProducerSettings::default()
            };
            Producer::init(self.client, settings).await.map(drop)
        } else {
            find_coordinator(self.client, Coordinated::Transaction(id)).await.map(drop)
        };
        if let Err(error) = outcome {
            self.failed(&subject, &error);
        }
        let Some(broker) = cluster.brokers.first() else { return };
        // Not everyone may see broker settings; then the broker itself tells at the first init.
        let Ok(configs) = self.client.describe_broker_configs(broker.id).await else { return };
        let limit_ms = number(&configs, "transaction.max.timeout.ms").unwrap_or(u64::MAX);
        let timeout_ms = expectations.transaction_timeout.as_millis();
        if timeout_ms > u128::from(limit_ms) {
            let message =
                format!("transaction.timeout.ms is {timeout_ms}, but the brokers allow {limit_ms}");
            let fix = format!("set producer.override.transaction.timeout.ms={limit_ms}");
            self.add((TRANSACTION_TIMEOUT, Severity::Error), &subject, message, Some(fix));
        }
        let replicas = number(&configs, "transaction.state.log.replication.factor").unwrap_or(3);
        if cluster.brokers.len() >= 3 && replicas < 3 {
            let message = format!(
                "the transaction log has {replicas} replica(s): losing a broker can lose commits"
            );
            let fix = "set transaction.state.log.replication.factor=3 and transaction.state.log.min.isr=2 on the brokers, and add replicas to __transaction_state by kafka-reassign-partitions.sh".into();
            self.add((REPLICATION, Severity::Warning), "__transaction_state", message, Some(fix));
        }
    }

    async fn topic(
        &mut self,
        cluster: &ClusterDescription,
        expected: &TopicExpectation,
        expectations: &Expectations,
        is_offsets: bool,
    ) {
        let name = &expected.name;
        match self.client.topic(name).await {
            Err(error) => self.failed(name, &error),
            Ok(None) => self.missing(cluster, expected),
            Ok(Some(topic)) => {
                self.leaders(&topic);
                match self.client.describe_topic_configs(name).await {
                    Err(error) => {
                        let message = format!("its settings cannot be seen ({})", error.code());
                        let fix = format!(
                            "kafka-acls.sh --bootstrap-server … --add --allow-principal User:… --operation DescribeConfigs --topic '{name}'"
                        );
                        self.add((NOT_VISIBLE, Severity::Info), name, message, Some(fix));
                    }
                    Ok(configs) => {
                        self.sizes(name, &configs, expectations);
                        self.replication(cluster, &topic, &configs);
                        if is_offsets {
                            self.compaction(name, &configs);
                        }
                    }
                }
            }
        }
    }

    fn missing(&mut self, cluster: &ClusterDescription, expected: &TopicExpectation) {
        let name = &expected.name;
        let Some(new) = &expected.create else {
            let fix = format!("kafka-topics.sh --bootstrap-server … --create --topic '{name}'");
            let message = "it does not exist, and creating topics is switched off".into();
            return self.add((TOPIC_STATE, Severity::Error), name, message, Some(fix));
        };
        let brokers = cluster.brokers.len();
        let replicas = usize::try_from(new.replication_factor).unwrap_or(0);
        if replicas > brokers {
            let message = format!(
                "it will be created with {replicas} replicas, but there are {brokers} broker(s)"
            );
            let fix = format!("set topic.creation.default.replication.factor={brokers}");
            return self.add((TOPIC_STATE, Severity::Error), name, message, Some(fix));
        }
        self.add((TOPIC_STATE, Severity::Info), name, "it will be created".into(), None);
    }

    fn leaders(&mut self, topic: &TopicDescription) {
        let leaderless = topic.partitions.iter().filter(|partition| partition.leader.is_none());
        let leaderless: Vec<String> = leaderless.map(|found| found.partition.to_string()).collect();
        if !leaderless.is_empty() {
            let message = format!("partition(s) {} have no leader", leaderless.join(", "));
            let fix = format!(
                "bring their brokers back: kafka-topics.sh --bootstrap-server … --describe --topic '{}'",
                topic.name()
            );
            self.add((TOPIC_STATE, Severity::Error), topic.name(), message, Some(fix));
        }
    }

    fn sizes(
        &mut self,
        name: &str,
        configs: &BTreeMap<String, ConfigEntry>,
        expectations: &Expectations,
    ) {
        let Some(limit) = number(configs, "max.message.bytes") else { return };
        let batch = expectations.batch_bytes_max as u64;
        if batch > limit {
            let message = format!(
                "it takes batches of {limit} bytes, but batches of up to {batch} may be sent"
            );
            let fix = format!(
                "kafka-configs.sh --bootstrap-server … --alter --entity-type topics --entity-name '{name}' --add-config max.message.bytes={batch} (or set producer.override.batch.size={limit})"
            );
            self.add((BATCH_SIZE, Severity::Warning), name, message, Some(fix));
        }
    }

    fn replication(
        &mut self,
        cluster: &ClusterDescription,
        topic: &TopicDescription,
        configs: &BTreeMap<String, ConfigEntry>,
    ) {
        let name = topic.name();
        let min_insync = number(configs, "min.insync.replicas").unwrap_or(1);
        let worst = topic.partitions.iter().map(|p| p.in_sync_replicas.len() as u64).min();
        if worst.is_some_and(|in_sync| in_sync < min_insync) {
            let message = format!(
                "min.insync.replicas is {min_insync}, but a partition has only {} in sync: writes are refused",
                worst.unwrap_or(0)
            );
            let fix = "bring the missing brokers back, or lower min.insync.replicas".into();
            return self.add((REPLICATION, Severity::Error), name, message, Some(fix));
        }
        let replicas = topic.replication_factor() as u64;
        let one_loss_is_fatal = replicas < 2 || min_insync < 2;
        if cluster.brokers.len() >= 3 && one_loss_is_fatal {
            let message = format!(
                "it has {replicas} replica(s) and min.insync.replicas={min_insync}: losing one broker can lose acknowledged records"
            );
            let fix = format!(
                "kafka-configs.sh --bootstrap-server … --alter --entity-type topics --entity-name '{name}' --add-config min.insync.replicas=2 (with 3 replicas)"
            );
            self.add((REPLICATION, Severity::Warning), name, message, Some(fix));
        }
    }

    fn compaction(&mut self, name: &str, configs: &BTreeMap<String, ConfigEntry>) {
        let policy = configs.get("cleanup.policy").and_then(|entry| entry.value.as_deref());
        if policy != Some("compact") {
            let policy = policy.unwrap_or("unknown");
            let message = format!(
                "it holds the checkpoints, but its cleanup.policy is `{policy}`: they would be deleted"
            );
            let fix = format!(
                "kafka-configs.sh --bootstrap-server … --alter --entity-type topics --entity-name '{name}' --add-config cleanup.policy=compact"
            );
            self.add((NOT_COMPACTED, Severity::Error), name, message, Some(fix));
        }
    }
}

fn number(configs: &BTreeMap<String, ConfigEntry>, name: &str) -> Option<u64> {
    configs.get(name)?.value.as_deref()?.parse().ok()
}
