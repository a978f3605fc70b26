use std::path::Path;
use std::time::Duration;

use super::*;

fn spec(pairs: &[(&str, &str)]) -> Spec {
    let base = [
        ("name", "shop"),
        ("connector.class", "io.debezium.connector.postgresql.PostgresConnector"),
        ("tasks.max", "1"),
        ("plugin.name", "pgoutput"),
        ("database.hostname", "db"),
        ("database.port", "5433"),
        ("database.user", "cdc"),
        ("database.password", "geheim"),
        ("database.dbname", "shop"),
        ("topic.prefix", "p"),
        ("bootstrap.servers", "k:9092"),
    ];
    let config = base.iter().chain(pairs).map(|&(key, value)| (key.to_owned(), value.to_owned()));
    Spec { name: None, config: config.collect() }
}

fn resolve(pairs: &[(&str, &str)]) -> Result<Settings, InvalidSettings> {
    Settings::resolve(&spec(pairs), &Environment::default())
}

/// `code key` of each problem.
fn complaints(pairs: &[(&str, &str)]) -> Vec<String> {
    let problems = resolve(pairs).expect_err("these settings are invalid").problems;
    problems.iter().map(|problem| format!("{} {}", problem.code, problem.key)).collect()
}

#[test]
fn a_plain_debezium_json_has_debeziums_defaults() {
    let settings = resolve(&[]).unwrap();
    assert_eq!(settings.slot.name.as_str(), "debezium");
    assert_eq!(settings.publication.name, "dbz_publication");
    assert_eq!(settings.publication.mode, Autocreate::Filtered);
    assert_eq!(settings.snapshot.mode, SnapshotMode::Initial);
    assert_eq!(settings.source.address(), "db:5433");
    assert_eq!(settings.source.application_name(), "tributary:shop");
    assert_eq!(settings.transactional_id, "tributary.shop");
    assert_eq!(settings.offsets_topic, "tributary-offsets");
    assert_eq!(settings.commit.bytes_max, 8 << 20);
    assert_eq!(settings.commit.interval_max, Duration::from_millis(100));
    assert_eq!(settings.commit.interval_min, Duration::from_millis(5));
    assert_eq!(settings.commit.idle_checkpoint_interval, Duration::from_secs(5));
    assert!(settings.encoder.value.replace_null_with_default);
    assert_eq!(settings.encoder.event_id_header, None);
    assert_eq!(settings.notes.len(), 1, "tasks.max: {:?}", settings.notes);
}

#[test]
fn commits_need_no_distance_where_there_are_no_transactions() {
    let commit = resolve(&[("tributary.commit.interval.min.ms", "7")]).unwrap().commit;
    let interval_min = |guarantee| commit.boundary(guarantee).interval_min;
    assert_eq!(interval_min(DeliveryGuarantee::ExactlyOnce), Duration::from_millis(7));
    assert_eq!(interval_min(DeliveryGuarantee::AtLeastOnce), Duration::ZERO);
}

#[test]
fn flags_make_a_connector_with_our_defaults() {
    let flags = crate::spec::Flags {
        source: Some("postgres://cdc:pw@db/shop".to_owned()),
        store: Some("kafka://k:9092".to_owned()),
        tables: vec!["public.orders".to_owned()],
        name: Some("gentle-connector-1234".to_owned()),
        ..Default::default()
    };
    let settings =
        Settings::resolve(&Spec::from_flags(&flags, None), &Environment::default()).unwrap();
    assert_eq!(settings.encoder.topic_prefix, "gentle_connector_1234");
    assert_eq!(settings.slot.name.as_str(), "gentle_connector_1234");
    assert!(!settings.encoder.value.replace_null_with_default);
    assert_eq!(settings.encoder.event_id_header.as_deref(), Some(EVENT_ID_HEADER));
    assert!(settings.tables.captures("public", "orders"));
    assert!(!settings.tables.captures("public", "ordersX"));
}

#[test]
fn all_problems_are_reported_at_once() {
    let found = complaints(&[
        ("tabel.include.list", "a.b"),
        ("decimal.handling.mode", "bogus"),
        ("plugin.name", "decoderbufs"),
        ("topic.prefix", ""),
        ("table.include.list", "g_x[.](a"),
        ("signal.data.collection", "public.signals"),
        ("table.whitelist", "a.b"),
        ("value.converter", "io.confluent.connect.protobuf.ProtobufConverter"),
        ("value.converter.optional.for.nullables", "true"),
        ("slot.name", "Not-Valid"),
        ("schema.exclude.list", "(?!a)b"),
        ("database.sslmode", "maybe"),
    ]);
    assert_eq!(
        found,
        [
            "CF010 database.sslmode",
            "CF003 decimal.handling.mode",
            "CF004 plugin.name",
            "CF008 schema.exclude.list",
            "CF010 slot.name",
            "CF001 tabel.include.list",
            "CF007 table.include.list",
            "CF001 table.whitelist",
            "CF005 topic.prefix",
            "CF004 value.converter",
            "CF002 value.converter.optional.for.nullables",
        ]
    );
}

#[test]
fn the_nearest_key_is_named() {
    let error = resolve(&[("snapshot.mod", "initial")]).unwrap_err();
    assert_eq!(error.problems[0].nearest.as_deref(), Some("snapshot.mode"));
    assert!(error.to_string().contains("fix: write `snapshot.mode`"), "{error}");
}

