//! Everything one connector needs to know, ready to use.
//!
//! In: a [`Spec`] and the [`Environment`]. Out: [`Settings`], or all problems at once.
//! Never: a key that is ignored in silence. Each one is in the table [`keys`]: it works, or it needs nothing and is
//! noted, or it is an error.

mod columns;
mod converter;
mod definition;
mod delivery;
mod environment;
mod events;
mod filter;
#[cfg(test)]
pub(crate) mod fixture;
pub(crate) mod fuzzing;
mod heartbeat;
mod identities;
mod identity;
mod incremental;
pub mod keys;
mod naming;
mod notification;
mod oversized;
mod page;
mod pattern;
pub mod problem;
mod pushdown;
mod read;
mod references;
mod reselect;
mod retention;
mod signal;
mod signal_channels;
mod snapshot;
mod source;
mod spill;
mod store;
mod survey;
mod topics;
mod values;

use std::fmt::{self, Write as _};

use envelope::EncoderSettings;
use kafka::{ClientConfig, ProducerSettings};
use postgres::{ConnectionConfig, Feedback, PgoutputOptions};

pub use columns::ColumnTreatments;
pub use converter::{SchemaRegistries, SideRegistry, SubjectStrategy};
pub use definition::{Definition, definition_of, definitions, is_secret};
pub use delivery::{CommitLimits, DeliveryGuarantee, GapPolicy, RetrySettings};
pub use environment::Environment;
pub use events::EVENT_ID_HEADER;
pub use filter::{ColumnFilter, MessageFilter, MessageKeys, TableFilter};
pub use heartbeat::HeartbeatSettings;
pub use identities::IdentityRules;
pub use incremental::{IncrementalSettings, MarkStrategy, Marks};
pub use notification::NotificationSettings;
pub use oversized::{OversizedPolicy, OversizedSettings};
pub use page::page;
pub use problem::{InvalidSettings, Problem};
pub use pushdown::PushdownSettings;
pub use read::{ReadMode, ReadSettings};
pub use reselect::ReselectSettings;
pub use retention::{RetentionPolicy, RetentionSettings};
pub use signal::SignalSettings;
pub(crate) use signal::table_pattern;
pub use signal_channels::{SignalChannels, SignalFileSettings, SignalTopicSettings};
pub use snapshot::{InheritedRows, SnapshotMode, SnapshotSettings, TableOrder};
pub use source::{Autocreate, EnumLabels, Guardrail, PublicationSettings, SlotSettings};
pub use spill::SpillSettings;
pub use topics::TopicCreation;

use crate::spec::Spec;
use identity::{connector_class, connector_name, plugin, prefixed, topic_prefix};
use references::Resolved;
use signal::EnabledChannels;
use signal_channels::Places;
use survey::survey;
use values::Values;

/// A connector's name: not empty, without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConnectorName(String);

