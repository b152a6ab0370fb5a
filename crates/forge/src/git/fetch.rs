//! Brings a commit into the cache: alone if the remote can do that, else with the whole history.

use std::ffi::OsStr;
use std::io::ErrorKind;

use super::cache::Cache;
use super::program::{Ended, Run};
use super::reference::{Remote, Wanted};
use super::url::GitUrl;
use super::{Checkout, in_cache};
use crate::error::GitError;

/// Why a commit was not fetched or written: git's end, which may have another way around, or a final word.
pub(super) enum Fault {
    Git(Ended),
    Told(GitError),
}

impl From<Ended> for Fault {
    fn from(ended: Ended) -> Self {
        Self::Git(ended)
    }
}

impl Checkout<'_> {
    /// Gives back the full id of the commit.
    pub(super) async fn fetch(
        &mut self,
        url: &GitUrl,
        wanted: &Wanted,
        remote: &Remote,
        cache: &Cache,
    ) -> Result<String, Fault> {
        let (from, kept) = match wanted {
            // Kept by the name's hash: the next fetch of it sends only what changed since.
            Wanted::Ref(name) => (name, format!("refs/plimsoll/named/{}", blake3::hash(name.as_bytes()).to_hex())),
            // One name for all: what is kept does not grow with the commits that were asked for.
            Wanted::Commit(id) => (id, "refs/plimsoll/pinned".to_owned()),
            Wanted::Abbreviated(_) => return self.fetch_whole(url, wanted, remote, cache).await,
        };
        self.init(url, remote, cache).await?;
        let refspec = format!("+{from}:{kept}");
        let args = ["fetch", "--depth=1", "--update-shallow", "--no-tags", "--no-write-fetch-head", "--progress", "--"];
        self.bring(in_cache(url, cache, args.iter().chain(&[url.address(), refspec.as_str()])), cache).await?;
        self.commit_of(url, cache, &kept).await
    }

    pub(super) async fn fetch_whole(
        &mut self,
        url: &GitUrl,
        wanted: &Wanted,
        remote: &Remote,
        cache: &Cache,
    ) -> Result<String, Fault> {
        self.init(url, remote, cache).await?;
        let refspecs = ["+refs/heads/*:refs/plimsoll/heads/*", "+refs/tags/*:refs/plimsoll/tags/*"];
        let args = ["fetch", "--prune", "--update-shallow", "--no-tags", "--no-write-fetch-head", "--progress", "--"];
        self.bring(in_cache(url, cache, args.iter().chain(&[url.address()]).chain(&refspecs)), cache).await?;
        match wanted {
            Wanted::Ref(name) if name == "HEAD" => {
                Err(Fault::Git(Ended::Failed(vec!["the remote's HEAD is no branch; name a branch or tag".to_owned()])))
            }
            Wanted::Ref(name) => {
                let name = name.strip_prefix("refs/").unwrap_or(name);
                self.commit_of(url, cache, &format!("refs/plimsoll/{name}")).await
            }
            Wanted::Commit(id) | Wanted::Abbreviated(id) => match self.commit_of(url, cache, id).await {
                Err(Fault::Git(Ended::Failed(lines))) if lines.iter().any(|l| l.contains("ambiguous")) => {
                    let reason = "more than one commit begins with it; give more digits".to_owned();
                    Err(Fault::Told(GitError::InvalidReference { reference: id.clone(), reason }))
                }
                Err(Fault::Git(Ended::Failed(_))) => Err(Fault::Told(GitError::ReferenceNotFound {
                    place: url.to_string(),
                    reference: id.clone(),
                    near: remote.near(id),
                })),
                other => other,
            },
        }
    }

    async fn bring(&mut self, fetch: Run<'_>, cache: &Cache) -> Result<(), Ended> {
        let ended = self.session.run(fetch.filling()).await;
        if let Err(Ended::Io(error)) = &ended
            && error.kind() == ErrorKind::StorageFull
        {
            // git leaves behind what it has fetched so far, and does not know of it any more.
            cache.remove().map_err(Ended::Io)?;
        }
        ended.map(drop)
    }

    async fn init(&mut self, url: &GitUrl, remote: &Remote, cache: &Cache) -> Result<(), Fault> {
        if cache.exists() {
            return Ok(());
        }
        // A folder without HEAD is the rest of a crash.
        cache.remove().map_err(Ended::Io)?;
        let format = if remote.id_length() == 64 { "--object-format=sha256" } else { "--object-format=sha1" };
        let args: [&OsStr; 7] = [
            "init".as_ref(),
            "--quiet".as_ref(),
            "--bare".as_ref(),
            "--template=".as_ref(),
            format.as_ref(),
            "--".as_ref(),
            cache.dir.as_os_str(),
        ];
        self.session.run(Run::new(url, &cache.lock, args)).await?;
        Ok(())
    }

    /// The full id of the commit that `name` points at, through tags.
    async fn commit_of(&mut self, url: &GitUrl, cache: &Cache, name: &str) -> Result<String, Fault> {
        let name = format!("{name}^{{commit}}");
        let args = ["rev-parse", "--verify", "--end-of-options", name.as_str()];
        let printed = self.session.run(in_cache(url, cache, args)).await?;
        // `--end-of-options` itself is echoed by some versions.
        let printed = String::from_utf8_lossy(&printed);
        Ok(printed.lines().last().unwrap_or_default().trim().to_owned())
    }
}
