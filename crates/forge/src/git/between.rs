//! What one commit has and another has not.

use std::time::Instant;

use domain::source::Commit;
use tokio_util::sync::CancellationToken;

use super::cache::{self, Depth};
use super::program::{Ended, Session};
use super::reference::{Reference, Wanted};
use super::url::{self, GitUrl};
use super::{Checkout, Git, commit, in_cache, io};
use crate::error::GitError;

impl Git {
    /// The commits that `old` has and `new` lacks, and those that `new` has and `old` lacks; newest first, at most
    /// `most` of each. Both are full ids. The whole history is fetched if it isn't there.
    pub async fn between(
        &self,
        url: &str,
        old: &str,
        new: &str,
        most: usize,
    ) -> Result<(Vec<Commit>, Vec<Commit>), GitError> {
        let url = GitUrl::parse(url)?;
        if let Some(path) = url.local_path() {
            url::check_local(&path)?;
        }
        for id in [old, new] {
            if id.len() < 40 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
                let reason = "it is no full id of a commit".to_owned();
                return Err(GitError::InvalidReference { reference: id.chars().take(80).collect(), reason });
            }
        }
        let configuration = cache::configuration(&self.cache_dir).map_err(|e| io("write", &self.cache_dir, e))?;
        let (cancel, mut nobody) = (CancellationToken::new(), |_: &str| {});
        let deadline = Instant::now() + self.limit;
        let (folders, variables) = (vec![self.cache_dir.clone()], &self.variables);
        let session = Session { output: &mut nobody, cancel: &cancel, deadline, configuration, folders, variables };
        let mut checkout = Checkout::new(self, session);
        let cache = checkout.lock(&url, Depth::Whole).await?;
        if cache.exists()
            && let (Ok(removed), Ok(added)) =
                (checkout.log(&url, &cache, new, old, most).await, checkout.log(&url, &cache, old, new, most).await)
        {
            return Ok((removed, added));
        }
        let remote = checkout.ask(&url, &Reference::NameOrCommit(new.to_owned())).await?;
        let fetched = checkout.fetch_whole(&url, &Wanted::Commit(new.to_owned()), &remote, &cache).await;
        fetched.map_err(|fault| checkout.told(&url, "fetch the history", fault))?;
        let removed = checkout.log(&url, &cache, new, old, most).await;
        let removed = removed.map_err(|ended| checkout.explain(&url, "read the history", ended))?;
        let added = checkout.log(&url, &cache, old, new, most).await;
        let added = added.map_err(|ended| checkout.explain(&url, "read the history", ended))?;
        Ok((removed, added))
    }
}

impl Checkout<'_> {
    async fn log(
        &mut self,
        url: &GitUrl,
        cache: &cache::Cache,
        without: &str,
        with: &str,
        most: usize,
    ) -> Result<Vec<Commit>, Ended> {
        let (most, range) = (format!("--max-count={most}"), format!("{without}..{with}"));
        let format = "--format=%H%x00%an%x00%at%x00%s";
        let args = ["log", "--no-show-signature", "--encoding=UTF-8", format, &most, "--end-of-options", &range, "--"];
        let log = self.session.run(in_cache(url, cache, args)).await?;
        Ok(String::from_utf8_lossy(&log).lines().filter(|line| !line.is_empty()).map(commit).collect())
    }
}
