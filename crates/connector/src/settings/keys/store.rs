//! Keys that say where Kafka is, how to get in, and how to produce. Their names are the Java client's.

use super::{Key, needs_nothing, supported};

pub(super) const KEYS: &[Key] = &[
    supported(
        "bootstrap.servers",
        "",
        "Kafka brokers as `host:port`, comma-separated. Without it `tributary.store.url` or `KAFKA_URL` says where they are.",
    ),
    supported(
        "client.id",
        "",
        "Name of this client in the brokers' logs and quotas; the connector's name without it.",
    ),
    supported(
        "security.protocol",
        "PLAINTEXT",
        "`PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.",
    ),
    supported(
        "ssl.<option>",
        "",
        "The Java client's `ssl.*` properties: PEM trust and key stores as files or text. A property that cannot be honoured is an error.",
    ),
    supported(
        "sasl.<option>",
        "",
        "The Java client's `sasl.*` properties: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER. A property that cannot be honoured is an error.",
    ),
    supported(
        "producer.override.<property>",
        "",
        "A property of the Java producer, for example `compression.type` (default here: lz4), `max.request.size`, `transaction.timeout.ms`, `security.protocol`. One that is not known or cannot be honoured is an error.",
    ),
    needs_nothing(
        "consumer.override.<property>",
        "",
        "the connector reads only its own offsets topic, over the producer's connection",
    ),
    needs_nothing(
        "admin.override.<property>",
        "",
        "topics are made over the producer's connection",
    ),
];
