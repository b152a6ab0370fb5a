//! Control groups, of version 1 or 2, by their files.
//!
//! `<mount>/plimsoll/<scope>-<group>`: the scope is that of one data folder, a group is for one instance or command, and
//! nothing but `plimsoll` stays when it is over. On version 1 each controller has a mount and so a folder of its own; on version 2 all have one. The groups are outside of the groups
//! of the server and of supervisors, so that killing a group never hits them.
//!
//! Source: the kernel's `Documentation/admin-guide/cgroup-v2.rst` and `cgroup-v1/`.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use domain::limits::Limits;
use nix::libc::SIGKILL;
use serde::{Deserialize, Serialize};

use crate::proc::PidFd;

/// All of ours are below it.
const PARENT: &str = "plimsoll";
/// The kernel's period for the share of CPU time, in microseconds.
const PERIOD: u64 = 100_000;
/// For killed processes to leave their group.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    One,
    Two,
}

/// The controllers that apply here, each with the folder that groups are made in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroups {
    pub version: Version,
    /// In front of the names of this server's groups.
    scope: String,
    pub memory: Option<PathBuf>,
    pub cpu: Option<PathBuf>,
    pub processes: Option<PathBuf>,
}

/// One group. It outlives this value; see [`Group::remove`].
#[derive(Debug, Clone)]
pub(crate) struct Group {
    version: Version,
    memory: Option<PathBuf>,
    cpu: Option<PathBuf>,
    processes: Option<PathBuf>,
}

impl Cgroups {
    /// What is mounted, whether or not groups can be made in it. Changes nothing.
    pub(crate) fn find() -> Option<Self> {
        Self::mounted(&fs::read_to_string("/proc/self/mountinfo").ok()?, |root| {
            fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default()
        })
    }

    /// From the text of `mountinfo`. Version 2 counts where it has one of the three controllers: beside version 1 it is
    /// often mounted without any.
    fn mounted(mountinfo: &str, controllers_of: impl Fn(&Path) -> String) -> Option<Self> {
        let scope = String::new;
        let mut one = Self { version: Version::One, scope: scope(), memory: None, cpu: None, processes: None };
        for line in mountinfo.lines() {
            let Some((head, tail)) = line.split_once(" - ") else { continue };
            let (mut head, mut tail) = (head.split(' ').skip(4), tail.split(' '));
            let (Some(place), Some(kind), options) = (head.next(), tail.next(), tail.nth(1).unwrap_or_default()) else {
                continue;
            };
            let place = PathBuf::from(place.replace("\\040", " "));
            let has = |list: &str, name: &str, apart: char| list.trim().split(apart).any(|c| c == name);
            match kind {
                "cgroup2" => {
                    let known = controllers_of(&place);
                    let at = |name| has(&known, name, ' ').then(|| place.clone());
                    let two = Self {
                        version: Version::Two,
                        scope: scope(),
                        memory: at("memory"),
                        cpu: at("cpu"),
                        processes: at("pids"),
                    };
                    if two.memory.is_some() || two.cpu.is_some() || two.processes.is_some() {
                        return Some(two);
                    }
                }
                "cgroup" => {
                    for (controller, field) in
                        [("memory", &mut one.memory), ("cpu", &mut one.cpu), ("pids", &mut one.processes)]
                    {
                        if has(options, controller, ',') {
                            *field = Some(place.clone());
                        }
                    }
                }
                _ => {}
            }
        }
        (!one.folders().is_empty()).then_some(one)
    }

    /// Makes the folders for groups, those of one data folder. `None` where the kernel or the permissions don't allow it.
    pub(crate) fn prepare(data: &Path) -> Option<Self> {
        Self::find()?.prepared(scope(data))
    }

