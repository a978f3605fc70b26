//! Opens a connection: TCP, TLS, `ApiVersions`, login; then starts its driver.
//!
//! In: an address and the prepared security. Out: a [`Connection`]. Never here: which broker, and
//! whether to try again. Source: Kafka protocol guide, "SASL Authentication Sequence"; KIP-511.

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock, atomic::AtomicI32},
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ApiVersionsRequest, ApiVersionsResponse, SaslAuthenticateRequest, SaslHandshakeRequest,
    },
    protocol::StrBytes,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream, rustls};

use super::{Connection, Driver, REQUESTS_QUEUED_MAX};
use crate::{
    KafkaError,
    buffers::Buffers,
    codes::ErrorCode,
    config::{ClientConfig, SaslConfig},
    sasl::{self, Step},
    tls::host_of,
    wire::{self, Api, FRAME_BYTES_MAX},
};

/// A new session begins before the old one's last tenth.
const SESSION_USED_PERCENT: u32 = 90;
/// What an old broker answers to an `ApiVersions` it does not know.
const UNSUPPORTED_VERSION: [u8; 2] = 35_i16.to_be_bytes();

/// A socket, with or without TLS.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    /// Opens a connection to `broker` (`host:port`) within `connect_timeout`.
    ///
    /// Errors: [`KafkaError::Connect`], [`KafkaError::Tls`], [`KafkaError::Authentication`], and
    /// those of the first two requests.
    pub(crate) async fn open(
        broker: &str,
        config: &ClientConfig,
        tls: Option<&Arc<rustls::ClientConfig>>,
    ) -> Result<Self, KafkaError> {
        let opening = Box::pin(Self::open_unbounded(broker, config, tls));
        match timeout(config.connect_timeout, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(connect_error(broker, io::ErrorKind::TimedOut.into())),
        }
    }

    async fn open_unbounded(
        broker: &str,
        config: &ClientConfig,
        tls: Option<&Arc<rustls::ClientConfig>>,
    ) -> Result<Self, KafkaError> {
        let stream = connect(broker, tls).await?;
        let client_id = StrBytes::from_string(config.client_id.clone());
        let mut opening =
            Opening { broker, stream, received: BytesMut::new(), client_id, correlation_id: 0 };
        let versions = opening.api_versions().await?;
        let session = match &config.sasl {
            None => None,
            Some(sasl) => opening.log_in(sasl).await?,
        };
        let (requests, receiver) = mpsc::channel(REQUESTS_QUEUED_MAX);
        let cause = Arc::new(OnceLock::new());
        let driver =
            Driver { broker: broker.into(), requests: receiver, cause: Arc::clone(&cause) };
        let mut tasks = JoinSet::new();
        tasks.spawn(driver.run(opening.stream));
        Ok(Self {
            broker: broker.into(),
            client_id: opening.client_id,
            requests,
            cause,
            versions,
            correlation_id: AtomicI32::new(opening.correlation_id),
            frames: Buffers::default(),
            session_ends_at: session.map(|session| Instant::now() + session),
            _driver: tasks,
        })
    }
}

async fn connect(
    broker: &str,
    tls: Option<&Arc<rustls::ClientConfig>>,
) -> Result<Stream, KafkaError> {
    let tcp = TcpStream::connect(broker).await.map_err(|error| connect_error(broker, error))?;
    tcp.set_nodelay(true).map_err(|error| connect_error(broker, error))?;
    let Some(tls) = tls else {
        return Ok(Stream::Plain(tcp));
    };
    let host = host_of(broker)?;
    let stream = TlsConnector::from(Arc::clone(tls)).connect(host, tcp).await;
    stream.map(|stream| Stream::Tls(Box::new(stream))).map_err(|error| tls_error(broker, error))
}

fn connect_error(broker: &str, error: io::Error) -> KafkaError {
    KafkaError::Connect { broker: broker.into(), source: Arc::new(error) }
}

/// A handshake that the peer ended is a broken connection; one that was refused is a matter of
/// settings.
fn tls_error(broker: &str, error: io::Error) -> KafkaError {
    let refusal = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let fix = match refusal {
        None => return connect_error(broker, error),
        Some(rustls::Error::InvalidCertificate(reason)) => {
            format!("the broker's certificate is refused ({reason:?}): trust its issuer by ssl.truststore.certificates or ssl.truststore.location (type PEM); if only the host name differs, set ssl.endpoint.identification.algorithm to the empty string")
        }
        Some(rustls::Error::AlertReceived(_)) => {
            "the broker refused us: it may ask for a client certificate it trusts (ssl.keystore.*, type PEM)".into()
        }
        Some(rustls::Error::InvalidMessage(_)) => {
            "the port does not speak TLS: check security.protocol and the listener".into()
        }
        Some(_) => "check security.protocol, the listener and the certificates".into(),
    };
    KafkaError::Tls { broker: broker.into(), fix, source: Arc::new(error) }
}

/// A connection before its driver runs: one request at a time.
struct Opening<'a> {
    broker: &'a str,
    stream: Stream,
    received: BytesMut,
    client_id: StrBytes,
    correlation_id: i32,
}

