//! Every sslmode against a server with TLS, one without, and certificates of the right and the wrong authority.

use std::path::PathBuf;

use embedded::{Postgres, PostgresOptions};
use postgres::{
    Class, Connection, ConnectionConfig, PostgresError, ReplicationConnection, connect,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::support::start;

/// An authority, and what it signs.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Certificate and key for these names, in PEM.
    fn sign(&self, common_name: &str, names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// Files the client reads.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

fn with_tls(certificate: &str, key: &str, pg_hba: &str) -> PostgresOptions {
    let options = PostgresOptions {
        pg_hba: Some(format!("local all all trust\n{pg_hba}")),
        password: Some("secret".to_owned()),
        files: vec![
            ("server.crt".to_owned(), certificate.to_owned()),
            ("server.key".to_owned(), key.to_owned()),
        ],
        ..PostgresOptions::default()
    };
    options.set("ssl", "on").set("ssl_cert_file", "server.crt").set("ssl_key_file", "server.key")
}

const SCRAM: &str = "host all all all scram-sha-256";

fn at(server: &Postgres, host: &str, parameters: &str) -> ConnectionConfig {
    let port = server.port();
    ConnectionConfig::parse(&format!(
        "postgres://postgres:secret@{host}:{port}/postgres?connect_timeout=10&{parameters}"
    ))
    .unwrap()
}

/// Connects both ways: they must agree. Out: whether TLS is in force.
async fn both(config: &ConnectionConfig) -> Result<bool, PostgresError> {
    let replication = ReplicationConnection::connect(config).await;
    let sql = connect(config).await;
    match (replication, sql) {
        (Ok(walsender), Ok(sql)) => {
            let pid = walsender.backend_pid();
            let used = uses_tls(&sql, pid).await;
            let own = sql.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
            assert_eq!(uses_tls(&sql, own).await, used);
            Ok(used)
        }
        (Err(replication), Err(sql)) => {
            assert_eq!(replication.code(), sql.code());
            Err(sql)
        }
        (Ok(_), Err(error)) => panic!("SQL only: {error}"),
        (Err(error), Ok(_)) => panic!("replication only: {error}"),
    }
}

async fn uses_tls(sql: &Connection, pid: i32) -> bool {
    let asked = sql.query_one("SELECT ssl FROM pg_stat_ssl WHERE pid = $1", &[&pid]).await;
    asked.unwrap().get(0)
}

async fn code(config: &ConnectionConfig) -> &'static str {
    both(config).await.unwrap_err().code()
}

#[tokio::test]
async fn every_sslmode_does_what_it_says() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let (certificate, key) = ours.sign("localhost", &["localhost"]);
    let folder = Folder::new();
    let right = folder.write("right.pem", &ours.pem);
    let wrong = folder.write("wrong.pem", &theirs.pem);
    let (right, wrong) = (right.display(), wrong.display());
    let server = start(with_tls(&certificate, &key, SCRAM)).await;

    // host, parameters, whether TLS is used or which error
    let cases: [(&str, String, Result<bool, &str>); 14] = [
        ("localhost", "sslmode=disable".to_owned(), Ok(false)),
        ("localhost", "sslmode=allow".to_owned(), Ok(false)),
        ("localhost", "sslmode=prefer".to_owned(), Ok(true)),
        ("localhost", "sslmode=require".to_owned(), Ok(true)),
        ("127.0.0.1", "sslmode=require".to_owned(), Ok(true)),
        ("localhost", format!("sslmode=require&sslrootcert={right}"), Ok(true)),
        ("localhost", format!("sslmode=require&sslrootcert={wrong}"), Err("PG004")),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={right}"), Ok(true)),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={right}"), Ok(true)),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={wrong}"), Err("PG004")),
        ("localhost", format!("sslmode=verify-full&sslrootcert={right}"), Ok(true)),
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={right}"), Err("PG004")),
        ("localhost", format!("sslmode=verify-full&sslrootcert={wrong}"), Err("PG004")),
        ("localhost", "sslmode=verify-full&sslrootcert=/nowhere/ca.pem".to_owned(), Err("PG005")),
    ];
    for (host, parameters, expected) in cases {
        let found = both(&at(&server, host, &parameters)).await;
        let found = found.as_ref().map_err(PostgresError::code);
        assert_eq!(found, expected.as_ref().map_err(|code| *code), "{host} {parameters}");
    }
}

#[tokio::test]
async fn a_certificate_without_a_public_authority_is_refused_by_the_system_store() {
    let ours = Authority::new("ours");
    let (certificate, key) = ours.sign("localhost", &["localhost"]);
    let server = start(with_tls(&certificate, &key, SCRAM)).await;
    let error = both(&at(&server, "localhost", "sslrootcert=system")).await.unwrap_err();
    // Without a store on this machine there is nobody to trust, which is refused as well.
    assert!(["PG004", "PG005"].contains(&error.code()), "{error}");
    assert_eq!(error.class(), Class::Definite);
}

