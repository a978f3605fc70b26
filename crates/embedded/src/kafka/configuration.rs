//! A broker's `server.properties`. In: the cluster's layout and the caller's options. Out: text. Never here: I/O.
//!
//! Source: Kafka manual, "Broker Configs" and "`KRaft`"; `listener.name.<name>.` prefixes from KIP-103, PEM stores from KIP-651.

use std::path::Path;

use super::{KafkaOptions, Listener, ListenerSecurity, SaslMechanism, SaslUser, TlsClientAuth};

const INTERNAL_PARTITIONS: &str = "5";

/// Ports of one broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ports {
    pub(super) plaintext: u16,
    pub(super) controller: u16,
    /// One for each of the caller's listeners, in their order.
    pub(super) others: Vec<u16>,
}

/// Everything a properties file is made from.
#[derive(Debug)]
pub(super) struct Cluster<'a> {
    pub(super) options: &'a KafkaOptions,
    /// Of broker 1, 2, …
    pub(super) ports: &'a [Ports],
}

impl Cluster<'_> {
    /// The properties file of one broker, numbered from 1, with its data below `folder`.
    pub(super) fn properties(&self, broker: usize, folder: &Path) -> String {
        let mut lines = self.fixed(broker, folder);
        for listener in &self.options.listeners {
            lines.extend(security(listener, &self.options.users, folder));
        }
        let of_caller = self.options.settings.iter();
        lines.extend(of_caller.map(|(name, value)| (name.clone(), value.clone())));
        // java.util.Properties takes the last of two lines with one name; a backslash begins an escape there.
        lines
            .iter()
            .map(|(name, value)| {
                [name, "=", &value.replace('\\', "\\\\").replace('\n', "\\n"), "\n"].concat()
            })
            .collect()
    }

    fn fixed(&self, broker: usize, folder: &Path) -> Vec<(String, String)> {
        let ports = &self.ports[broker - 1];
        let brokers = self.options.brokers;
        let voters: Vec<String> = (1..)
            .zip(self.ports)
            .map(|(id, ports)| format!("{id}@127.0.0.1:{}", ports.controller))
            .collect();
        let mut own = vec![format!("PLAINTEXT://127.0.0.1:{}", ports.plaintext)];
        let mut advertised = own.clone();
        let mut protocols =
            vec!["PLAINTEXT:PLAINTEXT".to_owned(), "CONTROLLER:PLAINTEXT".to_owned()];
        for (listener, port) in self.options.listeners.iter().zip(&ports.others) {
            let told = self.options.advertised.iter().find(|(name, _)| *name == listener.name);
            let told = told.map_or(*port, |(_, port)| *port);
            own.push(format!("{}://127.0.0.1:{port}", listener.name));
            advertised.push(format!("{}://127.0.0.1:{told}", listener.name));
            protocols.push(format!("{}:{}", listener.name, protocol(&listener.security)));
        }
        let advertised = advertised.join(",");
        let replicas = brokers.min(3).to_string();
        let in_sync = if brokers >= 3 { "2" } else { "1" };
        let data = folder.join("data").display().to_string();
        let broker = broker.to_string();
        let listeners = format!("{},CONTROLLER://127.0.0.1:{}", own.join(","), ports.controller);
        let (voters, protocols) = (voters.join(","), protocols.join(","));
        [
            ("process.roles", "broker,controller"),
            ("node.id", &broker),
            ("controller.quorum.voters", &voters),
            ("controller.listener.names", "CONTROLLER"),
            ("inter.broker.listener.name", "PLAINTEXT"),
            ("listeners", &listeners),
            ("advertised.listeners", &advertised),
            ("listener.security.protocol.map", &protocols),
            ("log.dirs", &data),
            ("default.replication.factor", &replicas),
            ("offsets.topic.num.partitions", INTERNAL_PARTITIONS),
            ("offsets.topic.replication.factor", &replicas),
            ("transaction.state.log.num.partitions", INTERNAL_PARTITIONS),
            ("transaction.state.log.replication.factor", &replicas),
            ("transaction.state.log.min.isr", in_sync),
            ("share.coordinator.state.topic.num.partitions", INTERNAL_PARTITIONS),
            ("share.coordinator.state.topic.replication.factor", &replicas),
            ("share.coordinator.state.topic.min.isr", in_sync),
            ("group.initial.rebalance.delay.ms", "0"),
            // A killed broker loses its leaderships after this time.
            ("broker.session.timeout.ms", "3000"),
            ("broker.heartbeat.interval.ms", "500"),
            // Transactions that nobody ends are looked for more often than every 10 s.
            ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "1000"),
            // The default of 128 MiB is half of our heap.
            ("log.cleaner.dedupe.buffer.size", "8388608"),
            // Each partition has two files of this size that are mapped into memory; some systems fill all of it at the first write.
            // 1 MiB is enough for 512 MiB of records.
            ("log.index.size.max.bytes", "1048576"),
            ("num.network.threads", "2"),
            ("num.io.threads", "4"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }
}

fn protocol(security: &ListenerSecurity) -> &'static str {
    match security {
        ListenerSecurity::Plaintext => "PLAINTEXT",
        ListenerSecurity::Ssl(_) => "SSL",
        ListenerSecurity::SaslPlaintext(_) => "SASL_PLAINTEXT",
        ListenerSecurity::SaslSsl(..) => "SASL_SSL",
    }
}

