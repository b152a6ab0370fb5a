//! Checkouts of git repositories, made with the `git` program.
//!
//! A checkout asks the remote what it has, fetches one commit into a bare cache,
//! looks how large it would become, writes its files into a temporary folder beside
//! the destination, looks them over, and renames. So there is a whole checkout or none.

mod between;
mod budget;
mod cache;
mod diagnose;
mod disk;
mod fetch;
mod program;
mod reference;
mod resolve;
mod tree;
pub(crate) mod url;

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use domain::source::Commit;
use tokio_util::sync::CancellationToken;

use self::budget::Budget;
use self::cache::{Cache, Depth};
use self::fetch::Fault;
use self::program::{Ended, Run, Session};
use self::reference::{Reference, Remote, Wanted};
use self::url::GitUrl;
use crate::archive::Limits;
use crate::error::GitError;

/// Whether the address is of a repository on this machine's disk, as a checkout reads it. What no checkout takes is not.
pub fn is_local(url: &str) -> bool {
    GitUrl::parse(url).is_ok_and(|url| url.is_local())
}

/// Fetches repositories into bare caches under one folder.
#[derive(Debug, Clone)]
pub struct Git {
    cache_dir: PathBuf,
    limit: Duration,
    size: Limits,
    variables: Vec<(OsString, OsString)>,
}

impl Git {
    /// `cache_dir` is made when it is needed. It may be removed while no checkout runs.
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        let (limit, size) = (Duration::from_secs(15 * 60), Limits::default());
        Self { cache_dir: cache_dir.into(), limit, size, variables: Vec::new() }
    }

    /// The time that a whole checkout may take; 15 minutes unless said.
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// How large a checkout may become with its submodules: `bytes`, `entries` and `names` as of an archive.
    pub fn with_size(mut self, size: Limits) -> Self {
        self.size = size;
        self
    }

    /// Adds a variable to the environment of git, such as `GIT_SSH_COMMAND` or `HTTPS_PROXY`.
    pub fn with_variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Writes the files of `reference` (a branch, tag, full or abbreviated commit; the default
    /// branch when absent) into `dest`, without `.git`. `dest` must not exist, its parent must.
    ///
    /// What git says goes to `output` line by line, without secrets. After an error, a cancel,
    /// or when the future is dropped, nothing is left at `dest` or beside it, and no process runs.
    pub async fn checkout(
        &self,
        url: &str,
        reference: Option<&str>,
        dest: &Path,
        output: &mut (dyn FnMut(&str) + Send),
        cancel: &CancellationToken,
    ) -> Result<Commit, GitError> {
        let url = GitUrl::parse(url)?;
        let reference = Reference::parse(reference)?;
        if let Some(path) = url.local_path() {
            url::check_local(&path)?;
        }
        let staging = Staging::beside(dest)?;
        let configuration = cache::configuration(&self.cache_dir).map_err(|e| io("write", &self.cache_dir, e))?;
        let deadline = Instant::now() + self.limit;
        let folders = vec![self.cache_dir.clone(), staging.tree.clone()];
        let session = Session { output, cancel, deadline, configuration, folders, variables: &self.variables };
        let mut checkout = Checkout::new(self, session);

        let remote = checkout.ask(&url, &reference).await?;
        let wanted = remote.resolve(&url.to_string(), &reference)?;
        let commit = checkout.write(&url, &wanted, &remote, &staging.tree).await?;
        checkout.look_over(&staging.tree, &commit).await?;
        if cancel.is_cancelled() {
            return Err(GitError::Cancelled);
        }
        staging.publish(dest)?;
        Ok(commit)
    }
}

/// A temporary folder on the disk of the destination, removed unless it is published.
struct Staging {
    dir: tempfile::TempDir,
    tree: PathBuf,
}

