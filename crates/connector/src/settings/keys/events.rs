//! Keys that shape records: values, topics.

use super::{Key, needs_nothing, not_yet, supported};

pub(super) const EVENTS: &[Key] = &[
    supported(
        "decimal.handling.mode",
        "precise",
        "`precise` (bytes with scale), `double` or `string`.",
    ),
    supported(
        "time.precision.mode",
        "adaptive",
        "`adaptive`, `adaptive_time_microseconds`, `connect`, `microseconds`, `nanoseconds` or `isostring`.",
    ),
    supported(
        "interval.handling.mode",
        "numeric",
        "`numeric` (microseconds) or `string` (ISO 8601).",
    ),
    supported("binary.handling.mode", "bytes", "`bytes`, `base64`, `base64-url-safe` or `hex`."),
    supported("money.fraction.digits", "2", "Digits after the point of `money`."),
    supported("hstore.handling.mode", "json", "`json` or `map`."),
    supported(
        "include.unknown.datatypes",
        "false",
        "Columns of types without a form of their own are the bytes of their text, as `binary.handling.mode` writes bytes. Some array types are left out all the same, as Debezium leaves them out: see `tributary.unmapped.types`.",
    ),
    supported(
        "unavailable.value.placeholder",
        "__debezium_unavailable_value",
        "Stands for a large value that did not change and that PostgreSQL therefore did not send; `hex:` in front gives bytes.",
    ),
    supported(
        "tombstones.on.delete",
        "true",
        "A delete is followed by a record with the same key and no value.",
    ),
    supported(
        "skipped.operations",
        "t",
        "Operations not to send: `c`, `u`, `d`, `t`, comma-separated, or `none`.",
    ),
    supported(
        "extended.headers.enabled",
        "true",
        "Headers `__debezium.context.*` on every record.",
    ),
    supported(
        "schema.name.adjustment.mode",
        "none",
        "Names of schemas: `none` leaves them, `avro` replaces what Avro does not take by `_`, `avro_unicode` by `_u` and its number in hexadecimal.",
    ),
    supported(
        "field.name.adjustment.mode",
        "none",
        "The same for names of fields. Two columns that become one field are an error.",
    ),
    supported(
        "column.truncate.to.<length>.chars",
        "",
        "Columns, as `schema.table.column`, whose text, or `bytea`, is cut to this length; see [columns](columns.md).",
    ),
    supported(
        "column.mask.with.<length>.chars",
        "",
        "Character columns whose values are replaced by so many asterisks.",
    ),
    supported(
        "column.mask.hash.v2.<algorithm>.with.salt.<salt>",
        "",
        "Character columns whose values are replaced by a digest of salt and value, in hexadecimal.",
    ),
    supported(
        "column.mask.hash.<algorithm>.with.salt.<salt>",
        "",
        "The same, of the value as Java serialises it; for topics that already hold such digests.",
    ),
    supported(
        "column.propagate.source.type",
        "",
        "Columns whose schema tells name, length and scale of their type in parameters `__debezium.source.column.*`.",
    ),
    supported(
        "datatype.propagate.source.type",
        "",
        "The same for all columns of a type, as `schema.table.type`, for example `.+\\.varchar`.",
    ),
    not_yet("converters", "", "leave it out"),
    supported(
        "post.processors",
        "",
        "Names of reselecting post-processors, each with `<name>.type` and the options `<name>.reselect.*` of Debezium's ReselectColumnsPostProcessor. They read the table as it is once the change can be seen, which may be later than the change; `REPLICA IDENTITY FULL` has no such race.",
    ),
    supported(
        "provide.transaction.metadata",
        "false",
        "Events say their place in their source transaction (`transaction`), and a topic has a BEGIN and an END record of each. Then `publication.autocreate.mode` is `all_tables` unless given: with a publication of the captured tables alone, PostgreSQL 15 and later does not tell of transactions that touch none of them.",
    ),
    not_yet(
        "transaction.metadata.factory",
        "io.debezium.pipeline.txmetadata.DefaultTransactionMetadataFactory",
        "leave it out: there is one form of these records, Debezium's own",
    ),
    supported(
        "topic.transaction",
        "transaction",
        "Name of that topic, after `topic.prefix` and `topic.delimiter`.",
    ),
    needs_nothing(
        "include.schema.changes",
        "true",
        "without effect for PostgreSQL, in Debezium too",
    ),
    needs_nothing(
        "include.schema.comments",
        "false",
        "without effect for PostgreSQL, in Debezium too",
    ),
    not_yet("sourceinfo.struct.maker", "", "leave it out"),
];

