//! Parsers of what servers send, reached with arbitrary bytes. For fuzzers, not for users.
//!
//! In: any bytes. Out: nothing; a panic when a parser breaks its promise. Never: I/O.

use bytes::BytesMut;
use postgres_protocol::message::backend::Message;

use crate::replication;
use crate::session::{server_error, server_notice, text_row};
use crate::sqlstate::{statement_error, stream_error, stream_warning};

/// What a replication connection sends: whole frames are cut off and their messages read.
pub fn frames(bytes: &[u8]) {
    replication::fuzzing::frames(bytes);
}

/// The answer to the question for a batch, in two pieces.
///
/// Shape: `u8` length of the first piece · answer.
pub fn batch(bytes: &[u8]) {
    replication::fuzzing::batch(bytes);
}

/// Messages of a session: errors and rows are understood, or refused.
pub fn messages(bytes: &[u8]) {
    let mut rest = BytesMut::from(bytes);
    while let Ok(Some(message)) = Message::parse(&mut rest) {
        match message {
            Message::ErrorResponse(body) => {
                let error = || Box::new(server_error(&body));
                for error in [stream_error(error(), "p"), statement_error("test", error())] {
                    assert!(!error.code().is_empty() && !error.to_string().is_empty());
                    let _ = error.class();
                }
            }
            Message::NoticeResponse(body) => drop(stream_warning(server_notice(&body), "p")),
            Message::DataRow(body) => drop(text_row(&body)),
            _ => {}
        }
    }
}
