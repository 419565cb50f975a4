//! Which items leave together. Pure.

use super::item::Item;

/// Collects items until a batch is full.
#[derive(Debug)]
pub(crate) struct Batcher {
    items: Vec<Item>,
    bytes: usize,
    most: usize,
    most_bytes: usize,
}

impl Batcher {
    /// Batches of so many items and bytes of fields at most; a single item may be larger.
    pub(crate) fn new(items: usize, bytes: usize) -> Self {
        Self { items: Vec::new(), bytes: 0, most: items.max(1), most_bytes: bytes }
    }

    /// Adds an item; answers the batch that is full with it, or was full before it.
    pub(crate) fn add(&mut self, item: Item) -> Option<Vec<Item>> {
        let weight = item.weight();
        let before = (!self.items.is_empty() && self.bytes + weight > self.most_bytes).then(|| self.take());
        self.bytes += weight;
        self.items.push(item);
        match before {
            None if self.items.len() >= self.most => Some(self.take()),
            full => full,
        }
    }

    /// What is left.
    pub(crate) fn rest(&mut self) -> Option<Vec<Item>> {
        (!self.items.is_empty()).then(|| self.take())
    }

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
        fn batches_keep_order_and_limits(weights in prop::collection::vec(0usize..50, 0..60), most in 1usize..9, bytes in 1usize..120) {
            let mut batcher = Batcher::new(most, bytes);
            let mut batches = Vec::new();
            for (n, weight) in weights.iter().enumerate() {
                batches.extend(batcher.add(item(n, *weight)));
            }
            batches.extend(batcher.rest());
            for batch in &batches {
                prop_assert!(!batch.is_empty() && batch.len() <= most);
                prop_assert!(batch.len() == 1 || batch.iter().map(Item::weight).sum::<usize>() <= bytes);
            }
            let keys: Vec<String> = batches.into_iter().flatten().map(|item| item.intent.key.to_string()).collect();
            prop_assert_eq!(keys, (0..weights.len()).map(|n| n.to_string()).collect::<Vec<_>>());
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