    /// The folders that a server has made for this data folder, for whoever looks for what it left. Changes nothing.
    pub(crate) fn made(data: &Path) -> Option<Self> {
        let Self { version, memory, cpu, processes, .. } = Self::find()?;
        let at = |root: Option<PathBuf>| root.map(|root| root.join(PARENT)).filter(|folder| folder.is_dir());
        let made = Self { version, scope: scope(data), memory: at(memory), cpu: at(cpu), processes: at(processes) };
        (!made.folders().is_empty()).then_some(made)
    }

    /// In whatever folders these are, so that tests can do without a kernel.
    fn prepared(self, scope: String) -> Option<Self> {
        let make = |root: PathBuf, controller: &str| -> Option<PathBuf> {
            let at = root.join(PARENT);
            if self.version == Version::Two {
                // Already given, or the root is that of a container and may give nothing: the look below decides.
                fs::write(root.join("cgroup.subtree_control"), format!("+{controller}")).ok();
            }
            match fs::create_dir(&at) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return None,
                _ => {}
            }
            if self.version == Version::Two {
                fs::write(at.join("cgroup.subtree_control"), format!("+{controller}")).ok()?;
            }
            Some(at)
        };
        let made = Self {
            version: self.version,
            scope,
            memory: self.memory.and_then(|root| make(root, "memory")),
            cpu: self.cpu.and_then(|root| make(root, "cpu")),
            processes: self.processes.and_then(|root| make(root, "pids")),
        };
        (!made.folders().is_empty()).then_some(made)
    }

    /// Makes a group, or takes the one that is there, and sets its limits.
    pub(crate) fn group(&self, name: &str, limits: &Limits, background: bool) -> io::Result<Group> {
        let group = self.existing(name);
        for folder in group.folders() {
            match fs::create_dir(folder) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(named(e, folder)),
                _ => {}
            }
        }
        group.set(limits, background)?;
        Ok(group)
    }

    /// A group that may be there.
    pub(crate) fn existing(&self, name: &str) -> Group {
        let at = |folder: &Option<PathBuf>| folder.as_ref().map(|f| f.join(format!("{}-{name}", self.scope)));
        Group { version: self.version, memory: at(&self.memory), cpu: at(&self.cpu), processes: at(&self.processes) }
    }

    /// Kills what is in groups of commands, whose server is gone, and removes every group that nobody is in; how many
    /// were killed in.
    pub(crate) fn sweep(&self) -> usize {
        let mut killed = 0;
        for name in self.names() {
            let group = self.existing(&name);
            if name.starts_with(COMMAND) && !group.members().is_empty() {
                killed += 1;
                group.kill();
            }
            group.remove();
        }
        killed
    }

    /// Kills what is in groups of commands of the pieces of work that are chosen, by [`work`], and removes those groups; how
    /// many processes there were, and how many don't end.
    pub(crate) fn end_commands(&self, is_chosen: impl Fn(&str) -> bool) -> (usize, usize) {
        let (mut killed, mut left) = (0, 0);
        for name in self.names() {
            let of = name.strip_prefix(COMMAND).and_then(|rest| rest.split_once('@'));
            if of.is_some_and(|(work, _)| is_chosen(work)) {
                let group = self.existing(&name);
                killed += group.members().len();
                left += group.kill();
                group.remove();
            }
        }
        (killed, left)
    }

    /// The groups that there are.
    fn names(&self) -> BTreeSet<String> {
        let prefix = format!("{}-", self.scope);
        let entries = self.folders().into_iter().filter_map(|folder| fs::read_dir(folder).ok());
        let folders = entries.flatten().flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders.filter_map(|entry| Some(entry.file_name().to_str()?.strip_prefix(&prefix)?.to_owned())).collect()
    }

    fn folders(&self) -> Vec<&Path> {
        distinct([&self.memory, &self.cpu, &self.processes])
    }
}

/// Groups of commands begin with it, groups of instances with the other.
const COMMAND: &str = "command-";
const INSTANCE: &str = "instance-";

/// Of one run of a piece of work, so that all runs of it can be found.
pub(crate) fn command(marker: &str, run: &str) -> String {
    format!("{COMMAND}{}@{run}", work(marker))
}

