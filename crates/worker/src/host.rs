//! The connectors this worker has: those whose configs live in its partitions.
//!
//! In: partitions as they are assigned and revoked, what is wanted as it changes. Out: a task per connector.
//! Never: a connector of a partition that was let go; letting go waits for its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tracing::{error, info};

use crate::clock::now_ms;
use crate::group::Group;
use crate::metrics::Board;
use crate::running::Running;
use crate::telling::Teller;
use crate::topics::GroupTopics;
use crate::view::View;
use crate::wanted::Wanted;
use crate::written::Written;

/// The connectors this worker has.
pub(crate) struct Host {
    group: Group,
    /// This worker's id.
    worker: String,
    topics: GroupTopics,
    view: Arc<View>,
    teller: Teller,
    board: Board,
    partitions: BTreeSet<i32>,
    hosted: BTreeMap<String, Hosted>,
    tasks: JoinSet<()>,
    /// Tasks that were told to end, by the connector they are of.
    ending: BTreeMap<Id, String>,
}

/// One of them.
struct Hosted {
    wanted: watch::Sender<Arc<Wanted>>,
    task: Id,
}

impl Host {
    pub(crate) fn new(
        group: Group,
        worker: String,
        topics: GroupTopics,
        view: Arc<View>,
        teller: Teller,
        board: Board,
    ) -> Self {
        Self {
            group,
            worker,
            topics,
            view,
            teller,
            board,
            partitions: BTreeSet::new(),
            hosted: BTreeMap::new(),
            tasks: JoinSet::new(),
            ending: BTreeMap::new(),
        }
    }

    /// These partitions are ours from now on; those that were not lost stay as they are.
    pub(crate) async fn assign(&mut self, partitions: BTreeSet<i32>) {
        self.partitions = partitions;
        self.reconcile();
        self.ended().await;
        // A connector that came back while its task was ending begins now.
        self.reconcile();
    }

    /// These are not ours any more: returns once nothing of them runs.
    pub(crate) async fn revoke(&mut self, partitions: &BTreeSet<i32>) {
        self.partitions.retain(|partition| !partitions.contains(partition));
        self.reconcile();
        self.ended().await;
    }

    /// Nothing is ours any more.
    pub(crate) async fn revoke_all(&mut self) {
        let all = self.partitions.clone();
        self.revoke(&all).await;
    }

    /// Starts, changes and ends what has to be, as the view is now.
    pub(crate) fn reconcile(&mut self) {
        let mut wanted = self.view.all_wanted();
        wanted.retain(|(name, _)| self.partitions.contains(&self.topics.partition_of(name)));
        let wanted: BTreeMap<String, Arc<Wanted>> = wanted.into_iter().collect();
        let gone: Vec<String> =
            self.hosted.keys().filter(|name| !wanted.contains_key(*name)).cloned().collect();
        for name in gone {
            if let Some(hosted) = self.hosted.remove(&name) {
                // Its task ends with the other end of the channel.
                self.ending.insert(hosted.task, name);
            }
        }
        for (name, wanted) in wanted {
            match self.hosted.get(&name) {
                Some(hosted) => {
                    hosted.wanted.send_if_modified(|known| {
                        let is_news = known.revision != wanted.revision
                            || known.created_at_ms != wanted.created_at_ms;
                        *known = wanted;
                        is_news
                    });
                }
                None if self.ending.values().any(|ending| *ending == name) => {}
                None => self.begin(name, wanted),
            }
        }
    }

    /// The end of a task, if there is any to wait for. Cancel-safe.
    pub(crate) async fn next_ended(&mut self) {
        let ended = if self.tasks.is_empty() {
            std::future::pending().await
        } else {
            self.tasks.join_next_with_id().await
        };
        if let Some(ended) = ended {
            self.take_ended(ended);
            self.reconcile();
        }
    }

    /// Returns once every task that was told to end has.
    async fn ended(&mut self) {
        while !self.ending.is_empty() {
            match self.tasks.join_next_with_id().await {
                Some(ended) => self.take_ended(ended),
                None => self.ending.clear(),
            }
        }
    }

    fn take_ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(panic) => panic.id(),
        };
        if let Some(name) = self.ending.remove(&id) {
            info!(connector.name = name, "does not run here any more");
            if self.view.wanted(&name).is_none() {
                self.teller.tell(&name, None);
            }
            return;
        }
        // A task only ends when it is told to: this one is a defect. It begins again.
        let name = self.hosted.iter().find(|(_, hosted)| hosted.task == id).map(|(name, _)| name);
        if let Some(name) = name.cloned() {
            error!(connector.name = name, code = "WK015", "a defect ended it: {:?}", ended.err());
            self.hosted.remove(&name);
        }
    }

    fn begin(&mut self, name: String, wanted: Arc<Wanted>) {
        info!(connector.name = name, "runs here now");
        let doing = Arc::clone(&wanted);
        let (sender, receiver) = watch::channel(wanted);
        let running = Running {
            name: name.clone(),
            group: self.group.clone(),
            worker: self.worker.clone(),
            term: now_ms().max(self.view.term(&name) + 1),
            wanted: receiver,
            doing,
            teller: self.teller.clone(),
            posted: self.board.place(&name),
            phase: None,
            written: Written::of(self.view.connector(&name).as_ref()),
        };
        let task = self.tasks.spawn(Box::pin(running.run())).id();
        self.hosted.insert(name, Hosted { wanted: sender, task });
    }
}
