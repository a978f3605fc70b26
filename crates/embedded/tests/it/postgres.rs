//! PostgreSQL starts, answers, restarts, and leaves nothing behind.

use embedded::{Postgres, PostgresOptions, PostgresSource, Silent, StopMode};
use tokio_postgres::NoTls;

use crate::wait;

/// One statement, one text: the first column of the first row, or the error.
async fn query(connection: &str, statement: &str) -> Result<String, String> {
    let describe = |error: tokio_postgres::Error| {
        error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
    };
    let (client, driver) = tokio_postgres::connect(connection, NoTls).await.map_err(describe)?;
    let work = async {
        let messages = client.simple_query(statement).await.map_err(describe)?;
        let value = messages.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        Ok(value.unwrap_or_default())
    };
    tokio::select! { result = work => result, _ = driver => Err("connection ended".to_owned()) }
}

#[tokio::test]
async fn a_temporary_server_is_gone_with_its_folder_after_stop() {
    let server = Postgres::start(PostgresOptions::default(), &Silent).await.unwrap();
    let (folder, port, pid) = (server.data_dir().to_owned(), server.port(), server.pid().unwrap());
    assert!(folder.join("PG_VERSION").is_file());
    server.stop(StopMode::Fast).await.unwrap();
    assert!(!folder.parent().unwrap().exists());
    assert!(!wait::is_open(port));
    assert!(!wait::is_alive(pid));
}

#[tokio::test]
async fn a_dropped_server_is_gone_with_its_folder() {
    let server = Postgres::start(PostgresOptions::default(), &Silent).await.unwrap();
    let (folder, pid) = (server.data_dir().to_owned(), server.pid().unwrap());
    drop(server);
    assert!(!folder.parent().unwrap().exists());
    assert!(!wait::is_alive(pid));
}

#[tokio::test]
async fn a_server_is_ready_for_logical_replication_over_tcp_and_over_its_socket() {
    let server = Postgres::start(PostgresOptions::default(), &Silent).await.unwrap();
    let socket =
        format!("host={} port={} user=postgres", server.socket_dir().display(), server.port());
    for connection in [server.url(), socket] {
        for (setting, value) in [
            ("wal_level", "logical"),
            ("max_replication_slots", "20"),
            ("max_wal_senders", "20"),
            ("server_encoding", "UTF8"),
            ("timezone", "UTC"),
        ] {
            let shown = query(&connection, &format!("show {setting}")).await;
            assert_eq!(shown.as_deref(), Ok(value), "{setting}");
        }
    }
    server.stop(StopMode::Immediate).await.unwrap();
}

#[tokio::test]
async fn a_restart_keeps_data_and_port_whichever_way_the_server_stops() {
    let mut server = Postgres::start(PostgresOptions::default(), &Silent).await.unwrap();
    let url = server.url();
    query(&url, "create table item (id int)").await.unwrap();
    for mode in [StopMode::Fast, StopMode::Immediate] {
        query(&url, "insert into item values (1)").await.unwrap();
        server.restart(mode).await.unwrap();
        assert_eq!(server.url(), url);
    }
    assert_eq!(query(&url, "select count(*) from item").await.unwrap(), "2");
    server.shut_down(StopMode::Fast).await;
    assert_eq!(server.pid(), None);
    assert!(query(&url, "select 1").await.is_err());
    server.start_again().await.unwrap();
    assert_eq!(query(&url, "select count(*) from item").await.unwrap(), "2");
    server.stop(StopMode::Immediate).await.unwrap();
}

#[tokio::test]
async fn a_given_folder_outlives_its_server_and_is_refused_to_another_version() {
    let parent = tempfile::Builder::new().prefix("given-").tempdir_in("/tmp").unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(parent.path(), open).unwrap();
    let options =
        || PostgresOptions { data_dir: Some(parent.path().join("data")), ..Default::default() };
    let server = Postgres::start(options(), &Silent).await.unwrap();
    let major = server.major_version();
    query(&server.url(), "create table kept (id int)").await.unwrap();
    server.stop(StopMode::Fast).await.unwrap();

    let server = Postgres::start(options(), &Silent).await.unwrap();
    assert_eq!(query(&server.url(), "select count(*) from kept").await.unwrap(), "0");
    server.stop(StopMode::Fast).await.unwrap();

    let other = PostgresOptions { version: Some(major + 1), ..options() };
    let error = Postgres::start(other, &Silent).await.unwrap_err();
    assert_eq!(error.code(), "EM016", "{error}");
}

#[tokio::test]
async fn a_password_is_asked_for_where_pg_hba_says_so() {
    let options = PostgresOptions {
        password: Some("s/e@cret".to_owned()),
        pg_hba: Some("host all all 127.0.0.1/32 scram-sha-256\n".to_owned()),
        ..Default::default()
    };
    let server = Postgres::start(options, &Silent).await.unwrap();
    assert_eq!(query(&server.url(), "select 'in'").await.as_deref(), Ok("in"));
    let wrong = format!("host=127.0.0.1 port={} user=postgres password=no", server.port());
    let refused = query(&wrong, "select 1").await.unwrap_err();
    assert!(refused.contains("password authentication failed"), "{refused}");
    server.stop(StopMode::Immediate).await.unwrap();
}

#[tokio::test]
async fn a_setting_the_server_refuses_is_named_in_the_error() {
    let options = PostgresOptions::default().set("max_wal_senders", "many");
    let error = Postgres::start(options, &Silent).await.unwrap_err();
    assert_eq!(error.code(), "EM013");
    assert!(error.to_string().contains("\"max_wal_senders\": \"many\""), "{error}");
}

#[tokio::test]
async fn every_offered_version_starts_from_the_published_binaries() {
    for major in [14, 15, 16, 17, 18] {
        let options =
            PostgresOptions { source: PostgresSource::Binaries, ..PostgresOptions::version(major) };
        let server = Postgres::start(options, &Silent).await.unwrap();
        assert_eq!(server.major_version(), major);
        let shown = query(&server.url(), "show server_version").await.unwrap();
        assert_eq!(shown, server.version());
        server.stop(StopMode::Immediate).await.unwrap();
    }
}
