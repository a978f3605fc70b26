//! Everything that can go wrong with Kafka, each with a stable code, its class and its cure.
//!
//! In: nothing. Out: [`KafkaError`]. Never here: retries, logging. The protocol's own codes are
//! classified in `codes.rs`.

mod class;
mod hints;

use std::{io, sync::Arc, time::Duration};

use thiserror::Error;

use crate::codes::ErrorCode;
use hints::{broker_fix, message_suffix, nearest_hint};

/// A failure that a test makes: the same as a connection that is gone.
impl From<failpoint::Injected> for KafkaError {
    fn from(injected: failpoint::Injected) -> Self {
        let reason = format!("failpoint {}", injected.point().name());
        Self::ConnectionLost { broker: "of a test".into(), reason }
    }
}

/// A failure of this crate. Cheap to clone, because a dead producer answers every later call with
/// the error that killed it.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum KafkaError {
    /// A client property nobody knows.
    #[error("[KA001] unknown Kafka property `{name}`{}\n  fix: correct the name or remove it", nearest_hint(nearest.as_deref()))]
    UnknownProperty {
        /// What was written.
        name: String,
        /// The known name that looks most like it.
        nearest: Option<String>,
    },
    /// A known property with a value that cannot be used. The value is left out: it may be a secret.
    #[error("[KA002] Kafka property `{name}` is not usable: {reason}\n  fix: {fix}")]
    InvalidProperty {
        /// The property.
        name: String,
        /// What is wrong with its value.
        reason: String,
        /// What to write instead.
        fix: String,
    },
    /// A property of the Java client that cannot mean anything here.
    #[error("[KA003] Kafka property `{name}` is not supported: {reason}\n  fix: {fix}")]
    RefusedProperty {
        /// The property.
        name: String,
        /// Why it cannot be honoured.
        reason: String,
        /// What to do instead.
        fix: String,
    },
    /// A `kafka://` URL that cannot be read.
    #[error(
        "[KA004] the Kafka URL is not usable: {reason}\n  fix: write kafka://host:9092,host2:9092 or kafka+ssl://host:9093"
    )]
    InvalidUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate, key or trust store that cannot be loaded.
    #[error("[KA005] {what} cannot be used: {reason}\n  fix: {fix}")]
    Certificate {
        /// Which file or setting.
        what: String,
        /// What is wrong.
        reason: String,
        /// How to mend it.
        fix: String,
    },
    /// A broker that could not be reached.
    #[error(
        "[KA010] broker {broker} cannot be reached\n  fix: check the address, that the broker runs, and firewalls between here and there"
    )]
    Connect {
        /// `host:port`.
        broker: String,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The TLS handshake failed.
    #[error("[KA011] TLS with broker {broker} failed\n  fix: {fix}")]
    Tls {
        /// `host:port`.
        broker: String,
        /// The setting that usually mends this.
        fix: String,
        /// What TLS said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The broker refused our credentials.
    #[error(
        "[KA012] broker {broker} refused the login by {mechanism}: {reason}\n  fix: check user, password or token in `sasl.jaas.config`, and that the broker's listener offers {mechanism}"
    )]
    Authentication {
        /// `host:port`.
        broker: String,
        /// The SASL mechanism.
        mechanism: &'static str,
        /// What the broker said, or what was wrong with its proof.
        reason: String,
    },
    /// A connection that ended while requests waited on it.
    #[error(
        "[KA013] the connection to broker {broker} ended: {reason}\n  fix: nothing, it is opened again; if it repeats, look at the broker's log"
    )]
    ConnectionLost {
        /// `host:port`.
        broker: String,
        /// The first cause, the same for every waiter.
        reason: String,
    },
    /// A request without an answer in time.
    #[error(
        "[KA014] broker {broker} did not answer {api} within {waited:?}\n  fix: look at the broker's load; `request.timeout.ms` is the limit; where the way to the broker is slow, lower `max.request.size` and `batch.size`"
    )]
    RequestTimedOut {
        /// `host:port`.
        broker: String,
        /// The request.
        api: &'static str,
        /// The limit that was hit.
        waited: Duration,
    },
    /// A broker too old (or too new) for a request we cannot do without.
    #[error(
        "[KA015] broker {broker} does not support {api} in a version we speak (ours {ours}, theirs {theirs})\n  fix: use Apache Kafka 2.8 or later"
    )]
    UnsupportedApi {
        /// `host:port`.
        broker: String,
        /// The request.
        api: &'static str,
        /// Our range.
        ours: String,
        /// The broker's range, or `none`.
        theirs: String,
    },
    /// Bytes that are not what the protocol says.
    #[error(
        "[KA016] {api} with broker {broker}: {reason}\n  fix: check that the port speaks Kafka and that its security protocol is the one configured; otherwise report this"
    )]
    Protocol {
        /// `host:port`.
        broker: String,
        /// The request.
        api: &'static str,
        /// What was wrong.
        reason: String,
    },
    /// None of the bootstrap servers answered.
    #[error(
        "[KA017] no broker of {bootstrap} can be reached\n  fix: check `bootstrap.servers` and that one of them runs"
    )]
    NoBroker {
        /// The list as configured.
        bootstrap: String,
        /// The last attempt's failure.
        #[source]
        source: Arc<KafkaError>,
    },
    /// The broker answered a request with an error code.
    #[error("[KA020] {api} for {subject} was answered {code}{}\n  fix: {}", message_suffix(message.as_deref()), broker_fix(*code))]
    Broker {
        /// The request.
        api: &'static str,
        /// Topic, partition, transactional id or broker it was about.
        subject: String,
        /// The protocol's code.
        code: ErrorCode,
        /// The broker's own words.
        message: Option<String>,
    },
    /// A newer producer took the transactional id.
    #[error(
        "[KA021] transactional id `{transactional_id}` was taken over by a newer producer ({api} was answered {code})\n  fix: nothing if another copy of this connector runs; otherwise find who uses this transactional id"
    )]
    Fenced {
        /// Our transactional id.
        transactional_id: String,
        /// The request that told us.
        api: &'static str,
        /// The protocol's code.
        code: ErrorCode,
    },
    /// The broker's transaction timeout ended the transaction while we worked on it.
    #[error(
        "[KA022] the transaction of `{transactional_id}` was open for {open_for:?}, longer than `transaction.timeout.ms` ({limit:?}), and the broker aborted it\n  fix: nothing if the process was paused; otherwise commit smaller transactions or raise `transaction.timeout.ms`"
    )]
    TransactionExpired {
        /// Our transactional id.
        transactional_id: String,
        /// Age of the transaction when the broker refused it.
        open_for: Duration,
        /// The limit.
        limit: Duration,
    },
    /// A record (or batch) larger than the broker or our own limit takes.
    #[error(
        "[KA023] record {record_index} for {topic}-{partition} has {record_bytes} bytes (its batch {batch_bytes}) and is over the limit of {limit}\n  fix: {fix}"
    )]
    RecordTooLarge {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Index of the largest record among those of this partition in the transaction, from 0.
        record_index: usize,
        /// Uncompressed size of that record in bytes.
        record_bytes: usize,
        /// Size of its batch as sent.
        batch_bytes: usize,
        /// Which limit.
        limit: String,
        /// How to raise it.
        fix: String,
    },
    /// The principal may not do this.
    #[error("[KA024] not authorised: {api} for {subject} was answered {code}\n  fix: {fix}")]
    NotAuthorized {
        /// The request.
        api: &'static str,
        /// Topic, transactional id or cluster.
        subject: String,
        /// The protocol's code.
        code: ErrorCode,
        /// The command that grants it.
        fix: String,
    },
    /// The predecessor's transaction did not end within our patience.
    #[error(
        "[KA025] transactional id `{transactional_id}` could not be taken over within {waited:?} (last answer {code})\n  fix: nothing, it is tried again; if it repeats, look at the coordinator's log for `{transactional_id}`"
    )]
    InitTimedOut {
        /// Our transactional id.
        transactional_id: String,
        /// How long we tried.
        waited: Duration,
        /// The last answer.
        code: ErrorCode,
    },
    /// The markers of the transaction before were not written within our patience.
    #[error(
        "[KA026] the broker was still finishing the transaction before after {waited:?}: {api} for {subject} was answered {code}\n  fix: nothing, it is tried again; if it repeats, look at the brokers' load and at leaderless partitions"
    )]
    PreviousTransactionPending {
        /// The request.
        api: &'static str,
        /// Transactional id or partition.
        subject: String,
        /// How long we tried.
        waited: Duration,
        /// The last answer.
        code: ErrorCode,
    },
    /// A partition that has no leader now.
    #[error(
        "[KA027] {topic}-{partition} has no leader\n  fix: bring the brokers of its replicas back: kafka-topics.sh --describe --topic {topic}"
    )]
    NoLeader {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// `commit` was dropped half way: nobody knows what the broker holds.
    #[error(
        "[KA028] the producer was interrupted inside a commit and must not be used again\n  fix: nothing, start over from the checkpoint"
    )]
    Interrupted,
    /// A topic that does not exist.
    #[error(
        "[KA030] topic `{topic}` does not exist\n  fix: kafka-topics.sh --bootstrap-server … --create --topic {topic}"
    )]
    TopicMissing {
        /// The topic.
        topic: String,
    },
    /// A topic that could not be created.
    #[error("[KA031] topic `{topic}` could not be created: {code}{}\n  fix: {}", message_suffix(message.as_deref()), broker_fix(*code))]
    TopicNotCreated {
        /// The topic.
        topic: String,
        /// The protocol's code.
        code: ErrorCode,
        /// The broker's own words.
        message: Option<String>,
    },
    /// Stored bytes that cannot be read.
    #[error(
        "[KA032] {topic}-{partition} at offset {offset} cannot be read: {reason}\n  fix: read it with kafka-dump-log.sh on the broker; report it if that tool can read it"
    )]
    CorruptBatch {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Base offset of the batch, or the offset asked for.
        offset: i64,
        /// What is wrong.
        reason: String,
    },
    /// Someone's open transaction hides the end of a partition.
    #[error(
        "[KA033] {topic}-{partition} is held at offset {last_stable_offset} (its end is {high_watermark}) by an open transaction{} for {waited:?}\n  fix: it ends at its own `transaction.timeout.ms`; where it does not, find out whose it is by kafka-transactions.sh find-hanging --topic {topic} --partition {partition}",
        of_producer(*holder)
    )]
    OpenTransaction {
        /// Producer id and epoch of whose it is, if the leader knows.
        holder: Option<(i64, i32)>,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Readers cannot pass this offset.
        last_stable_offset: i64,
        /// The end when we asked.
        high_watermark: i64,
        /// How long we waited.
        waited: Duration,
    },
    /// A read position the partition no longer (or not yet) has.
    #[error(
        "[KA034] {topic}-{partition} has no offset {offset}: it holds {earliest}..{latest}\n  fix: read from the earliest offset; if records are missing, look at the topic's retention"
    )]
    OffsetOutOfRange {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What was asked for.
        offset: i64,
        /// The first one there.
        earliest: i64,
        /// The end.
        latest: i64,
    },
    /// Another process has our place in a group.
    #[error(
        "[KA035] another process joined group `{group}` as `{instance_id}`, and this one is no member any more ({api} was answered {code})\n  fix: nothing if it was meant to be replaced; otherwise give each process an instance id of its own"
    )]
    InstanceFenced {
        /// The group.
        group: String,
        /// Our `group.instance.id`.
        instance_id: String,
        /// The request that told us.
        api: &'static str,
        /// The protocol's code.
        code: ErrorCode,
    },
    /// Our session in a group is over by our own clock.
    #[error(
        "[KA036] no heartbeat to group `{group}` was acknowledged for {waited:?}: the session is over, and others may take what was ours\n  fix: nothing, it joins again; if it repeats, look whether this process or the broker is short of CPU, and at the network between them"
    )]
    SessionOver {
        /// The group.
        group: String,
        /// Since the last heartbeat that was acknowledged.
        waited: Duration,
    },
}

fn of_producer(holder: Option<(i64, i32)>) -> String {
    holder.map_or_else(String::new, |(id, epoch)| format!(" of producer {id} (epoch {epoch})"))
}
