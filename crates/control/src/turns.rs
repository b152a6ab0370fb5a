//! What may go on once at a time for each of many.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Who has a turn now.
pub(crate) struct Turns<K: Eq + Hash> {
    taken: Mutex<HashSet<K>>,
}

/// Given back when it is dropped.
pub(crate) struct Turn<'a, K: Eq + Hash> {
    turns: &'a Turns<K>,
    of: K,
}

impl<K: Eq + Hash> Default for Turns<K> {
    fn default() -> Self {
        Self { taken: Mutex::default() }
    }
}

impl<K: Eq + Hash + Clone> Turns<K> {
    /// `None` while somebody else has it.
    pub(crate) fn take(&self, of: &K) -> Option<Turn<'_, K>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.insert(of.clone()).then(|| Turn { turns: self, of: of.clone() })
    }
}

impl<K: Eq + Hash> Drop for Turn<'_, K> {
    fn drop(&mut self) {
        self.turns.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.of);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_has_one_turn_at_a_time() {
        let turns = Turns::default();
        let first = turns.take(&1).unwrap();
        assert!(turns.take(&1).is_none());
        assert!(turns.take(&2).is_some(), "another one's");
        drop(first);
        assert!(turns.take(&1).is_some());
    }
}
