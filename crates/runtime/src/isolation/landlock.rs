//! Landlock: the kernel's own list of what a command may open, whoever it runs as.
//!
//! Source: <https://docs.kernel.org/userspace-api/landlock.html>. Connecting to unix sockets by path and the network are
//! not restricted. A newer kernel restricts more; what this one can't is left out.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, Scope,
};
use nix::libc;

use super::Sandbox;

/// The newest that we make use of: files (1 to 3), devices (5), signals and abstract sockets (6).
const ABI_USED: ABI = ABI::V6;

/// Folders of the system that programs need. `/proc` and `/sys` say how large the machine and the limits are.
const SYSTEM: [&str; 18] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/opt",
    "/nix",
    "/gnu",
    "/proc",
    "/sys",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/var/lib/ca-certificates",
    "/var/cache/fontconfig",
];
const DEVICES: [&str; 8] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/pts"];
/// Memory that processes share. Without a view it is everybody's, and its files have owners.
pub(super) const SHARED: &str = "/dev/shm";

/// The newest version that the kernel knows; 0 for none.
pub(crate) fn abi() -> i32 {
    const CREATE_RULESET_VERSION: libc::c_ulong = 1;
    // SAFETY: with this flag the call only answers a number; no memory is touched.
    let answer = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, CREATE_RULESET_VERSION)
    };
    i32::try_from(answer).unwrap_or(0).max(0)
}

/// The rules, to be put into force by [`restrict`]; `None` if the kernel knows no Landlock. What is not there is left out.
pub(crate) fn ruleset(sandbox: &Sandbox) -> io::Result<Option<OwnedFd>> {
    if abi() == 0 {
        return Ok(None);
    }
    let wrong = |e: &dyn std::error::Error| io::Error::other(format!("Landlock: {e}"));
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI_USED))
        .and_then(|rules| rules.scope(Scope::from_all(ABI_USED)))
        .and_then(|rules| rules.create())
        .map_err(|e| wrong(&e))?;
    let read = AccessFs::from_read(ABI_USED);
    let all = AccessFs::from_all(ABI_USED);
    let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
    // That of a view is not there yet: see `admit_shared`.
    let shared = if sandbox.view { Vec::new() } else { paths(&[SHARED]) };
    // In place of its own folder, `/tmp` is the same one.
    for (list, access) in [
        (&paths(&SYSTEM), read),
        (&paths(&DEVICES), all & !AccessFs::Execute),
        (&shared, all & !AccessFs::Execute),
        (&sandbox.read, read),
        (&sandbox.write, all),
        (&sandbox.shared, all),
    ] {
        for path in list {
            rules = add(rules, path, access).map_err(|e| wrong(&e))?;
        }
    }
    Ok(rules.into())
}

fn add(
    rules: RulesetCreated,
    path: &Path,
    access: landlock::BitFlags<AccessFs>,
) -> Result<RulesetCreated, landlock::RulesetError> {
    let Ok(metadata) = path.metadata() else { return Ok(rules) };
    let Ok(handle) = PathFd::new(path) else { return Ok(rules) };
    // Rights that only a folder can have are refused for anything else.
    let access = if metadata.is_dir() { access } else { access & AccessFs::from_file(ABI_USED) };
    rules.add_rule(PathBeneath::new(handle, access))
}

/// Opens what stands at [`SHARED`] in the caller's view, if anything does. Safe between fork and exec.
pub(crate) fn admit_shared(ruleset: i32) -> io::Result<()> {
    const PATH_BENEATH: libc::c_int = 1;
    // SAFETY: a constant text, and numbers.
    let folder = unsafe { libc::open(c"/dev/shm".as_ptr(), libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC) };
    if folder < 0 {
        return Ok(());
    }
    // As much as the rules of this kernel know: more would be refused.
    let known = AccessFs::from_all(ABI_USED) & AccessFs::from_all(ABI::from(abi()));
    let access = (known & !AccessFs::Execute).bits();
    // `struct landlock_path_beneath_attr`, which is packed.
    let mut rule = [0_u8; 12];
    rule[..8].copy_from_slice(&access.to_ne_bytes());
    rule[8..].copy_from_slice(&folder.to_ne_bytes());
    // SAFETY: reads twelve bytes that are ours.
    let added = unsafe { libc::syscall(libc::SYS_landlock_add_rule, ruleset, PATH_BENEATH, rule.as_ptr(), 0) };
    if added < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// For the calling thread and all it starts, for ever. Safe between fork and exec.
pub(crate) fn restrict(ruleset: i32) -> io::Result<()> {
    // SAFETY: plain numbers.
    match unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
