//! Which items leave together. Pure.

use sync_core::PushMode;

use super::item::Item;

/// Collects items until a batch is full: one for each mode that writes were begun in.
#[derive(Debug)]
pub(crate) struct Batcher {
    /// In the order their modes came up.
    open: Vec<Open>,
    most: usize,
    most_bytes: usize,
}

/// A batch that is not full yet.
#[derive(Debug)]
struct Open {
    mode: PushMode,
    items: Vec<Item>,
    bytes: usize,
}

impl Batcher {
    /// Batches of so many items and bytes of fields at most; a single item may be larger.
    pub(crate) fn new(items: usize, bytes: usize) -> Self {
        Self { open: Vec::new(), most: items.max(1), most_bytes: bytes }
    }

    /// Adds an item; answers the batch that is full with it, or was full before it.
    pub(crate) fn add(&mut self, item: Item) -> Option<Vec<Item>> {
        let (mode, weight) = (item.intent.mode, item.weight());
        let at = self.open.iter().position(|open| open.mode == mode).unwrap_or_else(|| {
            self.open.push(Open { mode, items: Vec::new(), bytes: 0 });
            self.open.len() - 1
        });
        let open = &mut self.open[at];
        let before = (!open.items.is_empty() && open.bytes + weight > self.most_bytes).then(|| open.take());
        open.bytes += weight;
        open.items.push(item);
        match before {
            None if open.items.len() >= self.most => Some(open.take()),
            full => full,
        }
    }

    /// What is left, one batch for each mode.
    pub(crate) fn rest(&mut self) -> Vec<Vec<Item>> {
        std::mem::take(&mut self.open).into_iter().map(|open| open.items).filter(|items| !items.is_empty()).collect()
    }
}

impl Open {
    fn take(&mut self) -> Vec<Item> {
        self.bytes = 0;
        std::mem::take(&mut self.items)
    }
}

/// Two halves of a batch of two or more.
pub(crate) fn halves(mut items: Vec<Item>) -> (Vec<Item>, Vec<Item>) {
    let second = items.split_off(items.len().div_ceil(2));
    (items, second)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::push::model::intent;

    fn item(n: usize, weight: usize) -> Item {
        let mut item = Item::again(intent(&format!("{n}")), sync_core::Earlier::Never);
        item.intent.fields = "x".repeat(weight).into();
        item
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn batches_have_one_mode_and_keep_its_order_and_limits(
            weights in prop::collection::vec((0usize..50, 0usize..3), 0..60),
            most in 1usize..9,
            bytes in 1usize..120,
        ) {
            const MODES: [PushMode; 3] = [PushMode::Upsert, PushMode::Insert, PushMode::Update];
            let mut batcher = Batcher::new(most, bytes);
            let mut batches = Vec::new();
            for (n, (weight, mode)) in weights.iter().enumerate() {
                let mut item = item(n, *weight);
                item.intent.mode = MODES[*mode];
                batches.extend(batcher.add(item));
            }
            batches.extend(batcher.rest());
            for batch in &batches {
                prop_assert!(!batch.is_empty() && batch.len() <= most);
                prop_assert!(batch.len() == 1 || batch.iter().map(Item::weight).sum::<usize>() <= bytes);
                prop_assert!(batch.iter().all(|item| item.intent.mode == batch[0].intent.mode));
            }
            for (n, mode) in MODES.into_iter().enumerate() {
                let of_mode = batches.iter().flatten().filter(|item| item.intent.mode == mode);
                let keys: Vec<String> = of_mode.map(|item| item.intent.key.to_string()).collect();
                let added = weights.iter().enumerate().filter(|(_, (_, mode))| *mode == n).map(|(key, _)| key.to_string());
                prop_assert_eq!(keys, added.collect::<Vec<_>>());
            }
        }

        #[test]
        fn halves_are_smaller_and_hold_all(many in 2usize..40) {
            let (first, second) = halves((0..many).map(|n| item(n, 1)).collect());
            prop_assert!(!second.is_empty() && first.len() < many);
            let keys: Vec<String> = first.iter().chain(&second).map(|item| item.intent.key.to_string()).collect();
            prop_assert_eq!(keys, (0..many).map(|n| n.to_string()).collect::<Vec<_>>());
        }
    }
}
