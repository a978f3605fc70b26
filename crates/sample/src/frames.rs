//! What PostgreSQL sends of such rows: bodies of `CopyData`, one for each message of a transaction that does not end.
//!
//! In: rows. Out: bytes. Never: a message that cannot stand where it stands.
//! Source: PostgreSQL manual, "Logical Replication Message Formats".

use pgoutput::message::{
    Begin, Delete, Insert, Message, Relation, RelationColumn, RelationColumns, Update,
};
use pgoutput::replication::{ReplicationMessage, XLogData};
use pgoutput::{
    DecodeError, Lsn, OldTuple, PgTimestamp, ReplicaIdentity, TupleData, TupleValue, Xid, encode,
};

use crate::{COLUMNS, Order, RELATION, SCHEMA, TABLE};

/// Where the transaction commits.
pub const COMMIT_LSN: Lsn = Lsn::new(0x16_B374_D848);
/// The transaction.
pub const XID: Xid = Xid(123_456);

const SENT_AT: PgTimestamp = PgTimestamp::new(840_000_000_123_456);

/// Where change `number` of the transaction stands.
pub fn change_lsn(number: u64) -> Lsn {
    Lsn::new(0x16_A000_0000 + 200 * number)
}

/// The transaction begins.
pub fn begin() -> Vec<u8> {
    let begin = Begin { final_lsn: COMMIT_LSN, committed_at: SENT_AT, xid: XID };
    frame(change_lsn(0), &Message::Begin(begin))
}

/// The table is described.
///
/// # Errors
/// None with these columns.
pub fn relation() -> Result<Vec<u8>, DecodeError> {
    let columns = COLUMNS.map(|(name, _, type_oid, type_modifier)| RelationColumn {
        is_identity: name == COLUMNS[0].0,
        name,
        type_oid,
        type_modifier,
    });
    let mut bytes = Vec::new();
    encode::relation_columns(&columns, &mut bytes);
    let relation = Relation {
        xid: None,
        oid: RELATION,
        namespace: SCHEMA,
        name: TABLE,
        replica_identity: ReplicaIdentity::Default,
        columns: RelationColumns::parse(&bytes)?,
    };
    Ok(frame(Lsn::ZERO, &Message::Relation(relation)))
}

/// Change `number` is a new row.
///
/// # Errors
/// None with such a row.
pub fn insert(number: u64, order: &Order) -> Result<Vec<u8>, DecodeError> {
    let new = tuple(&order.values());
    let insert = Insert { xid: None, relation: RELATION, new: TupleData::parse(&new)? };
    Ok(frame(change_lsn(number), &Message::Insert(insert)))
}

/// Change `number` is a row with other values and the same primary key.
///
/// # Errors
/// None with such a row.
pub fn update(number: u64, order: &Order) -> Result<Vec<u8>, DecodeError> {
    let new = tuple(&order.values());
    let update = Update { xid: None, relation: RELATION, old: None, new: TupleData::parse(&new)? };
    Ok(frame(change_lsn(number), &Message::Update(update)))
}

/// Change `number` is a row that is gone.
///
/// # Errors
/// None with such a row.
pub fn delete(number: u64, order: &Order) -> Result<Vec<u8>, DecodeError> {
    let old = tuple(&order.key_values());
    let old = OldTuple::Key(TupleData::parse(&old)?);
    Ok(frame(change_lsn(number), &Message::Delete(Delete { xid: None, relation: RELATION, old })))
}

fn tuple(values: &[TupleValue<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode::tuple(values, &mut bytes);
    bytes
}

fn frame(wal_start: Lsn, message: &Message<'_>) -> Vec<u8> {
    let mut payload = Vec::new();
    encode::message(message, &mut payload);
    let data = XLogData { wal_start, wal_end: wal_start, sent_at: SENT_AT, payload: &payload };
    let mut bytes = Vec::new();
    encode::replication_message(&ReplicationMessage::XLogData(data), &mut bytes);
    bytes
}
