//! Members of a group: who has which partitions, through joins, leaves, deaths and restarts.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use embedded::{Kafka, KafkaOptions, Silent};
use kafka::{
    Class, Client, NewTopic,
    membership::{Assignment, Membership, MembershipEvent, MembershipSettings},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    fixture::{SOON, broker, client, config_of, topic, unique},
    java::java,
    older_broker,
};

/// A session that tests can wait for.
const SESSION: Duration = Duration::from_secs(3);

fn settings(group: &str, topic: &str, name: &str) -> MembershipSettings {
    MembershipSettings {
        instance_id: Some(name.into()),
        user_data: format!("http://{name}").into(),
        session_timeout: SESSION,
        heartbeat_interval: Duration::from_millis(200),
        ..MembershipSettings::new(group, topic)
    }
}

/// What happened to an owner, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Assigned(Assignment),
    Revoke(Vec<i32>),
    Lost(&'static str),
}

/// A member whose owner lets go at once, as long as it lives.
struct Owner {
    seen: watch::Receiver<Vec<Seen>>,
    membership: JoinSet<Membership>,
    stop: Arc<tokio::sync::Notify>,
}

impl Owner {
    async fn join(client: &Client, settings: MembershipSettings) -> Self {
        Self::of(Membership::join(client, settings, |_| 1).await.unwrap())
    }

    fn of(mut membership: Membership) -> Self {
        let (sender, seen) = watch::channel(Vec::new());
        let stop = Arc::new(tokio::sync::Notify::new());
        let stopped = Arc::clone(&stop);
        let mut owner = JoinSet::new();
        owner.spawn(async move {
            loop {
                let event = tokio::select! {
                    biased;
                    () = stopped.notified() => return membership,
                    event = membership.next() => event,
                };
                let seen = match event {
                    MembershipEvent::Assigned(assignment) => Seen::Assigned(assignment),
                    MembershipEvent::Revoke { partitions } => {
                        membership.revoked().await;
                        Seen::Revoke(partitions)
                    }
                    MembershipEvent::Lost { cause } => {
                        let over = cause.class() != Class::Transient;
                        sender.send_modify(|all| all.push(Seen::Lost(cause.code())));
                        if over {
                            return membership;
                        }
                        continue;
                    }
                };
                sender.send_modify(|all| all.push(seen));
            }
        });
        Self { seen, membership: owner, stop }
    }

    /// Waits until what was seen is as wanted.
    async fn until(&mut self, what: &str, is_so: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let found = timeout(2 * SOON, self.seen.wait_for(|seen| is_so(seen)));
        if let Ok(found) = found.await {
            return found.unwrap().clone();
        }
        panic!("never {what}: {:#?}", self.seen.borrow());
    }

    async fn has(&mut self, count: usize) -> Assignment {
        let of = |seen: &[Seen]| now(seen).filter(|now| now.partitions.len() == count);
        let seen = self.until(&format!("{count} partitions"), |seen| of(seen).is_some()).await;
        of(&seen).unwrap()
    }

