//! Frames of a transaction that changed a table's definition: they wait until it is known whether they came before that.
//!
//! In: the frames that follow a Relation in doubt. Out: the same frames, taken in once the doubt is over.

use std::collections::VecDeque;
use std::sync::Arc;

use pgoutput::replication::XLogData;

use super::{Gathered, Gatherer};
use crate::error::ConnectorError;
use crate::hold::{Frame, Verdict};

impl Gatherer {
    /// A frame that follows others which wait. It is copied only if it waits as well.
    pub(super) async fn held(&mut self, data: &XLogData<'_>) -> Result<Gathered, ConnectorError> {
        let mut gathered = Gathered::Nothing;
        let mut released = VecDeque::new();
        loop {
            let earlier: Option<Frame> = released.pop_front();
            let is_last = earlier.is_none();
            let frame = earlier.as_ref().map_or(*data, Frame::data);
            if let Some(mut hold) = self.hold.take() {
                match hold.verdict(&frame)? {
                    Verdict::Open => {
                        hold.push(earlier.unwrap_or_else(|| Frame::of(data)));
                        self.hold = Some(hold);
                    }
                    verdict => {
                        let after = verdict == Verdict::After;
                        let relation = Arc::clone(hold.relation());
                        let transaction = &mut self.transaction;
                        self.tables.decide(&relation, self.point, after, transaction).await?;
                        let mut waited = hold.release();
                        waited.extend(earlier);
                        waited.append(&mut released);
                        released = waited;
                        continue;
                    }
                }
            } else {
                gathered = gathered.max(self.data(&frame).await?);
            }
            if is_last {
                return Ok(gathered);
            }
        }
    }
}
