//! Keys of Kafka Connect itself, and of delivery, pace and faults.

use super::{Key, needs_nothing, not_yet, supported};

pub(super) const CONNECTOR: &[Key] = &[
    supported(
        "name",
        "",
        "Name of the connector: part of its transactional id and the key of its checkpoint. Never change it.",
    ),
    supported(
        "connector.class",
        "io.debezium.connector.postgresql.PostgresConnector",
        "Must be Debezium's PostgreSQL connector.",
    ),
    needs_nothing("tasks.max", "1", "one slot has one reader, so there is always exactly one task"),
    needs_nothing("tasks.max.enforce", "true", "there is always exactly one task"),
    needs_nothing(
        "config.action.reload",
        "restart",
        "references are looked up at the start and on SIGHUP",
    ),
    not_yet(
        "header.converter",
        "org.apache.kafka.connect.storage.SimpleHeaderConverter",
        "leave it out: headers are written as SimpleHeaderConverter writes them",
    ),
    not_yet(
        "transforms",
        "",
        "remove `transforms` and its keys, and transform in the consumer until they are supported",
    ),
    not_yet(
        "transforms.<option>",
        "",
        "remove `transforms` and its keys, and transform in the consumer until they are supported",
    ),
    not_yet("predicates", "", "remove `predicates` together with `transforms`"),
    not_yet("predicates.<option>", "", "remove `predicates` together with `transforms`"),
];

pub(super) const DELIVERY: &[Key] = &[
    supported(
        "exactly.once.support",
        "requested",
        "`requested` or `required`: records and checkpoint are one Kafka transaction either way; `required` refuses `tributary.delivery.guarantee=at_least_once`.",
    ),
    needs_nothing(
        "transaction.boundary",
        "poll",
        "transactions follow `tributary.commit.*`: they end when the stream has nothing more to read or a limit is reached",
    ),
    needs_nothing("transaction.boundary.interval.ms", "", "see `tributary.commit.interval.max.ms`"),
    supported(
        "status.update.interval.ms",
        "10000",
        "Longest time between two status updates to PostgreSQL; it is also asked for an answer at that pace.",
    ),
    supported(
        "retriable.restart.connector.wait.ms",
        "10000",
        "Longest wait before a fault is retried; waits begin at 100 ms and grow by half each time, with jitter. A server that is not there at all is looked for at least every 2 s.",
    ),
    supported(
        "errors.max.retries",
        "-1",
        "How many times in a row a fault that may pass is tried again, with growing waits, before the connector fails; -1 for ever.",
    ),
    not_yet(
        "errors.tolerance",
        "none",
        "leave it out: a record that cannot be written stops the connector, nothing is dropped in silence",
    ),
    needs_nothing("errors.retry.timeout", "0", "converters here do not fail for a time only"),
    needs_nothing(
        "errors.retry.delay.max.ms",
        "60000",
        "converters here do not fail for a time only",
    ),
    needs_nothing("errors.log.enable", "false", "every error is logged once, where it is handled"),
    needs_nothing("errors.log.include.messages", "false", "row data never goes to the log"),
    not_yet(
        "event.processing.failure.handling.mode",
        "fail",
        "leave it at `fail`: nothing is dropped in silence",
    ),
    needs_nothing(
        "event.converting.failure.handling.mode",
        "warn",
        "a value that cannot be converted always stops the connector with the column's name",
    ),
    needs_nothing(
        "max.batch.size",
        "2048",
        "batches are bounded in bytes and time, see `tributary.commit.*`",
    ),
    needs_nothing(
        "max.queue.size",
        "8192",
        "the stages are joined by bounded channels of whole chunks",
    ),
    needs_nothing(
        "max.queue.size.in.bytes",
        "0",
        "memory is bounded by `tributary.commit.bytes.max`",
    ),
    needs_nothing(
        "poll.interval.ms",
        "500",
        "nothing is polled: changes are sent on as they arrive",
    ),
    needs_nothing(
        "poll.dispatch.interval.ms",
        "0",
        "nothing is polled: changes are sent on as they arrive",
    ),
    not_yet("queue.provider.type", "memory", "leave it out"),
    needs_nothing(
        "executor.shutdown.timeout.ms",
        "4000",
        "stopping is the same path as dying and loses nothing",
    ),
    needs_nothing(
        "connection.validation.timeout.ms",
        "60000",
        "`tributary check` validates, with the connection's own timeouts",
    ),
    needs_nothing(
        "lsn.flush.mode",
        "connector",
        "a position is acknowledged to PostgreSQL only after Kafka has committed it",
    ),
    needs_nothing("lsn.flush.timeout.ms", "30000", "acknowledging never blocks"),
    needs_nothing("lsn.flush.timeout.action", "fail", "acknowledging never blocks"),
    needs_nothing(
        "flush.lsn.source",
        "true",
        "a position is acknowledged to PostgreSQL only after Kafka has committed it",
    ),
    needs_nothing(
        "offset.mismatch.strategy",
        "no_validation",
        "slot and checkpoint are always compared; see `tributary.gap.policy`",
    ),
    needs_nothing("streaming.delay.ms", "0", "waiting after the snapshot only holds WAL back"),
    supported(
        "notification.enabled.channels",
        "",
        "Where the connector tells how its snapshot goes: some of `sink` (a topic) and `log`. There is no JMX.",
    ),
    supported(
        "notification.sink.topic.name",
        "",
        "Whole name of the topic of channel `sink`. A notification is in the same Kafka transaction as the rows it speaks of.",
    ),
    supported(
        "heartbeat.interval.ms",
        "0",
        "A record in the heartbeat topic this often; 0 sends none. Nothing here needs them: an idle database's position moves with PostgreSQL's keepalives.",
    ),
    supported(
        "heartbeat.action.query",
        "",
        "A statement run in the source database with each heartbeat, in a session of its own. If it fails, that is logged and tried again with the next.",
    ),
    supported(
        "topic.heartbeat.prefix",
        "__debezium-heartbeat",
        "The heartbeat topic is `<topic.heartbeat.prefix>.<topic.prefix>`.",
    ),
    supported("topic.heartbeat.name", "", "Its whole name, in place of that."),
];
