//! From the startup message to `ReadyForQuery`: who we are, and the proof.
//!
//! In: a connected [`Wire`]. Out: a [`Session`]. The password leaves this machine in the clear only inside TLS.
//! Source: PostgreSQL manual, "Start-up" and "SASL Authentication"; RFC 5802; RFC 7677.

use postgres_protocol::authentication::{md5_hash, sasl};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;

use super::wire::{server_error, unexpected};
use super::{Purpose, Session, SessionFacts, Wire};
use crate::sqlstate::startup_error;
use crate::{ChannelBinding, ConnectionConfig, PostgresError};

/// Settings of every session, so that pgoutput text and COPY text are the same values whatever the server's defaults,
/// and so that no timeout meant for applications ends a long COPY or an exported snapshot.
const SETTINGS: [(&str, &str); 11] = [
    ("client_encoding", "UTF8"),
    ("client_min_messages", "warning"),
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    ("lc_monetary", "C"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
];

const DURING: &str = "logging in";

/// Starts a session on a fresh connection.
pub(super) async fn start(
    mut wire: Wire,
    config: &ConnectionConfig,
    purpose: Purpose,
    address: String,
) -> Result<Session, PostgresError> {
    let parameters = startup_parameters(config, purpose);
    wire.send(|buffer| frontend::startup_message(parameters, buffer)).await?;
    let mut login = Login { wire, config, address };
    login.prove().await?;
    login.finish().await
}

fn startup_parameters(
    config: &ConnectionConfig,
    purpose: Purpose,
) -> impl Iterator<Item = (&str, &str)> {
    let replication = (purpose == Purpose::Replication).then_some(("replication", "database"));
    let options = config.options.as_deref().map(|options| ("options", options));
    [
        ("user", config.user.as_str()),
        ("database", config.dbname()),
        ("application_name", config.application_name.as_str()),
    ]
    .into_iter()
    .chain(replication)
    .chain(SETTINGS)
    .chain(options)
}

struct Login<'a> {
    wire: Wire,
    config: &'a ConnectionConfig,
    address: String,
}

