//! What the guides show is what happens.

use std::path::Path;
use std::time::Duration;

use embedded::{
    Kafka, KafkaOptions, Listener, ListenerSecurity, Postgres, PostgresOptions, Silent,
    TlsClientAuth, TlsFiles,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use testkit::connector::{ConnectorProcess, binary};
use testkit::event::Event;
use testkit::kafka_tool::kafka_tool;
use testkit::session::Session;
use testkit::stack::Stack;
use testkit::tail::Tail;
use testkit::wait::{DEADLINE, Seen, eventually};
use testkit::worker::Group;
use testkit::{Failure, Result, event};

use crate::check;
use crate::faults_kafka::{JAAS, login_options};

const SOON: Duration = Duration::from_mins(1);

/// The blocks of one language in a guide.
fn blocks(guide: &str, language: &str) -> Result<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides").join(guide);
    let text = std::fs::read_to_string(path)?;
    let blocks = text.split("```").skip(1).step_by(2);
    Ok(blocks
        .filter_map(|block| block.strip_prefix(language))
        .map(|it| it.trim().to_owned())
        .collect())
}

/// The commands in a guide, each in one line.
fn commands(guide: &str) -> Result<Vec<String>> {
    let blocks = blocks(guide, "sh")?.join("\n").replace("\\\n", " ");
    Ok(blocks.lines().map(str::to_owned).collect())
}

/// Method: `check --sql` prints what the guide shows, but for the names of database, role and connector; what the guide shows is run,
/// and its role captures.
#[tokio::test]
async fn the_grants_of_the_guide_to_least_privilege_are_printed_and_are_enough() -> Result<()> {
    let database = Stack::shared()?.database("guidegrants").await?;
    let session = database
        .with(
            "create table customers (id int primary key, name text, email text);
             create table orders (id int primary key, customer int); revoke all on schema public from public;
             insert into customers values (1, 'Ada', 'ada@example.org'); insert into orders values (1, 1)",
        )
        .await?;
    session.run(&format!("revoke all on database {} from public", database.name())).await?;
    let role = format!("replicator {}", database.name());
    let connector = database
        .connector()?
        .set("publication.name", "dbz_publication")
        .set("table.include.list", "public.orders,public.customers")
        .set("column.exclude.list", "public.customers.email");
    let shown = blocks("least-privilege.md", "sql")?.into_iter().next();
    let shown = shown.ok_or_else(|| Failure::new("the guide shows no SQL"))?;
    let grants = shown
        .replace("connector `shop`", &format!("connector `{}`", connector.name()))
        .replace("\"shop\"", &format!("\"{}\"", database.name()))
        .replace("\"replicator\"", &format!("\"{role}\""));
    let printed = check::grants(&connector, &role).await?;
    assert_eq!(printed.stdout.trim(), grants, "{}", printed.stderr);

    session.run(&grants).await?;
    // The table by which this test sees that everything has arrived.
    session
        .run(&format!(
            "grant select on zz_marker to \"{role}\"; alter publication dbz_publication add table only zz_marker"
        ))
        .await?;
    let connector = connector
        .set("table.include.list", "public.orders,public.customers,public.zz_marker")
        .set("database.user", &role);
    let mut process = connector.start_streaming().await?;
    session.run("insert into orders values (2, 1); update customers set name = 'Grace'").await?;
    assert_eq!(event::story(&database.events("public.orders").await?), "r(1) c(2)");
    let customers = database.events("public.customers").await?;
    assert_eq!(event::story(&customers), "r(1) u(1)");
    assert!(customers.iter().all(|event| event.payload()["after"].get("email").is_none()));
    process.terminate().await?;
    session.run(&format!("drop owned by \"{role}\"; drop role \"{role}\"")).await?;
    Ok(())
}

/// A broker that refuses what nobody has allowed, and lets one user log in. Whoever does not log in may do everything.
async fn strict_broker() -> Result<Kafka> {
    let options = login_options().set("allow.everyone.if.no.acl.found", "false");
    Ok(Kafka::start(options, &Silent).await?)
}

/// Gives the rules of a block, for the topics and the connector of this name.
fn allow(kafka: &Kafka, block: &str, name: &str) -> Result<()> {
    let rules = block.lines().filter_map(|line| line.strip_prefix("acl --"));
    let own = |word: &str| match word {
        "shop." => format!("{name}."),
        "tributary.shop" => format!("tributary.{name}"),
        other => other.to_owned(),
    };
    for rule in rules {
        let words: Vec<String> = format!("--{rule}").split_whitespace().map(own).collect();
        let mut arguments = vec!["--add", "--allow-principal", "User:cdc"];
        arguments.extend(words.iter().map(String::as_str));
        kafka_tool(kafka, "org.apache.kafka.tools.AclCommand", &arguments)?;
    }
    Ok(())
}