    /// Waits until all members know each other, and together have all partitions.
    async fn knows(&mut self, members: usize, partitions: usize) -> Assignment {
        let of = |seen: &[Seen]| {
            now(seen).filter(|now| {
                let given: usize = now.members.iter().map(|member| member.partitions.len()).sum();
                now.members.len() == members && given == partitions
            })
        };
        let seen = self.until(&format!("{members} members"), |seen| of(seen).is_some()).await;
        of(&seen).unwrap()
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    async fn stop(mut self) -> Membership {
        self.stop.notify_one();
        self.membership.join_next().await.unwrap().unwrap()
    }

    async fn leave(self) {
        self.stop().await.leave().await.unwrap();
    }

    /// As SIGKILL does.
    async fn die(self) {
        drop(self.stop().await);
    }
}

/// What holds now.
fn now(seen: &[Seen]) -> Option<Assignment> {
    match seen.last() {
        Some(Seen::Assigned(assignment)) => Some(assignment.clone()),
        _ => None,
    }
}

fn set(assignment: &Assignment) -> BTreeSet<i32> {
    assignment.partitions.iter().copied().collect()
}

/// Assignments without what the first of them had: empty if `kept` was its own all the time.
fn moments_without(seen: &[Seen], kept: &BTreeSet<i32>) -> Vec<Seen> {
    let lacks = |seen: &&Seen| match seen {
        Seen::Assigned(assignment) => !kept.is_subset(&set(assignment)),
        Seen::Revoke(partitions) => partitions.iter().any(|number| kept.contains(number)),
        Seen::Lost(_) => true,
    };
    seen.iter().filter(lacks).cloned().collect()
}

async fn second_member_takes_a_half_and_gives_it_back(client: &Client) {
    let configs = topic(client, "configs", 6, &[]).await;
    let group = unique("halves");
    let mut first = Owner::join(client, settings(&group, configs.name(), "a")).await;
    let alone = first.has(6).await;
    assert_eq!(alone.members.len(), 1);
    assert_eq!(alone.members[0].user_data, b"http://a");

    let mut second = Owner::join(client, settings(&group, configs.name(), "b")).await;
    let (half, other) = (second.has(3).await, first.knows(2, 6).await);
    assert!(set(&half).is_disjoint(&set(&other)));
    assert_eq!(set(&half).union(&set(&other)).count(), 6);
    assert_eq!(moments_without(&first.seen(), &set(&other)), [], "what it keeps it always had");
    let revoked = first.seen().into_iter().find_map(|seen| match seen {
        Seen::Revoke(partitions) => Some(partitions),
        _ => None,
    });
    assert_eq!(revoked.unwrap(), half.partitions, "asked before another got them");
    let names: Vec<_> =
        other.members.iter().map(|member| member.instance_id.as_deref().unwrap()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(other.members[1].partitions, half.partitions, "all know what each has");

    second.leave().await;
    assert_eq!(first.has(6).await.members.len(), 1);
    first.leave().await;
}

#[tokio::test]
async fn partitions_move_without_a_pause_for_those_that_stay() {
    second_member_takes_a_half_and_gives_it_back(&client().await).await;
}

#[tokio::test]
async fn partitions_move_without_a_pause_on_an_older_broker() {
    second_member_takes_a_half_and_gives_it_back(&older_broker::client().await).await;
}

#[tokio::test]
async fn what_a_dead_member_had_is_taken_over() {
    let client = client().await;
    let configs = topic(&client, "dead", 4, &[]).await;
    let group = unique("dead");
    let mut first = Owner::join(&client, settings(&group, configs.name(), "a")).await;
    let mut second = Owner::join(&client, settings(&group, configs.name(), "b")).await;
    first.knows(2, 4).await;
    let kept = set(&second.knows(2, 4).await);
    first.die().await;
    let all = second.has(4).await;
    assert_eq!(all.members.len(), 1);
    assert_eq!(moments_without(&second.seen()[1..], &kept), []);
    second.leave().await;
}

#[tokio::test]
async fn who_starts_again_in_time_gets_back_what_it_had_and_nobody_notices() {
    let client = client().await;
    let configs = topic(&client, "again", 5, &[]).await;
    let group = unique("again");
    let mut first = Owner::join(&client, settings(&group, configs.name(), "a")).await;
    first.has(5).await;
    let mut second = Owner::join(&client, settings(&group, configs.name(), "b")).await;
    let before = second.knows(2, 5).await;
    first.knows(2, 5).await;
    let noticed = first.seen().len();
    for _ in 0..2 {
        // The second time it is the one the coordinator has put in the place of the first.
        second.die().await;
        second = Owner::join(&client, settings(&group, configs.name(), "b")).await;
        let after = second.has(before.partitions.len()).await;
        assert_eq!((after.generation, &after.partitions), (before.generation, &before.partitions));
    }
    // The leader of the group is no exception.
    let of_first = first.knows(2, 5).await.partitions;
    assert_eq!(first.seen().len(), noticed, "{:?}", first.seen());
    first.die().await;
    let mut first = Owner::join(&client, settings(&group, configs.name(), "a")).await;
    assert_eq!(first.has(of_first.len()).await.partitions, of_first);
    // What it says of itself has changed: that others must hear, and nothing moves.
    second.die().await;
    let moved = MembershipSettings {
        user_data: b"http://elsewhere".into(),
        ..settings(&group, configs.name(), "b")
    };
    let second = Owner::join(&client, moved).await;
    let knows = |seen: &[Seen]| {
        now(seen).is_some_and(|now| now.members.iter().any(|m| m.user_data == b"http://elsewhere"))
    };
    let seen = first.until("the new address", knows).await;
    assert_eq!(now(&seen).unwrap().partitions, of_first);
    second.leave().await;
    first.leave().await;
}

#[tokio::test]
async fn who_starts_again_in_the_middle_of_a_round_gets_back_what_it_had() {
    let client = client().await;
    let configs = topic(&client, "middle", 6, &[]).await;
    let group = unique("middle");
    let mut first = Owner::join(&client, settings(&group, configs.name(), "a")).await;
    first.has(6).await;
    let mut second = Owner::join(&client, settings(&group, configs.name(), "b")).await;
    let before = second.knows(2, 6).await.partitions;
    second.die().await;
    // Its round waits for the one that died.
    let mut third = Owner::join(&client, settings(&group, configs.name(), "c")).await;
    sleep(Duration::from_millis(500)).await;
    let mut second = Owner::join(&client, settings(&group, configs.name(), "b")).await;
    assert_eq!(second.knows(3, 6).await.partitions, before[..2]);
    third.knows(3, 6).await;
    for owner in [first, second, third] {
        owner.leave().await;
    }
}

#[tokio::test]
async fn the_younger_of_two_with_one_name_pushes_out_the_elder_for_good() {
    let client = client().await;
    let configs = topic(&client, "twins", 2, &[]).await;
    let group = unique("twins");
    let mut elder = Owner::join(&client, settings(&group, configs.name(), "a")).await;
    elder.has(2).await;
    let mut younger = Owner::join(&client, settings(&group, configs.name(), "a")).await;
    younger.has(2).await;
    elder.until("pushed out", |seen| seen.last() == Some(&Seen::Lost("KA035"))).await;
    let mut elder = elder.stop().await;
    let MembershipEvent::Lost { cause } = elder.next().await else { panic!("told something else") };
    assert_eq!((cause.code(), cause.class()), ("KA035", Class::Fenced), "{cause}");
    elder.leave().await.unwrap();
    sleep(SESSION).await;
    assert_eq!(now(&younger.seen()).unwrap().partitions, [0, 1], "{:?}", younger.seen());
    younger.leave().await;
}

/// Stops the whole process, as far as this runtime is one.
fn stand_still(time: Duration) {
    std::thread::sleep(time);
}

#[tokio::test]
async fn who_stood_still_for_a_session_hears_first_that_it_is_over() {
    let client = client().await;
    let configs = topic(&client, "asleep", 3, &[]).await;
    let group = unique("asleep");
    let settings = settings(&group, configs.name(), "a");
    let mut sleeper = Membership::join(&client, settings, |_| 0).await.unwrap();
    assert!(matches!(sleeper.next().await, MembershipEvent::Assigned(_)));
    stand_still(SESSION);
    let MembershipEvent::Lost { cause } = sleeper.next().await else { panic!("not lost") };
    assert_eq!((cause.code(), cause.class()), ("KA036", Class::Transient), "{cause}");
    let again = timeout(SOON, sleeper.next()).await.unwrap();
    let MembershipEvent::Assigned(again) = again else { panic!("{again:?}") };
    assert_eq!(again.partitions, [0, 1, 2]);
    sleeper.leave().await.unwrap();
}

#[tokio::test]
async fn who_stood_still_while_another_took_its_name_stays_out() {
    let client = client().await;
    let configs = topic(&client, "replaced", 3, &[]).await;
    let group = unique("replaced");
    let settings = settings(&group, configs.name(), "a");
    let mut sleeper = Membership::join(&client, settings.clone(), |_| 0).await.unwrap();
    assert!(matches!(sleeper.next().await, MembershipEvent::Assigned(_)));
    // Another process, while this one stands still.
    let younger = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            sleep(SESSION / 2).await;
            let client = crate::fixture::client().await;
            let mut younger = Owner::join(&client, settings).await;
            younger.has(3).await;
            sleep(2 * SESSION).await;
            assert_eq!(younger.seen().len(), 1, "{:?}", younger.seen());
            younger.leave().await;
        });
    });
    stand_still(SESSION * 3 / 2);
    let MembershipEvent::Lost { cause } = sleeper.next().await else { panic!("not lost") };
    assert_eq!(cause.code(), "KA036", "{cause}");
    let then = timeout(SOON, sleeper.next()).await.unwrap();
    let MembershipEvent::Lost { cause } = then else { panic!("{then:?}") };
    assert_eq!(cause.code(), "KA035", "{cause}");
    tokio::task::spawn_blocking(move || younger.join().unwrap()).await.unwrap();
}

