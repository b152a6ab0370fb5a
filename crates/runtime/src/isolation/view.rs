//! A mount namespace in which a command sees less: planned before the fork, put up between fork and exec.
//!
//! Each *base* is a folder that is replaced: `/tmp` by the command's own folder, `/dev/shm` by memory of its own, and
//! folders that others may not enter by an empty one in memory. What was granted below a base is *grafted* there again, at
//! its old path. So nothing on the way to it needs to be passable, and nothing beside it can be seen.
//!
//! Who isn't root gets there by a user namespace in which nothing but its own user exists.
//!
//! Source: `mount_namespaces(7)`, `user_namespaces(7)`, `open_tree(2)`, `move_mount(2)` (Linux 5.2).

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::libc;
use nix::unistd::{getegid, geteuid};

use super::Sandbox;
use super::landlock::SHARED;
use super::reach;

const TMP: &str = "/tmp";

/// What is to be mounted.
#[derive(Debug)]
pub(crate) struct View {
    /// Lines of the user namespace's maps, of users and of groups; `None` for root, who needs none.
    maps: Option<[String; 2]>,
    trees: Vec<Tree>,
    bases: Vec<Base>,
    grafts: Vec<Graft>,
}

/// A granted folder or file, taken as it is before anything is covered.
#[derive(Debug)]
struct Tree {
    path: CString,
    fd: i32,
}

#[derive(Debug)]
struct Base {
    path: CString,
    instead: Instead,
}

/// What takes the place of a base.
#[derive(Debug)]
enum Instead {
    /// By its number.
    Tree(usize),
    /// An empty folder in memory, mounted with these options.
    Memory(CString),
}

#[derive(Debug)]
struct Graft {
    base: usize,
    /// Names on the way from the base.
    names: Vec<CString>,
    tree: usize,
    is_dir: bool,
}

impl View {
    pub(crate) fn plan(sandbox: &Sandbox) -> Self {
        let mut granted: Vec<&PathBuf> =
            sandbox.read.iter().chain(&sandbox.write).chain(&sandbox.shared).filter(|p| p.exists()).collect();
        granted.sort();
        granted.dedup();
        // What lies in another granted folder comes with it.
        let outer: Vec<&PathBuf> =
            granted.iter().copied().filter(|p| !granted.iter().any(|o| o != p && p.starts_with(o))).collect();
        let temp = sandbox.temp.as_ref().filter(|_| Path::new(TMP).is_dir());
        let memory = Some(Path::new(SHARED)).filter(|shared| shared.is_dir());
        let own: Vec<&Path> = temp.map(|_| Path::new(TMP)).into_iter().chain(memory).collect();
        let bases = reach::bases(&outer, reach::is_passable, &own);

        let mut view = Self { maps: maps(), trees: Vec::new(), bases: Vec::new(), grafts: Vec::new() };
        for base in &bases {
            let instead = match temp {
                Some(temp) if base == Path::new(TMP) => Instead::Tree(view.tree(temp)),
                _ if memory == Some(base.as_path()) => Instead::Memory(shared(sandbox)),
                _ => Instead::Memory(c"mode=0711,size=1m".to_owned()),
            };
            view.bases.push(Base { path: text(base), instead });
        }
        for path in outer {
            let below = bases.iter().enumerate().find_map(|(i, base)| Some((i, path.strip_prefix(base).ok()?)));
            let Some((base, below)) = below else { continue };
            let names = below.iter().map(|name| CString::new(name.as_bytes()).unwrap_or_default()).collect();
            let tree = view.tree(path);
            view.grafts.push(Graft { base, names, tree, is_dir: path.is_dir() });
        }
        view
    }

    fn tree(&mut self, path: &Path) -> usize {
        self.trees.push(Tree { path: text(path), fd: -1 });
        self.trees.len() - 1
    }

    /// Between fork and exec: system calls alone, no allocation. With a umask of 0.
    pub(crate) fn enter(&mut self) -> io::Result<()> {
        unshare(self.maps.as_ref())?;
        for tree in &mut self.trees {
            tree.fd = open_tree(&tree.path)?;
        }
        for base in &self.bases {
            match &base.instead {
                Instead::Tree(tree) => {
                    let at = open_folder(libc::AT_FDCWD, &base.path)?;
                    move_mount(self.trees[*tree].fd, at)?;
                }
                Instead::Memory(options) => cover(&base.path, options)?,
            }
        }
        for graft in &self.grafts {
            // Opened anew: the name now leads into what covers it.
            let mut at = open_folder(libc::AT_FDCWD, &self.bases[graft.base].path)?;
            for (i, name) in graft.names.iter().enumerate() {
                let is_last = i + 1 == graft.names.len();
                // Never through a link: the command's own `/tmp` may hold any.
                at = if is_last && !graft.is_dir { make_file(at, name)? } else { make_folder(at, name)? };
            }
            move_mount(self.trees[graft.tree].fd, at)?;
        }
        Ok(())
    }
}

