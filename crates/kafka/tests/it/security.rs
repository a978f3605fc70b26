//! Every way in: TLS, mutual TLS, PLAIN, SCRAM, OAUTHBEARER, by the names users write.

use std::{collections::BTreeMap, sync::OnceLock};

use embedded::{
    Kafka, KafkaOptions, Listener, ListenerSecurity, SaslMechanism, SaslUser, TlsClientAuth,
    TlsFiles,
};
use kafka::{Class, Client, ClientConfig, HerokuKafka, Isolation, KafkaError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::fixture::{Shared, producer, read_all, start, topic, transaction, unique, values};

/// An authority, a broker's certificate for 127.0.0.1, another one for no name of ours, and a client's.
struct Certificates {
    authority: String,
    broker: (String, String),
    stranger: (String, String),
    client: (String, String),
}

fn certificates() -> &'static Certificates {
    static MADE: OnceLock<Certificates> = OnceLock::new();
    MADE.get_or_init(|| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let issue = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            (params.signed_by(&key, &authority).unwrap().pem(), key.serialize_pem())
        };
        Certificates {
            authority: authority.pem(),
            broker: issue("127.0.0.1"),
            stranger: issue("ec2-1-2-3-4.compute.example"),
            client: issue("client"),
        }
    })
}

fn files((certificate, key): &(String, String), client_auth: TlsClientAuth) -> TlsFiles {
    TlsFiles {
        certificate_chain_pem: certificate.clone(),
        private_key_pem: key.clone(),
        trusted_pem: certificates().authority.clone(),
        client_auth,
    }
}

fn broker() -> &'static Kafka {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    let all = vec![SaslMechanism::Plain, SaslMechanism::ScramSha256, SaslMechanism::ScramSha512];
    let made = certificates();
    let tls = ListenerSecurity::Ssl(files(&made.broker, TlsClientAuth::None));
    let mutual = ListenerSecurity::Ssl(files(&made.broker, TlsClientAuth::Required));
    let heroku = ListenerSecurity::Ssl(files(&made.stranger, TlsClientAuth::Required));
    let sasl_tls = ListenerSecurity::SaslSsl(all.clone(), files(&made.broker, TlsClientAuth::None));
    let oauth = ListenerSecurity::SaslPlaintext(vec![SaslMechanism::OAuthBearer]);
    let listener =
        |name: &str, security| Listener { name: name.into(), security, settings: Vec::new() };
    let options = KafkaOptions {
        listeners: vec![
            listener("TLS", tls),
            listener("MUTUAL", mutual),
            listener("HEROKU", heroku),
            listener("SASLTLS", sasl_tls),
            listener("OAUTH", oauth),
        ],
        users: vec![SaslUser { name: "alice".into(), password: "p-w_1.x".into() }],
        ..KafkaOptions::default()
    };
    &SHARED.get_or_init(|| start(options)).kafka
}

fn properties(listener: &str, pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut map: BTreeMap<String, String> =
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    // Five brokers may be starting at this moment.
    map.insert("socket.connection.setup.timeout.ms".into(), "60000".into());
    map.insert("bootstrap.servers".into(), broker().bootstrap_of(listener).unwrap());
    map
}

async fn connect(listener: &str, pairs: &[(&str, &str)]) -> Result<Client, KafkaError> {
    Client::connect(ClientConfig::from_properties(&properties(listener, pairs)).unwrap()).await
}

/// Writes and reads over `client`: every kind of connection it opens works.
async fn round_trip(client: &Client, name: &str) {
    let orders = topic(client, name, 1, &[]).await;
    let mut producer = producer(client, &unique(name)).await;
    producer.commit(transaction(&orders, &[("k", "v")])).await.unwrap();
    assert_eq!(values(&read_all(client, &orders, Isolation::ReadCommitted).await), ["v"]);
}

fn jaas(module: &str, password: &str) -> String {
    format!(
        "org.apache.kafka.common.security.{module} required username=\"alice\" password=\"{password}\";"
    )
}

fn cause(error: &KafkaError) -> &KafkaError {
    match error {
        KafkaError::NoBroker { source, .. } => source,
        other => other,
    }
}

#[tokio::test]
async fn tls_trusts_the_authority_it_is_given_and_no_other() {
    let trusted = [
        ("security.protocol", "SSL"),
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.certificates", &certificates().authority),
    ];
    round_trip(&connect("TLS", &trusted).await.unwrap(), "tls").await;
    let error = connect("TLS", &[("security.protocol", "SSL")]).await.unwrap_err();
    assert_eq!((cause(&error).code(), error.class()), ("KA011", Class::Definite), "{error:?}");
    assert!(cause(&error).to_string().contains("ssl.truststore"), "{error:?}");
}

