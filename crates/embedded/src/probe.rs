//! Asks a server whether it is ready, until it is.
//!
//! In: a process that was started, its port and a path. Out: that it is ready; or why not, with the end of its log.
//! Never here: any other request.
//! Source: KIP-1017, `GET /health` of a Connect worker: 200 once it has read its state, 503 before; `MicroProfile` Health.

use std::{
    io,
    net::Ipv4Addr,
    path::Path,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{EmbeddedError, log, watchdog::Watched};

const READY_POLL: Duration = Duration::from_millis(100);
const ANSWER_WAIT: Duration = Duration::from_secs(5);
const READY: &[u8] = b"HTTP/1.1 200";

/// Waits until the server answers at this port and path that it is ready.
///
/// Errors: [`EmbeddedError::Exited`]; [`EmbeddedError::NotReady`] after `deadline`.
pub(crate) async fn until_healthy(
    watched: &mut Watched,
    server: &str,
    (port, path): (u16, &str),
    log: &Path,
    deadline: Duration,
) -> Result<(), EmbeddedError> {
    let begun = Instant::now();
    loop {
        if let Some(code) = watched.ended(READY_POLL).await {
            let (server, log, tail) = (server.to_owned(), log.to_owned(), log::tail(log));
            return Err(EmbeddedError::Exited { server, code, log, tail });
        }
        if is_healthy(port, path).await {
            return Ok(());
        }
        let waited = begun.elapsed();
        if waited > deadline {
            let (server, log, tail) = (server.to_owned(), log.to_owned(), log::tail(log));
            return Err(EmbeddedError::NotReady { server, waited, log, tail });
        }
    }
}

/// Whether the server on this port is healthy.
async fn is_healthy(port: u16, path: &str) -> bool {
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
