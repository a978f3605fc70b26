//! Committed records behind the last stable offset, where somebody's open transaction hides them from `read_committed`.
//!
//! In: a partition, a range that begins at the last stable offset, which keys matter. Out: the newest record of each, once the
//! marker of its own transaction is there. Nothing is compacted behind the last stable offset, so every marker still is.
//! What is kept grows with the keys and with the transactions that are open, not with the commits that are read past.
//! Never: a record without its verdict; it is waited for.
//! Source: KIP-98, "Reading committed messages", "Control messages".

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    ops::{ControlFlow, Range},
};

use tokio::time::Instant;

use super::{WAIT_WORTH_TELLING, Walk, open_transaction};
use crate::{
    Client, Isolation, KafkaError, TopicPartitionId,
    read::{Batch, Verdict},
};

/// The newest committed value of every key of the range that `select` gives a name; `None` is a tombstone.
///
/// Errors: [`KafkaError::OpenTransaction`] if the transaction of one is open for longer than `default.api.timeout.ms`; those of
/// connections.
pub(super) async fn read<K: Eq + Hash>(
    client: &Client,
    partition: &TopicPartitionId,
    range: Range<i64>,
    select: impl Fn(&[u8]) -> Option<K>,
) -> Result<HashMap<K, Option<Vec<u8>>>, KafkaError> {
    let mut found = Found::new();
    let mut walk = Walk::begin(client, partition, range.clone(), Isolation::ReadUncommitted);
    let started = Instant::now();
    let mut is_told = false;
    while walk.offset < range.end || found.is_open() {
        if let Some(fetched) = walk.fetch().await? {
            let behind = fetched.visit_batches(|batch| {
                found.take(batch, &range, &select)?;
                Ok(ControlFlow::Continue(()))
            })?;
            walk.came_to(behind);
        }
        let waited = started.elapsed();
        if walk.offset < range.end || !found.is_open() {
            continue;
        }
        if waited >= client.config().api_timeout {
            return Err(open_transaction(client, partition, range, waited).await);
        }
        if waited >= WAIT_WORTH_TELLING && !is_told {
            tracing::warn!(%partition, "a transaction of the same connector is open on {partition}: waiting for it to end");
            is_told = true;
        }
        walk.waits();
    }
    Ok(found.into_settled())
}

/// The newest record of each name, and what is not known yet.
#[derive(Debug)]
struct Found<K> {
    /// Of no transaction, or of one that was committed.
    settled: HashMap<K, Newest>,
    /// By producer: of its transaction that is not over.
    open: HashMap<i64, HashMap<K, Newest>>,
}

/// The newest value of a name. The order is that of offsets, not the one in which transactions end.
#[derive(Debug)]
struct Newest {
    offset: i64,
    /// `None` is a tombstone.
    value: Option<Vec<u8>>,
}

impl<K: Eq + Hash> Found<K> {
    fn new() -> Self {
        Self { settled: HashMap::new(), open: HashMap::new() }
    }

    fn take(
        &mut self,
        batch: &Batch,
        range: &Range<i64>,
        select: &impl Fn(&[u8]) -> Option<K>,
    ) -> Result<(), String> {
        if batch.is_control() {
            if let (Some(producer_id), Some(verdict)) = (batch.transaction_of(), batch.verdict()?) {
                self.settle(producer_id, verdict);
            }
            return Ok(());
        }
        let records = batch.records()?;
        let mut cursor = records.cursor();
        while let Some(record) = cursor.next()? {
            if range.contains(&record.offset)
                && let Some(name) = record.key.and_then(select)
            {
                let newest =
                    Newest { offset: record.offset, value: record.value.map(<[u8]>::to_vec) };
                self.put(batch.transaction_of(), name, newest);
            }
        }
        Ok(())
    }

    /// A record, of the transaction of this producer or of none.
    fn put(&mut self, transaction_of: Option<i64>, name: K, newest: Newest) {
        let among = match transaction_of {
            Some(producer_id) => self.open.entry(producer_id).or_default(),
            None => &mut self.settled,
        };
        put_newest(among, name, newest);
    }

    /// The transaction of a producer is over.
    fn settle(&mut self, producer_id: i64, verdict: Verdict) {
        let Some(ended) = self.open.remove(&producer_id) else { return };
        match verdict {
            Verdict::Aborted => {}
            Verdict::Committed => {
                for (name, newest) in ended {
                    put_newest(&mut self.settled, name, newest);
                }
            }
        }
    }

    fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    fn into_settled(self) -> HashMap<K, Option<Vec<u8>>> {
        self.settled.into_iter().map(|(name, newest)| (name, newest.value)).collect()
    }
}

fn put_newest<K: Eq + Hash>(among: &mut HashMap<K, Newest>, name: K, newest: Newest) {
    match among.entry(name) {
        Entry::Vacant(vacant) => drop(vacant.insert(newest)),
        Entry::Occupied(known) if known.get().offset > newest.offset => {}
        Entry::Occupied(mut known) => drop(known.insert(newest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str = "a";
    const B: &str = "b";
    const OURS: i64 = 1;
    const FORMER: i64 = 2;

    impl Found<&'static str> {
        fn write(&mut self, transaction_of: Option<i64>, name: &'static str, offset: i64) {
            let value = Some(offset.to_string().into_bytes());
            self.put(transaction_of, name, Newest { offset, value });
        }

        fn kept(&self) -> usize {
            self.settled.len() + self.open.values().map(HashMap::len).sum::<usize>()
        }

        fn settled_offset(&self, name: &str) -> Option<i64> {
            self.settled.get(name).map(|newest| newest.offset)
        }
    }

    #[test]
    fn what_is_kept_does_not_grow_with_the_commits_that_are_read_past() {
        let mut found = Found::new();
        for commit in 0..90_000 {
            found.write(Some(OURS), A, 3 * commit);
            found.write(Some(OURS), B, 3 * commit + 1);
            assert!(found.kept() <= 4, "{} are kept after {commit} commits", found.kept());
            found.settle(OURS, Verdict::Committed);
        }
        assert_eq!(found.kept(), 2);
        assert_eq!(found.settled_offset(A), Some(3 * 89_999));
    }

    #[test]
    fn one_long_transaction_keeps_one_record_of_each_key() {
        let mut found = Found::new();
        for offset in 0..10_000 {
            found.write(Some(OURS), A, offset);
        }
        assert_eq!(found.kept(), 1);
        found.settle(OURS, Verdict::Committed);
        assert_eq!(found.settled_offset(A), Some(9_999));
    }

    #[test]
    fn offsets_decide_not_the_order_in_which_transactions_end() {
        let mut found = Found::new();
        found.write(Some(FORMER), A, 10);
        found.write(Some(OURS), A, 11);
        found.settle(OURS, Verdict::Committed);
        assert!(found.is_open(), "the transaction of the same key is not over");
        found.settle(FORMER, Verdict::Committed);
        assert_eq!(found.settled_offset(A), Some(11));
    }

    /// What happens on a partition, at offsets that grow.
    #[derive(Clone, Debug)]
    enum Event {
        Write(Option<i64>, &'static str),
        End(i64, bool),
    }

    fn event() -> impl Strategy<Value = Event> {
        let writer = prop::option::of(1_i64..4);
        prop_oneof![
            3 => (writer, prop::sample::select(vec![A, B])).prop_map(|(who, name)| Event::Write(who, name)),
            1 => (1_i64..4, any::<bool>()).prop_map(|(who, commits)| Event::End(who, commits)),
        ]
    }

    proptest! {
        /// The other way to know: every record in order, with its transaction's end looked up ahead.
        #[test]
        fn it_is_what_a_read_committed_reader_would_have_seen_last(events in prop::collection::vec(event(), 0..40)) {
            let mut found = Found::new();
            let mut seen = HashMap::new();
            let mut open = false;
            for (position, event) in events.iter().enumerate() {
                let offset = i64::try_from(position).unwrap();
                match *event {
                    Event::End(who, true) => found.settle(who, Verdict::Committed),
                    Event::End(who, false) => found.settle(who, Verdict::Aborted),
                    Event::Write(who, name) => {
                        found.write(who, name, offset);
                        let end = |it: &Event| match *it {
                            Event::End(ended, commits) if Some(ended) == who => Some(commits),
                            _ => None,
                        };
                        let counts = who.is_none_or(|_| {
                            let end = events[position..].iter().find_map(end);
                            open |= end.is_none();
                            end == Some(true)
                        });
                        if counts {
                            seen.insert(name, Some(offset.to_string().into_bytes()));
                        }
                    }
                }
            }
            prop_assert_eq!(found.is_open(), open);
            prop_assert_eq!(found.into_settled(), seen);
        }
    }
}
