//! What comes out, and the buffers it is built in. In: nothing. Out: borrowed records, valid during one call.
//! Never: owns a copy.

use pgoutput::TupleValue;

use crate::era::LostEras;
use crate::notice::{Notice, Notices};
use crate::room::Room;
use crate::source::Memos;
use crate::transaction::TransactionOrder;

/// One Kafka record, without its timestamp.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Topic.
    pub topic: &'a str,
    /// `None` is a null key.
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// In order.
    pub headers: &'a [Header<'a>],
}

/// One record header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Name.
    pub name: &'a str,
    /// Value.
    pub value: &'a [u8],
}

/// The old row of an update or delete, as the replica identity let the server log it.
#[derive(Clone, Copy, Debug)]
pub enum OldRow<'a> {
    /// Not logged: the identity did not change.
    Absent,
    /// The columns of the replica identity; the others are null.
    Key(&'a [TupleValue<'a>]),
    /// All columns.
    Full(&'a [TupleValue<'a>]),
}

impl<'a> OldRow<'a> {
    pub(crate) fn values(self) -> Option<&'a [TupleValue<'a>]> {
        match self {
            Self::Absent => None,
            Self::Key(values) | Self::Full(values) => Some(values),
        }
    }
}

/// Which record of a change to hand out, and what is in it.
#[derive(Clone, Copy)]
pub(crate) struct Emission {
    /// Counts the records of one change.
    pub(crate) number: u8,
    pub(crate) keyed: bool,
    /// False for a tombstone.
    pub(crate) valued: bool,
    /// Name of the header with the other key of a key change.
    pub(crate) key_header: Option<&'static str>,
}

impl Emission {
    pub(crate) const VALUE: Self = Self { number: 0, keyed: true, valued: true, key_header: None };
    pub(crate) const TOMBSTONE: Self = Self { number: 1, valued: false, ..Self::VALUE };
}

/// Buffers that are used again for every record; one per encoding thread.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) key: Vec<u8>,
    pub(crate) old_key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) room: Room,
    pub(crate) key_header: Vec<u8>,
    pub(crate) event_id: Vec<u8>,
    pub(crate) memos: Memos,
    /// Names and values of headers that every event of the open source transaction gets.
    pub(crate) context: Vec<(&'static str, Vec<u8>)>,
    pub(crate) lost_eras: LostEras,
    pub(crate) notices: Notices,
    pub(crate) transaction: TransactionOrder,
}

impl Scratch {
    /// Headers for every event from here on, in place of those before; none takes them away.
    pub fn set_context(&mut self, headers: Vec<(&'static str, Vec<u8>)>) {
        self.context = headers;
    }

    /// Row events longer than this are not built: encoding one is [`EnvelopeError::ValueTooLarge`](crate::EnvelopeError), which says
    /// how long it would be.
    pub fn limit_values(&mut self, bytes_max: usize) {
        self.room = Room::of(bytes_max);
    }

    /// Buffers to encode an event in that is not sent: it gets the place in its transaction that the next event here will get.
    #[must_use]
    pub fn for_rehearsal(&self) -> Self {
        let (context, transaction) = (self.context.clone(), self.transaction.clone());
        Self { context, transaction, room: self.room.clone(), ..Self::default() }
    }

    /// Dates whose era snapshots lost, since these buffers were made.
    pub fn lost_eras(&self) -> &LostEras {
        &self.lost_eras
    }

    /// What rows could not show as it is since this was last asked, each column and kind once.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.notices.take()
    }
}