impl Staging {
    fn beside(dest: &Path) -> Result<Self, GitError> {
        if dest.symlink_metadata().is_ok() {
            return Err(io("write", dest, std::io::ErrorKind::AlreadyExists.into()));
        }
        let parent = dest.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let made = tempfile::Builder::new().prefix(".checkout-").tempdir_in(parent);
        let dir = made.and_then(|dir| dir.path().canonicalize().map(|path| (dir, path)));
        let (dir, path) = dir.map_err(|e| io("write", parent, e))?;
        let tree = path.join("tree");
        std::fs::create_dir(&tree).map_err(|e| io("write", &tree, e))?;
        Ok(Self { dir, tree })
    }

    fn publish(self, dest: &Path) -> Result<(), GitError> {
        std::fs::rename(self.dir.path().join("tree"), dest).map_err(|e| io("write", dest, e))
    }
}

/// One checkout on its way.
struct Checkout<'a> {
    git: &'a Git,
    session: Session<'a>,
    budget: Budget<'a>,
}

impl<'a> Checkout<'a> {
    fn new(git: &'a Git, session: Session<'a>) -> Self {
        Self { git, session, budget: Budget::new(&git.size) }
    }

    /// What the remote has.
    async fn ask(&mut self, url: &GitUrl, reference: &Reference) -> Result<Remote, GitError> {
        let nothing = std::fs::File::open("/dev/null").map_err(|e| io("open", Path::new("/dev/null"), e))?;
        let args = ["ls-remote", "--symref", "--", url.address(), "HEAD", "refs/heads/*", "refs/tags/*"];
        let args = args.into_iter().chain(reference.elsewhere());
        let listing = self.session.run(Run::new(url, &nothing, args)).await;
        let listing = listing.map_err(|ended| self.explain(url, "ask for the branches and tags", ended))?;
        let remote = Remote::parse(&String::from_utf8_lossy(&listing));
        if remote.is_empty() { Err(GitError::Empty { place: url.to_string() }) } else { Ok(remote) }
    }

    /// Fetches and writes the commit and then its submodules, and theirs.
    async fn write(&mut self, url: &GitUrl, wanted: &Wanted, remote: &Remote, tree: &Path) -> Result<Commit, GitError> {
        let (commit, submodules) = self.write_one(url, wanted, remote, tree).await?;
        let mut waiting: VecDeque<_> = submodules.into_iter().map(|s| (url.clone(), PathBuf::new(), s, 1)).collect();
        let mut count = 0;
        while let Some((parent, inside, submodule, depth)) = waiting.pop_front() {
            count += 1;
            let path = inside.join(&submodule.path);
            let unsafe_file = |reason: &str| GitError::UnsafeFile {
                file: path.display().to_string(),
                commit: commit.short().to_owned(),
                reason: reason.to_owned(),
            };
            if depth > MAX_DEPTH || count > MAX_SUBMODULES {
                return Err(unsafe_file("is one submodule too many: at most 100, five deep, are fetched"));
            }
            let written = self.submodule_url(&parent, &tree.join(&inside), &submodule.path).await?;
            let Some(written) = written else {
                return Err(unsafe_file("is a submodule without an address in .gitmodules"));
            };
            let url = parent.submodule(&written)?;
            (self.session.output)(&format!("Submodule {} from {url}", path.display()));
            if let Some(path) = url.local_path() {
                url::check_local(&path)?;
            }
            let reference = Reference::NameOrCommit(submodule.commit);
            let remote = self.ask(&url, &reference).await?;
            let wanted = remote.resolve(&url.to_string(), &reference)?;
            // git made an empty folder for it. A link in its place could lead anywhere.
            let target = tree.join(&path);
            let real = target.canonicalize().ok().filter(|real| *real == target && real.is_dir());
            let Some(target) = real else {
                return Err(unsafe_file("is a submodule behind a symbolic link"));
            };
            let (_, more) = self.write_one(&url, &wanted, &remote, &target).await?;
            waiting.extend(more.into_iter().map(|s| (url.clone(), path.clone(), s, depth + 1)));
        }
        Ok(commit)
    }

