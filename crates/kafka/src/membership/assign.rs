//! Who of a group gets which partitions. Pure, and the same for the same input, whoever leads.
//!
//! In: a weight for each partition, what each member holds. Out: what each member is given now.
//! Three rules, the first before the others: nobody loses a partition without need; the loads of two
//! members never differ by more than one largest weight; partitions of no weight are spread by their
//! number. Never here: bytes, clocks, generations of a group. Source: KIP-429 (what moves is taken
//! away in one round and given in the next), KIP-341 (assignors that stick).

use std::{cmp::Reverse, collections::BTreeSet};

/// Weights above this count as this: then no sum of them overflows.
const WEIGHT_MAX: u64 = u32::MAX as u64;

/// One member as the leader knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Claim {
    /// A name that stays with a member when it starts again; members are ordered by it.
    pub(super) name: String,
    /// The generation in which it was given what it owns: of two that claim one partition, the newer is right.
    pub(super) generation: i32,
    /// Partitions it works on.
    pub(super) owned: BTreeSet<i32>,
    /// Partitions it was given last, if it does not work on them any more: it started again.
    pub(super) formerly: BTreeSet<i32>,
}

/// What each member is given now, in the order of `claims`. Partition `p` has weight `weights[p]`.
///
/// A partition that is to move from one living member to another is given to neither: the first lets
/// it go, and the round after gives it to the second.
pub(super) fn assign(weights: &[u64], claims: &[Claim]) -> Vec<BTreeSet<i32>> {
    let owners = owners(weights.len(), claims);
    let mut given = target(weights, claims);
    for (member, partitions) in given.iter_mut().enumerate() {
        partitions.retain(|partition| owner(&owners, *partition).is_none_or(|one| one == member));
    }
    given
}

/// What each member is to have in the end.
fn target(weights: &[u64], claims: &[Claim]) -> Vec<BTreeSet<i32>> {
    if claims.is_empty() {
        return Vec::new();
    }
    let holders = holders(weights.len(), claims);
    let numbered = || (0_i32..).zip(weights.iter().map(|weight| (*weight).min(WEIGHT_MAX)));
    let order = order(claims);
    let heavy = numbered().filter(|(_, weight)| *weight > 0).collect::<Vec<_>>();
    let light = numbered().filter(|(_, weight)| *weight == 0).map(|(number, _)| (number, 1));
    let heavy = Spread::of(&heavy, &holders, order.clone(), vec![0; claims.len()]);
    let light = Spread::of(&light.collect::<Vec<_>>(), &holders, order, heavy.load.clone());
    let both = heavy.held.into_iter().zip(light.held);
    both.map(|(heavy, light)| heavy.into_iter().chain(light).map(|(number, _)| number).collect())
        .collect()
}

/// The place of each member among all by name.
fn order(claims: &[Claim]) -> Vec<usize> {
    let mut sorted: Vec<usize> = (0..claims.len()).collect();
    sorted.sort_by_key(|member| (&claims[*member].name, *member));
    let mut places = vec![0; claims.len()];
    for (place, member) in sorted.into_iter().enumerate() {
        places[member] = place;
    }
    places
}

/// Which member works on each partition.
fn owners(partition_count: usize, claims: &[Claim]) -> Vec<Option<usize>> {
    let order = order(claims);
    let mut owners: Vec<Option<usize>> = vec![None; partition_count];
    for (member, claim) in claims.iter().enumerate() {
        for owner in claim.owned.iter().filter_map(|number| index(*number)) {
            let Some(owner) = owners.get_mut(owner) else { continue };
            let rank = |one: usize| (claims[one].generation, Reverse(order[one]));
            if owner.is_none_or(|other| rank(member) > rank(other)) {
                *owner = Some(member);
            }
        }
    }
    owners
}

/// The same, and for partitions that nobody works on who did so last.
fn holders(partition_count: usize, claims: &[Claim]) -> Vec<Option<usize>> {
    let mut holders = owners(partition_count, claims);
    for (member, claim) in claims.iter().enumerate() {
        for number in claim.formerly.iter().filter_map(|number| index(*number)) {
            if let Some(holder @ None) = holders.get_mut(number) {
                *holder = Some(member);
            }
        }
    }
    holders
}

fn owner(owners: &[Option<usize>], partition: i32) -> Option<usize> {
    index(partition).and_then(|index| owners.get(index).copied().flatten())
}

fn index(partition: i32) -> Option<usize> {
    usize::try_from(partition).ok()
}

/// Partitions of one kind on their way to members.
struct Spread {
    /// Number and weight of each partition, by member.
    held: Vec<Vec<(i32, u64)>>,
    load: Vec<u64>,
    /// Decides between members of one load: what else they have, and then their place.
    order: Vec<usize>,
    other_load: Vec<u64>,
}

