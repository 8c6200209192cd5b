//! The order of the rows in a data file: by region, account, time and id.

/// What decides a row's place: the ranks of its region and its account, the time within the day, the id's bits.
pub(crate) type SortKey = (u32, u32, u64, u128);

/// Puts rows in order. `ranks` is the number of different regions or accounts, whichever is larger.
pub(crate) fn sorted<T: Copy + Ord>(rows: impl Iterator<Item = (SortKey, T)>, ranks: usize) -> Vec<T> {
    if ranks > usize::from(u16::MAX) {
        let mut rows: Vec<(SortKey, T)> = rows.collect();
        rows.sort_unstable();
        return rows.into_iter().map(|(_, row)| row).collect();
    }
    // Packed into one number: ranks of 16 bits, a time of 40 (a day has fewer than 2^37 microseconds), the id's start.
    let packed = |(region, account, time, id): SortKey| {
        (u128::from(region) << 112) | (u128::from(account) << 96) | (u128::from(time) << 56) | (id >> 72)
    };
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
        fn packed_and_plain_agree(keys in proptest::collection::vec((0u32..4, 0u32..4, 0u64..86_400_000_000, any::<u128>()), 0..80)) {
            let rows = || keys.iter().zip(0u32..).map(|(&key, row)| (key, row));
            prop_assert_eq!(sorted(rows(), 4), sorted(rows(), usize::MAX));
        }
    }
}