    /// One repository without its submodules, which it gives back.
    async fn write_one(
        &mut self,
        url: &GitUrl,
        wanted: &Wanted,
        remote: &Remote,
        tree: &Path,
    ) -> Result<(Commit, Vec<tree::Submodule>), GitError> {
        let (id, cache) = self.fetch_from(url, wanted, remote).await?;
        let written = self.write_tree(url, &cache, &id, tree).await;
        let written = written.map_err(|fault| self.told(url, "write the files", fault))?;
        self.tidy(url, &cache).await;
        Ok(written)
    }

    /// The full id of what is wanted, which is in the cache then.
    async fn fetch_from(
        &mut self,
        url: &GitUrl,
        wanted: &Wanted,
        remote: &Remote,
    ) -> Result<(String, Cache), GitError> {
        let depth = match wanted {
            Wanted::Abbreviated(_) => Depth::Whole,
            Wanted::Ref(_) | Wanted::Commit(_) => Depth::Shallow,
        };
        let mut cache = self.lock(url, depth).await?;
        let had_cache = cache.exists();
        let mut fetched = self.fetch(url, wanted, remote, &cache).await;
        if matches!(&fetched, Err(Fault::Git(Ended::Failed(_)))) && had_cache {
            // The cache may have been left half written by a crash; nothing in it can't be fetched again.
            cache.remove().map_err(|e| io("remove", &cache.dir, e))?;
            fetched = self.fetch(url, wanted, remote, &cache).await;
        }
        if let Err(Fault::Git(Ended::Failed(lines))) = &fetched {
            let unlisted = matches!(wanted, Wanted::Commit(_)) && diagnose::lacks_commit(lines);
            if unlisted || diagnose::lacks_shallow(lines) {
                cache = self.lock(url, Depth::Whole).await?;
                fetched = self.fetch_whole(url, wanted, remote, &cache).await;
            }
        }
        let id = fetched.map_err(|fault| self.told(url, "fetch the commit", fault))?;
        Ok((id, cache))
    }

    async fn lock(&mut self, url: &GitUrl, depth: Depth) -> Result<Cache, GitError> {
        let (deadline, cancel) = (self.session.deadline, self.session.cancel);
        let cache = Cache::lock(&self.git.cache_dir, url, depth, deadline, cancel).await;
        cache.map_err(|ended| self.explain(url, "lock the cache", ended))
    }

    async fn write_tree(
        &mut self,
        url: &GitUrl,
        cache: &Cache,
        id: &str,
        tree: &Path,
    ) -> Result<(Commit, Vec<tree::Submodule>), Fault> {
        let format = "--format=%H%x00%an%x00%at%x00%s";
        let log = ["log", "-1", "--no-show-signature", "--encoding=UTF-8", format, "--end-of-options", id];
        let log = self.session.run(in_cache(url, cache, log)).await?;
        let commit = commit(&String::from_utf8_lossy(&log));
        let too_large = |becomes| {
            let commit = commit.short().to_owned();
            Fault::Told(GitError::TooLarge { place: url.to_string(), commit, becomes })
        };
        let list = in_cache(url, cache, ["ls-tree", "-r", "-l", "-z", "--full-tree", id]);
        let printed = match self.session.run(list.printing(self.budget.longest_list())).await {
            Err(Ended::Io(error)) if error.kind() == ErrorKind::FileTooLarge => {
                return Err(too_large(self.budget.too_long()));
            }
            printed => printed?,
        };
        let listing = tree::listing(&printed);
        self.budget.take(&listing).map_err(too_large)?;
        let index = tempfile::TempDir::new().map_err(Ended::Io)?;
        let file = index.path().join("index");
        let read = in_cache(url, cache, ["read-tree", "--end-of-options", id]).variable("GIT_INDEX_FILE", &file);
        self.session.run(read).await?;
        let mut write = Run::new(url, &cache.lock, [OsStr::new("--git-dir"), cache.dir.as_os_str()]);
        write.args.extend(["--work-tree".into(), tree.as_os_str().to_owned()]);
        write.args.extend(["checkout-index", "--all", "--force"].map(OsString::from));
        self.session.run(write.filling().variable("GIT_INDEX_FILE", &file)).await?;
        Ok((commit, listing.submodules))
    }