impl Spread {
    fn of(
        partitions: &[(i32, u64)],
        holders: &[Option<usize>],
        order: Vec<usize>,
        other_load: Vec<u64>,
    ) -> Self {
        let (held, load) = (vec![Vec::new(); order.len()], vec![0; order.len()]);
        let mut spread = Self { held, load, order, other_load };
        let mut free = Vec::new();
        for partition in partitions {
            match owner(holders, partition.0) {
                Some(member) => spread.give(member, *partition),
                None => free.push(*partition),
            }
        }
        free.sort_by_key(|(number, weight)| (Reverse(*weight), *number));
        for partition in free {
            spread.give(spread.lightest(), partition);
        }
        let largest = partitions.iter().map(|(_, weight)| *weight).max().unwrap_or(0);
        spread.level(largest);
        spread
    }

    fn give(&mut self, member: usize, partition: (i32, u64)) {
        self.load[member] += partition.1;
        self.held[member].push(partition);
    }

    fn lightest(&self) -> usize {
        let load = |member: &usize| self.rank(*member);
        (0..self.load.len()).min_by_key(load).unwrap_or(0)
    }

    fn heaviest(&self) -> usize {
        let load = |member: &usize| self.rank(*member);
        (0..self.load.len()).max_by_key(load).unwrap_or(0)
    }

    fn rank(&self, member: usize) -> (u64, u64, usize) {
        (self.load[member], self.other_load[member], self.order[member])
    }

