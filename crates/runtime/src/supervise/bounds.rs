//! The limits of one app: its control group, its use of the disk, and what is told when they end it.

use std::time::{Duration, Instant};

use domain::limits::Limits;

use crate::exit::Exit;
use crate::folder::Folder;
use crate::isolation::cgroup::{self, Group};
use crate::isolation::usage::Usage;
use crate::isolation::{Exceeded, Sandbox, empty_tree};

/// Between two counts of its files: the first while they change or the disk is nearly full, up to the second otherwise, and
/// this many times what a count takes. The first is also between two looks at the free space, which cost nearly nothing.
const COUNT_SOON: Duration = Duration::from_secs(2);
const COUNT_LATE: Duration = Duration::from_secs(16);
const COUNT_SHARE: u32 = 50;
/// Files in one step, as the log waits meanwhile; and the pause between two.
const STEP: usize = 2000;
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Bounds {
    limits: Limits,
    group: Option<Group>,
    /// What the kernel had done before this run of the app.
    oom_kills: u64,
    forks_refused: u64,
    told_of_forks: bool,
    usage: Option<Usage>,
    /// What the last whole count of this run has found.
    counted: Option<u64>,
    interval: Duration,
    took: Duration,
    next: Instant,
    /// Whether the disk was nearly full, and when to look again.
    short: bool,
    next_space: Instant,
    exceeded: Option<Exceeded>,
}

impl Bounds {
    pub(super) fn new(sandbox: Option<&Sandbox>) -> Self {
        let usage = sandbox.and_then(|s| Some(Usage::new(s.own_folders(), Some(s.limits.disk?.get()))));
        Self {
            limits: sandbox.map(|s| s.limits).unwrap_or_default(),
            group: None,
            oom_kills: 0,
            forks_refused: 0,
            told_of_forks: false,
            usage,
            counted: None,
            interval: COUNT_SOON,
            took: Duration::ZERO,
            next: Instant::now(),
            short: false,
            next_space: Instant::now(),
            exceeded: None,
        }
    }

    /// For a new run of the app: its group, with its limits as they are meant to be.
    pub(super) fn begin(&mut self, sandbox: Option<&Sandbox>, name: &str) -> std::io::Result<Option<&Group>> {
        let cgroups = sandbox.and_then(|s| Some((s, s.cgroups.as_ref()?)));
        let group = cgroups.map(|(s, groups)| groups.group(&cgroup::instance(name), &s.limits, s.background));
        self.group = group.transpose()?;
        self.oom_kills = self.group.as_ref().map_or(0, Group::oom_kills);
        self.forks_refused = self.group.as_ref().map_or(0, Group::forks_refused);
        self.told_of_forks = false;
        self.exceeded = None;
        // At once: what is there now is what its growth is measured by.
        if let Some(usage) = &mut self.usage {
            usage.begin();
        }
        self.counted = None;
        self.took = Duration::ZERO;
        self.next = Instant::now();
        Ok(self.group.as_ref())
    }

    /// When to [`look`](Self::look) next, while the app runs.
    pub(super) fn due(&self) -> Option<Instant> {
        self.usage.as_ref().filter(|_| self.exceeded.is_none()).map(|_| self.next.min(self.next_space))
    }

    /// Counts on. An error, once, when the app is to be killed for it.
    pub(super) fn look(&mut self, now: Instant) -> Result<(), Exceeded> {
        let Some(usage) = self.usage.as_mut().filter(|_| self.exceeded.is_none()) else { return Ok(()) };
        if now >= self.next_space {
            self.next_space = now + COUNT_SOON;
            let was_short = std::mem::replace(&mut self.short, usage.is_short());
            if self.short && !was_short {
                // Whoever has filled it is to be found before there is nothing left.
                self.next = now;
            }
        }
        if now < self.next {
            return Ok(());
        }
        let group = self.group.as_ref();
        match usage.step(STEP, &|| group.map(Group::members).unwrap_or_default()) {
            Ok(false) => {
                self.took += now.elapsed();
                self.next = now + PAUSE;
                Ok(())
            }
            Ok(true) => {
                let found = usage.found();
                let is_calm = self.counted.replace(found) == Some(found) && !self.short;
                self.interval = if is_calm { (self.interval * 2).min(COUNT_LATE) } else { COUNT_SOON };
                let took = std::mem::take(&mut self.took) + now.elapsed();
                self.next = now + self.interval.max(took * COUNT_SHARE);
                Ok(())
            }
            Err(exceeded) => {
                self.exceeded = Some(exceeded.clone());
                Err(exceeded)
            }
        }
    }

    /// Once in a run of the app, when it has been refused a process.
    pub(super) fn forks_refused(&mut self) -> Option<Exceeded> {
        let limit = self.limits.processes?.get();
        let refused = !self.told_of_forks && self.group.as_ref()?.forks_refused() > self.forks_refused;
        self.told_of_forks |= refused;
        refused.then_some(Exceeded::Processes { limit })
    }

    /// How the app ended, for people: with the limit that ended it.
    pub(super) fn tell(&self, exit: Exit) -> String {
        let killed = self.group.as_ref().is_some_and(|g| g.oom_kills() > self.oom_kills);
        let memory = self.limits.memory.filter(|_| killed && !exit.success());
        match (&self.exceeded, memory, self.limits.disk, exit) {
            (Some(exceeded), ..) => format!("killed: it {exceeded}"),
            (_, Some(memory), _, Exit::Signal(nix::libc::SIGKILL)) => {
                format!("killed: it {}", Exceeded::Memory { limit: memory.get() })
            }
            (_, Some(memory), ..) => {
                format!("{exit}, after it {}", Exceeded::Memory { limit: memory.get() })
            }
            (_, _, Some(disk), Exit::Signal(nix::libc::SIGXFSZ)) => {
                format!("killed: it {}", Exceeded::File { limit: disk.get() })
            }
            _ => exit.to_string(),
        }
    }

    /// After its end: what counted against it and is nobody's any more is cleared, or it would be killed again at once.
    pub(super) fn clear(&self, folder: &Folder) {
        if matches!(
            self.exceeded,
            Some(Exceeded::Disk { .. } | Exceeded::File { .. } | Exceeded::Floor { .. } | Exceeded::Nested)
        ) {
            // What stays is counted again.
            empty_tree(&folder.temp()).ok();
        }
    }

    /// One round of killing all that is in the group.
    pub(super) fn kill_round(&self) {
        if let Some(group) = &self.group {
            group.kill_round();
        }
    }

    /// The instance is over.
    pub(super) fn end(&mut self) {
        if let Some(group) = self.group.take() {
            group.remove();
        }
    }
}
