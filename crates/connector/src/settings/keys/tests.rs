use super::*;

#[test]
fn patterns_stand_for_one_or_more_characters() {
    assert!(matches_pattern("transforms.<option>", "transforms.a.type"));
    assert!(!matches_pattern("transforms.<option>", "transforms."));
    assert!(matches_pattern("column.truncate.to.<length>.chars", "column.truncate.to.3.chars"));
    assert!(!matches_pattern("column.truncate.to.<length>.chars", "column.truncate.to.3.bytes"));
    assert!(matches_pattern("topic.creation.<group>.include", "topic.creation.a.b.include"));
}

#[test]
fn no_key_is_listed_twice() {
    let mut names: Vec<_> = all().map(|key| key.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn older_names_lead_to_keys_that_exist() {
    for key in all() {
        if let Kind::Renamed(now) = key.kind {
            assert!(find(now).is_some_and(|known| known.name == now), "{} -> {now}", key.name);
        }
    }
}

#[test]
fn a_slip_of_the_pen_is_recognised() {
    assert_eq!(nearest("tabel.include.list"), Some("table.include.list"));
    assert_eq!(nearest("snapshot.modes"), Some("snapshot.mode"));
    assert_eq!(nearest("something.else.entirely"), None);
}

#[test]
fn edit_distance_counts_characters() {
    assert_eq!(edit_distance("kitten", "sitting"), 3);
    assert_eq!(edit_distance("", "abc"), 3);
    assert_eq!(edit_distance("ü", "u"), 1);
}

#[test]
fn every_documented_key_of_debezium_is_in_the_table() {
    // Debezium 3.6, "PostgreSQL connector properties", by name; patterns by an example.
    let documented = "
        name connector.class tasks.max plugin.name slot.name slot.drop.on.stop slot.failover slot.stream.params slot.max.retries
        slot.retry.delay.ms offset.mismatch.strategy publication.name publication.autocreate.mode publish.via.partition.root
        replica.identity.autoset.values database.hostname database.port database.user database.password database.dbname
        database.connection.factory.class database.sslmode database.sslcert database.sslkey database.sslpassword
        database.sslrootcert database.sslfactory database.tcpKeepAlive database.query.timeout.ms database.initial.statements
        driver.x topic.prefix schema.include.list schema.exclude.list table.include.list table.exclude.list
        column.include.list column.exclude.list skip.messages.without.change tombstones.on.delete skipped.operations
        time.precision.mode decimal.handling.mode hstore.handling.mode interval.handling.mode binary.handling.mode
        money.fraction.digits include.unknown.datatypes unavailable.value.placeholder column.truncate.to.3.chars
        column.mask.with.5.chars column.mask.hash.SHA-256.with.salt.x column.mask.hash.v2.MD5.with.salt.x
        column.propagate.source.type datatype.propagate.source.type message.key.columns schema.name.adjustment.mode
        field.name.adjustment.mode message.prefix.include.list message.prefix.exclude.list converters post.processors
        snapshot.mode snapshot.mode.custom.name snapshot.mode.configuration.based.snapshot.data snapshot.max.threads
        snapshot.max.threads.multiplier legacy.snapshot.max.threads snapshot.tables.order.by.row.count snapshot.fetch.size
        snapshot.delay.ms streaming.delay.ms snapshot.select.statement.overrides
        snapshot.select.statement.overrides.a.b snapshot.include.collection.list snapshot.query.mode
        snapshot.locking.mode snapshot.lock.timeout.ms snapshot.isolation.mode event.processing.failure.handling.mode
        event.converting.failure.handling.mode max.batch.size max.queue.size max.queue.size.in.bytes poll.interval.ms
        poll.dispatch.interval.ms query.fetch.size queue.provider.type status.update.interval.ms heartbeat.interval.ms
        heartbeat.action.query topic.heartbeat.prefix topic.heartbeat.name heartbeat.topics.prefix schema.refresh.mode
        xmin.fetch.interval.ms flush.lsn.source lsn.flush.mode lsn.flush.timeout.ms lsn.flush.timeout.action
        provide.transaction.metadata transaction.metadata.factory topic.transaction retriable.restart.connector.wait.ms
        errors.max.retries custom.retriable.exception connection.validation.timeout.ms executor.shutdown.timeout.ms
        signal.data.collection signal.enabled.channels signal.kafka.topic signal.kafka.groupId signal.file
        signal.consumer.x signal.poll.interval.ms signal.emit.failure.max.retries signal.emit.failure.backoff.ms
        notification.enabled.channels notification.sink.topic.name incremental.snapshot.chunk.size
        incremental.snapshot.watermarking.strategy incremental.snapshot.allow.schema.changes read.only
        topic.naming.strategy topic.delimiter topic.cache.size custom.metric.tags statistics.metrics.enabled
        custom.sanitize.pattern extended.headers.enabled sourceinfo.struct.maker guardrail.collections.max
        guardrail.collections.limit.action table.ignore.builtin include.schema.changes include.schema.comments
        openlineage.integration.enabled openlineage.integration.job.tags producer.override.x consumer.override.x
        tasks.max.enforce key.converter value.converter header.converter transforms transforms.a.type predicates
        predicates.a.type config.action.reload errors.retry.timeout errors.retry.delay.max.ms errors.tolerance
        errors.log.enable errors.log.include.messages topic.creation.groups topic.creation.default.partitions
        topic.creation.default.replication.factor topic.creation.default.cleanup.policy topic.creation.a.include
        exactly.once.support transaction.boundary transaction.boundary.interval.ms offsets.storage.topic topics topics.regex
        errors.deadletterqueue.topic.name key.converter.schemas.enable value.converter.decimal.format";
    let missing: Vec<_> =
        documented.split_whitespace().filter(|name| find(name).is_none()).collect();
    assert_eq!(missing, Vec::<&str>::new());
}