#[tokio::test]
async fn heartbeats_go_on_while_the_owner_is_slow_and_its_partitions_wait_for_it() {
    let client = client().await;
    let configs = topic(&client, "slow", 2, &[]).await;
    let group = unique("slow");
    let mut slow =
        Membership::join(&client, settings(&group, configs.name(), "a"), |_| 1).await.unwrap();
    assert!(matches!(slow.next().await, MembershipEvent::Assigned(_)));
    let mut other = Owner::join(&client, settings(&group, configs.name(), "b")).await;
    let MembershipEvent::Revoke { partitions } = slow.next().await else { panic!("no revoke") };
    assert_eq!(partitions.len(), 1);
    sleep(SESSION * 2).await;
    assert!(now(&other.seen()).is_none_or(|now| now.partitions.is_empty()));
    slow.revoked().await;
    assert_eq!(other.has(1).await.partitions, partitions);
    let kept = loop {
        match slow.next().await {
            MembershipEvent::Assigned(now) if now.generation >= 3 => break now.partitions,
            MembershipEvent::Assigned(_) => {}
            event => panic!("{event:?}"),
        }
    };
    assert_eq!(kept.len(), 1);
    other.leave().await;
    slow.leave().await.unwrap();
}

#[tokio::test]
async fn who_does_not_let_go_in_time_does_not_hold_up_the_others() {
    let client = client().await;
    let configs = topic(&client, "stuck", 2, &[]).await;
    let group = unique("stuck");
    let rebalance_timeout = Duration::from_secs(1);
    let stuck = MembershipSettings { rebalance_timeout, ..settings(&group, configs.name(), "a") };
    let mut stuck = Membership::join(&client, stuck, |_| 1).await.unwrap();
    assert!(matches!(stuck.next().await, MembershipEvent::Assigned(_)));
    let mut other = Owner::join(&client, settings(&group, configs.name(), "b")).await;
    other.has(1).await;
    other.leave().await;
    stuck.leave().await.unwrap();
}

