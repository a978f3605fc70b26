//! Bytes of PostgreSQL's logical replication to row changes.
//!
//! In: bodies of `CopyData` of a replication connection ([`replication::decode`]) and the pgoutput messages inside them
//! ([`decode`]). Out: [`Change`]s of committed transactions ([`Assembler`]); transactions in progress are told apart ([`Streams`]).
//! Never: I/O, clocks, threads, retries; nothing is allocated per change or per column value.
//! Source: PostgreSQL manual, "Streaming Replication Protocol", "Logical Streaming Replication Protocol" and
//! "Logical Replication Message Formats", protocol versions 1 to 4.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let body: &[u8] = b"w\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\0B\0\0\0\0\0\0\0\x20\0\0\0\0\0\0\0\0\0\0\0\x07";
//! use pgoutput::{Assembler, Step, replication::ReplicationMessage};
//!
//! let mut assembler = Assembler::new();
//! if let ReplicationMessage::XLogData(frame) = pgoutput::replication::decode(body)? {
//!     let message = pgoutput::decode(frame.payload, false)?;
//!     match assembler.push(frame.wal_start, message)? {
//!         Step::Begin(begin) => assert_eq!(begin.xid, pgoutput::Xid(7)),
//!         Step::Change(change) => println!("{} {:?}", change.id, change.kind),
//!         Step::Relation(_) | Step::Commit(_) | Step::Nothing => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod assemble;
mod change;
mod decode;
pub mod encode;
mod error;
mod lsn;
pub mod message;
mod reader;
mod relation;
pub mod replication;
mod streamed;
mod time;
mod tuple;

pub use assemble::{Assembler, Step};
pub use change::{Before, Change, ChangeKind, EventId, Origin};
pub use decode::decode;
pub use error::{AssembleError, Class, DecodeError, LsnParseError};
pub use lsn::{Lsn, Oid, Xid};
pub use message::{Begin, Commit, Message, StreamAbort, StreamCommit};
pub use relation::{Relation, RelationColumn, ReplicaIdentity};
pub use streamed::{Piece, Place, Streams, StreamsError, Tag};
pub use time::PgTimestamp;
pub use tuple::{OldTuple, TupleData, TupleValue, TupleValues};