/// A piece of work as it stands in the names of its groups.
pub(crate) fn work(marker: &str) -> String {
    marker.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).take(64).collect()
}

pub(crate) fn instance(name: &str) -> String {
    format!("{INSTANCE}{name}")
}

/// A name for a data folder: its own, and a hash of the whole path (FNV-1a), as two folders may be called the same.
fn scope(data: &Path) -> String {
    let path = data.as_os_str().as_encoded_bytes();
    let hash = path.iter().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
    let name = data.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).take(40).collect();
    format!("{name}-{hash:016x}")
}

fn distinct(folders: [&Option<PathBuf>; 3]) -> Vec<&Path> {
    let mut found: Vec<&Path> = Vec::new();
    for folder in folders.into_iter().flatten() {
        if !found.contains(&folder.as_path()) {
            found.push(folder);
        }
    }
    found
}

impl Group {
    fn folders(&self) -> Vec<&Path> {
        distinct([&self.memory, &self.cpu, &self.processes])
    }

    fn set(&self, limits: &Limits, background: bool) -> io::Result<()> {
        let two = self.version == Version::Two;
        if let Some(dir) = &self.memory {
            let limit = limits.memory.map(|m| m.get());
            if two {
                write(dir, "memory.max", &limit.map_or("max".to_owned(), |m| m.to_string()))?;
                // Swap would only make it slow before it is killed. Absent where the kernel has no swap.
                write(dir, "memory.swap.max", if limit.is_some() { "0" } else { "max" }).ok();
                write(dir, "memory.oom.group", "1").ok();
            } else {
                let text = limit.map_or("-1".to_owned(), |m| m.to_string());
                // The sum with swap may not be below the memory at any time, so it goes first when both grow.
                write(dir, "memory.memsw.limit_in_bytes", &text).ok();
                write(dir, "memory.limit_in_bytes", &text)?;
                write(dir, "memory.memsw.limit_in_bytes", &text).ok();
            }
        }
        if let Some(dir) = &self.cpu {
            let quota = limits.cpu.map(|c| u64::from(c.millis()) * PERIOD / 1000);
            if two {
                write(dir, "cpu.max", &format!("{} {PERIOD}", quota.map_or("max".to_owned(), |q| q.to_string())))?;
                write(dir, "cpu.weight", if background { "50" } else { "100" }).ok();
            } else {
                write(dir, "cpu.cfs_period_us", &PERIOD.to_string()).ok();
                write(dir, "cpu.cfs_quota_us", &quota.map_or("-1".to_owned(), |q| q.to_string()))?;
                write(dir, "cpu.shares", if background { "512" } else { "1024" }).ok();
            }
        }
        if let Some(dir) = &self.processes {
            write(dir, "pids.max", &limits.processes.map_or("max".to_owned(), |p| p.get().to_string()))?;
        }
        Ok(())
    }

    /// Files into which a process writes `0` to join. A process of one thread joins a group of version 1 by `tasks`,
    /// for which the kernel waits for nobody; `cgroup.procs` costs it a pause of the whole system.
    pub(crate) fn doors(&self) -> io::Result<Vec<File>> {
        let name = if self.version == Version::Two { "cgroup.procs" } else { "tasks" };
        let open = |folder: &Path| {
            let path = folder.join(name);
            OpenOptions::new().write(true).open(&path).map_err(|e| named(e, &path))
        };
        self.folders().into_iter().map(open).collect()
    }

    pub(crate) fn has_memory(&self) -> bool {
        self.memory.is_some()
    }

    pub(crate) fn has_processes(&self) -> bool {
        self.processes.is_some()
    }

    /// Processes that the kernel killed because the group's memory was used up, since it was made.
    pub(crate) fn oom_kills(&self) -> u64 {
        let file = if self.version == Version::Two { "memory.events" } else { "memory.oom_control" };
        self.memory.as_ref().map_or(0, |dir| counter(&dir.join(file), "oom_kill"))
    }

