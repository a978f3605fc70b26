//! Hands a session that is already logged in to tokio-postgres.
//!
//! tokio-postgres insists on sending the startup message itself, knows neither our sslmodes nor our rule about clear-text
//! passwords, and cannot set parameters at start-up. So the session is opened by us, and this stream lets tokio-postgres
//! believe that it opened it: its startup message is swallowed, and it reads an `AuthenticationOk`, the parameters and the
//! key the server really sent. From then on every byte passes through.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Session, SessionFacts, Stream};

/// A session's stream, seen as if it had just been connected.
pub(crate) struct Replayed {
    stream: Stream,
    /// What is read before the stream itself.
    before: Bytes,
    startup: Startup,
}

/// How much of the startup message has been swallowed.
enum Startup {
    /// Its length is not complete yet: the bytes of it so far.
    Length(Vec<u8>),
    /// So many bytes are still to come.
    Body(usize),
}

const LENGTH_BYTES: usize = 4;

impl Replayed {
    /// Takes over a session that waits for its first command.
    pub(crate) fn new(session: Session) -> Self {
        let mut before = greeting(&session.facts);
        before.extend_from_slice(&session.wire.unread);
        let startup = Startup::Length(Vec::with_capacity(LENGTH_BYTES));
        Self { stream: session.wire.stream, before: before.freeze(), startup }
    }
}

/// What a server says from `AuthenticationOk` to `ReadyForQuery`.
fn greeting(facts: &SessionFacts) -> BytesMut {
    let mut bytes = BytesMut::new();
    message(&mut bytes, b'R', |body| body.put_i32(0));
    for (name, value) in &facts.parameters {
        message(&mut bytes, b'S', |body| {
            for text in [name, value] {
                body.put_slice(text.as_bytes());
                body.put_u8(0);
            }
        });
    }
    message(&mut bytes, b'K', |body| {
        body.put_i32(facts.backend_pid);
        body.put_i32(facts.secret_key);
    });
    message(&mut bytes, b'Z', |body| body.put_u8(b'I'));
    bytes
}

fn message(bytes: &mut BytesMut, tag: u8, write: impl FnOnce(&mut BytesMut)) {
    let mut body = BytesMut::new();
    write(&mut body);
    bytes.put_u8(tag);
    bytes.put_u32(u32::try_from(body.len() + LENGTH_BYTES).unwrap_or(u32::MAX));
    bytes.put_slice(&body);
}

impl Startup {
    /// Takes what belongs to the startup message off the front; says how many bytes that was.
    fn swallow(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        if let Self::Length(digits) = self {
            taken = bytes.len().min(LENGTH_BYTES - digits.len());
            digits.extend_from_slice(&bytes[..taken]);
            if let Ok(length) = <[u8; LENGTH_BYTES]>::try_from(digits.as_slice()) {
                let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                *self = Self::Body(length.saturating_sub(LENGTH_BYTES));
            }
        }
        if let Self::Body(left) = self {
            let more = (bytes.len() - taken).min(*left);
            *left -= more;
            taken += more;
        }
        taken
    }
}

impl AsyncRead for Replayed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.before.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let count = self.before.len().min(buffer.remaining());
        buffer.put_slice(&self.before[..count]);
        self.before.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replayed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.startup.swallow(bytes) {
            0 => Pin::new(&mut self.stream).poll_write(context, bytes),
            swallowed => Poll::Ready(Ok(swallowed)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_startup_message_is_swallowed_however_it_is_cut() {
        let sent = [0, 0, 0, 9, 1, 2, 3, 4, 5, b'Q', 0];
        for cut in 1..sent.len() {
            let mut startup = Startup::Length(Vec::new());
            let mut passed = Vec::new();
            for mut part in [&sent[..cut], &sent[cut..]] {
                while !part.is_empty() {
                    match startup.swallow(part) {
                        0 => {
                            passed.extend_from_slice(part);
                            break;
                        }
                        swallowed => part = &part[swallowed..],
                    }
                }
            }
            assert_eq!(passed, [b'Q', 0], "cut at {cut}");
        }
    }
}