pub(super) const TOPICS: &[Key] = &[
    supported(
        "topic.prefix",
        "",
        "Required. Begins every topic name and is `source.name` in events. Never change it. `KAFKA_PREFIX` is put in front of it.",
    ),
    supported("topic.delimiter", ".", "Stands between prefix, schema and table: `.`, `_` or `-`."),
    needs_nothing(
        "topic.cache.size",
        "10000",
        "a topic name is computed once per version of a table",
    ),
    supported(
        "topic.naming.strategy",
        "io.debezium.schema.SchemaTopicNamingStrategy",
        "How topics of tables, and the schemas of their records, are named: `io.debezium.schema.SchemaTopicNamingStrategy` (`<topic.prefix>.<schema>.<table>`), `…SchemaUnicodeTopicNamingStrategy` (the same, `_` and what Kafka does not take written as `_u` and its number in hexadecimal, which keeps names apart), `…SchemaRegexTopicNamingStrategy` (the same as the first, then rewritten by `topic.regex`), and `…DefaultTopicNamingStrategy`, `…DefaultUnicodeTopicNamingStrategy`, `…DefaultRegexTopicNamingStrategy`, which leave the schema out. Tables may come to share a topic; `tributary check` says which.",
    ),
    supported(
        "topic.regex",
        "",
        "For the strategies that rewrite names, and required there: a regular expression. The name of a topic that it matches as a whole is rewritten; others stay.",
    ),
    supported(
        "topic.replacement",
        "",
        "What takes the place of the first match; `$1` and `${name}` stand for groups. If it leaves nothing, the name stays.",
    ),
    supported(
        "topic.key.enforce.uniqueness",
        "true",
        "For the strategies that rewrite names: every key, also that of a table without one, has a field beside its columns that says of which table it is.",
    ),
    supported("topic.key.field.name", "__dbz__physicalTableIdentifier", "Name of that field."),
    supported(
        "topic.key.field.regex",
        "",
        "A regular expression for its value, which is the name the topic would have had: where it matches as a whole, `topic.key.field.replacement` takes its place.",
    ),
    supported(
        "topic.key.field.replacement",
        "",
        "What takes the place of the first match; required with `topic.key.field.regex`.",
    ),
    supported(
        "topic.creation.default.partitions",
        "-1",
        "Partitions of a topic that does not exist yet; -1 is the broker's default.",
    ),
    supported(
        "topic.creation.default.replication.factor",
        "-1",
        "Its replication factor; -1 is the broker's default.",
    ),
    supported(
        "topic.creation.groups",
        "",
        "Further rules, comma-separated; the first that fits a topic counts.",
    ),
    supported(
        "topic.creation.default.<config>",
        "",
        "Any topic configuration, for example `cleanup.policy`.",
    ),
    supported(
        "topic.creation.<group>.include",
        "",
        "Topics the rule is for: comma-separated regular expressions, each matching the whole name.",
    ),
    supported("topic.creation.<group>.exclude", "", "Topics it is not for, even if included."),
    supported(
        "topic.creation.<group>.partitions",
        "",
        "As in the default rule, which is used without it.",
    ),
    supported(
        "topic.creation.<group>.replication.factor",
        "",
        "As in the default rule, which is used without it.",
    ),
    supported(
        "topic.creation.<group>.<config>",
        "",
        "Any topic configuration. The default rule's are not inherited.",
    ),
];