#[tokio::test]
async fn a_member_without_a_name_is_one_as_well() {
    let client = client().await;
    let configs = topic(&client, "dynamic", 2, &[]).await;
    let group = unique("dynamic");
    let dynamic = MembershipSettings { instance_id: None, ..settings(&group, configs.name(), "x") };
    let mut first = Owner::join(&client, dynamic.clone()).await;
    first.has(2).await;
    let mut second = Owner::join(&client, dynamic).await;
    second.has(1).await;
    first.knows(2, 2).await;
    second.leave().await;
    first.has(2).await;
    first.leave().await;
}

#[tokio::test]
async fn heavy_partitions_are_balanced_by_their_weight() {
    let client = client().await;
    let configs = topic(&client, "heavy", 4, &[]).await;
    let group = unique("heavy");
    let weigh = |partition| if partition == 2 { 30 } else { 10 };
    let join = |name: &'static str| {
        let settings = settings(&group, configs.name(), name);
        let client = client.clone();
        async move { Owner::of(Membership::join(&client, settings, weigh).await.unwrap()) }
    };
    let mut first = join("a").await;
    first.has(4).await;
    let mut second = join("b").await;
    second.knows(2, 4).await;
    let all = first.knows(2, 4).await;
    let with_heavy = all.members.iter().find(|member| member.partitions.contains(&2)).unwrap();
    assert_eq!(with_heavy.partitions, [2], "{all:?}");
    first.leave().await;
    second.leave().await;
}

