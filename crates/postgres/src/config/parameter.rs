//! libpq's connection parameters: name and value to a field of the configuration.
//!
//! Never here: files. A path is only remembered. Source: PostgreSQL manual, "Parameter Key Words".

use std::path::PathBuf;
use std::time::Duration;

use super::{
    ChannelBinding, ConnectionConfig, Host, PORT_DEFAULT, RootCertificates, Secret,
    SessionAttributes, SslMode, SslNegotiation,
};
use crate::PostgresError;

/// Sets one parameter by libpq's name. Errors: [`PostgresError::Configuration`].
pub(super) fn set(
    config: &mut ConnectionConfig,
    name: &str,
    value: &str,
) -> Result<(), PostgresError> {
    match name {
        "host" | "hostaddr" => config.hosts = hosts(config, value),
        "port" => set_ports(config, value)?,
        "user" => value.clone_into(&mut config.user),
        "password" => config.password = Some(Secret(value.to_owned())),
        "dbname" | "database" => config.dbname = Some(value.to_owned()),
        "application_name" | "fallback_application_name" | "ApplicationName" => {
            value.clone_into(&mut config.application_name);
        }
        "options" => config.options = Some(value.to_owned()),
        "connect_timeout" | "connectTimeout" => config.connect_timeout = timeout(name, value)?,
        "keepalives" | "tcpKeepAlive" => config.keepalive.enabled = flag(name, value)?,
        "keepalives_idle" => set_unless_zero(&mut config.keepalive.idle, seconds(name, value)?),
        "keepalives_interval" => {
            set_unless_zero(&mut config.keepalive.interval, seconds(name, value)?);
        }
        "keepalives_count" => set_unless_zero(&mut config.keepalive.count, whole(name, value)?),
        "tcp_user_timeout" => {
            let wanted = Duration::from_millis(u64::from(whole(name, value)?));
            config.user_timeout = Some(wanted).filter(|wanted| !wanted.is_zero());
        }
        "target_session_attrs" => config.session_attributes = session_attributes(value)?,
        "ssl" if flag(name, value)? => config.ssl_mode = SslMode::VerifyFull,
        "ssl" => config.ssl_mode = SslMode::Disable,
        "sslmode" => config.ssl_mode = ssl_mode(value)?,
        "sslrootcert" => set_root_certificates(config, value),
        "sslcert" => config.ssl_cert = Some(PathBuf::from(value)),
        "sslkey" => config.ssl_key = Some(PathBuf::from(value)),
        "sslpassword" => config.ssl_password = Some(Secret(value.to_owned())),
        "sslnegotiation" => config.ssl_negotiation = ssl_negotiation(value)?,
        "channel_binding" => config.channel_binding = channel_binding(value)?,
        // What they turn on does not exist here; what they turn off is off.
        "gssencmode" if value != "require" => {}
        "load_balance_hosts" if value == "disable" => {}
        "sslcompression" | "sslsni" | "client_encoding" | "replication" => {}
        _ => return Err(unknown(name)),
    }
    Ok(())
}

/// Checks what single parameters cannot see of one another.
pub(super) fn check(config: ConnectionConfig) -> Result<ConnectionConfig, PostgresError> {
    if config.user.is_empty() {
        return Err(invalid("user", "no user is given".to_owned(), "name the role to log in as"));
    }
    let weak = matches!(config.ssl_mode, SslMode::Disable | SslMode::Allow | SslMode::Prefer);
    if weak && config.ssl_negotiation == SslNegotiation::Direct {
        return Err(invalid(
            "sslnegotiation",
            format!("direct cannot be used with sslmode={}", config.ssl_mode.as_str()),
            "use sslmode=require or stronger",
        ));
    }
    Ok(config)
}

/// A parameter's value that cannot be used.
pub(super) fn invalid(setting: &str, reason: String, fix: &str) -> PostgresError {
    PostgresError::Configuration { setting: setting.to_owned(), reason, fix: fix.to_owned() }
}

fn unknown(name: &str) -> PostgresError {
    invalid(
        name,
        "this connection parameter is unknown or not supported".to_owned(),
        "remove it, or see docs/reference for the parameters that are supported",
    )
}

/// Splits a list of hosts; ports that were set before stay with their place.
fn hosts(config: &ConnectionConfig, value: &str) -> Vec<(Host, u16)> {
    let port_at = |index: usize| {
        let known = config.hosts.get(index).or_else(|| config.hosts.last());
        known.map_or(PORT_DEFAULT, |host| host.1)
    };
    let named = value.split(',').enumerate();
    named.map(|(index, name)| (host(name.trim()), port_at(index))).collect()
}

/// One host: a socket directory when it begins with `/`, `localhost` when it is empty.
pub(super) fn host(name: &str) -> Host {
    match name {
        "" => Host::Tcp("localhost".to_owned()),
        directory if directory.starts_with('/') => Host::Unix(PathBuf::from(directory)),
        name => Host::Tcp(name.trim_start_matches('[').trim_end_matches(']').to_owned()),
    }
}

