//! What this machine and this server's settings give to sandboxes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use domain::limits::Limits;

use super::{Cgroups, Facts, Sandbox, facts, reach};

/// Numbers of users, and groups of the same numbers, that belong to apps alone; written `FIRST-LAST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Users {
    first: u32,
    last: u32,
}

/// The text is no range of users.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a range of users: expected FIRST-LAST with 1000 <= FIRST <= LAST <= 2147483647, such as 1900000000-1900065535"
)]
pub struct InvalidUsers(String);

impl Default for Users {
    /// In a part of the numbers that systemd's list of users and groups leaves to nobody.
    fn default() -> Self {
        Self { first: 1_900_000_000, last: 1_900_065_535 }
    }
}

impl Users {
    /// The user of the app with this number; `None` when there are too few.
    pub fn of(&self, app: u32) -> Option<u32> {
        self.first.checked_add(app).filter(|user| *user <= self.last)
    }

    pub fn count(&self) -> u32 {
        self.last - self.first + 1
    }
}

impl FromStr for Users {
    type Err = InvalidUsers;
    fn from_str(text: &str) -> Result<Self, InvalidUsers> {
        let numbers = text.split_once('-').and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
        match numbers {
            Some((first, last)) if (1000..=last).contains(&first) && last <= i32::MAX.cast_unsigned() => {
                Ok(Self { first, last })
            }
            _ => Err(InvalidUsers(text.chars().take(60).collect())),
        }
    }
}

impl fmt::Display for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// Makes sandboxes. One for a server.
#[derive(Debug, Clone)]
pub struct Host {
    facts: Facts,
    users: Option<Users>,
    cgroups: Option<Cgroups>,
    /// Folders of programs, and folders that the server's settings share with all apps.
    programs: Vec<PathBuf>,
    shared: Vec<PathBuf>,
    /// The data folder, whose subfolders are made passable where there are no mount namespaces.
    data: PathBuf,
}

impl Host {
    /// Finds out what the machine can do, and makes the folders of control groups. `users`: `None` to run everything as
    /// the server's own user. `shared`: folders that every app may use as far as its permissions go. Blocks for some
    /// milliseconds.
    pub fn new(data: &Path, users: Option<Users>, shared: &[PathBuf]) -> Self {
        let data = data.canonicalize().unwrap_or_else(|_| data.to_owned());
        let mut facts = facts();
        let way = || data.ancestors().skip(1).find(|folder| !reach::is_passable(folder));
        if let (true, false, Some(closed)) = (facts.users, facts.mounts, way()) {
            facts.users = false;
            facts.no_users =
                Some(format!("{} is closed to other users; keep the data elsewhere, with --data", closed.display()));
        }
        if facts.users && users.is_none() {
            facts.users = false;
            facts.no_users = Some("switched off with --app-users none: apps run as root".to_owned());
        }
        let users = users.filter(|users| {
            // In a container not every number may be mapped to a user of the machine.
            let mapped = users.of(0).is_some_and(|first| facts::is_mapped(first, users.count()));
            if facts.users && !mapped {
                facts.users = false;
                facts.no_users = Some(format!("the users {users} are not mapped in this container; see --app-users"));
            }
            facts.users
        });
        let cgroups = facts.root.then(|| Cgroups::prepare(&data)).flatten();
        facts.cgroups = cgroups.clone();
        let programs = reach::toolchains(|name| std::env::var(name).ok(), std::env::home_dir().as_deref());
        Self { facts, users, cgroups, programs, shared: shared.to_vec(), data }
    }

    /// Ends what runs in groups of commands, and removes all groups that nobody is in; in how many groups something ran. Only
    /// for who is alone on the data folder: what others build would end, too, and a group that one has just made for an
    /// instance would be gone before the instance is in it.
    pub fn sweep(&self) -> usize {
        self.cgroups.as_ref().map_or(0, Cgroups::sweep)
    }

    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The user of the app with this number; `None` where all runs as the server's own.
    ///
    /// # Errors
    /// When there are more apps than users.
    pub fn user(&self, app: u32) -> Result<Option<u32>, InvalidUsers> {
        let Some(users) = self.users else { return Ok(None) };
        let too_few = || InvalidUsers(format!("{users}, for {} apps,", u64::from(app) + 1));
        users.of(app).map(Some).ok_or_else(too_few)
    }

    /// A sandbox of that user, with nothing of its own yet.
    pub fn sandbox(&self, user: Option<u32>, limits: Limits) -> Sandbox {
        Sandbox {
            user,
            // As root without users, an app could undo it.
            view: self.facts.mounts && (user.is_some() || !self.facts.root),
            beside: None,
            cgroups: self.cgroups.clone(),
            read: self.programs.clone(),
            write: Vec::new(),
            shared: self.shared.clone(),
            temp: None,
            limits,
            background: false,
        }
    }

    /// Makes the way to a folder in the data folder passable where nothing else does.
    ///
    /// # Errors
    /// When a folder on the way can't be changed.
    pub fn open_way(&self, folder: &Path) -> std::io::Result<()> {
        if self.users.is_none() || self.facts.mounts {
            return Ok(());
        }
        use std::os::unix::fs::PermissionsExt;
        for on_the_way in folder.ancestors().skip(1).take_while(|f| f.starts_with(&self.data)) {
            let mode = on_the_way.metadata()?.permissions().mode() & 0o7777;
            if mode & 0o011 != 0o011 {
                std::fs::set_permissions(on_the_way, std::fs::Permissions::from_mode(mode | 0o011))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn users_are_a_range_that_is_nobodys() {
        let users: Users = "5000-5001".parse().unwrap();
        assert_eq!((users.of(0), users.of(1), users.of(2)), (Some(5000), Some(5001), None));
        assert_eq!(Users::default().to_string().parse(), Ok(Users::default()));
        for wrong in ["", "5000", "0-10", "999-2000", "6000-5000", "5000-4294967295", "a-b"] {
            assert!(wrong.parse::<Users>().is_err(), "{wrong}");
        }
    }
}