#[tokio::test]
async fn kafkas_own_tool_shows_the_group_and_who_has_what() {
    let client = client().await;
    let configs = topic(&client, "shown", 3, &[]).await;
    let group = unique("shown");
    let mut first = Owner::join(&client, settings(&group, configs.name(), "first")).await;
    let mut second = Owner::join(&client, settings(&group, configs.name(), "second")).await;
    first.knows(2, 3).await;
    second.knows(2, 3).await;
    let arguments = ["--bootstrap-server", &broker().bootstrap(), "--describe", "--group", &group]
        .map(str::to_owned);
    let class = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
    let members = [&arguments[..], &["--members".into(), "--verbose".into()]].concat();
    let shown = java(class, members, None).await.join("\n");
    for name in ["first", "second"] {
        let line = shown.lines().find(|line| line.contains(&format!(" {name} "))).unwrap();
        assert!(line.contains(configs.name()), "{shown}");
    }
    let state = [&arguments[..], &["--state".into()]].concat();
    let shown = java(class, state, None).await.join("\n");
    assert!(shown.contains("Stable") && shown.contains("tributary"), "{shown}");
    first.leave().await;
    second.leave().await;
}

#[tokio::test]
async fn members_outlive_a_restart_of_the_broker() {
    let options = KafkaOptions::default().set("group.min.session.timeout.ms", "1000");
    let mut kafka = Kafka::start(options, &Silent).await.unwrap();
    let client = Client::connect(config_of(&kafka.bootstrap())).await.unwrap();
    let new = NewTopic {
        name: unique("restarted"),
        partitions: 4,
        replication_factor: 1,
        configs: [].into(),
    };
    let configs = client.create_topic(&new).await.unwrap().topic;
    let long = |name| MembershipSettings {
        session_timeout: Duration::from_mins(1),
        ..settings("restarted", configs.name(), name)
    };
    let short = MembershipSettings { ..settings("short", configs.name(), "s") };
    let mut first = Owner::join(&client, long("a")).await;
    let mut second = Owner::join(&client, long("b")).await;
    let mut impatient = Owner::join(&client, short).await;
    let kept = set(&first.knows(2, 4).await);
    second.knows(2, 4).await;
    impatient.has(4).await;
    let before = first.seen().len();
    kafka.kill(1).await.unwrap();
    // By its own clock, since nobody is there to tell it.
    impatient.until("lost", |seen| seen.last() == Some(&Seen::Lost("KA036"))).await;
    kafka.start_broker(1).await.unwrap();
    impatient.has(4).await;
    // A member that is still one hears of the next round.
    let mut third = Owner::join(&client, long("c")).await;
    third.has(1).await;
    first.knows(3, 4).await;
    assert!(!first.seen()[before..].iter().any(|seen| matches!(seen, Seen::Lost(_))));
    let still: BTreeSet<i32> =
        kept.intersection(&set(&now(&first.seen()).unwrap())).copied().collect();
    assert!(!still.is_empty() && moments_without(&first.seen()[before..], &still).is_empty());
    for owner in [first, second, third, impatient] {
        owner.leave().await;
    }
    kafka.stop().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_joined_says_why() {
    let client = client().await;
    let missing = MembershipSettings::new(unique("none"), "no-such-topic");
    let error = Membership::join(&client, missing, |_| 0).await.unwrap_err();
    assert_eq!(error.code(), "KA030", "{error}");

    let configs = topic(&client, "refused", 1, &[]).await;
    let hasty = MembershipSettings {
        session_timeout: Duration::from_millis(300),
        heartbeat_interval: Duration::from_millis(50),
        ..MembershipSettings::new(unique("hasty"), configs.name())
    };
    let mut hasty = Membership::join(&client, hasty, |_| 0).await.unwrap();
    let MembershipEvent::Lost { cause } = hasty.next().await else { panic!("it is a member") };
    assert_eq!((cause.code(), cause.class()), ("KA020", Class::Definite), "{cause}");
    assert!(cause.to_string().contains("group.min.session.timeout.ms"), "{cause}");
}
