//! Asks a PostgreSQL whether it is ready to talk.
//!
//! In: a port. Out: whether a server there accepts a startup packet. Never here: a session that does anything.
//! Source: PostgreSQL manual, "Message Formats": `StartupMessage`, `ErrorResponse`; SQLSTATE 57P03 is `cannot_connect_now`.

use std::{io, net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const ANSWER_WAIT: Duration = Duration::from_secs(2);
const PROTOCOL_3_0: u32 = 196_608;
const ANSWER_BYTES_MAX: usize = 1_024;

/// Whether the server on this port answers a startup packet with anything but "not yet".
pub(super) async fn answers(port: u16) -> bool {
    matches!(timeout(ANSWER_WAIT, ask(port)).await, Ok(Ok(true)))
}

async fn ask(port: u16) -> io::Result<bool> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(&startup_message()).await?;
    let mut answer = Vec::with_capacity(ANSWER_BYTES_MAX);
    stream.read_buf(&mut answer).await?;
    // `Terminate`; a server that has refused us has closed the connection already, which is an answer too.
    let _refused = stream.write_all(b"X\0\0\0\x04").await;
    Ok(is_ready(&answer))
}

fn startup_message() -> Vec<u8> {
    let mut body = PROTOCOL_3_0.to_be_bytes().to_vec();
    body.extend_from_slice(b"user\0postgres\0database\0postgres\0application_name\0readiness\0\0");
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [length.to_be_bytes().as_slice(), &body].concat()
}

/// `R` (authentication) or any error but 57P03, such as "no entry in `pg_hba.conf`": the server is at work.
fn is_ready(answer: &[u8]) -> bool {
    match answer.first() {
        Some(b'R') => true,
        Some(b'E') => !answer.windows(7).any(|field| field == b"C57P03\0"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_starting_up_is_not_ready() {
        assert!(!is_ready(
            b"E\0\0\0\x30SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
        ));
        assert!(!is_ready(b""));
    }

    #[test]
    fn a_server_that_asks_for_a_password_or_refuses_us_is_ready() {
        assert!(is_ready(b"R\0\0\0\x08\0\0\0\0"));
        assert!(is_ready(b"E\0\0\0\x30SFATAL\0VFATAL\0C28000\0Mno pg_hba.conf entry\0\0"));
    }
}