/// Method: the user gets the rules of the guide and no other; it captures with `run`, and then a worker of its own goes on.
#[tokio::test]
async fn the_rules_of_the_guide_to_least_privilege_are_enough() -> Result<()> {
    const PROTOCOL: (&str, &str) = ("security.protocol", "SASL_PLAINTEXT");
    const MECHANISM: (&str, &str) = ("sasl.mechanism", "PLAIN");
    const LOGIN: (&str, &str) = ("sasl.jaas.config", JAAS);
    let kafka = strict_broker().await?;
    let address = kafka.bootstrap_of("LOGIN").unwrap_or_default();
    let database = Stack::shared()?.database("guiderules").await?.with_bootstrap(kafka.bootstrap());
    let session = database.with("create table item (id int primary key)").await?;
    session.run("insert into item values (1)").await?;
    let shown = blocks("least-privilege.md", "sh")?;
    let rules: Vec<&String> = shown.iter().filter(|block| block.contains("acl --")).collect();
    let [of_run, of_worker] = rules[..] else {
        return Err(Failure::new(format!("the guide shows {} blocks of rules", rules.len())));
    };
    let mut connector = database.connector()?.at_store(&address);
    for (key, value) in [PROTOCOL, MECHANISM, LOGIN] {
        connector.put(&format!("producer.override.{key}"), value);
    }
    let mut refused = connector.start()?;
    assert_eq!(refused.exit_code(DEADLINE).await?, 1, "{}", refused.log_end());
    assert!(refused.log().contains("KA024"), "{}", refused.log());
    allow(&kafka, of_run, database.name())?;
    let mut process = connector.start_streaming().await?;
    session.run("insert into item values (2)").await?;
    assert_eq!(event::story(&database.events("public.item").await?), "r(1) c(2)");
    process.terminate().await?;

    let group = Group::new(&address, "tributary")?;
    let settings = [PROTOCOL, MECHANISM, LOGIN].map(|(key, value)| format!("{key}={value}"));
    let more: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    allow(&kafka, of_worker, database.name())?;
    let worker = group.start_with("one", &more).await?;
    worker.create(&database, json!({})).await?;
    worker.task_is(database.name(), "RUNNING").await?;
    session.run("insert into item values (3)").await?;
    assert_eq!(event::story(&database.events("public.item").await?), "r(1) c(2) c(3)");
    Ok(())
}

/// An authority, and what it has signed.
struct Certificates {
    authority: String,
    server: (String, String),
    client: (String, String),
}

impl Certificates {
    /// For a server of this name.
    fn make(server: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let issue = |name: &str| -> Result<(String, String)> {
            let key = KeyPair::generate()?;
            let params = CertificateParams::new(vec![name.to_owned()])?;
            Ok((params.signed_by(&key, &authority)?.pem(), key.serialize_pem()))
        };
        let (server, client) = (issue(server)?, issue("client")?);
        Ok(Self { authority: authority.pem(), server, client })
    }

    /// A broker that shows the server's certificate, and asks for one.
    async fn broker(&self) -> Result<Kafka> {
        let tls = TlsFiles {
            certificate_chain_pem: self.server.0.clone(),
            private_key_pem: self.server.1.clone(),
            trusted_pem: self.authority.clone(),
            client_auth: TlsClientAuth::Required,
        };
        let listener = Listener {
            name: "MUTUAL".to_owned(),
            security: ListenerSecurity::Ssl(tls),
            settings: Vec::new(),
        };
        let options = KafkaOptions { listeners: vec![listener], ..KafkaOptions::default() };
        Ok(Kafka::start(options, &Silent).await?)
    }
}

/// Runs a line of a guide where `tributary` is installed.
fn shell(line: &str, folder: &Path, variables: &[(&str, &str)]) -> Result<ConnectorProcess> {
    let binaries = binary()?.parent().map(|folder| folder.display().to_string());
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", binaries.unwrap_or_default());
    let variables = [&[("PATH", path.as_str())], variables].concat();
    // The shell becomes the program, so that what ends the one ends the other.
    let arguments = ["-c", &format!("exec {line}")];
    ConnectorProcess::start_with(Path::new("sh"), &arguments, folder, &variables)
}