/// Whether this process may have mount namespaces, found out by trying, in a child.
pub(crate) fn is_possible() -> bool {
    let maps = maps();
    // SAFETY: the child makes system calls alone and ends without running anything else of this program.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let done =
            unshare(maps.as_ref()).and_then(|()| open_tree(c"/usr")).and_then(|_| cover(c"/usr", c"mode=0711,size=1m"));
        // SAFETY: ends at once.
        unsafe { libc::_exit(i32::from(done.is_err())) };
    }
    let mut status = -1;
    // SAFETY: writes one integer that is ours.
    child > 0 && unsafe { libc::waitpid(child, &raw mut status, 0) } == child && status == 0
}

/// Options of the memory that its processes share: open to all of them, and no larger than what they may use; what is in it
/// counts as theirs.
fn shared(sandbox: &Sandbox) -> CString {
    let size = sandbox.limits.memory.map(|memory| format!(",size={}", memory.get())).unwrap_or_default();
    // Digits hold no NUL.
    CString::new(format!("mode=1777{size}")).unwrap_or_default()
}

fn text(path: &Path) -> CString {
    // A path that came from the system holds no NUL.
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

/// Everybody is who they are; there is nobody else.
fn maps() -> Option<[String; 2]> {
    let (user, group) = (geteuid(), getegid());
    (!user.is_root()).then(|| [format!("{user} {user} 1"), format!("{group} {group} 1")])
}

/// What others mount and unmount still comes through; what we mount stays here.
fn unshare(maps: Option<&[String; 2]>) -> io::Result<()> {
    let user = if maps.is_some() { libc::CLONE_NEWUSER } else { 0 };
    // SAFETY: plain numbers and constant texts.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS | user) })?;
    if let Some([users, groups]) = maps {
        // In this order: who isn't root may map a group only when nobody can leave one any more.
        write(c"/proc/self/setgroups", b"deny")?;
        write(c"/proc/self/uid_map", users.as_bytes())?;
        write(c"/proc/self/gid_map", groups.as_bytes())?;
    }
    let (none, flags) = (std::ptr::null(), libc::MS_REC | libc::MS_SLAVE);
    // SAFETY: as above.
    check(unsafe { libc::mount(none, c"/".as_ptr(), none, flags, std::ptr::null()) }).map(drop)
}

fn write(path: &CStr, text: &[u8]) -> io::Result<()> {
    // SAFETY: a text that ends with NUL; as many bytes as there are; a descriptor of ours.
    let file = check(unsafe { libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) })?;
    // SAFETY: as above.
    let written = unsafe { libc::write(file, text.as_ptr().cast(), text.len()) };
    let written = if written < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
    // SAFETY: as above.
    unsafe { libc::close(file) };
    written
}

fn open_tree(path: &CStr) -> io::Result<i32> {
    const CLONE: libc::c_uint = 1;
    const RECURSIVE: libc::c_uint = 0x8000;
    let flags = CLONE | RECURSIVE | libc::O_CLOEXEC.cast_unsigned();
    // SAFETY: a text that ends with NUL, and numbers.
    check(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) } as i32)
}

fn move_mount(tree: i32, at: i32) -> io::Result<()> {
    const FROM_EMPTY_PATH: libc::c_uint = 0x04;
    const TO_EMPTY_PATH: libc::c_uint = 0x40;
    let (empty, flags) = (c"".as_ptr(), FROM_EMPTY_PATH | TO_EMPTY_PATH);
    // SAFETY: as above.
    check(unsafe { libc::syscall(libc::SYS_move_mount, tree, empty, at, empty, flags) } as i32).map(drop)
}

fn cover(path: &CStr, options: &CStr) -> io::Result<()> {
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    let options = options.as_ptr().cast();
    // SAFETY: as above.
    check(unsafe { libc::mount(c"plimsoll".as_ptr(), path.as_ptr(), c"tmpfs".as_ptr(), flags, options) }).map(drop)
}

fn open_folder(at: i32, name: &CStr) -> io::Result<i32> {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    // SAFETY: as above.
    check(unsafe { libc::openat(at, name.as_ptr(), flags) })
}

fn make_folder(at: i32, name: &CStr) -> io::Result<i32> {
    // SAFETY: as above.
    exists(unsafe { libc::mkdirat(at, name.as_ptr(), 0o711) })?;
    open_folder(at, name)
}

fn make_file(at: i32, name: &CStr) -> io::Result<i32> {
    // SAFETY: as above.
    exists(unsafe { libc::mknodat(at, name.as_ptr(), libc::S_IFREG | 0o444, 0) })?;
    let flags = libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    // SAFETY: as above.
    check(unsafe { libc::openat(at, name.as_ptr(), flags) })
}

fn exists(answer: i32) -> io::Result<()> {
    match check(answer) {
        Err(e) if e.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        other => other.map(drop),
    }
}

fn check(answer: i32) -> io::Result<i32> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}
