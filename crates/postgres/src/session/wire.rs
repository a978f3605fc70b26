//! Messages of the frontend/backend protocol over a [`Stream`].
//!
//! In: bytes as they come. Out: whole messages; and the other way. Reading keeps what a cancelled read has received.

use std::io;

use bytes::{Buf, BytesMut};
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::message::backend::{
    ErrorFields, ErrorResponseBody, Header, Message, NoticeResponseBody,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Stream;
use crate::{PostgresError, ServerError};

/// More than any chunk of usual messages.
pub(crate) const LARGE_BYTES: usize = 1024 * 1024;

/// Room made for each read.
pub(crate) const READ_BYTES: usize = 64 * 1024;

/// A socket with what was read from it and not yet used.
pub(crate) struct Wire {
    pub(crate) stream: Stream,
    pub(crate) unread: BytesMut,
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, unread: BytesMut::new() }
    }

    /// Sends what `write` appends.
    pub(crate) async fn send(
        &mut self,
        write: impl FnOnce(&mut BytesMut) -> io::Result<()>,
    ) -> Result<(), PostgresError> {
        let mut buffer = BytesMut::new();
        write(&mut buffer).map_err(|error| PostgresError::Configuration {
            setting: "statement".to_owned(),
            reason: error.to_string(),
            fix: "remove NUL bytes from names and values".to_owned(),
        })?;
        let sent = async {
            self.stream.write_all(&buffer).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|source| closed("sending", source))
    }

    /// The next message. Cancel-safe. Errors: [`PostgresError::Closed`] and [`PostgresError::Protocol`].
    pub(crate) async fn message(&mut self, during: &'static str) -> Result<Message, PostgresError> {
        loop {
            let parsed = Message::parse(&mut self.unread);
            match parsed.map_err(|error| PostgresError::Protocol { what: error.to_string() })? {
                Some(message) => return Ok(message),
                None => self.receive(during).await?,
            }
        }
    }

    /// The tag of the next message, which stays unread. Cancel-safe.
    pub(crate) async fn peek_tag(&mut self, during: &'static str) -> Result<u8, PostgresError> {
        loop {
            let header = Header::parse(&self.unread);
            match header.map_err(|error| PostgresError::Protocol { what: error.to_string() })? {
                Some(header) => return Ok(header.tag()),
                None => self.receive(during).await?,
            }
        }
    }

    /// Passes over the next message, whatever it is. Cancel-safe.
    pub(crate) async fn skip_message(&mut self, during: &'static str) -> Result<(), PostgresError> {
        loop {
            let header = Header::parse(&self.unread);
            let header =
                header.map_err(|error| PostgresError::Protocol { what: error.to_string() })?;
            // The length counts itself, not the tag.
            let length = header.and_then(|header| usize::try_from(header.len()).ok());
            match length {
                Some(length) if self.unread.len() > length => {
                    self.unread.advance(length + 1);
                    return Ok(());
                }
                _ => self.receive(during).await?,
            }
        }
    }

    /// Reads whatever has come.
    pub(crate) async fn receive(&mut self, during: &'static str) -> Result<(), PostgresError> {
        self.unread.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.unread).await {
            Ok(0) => Err(PostgresError::Closed { during, source: None }),
            Ok(_) => Ok(()),
            Err(source) => Err(closed(during, source)),
        }
    }
}

/// Cuts so many bytes from the front of a buffer. What has come behind more than usual moves, so that it does not keep all of it
/// in memory.
pub(crate) fn cut(buffer: &mut BytesMut, length: usize) -> BytesMut {
    let front = buffer.split_to(length);
    if length > LARGE_BYTES {
        let mut rest = BytesMut::with_capacity(buffer.len() + READ_BYTES);
        rest.extend_from_slice(buffer);
        *buffer = rest;
    }
    front
}

/// The connection failed while we were doing this.
pub(crate) fn closed(during: &'static str, source: io::Error) -> PostgresError {
    PostgresError::Closed { during, source: Some(source) }
}

/// The server sent something that does not belong here.
pub(crate) fn unexpected(place: &str) -> PostgresError {
    PostgresError::Protocol { what: format!("unexpected message in {place}") }
}

/// The length in front of a message cannot be one: what follows cannot be understood.
pub(crate) fn impossible_length(length: u32) -> PostgresError {
    PostgresError::Protocol { what: format!("a message of {length} bytes") }
}

/// Reads the fields of an `ErrorResponse`.
pub(crate) fn server_error(body: &ErrorResponseBody) -> ServerError {
    fields(body.fields())
}

/// Reads the fields of a `NoticeResponse`, which are those of an error.
pub(crate) fn server_notice(body: &NoticeResponseBody) -> ServerError {
    fields(body.fields())
}

fn fields(mut fields: ErrorFields<'_>) -> ServerError {
    let mut error = ServerError {
        severity: "ERROR".to_owned(),
        sqlstate: String::new(),
        message: String::new(),
        detail: None,
        hint: None,
    };
    // A field that cannot be read ends the list: what came before it is still worth telling.
    while let Ok(Some(field)) = fields.next() {
        let text = String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'V' => error.severity = text,
            b'C' => error.sqlstate = text,
            b'M' => error.message = text,
            b'D' => error.detail = Some(text),
            b'H' => error.hint = Some(text),
            _ => {}
        }
    }
    error
}
