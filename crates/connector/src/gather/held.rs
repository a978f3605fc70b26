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
    /// A frame that follows others which wait.
    pub(super) async fn held(&mut self, data: &XLogData<'_>) -> Result<Gathered, ConnectorError> {
        let mut gathered = Gathered::Nothing;
        let mut frames = VecDeque::from([Frame::of(data)]);
        while let Some(frame) = frames.pop_front() {
            let Some(mut hold) = self.hold.take() else {
                gathered = gathered.max(self.data(&frame.data()).await?);
                continue;
            };
            match hold.verdict(&frame)? {
                Verdict::Open => {
                    hold.push(frame);
                    self.hold = Some(hold);
                }
                verdict => {
                    let after = verdict == Verdict::After;
                    let relation = Arc::clone(hold.relation());
                    self.tables.decide(&relation, self.point, after, &mut self.transaction).await?;
                    frames.push_front(frame);
                    for earlier in hold.release().into_iter().rev() {
                        frames.push_front(earlier);
                    }
                }
            }
        }
        Ok(gathered)
    }
}
