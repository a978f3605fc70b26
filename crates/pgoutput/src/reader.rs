//! A cursor over one message. In: its bytes. Out: fields, or an error that names field and offset.
//!
//! Never: panics, copies, reads past the end. All integers are big-endian.
//! Source: PostgreSQL manual, "Message Data Types".

use crate::{DecodeError, Lsn, Oid, PgTimestamp, Xid};

/// Reads the fields of one message, front to back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    message: &'static str,
    length: usize,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins at the first byte of `bytes`; `message` is the name in errors.
    pub(crate) fn new(message: &'static str, bytes: &'a [u8]) -> Self {
        Self { message, length: bytes.len(), rest: bytes }
    }

    /// The same place under the name of the message that the tag turned out to begin.
    pub(crate) fn renamed(self, message: &'static str) -> Self {
        Self { message, ..self }
    }

    /// Bytes read so far.
    pub(crate) fn offset(&self) -> usize {
        self.length - self.rest.len()
    }

    /// What has not been read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(*head)
            }
            None => Err(self.truncated(field, N)),
        }
    }

    #[inline]
    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        Ok(u8::from_be_bytes(self.array(field)?))
    }

    #[inline]
    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array(field)?))
    }

    #[inline]
    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array(field)?))
    }

    #[inline]
    pub(crate) fn i32(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array(field)?))
    }

    pub(crate) fn lsn(&mut self, field: &'static str) -> Result<Lsn, DecodeError> {
        Ok(Lsn::new(u64::from_be_bytes(self.array(field)?)))
    }

    pub(crate) fn timestamp(&mut self, field: &'static str) -> Result<PgTimestamp, DecodeError> {
        Ok(PgTimestamp::new(i64::from_be_bytes(self.array(field)?)))
    }

    pub(crate) fn xid(&mut self) -> Result<Xid, DecodeError> {
        self.u32("xid").map(Xid)
    }

    /// The xid that only messages between Stream Start and Stream Stop carry.
    #[inline]
    pub(crate) fn stream_xid(&mut self, in_stream: bool) -> Result<Option<Xid>, DecodeError> {
        if in_stream { self.xid().map(Some) } else { Ok(None) }
    }

    #[inline]
    pub(crate) fn oid(&mut self, field: &'static str) -> Result<Oid, DecodeError> {
        self.u32(field).map(Oid)
    }

    /// `Int32` length, then as many bytes.
    #[inline]
    pub(crate) fn counted_bytes(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let offset = self.offset();
        let length = self.i32(field)?;
        match usize::try_from(length) {
            Ok(length) => self.bytes(length, field),
            Err(_) => {
                Err(DecodeError::NegativeLength { message: self.message, field, offset, length })
            }
        }
    }

    #[inline]
    pub(crate) fn bytes(
        &mut self,
        length: usize,
        field: &'static str,
    ) -> Result<&'a [u8], DecodeError> {
        match self.rest.split_at_checked(length) {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(head)
            }
            None => Err(self.truncated(field, length)),
        }
    }

    /// UTF-8 up to a zero byte.
    pub(crate) fn string(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let (message, offset) = (self.message, self.offset());
        let Some(length) = self.rest.iter().position(|byte| *byte == 0) else {
            return Err(DecodeError::UnterminatedString { message, field, offset });
        };
        let text = self.bytes(length, field)?;
        self.u8(field)?;
        std::str::from_utf8(text).map_err(|cause| DecodeError::InvalidUtf8 {
            message,
            field,
            offset,
            cause,
        })
    }

    /// A byte of flags, of which the protocol has those in `known`.
    pub(crate) fn flags(&mut self, field: &'static str, known: u8) -> Result<u8, DecodeError> {
        let offset = self.offset();
        let found = self.u8(field)?;
        if found & !known == 0 {
            Ok(found)
        } else {
            Err(DecodeError::UnknownFlags { message: self.message, field, offset, found })
        }
    }

    /// A byte that must be `expected`; `shown` is how the error writes it.
    #[inline]
    pub(crate) fn expect(
        &mut self,
        expected: u8,
        field: &'static str,
        shown: &'static str,
    ) -> Result<(), DecodeError> {
        let found = self.u8(field)?;
        if found == expected { Ok(()) } else { Err(self.unexpected_tag(field, found, shown)) }
    }

    /// The message must be read whole.
    #[inline]
    pub(crate) fn finish(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        let (message, offset) = (self.message, self.offset());
        Err(DecodeError::TrailingBytes { message, offset, count: self.rest.len() })
    }

    /// The error for the tag byte just read.
    #[cold]
    pub(crate) fn unexpected_tag(
        &self,
        field: &'static str,
        found: u8,
        expected: &'static str,
    ) -> DecodeError {
        let offset = self.offset().saturating_sub(1);
        DecodeError::UnexpectedTag { message: self.message, field, offset, found, expected }
    }

    #[cold]
    fn truncated(&self, field: &'static str, needed: usize) -> DecodeError {
        let (message, offset, available) = (self.message, self.offset(), self.rest.len());
        DecodeError::Truncated { message, field, offset, needed, available }
    }
}
