//! Who may use the API of a worker, and what they cannot do with it.

use serde_json::json;
use testkit::Result;
use testkit::connector::ConnectorProcess;
use testkit::rest::SECRET;
use testkit::stack::{Database, Stack};
use testkit::tail::read_topic;
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::worker::{Group, send_with};

use crate::rest::{JSON, config, healthy};

/// Who may not, asks for too much, or names what is of the worker's machine is refused; the audit log has it, and nothing has changed.
#[tokio::test]
async fn tries_that_are_refused_are_in_the_audit_log_and_change_nothing() -> Result<()> {
    let stack = Stack::shared()?;
    let database = stack.database("tries").await?;
    let group = Group::new(&stack.bootstrap(), database.name())?;
    let folder = tempfile::tempdir()?;
    let users = folder.path().join("users");
    std::fs::write(&users, USERS)?;
    let users = users.display().to_string();
    let worker = group.start_with("one", &["--auth-file", &users]).await?;
    let url = worker.url();
    let admin = [("authorization", ADMIN.to_owned()), ("content-type", JSON.to_owned())];
    let created = json!({"name": "kept", "config": config(&database), "initial_state": "STOPPED"});
    let made = send_with(url, "POST", "/connectors", &admin, Some(created.to_string())).await?;
    assert_eq!(made.status, 201, "{made:?}");
    healthy(&worker).await?;
    let before = wanted(url).await?;

    let mut log = Vec::new();
    for Try { who, call, body, status, code } in tries(&database) {
        let (method, path) = call.split_once(' ').unwrap_or_default();
        let mut headers = vec![("content-type", JSON.to_owned())];
        headers.extend((!who.is_empty()).then(|| ("authorization", who.to_owned())));
        let answer = send_with(url, method, path, &headers, body).await?;
        let text = answer.body.to_string();
        assert_eq!(answer.status, status, "{who} {call}: {text}");
        if path.starts_with("/v1/") {
            assert_eq!(answer.body["code"], code, "{call}: {text}");
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        } else {
            assert_eq!(answer.body["error_code"], status, "{call}: {text}");
        }
        log.push(format!(
            "{method} {}: {status} {code}",
            path.split('?').next().unwrap_or_default()
        ));
    }
    assert_eq!(wanted(url).await?, before);
    let written = worker.process.log();
    let audited = audited(&stack.bootstrap(), database.name(), log.len()).await?;
    for line in &log {
        assert!(audited.contains(line), "the topic of the audit log has no `{line}`");
        assert!(written.contains(line), "the audit log has no `{line}`\n{written}");
    }
    for secret in [SECRET, "wrong-password", "reader-token"] {
        assert!(!written.contains(secret), "`{secret}` is in the log");
    }

    // Who guesses has to wait, even if the next guess were right.
    for _ in 0..10 {
        send_with(url, "GET", "/connectors", &[("authorization", "Bearer x".to_owned())], None)
            .await?;
    }
    let answer = send_with(url, "GET", "/connectors", &admin, None).await?;
    assert_eq!(answer.status, 429, "{answer:?}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    let answer = send_with(url, "GET", "/health", &[], None).await?;
    assert_eq!(answer.status, 200, "whether it lives is no secret: {answer:?}");
    Ok(())
}

/// The topic of the audit log, once it has so many records: one line each, as the log has them.
async fn audited(bootstrap: &str, group: &str, count: usize) -> Result<Vec<String>> {
    let topic = format!("{group}-audit");
    eventually("the audit log is in its topic", DEADLINE, async || {
        let records = read_topic(bootstrap, &topic).await.unwrap_or_default();
        let lines = records.iter().map(|record| {
            let record = record.payload();
            let text = |field: &str| record[field].as_str().unwrap_or_default().to_owned();
            format!("{} {}: {} {}", text("method"), text("path"), record["status"], text("code"))
        });
        let lines: Vec<_> = lines.collect();
        if lines.len() > count {
            return Ok(Seen::Yes(lines));
        }
        Ok(Seen::NotYet(format!("{} of more than {count}", lines.len())))
    })
    .await
}

const READER: &str = "Bearer reader-token-of-more-than-thirty-two-characters";
const OPERATOR: &str = "Bearer operator-token-of-more-than-thirty-two-characters";
/// `ann:correct horse`.
const ADMIN: &str = "Basic YW5uOmNvcnJlY3QgaG9yc2U=";
const USERS: &str = "\
    # who may what\n\
    reader read sha256:0bbb57ebfba949620d807c4ab45a5cce7f2465f21922dcafb1a2644e13b9fcc5\n\
    operator operate sha256:38941cefc31239094e32df163594307d62dec2876b832b929480ed94fd0b38c8\n\
    ann admin $argon2id$v=19$m=19456,t=2,p=1$Jb66MKlX2ttY0s0YkqWjGA$gS1K3X1hRLoJ8ysdSTDTVw+LrW4Jpu5A2bVPUOK7EV4\n";

struct Try {
    who: &'static str,
    call: &'static str,
    body: Option<String>,
    status: u16,
    code: &'static str,
}

/// What is of the worker's machine.
const PATHS: [(&str, &str); 11] = [
    ("database.sslkey", "/etc/hostname"),
    ("database.sslrootcert", "/etc/hostname"),
    ("ssl.truststore.location", "/etc/hostname"),
    ("producer.override.ssl.keystore.location", "/etc/hostname"),
    ("signal.file", "/tmp/signals"),
    ("tributary.spill.directory", "/tmp"),
    ("topic.prefix", "${file:/etc/passwd:root}"),
    ("topic.prefix", "${dir:/etc:hostname}"),
    ("database.password", "${env:HOME}"),
    ("sasl.oauthbearer.token.endpoint.url", "file:///etc/hostname"),
    ("tributary.source.url", "postgres://h/d?sslkey=/etc/hostname"),
];

fn of(
    who: &'static str,
    call: &'static str,
    body: Option<String>,
    status: u16,
    code: &'static str,
) -> Try {
    Try { who, call, body, status, code }
}

/// Of nobody that is known.
fn tries_of_strangers() -> Vec<Try> {
    vec![
        of("", "GET /connectors", None, 401, "WK024"),
        of("", "GET /nowhere", None, 401, "WK024"),
        of("", "DELETE /connectors/kept", None, 401, "WK024"),
        of("", "GET /v1/connectors/kept", None, 401, "WK024"),
        of(
            "Bearer wrong-token-of-more-than-thirty-two-characters",
            "GET /connectors",
            None,
            401,
            "WK024",
        ),
        of("Basic YW5uOndyb25nLXBhc3N3b3Jk", "PUT /connectors/kept/pause", None, 401, "WK024"),
        of("Basic Ym9iOmNvcnJlY3QgaG9yc2U=", "GET /connectors", None, 401, "WK024"),
        of("", "GET /v1/connectors/kept/records", None, 401, "WK024"),
    ]
}

fn tries(database: &Database) -> Vec<Try> {
    let config = config(database);
    let with = |key: &str, value: &str| {
        let mut config = config.clone();
        config[key] = json!(value);
        Some(config.to_string())
    };
    let large = "x".repeat(2 << 20);
    let new = "PUT /connectors/new/config";
    let snapshots = "POST /v1/connectors/kept/snapshots";
    let mut tries = tries_of_strangers();
    tries.extend([
        of(READER, "PUT /connectors/kept/resume", None, 403, "WK025"),
        of(READER, "POST /connectors/kept/restart", None, 403, "WK025"),
        of(READER, "DELETE /connectors/kept", None, 403, "WK025"),
        of(READER, "PATCH /v1/connectors/kept", Some("{}".to_owned()), 403, "WK025"),
        of(READER, "DELETE /v1/connectors/kept", None, 403, "WK025"),
        of(
            READER,
            "PUT /admin/loggers/root",
            Some("{\"level\":\"TRACE\"}".to_owned()),
            403,
            "WK025",
        ),
        of(READER, snapshots, Some("{\"tables\":[\"a\"]}".to_owned()), 403, "WK025"),
        of(
            OPERATOR,
            snapshots,
            Some("{\"tables\":[\"a\"],\"where\":\"true\"}".to_owned()),
            403,
            "WK025",
        ),
        of(OPERATOR, "POST /v1/connectors/kept/check", Some("{}".to_owned()), 403, "WK025"),
        of(OPERATOR, new, with("tasks.max", "1"), 403, "WK025"),
        of(OPERATOR, "PATCH /connectors/kept/config", Some("{}".to_owned()), 403, "WK025"),
        of(OPERATOR, "DELETE /connectors/kept/offsets", None, 403, "WK025"),
        of(ADMIN, "POST /connectors", Some(format!("{{\"name\":\"{large}\"}}")), 413, "WK021"),
        of(ADMIN, "POST /connectors", Some("{\"name\":".to_owned()), 400, "WK020"),
        of(ADMIN, "POST /connectors", Some("[1]".to_owned()), 400, "WK020"),
        of(ADMIN, "PATCH /v1/connectors/kept", Some("{\"set\":{}}".to_owned()), 400, "WK020"),
        of(ADMIN, new, with("database.password", "[hidden]"), 400, "WK022"),
        of(ADMIN, new, with("tables.include.list", "a"), 400, "CF001"),
        of(ADMIN, new, with("transforms", "a"), 400, "CF004"),
        of(ADMIN, new, with("connector.class", "org.example.Other"), 400, "CF004"),
        of(ADMIN, new, with("key.converter", "org.example.Converter"), 400, "CF004"),
        of(ADMIN, "PUT /connectors/a%2Fb/config", with("tasks.max", "1"), 400, "CF003"),
        of(
            ADMIN,
            "PATCH /v1/connectors/kept",
            Some(patch("database.sslkey", "/etc/hostname")),
            403,
            "WK023",
        ),
        of(
            ADMIN,
            "PATCH /connectors/kept/config",
            Some("{\"signal.file\":\"/tmp/signals\"}".to_owned()),
            403,
            "WK023",
        ),
    ]);
    tries.extend(PATHS.map(|(key, value)| of(ADMIN, new, with(key, value), 403, "WK023")));
    tries
}

fn patch(key: &str, value: &str) -> String {
    json!({"config": {key: value}}).to_string()
}

/// Everything that requests can change of connectors.
async fn wanted(url: &str) -> Result<Vec<serde_json::Value>> {
    let admin = [("authorization", ADMIN.to_owned())];
    let answer = send_with(url, "GET", "/v1/connectors", &admin, None).await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    let connectors = answer.body["connectors"].as_array().cloned().unwrap_or_default();
    let parts = ["name", "target", "revision", "config"];
    Ok(connectors.iter().map(|one| json!(parts.map(|part| one[part].clone()))).collect())
}

/// Method: a page of another site is what a browser says it is.
#[tokio::test]
async fn pages_of_other_sites_are_refused_where_nobody_has_a_name() -> Result<()> {
    let stack = Stack::shared()?;
    let group = Group::new(&stack.bootstrap(), "pages")?;
    let worker = group.start("one").await?;
    let ask = async |headers: &[(&str, String)]| {
        let answer = send_with(worker.url(), "GET", "/connectors", headers, None).await?;
        Result::Ok(answer.status)
    };
    let own = worker.url().to_owned();
    assert_eq!(ask(&[("origin", own.clone())]).await?, 200);
    assert_eq!(ask(&[]).await?, 200);
    assert_eq!(ask(&[("origin", "https://example.org".to_owned())]).await?, 403);
    assert_eq!(ask(&[("sec-fetch-site", "cross-site".to_owned())]).await?, 403);
    let rebound = [("origin", "http://evil.test:1".to_owned()), ("host", "evil.test:1".to_owned())];
    assert_eq!(ask(&rebound).await?, 403);
    Ok(())
}

/// An address that other machines reach is not heard without users, nor without TLS unless somebody says so.
#[tokio::test]
async fn an_open_address_is_not_heard() -> Result<()> {
    let stack = Stack::shared()?;
    let folder = tempfile::tempdir()?;
    let store = format!("kafka://{}", stack.bootstrap());
    let users = folder.path().join("users");
    std::fs::write(&users, USERS)?;
    let users = users.display().to_string();
    for more in [&[][..], &["--insecure"], &["--auth-file", &users]] {
        let mut arguments = vec!["worker", "--store", &store, "--listen", "0.0.0.0:0"];
        arguments.extend(more);
        let binary = testkit::connector::binary()?;
        let mut worker = ConnectorProcess::start(&binary, &arguments, folder.path())?;
        assert_eq!(worker.exit_code(DEADLINE).await?, 1, "{more:?}");
        assert!(worker.log().contains("WK011"), "{}", worker.log());
    }
    let group = Group::new(&stack.bootstrap(), "open")?;
    let more = ["--auth-file", &users, "--insecure", "--listen", "0.0.0.0:0"];
    let worker = group.start_with("one", &more[..3]).await?;
    let answer = worker.ask("GET", "/connectors", None).await?;
    assert_eq!(answer.status, 401);
    Ok(())
}

/// Method: a certificate of our own authority, and the commands as their users have them.
#[tokio::test]
async fn tls_and_a_token_let_the_commands_in() -> Result<()> {
    let stack = Stack::shared()?;
    let folder = tempfile::tempdir()?;
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).map(|()| path.display().to_string())
    };
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
    let certificate = write("cert.pem", &made.cert.pem())?;
    let key = write("key.pem", &made.signing_key.serialize_pem())?;
    let users = write("users", USERS)?;
    let group = Group::new(&stack.bootstrap(), "tls")?;
    let more = ["--auth-file", &users, "--tls-cert", &certificate, "--tls-key", &key];
    let worker = group.start_with("one", &more).await?;
    assert!(worker.url().starts_with("https://"), "{}", worker.url());
    let list = |token: &'static str| {
        let mut command =
            std::process::Command::new(testkit::connector::binary().unwrap_or_default());
        command.args(["--output", "json", "list"]).env("TRIBUTARY_URL", worker.url());
        command.env("TRIBUTARY_CA", &certificate).env("TRIBUTARY_TOKEN", token);
        tokio::task::spawn_blocking(move || command.output())
    };
    let token = READER.strip_prefix("Bearer ").unwrap_or_default();
    let listed = list(token).await??;
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.status.success() && text.contains("connectors"), "{listed:?}");
    let refused = list("no-token-of-anybody").await??;
    assert!(!refused.status.success(), "{refused:?}");
    Ok(())
}