#[test]
fn no_secret_is_in_an_error_or_in_debug_output() {
    let error = resolve(&[("database.port", "geheim-x"), ("no.such.key", "geheim")]).unwrap_err();
    assert!(!format!("{error}").contains("`geheim`"), "{error}");
    assert!(!format!("{:?}", resolve(&[]).unwrap()).contains("geheim"));
}

#[test]
fn the_default_value_of_something_we_cannot_do_is_accepted() {
    let settings = resolve(&[
        ("slot.drop.on.stop", "false"),
        ("heartbeat.action.query", "insert into pulse values (now())"),
        ("transforms", ""),
        ("snapshot.query.mode", "select_all"),
    ])
    .unwrap();
    assert_eq!(settings.notes.len(), 5);
}

#[test]
fn the_environment_says_where_things_are_and_what_names_begin_with() {
    let environment = Environment::from_lookup(|name| match name {
        "DATABASE_URL" => Some("postgres://u:p@heroku-db:5432/d".to_owned()),
        "KAFKA_URL" => Some("kafka://k1:9092,kafka://k2:9092".to_owned()),
        "KAFKA_PREFIX" => Some("wabash-1.".to_owned()),
        _ => None,
    });
    let spec = Spec::from_json(r#"{"name":"shop","config":{"topic.prefix":"p"}}"#).unwrap();
    let settings = Settings::resolve(&spec, &environment).unwrap();
    assert_eq!(settings.source.address(), "heroku-db:5432");
    assert_eq!(settings.encoder.topic_prefix, "wabash-1.p");
    assert_eq!(settings.offsets_topic, "wabash-1.tributary-offsets");
    assert_eq!(settings.transactional_id, "wabash-1.tributary.shop");
    // A worker's group is prefixed before its connectors are; once is enough.
    assert_eq!(environment.prefixed("shops"), "wabash-1.shops");
    let group = [("tributary.group".to_owned(), environment.prefixed("shops"))];
    let mut spec = spec;
    spec.set(&group);
    let settings = Settings::resolve(&spec, &environment).unwrap();
    assert_eq!(settings.offsets_topic, "wabash-1.shops-offsets");
}

#[test]
fn without_source_or_store_both_are_asked_for() {
    let spec = Spec::from_json(r#"{"name":"shop","config":{"topic.prefix":"p"}}"#).unwrap();
    let error = Settings::resolve(&spec, &Environment::default()).unwrap_err();
    let keys: Vec<_> =
        error.problems.iter().map(|problem| (problem.code, problem.key.as_str())).collect();
    assert_eq!(keys, [("CF005", "bootstrap.servers"), ("CF005", "database.hostname")]);
}

#[test]
fn exactly_once_cannot_be_required_and_given_up() {
    let found = complaints(&[
        ("exactly.once.support", "required"),
        ("tributary.delivery.guarantee", "at_least_once"),
    ]);
    assert_eq!(found, ["CF006 tributary.delivery.guarantee"]);
}

#[test]
fn a_new_snapshot_over_a_gap_is_asked_for_in_two_ways_that_must_agree() {
    let policy = |pairs: &[(&str, &str)]| resolve(pairs).unwrap().gap_policy;
    assert_eq!(policy(&[]), GapPolicy::Fail);
    assert_eq!(policy(&[("snapshot.mode", "when_needed")]), GapPolicy::Resnapshot);
    assert_eq!(policy(&[("tributary.gap.policy", "resnapshot")]), GapPolicy::Resnapshot);
    for (mode, policy) in [("when_needed", "fail"), ("no_data", "resnapshot")] {
        assert_eq!(
            complaints(&[("snapshot.mode", mode), ("tributary.gap.policy", policy)]),
            ["CF006 tributary.gap.policy"]
        );
    }
}

#[test]
fn stream_options_that_are_ours_are_refused() {
    assert_eq!(
        complaints(&[("slot.stream.params", "origin=none;proto_version=4")]),
        ["CF003 slot.stream.params"]
    );
    let settings = resolve(&[("slot.stream.params", "origin=none")]).unwrap();
    assert_eq!(settings.pgoutput_options().origin.as_deref(), Some("none"));
    assert!(settings.stream_options_fingerprint().ends_with(";origin=none"));
}

#[test]
fn options_of_a_refused_post_processor_are_not_unknown_keys() {
    let found = complaints(&[("post.processors", "reselector"), ("reselector.type", "x.Y")]);
    assert_eq!(found, ["CF004 reselector.type"]);
}

#[test]
fn references_are_looked_up_or_refused_and_never_taken_literally() {
    assert_eq!(
        complaints(&[("database.password", "${file:/secrets:pw}")]),
        ["CF012 database.password"]
    );
    assert_eq!(complaints(&[("database.password", "${vault:a:b}")]), ["CF012 database.password"]);
}

/// The configurations of the golden set are what users have: each resolves, or is refused for what we do not have yet.
#[test]
fn recorded_debezium_configurations_resolve_or_name_what_is_missing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/golden");
    let Ok(groups) = std::fs::read_dir(&folder) else {
        return;
    };
    for group in groups {
        let path = group.unwrap().path().join("_group.json");
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        let group: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut spec = Spec::from_json(&group["config"].to_string()).unwrap();
        spec.name = Some("golden".to_owned());
        for (key, value) in [("database.port", "5432"), ("bootstrap.servers", "k:9092")] {
            spec.config.insert(key.to_owned(), value.to_owned());
        }
        if let Err(error) = Settings::resolve(&spec, &Environment::default()) {
            assert!(
                error.problems.iter().all(|problem| problem.code != "CF001"),
                "{}: {error}",
                path.display()
            );
        }
    }
}
