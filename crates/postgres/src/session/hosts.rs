//! Which host, and with or without TLS: the order of attempts, as libpq has it.
//!
//! Source: PostgreSQL manual, "Specifying Multiple Hosts" and `sslmode`.

use tokio::time::timeout;

use super::authenticate;
use super::transport::{self, TlsAttempt};
use super::{Purpose, Session, Wire};
use crate::config::{Host, SessionAttributes, show};
use crate::sqlstate::refused_by_host_rules;
use crate::{ConnectionConfig, PostgresError, SslMode};

/// Tries the hosts in order; `prefer-standby` takes any host in a second round.
pub(super) async fn first_that_fits(
    config: &ConnectionConfig,
    purpose: Purpose,
) -> Result<Session, PostgresError> {
    if config.user.is_empty() {
        return Err(PostgresError::Configuration {
            setting: "user".to_owned(),
            reason: "no user is given".to_owned(),
            fix: "name the role to log in as".to_owned(),
        });
    }
    let rounds: &[SessionAttributes] = match config.session_attributes {
        SessionAttributes::PreferStandby => &[SessionAttributes::Standby, SessionAttributes::Any],
        ref other => std::slice::from_ref(other),
    };
    let mut last = None;
    for wanted in rounds {
        for (host, port) in &config.hosts {
            match one_host(config, host, *port, purpose, *wanted).await {
                Ok(session) => return Ok(session),
                Err(error) => last = Some(error),
            }
        }
    }
    Err(last.unwrap_or_else(|| PostgresError::Configuration {
        setting: "host".to_owned(),
        reason: "no host is given".to_owned(),
        fix: "name at least one host".to_owned(),
    }))
}

async fn one_host(
    config: &ConnectionConfig,
    host: &Host,
    port: u16,
    purpose: Purpose,
    wanted: SessionAttributes,
) -> Result<Session, PostgresError> {
    let attempts = attempts(config, host);
    let address = show(host, port);
    let waited = config.connect_timeout;
    let opened = timeout(waited, async {
        let mut failed = None;
        for attempt in attempts {
            match one_attempt(config, host, port, purpose, *attempt).await {
                Err(error) if another_kind_may_work(&error) => failed = Some(error),
                other => {
                    let mut session = other?;
                    check_attributes(&mut session, wanted).await?;
                    return Ok(session);
                }
            }
        }
        // There is always an attempt, and only errors lead here.
        Err(failed.unwrap_or(PostgresError::Closed { during: "connecting", source: None }))
    });
    opened.await.unwrap_or(Err(PostgresError::ConnectTimeout { address, timeout: waited }))
}

fn attempts(config: &ConnectionConfig, host: &Host) -> &'static [TlsAttempt] {
    match (host, config.ssl_mode) {
        // No TLS on Unix sockets, whatever the mode: libpq does the same.
        (Host::Unix(_), _) | (Host::Tcp(_), SslMode::Disable) => &[TlsAttempt::Never],
        (Host::Tcp(_), SslMode::Allow) => &[TlsAttempt::Never, TlsAttempt::Always],
        (Host::Tcp(_), SslMode::Prefer) => &[TlsAttempt::IfOffered, TlsAttempt::Never],
        (Host::Tcp(_), SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull) => {
            &[TlsAttempt::Always]
        }
    }
}

/// Whether the failure is about TLS, or about host rules that may tell `hostssl` from `hostnossl`.
fn another_kind_may_work(error: &PostgresError) -> bool {
    refused_by_host_rules(error)
        || matches!(
            error,
            PostgresError::TlsHandshake { .. }
                | PostgresError::TlsRefused { .. }
                | PostgresError::CleartextRefused { .. }
        )
}

async fn one_attempt(
    config: &ConnectionConfig,
    host: &Host,
    port: u16,
    purpose: Purpose,
    attempt: TlsAttempt,
) -> Result<Session, PostgresError> {
    let stream = transport::connect(config, host, port, attempt).await?;
    authenticate::start(Wire::new(stream), config, purpose, show(host, port)).await
}

async fn check_attributes(
    session: &mut Session,
    wanted: SessionAttributes,
) -> Result<(), PostgresError> {
    let (question, answer, word) = match wanted {
        SessionAttributes::Any | SessionAttributes::PreferStandby => return Ok(()),
        SessionAttributes::Primary => ("SELECT pg_is_in_recovery()", "f", "primary"),
        SessionAttributes::Standby => ("SELECT pg_is_in_recovery()", "t", "standby"),
        SessionAttributes::ReadWrite => ("SHOW transaction_read_only", "off", "read-write"),
        SessionAttributes::ReadOnly => ("SHOW transaction_read_only", "on", "read-only"),
    };
    let asked = session.command(question).await;
    let rows = asked.map_err(|error| error.while_doing("tell what kind of server it is"))?;
    let found = rows.first().and_then(|row| row.first()).and_then(Option::as_deref);
    if found == Some(answer) {
        return Ok(());
    }
    Err(PostgresError::SessionAttributes { address: session.facts.address.clone(), wanted: word })
}