fn set_ports(config: &mut ConnectionConfig, value: &str) -> Result<(), PostgresError> {
    let ports = value.split(',').map(|text| port(text.trim())).collect::<Result<Vec<_>, _>>()?;
    if ports.len() > 1 && config.hosts.len() == 1 {
        // Ports may come before their hosts: keep the places, the hosts follow.
        let only = config.hosts[0].0.clone();
        config.hosts = vec![(only, PORT_DEFAULT); ports.len()];
    }
    if ports.len() > 1 && ports.len() != config.hosts.len() {
        let reason = format!("{} ports for {} hosts", ports.len(), config.hosts.len());
        return Err(invalid("port", reason, "give one port, or one for each host"));
    }
    let last = ports.last().copied().unwrap_or(PORT_DEFAULT);
    for (index, host) in config.hosts.iter_mut().enumerate() {
        host.1 = ports.get(index).copied().unwrap_or(last);
    }
    Ok(())
}

/// One port; empty is the default.
pub(super) fn port(text: &str) -> Result<u16, PostgresError> {
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ if text.is_empty() => Ok(PORT_DEFAULT),
        _ => {
            Err(invalid("port", format!("`{text}` is not a port"), "use a number from 1 to 65535"))
        }
    }
}

fn set_root_certificates(config: &mut ConnectionConfig, value: &str) {
    if value == "system" {
        // As libpq: trusting every public authority without checking the name would trust everybody.
        config.ssl_root_cert = Some(RootCertificates::System);
        config.ssl_mode = SslMode::VerifyFull;
    } else {
        config.ssl_root_cert = Some(RootCertificates::File(PathBuf::from(value)));
    }
}

fn ssl_mode(value: &str) -> Result<SslMode, PostgresError> {
    let modes = [
        SslMode::Disable,
        SslMode::Allow,
        SslMode::Prefer,
        SslMode::Require,
        SslMode::VerifyCa,
        SslMode::VerifyFull,
    ];
    // Debezium writes some of them with underscores.
    let wanted = value.replace('_', "-");
    modes.into_iter().find(|mode| mode.as_str() == wanted).ok_or_else(|| {
        let known = "use disable, allow, prefer, require, verify-ca or verify-full";
        invalid("sslmode", format!("`{value}` is not an sslmode"), known)
    })
}

fn ssl_negotiation(value: &str) -> Result<SslNegotiation, PostgresError> {
    match value {
        "postgres" => Ok(SslNegotiation::Postgres),
        "direct" => Ok(SslNegotiation::Direct),
        _ => Err(invalid(
            "sslnegotiation",
            format!("`{value}` is unknown"),
            "use postgres or direct",
        )),
    }
}

fn channel_binding(value: &str) -> Result<ChannelBinding, PostgresError> {
    match value {
        "disable" => Ok(ChannelBinding::Disable),
        "prefer" => Ok(ChannelBinding::Prefer),
        "require" => Ok(ChannelBinding::Require),
        _ => {
            let known = "use disable, prefer or require";
            Err(invalid("channel_binding", format!("`{value}` is unknown"), known))
        }
    }
}

fn session_attributes(value: &str) -> Result<SessionAttributes, PostgresError> {
    match value {
        "any" => Ok(SessionAttributes::Any),
        "read-write" => Ok(SessionAttributes::ReadWrite),
        "read-only" => Ok(SessionAttributes::ReadOnly),
        "primary" => Ok(SessionAttributes::Primary),
        "standby" => Ok(SessionAttributes::Standby),
        "prefer-standby" => Ok(SessionAttributes::PreferStandby),
        _ => {
            let known = "use any, read-write, read-only, primary, standby or prefer-standby";
            Err(invalid("target_session_attrs", format!("`{value}` is unknown"), known))
        }
    }
}

fn flag(name: &str, value: &str) -> Result<bool, PostgresError> {
    match value {
        "1" | "true" | "on" | "yes" | "" => Ok(true),
        "0" | "false" | "off" | "no" => Ok(false),
        _ => {
            Err(invalid(name, format!("`{value}` is neither true nor false"), "use true or false"))
        }
    }
}

fn seconds(name: &str, value: &str) -> Result<Duration, PostgresError> {
    value.parse::<u32>().map(|seconds| Duration::from_secs(u64::from(seconds))).map_err(|_| {
        invalid(
            name,
            format!("`{value}` is not a number of seconds"),
            "use a whole number of seconds",
        )
    })
}

fn whole(name: &str, value: &str) -> Result<u32, PostgresError> {
    value.parse::<u32>().map_err(|_| {
        invalid(name, format!("`{value}` is not a whole number"), "use a whole number")
    })
}

/// 0 means the default, as in libpq.
fn set_unless_zero<T: Default + PartialEq>(field: &mut T, wanted: T) {
    if wanted != T::default() {
        *field = wanted;
    }
}

/// `connect_timeout`: 0 waits for ever in libpq; here it waits an hour, because everything has a limit.
fn timeout(name: &str, value: &str) -> Result<Duration, PostgresError> {
    let wanted = seconds(name, value)?;
    Ok(if wanted.is_zero() { Duration::from_hours(1) } else { wanted })
}
