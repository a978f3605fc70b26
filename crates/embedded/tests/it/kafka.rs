//! Kafka starts, answers, survives the loss of a broker, and leaves nothing behind.

use std::process::Command;

use embedded::{Kafka, KafkaOptions, KafkaVersion, Silent};

use crate::wait;

/// Runs one of Kafka's own tools and returns what it prints.
pub(crate) fn tool(kafka: &Kafka, class: &str, arguments: &[&str]) -> String {
    let output = Command::new(kafka.java())
        .args(["-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp"])
        .arg(kafka.libs_dir().join("*"))
        .arg(class)
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn features(kafka: &Kafka) -> String {
    let bootstrap = kafka.bootstrap();
    tool(
        kafka,
        "org.apache.kafka.tools.FeatureCommand",
        &["--bootstrap-server", &bootstrap, "describe"],
    )
}

fn level(features: &str, name: &str) -> Option<String> {
    let line = features.lines().find(|line| line.contains(&format!("Feature: {name} ")))?;
    let level = line.split("FinalizedVersionLevel: ").nth(1)?;
    level.split_whitespace().next().map(str::to_owned)
}

#[tokio::test]
async fn a_temporary_broker_is_gone_with_its_folder_after_stop() {
    let kafka = Kafka::start(KafkaOptions::default(), &Silent).await.unwrap();
    let port = kafka.bootstrap().rsplit(':').next().unwrap().parse().unwrap();
    let folder = kafka.log_file(1).unwrap().parent().unwrap().to_owned();
    let pid = kafka.pid(1).unwrap();
    assert!(folder.exists() && wait::is_open(port));
    assert_eq!(level(&features(&kafka), "transaction.version").as_deref(), Some("2"));
    kafka.stop().await.unwrap();
    assert!(!folder.exists());
    assert!(!wait::is_open(port));
    assert!(!wait::is_alive(pid));
}

#[tokio::test]
async fn a_lower_feature_level_can_be_asked_for() {
    let features_wanted = vec![("transaction.version".to_owned(), 1)];
    let options = KafkaOptions { features: features_wanted, ..KafkaOptions::default() };
    let kafka = Kafka::start(options, &Silent).await.unwrap();
    assert_eq!(level(&features(&kafka), "transaction.version").as_deref(), Some("1"));
    kafka.stop().await.unwrap();
}

#[tokio::test]
async fn the_older_version_keeps_its_topics_in_a_given_folder() {
    let parent = tempfile::tempdir().unwrap();
    let options = || KafkaOptions {
        data_dir: Some(parent.path().to_owned()),
        ..KafkaOptions::version(KafkaVersion::V3_9_2)
    };
    let topics = "org.apache.kafka.tools.TopicCommand";
    let kafka = Kafka::start(options(), &Silent).await.unwrap();
    let bootstrap = kafka.bootstrap();
    tool(&kafka, topics, &["--bootstrap-server", &bootstrap, "--create", "--topic", "kept"]);
    kafka.stop().await.unwrap();

    let kafka = Kafka::start(options(), &Silent).await.unwrap();
    let bootstrap = kafka.bootstrap();
    let listed = tool(&kafka, topics, &["--bootstrap-server", &bootstrap, "--list"]);
    assert!(listed.lines().any(|line| line == "kept"), "{listed}");
    kafka.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_broker_of_three_comes_back_on_its_port() {
    let options = KafkaOptions { brokers: 3, ..KafkaOptions::default() };
    let mut kafka = Kafka::start(options, &Silent).await.unwrap();
    let before = kafka.bootstrap();
    assert_eq!(before.split(',').count(), 3);
    kafka.kill(2).await.unwrap();
    assert_eq!(kafka.pid(2), None);
    kafka.start_broker(2).await.unwrap();
    assert!(kafka.pid(2).is_some());
    assert_eq!(kafka.bootstrap(), before);
    assert_eq!(kafka.kill(4).await.unwrap_err().code(), "EM018");
    kafka.stop().await.unwrap();
}

#[tokio::test]
async fn a_setting_the_broker_refuses_is_named_in_the_error() {
    let options = KafkaOptions::default().set("num.partitions", "many");
    let error = Kafka::start(options, &Silent).await.unwrap_err();
    assert_eq!(error.code(), "EM013");
    assert!(error.to_string().contains("num.partitions"), "{error}");
}