impl Opening<'_> {
    /// Asks what the broker speaks: version 3, and 0 of one that does not know it.
    async fn api_versions(&mut self) -> Result<ApiVersionsResponse, KafkaError> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("tributary"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let newest = ApiVersionsRequest::MAX;
        let mut frame = self.exchange(&request, newest).await?;
        let mut version = newest;
        if frame.get(4..6) == Some(&UNSUPPORTED_VERSION) {
            version = 0;
            frame = self.exchange(&ApiVersionsRequest::default(), version).await?;
        }
        let response = self.decode::<ApiVersionsRequest>(frame, version)?;
        self.check::<ApiVersionsRequest>(response.error_code)?;
        Ok(response)
    }

    /// Logs in. Out: how long the session may be used, if the broker limits it.
    async fn log_in(&mut self, config: &SaslConfig) -> Result<Option<Duration>, KafkaError> {
        let mut login = sasl::Login::new(config).await?;
        let mechanism = login.mechanism();
        let refused = |broker: &str, reason: String| KafkaError::Authentication {
            broker: broker.into(),
            mechanism,
            reason,
        };
        let request =
            SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
        let frame = self.exchange(&request, SaslHandshakeRequest::MAX).await?;
        let handshake = self.decode::<SaslHandshakeRequest>(frame, SaslHandshakeRequest::MAX)?;
        if handshake.error_code != 0 {
            let offered: Vec<&str> = handshake.mechanisms.iter().map(|name| &**name).collect();
            let reason = format!("it offers {} only", offered.join(", "));
            return Err(refused(self.broker, reason));
        }
        // Version 1 (Kafka 2.2) carries the session's lifetime; older brokers than 2.8 are not met.
        let version = 1;
        let mut message = login.first();
        loop {
            let request = SaslAuthenticateRequest::default().with_auth_bytes(message);
            let frame = self.exchange(&request, version).await?;
            let answer = self.decode::<SaslAuthenticateRequest>(frame, version)?;
            if answer.error_code != 0 {
                let words = answer.error_message.map(|text| text.to_string());
                return Err(refused(
                    self.broker,
                    words.unwrap_or_else(|| "no reason given".into()),
                ));
            }
            match login.next(&answer.auth_bytes) {
                Ok(Step::Send(next)) => message = next,
                Ok(Step::Done) => {
                    let lifetime = u64::try_from(answer.session_lifetime_ms).unwrap_or(0);
                    let usable = Duration::from_millis(lifetime) * SESSION_USED_PERCENT / 100;
                    return Ok((lifetime > 0).then_some(usable));
                }
                Err(reason) => return Err(refused(self.broker, reason)),
            }
        }
    }

    /// Writes one request and reads one frame.
    async fn exchange<R: Api>(&mut self, request: &R, version: i16) -> Result<Bytes, KafkaError> {
        let correlation_id = self.correlation_id;
        self.correlation_id += 1;
        let (id, buffer) = (&self.client_id, BytesMut::new());
        let frame = wire::encode(request, version, correlation_id, id, buffer)
            .map_err(|reason| self.protocol_error::<R>(reason))?;
        self.write(&frame).await.map_err(|error| self.lost(R::NAME, &error))?;
        let answer = self.read().await.map_err(|error| self.lost(R::NAME, &error))?;
        if answer.get(..4) != Some(&correlation_id.to_be_bytes()) {
            return Err(self.protocol_error::<R>("the answer belongs to another request".into()));
        }
        Ok(answer)
    }

    async fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        self.stream.write_all(frame).await?;
        self.stream.flush().await
    }

    async fn read(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some(prefix) = self.received.first_chunk::<4>() {
                let length = u32::from_be_bytes(*prefix) as usize;
                if length > FRAME_BYTES_MAX {
                    let text = format!("an answer of {length} bytes is announced");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
                if self.received.len() >= 4 + length {
                    return Ok(self.received.split_to(4 + length).freeze().slice(4..));
                }
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn decode<R: Api>(&self, frame: Bytes, version: i16) -> Result<R::Response, KafkaError> {
        wire::decode::<R>(frame, version).map_err(|reason| self.protocol_error::<R>(reason))
    }

    fn check<R: Api>(&self, error_code: i16) -> Result<(), KafkaError> {
        match ErrorCode::check(error_code) {
            None => Ok(()),
            Some(code) => Err(KafkaError::Broker {
                api: R::NAME,
                subject: format!("broker {}", self.broker),
                code,
                message: None,
            }),
        }
    }

    fn protocol_error<R: Api>(&self, reason: String) -> KafkaError {
        KafkaError::Protocol { broker: self.broker.into(), api: R::NAME, reason }
    }

    /// With TLS 1.3 the broker's refusal of our certificate arrives with the first read.
    fn lost(&self, api: &str, error: &io::Error) -> KafkaError {
        let refusal = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if refusal.is_some() {
            return tls_error(
                self.broker,
                io::Error::other(refusal.cloned().unwrap_or(rustls::Error::HandshakeNotComplete)),
            );
        }
        let hint = match (&self.stream, error.kind()) {
            (Stream::Plain(_), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
                " (is it a TLS or SASL listener? check security.protocol)"
            }
            _ => "",
        };
        let reason = format!("at the first {api}: {error}{hint}");
        KafkaError::ConnectionLost { broker: self.broker.into(), reason }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
