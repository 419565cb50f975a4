//! Sets of row numbers, small where numbers follow each other.

/// The numbers as bytes: for each run of successive ones its distance from the end of the one before, and its length less one, as
/// variable-length integers. The first run's distance is from 0.
pub(crate) fn encode(mut numbers: Vec<i64>) -> Vec<u8> {
    numbers.sort_unstable();
    numbers.dedup();
    let mut bytes = Vec::new();
    let mut end = 0i64;
    let mut from = 0;
    while from < numbers.len() {
        let mut to = from;
        while to + 1 < numbers.len() && numbers[to + 1] == numbers[to].wrapping_add(1) {
            to += 1;
        }
        let distance = numbers[from].wrapping_sub(end);
        put(&mut bytes, distance.cast_unsigned());
        put(&mut bytes, (to - from) as u64);
        end = numbers[to];
        from = to + 1;
    }
    bytes
}

fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A set of numbers as runs, each from its first to its last.
#[derive(Debug, Default)]
pub(crate) struct Numbers(Vec<(i64, i64)>);

impl Numbers {
    /// Adds what [`encode`] made; `None` when it did not make this. To be [closed](Self::close) before it is asked.
    pub(crate) fn decode(&mut self, mut bytes: &[u8]) -> Option<()> {
        let mut end = 0i64;
        while !bytes.is_empty() {
            let first = end.wrapping_add(take(&mut bytes)?.cast_signed());
            let last = first.checked_add(i64::try_from(take(&mut bytes)?).ok()?)?;
            self.0.push((first, last));
            end = last;
        }
        Some(())
    }

    /// Puts the runs in order and joins those that meet.
    pub(crate) fn close(&mut self) {
        self.0.sort_unstable();
        let mut kept = 0;
        for at in 0..self.0.len() {
            let (first, last) = self.0[at];
            if kept > 0 && first <= self.0[kept - 1].1.saturating_add(1) {
                self.0[kept - 1].1 = self.0[kept - 1].1.max(last);
            } else {
                self.0[kept] = (first, last);
                kept += 1;
            }
        }
        self.0.truncate(kept);
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains(&self, number: i64) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= number);
        after > 0 && self.0[after - 1].1 >= number
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn successive_numbers_take_a_few_bytes() {
        assert!(encode((1_000_000..1_002_000).collect()).len() <= 6);
        assert!(encode(Vec::new()).is_empty());
    }

    #[test]
    fn bytes_that_were_cut_are_noticed() {
        let whole = encode(vec![5, 6, 900]);
        for cut in 1..whole.len() {
            let known = Numbers::default().decode(&whole[..cut]);
            assert!(known.is_none() || cut == 2, "{cut} of {whole:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn what_was_put_in_and_nothing_else_is_there(lists in prop::collection::vec(prop::collection::vec(
            prop_oneof![0i64..300, any::<i64>()], 0..60), 0..5)) {
            let mut numbers = Numbers::default();
            let mut model = BTreeSet::new();
            for list in &lists {
                model.extend(list.iter().copied());
                prop_assert_eq!(numbers.decode(&encode(list.clone())), Some(()));
            }
            numbers.close();
            for asked in (-2..303).chain(model.iter().flat_map(|n| [n.wrapping_sub(1), *n, n.wrapping_add(1)])) {
                prop_assert_eq!(numbers.contains(asked), model.contains(&asked), "{}", asked);
            }
        }
    }
}
