//! Looks at a command while it runs: does it use more than it may?

use std::time::{Duration, Instant};

use domain::limits::Limits;

use crate::blocking::blocking;
use crate::isolation::cgroup::Group;
use crate::isolation::usage::Usage;
use crate::isolation::{Exceeded, Sandbox};

/// Between two looks. What the kernel doesn't refuse by itself, the disk, can be filled meanwhile.
const TICK: Duration = Duration::from_millis(200);
/// Between two counts of its files, at least; and this many times what a count takes, so that it costs little.
const COUNT_EVERY: Duration = Duration::from_secs(2);
const COUNT_SHARE: u32 = 20;

pub(super) struct Watch {
    limits: Limits,
    group: Option<Group>,
    usage: Usage,
    next_count: Instant,
}

impl Watch {
    pub(super) fn new(sandbox: &Sandbox, group: Option<Group>) -> Self {
        let limit = sandbox.limits.disk.map(|disk| disk.get());
        let usage = Usage::new(sandbox.own_folders(), limit);
        Self { limits: sandbox.limits, group, usage, next_count: Instant::now() }
    }

    fn look(&mut self) -> Result<(), Exceeded> {
        if let Some(group) = &self.group {
            if let Some(memory) = self.limits.memory.filter(|_| group.oom_kills() > 0) {
                return Err(Exceeded::Memory { limit: memory.get() });
            }
            if let Some(processes) = self.limits.processes.filter(|_| group.forks_refused() > 0) {
                return Err(Exceeded::Processes { limit: processes.get() });
            }
        }
        let begun = Instant::now();
        let group = self.group.as_ref();
        self.usage.look(begun >= self.next_count, &|| group.map(Group::members).unwrap_or_default())?;
        if begun >= self.next_count {
            self.next_count = begun + COUNT_EVERY.max(begun.elapsed() * COUNT_SHARE);
        }
        Ok(())
    }
}

/// Ready when a limit is exceeded; never without a watch.
pub(super) async fn until_exceeded(watch: Option<Watch>) -> Exceeded {
    let Some(mut watch) = watch else { return std::future::pending().await };
    loop {
        tokio::time::sleep(TICK).await;
        let (back, seen) = blocking(move || {
            let seen = watch.look();
            (watch, seen)
        })
        .await;
        watch = back;
        if let Err(exceeded) = seen {
            return exceeded;
        }
    }
}
