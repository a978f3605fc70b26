//! Logging in: passwords, sockets, hosts, settings.

use std::time::Duration;

use embedded::PostgresOptions;
use postgres::{Class, ConnectionConfig, PostgresError, ReplicationConnection, connect};

use crate::support::{config, eventually, server, session, start};

fn with_hba(method: &str) -> PostgresOptions {
    PostgresOptions {
        pg_hba: Some(format!("local all all trust\nhost all all all {method}")),
        password: Some("pass wörd".to_owned()),
        ..PostgresOptions::default()
    }
}

async fn code(config: &ConnectionConfig) -> &'static str {
    let sql = connect(config).await.err().unwrap();
    let replication = ReplicationConnection::connect(config).await.err().unwrap();
    assert_eq!(sql.code(), replication.code());
    sql.code()
}

#[tokio::test]
async fn scram_and_md5_prove_the_password_without_sending_it() {
    for (method, encryption) in [("scram-sha-256", "scram-sha-256"), ("md5", "md5")] {
        let server = start(with_hba(method).set("password_encryption", encryption)).await;
        // The password was stored before the setting applied.
        let socket = config(&server).with_host(server.socket_dir().to_str().unwrap()).unwrap();
        let admin = connect(&socket).await.unwrap();
        admin
            .batch_execute(&format!(
                "SET password_encryption = '{encryption}'; ALTER ROLE postgres PASSWORD 'pass wörd'"
            ))
            .await
            .unwrap();
        let right = config(&server);
        connect(&right).await.unwrap();
        ReplicationConnection::connect(&right).await.unwrap();

        let wrong = right.clone().with_password("other");
        assert_eq!(code(&wrong).await, "PG006", "{method}");
        assert_eq!(connect(&wrong).await.err().unwrap().class(), Class::Definite);
        let port = server.port();
        let none = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        assert_eq!(code(&ConnectionConfig::parse(&none).unwrap()).await, "PG028", "{method}");
    }
}

#[tokio::test]
async fn a_unix_socket_works_for_both_kinds_of_session() {
    let server = server().await;
    let directory = server.socket_dir().to_str().unwrap().to_owned();
    let port = server.port();
    let keywords = format!("host={directory} port={port} user=postgres sslmode=verify-full");
    let config = ConnectionConfig::parse(&keywords).unwrap();
    let sql = connect(&config).await.unwrap();
    let row = sql.query_one("SELECT inet_client_addr() IS NULL", &[]).await.unwrap();
    assert!(row.get::<_, bool>(0));
    let mut walsender = ReplicationConnection::connect(&config).await.unwrap();
    assert_eq!(walsender.identify_system().await.unwrap().database, "postgres");

    let nowhere = config.with_port(port + 1);
    let error = connect(&nowhere).await.err().unwrap();
    assert_eq!(error.code(), "PG001");
    assert!(error.to_string().contains(".s.PGSQL."), "{error}");
}

#[tokio::test]
async fn hosts_are_tried_in_order_until_one_fits() {
    let server = server().await;
    let port = server.port();
    let url = |hosts: &str, more: &str| {
        let url = format!("postgres://postgres@{hosts}/postgres?{more}");
        ConnectionConfig::parse(&url).unwrap()
    };
    let second = url(&format!("127.0.0.1:1,127.0.0.1:{port}"), "target_session_attrs=primary");
    connect(&second).await.unwrap();
    let standby = url(&format!("127.0.0.1:{port}"), "target_session_attrs=standby");
    assert_eq!(code(&standby).await, "PG030");
    connect(&url(&format!("127.0.0.1:{port}"), "target_session_attrs=prefer-standby"))
        .await
        .unwrap();
    let error = connect(&url("127.0.0.1:1", "")).await.err().unwrap();
    assert_eq!((error.code(), error.class()), ("PG001", Class::Transient));
}

#[tokio::test]
async fn a_host_that_accepts_and_stays_silent_is_given_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let config = ConnectionConfig::parse(&format!("postgres://u@127.0.0.1:{port}"))
        .unwrap()
        .with_connect_timeout(Duration::from_millis(200));
    let error = connect(&config).await.err().unwrap();
    assert_eq!((error.code(), error.class()), ("PG002", Class::Transient));
}