    /// Moves partitions until no two members differ by more than `largest`. It ends: what moves is
    /// lighter than the difference, so each move makes the sum of the squares of the loads smaller.
    fn level(&mut self, largest: u64) {
        loop {
            let (from, to) = (self.heaviest(), self.lightest());
            let gap = self.load[from] - self.load[to];
            if gap <= largest {
                return;
            }
            let fit = |(number, weight): &(i32, u64)| (weight.abs_diff(gap / 2), Reverse(*number));
            let best = self.held[from].iter().enumerate().min_by_key(|(_, held)| fit(held));
            let Some((best, _)) = best else { return };
            let moved = self.held[from].swap_remove(best);
            self.load[from] -= moved.1;
            self.give(to, moved);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn claim(name: &str, owned: &[i32]) -> Claim {
        Claim {
            name: name.into(),
            generation: 1,
            owned: owned.iter().copied().collect(),
            ..Claim::default()
        }
    }

    /// Rounds as members play them: each takes what it is given, lets go of the rest, and comes again
    /// if it had to. Out: what each has in the end, and how many rounds it took.
    fn settle(weights: &[u64], mut claims: Vec<Claim>) -> (Vec<BTreeSet<i32>>, usize) {
        for round in 1..=20 {
            let given = assign(weights, &claims);
            let revokes = claims.iter().zip(&given).any(|(claim, new)| !claim.owned.is_subset(new));
            for (claim, new) in claims.iter_mut().zip(&given) {
                claim.owned.clone_from(new);
                claim.formerly.clear();
                claim.generation = i32::try_from(round).unwrap() + 1;
            }
            if !revokes {
                return (given, round);
            }
        }
        panic!("no end: {claims:?}");
    }

    fn loads(weights: &[u64], given: &[BTreeSet<i32>], of: impl Fn(u64) -> u64) -> Vec<u64> {
        let load = |member: &BTreeSet<i32>| {
            member.iter().map(|number| of(weights[usize::try_from(*number).unwrap()])).sum()
        };
        given.iter().map(load).collect()
    }

    fn gap(loads: &[u64]) -> u64 {
        loads.iter().max().unwrap() - loads.iter().min().unwrap()
    }

    #[test]
    fn a_first_member_gets_everything_at_once() {
        assert_eq!(assign(&[0; 3], &[claim("a", &[])]), [BTreeSet::from([0, 1, 2])]);
        assert!(assign(&[1, 2], &[]).is_empty());
    }

    #[test]
    fn what_moves_is_taken_away_in_one_round_and_given_in_the_next() {
        let mut claims = vec![claim("a", &[0, 1, 2, 3]), claim("b", &[])];
        let first = assign(&[1; 4], &claims);
        assert_eq!(first, [BTreeSet::from([0, 1]), BTreeSet::new()]);
        claims[0].owned.clone_from(&first[0]);
        assert_eq!(assign(&[1; 4], &claims), [BTreeSet::from([0, 1]), BTreeSet::from([2, 3])]);
    }

    #[test]
    fn the_newer_of_two_claims_is_right() {
        let old = claim("a", &[0]);
        let new = Claim { generation: 2, ..claim("b", &[0]) };
        assert_eq!(assign(&[1], &[old, new]), [BTreeSet::new(), BTreeSet::from([0])]);
    }

    #[test]
    fn who_starts_again_gets_back_what_it_had() {
        let again = Claim { owned: BTreeSet::new(), formerly: [2, 3].into(), ..claim("a", &[]) };
        let given = assign(&[0; 4], &[claim("b", &[0, 1]), again]);
        assert_eq!(given, [BTreeSet::from([0, 1]), BTreeSet::from([2, 3])]);
    }

    #[test]
    fn a_heavy_partition_outweighs_many_light_ones() {
        let (given, _) = settle(&[10, 1, 1, 1, 1], vec![claim("a", &[]), claim("b", &[])]);
        assert_eq!(given, [BTreeSet::from([0]), BTreeSet::from([1, 2, 3, 4])]);
    }

    /// Weights of up to 40 partitions, and members that hold some of them, each at most one.
    fn groups() -> impl Strategy<Value = (Vec<u64>, Vec<Claim>)> {
        let weight = prop_oneof![Just(0_u64), 1..6_u64, 1..200_u64];
        (vec(weight, 0..40), 1..8_usize).prop_flat_map(|(weights, members)| {
            let holder = vec((0..members + 2, any::<bool>()), weights.len());
            (Just(weights), holder).prop_map(move |(weights, held_by)| {
                let mut claims: Vec<Claim> =
                    (0..members).map(|number| claim(&format!("m{number}"), &[])).collect();
                for (number, (holder, is_former)) in (0..).zip(held_by) {
                    if let Some(claim) = claims.get_mut(holder) {
                        let held = if is_former { &mut claim.formerly } else { &mut claim.owned };
                        held.insert(number);
                    }
                }
                (weights, claims)
            })
        })
    }

    proptest! {
        #[test]
        fn each_partition_has_one_member_and_loads_are_level((weights, claims) in groups()) {
            let (given, rounds) = settle(&weights, claims);
            let mut all: Vec<i32> = given.iter().flatten().copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..i32::try_from(weights.len()).unwrap()).collect::<Vec<_>>());
            let largest = weights.iter().max().copied().unwrap_or(0);
            prop_assert!(gap(&loads(&weights, &given, |weight| weight)) <= largest);
            prop_assert!(gap(&loads(&weights, &given, |weight| u64::from(weight == 0))) <= 1);
            prop_assert!(rounds <= 4, "{} rounds", rounds);
        }

        #[test]
        fn no_partition_is_given_while_another_works_on_it((weights, claims) in groups()) {
            let given = assign(&weights, &claims);
            for (member, partitions) in given.iter().enumerate() {
                for (other, claim) in claims.iter().enumerate() {
                    prop_assert!(member == other || partitions.is_disjoint(&claim.owned));
                }
            }
        }

        #[test]
        fn nothing_moves_once_it_is_settled((weights, claims) in groups()) {
            let (given, _) = settle(&weights, claims.clone());
            let settled: Vec<Claim> = claims
                .into_iter()
                .zip(&given)
                .map(|(claim, owned)| Claim { owned: owned.clone(), formerly: [].into(), ..claim })
                .collect();
            prop_assert_eq!(assign(&weights, &settled), given);
        }

        #[test]
        fn who_stays_keeps_everything_when_another_dies((weights, claims) in groups(), dead in any::<prop::sample::Index>()) {
            let (given, _) = settle(&weights, claims.clone());
            let mut left: Vec<Claim> = claims
                .into_iter()
                .zip(&given)
                .map(|(claim, owned)| Claim { owned: owned.clone(), formerly: [].into(), ..claim })
                .collect();
            prop_assume!(left.len() > 1);
            left.remove(dead.index(left.len()));
            let all_equal = weights.iter().all(|weight| *weight == 1) || weights.iter().all(|weight| *weight == 0);
            let (after, rounds) = settle(&weights, left.clone());
            prop_assert_eq!(after.iter().map(BTreeSet::len).sum::<usize>(), weights.len());
            if all_equal {
                prop_assert_eq!(rounds, 1);
                prop_assert!(left.iter().zip(&after).all(|(claim, new)| claim.owned.is_subset(new)));
            }
        }

        #[test]
        fn the_order_of_members_does_not_matter((weights, mut claims) in groups()) {
            let mut forward: Vec<_> = claims.iter().map(|claim| claim.name.clone()).zip(assign(&weights, &claims)).collect();
            claims.reverse();
            let mut backward: Vec<_> = claims.iter().map(|claim| claim.name.clone()).zip(assign(&weights, &claims)).collect();
            forward.sort();
            backward.sort();
            prop_assert_eq!(forward, backward);
        }
    }
}