    /// The address that `.gitmodules` in `dir` gives for the submodule at `path`.
    async fn submodule_url(&mut self, url: &GitUrl, dir: &Path, path: &Path) -> Result<Option<String>, GitError> {
        let file = dir.join(".gitmodules");
        if !file.symlink_metadata().is_ok_and(|m| m.is_file() && m.len() < 1024 * 1024) {
            return Ok(None);
        }
        let nothing = std::fs::File::open("/dev/null").map_err(|e| io("open", Path::new("/dev/null"), e))?;
        let mut run = Run::new(url, &nothing, ["config", "-z", "--no-includes", "--file"]);
        run.args.push(file.into());
        run.args.extend(["--get-regexp", r"^submodule\..*\.(path|url)$"].map(OsString::from));
        let listing = self.session.run(run).await;
        let listing = listing.map_err(|ended| self.explain(url, "read .gitmodules", ended))?;
        Ok(tree::submodule_url(&listing, path))
    }

    async fn look_over(&mut self, tree: &Path, commit: &Commit) -> Result<(), GitError> {
        let root = tree.to_owned();
        let findings = tokio::task::spawn_blocking(move || tree::inspect(&root)).await;
        let findings = findings.map_err(std::io::Error::other).and_then(|f| f).map_err(|e| io("read", tree, e))?;
        if let Some((file, target)) = findings.link_outside {
            return Err(GitError::UnsafeFile {
                file: file.display().to_string(),
                commit: commit.short().to_owned(),
                reason: format!("is a symbolic link to {}, outside of the repository", target.display()),
            });
        }
        if let Some(first) = findings.lfs_pointers.first() {
            let count = findings.lfs_pointers.len();
            let note = format!(
                "Note: {count} file(s) are kept in Git LFS and are only pointers here, such as {}",
                first.display()
            );
            (self.session.output)(&note);
        }
        Ok(())
    }

    /// Packs a cache that many fetches have left in pieces. Its failure harms nobody but the cache.
    async fn tidy(&mut self, url: &GitUrl, cache: &Cache) {
        if !cache.is_worn() {
            return;
        }
        let packed = self.session.run(in_cache(url, cache, ["gc", "--quiet", "--prune=now"]).filling()).await;
        if packed.is_err() {
            let removed = cache.remove();
            tracing::warn!(cache = %cache.dir.display(), ?removed, "the cache of a repository could not be packed; it was removed");
        }
    }

    fn told(&self, url: &GitUrl, doing: &str, fault: Fault) -> GitError {
        match fault {
            Fault::Git(ended) => self.explain(url, doing, ended),
            Fault::Told(error) => error,
        }
    }

    fn explain(&self, url: &GitUrl, doing: &str, ended: Ended) -> GitError {
        match ended {
            Ended::Failed(lines) => diagnose::diagnose(url, doing, &lines),
            Ended::Cancelled => GitError::Cancelled,
            Ended::TimedOut => GitError::TimedOut { place: url.to_string(), limit: self.git.limit },
            Ended::Missing => GitError::GitMissing,
            Ended::Io(error) => io("use", &self.git.cache_dir, error),
        }
    }
}

const MAX_DEPTH: usize = 5;
const MAX_SUBMODULES: usize = 100;

fn in_cache<'a, S: AsRef<OsStr>>(url: &'a GitUrl, cache: &'a Cache, args: impl IntoIterator<Item = S>) -> Run<'a> {
    let mut run = Run::new(url, &cache.lock, [OsStr::new("--git-dir"), cache.dir.as_os_str()]);
    run.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
    run
}

/// From `git log --format=%H%x00%an%x00%at%x00%s`.
pub(crate) fn commit(line: &str) -> Commit {
    let mut parts = line.trim_end_matches('\n').splitn(4, '\0').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    let (sha, author, time, summary) = (next(), next(), next(), next());
    Commit { sha, summary: summary.chars().take(500).collect(), author, time: time.parse().unwrap_or(0) }
}

fn io(doing: &'static str, path: &Path, error: std::io::Error) -> GitError {
    GitError::Io { doing, path: path.to_owned(), source: error.into() }
}