    /// Processes that were not started because there were too many, since it was made.
    pub(crate) fn forks_refused(&self) -> u64 {
        self.processes.as_ref().map_or(0, |dir| counter(&dir.join("pids.events"), "max"))
    }

    /// The processes that are in it now.
    pub(crate) fn members(&self) -> BTreeSet<i32> {
        let lists = self.folders().into_iter().filter_map(|f| fs::read_to_string(f.join("cgroup.procs")).ok());
        lists.flat_map(|l| l.lines().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>()).collect()
    }

    /// Kills all in it, whatever they do against it, and waits until they are gone; how many are left after ten seconds.
    pub(crate) fn kill(&self) -> usize {
        let deadline = Instant::now() + PATIENCE;
        let mut wait = Duration::from_millis(1);
        self.refuse_forks();
        loop {
            let members = self.members();
            if members.is_empty() {
                return 0;
            }
            if Instant::now() >= deadline {
                return members.len();
            }
            self.signal(members);
            std::thread::sleep(wait);
            wait = (wait * 2).min(Duration::from_millis(20));
        }
    }

    /// One round of the same, without waiting.
    pub(crate) fn kill_round(&self) {
        self.refuse_forks();
        self.signal(self.members());
    }

    /// No new ones from here on; those that there are stay allowed.
    fn refuse_forks(&self) {
        if let Some(dir) = &self.processes {
            write(dir, "pids.max", "0").ok();
        }
    }

    fn signal(&self, members: BTreeSet<i32>) {
        if self.version == Version::Two
            && self.folders().first().is_some_and(|dir| write(dir, "cgroup.kill", "1").is_ok())
        {
            return;
        }
        for pid in members {
            // Looked at again once the handle is open: from there on the number can't come to mean another.
            if let Some(handle) = PidFd::open(pid)
                && self.holds(pid)
            {
                handle.signal(SIGKILL).ok();
            }
        }
    }

    /// The kernel's word on where a process is.
    fn holds(&self, pid: i32) -> bool {
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/cgroup")) else { return false };
        self.folders().iter().any(|folder| {
            let tail: PathBuf = folder.components().rev().take(2).collect::<Vec<_>>().into_iter().rev().collect();
            text.lines().any(|line| line.rsplit(':').next().is_some_and(|path| Path::new(path).ends_with(&tail)))
        })
    }

    /// Of no effect while somebody is in it.
    pub(crate) fn remove(&self) {
        for folder in self.folders() {
            // Those who were just killed leave a moment after they are seen to be gone.
            for _ in 0..20 {
                match fs::remove_dir(folder) {
                    Err(e) if e.raw_os_error() == Some(nix::libc::EBUSY) && self.members().is_empty() => {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                    _ => break,
                }
            }
        }
    }
}

fn write(dir: &Path, file: &str, text: &str) -> io::Result<()> {
    let path = dir.join(file);
    let open = OpenOptions::new().write(true).open(&path);
    open.and_then(|mut f| f.write_all(text.as_bytes())).map_err(|e| named(e, &path))
}

fn counter(file: &Path, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok());
    value.unwrap_or(0)
}