/// Secrets are not in the config topic where the workers have a key; a worker with the key runs the connector, one without says what is missing.
#[tokio::test]
async fn secrets_are_sealed_in_the_config_topic_and_opened_by_who_has_the_key() -> Result<()> {
    let stack = Stack::shared()?;
    let database = stack.database("sealed").await?;
    database.with("create table item (id int primary key); insert into item values (1)").await?;
    let name = database.name();
    let group = Group::new(&stack.bootstrap(), name)?;
    let folder = tempfile::tempdir()?;
    let key = folder.path().join("key");
    std::fs::write(&key, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n")?;
    let key = key.display().to_string();
    let with_key = ["--secret-key-file", key.as_str()];
    let mut worker = group.start_with("one", &with_key).await?;
    let created = json!({"name": name, "config": config(&database)});
    worker.expect("POST", "/connectors", Some(created)).await?;
    worker.task_is(name, "RUNNING").await?;
    let kept = read_topic(&stack.bootstrap(), &format!("{name}-configs")).await?;
    let kept: String = kept
        .iter()
        .filter_map(|record| record.value.as_deref())
        .map(String::from_utf8_lossy)
        .collect();
    assert!(kept.contains("sealed:v1:") && !kept.contains(SECRET), "{kept}");
    worker.process.terminate().await?;

    let mut worker = group.start("one").await?;
    eventually("the configuration cannot be opened", DEADLINE, async || {
        let status = worker.expect("GET", &format!("/connectors/{name}/status"), None).await?;
        let trace = status["connector"]["trace"].as_str().unwrap_or_default();
        Ok(Seen::when(trace.contains("WK041"), || status.to_string()))
    })
    .await?;
    worker.process.terminate().await?;

    let worker = group.start_with("one", &with_key).await?;
    worker.task_is(name, "RUNNING").await?;
    let mut tail = database.tail("public.item")?;
    tail.until(DEADLINE, |event| event.brief() == "r(1)").await?;
    Ok(())
}
