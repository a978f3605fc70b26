//! Asks a worker whether it is ready for connectors.
//!
//! In: a port. Out: yes or no. Never here: the rest of the REST API.
//! Source: KIP-1017, `GET /health`: 200 once the worker has read its state, 503 before.

use std::{io, net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const ANSWER_WAIT: Duration = Duration::from_secs(5);
const REQUEST: &[u8] = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
const READY: &[u8] = b"HTTP/1.1 200";

/// Whether the worker on this port is healthy.
pub(super) async fn is_healthy(port: u16) -> bool {
    matches!(timeout(ANSWER_WAIT, ask(port)).await, Ok(Ok(true)))
}

async fn ask(port: u16) -> io::Result<bool> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(REQUEST).await?;
    let mut status = [0; READY.len()];
    stream.read_exact(&mut status).await?;
    Ok(status == READY)
}