#[tokio::test]
async fn a_role_or_database_that_is_not_there_or_not_allowed_is_named() {
    let server = server().await;
    let good = config(&server);
    assert_eq!(code(&good.clone().with_user("nobody").with_dbname("postgres")).await, "PG006");
    let error = connect(&good.clone().with_dbname("nowhere")).await.err().unwrap();
    assert_eq!((error.code(), error.class()), ("PG021", Class::Definite), "{error}");

    let sql = session(&server).await;
    sql.batch_execute("CREATE ROLE plain LOGIN").await.unwrap();
    let plain = good.clone().with_user("plain").with_dbname("postgres");
    let error = ReplicationConnection::connect(&plain).await.err().unwrap();
    assert_eq!((error.code(), error.class()), ("PG015", Class::Definite));
    assert!(error.to_string().contains("ALTER ROLE \"plain\" REPLICATION;"), "{error}");
}

#[tokio::test]
async fn a_server_without_a_free_place_may_have_one_later() {
    // More than the sessions that looked whether the server is up can still hold on a busy machine.
    let options = PostgresOptions::default()
        .set("max_connections", "20")
        .set("superuser_reserved_connections", "0")
        .set("max_wal_senders", "1");
    let server = start(options).await;
    let good = config(&server);
    // A refused attempt holds the only place until its process has ended, so the first may have to wait for it.
    let _only = eventually("the only place for a walsender", async || {
        ReplicationConnection::connect(&good).await.ok()
    })
    .await;
    let error = ReplicationConnection::connect(&good).await.err().unwrap();
    assert_eq!((error.code(), error.class()), ("PG020", Class::Transient), "{error}");
    let mut held = Vec::new();
    let error = loop {
        match connect(&good).await {
            Ok(connection) => held.push(connection),
            Err(error) => break error,
        }
    };
    assert_eq!((error.code(), error.class()), ("PG020", Class::Transient), "{error}");
}

#[tokio::test]
async fn every_session_writes_values_the_same_way() {
    let options = PostgresOptions::default()
        .set("datestyle", "German")
        .set("intervalstyle", "iso_8601")
        .set("timezone", "Asia/Tokyo")
        .set("extra_float_digits", "0")
        .set("bytea_output", "escape")
        .set("statement_timeout", "1s");
    let server = start(options).await;
    let sql = session(&server).await;
    let row = sql
        .query_one(
            "SELECT timestamptz '2020-02-01 12:00+00' || '|' || interval '1 day 2 h' || '|' || (0.1::float8 + 0.2::float8) || '|' \
             || '\\x01'::bytea::text || '|' || 5::money || '|' || current_setting('statement_timeout')",
            &[],
        )
        .await
        .unwrap();
    let text: &str = row.get(0);
    assert_eq!(text, "2020-02-01 12:00:00+00|1 day 02:00:00|0.30000000000000004|\\x01|$5.00|0");
}

#[tokio::test]
async fn initial_statements_run_and_a_bad_one_is_named() {
    let server = server().await;
    let good = config(&server).with_initial_statements(vec!["SET work_mem = '5MB'".to_owned()]);
    let sql = connect(&good).await.unwrap();
    let row = sql.query_one("SHOW work_mem", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "5MB");
    let bad = config(&server).with_initial_statements(vec!["SET nonsense".to_owned()]);
    let error = connect(&bad).await.err().unwrap();
    assert!(error.to_string().contains("SET nonsense"), "{error}");
    assert_eq!(error.class(), Class::Definite);
}

#[tokio::test]
async fn a_failed_statement_keeps_the_server_s_own_words() {
    let server = server().await;
    let sql = session(&server).await;
    let error = sql.batch_execute("SELECT 1 / 0").await.unwrap_err();
    let error = PostgresError::from_sql("divide", &error);
    let PostgresError::Statement { source, .. } = &error else { panic!("{error}") };
    assert_eq!((source.sqlstate.as_str(), source.message.as_str()), ("22012", "division by zero"));
}
