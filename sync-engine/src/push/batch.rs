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
