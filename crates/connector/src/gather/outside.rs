//! Signals from outside the source, heeded between two source transactions.
//!
//! In: what a channel delivers. Out: what a signal asks for and how far its channel is heeded, both in the position of the open
//! Kafka transaction.

use super::{Gathered, Gatherer};
use crate::error::ConnectorError;
use crate::signal::outside::{Delivery, Mark};

impl Gatherer {
    /// A source transaction has begun and not ended.
    #[inline]
    pub(crate) fn is_in_transaction(&self) -> bool {
        self.progress.in_transaction()
    }

    /// Heeds what a channel has delivered. Only between source transactions.
    pub(crate) async fn heed(&mut self, delivery: Delivery) -> Result<Gathered, ConnectorError> {
        let Delivery { mark, signal } = delivery;
        if let Mark::Topic(mark) = &mark {
            self.news.signals.topic_offset = Some(mark.next_offset);
        }
        let heeded = &mut self.position_mut().requests.heeded;
        let channel = match mark {
            Mark::Topic(mark) => {
                heeded.topic = Some(mark);
                "kafka"
            }
            Mark::File(mark) => {
                heeded.file = Some(mark);
                "file"
            }
        };
        match signal {
            None => return Ok(Gathered::Position),
            Some(Ok(signal)) => self.heed_signal(channel, &signal).await?,
            Some(Err(refused)) => self.not_heeded(channel, &refused.id, &refused.reason),
        }
        // Also if it added nothing: whoever has sent it waits for its mark.
        Ok(Gathered::Records)
    }
}
