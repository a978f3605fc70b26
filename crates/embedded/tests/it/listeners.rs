//! Listeners with TLS and SASL take the clients they should, as seen by Kafka's own tool.

use std::{fs, path::Path};

use embedded::{
    Kafka, KafkaOptions, Listener, ListenerSecurity, SaslMechanism, SaslUser, Silent,
    TlsClientAuth, TlsFiles,
};
use rcgen::{CertificateParams, KeyPair};

use crate::kafka::tool;

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";

fn certificate() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// Lists topics over one listener with a client's properties.
fn list(kafka: &Kafka, folder: &Path, listener: &str, properties: &str) {
    let file = folder.join("client.properties");
    fs::write(&file, properties).unwrap();
    let bootstrap = kafka.bootstrap_of(listener).unwrap();
    let file = file.to_str().unwrap();
    tool(kafka, TOPICS, &["--bootstrap-server", &bootstrap, "--command-config", file, "--list"]);
}

#[tokio::test]
async fn tls_and_scram_listeners_accept_clients_with_the_right_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate();
    let trusted = folder.path().join("trusted.pem");
    fs::write(&trusted, &certificate).unwrap();
    let store = folder.path().join("client.pem");
    fs::write(&store, format!("{key}{certificate}")).unwrap();
    let tls = |client_auth| TlsFiles {
        certificate_chain_pem: certificate.clone(),
        private_key_pem: key.clone(),
        trusted_pem: certificate.clone(),
        client_auth,
    };
    let mechanisms = vec![SaslMechanism::ScramSha512, SaslMechanism::Plain];
    let listener =
        |name: &str, security| Listener { name: name.to_owned(), security, settings: Vec::new() };
    let options = KafkaOptions {
        listeners: vec![
            listener("MUTUAL", ListenerSecurity::Ssl(tls(TlsClientAuth::Required))),
            listener("SECRET", ListenerSecurity::SaslSsl(mechanisms, tls(TlsClientAuth::None))),
        ],
        users: vec![SaslUser { name: "alice".to_owned(), password: "wonder-1".to_owned() }],
        ..KafkaOptions::default()
    };
    let kafka = Kafka::start(options, &Silent).await.unwrap();
    let trust = format!("ssl.truststore.type=PEM\nssl.truststore.location={}\n", trusted.display());
    list(
        &kafka,
        folder.path(),
        "MUTUAL",
        &format!(
            "security.protocol=SSL\n{trust}ssl.keystore.type=PEM\nssl.keystore.location={}\n",
            store.display()
        ),
    );
    for (mechanism, module) in
        [("SCRAM-SHA-512", "scram.ScramLoginModule"), ("PLAIN", "plain.PlainLoginModule")]
    {
        list(
            &kafka,
            folder.path(),
            "SECRET",
            &format!(
                "security.protocol=SASL_SSL\n{trust}sasl.mechanism={mechanism}\n\
                 sasl.jaas.config=org.apache.kafka.common.security.{module} required username=\"alice\" password=\"wonder-1\";\n"
            ),
        );
    }
    kafka.stop().await.unwrap();
}
