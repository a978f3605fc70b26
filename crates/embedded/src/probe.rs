//! Asks a server whether it is ready.
//!
//! In: a port and a path. Out: yes or no. Never here: any other request.
//! Source: KIP-1017, `GET /health` of a Connect worker: 200 once it has read its state, 503 before; `MicroProfile` Health.

use std::{io, net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const ANSWER_WAIT: Duration = Duration::from_secs(5);
const READY: &[u8] = b"HTTP/1.1 200";

/// Whether the server on this port is healthy.
pub(crate) async fn is_healthy(port: u16, path: &str) -> bool {
    matches!(timeout(ANSWER_WAIT, ask(port, path)).await, Ok(Ok(true)))
}

async fn ask(port: u16, path: &str) -> io::Result<bool> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut status = [0; READY.len()];
    stream.read_exact(&mut status).await?;
    Ok(status == READY)
}
