//! What networks do: the part of the plan that happens between the connector and one of its two sides.
//!
//! In: chance. Out: orders for a proxy, and for how long. Never: a side that stays cut off.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::fault::{Fault, milliseconds};
use crate::proxy::{self, Catch, END_TXN, Fate, Frame, Way};

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    Postgres,
    Kafka,
}

/// What a proxy does for a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network {
    pub(super) side: Side,
    pub(super) order: proxy::Fault,
    pub(super) time: Duration,
}

impl Network {
    /// Its kind, for the table.
    pub(super) fn kind(self) -> &'static str {
        match self.order {
            proxy::Fault::Pass | proxy::Fault::Cut | proxy::Fault::Refuse => "network cut",
            proxy::Fault::Silence(_) => "network half-open",
            proxy::Fault::Delay(_) | proxy::Fault::Throttle { .. } => "network slow",
            proxy::Fault::ResetAfter { .. } => "network reset inside a frame",
            proxy::Fault::Catch(_) => "commit held or lost",
        }
    }

    /// One of each kind, and those that differ between the two sides for both.
    pub(super) fn round(random: &mut StdRng) -> Vec<Fault> {
        let mut round = Vec::new();
        for side in [Side::Postgres, Side::Kafka] {
            let order =
                if random.random_bool(0.5) { proxy::Fault::Cut } else { proxy::Fault::Refuse };
            round.push(Self { side, order, time: milliseconds(random, 0..3_000) });
            let ways = [None, Some(Way::ToServer), Some(Way::ToClient)];
            let order = proxy::Fault::Silence(ways.choose(random).copied().flatten());
            round.push(Self { side, order, time: milliseconds(random, 500..7_000) });
        }
        let side = if random.random_bool(0.5) { Side::Postgres } else { Side::Kafka };
        let order = if random.random_bool(0.5) {
            proxy::Fault::Delay(milliseconds(random, 20..500))
        } else {
            proxy::Fault::Throttle { bytes_per_second: random.random_range(20_000..500_000) }
        };
        round.push(Self { side, order, time: milliseconds(random, 1_000..5_000) });
        let side = if random.random_bool(0.5) { Side::Postgres } else { Side::Kafka };
        let way = match side {
            Side::Postgres => Way::ToClient,
            Side::Kafka => Way::ToServer,
        };
        let order = proxy::Fault::ResetAfter { bytes: random.random_range(1..200_000), way };
        round.push(Self { side, order, time: milliseconds(random, 1_000..3_000) });
        let caught = [
            (Frame::Request, Fate::Held),
            (Frame::Answer, Fate::Held),
            (Frame::Request, Fate::Lost),
            (Frame::Answer, Fate::Lost),
        ];
        let (frame, fate) = caught.choose(random).copied().unwrap_or(caught[0]);
        let order = proxy::Fault::Catch(Catch { api_key: END_TXN, frame, fate });
        round.push(Self { side: Side::Kafka, order, time: milliseconds(random, 0..6_000) });
        round.into_iter().map(Fault::Network).collect()
    }
}