/// The lines of one listener, each under its prefix.
fn security(listener: &Listener, users: &[SaslUser], folder: &Path) -> Vec<(String, String)> {
    let prefix = format!("listener.name.{}.", listener.name.to_lowercase());
    let mut lines = Vec::new();
    let (tls, mechanisms) = match &listener.security {
        ListenerSecurity::Plaintext => (None, None),
        ListenerSecurity::Ssl(tls) => (Some(tls), None),
        ListenerSecurity::SaslPlaintext(mechanisms) => (None, Some(mechanisms)),
        ListenerSecurity::SaslSsl(mechanisms, tls) => (Some(tls), Some(mechanisms)),
    };
    if let Some(tls) = tls {
        let client_auth = match tls.client_auth {
            TlsClientAuth::None => "none",
            TlsClientAuth::Required => "required",
        };
        lines.extend([
            ("ssl.keystore.type".to_owned(), "PEM".to_owned()),
            ("ssl.keystore.location".to_owned(), store(folder, listener, "keystore")),
            ("ssl.truststore.type".to_owned(), "PEM".to_owned()),
            ("ssl.truststore.location".to_owned(), store(folder, listener, "truststore")),
            ("ssl.client.auth".to_owned(), client_auth.to_owned()),
        ]);
    }
    if let Some(mechanisms) = mechanisms {
        let names: Vec<&str> = mechanisms.iter().map(|mechanism| mechanism.as_str()).collect();
        lines.push(("sasl.enabled.mechanisms".to_owned(), names.join(",")));
        lines.extend(mechanisms.iter().map(|mechanism| login(*mechanism, users)));
    }
    lines.extend(listener.settings.iter().cloned());
    lines.into_iter().map(|(name, value)| (format!("{prefix}{name}"), value)).collect()
}

/// Path of a listener's store: `keystore` or `truststore`.
pub(super) fn store(folder: &Path, listener: &Listener, kind: &str) -> String {
    folder.join(format!("{}.{kind}.pem", listener.name.to_lowercase())).display().to_string()
}

fn login(mechanism: SaslMechanism, users: &[SaslUser]) -> (String, String) {
    const SECURITY: &str = "org.apache.kafka.common.security";
    let module = match mechanism {
        SaslMechanism::Plain => {
            let known: String = users
                .iter()
                .map(|user| [" user_", &user.name, "=\"", &user.password, "\""].concat())
                .collect();
            format!("{SECURITY}.plain.PlainLoginModule required{known};")
        }
        SaslMechanism::ScramSha256 | SaslMechanism::ScramSha512 => {
            format!("{SECURITY}.scram.ScramLoginModule required;")
        }
        SaslMechanism::OAuthBearer => {
            format!(
                "{SECURITY}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";"
            )
        }
    };
    (format!("{}.sasl.jaas.config", mechanism.as_str().to_lowercase()), module)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(options: &KafkaOptions) -> String {
        let ports: Vec<Ports> = (20..)
            .take(options.brokers)
            .map(|controller| Ports { plaintext: 10, controller, others: vec![30] })
            .collect();
        Cluster { options, ports: &ports }.properties(1, Path::new("/d"))
    }

    #[test]
    fn one_broker_replicates_internal_topics_once_and_three_thrice() {
        assert!(text(&KafkaOptions::default()).contains("state.log.replication.factor=1\n"));
        let three = text(&KafkaOptions { brokers: 3, ..KafkaOptions::default() });
        assert!(three.contains("transaction.state.log.replication.factor=3\n"), "{three}");
        assert!(
            three.contains(
                "controller.quorum.voters=1@127.0.0.1:20,2@127.0.0.1:21,3@127.0.0.1:22\n"
            )
        );
    }

    #[test]
    fn clients_are_told_the_port_of_what_stands_before_a_listener() {
        let listener = Listener {
            name: "BEHIND".to_owned(),
            security: ListenerSecurity::Plaintext,
            settings: Vec::new(),
        };
        let text = text(&KafkaOptions {
            listeners: vec![listener],
            advertised: vec![("BEHIND".to_owned(), 77)],
            ..KafkaOptions::default()
        });
        assert!(
            text.contains("\nlisteners=PLAINTEXT://127.0.0.1:10,BEHIND://127.0.0.1:30,CONTROLLER"),
            "{text}"
        );
        assert!(
            text.contains("advertised.listeners=PLAINTEXT://127.0.0.1:10,BEHIND://127.0.0.1:77\n"),
            "{text}"
        );
    }

    #[test]
    fn a_sasl_listener_knows_its_users() {
        let options = KafkaOptions {
            listeners: vec![Listener {
                name: "INSIDE".to_owned(),
                security: ListenerSecurity::SaslPlaintext(vec![SaslMechanism::Plain]),
                settings: Vec::new(),
            }],
            users: vec![SaslUser { name: "alice".to_owned(), password: "secret".to_owned() }],
            ..KafkaOptions::default()
        };
        let text = text(&options);
        assert!(text.contains("INSIDE://127.0.0.1:30,CONTROLLER"), "{text}");
        assert!(text.contains("listener.name.inside.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_alice=\"secret\";\n"));
    }
}
