//! One message for many notices: how many of what, and the worst ones in full.

use std::collections::BTreeMap;

use super::{Notice, Topic};

/// Notices that a digest holds in full.
const SHOWN: usize = 20;

/// Counts notices and keeps the worst, however many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Digest {
    counts: BTreeMap<Topic, u64>,
    shown: Vec<Notice>,
}

impl Digest {
    pub fn add(&mut self, notice: Notice) {
        *self.counts.entry(notice.topic).or_default() += 1;
        // Behind those that are as bad: the earlier ones stay.
        let at = self.shown.partition_point(|shown| shown.topic <= notice.topic);
        if at < SHOWN {
            self.shown.insert(at, notice);
            self.shown.truncate(SHOWN);
        }
    }

    pub fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The worst, the earlier ones first among equals.
    pub fn shown(&self) -> &[Notice] {
        &self.shown
    }

    /// The title of the one notice, or `500 notices: 12 failed, 488 active`.
    pub fn title(&self) -> String {
        match self.shown.as_slice() {
            [one] if self.count() == 1 => one.title.clone(),
            _ => {
                let counts: Vec<_> = self.counts.iter().map(|(topic, n)| format!("{n} {}", topic.counted())).collect();
                format!("{} notices: {}", self.count(), counts.join(", "))
            }
        }
    }

    /// Where the UI shows more.
    pub fn path(&self) -> &str {
        match self.shown.as_slice() {
            [one] if self.count() == 1 => &one.path,
            _ => "/notifications",
        }
    }

    /// What its `type` is in a webhook: the topic, or `notices`.
    pub fn kind(&self) -> &'static str {
        match self.shown.as_slice() {
            [one] if self.count() == 1 => one.topic.as_str(),
            _ => "notices",
        }
    }
}

impl FromIterator<Notice> for Digest {
    fn from_iter<I: IntoIterator<Item = Notice>>(notices: I) -> Self {
        let mut digest = Digest::default();
        notices.into_iter().for_each(|notice| digest.add(notice));
        digest
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{notice, tests::event};
    use super::*;
    use crate::event::EventKind;
    use crate::phase::Phase;

    fn of(cursor: i64, phase: Phase) -> Notice {
        let kind = EventKind::DeploymentFinished { phase, failure: None };
        Notice { cursor, ..notice(&event(kind)).unwrap() }
    }

    #[test]
    fn one_notice_is_told_as_it_is() {
        let digest: Digest = [of(1, Phase::Failed)].into_iter().collect();
        assert_eq!(digest.title(), "shop production: deployment failed");
        assert_eq!((digest.kind(), digest.count()), ("deployment_failed", 1));
        assert!(digest.path().starts_with("/deployments/dep_"));
    }

    #[test]
    fn many_are_counted_and_the_worst_shown_first() {
        let actives = (0..488).map(|n| of(n, Phase::Active));
        let digest: Digest = actives.chain((488..500).map(|n| of(n, Phase::Failed))).collect();
        assert_eq!(digest.title(), "500 notices: 12 failed, 488 active");
        assert_eq!((digest.kind(), digest.path(), digest.count()), ("notices", "/notifications", 500));
        let shown: Vec<_> = digest.shown().iter().map(|notice| notice.cursor).collect();
        assert_eq!(shown, (488..500).chain(0..8).collect::<Vec<_>>());
    }
}
