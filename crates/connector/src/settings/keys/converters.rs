//! Keys of the converters.

use super::{Key, needs_nothing, not_yet, supported};

pub(super) const CONVERTERS: &[Key] = &[
    supported(
        "key.converter",
        "org.apache.kafka.connect.json.JsonConverter",
        "How keys are written: `org.apache.kafka.connect.json.JsonConverter`, or `io.confluent.connect.avro.AvroConverter` (see [Avro](../guides/avro.md)). `io.apicurio.registry.utils.converter.AvroConverter` works in Confluent's form: with `apicurio.registry.as-confluent=true`, `apicurio.registry.headers.enabled=false` and `apicurio.registry.use-id=contentId`.",
    ),
    supported(
        "key.converter.schemas.enable",
        "true",
        "Each key carries its schema. Nothing to do with AvroConverter, whose schemas are in the registry.",
    ),
    supported(
        "key.converter.replace.null.with.default",
        "true",
        "As `value.converter.replace.null.with.default`, for keys.",
    ),
    supported("key.converter.decimal.format", "BASE64", "`BASE64` or `NUMERIC`."),
    needs_nothing(
        "key.converter.schemas.cache.size",
        "1000",
        "schemas are rendered once per version of a table",
    ),
    supported(
        "value.converter",
        "org.apache.kafka.connect.json.JsonConverter",
        "How values are written, as `key.converter`.",
    ),
    supported("value.converter.schemas.enable", "true", "As `key.converter.schemas.enable`."),
    supported(
        "value.converter.replace.null.with.default",
        "true",
        "A NULL in a column that has a default is written as that default, as Connect does. Connectors made by flags have `false`. With AvroConverter it is the opposite of `ignore.default.for.nullables`, which wins.",
    ),
    supported("value.converter.decimal.format", "BASE64", "`BASE64` or `NUMERIC`."),
    needs_nothing(
        "value.converter.schemas.cache.size",
        "1000",
        "schemas are rendered once per version of a table",
    ),
    not_yet(
        "key.converter.<option>",
        "",
        "leave it out: the options of JsonConverter and AvroConverter that work are above",
    ),
    not_yet(
        "value.converter.<option>",
        "",
        "leave it out: the options of JsonConverter and AvroConverter that work are above",
    ),
    not_yet(
        "header.converter.<option>",
        "",
        "leave it out: headers are written as SimpleHeaderConverter writes them",
    ),
];