impl ConnectorName {
    /// The name as typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConnectorName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A key that was given and needs nothing, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The key.
    pub key: String,
    /// Why there is nothing to do.
    pub reason: String,
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` needs nothing here: {}", self.key, self.reason)
    }
}

/// One connector's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `name`.
    pub name: ConnectorName,
    /// Where the source is.
    pub source: ConnectionConfig,
    /// Where Kafka is.
    pub store: ClientConfig,
    /// The form of records. `database` is empty here; the server tells it.
    pub encoder: EncoderSettings,
    /// Who gives the schemas of records in Avro their ids.
    pub schemas: SchemaRegistries,
    /// `context.message.prefix`; `None` gives no headers.
    pub context_prefix: Option<String>,
    /// `heartbeat.*`; `None` sends none.
    pub heartbeat: Option<HeartbeatSettings>,
    /// `topic.transaction`, without the prefix; `None` unless `provide.transaction.metadata`.
    pub transaction_topic: Option<String>,
    /// The replication slot.
    pub slot: SlotSettings,
    /// The publication.
    pub publication: PublicationSettings,
    /// Replica identities that a start sets.
    pub identities: IdentityRules,
    /// Which labels the schema of an enum lists.
    pub enum_labels: EnumLabels,
    /// How many tables may be captured.
    pub guardrail: Option<Guardrail>,
    /// Which tables are captured.
    pub tables: TableFilter,
    /// Which columns.
    pub columns: ColumnFilter,
    /// What is done to their values and schemas.
    pub column_treatments: ColumnTreatments,
    /// Which keys are not the tables' own.
    pub message_keys: MessageKeys,
    /// Which logical messages are captured.
    pub message_prefixes: MessageFilter,
    /// `post.processors`.
    pub reselects: Vec<ReselectSettings>,
    /// `notification.*`.
    pub notifications: NotificationSettings,
    /// The signals in a table of the source; `None` heeds none.
    pub signals: Option<SignalSettings>,
    /// Where else signals come from.
    pub signal_channels: SignalChannels,
    /// What is read before streaming.
    pub snapshot: SnapshotSettings,
    /// How tables are read while streaming.
    pub incremental: IncrementalSettings,
    /// How the log is read.
    pub read: ReadSettings,
    /// Whether large transactions come before they commit, and where they wait.
    pub spill: SpillSettings,
    /// Limits of one Kafka transaction.
    pub commit: CommitLimits,
    /// The transactional producer.
    pub producer: ProducerSettings,
    /// How missing topics are made.
    pub topic_creation: TopicCreation,
    /// Compacted topic with the checkpoints.
    pub offsets_topic: String,
    /// Its partitions, when it is made.
    pub offsets_topic_partitions: i32,
    /// `<group>.<name>`: whoever has it last, owns the connector.
    pub transactional_id: String,
    /// What a reader of the topics may rely on.
    pub delivery: DeliveryGuarantee,
    /// How progress is reported to PostgreSQL, and how long a silent server is waited for.
    pub feedback: Feedback,
    /// Pauses between take-overs.
    pub retry: RetrySettings,
    /// How much of the log the slot may keep.
    pub retention: RetentionSettings,
    /// What becomes of records that are too large.
    pub oversized: OversizedSettings,
    /// What happens when the source lacks what the checkpoint needs.
    pub gap_policy: GapPolicy,
    /// Keys that need nothing here; logged once at the start.
    pub notes: Vec<Note>,
}

impl Settings {
    /// Turns what was typed into what can be run.
    ///
    /// Errors: every problem at once, each with its key, the reason and the fix.
    pub fn resolve(spec: &Spec, environment: &Environment) -> Result<Self, InvalidSettings> {
        let found = Resolved::of(&spec.config, |name| environment.variable(name));
        let mut values = Values::new(&found.config);
        let notes = survey(&mut values);
        let settings = Self::read(&mut values, spec, environment, notes);
        let mut problems = found.with_problems(values.problems);
        // By key, so that the same mistake reads the same whatever order the parsers have.
        problems.sort_by(|one, other| (&one.key, one.code).cmp(&(&other.key, other.code)));
        problems.dedup();
        InvalidSettings::unless_empty(problems)?;
        settings.ok_or_else(unusable)
    }

    fn read(
        values: &mut Values<'_>,
        spec: &Spec,
        environment: &Environment,
        mut notes: Vec<Note>,
    ) -> Option<Self> {
        let name = connector_name(values, spec);
        connector_class(values);
        plugin(values);
        let prefix = environment.kafka_prefix.as_deref().unwrap_or_default();
        let topic_prefix = prefixed(prefix, &topic_prefix(values));
        let (transactional_id, offsets_topic) = identity::in_group(values, prefix, &name);
        let delivery = delivery::guarantee(values);
        let source = source::connection(values, environment, &name);
        let store = store::read(values, environment, &name);
        let slot = source::slot(values);
        let publication = source::publication(values, &mut notes);
        let mut encoder = events::encoder(values, &topic_prefix);
        let schemas = SchemaRegistries::read(values, &mut encoder, &mut notes);
        encoder.topic_naming = naming::read(values, &mut notes);
        let heartbeat = HeartbeatSettings::read(values, &topic_prefix, &mut notes);
        let tables = TableFilter::read(values);
        let columns = ColumnFilter::read(values);
        let column_treatments = ColumnTreatments::read(values);
        let reselects = ReselectSettings::read(values, &mut notes);
        let notifications = NotificationSettings::read(values, &mut notes);
        let channels = EnabledChannels::read(values, &mut notes);
        let signals = SignalSettings::read(values, channels, &mut notes);
        let partitions = values.number("tributary.offsets.topic.partitions", 1, 1000);
        let snapshot = SnapshotSettings::read(values);
        let gap_policy = GapPolicy::read(values, &snapshot);
        let (store, store_notes) = store?;
        let places = Places { store: &store.client, prefix, topic_prefix: &topic_prefix };
        let signal_channels = SignalChannels::read(values, channels, places, &mut notes);
        let producer = producer(values, store.producer, delivery, &transactional_id);
        Some(Self {
            name: ConnectorName(name),
            source,
            store: store.client,
            encoder,
            schemas,
            transaction_topic: topics::transaction(values),
            context_prefix: values.given("context.message.prefix").map(str::to_owned),
            heartbeat,
            slot: slot?,
            publication,
            identities: IdentityRules::read(values),
            enum_labels: source::enum_labels(values),
            guardrail: source::guardrail(values),
            tables,
            columns,
            column_treatments,
            message_keys: MessageKeys::read(values),
            message_prefixes: MessageFilter::read(values),
            reselects,
            notifications,
            incremental: IncrementalSettings::read(values, signals.as_ref()),
            signals,
            signal_channels,
            snapshot,
            read: ReadSettings::read(values),
            spill: SpillSettings::read(values),
            commit: CommitLimits::read(values),
            producer,
            topic_creation: TopicCreation::read(values),
            offsets_topic,
            offsets_topic_partitions: i32::try_from(partitions).unwrap_or(1),
            transactional_id,
            delivery,
            feedback: source::feedback(values),
            retry: RetrySettings::read(values),
            retention: RetentionSettings::read(values),
            oversized: OversizedSettings::read(values, prefix, &topic_prefix),
            gap_policy,
            notes: notes.into_iter().chain(store_notes).collect(),
        })
    }

    /// Only where Kafka is, for commands that need nothing else.
    pub fn resolve_store(
        spec: &Spec,
        environment: &Environment,
    ) -> Result<ClientConfig, InvalidSettings> {
        let found = Resolved::of(&spec.config, |name| environment.variable(name));
        let mut values = Values::new(&found.config);
        survey(&mut values);
        let store = store::read(&mut values, environment, "");
        InvalidSettings::unless_empty(found.with_problems(values.problems))?;
        store.map(|(store, _)| store.client).ok_or_else(unusable)
    }

    /// What the stream is asked for, without transactions in progress: those change the order messages come in, not what they say
    /// of a transaction that has committed.
    pub fn pgoutput_options(&self) -> PgoutputOptions {
        let mut origin = None;
        let mut extra = Vec::new();
        for (name, value) in &self.slot.stream_params {
            if name == "origin" {
                origin = Some(value.clone());
            } else {
                extra.push((name.clone(), value.clone()));
            }
        }
        PgoutputOptions {
            proto_version: 1,
            streaming: false,
            publications: vec![self.publication.name.clone()],
            messages: true,
            origin,
            extra,
        }
    }

    /// The topic of a table.
    pub fn topic_of(&self, schema: &str, table: &str) -> String {
        self.encoder.topic_of(schema, table)
    }

    /// Everything that decides which changes the stream has, as text: a position inside a transaction counts changes, so it
    /// means something only under the options it was counted under.
    pub fn stream_options_fingerprint(&self) -> String {
        let options = self.pgoutput_options();
        let mut text = format!(
            "proto_version={};publication_names={};messages={}",
            options.proto_version,
            options.publications.join(","),
            options.messages
        );
        let origin = options.origin.map(|origin| ("origin".to_owned(), origin));
        for (name, value) in origin.into_iter().chain(options.extra) {
            // Writing to a String cannot fail.
            let _ = write!(text, ";{name}={value}");
        }
        text
    }
}

/// Stands in where a parser gave nothing and said nothing; there is no such parser.
fn unusable() -> InvalidSettings {
    let fix = "please report it, with the configuration";
    InvalidSettings {
        problems: vec![Problem::new("CF003", "", "the configuration cannot be used", fix)],
    }
}

/// The producer, with the identity that makes its transactions this connector's.
fn producer(
    values: &mut Values<'_>,
    mut producer: ProducerSettings,
    delivery: DeliveryGuarantee,
    transactional_id: &str,
) -> ProducerSettings {
    let exactly_once = delivery == DeliveryGuarantee::ExactlyOnce;
    if exactly_once && !producer.acks_all {
        values.problems.push(Problem::new(
            "CF006",
            "producer.override.acks",
            "exactly once needs `all`: a commit must know that its records are stored",
            "remove it, or set `tributary.delivery.guarantee=at_least_once`",
        ));
    }
    producer.transactional_id = exactly_once.then(|| transactional_id.to_owned());
    producer
}

#[cfg(test)]
mod tests;