#[tokio::test]
async fn mutual_tls_shows_our_certificate_from_text_or_one_file() {
    let made = certificates();
    let base = [
        ("security.protocol", "SSL"),
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.certificates", made.authority.as_str()),
        ("ssl.keystore.type", "PEM"),
    ];
    let mut text = base.to_vec();
    text.extend([
        ("ssl.keystore.certificate.chain", made.client.0.as_str()),
        ("ssl.keystore.key", &made.client.1),
    ]);
    round_trip(&connect("MUTUAL", &text).await.unwrap(), "mutual").await;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client.pem");
    std::fs::write(&path, format!("{}{}", made.client.1, made.client.0)).unwrap();
    let mut file = base.to_vec();
    file.push(("ssl.keystore.location", path.to_str().unwrap()));
    round_trip(&connect("MUTUAL", &file).await.unwrap(), "mutual-file").await;

    let error = connect("MUTUAL", &base).await.unwrap_err();
    assert_eq!(cause(&error).code(), "KA011", "{error:?}");
    assert!(cause(&error).to_string().contains("client certificate"), "{error:?}");
}

#[tokio::test]
async fn a_host_name_that_differs_is_refused_unless_it_is_switched_off() {
    let made = certificates();
    let mut pairs = vec![
        ("security.protocol", "SSL"),
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.certificates", made.authority.as_str()),
        ("ssl.keystore.type", "PEM"),
        ("ssl.keystore.certificate.chain", &made.client.0),
        ("ssl.keystore.key", &made.client.1),
    ];
    let error = connect("HEROKU", &pairs).await.unwrap_err();
    assert!(
        cause(&error).to_string().contains("ssl.endpoint.identification.algorithm"),
        "{error:?}"
    );
    pairs.push(("ssl.endpoint.identification.algorithm", ""));
    round_trip(&connect("HEROKU", &pairs).await.unwrap(), "any-name").await;
    pairs[2].1 = &made.client.0;
    let error = connect("HEROKU", &pairs).await.unwrap_err();
    assert_eq!(cause(&error).code(), "KA011", "any name, but not any authority: {error:?}");
}

#[tokio::test]
async fn the_variables_of_heroku_are_enough() {
    let made = certificates();
    let url = format!("kafka+ssl://{}", broker().bootstrap_of("HEROKU").unwrap());
    let config = ClientConfig::from_heroku(&HerokuKafka {
        url: &url,
        client_cert: Some(&made.client.0),
        client_cert_key: Some(&made.client.1),
        trusted_cert: Some(&made.authority),
    });
    round_trip(&Client::connect(config.unwrap()).await.unwrap(), "heroku").await;
}

#[tokio::test]
async fn a_certificate_trusted_by_itself_needs_no_authority() {
    let made = certificates();
    let pairs = [
        ("security.protocol", "SSL"),
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.certificates", made.broker.0.as_str()),
    ];
    round_trip(&connect("TLS", &pairs).await.unwrap(), "pinned").await;
}

#[tokio::test]
async fn passwords_log_in_by_plain_and_scram_over_tls() {
    for (mechanism, module) in [
        ("PLAIN", "plain.PlainLoginModule"),
        ("SCRAM-SHA-256", "scram.ScramLoginModule"),
        ("SCRAM-SHA-512", "scram.ScramLoginModule"),
    ] {
        let right = jaas(module, "p-w_1.x");
        let wrong = jaas(module, "hunter2");
        let mut pairs = vec![
            ("security.protocol", "SASL_SSL"),
            ("ssl.truststore.type", "PEM"),
            ("ssl.truststore.certificates", certificates().authority.as_str()),
            ("sasl.mechanism", mechanism),
            ("sasl.jaas.config", &right),
        ];
        round_trip(&connect("SASLTLS", &pairs).await.unwrap(), "password").await;
        pairs[4].1 = &wrong;
        let error = connect("SASLTLS", &pairs).await.unwrap_err();
        assert_eq!((cause(&error).code(), error.class()), ("KA012", Class::Definite), "{error:?}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

#[tokio::test]
async fn a_token_logs_in_from_a_file_or_unsigned_and_a_bad_one_does_not() {
    let unsigned = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"alice\";";
    let base = [("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "OAUTHBEARER")];
    let mut pairs = base.to_vec();
    pairs.push(("sasl.jaas.config", unsigned));
    round_trip(&connect("OAUTH", &pairs).await.unwrap(), "token").await;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    // {"alg":"none"}.{"sub":"alice","iat":1700000000,"exp":4000000000}.
    std::fs::write(
        &path,
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjo0MDAwMDAwMDAwfQ.\n",
    )
    .unwrap();
    let url = format!("file://{}", path.display());
    let mut pairs = base.to_vec();
    pairs.push(("sasl.oauthbearer.token.endpoint.url", &url));
    round_trip(&connect("OAUTH", &pairs).await.unwrap(), "token-file").await;

    let mut pairs = base.to_vec();
    pairs.push(("sasl.oauthbearer.token", "not.a.token"));
    let error = connect("OAUTH", &pairs).await.unwrap_err();
    assert_eq!(cause(&error).code(), "KA012", "{error:?}");
}

#[tokio::test]
async fn the_wrong_protocol_on_a_port_says_where_to_look() {
    let error = connect("TLS", &[]).await.unwrap_err();
    assert!(cause(&error).to_string().contains("security.protocol"), "{error:?}");
    let plaintext = format!("kafka+ssl://{}", broker().bootstrap());
    let mut config = ClientConfig::from_url(&plaintext).unwrap();
    config.connect_timeout = std::time::Duration::from_secs(3);
    let error = Client::connect(config).await.unwrap_err();
    assert!(matches!(cause(&error).code(), "KA010" | "KA011"), "{error:?}");
}