/// The keys of an `AvroConverter`.
macro_rules! avro {
    ($side:literal) => {
        &[
            supported(
                concat!($side, ".converter.schema.registry.url"),
                "",
                "Required with AvroConverter: where the registry is, comma-separated; the first that answers counts. For Apicurio's, `http://HOST:PORT/apis/ccompat/v7`.",
            ),
            supported(
                concat!($side, ".converter.basic.auth.credentials.source"),
                "URL",
                "Where user and password for the registry are: `URL` (in front of the host, if they are there) or `USER_INFO` (in `basic.auth.user.info`).",
            ),
            supported(
                concat!($side, ".converter.basic.auth.user.info"),
                "",
                "`USER:PASSWORD` for the registry, with `basic.auth.credentials.source=USER_INFO`.",
            ),
            supported(
                concat!($side, ".converter.schema.registry.basic.auth.user.info"),
                "",
                "Older name of `basic.auth.user.info`.",
            ),
            supported(
                concat!($side, ".converter.bearer.auth.credentials.source"),
                "",
                "`STATIC_TOKEN`: the registry is asked with `bearer.auth.token`.",
            ),
            supported(
                concat!($side, ".converter.bearer.auth.token"),
                "",
                "The token, with `bearer.auth.credentials.source=STATIC_TOKEN`.",
            ),
            supported(
                concat!($side, ".converter.schema.registry.ssl.truststore.location"),
                "",
                "A file with the certificates in PEM form that the registry's must come from; without it those that are known everywhere.",
            ),
            supported(
                concat!($side, ".converter.schema.registry.ssl.truststore.type"),
                "PEM",
                "Only `PEM`.",
            ),
            supported(
                concat!($side, ".converter.auto.register.schemas"),
                "true",
                "A schema that the registry does not have is registered, once for each version of a table; `false` stops the connector instead (RG005).",
            ),
            supported(
                concat!($side, ".converter.use.latest.version"),
                "false",
                "With `auto.register.schemas=false`: records have the id of the latest version of their subject, if that lays them out in the same way; properties, defaults and documentation may differ (RG008).",
            ),
            needs_nothing(
                concat!($side, ".converter.latest.compatibility.strict"),
                "true",
                "the latest version must be laid out as the records are, which is more than compatible",
            ),
            supported(
                concat!($side, ".converter.normalize.schemas"),
                "false",
                "The registry brings schemas into one form before it compares them.",
            ),
            supported(
                concat!($side, ".converter.key.subject.name.strategy"),
                "io.confluent.kafka.serializers.subject.TopicNameStrategy",
                "Subject of the schemas of keys: `…TopicNameStrategy` (`<topic>-key`), `…RecordNameStrategy` (the name of the schema) or `…TopicRecordNameStrategy` (`<topic>-<name>`).",
            ),
            supported(
                concat!($side, ".converter.value.subject.name.strategy"),
                "io.confluent.kafka.serializers.subject.TopicNameStrategy",
                "The same for values: `<topic>-value`.",
            ),
            supported(
                concat!($side, ".converter.connect.meta.data"),
                "true",
                "Schemas have Connect's properties: `connect.name`, `connect.version`, `connect.parameters`, `connect.default`, `connect.doc`, `connect.type`.",
            ),
            supported(
                concat!($side, ".converter.ignore.default.for.nullables"),
                "false",
                "A NULL in a column that has a default stays null.",
            ),
            needs_nothing(
                concat!($side, ".converter.enhanced.avro.schema.support"),
                "false",
                "it is about enums of Avro, and Debezium's schemas have none",
            ),
            needs_nothing(
                concat!($side, ".converter.generalized.sum.type.support"),
                "false",
                "it is about enums and unions of Avro, and Debezium's schemas have none",
            ),
            needs_nothing(
                concat!($side, ".converter.allow.optional.map.keys"),
                "false",
                "no map of Debezium's has optional keys",
            ),
            needs_nothing(
                concat!($side, ".converter.schemas.cache.config"),
                "1000",
                "a schema is made and looked up once per version of a table",
            ),
            needs_nothing(
                concat!($side, ".converter.max.schemas.per.subject"),
                "1000",
                "a schema is made and looked up once per version of a table",
            ),
            not_yet(
                concat!($side, ".converter.scrub.invalid.names"),
                "false",
                "set `schema.name.adjustment.mode=avro` and `field.name.adjustment.mode=avro`",
            ),
            supported(
                concat!($side, ".converter.apicurio.registry.headers.enabled"),
                "true",
                "Must be `false` with Apicurio's AvroConverter: the id is in front of the record, not in its headers.",
            ),
            supported(
                concat!($side, ".converter.apicurio.registry.url"),
                "",
                "Apicurio's name of `schema.registry.url`: `http://HOST:PORT/apis/registry/v2`; the API of Confluent's form at the same address is asked.",
            ),
            supported(
                concat!($side, ".converter.apicurio.registry.as-confluent"),
                "false",
                "Must be `true` with Apicurio's AvroConverter: a zero and four bytes of id in front of the record.",
            ),
            supported(
                concat!($side, ".converter.apicurio.registry.use-id"),
                "globalId",
                "Must be `contentId` with Apicurio's AvroConverter: the id that the API of Confluent's form gives.",
            ),
            supported(
                concat!($side, ".converter.apicurio.registry.auto-register"),
                "false",
                "Apicurio's name, and default, of `auto.register.schemas`.",
            ),
            needs_nothing(
                concat!($side, ".converter.apicurio.registry.find-latest"),
                "false",
                "a schema is looked up by what is in it",
            ),
        ]
    };
}

pub(crate) const AVRO_KEYS: &[Key] = avro!("key");
pub(crate) const AVRO_VALUES: &[Key] = avro!("value");
