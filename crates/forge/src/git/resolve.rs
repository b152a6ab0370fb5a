//! Which commit a branch or tag means now.

use std::time::Instant;

use domain::source::Commit;
use tokio_util::sync::CancellationToken;

use super::cache;
use super::program::Session;
use super::reference::{Reference, Remote, Wanted};
use super::url::{self, GitUrl};
use super::{Checkout, Git, commit, in_cache, io};
use crate::error::GitError;

impl Git {
    /// The commit that a checkout of `reference` would be of, if it began now. Of a branch or tag its id is enough, when
    /// there is no time for more: then author and summary are empty.
    pub async fn resolve(
        &self,
        url: &str,
        reference: Option<&str>,
        cancel: &CancellationToken,
    ) -> Result<Commit, GitError> {
        let url = GitUrl::parse(url)?;
        let reference = Reference::parse(reference)?;
        if let Some(path) = url.local_path() {
            url::check_local(&path)?;
        }
        let configuration = cache::configuration(&self.cache_dir).map_err(|e| io("write", &self.cache_dir, e))?;
        let mut nobody = |_: &str| {};
        let deadline = Instant::now() + self.limit;
        let (folders, variables) = (vec![self.cache_dir.clone()], &self.variables);
        let session = Session { output: &mut nobody, cancel, deadline, configuration, folders, variables };
        let mut checkout = Checkout::new(self, session);
        let remote = checkout.ask(&url, &reference).await?;
        let wanted = remote.resolve(&url.to_string(), &reference)?;
        let known = remote.id_of(&wanted);
        match (checkout.look_at(&url, &wanted, &remote).await, known) {
            (Ok(found), _) => Ok(found),
            // Its message is nice to know; its id is what counts.
            (Err(_), Some(sha)) => Ok(Commit { sha, summary: String::new(), author: String::new(), time: 0 }),
            (Err(e), None) => Err(e),
        }
    }
}

impl Checkout<'_> {
    async fn look_at(&mut self, url: &GitUrl, wanted: &Wanted, remote: &Remote) -> Result<Commit, GitError> {
        let (id, cache) = self.fetch_from(url, wanted, remote).await?;
        let format = "--format=%H%x00%an%x00%at%x00%s";
        let log = ["log", "-1", "--no-show-signature", "--encoding=UTF-8", format, "--end-of-options", id.as_str()];
        let log = self.session.run(in_cache(url, &cache, log)).await;
        let log = log.map_err(|ended| self.explain(url, "read the commit", ended))?;
        Ok(commit(&String::from_utf8_lossy(&log)))
    }
}