/// Method: `check` and the line of the `Procfile`, as the guide has them, with the variables that Heroku's add-ons set, for a broker
/// whose certificate has another name than its address.
#[tokio::test]
async fn the_process_of_the_guide_to_heroku_captures() -> Result<()> {
    let database = Stack::shared()?.database("guideheroku").await?;
    let session = database
        .with(
            "create table customers (id int primary key, name text, email text); create table orders (id int primary key);
             insert into customers values (1, 'Ada', 'ada@example.org'); insert into orders values (1)",
        )
        .await?;
    let certificates = Certificates::make("ec2-1-2-3-4.compute.example")?;
    let kafka = certificates.broker().await?;
    let address = kafka.bootstrap_of("MUTUAL").unwrap_or_default();
    let (source, store) = (database.url(), format!("kafka+ssl://{address}"));
    let variables = [
        ("DATABASE_URL", source.as_str()),
        ("KAFKA_URL", &store),
        ("KAFKA_TRUSTED_CERT", &certificates.authority),
        ("KAFKA_CLIENT_CERT", &certificates.client.0),
        ("KAFKA_CLIENT_CERT_KEY", &certificates.client.1),
        ("KAFKA_PREFIX", "columbia-68051."),
    ];
    let folder = tempfile::tempdir()?;
    let checks = commands("heroku.md")?;
    let check = checks.iter().find_map(|line| line.strip_prefix("heroku run "));
    let mut checked = shell(check.unwrap_or_default(), folder.path(), &variables)?;
    let code = checked.exit_code(SOON).await?;
    assert_eq!(code, 0, "{}{}", checked.output(), checked.log());

    let processes = blocks("heroku.md", "\n")?;
    let process = processes.iter().find_map(|block| block.strip_prefix("cdc: "));
    let mut process = shell(process.unwrap_or_default(), folder.path(), &variables)?;
    for (table, row) in
        [("orders", json!({"id": 1})), ("customers", json!({"id": 1, "name": "Ada"}))]
    {
        let topic = format!("columbia-68051.shop.public.{table}");
        let first = arrives(&kafka, &topic, &process, |_| true).await?;
        assert_eq!(first.payload()["after"], row);
    }
    session.run("insert into orders values (2)").await?;
    let is_second = |event: &Event| event.payload()["after"]["id"] == 2;
    arrives(&kafka, "columbia-68051.shop.public.orders", &process, is_second).await?;
    assert_eq!(process.terminate().await?, 0, "{}", process.log_end());
    Ok(())
}

/// The first event of a topic that is as it is wanted.
async fn arrives(
    kafka: &Kafka,
    topic: &str,
    process: &ConnectorProcess,
    wanted: impl Fn(&Event) -> bool,
) -> Result<Event> {
    let mut tail = Tail::open(&kafka.bootstrap(), topic)?;
    let events = tail.until(DEADLINE, wanted).await;
    let events = events.map_err(|failure| failure.during(process.log_end()))?;
    events.into_iter().next_back().ok_or_else(|| Failure::new("no event"))
}

/// Method: both commands that connect, as the guide has them, against a PostgreSQL and a broker whose certificate only the authority
/// of the test has signed.
#[tokio::test]
async fn the_commands_of_the_guide_to_tls_connect_and_verify() -> Result<()> {
    let certificates = Certificates::make("127.0.0.1")?;
    let kafka = certificates.broker().await?;
    let options = PostgresOptions {
        files: vec![
            ("server.crt".to_owned(), certificates.server.0.clone()),
            ("server.key".to_owned(), certificates.server.1.clone()),
        ],
        ..PostgresOptions::default()
    };
    let options = options.set("wal_level", "logical").set("ssl", "on");
    let options = options.set("ssl_cert_file", "server.crt").set("ssl_key_file", "server.key");
    let server = Postgres::start(options, &Silent).await?;
    let session = Session::connect(&server.url()).await?;
    session.run("create table orders (id int primary key); insert into orders values (1)").await?;
    let folder = tempfile::tempdir()?;
    let file = |name: &str, text: &str| -> Result<String> {
        let path = folder.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    };
    let authority = file("ca.pem", &certificates.authority)?;
    let config = json!({"name": "shop", "config": {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "plugin.name": "pgoutput",
        "database.hostname": "127.0.0.1", "database.port": server.port().to_string(), "database.user": "postgres",
        "database.dbname": "postgres", "database.sslrootcert": authority, "topic.prefix": "of_file",
        "table.include.list": "public.orders"}});
    let config = file("connector.json", &config.to_string())?;

    let shown = commands("tls.md")?;
    let run: Vec<&String> = shown.iter().filter(|line| line.starts_with("tributary run")).collect();
    let [of_source, of_kafka] = run[..] else {
        return Err(Failure::new(format!("the guide shows {run:?}")));
    };
    let of_source = of_source
        .replace(
            "replicator@db.example.com/shop",
            &format!("postgres@127.0.0.1:{}/postgres", server.port()),
        )
        .replace("/etc/tributary/db-ca.pem", &authority)
        .replace("kafka://broker:9092", &format!("kafka://{} --name of_flags", kafka.bootstrap()));
    let of_kafka = of_kafka
        .replace("connector.json", &config)
        .replace("broker:9093", &kafka.bootstrap_of("MUTUAL").unwrap_or_default())
        .replace("/run/secrets/kafka", &folder.path().display().to_string());
    let variables =
        [("KAFKA_CERT", certificates.client.0.as_str()), ("KAFKA_KEY", &certificates.client.1)];
    for (line, prefix) in [(of_source, "of_flags"), (of_kafka, "of_file")] {
        let mut process = shell(&line, folder.path(), &variables)?;
        arrives(&kafka, &format!("{prefix}.public.orders"), &process, |_| true).await?;
        let encrypted = "select ssl from pg_stat_ssl join pg_stat_replication using (pid)";
        eventually("it streams over TLS", DEADLINE, async || {
            let rows = session.rows(encrypted).await?;
            Ok(Seen::when(rows == [["t"]], || format!("{rows:?}\n{}", process.log_end())))
        })
        .await?;
        assert_eq!(process.terminate().await?, 0, "{}", process.log_end());
    }
    Ok(())
}
