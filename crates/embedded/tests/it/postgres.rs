//! PostgreSQL starts, answers, restarts, and leaves nothing behind.

use embedded::{Postgres, PostgresOptions, PostgresSource, Silent, StopMode};

#[tokio::test]
async fn a_temporary_server_is_gone_with_its_folder_after_stop() {
    let server = Postgres::start(PostgresOptions::default(), &Silent).await.unwrap();
    let folder = server.data_dir().to_owned();
    assert!(folder.join("PG_VERSION").is_file());
    server.stop(StopMode::Fast).await.unwrap();
    assert!(!folder.exists());
}

#[tokio::test]
async fn every_offered_version_starts_from_the_published_binaries() {
    for major in [14, 15, 16, 17, 18] {
        let options =
            PostgresOptions { source: PostgresSource::Binaries, ..PostgresOptions::version(major) };
        let server = Postgres::start(options, &Silent).await.unwrap();
        assert_eq!(server.major_version(), major);
        server.stop(StopMode::Immediate).await.unwrap();
    }
}
