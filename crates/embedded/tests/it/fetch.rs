//! What is fetched is what was pinned; what is missing is named with the command that installs it.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use embedded::{Kafka, KafkaOptions, Silent};

use crate::child::{Act, Running};

/// Method: a copy of the cache in which one jar has one byte changed, used by a process that has verified nothing yet.
#[tokio::test]
async fn a_damaged_jar_in_the_cache_is_refused_and_fetched_again() {
    let kafka = Kafka::start(KafkaOptions::default(), &Silent).await.unwrap();
    let good = kafka.libs_dir().to_owned();
    kafka.stop().await.unwrap();
    let copy = cache_folder();
    let cache = good.ancestors().nth(3).unwrap();
    for part in ["kafka", "m2"] {
        let copied = Command::new("cp").arg("-a").arg(cache.join(part)).arg(copy.path()).status();
        assert!(copied.unwrap().success());
    }
    let jar = copy.path().join("kafka/4.3.1/libs/kafka-tools-4.3.1.jar");
    let intact = fs::read(&jar).unwrap();
    let mut damaged = intact.clone();
    damaged[1_000] ^= 1;
    fs::write(&jar, &damaged).unwrap();

    let child = Running::start(Act::Kafka, &[cache_variable(copy.path())]);
    assert_eq!(child.finished(), "done");
    assert!(fs::read(&jar).unwrap() == intact);
}

/// Method: two processes start PostgreSQL with one empty cache at the same time.
#[test]
fn two_processes_may_fill_one_cache_at_once() {
    let cache = cache_folder();
    let variables = [cache_variable(cache.path())];
    let children = [(); 2].map(|()| Running::start(Act::Postgres, &variables));
    for child in children {
        assert_eq!(child.finished(), "done");
    }
}

#[test]
fn a_missing_mvn_is_named_with_the_command_that_installs_it() {
    let cache = cache_folder();
    let programs = tempfile::tempdir().unwrap();
    let path = programs.path().to_str().unwrap();
    let variables = [cache_variable(cache.path()), ("PATH", Some(path))];
    let said = Running::start(Act::Postgres, &variables).finished();
    assert!(said.starts_with("[EM002] no `mvn`"), "{said}");
    assert!(said.contains("PostgreSQL 17"), "{said}");
    assert!(said.contains("\n  fix: ") && said.contains("maven"), "{said}");
}

#[test]
fn a_missing_java_is_named_with_the_command_that_installs_it() {
    let programs = tempfile::tempdir().unwrap();
    let path = programs.path().to_str().unwrap();
    let said = Running::start(Act::Kafka, &[("JAVA_HOME", None), ("PATH", Some(path))]).finished();
    assert!(said.starts_with("[EM001] no `java`"), "{said}");
    assert!(said.contains("\n  fix: "), "{said}");
}

/// An empty folder that everybody may enter, as a cache must be if PostgreSQL runs as another user.
fn cache_folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("cache-").tempdir_in("/tmp").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn cache_variable(folder: &Path) -> (&'static str, Option<&str>) {
    ("TRIBUTARY_CACHE", folder.to_str())
}
