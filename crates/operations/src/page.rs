//! Pages of a list.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One page; ask again with `cursor` set to `next` until `next` is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

pub const DEFAULT_LIMIT: u32 = 50;
pub const MAX_LIMIT: u32 = 500;

/// The limit of a page: 1 to [`MAX_LIMIT`].
pub(crate) fn default_limit() -> u32 {
    DEFAULT_LIMIT
}

impl<T> Page<T> {
    /// A page from up to `limit + 1` items: one too many tells that another page follows.
    pub fn of(mut items: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Self {
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items.last().filter(|_| more).map(cursor);
        Self { items, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_item_too_many_becomes_the_cursor_of_the_one_before() {
        let page = Page::of(vec![1, 2, 3], 2, |n| n.to_string());
        assert_eq!((page.items, page.next), (vec![1, 2], Some("2".to_owned())));
        assert_eq!(Page::of(vec![1, 2], 2, |n| n.to_string()).next, None);
    }
}
