//! Every property name of the Java producer and what becomes of it here.
//!
//! In: a name. Out: its [`Handling`], or the nearest known name. Never here: values' meaning; that is
//! `properties.rs`. Source: Kafka 4.3 documentation, "Producer Configs", `SslConfigs`, `SaslConfigs`.

/// What becomes of a property.
#[derive(Clone, Copy, Debug)]
pub(super) enum Handling {
    /// It does here what it does in Java.
    Supported,
    /// It is accepted and needs nothing; why.
    Unneeded(&'static str),
    /// Only these values can be honoured; why, and what to do instead.
    Only(&'static [&'static str], &'static str, &'static str),
    /// It cannot be honoured; why, and what to do instead.
    Refused(&'static str, &'static str),
}

use Handling::{Only, Refused, Supported, Unneeded};

const NO_RETRY: &str = "a request is never retried: any failure starts over from the checkpoint";
const NO_JAVA: &str = "it names a Java class";
const NO_KERBEROS: &str = "Kerberos (GSSAPI) is not built in";
const USE_OTHER_SASL: &str =
    "use SCRAM-SHA-512, PLAIN over TLS, OAUTHBEARER or a client certificate";
const NO_OIDC: &str = "tokens are not fetched from an identity provider";
const USE_TOKEN_FILE: &str =
    "let a helper keep a token file fresh and set sasl.oauthbearer.token.endpoint.url=file:///path";
const RUSTLS: &str = "rustls chooses its protocols (1.2 and 1.3) and cipher suites; all are safe";
const NO_JMX: &str = "metrics are ours, not JMX's";
const TOKEN_REFRESH: &str = "a token is fetched for every connection";

