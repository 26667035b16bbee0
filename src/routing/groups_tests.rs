//! Who takes turns with whom.

use super::*;

const KEY: &str = "$share/g/a/+";

fn target(shard: u16) -> Target {
    Target { shard: ShardId(shard), slot: Slot(u32::from(shard) + 10) }
}

fn groups(online: &[u32]) -> Groups {
    let mut groups = Groups::new([1, 2, 3, 4]);
    for (shard, &online) in online.iter().enumerate() {
        groups.insert(KEY, target(shard as u16));
        groups.count(target(shard as u16), online, online + 1);
    }
    groups
}

fn assign(groups: &mut Groups, items: u32) -> Vec<Share> {
    let mut out = Vec::new();
    assert!(groups.assign("a/b", items, true, &mut out));
    out
}

#[test]
fn shards_take_turns_by_their_members() {
    let online = [3, 0, 1, 5];
    let mut groups = groups(&online);
    let mut taken = [0; 4];
    for items in [1, 2, 256, 7, 1, 1, 1, 40, 9, 9, 33] {
        let mut end = 0;
        for share in assign(&mut groups, items) {
            assert_eq!(share.items.start, end, "each publication goes to one shard");
            end = share.items.end;
            taken[share.target.shard.index()] += share.items.len();
        }
        assert_eq!(end, items);
    }
    assert_eq!(taken, [120, 0, 40, 200], "360 publications, 40 for each of nine");
}

#[test]
fn without_anybody_online_a_session_keeps_them() {
    let mut groups = groups(&[0, 0]);
    let shares = assign(&mut groups, 5);
    assert_eq!(shares, [Share { target: target(0), items: 0..5, accept: Accept::Any }]);
    let mut out = Vec::new();
    assert!(groups.assign("a/b", 5, false, &mut out), "the group is there");
    assert_eq!(out, [], "and nobody keeps QoS 0");
}

#[test]
fn another_shard_is_found_until_all_are_excluded() {
    let mut groups = groups(&[1, 1, 0]);
    let mut excluded = ShardSet::default();
    excluded.insert(ShardId(0));
    assert_eq!(groups.other(KEY, Accept::Online, &excluded), Some(target(1)));
    excluded.insert(ShardId(1));
    assert_eq!(groups.other(KEY, Accept::Online, &excluded), None);
    assert_eq!(groups.other(KEY, Accept::Any, &excluded), Some(target(2)));
    excluded.insert(ShardId(2));
    assert_eq!(groups.other(KEY, Accept::Any, &excluded), None);
}

#[test]
fn a_group_goes_with_its_last_shard() {
    let mut groups = groups(&[1, 2]);
    groups.insert("$share/h/a/+", target(7));
    groups.count(target(7), 1, 1);
    assert_eq!(assign(&mut groups, 1).len(), 2, "one for each group");
    groups.remove(target(0));
    groups.remove(target(1));
    groups.remove(target(1));
    assert_eq!(assign(&mut groups, 3), [Share { target: target(7), items: 0..3, accept: Accept::Online }]);
    groups.remove(target(7));
    assert!(groups.is_empty());
    assert!(!groups.assign("a/b", 1, true, &mut Vec::new()));
    assert_eq!(groups.other(KEY, Accept::Any, &ShardSet::default()), None);
}