fn named(error: io::Error, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("control group {}: {error}", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 24 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
33 31 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
34 31 0:29 / /sys/fs/cgroup/pids rw,relatime shared:9 - cgroup cgroup rw,pids
35 31 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";

    #[test]
    fn version_2_counts_only_with_controllers() {
        let found = Cgroups::mounted(HYBRID, |_| String::new()).unwrap();
        assert_eq!(found.version, Version::One);
        assert_eq!(found.cpu.unwrap(), Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        assert_eq!(found.processes.unwrap(), Path::new("/sys/fs/cgroup/pids"));
        let found = Cgroups::mounted(HYBRID, |_| "cpuset cpu io memory pids\n".to_owned()).unwrap();
        assert_eq!((found.version, found.memory.unwrap()), (Version::Two, "/sys/fs/cgroup/unified".into()));
        assert_eq!(Cgroups::mounted("", |_| String::new()), None);
    }

    /// On version 2 there is no kernel to ask on every machine: the same files, in a plain folder.
    #[test]
    fn version_2_is_told_its_limits_in_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let root = || Some(dir.path().to_owned());
        let groups =
            Cgroups { version: Version::Two, scope: String::new(), memory: root(), cpu: root(), processes: root() };
        let groups = groups.prepared("data-1".to_owned()).unwrap();
        let folder = dir.path().join("plimsoll/data-1-command-work@7");
        fs::create_dir_all(&folder).unwrap();
        for file in ["memory.max", "memory.swap.max", "memory.oom.group", "cpu.max", "cpu.weight", "pids.max"] {
            fs::write(folder.join(file), "").unwrap();
        }
        let limits = Limits {
            memory: Some("512MiB".parse().unwrap()),
            cpu: domain::limits::Cores::new(1.5),
            processes: domain::limits::Tasks::new(64),
            disk: None,
        };
        let group = groups.group(&command("work", "7"), &limits, true).unwrap();
        let told = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
        assert_eq!(told("memory.max"), "536870912");
        assert_eq!(told("memory.swap.max"), "0");
        assert_eq!(told("cpu.max"), "150000 100000");
        assert_eq!(told("cpu.weight"), "50");
        assert_eq!(told("pids.max"), "64");
        fs::write(folder.join("memory.events"), "low 0\noom 3\noom_kill 2\noom_group_kill 1\n").unwrap();
        fs::write(folder.join("pids.events"), "max 5\n").unwrap();
        assert_eq!((group.oom_kills(), group.forks_refused()), (2, 5));
        let given = |at: &Path| fs::read_to_string(at.join("cgroup.subtree_control")).unwrap();
        assert_eq!(given(&dir.path().join("plimsoll")), "+pids", "the last of three writes to a plain file");
        assert!(group.doors().is_err(), "no such file in a plain folder");
    }

    /// On the kernel's own version 2, which is mounted without controllers beside version 1.
    #[test]
    fn version_2_is_entered_and_killed_whole() {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mount = mounts.lines().find(|l| l.contains(" - cgroup2 ")).and_then(|l| l.split(' ').nth(4));
        let mount = mount.filter(|_| nix::unistd::geteuid().is_root());
        plimsoll_tests::can_test(mount.is_some(), "control groups without version 2, or without root");
        let Some(mount) = mount else { return };
        let dir = Path::new(mount).join(PARENT).join(format!("test-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let group = Group { version: Version::Two, memory: Some(dir.clone()), cpu: Some(dir.clone()), processes: None };
        let mut doors = group.doors().unwrap();
        assert_eq!(doors.len(), 1, "one folder, one door");
        let family = "trap '' TERM; setsid sleep 1000 & sleep 1000 & echo $$ > /dev/null; wait";
        let mut child = std::process::Command::new("sh");
        let mut child = child
            .arg("-c")
            .arg(format!("read go; {family}"))
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // In one write: the kernel takes each for a process of its own.
        doors[0].write_all(format!("{}\n", child.id()).as_bytes()).unwrap();
        writeln!(child.stdin.take().unwrap(), "go").unwrap();
        let deadline = Instant::now() + PATIENCE;
        while group.members().len() < 3 {
            assert!(Instant::now() < deadline, "{:?}", group.members());
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(group.members().into_iter().all(|pid| group.holds(pid)) && !group.holds(1));
        group.remove();
        assert!(dir.exists(), "somebody is in it");
        assert_eq!(group.kill(), 0);
        child.wait().unwrap();
        group.remove();
        assert!(!dir.exists());
    }

    #[test]
    fn folders_of_one_name_have_different_scopes() {
        assert_ne!(scope(Path::new("/a/data")), scope(Path::new("/b/data")));
        assert!(scope(Path::new("/a/my data")).starts_with("mydata-"));
    }
}
