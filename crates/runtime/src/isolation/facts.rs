//! What of the isolation applies on this machine.

use std::fs;

use nix::unistd::geteuid;

use super::{Cgroups, landlock, view};

/// Found out by looking and trying; changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub root: bool,
    /// Apps run as users of their own.
    pub users: bool,
    /// Why not, if there is more to say than that the server isn't root.
    pub no_users: Option<String>,
    /// Mount namespaces.
    pub mounts: bool,
    /// Version of Landlock; 0 for none.
    pub landlock: i32,
    /// Controllers there are; for whoever is root.
    pub cgroups: Option<Cgroups>,
}

/// One line of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    pub name: &'static str,
    pub applies: bool,
    /// What applies, or what follows and what helps.
    pub detail: String,
}

/// Looks at this machine, from this process. Blocks for a few milliseconds.
pub fn facts() -> Facts {
    let root = geteuid().is_root();
    Facts {
        root,
        users: root,
        no_users: None,
        mounts: view::is_possible(),
        landlock: landlock::abi(),
        cgroups: Cgroups::find().filter(|_| root),
    }
}

impl Facts {
    /// For people: what protects apps from each other, and the machine from them.
    pub fn report(&self) -> Vec<Fact> {
        let fact = |name, applies, yes: String, no: &str| Fact {
            name,
            applies,
            detail: if applies { yes } else { no.to_owned() },
        };
        let no_users = self.no_users.clone().unwrap_or_else(|| {
            "the server doesn't run as root, so apps run as its user, and permissions don't keep them apart".to_owned()
        });
        let groups = self.cgroups.as_ref();
        let version = groups.map_or(0, |g| if g.version == super::cgroup::Version::Two { 2 } else { 1 });
        let limit = |name, there: bool, else_: &str| {
            let yes = format!("control groups, version {version}");
            let no = if self.root { format!("no control group; {else_}") } else { format!("not root; {else_}") };
            fact(name, there, yes, &no)
        };
        vec![
            fact(
                "a user for each app",
                self.users,
                "apps run as unprivileged users of their own".to_owned(),
                &no_users,
            ),
            fact(
                "a view of the files for each app",
                self.mounts,
                if self.root { "mount namespaces".to_owned() } else { "mount and user namespaces".to_owned() },
                if self.root {
                    "no mount namespaces (CAP_SYS_ADMIN is missing); permissions and Landlock alone protect files"
                } else {
                    "not root, and user namespaces are not allowed here; Landlock alone protects files, and /tmp is closed"
                },
            ),
            fact(
                "Landlock",
                self.landlock > 0,
                format!("version {}", self.landlock),
                "the kernel has no Landlock (Linux 5.13 or newer, `landlock` in CONFIG_LSM)",
            ),
            limit(
                "limit of memory",
                groups.is_some_and(|g| g.memory.is_some()),
                "each single process is limited, to twice the size (RLIMIT_DATA)",
            ),
            limit("limit of CPU", groups.is_some_and(|g| g.cpu.is_some()), "there is none"),
            limit(
                "limit of processes",
                groups.is_some_and(|g| g.processes.is_some()),
                if self.users { "all of an app's are limited together (RLIMIT_NPROC)" } else { "there is none" },
            ),
        ]
    }
}

/// Bytes of memory that this machine has, or the group that this process is in.
pub fn machine_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let total =
        text.lines().find_map(|l| l.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    // In a container the machine's own size is not to be had.
    let own = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .find_map(|path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    let total = total? * 1024;
    Some(own.map_or(total, |own| own.min(total)))
}

/// All of these numbers mean users here: in a user namespace some may not.
pub(super) fn is_mapped(first: u32, count: u32) -> bool {
    ["uid_map", "gid_map"].iter().all(|map| {
        let text = fs::read_to_string(format!("/proc/self/{map}")).unwrap_or_default();
        maps(&text, u64::from(first), u64::from(count))
    })
}

/// Whether one line of the map has them all: `inside outside count`.
fn maps(text: &str, first: u64, count: u64) -> bool {
    text.lines().any(|line| {
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        matches!(numbers[..], [inside, _, size] if first >= inside && first + count <= inside + size)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_a_namespace_may_not_be_mapped() {
        assert!(maps("         0          0 4294967295\n", 1_900_000_000, 65536));
        assert!(!maps("0 100000 65536\n", 1_900_000_000, 65536));
        assert!(maps("0 100000 65536\n", 10_000, 1000));
        assert!(!maps("", 0, 1));
    }

    #[test]
    fn what_does_not_apply_says_what_follows() {
        let none = Facts { root: false, users: false, no_users: None, mounts: false, landlock: 0, cgroups: None };
        let report = none.report();
        assert_eq!(report.len(), 6);
        assert!(report.iter().all(|fact| !fact.applies && fact.detail.len() > 10), "{report:#?}");
    }
}