/// Name and handling, in the order of the documentation.
pub(super) const CATALOG: &[(&str, Handling)] = &[
    ("bootstrap.servers", Supported),
    ("client.id", Supported),
    ("security.protocol", Supported),
    ("request.timeout.ms", Supported),
    ("default.api.timeout.ms", Supported),
    ("metadata.max.age.ms", Supported),
    ("socket.connection.setup.timeout.ms", Supported),
    (
        "socket.connection.setup.timeout.max.ms",
        Unneeded("one attempt per address; backoff is the connector's"),
    ),
    ("fetch.max.bytes", Supported),
    // Producing.
    ("acks", Supported),
    ("batch.size", Supported),
    ("max.request.size", Supported),
    ("compression.type", Supported),
    ("compression.gzip.level", Supported),
    ("compression.zstd.level", Supported),
    ("compression.lz4.level", Unneeded("LZ4 has one mode here, the fast one")),
    ("transaction.timeout.ms", Supported),
    ("max.block.ms", Supported),
    ("max.in.flight.requests.per.connection", Supported),
    (
        "enable.idempotence",
        Only(
            &["true"],
            "transactions need it",
            "remove it, or set delivery.guarantee=at_least_once",
        ),
    ),
    (
        "linger.ms",
        Unneeded("batches are closed by the commit; when to commit is the connector's setting"),
    ),
    ("delivery.timeout.ms", Unneeded(NO_RETRY)),
    ("retries", Unneeded(NO_RETRY)),
    ("retry.backoff.ms", Unneeded(NO_RETRY)),
    ("retry.backoff.max.ms", Unneeded(NO_RETRY)),
    ("buffer.memory", Unneeded("memory is bounded by the size of a transaction")),
    (
        "transactional.id",
        Refused(
            "the connector derives it from its name, so that a second copy is fenced",
            "remove it",
        ),
    ),
    (
        "transaction.two.phase.commit.enable",
        Only(
            &["false"],
            "the source can be replayed, so no prepared transactions are needed",
            "remove it",
        ),
    ),
    ("key.serializer", Unneeded("converters decide the bytes")),
    ("value.serializer", Unneeded("converters decide the bytes")),
    (
        "partitioner.class",
        Only(
            &["", "org.apache.kafka.clients.producer.internals.DefaultPartitioner"],
            NO_JAVA,
            "remove it: keys go where Java's default partitioner puts them",
        ),
    ),
    ("partitioner.ignore.keys", Only(&["false"], "order per key would be lost", "remove it")),
    (
        "partitioner.adaptive.partitioning.enable",
        Unneeded("records without a key change partition with every batch"),
    ),
    (
        "partitioner.availability.timeout.ms",
        Unneeded("records without a key change partition with every batch"),
    ),
    ("interceptor.classes", Only(&[""], NO_JAVA, "remove it")),
    // Connections.
    (
        "client.dns.lookup",
        Only(&["use_all_dns_ips", "default"], "every address of a name is tried", "remove it"),
    ),
    ("connections.max.idle.ms", Unneeded("a connection the broker closed is opened again")),
    ("reconnect.backoff.ms", Unneeded("backoff is the connector's")),
    ("reconnect.backoff.max.ms", Unneeded("backoff is the connector's")),
    ("send.buffer.bytes", Unneeded("the operating system sizes socket buffers")),
    ("receive.buffer.bytes", Unneeded("the operating system sizes socket buffers")),
    ("metadata.max.idle.ms", Unneeded("metadata is kept for the topics in use only")),
    ("metadata.recovery.strategy", Unneeded("the bootstrap servers are always tried again")),
    (
        "metadata.recovery.rebootstrap.trigger.ms",
        Unneeded("the bootstrap servers are always tried again"),
    ),
    // Metrics.
    ("metric.reporters", Unneeded(NO_JMX)),
    ("metrics.num.samples", Unneeded(NO_JMX)),
    ("metrics.recording.level", Unneeded(NO_JMX)),
    ("metrics.sample.window.ms", Unneeded(NO_JMX)),
    ("auto.include.jmx.reporter", Unneeded(NO_JMX)),
    ("enable.metrics.push", Unneeded("metrics are not pushed to the broker")),
    // TLS.
    (
        "ssl.truststore.type",
        Only(
            &["PEM"],
            "Java key stores are not read",
            "export it: keytool -importkeystore -deststoretype PKCS12 …, then openssl pkcs12 -in … -out trusted.pem, and set ssl.truststore.type=PEM",
        ),
    ),
    ("ssl.truststore.certificates", Supported),
    ("ssl.truststore.location", Supported),
    ("ssl.truststore.password", Unneeded("PEM trust stores have no password")),
    (
        "ssl.keystore.type",
        Only(
            &["PEM"],
            "Java key stores are not read",
            "export it: keytool -importkeystore -deststoretype PKCS12 …, then openssl pkcs12 -nodes -in … -out client.pem, and set ssl.keystore.type=PEM",
        ),
    ),
    ("ssl.keystore.certificate.chain", Supported),
    ("ssl.keystore.key", Supported),
    ("ssl.keystore.location", Supported),
    ("ssl.keystore.password", Unneeded("PEM key stores have no password")),
    (
        "ssl.key.password",
        Only(
            &[""],
            "encrypted private keys are not read",
            "decrypt it: openssl pkey -in encrypted.pem -out key.pem",
        ),
    ),
    ("ssl.endpoint.identification.algorithm", Supported),
    ("ssl.protocol", Unneeded(RUSTLS)),
    ("ssl.enabled.protocols", Unneeded(RUSTLS)),
    ("ssl.cipher.suites", Unneeded(RUSTLS)),
    ("ssl.provider", Unneeded(RUSTLS)),
    ("ssl.keymanager.algorithm", Unneeded(RUSTLS)),
    ("ssl.trustmanager.algorithm", Unneeded(RUSTLS)),
    ("ssl.secure.random.implementation", Unneeded(RUSTLS)),
    ("ssl.engine.factory.class", Only(&[""], NO_JAVA, "remove it")),
    ("security.providers", Only(&[""], NO_JAVA, "remove it")),
    // SASL.
    ("sasl.mechanism", Supported),
    ("sasl.jaas.config", Supported),
    ("sasl.oauthbearer.token", Supported),
    ("sasl.oauthbearer.token.endpoint.url", Supported),
    ("sasl.login.class", Only(&[""], NO_JAVA, "remove it")),
    (
        "sasl.login.callback.handler.class",
        Only(
            &[
                "",
                "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler",
                "org.apache.kafka.common.security.oauthbearer.secured.OAuthBearerLoginCallbackHandler",
            ],
            NO_JAVA,
            USE_TOKEN_FILE,
        ),
    ),
    ("sasl.client.callback.handler.class", Only(&[""], NO_JAVA, USE_OTHER_SASL)),
    ("sasl.login.refresh.window.factor", Unneeded(TOKEN_REFRESH)),
    ("sasl.login.refresh.window.jitter", Unneeded(TOKEN_REFRESH)),
    ("sasl.login.refresh.min.period.seconds", Unneeded(TOKEN_REFRESH)),
    ("sasl.login.refresh.buffer.seconds", Unneeded(TOKEN_REFRESH)),
    ("sasl.login.connect.timeout.ms", Unneeded(TOKEN_REFRESH)),
    ("sasl.login.read.timeout.ms", Unneeded(TOKEN_REFRESH)),
    ("sasl.login.retry.backoff.ms", Unneeded(TOKEN_REFRESH)),
    ("sasl.login.retry.backoff.max.ms", Unneeded(TOKEN_REFRESH)),
    ("sasl.oauthbearer.scope.claim.name", Unneeded("the broker reads the token")),
    ("sasl.oauthbearer.sub.claim.name", Unneeded("the broker reads the token")),
    ("sasl.oauthbearer.clock.skew.seconds", Unneeded("the broker checks the token")),
    ("sasl.oauthbearer.expected.audience", Unneeded("the broker checks the token")),
    ("sasl.oauthbearer.expected.issuer", Unneeded("the broker checks the token")),
    ("sasl.oauthbearer.header.urlencode", Refused(NO_OIDC, USE_TOKEN_FILE)),
    ("sasl.oauthbearer.scope", Refused(NO_OIDC, USE_TOKEN_FILE)),
    ("sasl.oauthbearer.client.credentials.client.id", Refused(NO_OIDC, USE_TOKEN_FILE)),
    ("sasl.oauthbearer.client.credentials.client.secret", Refused(NO_OIDC, USE_TOKEN_FILE)),
    ("sasl.oauthbearer.assertion.algorithm", Refused(NO_OIDC, USE_TOKEN_FILE)),
    ("sasl.oauthbearer.assertion.claim.aud", Refused(NO_OIDC, USE_TOKEN_FILE)),
    ("sasl.oauthbearer.assertion.claim.exp.seconds", Refused(NO_OIDC, USE_TOKEN_FILE)),
    ("sasl.oauthbearer.assertion.claim.iss", Refused(NO_OIDC, USE_TOKEN_FILE)),
    ("sasl.oauthbearer.assertion.claim.jti.include", Refused(NO_OIDC, USE_TOKEN_FILE)),
    ("sasl.oauthbearer.assertion.claim.nbf.seconds", Refused(NO_OIDC, USE_TOKEN_FILE)),
    ("sasl.oauthbearer.assertion.claim.sub", Refused(NO_OIDC, USE_TOKEN_FILE)),
    ("sasl.oauthbearer.assertion.file", Refused(NO_OIDC, USE_TOKEN_FILE)),
    ("sasl.oauthbearer.assertion.private.key.file", Refused(NO_OIDC, USE_TOKEN_FILE)),
    ("sasl.oauthbearer.assertion.private.key.passphrase", Refused(NO_OIDC, USE_TOKEN_FILE)),
    ("sasl.oauthbearer.assertion.template.file", Refused(NO_OIDC, USE_TOKEN_FILE)),
    ("sasl.oauthbearer.jwks.endpoint.url", Refused(NO_OIDC, USE_TOKEN_FILE)),
    ("sasl.oauthbearer.jwks.endpoint.refresh.ms", Refused(NO_OIDC, USE_TOKEN_FILE)),
    ("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", Refused(NO_OIDC, USE_TOKEN_FILE)),
    ("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", Refused(NO_OIDC, USE_TOKEN_FILE)),
    (
        "sasl.oauthbearer.jwt.retriever.class",
        Only(
            &["", "org.apache.kafka.common.security.oauthbearer.FileJwtRetriever"],
            NO_JAVA,
            USE_TOKEN_FILE,
        ),
    ),
    (
        "sasl.oauthbearer.jwt.validator.class",
        Only(&[""], NO_JAVA, "remove it: the broker checks the token"),
    ),
    ("sasl.kerberos.service.name", Refused(NO_KERBEROS, USE_OTHER_SASL)),
    ("sasl.kerberos.kinit.cmd", Refused(NO_KERBEROS, USE_OTHER_SASL)),
    ("sasl.kerberos.ticket.renew.window.factor", Refused(NO_KERBEROS, USE_OTHER_SASL)),
    ("sasl.kerberos.ticket.renew.jitter", Refused(NO_KERBEROS, USE_OTHER_SASL)),
    ("sasl.kerberos.min.time.before.relogin", Refused(NO_KERBEROS, USE_OTHER_SASL)),
];

/// What becomes of `name`; `None` if nobody knows it.
pub(super) fn handling(name: &str) -> Option<Handling> {
    CATALOG.iter().find(|(known, _)| *known == name).map(|(_, handling)| *handling)
}

/// The known name with the fewest edits to `name`, if at most half of it differs.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    CATALOG
        .iter()
        .map(|(known, _)| (edits(name, known), *known))
        .min()
        .filter(|(edits, _)| *edits * 2 <= name.len())
        .map(|(_, known)| known)
}

/// Levenshtein distance in bytes.
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.bytes().enumerate() {
            let substitution = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_leads_to_the_name_that_was_meant() {
        for (typed, meant) in [
            ("bootstrap.server", "bootstrap.servers"),
            ("compresion.type", "compression.type"),
            ("sasl.mechanisms", "sasl.mechanism"),
        ] {
            assert_eq!(nearest(typed), Some(meant));
        }
        assert_eq!(nearest("zzz"), None);
    }

    #[test]
    fn no_name_is_listed_twice() {
        let mut names: Vec<_> = CATALOG.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before);
    }
}
