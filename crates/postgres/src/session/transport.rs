//! The bytes of a connection: TCP, a Unix socket, or TLS over TCP.
//!
//! In: one host and whether TLS is wanted. Out: a [`Stream`]. Source: PostgreSQL manual, "SSL Session Encryption".

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::{Host, Keepalive, SslNegotiation, show, socket_path};
use crate::{ConnectionConfig, PostgresError, tls};

/// A connected byte stream.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Whether one attempt asks for TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TlsAttempt {
    Never,
    /// Goes on without when the server says it has none.
    IfOffered,
    Always,
}

/// Connects to one host. Errors name the address.
pub(super) async fn connect(
    config: &ConnectionConfig,
    host: &Host,
    port: u16,
    attempt: TlsAttempt,
) -> Result<Stream, PostgresError> {
    let address = show(host, port);
    let refused = |source| PostgresError::Connect { address: address.clone(), source };
    let name = match host {
        Host::Unix(directory) => {
            let socket = UnixStream::connect(socket_path(directory, port)).await;
            return socket.map(Stream::Unix).map_err(refused);
        }
        Host::Tcp(name) => name,
    };
    let mut socket = TcpStream::connect((name.as_str(), port)).await.map_err(refused)?;
    configure(&socket, config).map_err(refused)?;
    if attempt == TlsAttempt::Never {
        return Ok(Stream::Tcp(socket));
    }
    if config.ssl_negotiation == SslNegotiation::Postgres
        && !server_offers_tls(&mut socket, &address).await?
    {
        return match attempt {
            TlsAttempt::Always => {
                Err(PostgresError::TlsRefused { address, mode: config.ssl_mode.as_str() })
            }
            TlsAttempt::IfOffered | TlsAttempt::Never => Ok(Stream::Tcp(socket)),
        };
    }
    handshake(config, socket, name, address).await
}

/// Small answers must not wait for company, and a vanished peer must be noticed: by keepalive while we wait for it, by the user
/// timeout while it acknowledges nothing of what we sent, which keepalive would wait for.
fn configure(socket: &TcpStream, config: &ConnectionConfig) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let socket = socket2::SockRef::from(socket);
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(config.user_timeout)?;
    let Keepalive { enabled, idle, interval, count } = config.keepalive;
    if !enabled {
        return Ok(());
    }
    let keepalive = socket2::TcpKeepalive::new();
    socket.set_tcp_keepalive(&keepalive.with_time(idle).with_interval(interval).with_retries(count))
}

/// Sends `SSLRequest` and reads the one byte that answers it.
async fn server_offers_tls(socket: &mut TcpStream, address: &str) -> Result<bool, PostgresError> {
    let closed = |source| PostgresError::Closed { during: "asking for TLS", source: Some(source) };
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    socket.write_all(&request).await.map_err(closed)?;
    match socket.read_u8().await.map_err(closed)? {
        b'S' => Ok(true),
        b'N' => Ok(false),
        // Servers that cannot even say no in the new way answer with an ErrorResponse; nothing of ours speaks to those.
        other => Err(PostgresError::Protocol {
            what: format!("{address} answered {other:#04x} to SSLRequest"),
        }),
    }
}

async fn handshake(
    config: &ConnectionConfig,
    socket: TcpStream,
    name: &str,
    address: String,
) -> Result<Stream, PostgresError> {
    let mode = config.ssl_mode.as_str();
    let server = ServerName::try_from(name.to_owned()).map_err(|_| {
        let source =
            io::Error::new(io::ErrorKind::InvalidInput, "not a name a certificate can carry");
        PostgresError::TlsHandshake { address: address.clone(), mode, source }
    })?;
    let connector = TlsConnector::from(Arc::new(tls::client_config(config).await?));
    match connector.connect(server, socket).await {
        Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
        // rustls reports what it refuses as invalid data; everything else is the network's.
        Err(source) if source.kind() == io::ErrorKind::InvalidData => {
            Err(PostgresError::TlsHandshake { address, mode, source })
        }
        Err(source) => Err(PostgresError::Connect { address, source }),
    }
}

impl Stream {
    /// Whether nobody in between can read along: TLS, or a socket of this machine.
    pub(super) fn is_private(&self) -> bool {
        !matches!(self, Self::Tcp(_))
    }

    /// The data SCRAM-SHA-256-PLUS binds to, where TLS is in force and the certificate has some.
    pub(super) fn tls_server_end_point(&self) -> Option<Vec<u8>> {
        let Self::Tls(stream) = self else { return None };
        let (_, connection) = stream.get_ref();
        let certificate = connection.peer_certificates()?.first()?;
        tls::tls_server_end_point(certificate)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_socket_notices_a_vanished_peer_as_the_parameters_say() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let options = |config: &ConnectionConfig| {
            configure(&socket, config).unwrap();
            let socket = socket2::SockRef::from(&socket);
            (
                socket.keepalive().unwrap(),
                socket.tcp_keepalive_time().unwrap(),
                socket.tcp_keepalive_interval().unwrap(),
                socket.tcp_keepalive_retries().unwrap(),
                socket.tcp_user_timeout().unwrap(),
            )
        };
        let seconds = Duration::from_secs;
        let default = ConnectionConfig::new();
        assert_eq!(options(&default), (true, seconds(30), seconds(5), 6, Some(seconds(60))));
        let url = "postgres://u@h/d?keepalives_idle=7&keepalives_interval=2&keepalives_count=3&tcp_user_timeout=9000";
        let given = ConnectionConfig::from_url(url).unwrap();
        assert_eq!(options(&given), (true, seconds(7), seconds(2), 3, Some(seconds(9))));
    }
}