#[tokio::test]
async fn a_self_signed_certificate_can_be_trusted_by_itself() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap().pem();
    let folder = Folder::new();
    let pinned = folder.write("server.pem", &certificate);
    let server = start(with_tls(&certificate, &key.serialize_pem(), SCRAM)).await;
    let parameters = format!("sslmode=verify-full&sslrootcert={}", pinned.display());
    assert!(both(&at(&server, "localhost", &parameters)).await.unwrap());
    assert_eq!(code(&at(&server, "127.0.0.1", &parameters)).await, "PG004");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_only_where_tls_is_required() {
    let server = start(PostgresOptions::default()).await;
    for (mode, expected) in [
        ("disable", Ok(false)),
        ("allow", Ok(false)),
        ("prefer", Ok(false)),
        ("require", Err("PG003")),
        ("verify-ca", Err("PG003")),
        ("verify-full", Err("PG003")),
    ] {
        let found = both(&at(&server, "localhost", &format!("sslmode={mode}"))).await;
        let found = found.as_ref().map_err(PostgresError::code);
        assert_eq!(found, expected.as_ref().map_err(|code| *code), "{mode}");
    }
}

#[tokio::test]
async fn allow_and_prefer_take_the_other_way_when_host_rules_want_it() {
    let ours = Authority::new("ours");
    let (certificate, key) = ours.sign("localhost", &["localhost"]);
    let only_tls = start(with_tls(&certificate, &key, "hostssl all all all scram-sha-256")).await;
    assert!(both(&at(&only_tls, "localhost", "sslmode=allow")).await.unwrap());
    assert_eq!(code(&at(&only_tls, "localhost", "sslmode=disable")).await, "PG006");
    let no_tls = start(with_tls(&certificate, &key, "hostnossl all all all scram-sha-256")).await;
    assert!(!both(&at(&no_tls, "localhost", "sslmode=prefer")).await.unwrap());
    assert_eq!(code(&at(&no_tls, "localhost", "sslmode=require")).await, "PG006");
}

#[tokio::test]
async fn a_client_certificate_logs_in_without_password() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let (certificate, key) = ours.sign("localhost", &["localhost"]);
    let mut options = with_tls(&certificate, &key, "hostssl all all all cert");
    options.files.push(("root.crt".to_owned(), ours.pem.clone()));
    let server = start(options.set("ssl_ca_file", "root.crt")).await;

    let folder = Folder::new();
    let (client, client_key) = ours.sign("postgres", &[]);
    let der = rustls_der(&client_key);
    let pem = folder.write("client.pem", &client);
    let config = at(&server, "localhost", "sslmode=require").with_sslcert(pem);
    for key in [folder.write("client.key", &client_key), folder.write("client.pk8", der)] {
        assert!(both(&config.clone().with_sslkey(&key)).await.unwrap(), "{}", key.display());
    }
    assert_eq!(code(&config).await, "PG005", "a certificate without its key");

    let encrypted = client_key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let encrypted = folder.write("encrypted.key", encrypted);
    let error = both(&config.clone().with_sslkey(encrypted)).await.unwrap_err();
    assert_eq!(error.code(), "PG005");
    assert!(error.to_string().contains("openssl pkey"), "{error}");

    let (stranger, stranger_key) = theirs.sign("postgres", &[]);
    let config = at(&server, "localhost", "sslmode=require")
        .with_sslcert(folder.write("stranger.pem", stranger))
        .with_sslkey(folder.write("stranger.key", stranger_key));
    assert!(both(&config).await.is_err());
    assert!(both(&at(&server, "localhost", "sslmode=require")).await.is_err());
}

/// The DER inside a PEM file.
fn rustls_der(pem: &str) -> Vec<u8> {
    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject;
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap().secret_der().to_vec()
}

/// The server checks the binding: a wrong digest does not log in, and with `channel_binding=require` nothing else does.
#[tokio::test]
async fn scram_is_bound_to_the_channel_where_both_sides_can() {
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        let server = start(with_tls(&certificate, &key.serialize_pem(), SCRAM)).await;
        for binding in ["disable", "prefer", "require"] {
            let parameters = format!("sslmode=require&channel_binding={binding}");
            let config = at(&server, "localhost", &parameters);
            assert!(both(&config).await.unwrap(), "{algorithm:?} {binding}");
        }
        let plain = at(&server, "localhost", "sslmode=disable&channel_binding=require");
        assert_eq!(code(&plain).await, "PG029");
    }
}

#[tokio::test]
async fn a_password_travels_in_clear_text_only_inside_tls() {
    let ours = Authority::new("ours");
    let (certificate, key) = ours.sign("localhost", &["localhost"]);
    let server = start(with_tls(&certificate, &key, "host all all all password")).await;
    let error = both(&at(&server, "localhost", "sslmode=disable")).await.unwrap_err();
    assert_eq!((error.code(), error.class()), ("PG008", Class::Definite));
    assert!(both(&at(&server, "localhost", "sslmode=require")).await.unwrap());
    assert!(both(&at(&server, "localhost", "sslmode=allow")).await.unwrap(), "allow turns to TLS");
}

#[tokio::test]
async fn direct_negotiation_works_from_postgresql_17_on() {
    let ours = Authority::new("ours");
    let (certificate, key) = ours.sign("localhost", &["localhost"]);
    for (version, known) in [(15, false), (17, true)] {
        let options = with_tls(&certificate, &key, SCRAM);
        let server = start(PostgresOptions { version: Some(version), ..options }).await;
        let config = at(&server, "localhost", "sslmode=require&sslnegotiation=direct");
        assert_eq!(both(&config).await.ok(), known.then_some(true), "{version}");
    }
}