impl Login<'_> {
    /// Answers whatever the server asks for, until it is content.
    async fn prove(&mut self) -> Result<(), PostgresError> {
        let asked = self.message().await?;
        match asked {
            Message::AuthenticationOk => return self.binding_not_needed(),
            Message::AuthenticationCleartextPassword => self.cleartext().await?,
            Message::AuthenticationMd5Password(body) => {
                self.binding_not_needed()?;
                let user = self.config.user.as_bytes();
                let hash = md5_hash(user, self.password()?.as_bytes(), body.salt());
                self.wire
                    .send(|buffer| frontend::password_message(hash.as_bytes(), buffer))
                    .await?;
            }
            Message::AuthenticationSasl(body) => self.scram(&body).await?,
            Message::AuthenticationKerberosV5 => return Err(self.unsupported("Kerberos V5")),
            Message::AuthenticationScmCredential => return Err(self.unsupported("SCM credentials")),
            Message::AuthenticationGss => return Err(self.unsupported("GSSAPI")),
            Message::AuthenticationSspi => return Err(self.unsupported("SSPI")),
            _ => return Err(unexpected("authentication")),
        }
        match self.message().await? {
            Message::AuthenticationOk => Ok(()),
            _ => Err(unexpected("the end of authentication")),
        }
    }

    /// Collects what the server tells about itself until it is ready.
    async fn finish(mut self) -> Result<Session, PostgresError> {
        let mut parameters = Vec::new();
        let (mut backend_pid, mut secret_key) = (0, 0);
        loop {
            match self.message().await? {
                Message::ParameterStatus(body) => {
                    let malformed = |_| unexpected("ParameterStatus");
                    let name = body.name().map_err(malformed)?.to_owned();
                    parameters.push((name, body.value().map_err(malformed)?.to_owned()));
                }
                Message::BackendKeyData(body) => {
                    backend_pid = body.process_id();
                    secret_key = body.secret_key();
                }
                Message::ReadyForQuery(_) => break,
                _ => return Err(unexpected("the end of start-up")),
            }
        }
        let version = parameters.iter().find(|(name, _)| name == "server_version");
        let server_version = version.map_or_else(String::new, |(_, value)| value.clone());
        let facts = SessionFacts {
            server_version_num: version_num(&server_version),
            server_version,
            backend_pid,
            secret_key,
            address: self.address,
            parameters,
        };
        Ok(Session { wire: self.wire, facts, config: self.config.clone() })
    }

    async fn cleartext(&mut self) -> Result<(), PostgresError> {
        self.binding_not_needed()?;
        if !self.wire.stream.is_private() {
            return Err(PostgresError::CleartextRefused { address: self.address.clone() });
        }
        let password = self.password()?;
        self.wire.send(|buffer| frontend::password_message(password.as_bytes(), buffer)).await
    }

    async fn scram(&mut self, offered: &AuthenticationSaslBody) -> Result<(), PostgresError> {
        let (mechanism, binding) = self.mechanism(offered)?;
        let password = self.password()?;
        let mut scram = sasl::ScramSha256::new(password.as_bytes(), binding);
        let first = scram.message().to_vec();
        self.wire.send(|buffer| frontend::sasl_initial_response(mechanism, &first, buffer)).await?;
        let Message::AuthenticationSaslContinue(challenge) = self.message().await? else {
            return Err(unexpected("SCRAM"));
        };
        let address = self.address.clone();
        let failed = |source| PostgresError::Scram { address: address.clone(), source };
        scram.update(challenge.data()).map_err(failed)?;
        let proof = scram.message().to_vec();
        self.wire.send(|buffer| frontend::sasl_response(&proof, buffer)).await?;
        let Message::AuthenticationSaslFinal(verdict) = self.message().await? else {
            return Err(unexpected("SCRAM"));
        };
        scram.finish(verdict.data()).map_err(failed)
    }

    /// The strongest mechanism both sides have, and what binds it to the channel.
    ///
    /// Where we could bind and the server does not offer it, SCRAM says so (`y,,`): a server that did offer it then knows
    /// that somebody in between struck the offer out.
    fn mechanism(
        &self,
        offered: &AuthenticationSaslBody,
    ) -> Result<(&'static str, sasl::ChannelBinding), PostgresError> {
        use fallible_iterator::FallibleIterator as _;
        let mut names = Vec::new();
        let mut mechanisms = offered.mechanisms();
        while let Some(name) = mechanisms.next().map_err(|_| unexpected("SASL mechanisms"))? {
            names.push(name);
        }
        let has = |mechanism: &str| names.contains(&mechanism);
        let wanted = self.config.channel_binding != ChannelBinding::Disable;
        let end_point = wanted.then(|| self.wire.stream.tls_server_end_point()).flatten();
        let plus = has(sasl::SCRAM_SHA_256_PLUS);
        match end_point {
            Some(data) if plus => {
                let binding = sasl::ChannelBinding::tls_server_end_point(data);
                return Ok((sasl::SCRAM_SHA_256_PLUS, binding));
            }
            _ => self.binding_not_needed()?,
        }
        if !has(sasl::SCRAM_SHA_256) {
            return Err(self.unsupported(&format!("SASL {}", names.join(", "))));
        }
        let binding = if end_point.is_some() {
            sasl::ChannelBinding::unrequested()
        } else {
            sasl::ChannelBinding::unsupported()
        };
        Ok((sasl::SCRAM_SHA_256, binding))
    }

    /// The next message; an `ErrorResponse` becomes the error it means, notices are dropped.
    async fn message(&mut self) -> Result<Message, PostgresError> {
        loop {
            match self.wire.message(DURING).await? {
                Message::ErrorResponse(body) => {
                    let user = &self.config.user;
                    return Err(startup_error(Box::new(server_error(&body)), &self.address, user));
                }
                Message::NoticeResponse(_) => {}
                message => return Ok(message),
            }
        }
    }

    fn password(&self) -> Result<String, PostgresError> {
        let password = self.config.password.as_ref();
        password.map(|secret| secret.0.clone()).ok_or_else(|| PostgresError::PasswordMissing {
            address: self.address.clone(),
            user: self.config.user.clone(),
        })
    }

    fn binding_not_needed(&self) -> Result<(), PostgresError> {
        if self.config.channel_binding == ChannelBinding::Require {
            return Err(PostgresError::ChannelBinding { address: self.address.clone() });
        }
        Ok(())
    }

    fn unsupported(&self, method: &str) -> PostgresError {
        PostgresError::UnsupportedAuthentication {
            address: self.address.clone(),
            method: method.to_owned(),
        }
    }
}

/// `15.18 (Debian 15.18-1)` and `17beta1` as `server_version_num` writes them.
fn version_num(version: &str) -> u32 {
    let mut numbers = version.split(|letter: char| !letter.is_ascii_digit());
    let mut next = || numbers.next().and_then(|digits| digits.parse::<u32>().ok()).unwrap_or(0);
    let major = next();
    let minor = if version.contains('.') { next() } else { 0 };
    major * 10_000 + minor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_become_numbers() {
        for (version, number) in [
            ("15.18 (Debian 15.18-0+deb12u1)", 150_018),
            ("13.23", 130_023),
            ("18devel", 180_000),
            ("17beta1", 170_000),
            ("", 0),
        ] {
            assert_eq!(version_num(version), number, "{version}");
        }
    }
}
