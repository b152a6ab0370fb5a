//! The handlers of the operations, one file for each noun, and what they share.

mod analytics;
mod approval_policies;
mod approvals;
mod apps;
mod audit;
mod auth_settings;
mod certificates;
mod channels;
mod cluster;
mod delete;
mod deliveries;
mod deployments;
mod devices;
mod diagnosis;
mod environments;
mod events;
mod figures;
mod guides;
mod ingress;
mod invitations;
pub(crate) mod logs;
mod mail;
mod me;
mod members;
mod metrics;
mod mutes;
mod notices;
pub(crate) mod order;
mod overview;
mod plans;
mod promotions;
mod queue;
mod releases;
mod retention;
pub(crate) mod schedules;
mod server;
mod sessions;
mod smoke_tests;
pub(crate) mod sources;
mod timeline;
mod tokens;
pub(crate) mod totp;
mod uploads;
mod users;
mod variables;
mod windows;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::access::Sees;
use domain::source::Source;
use domain::{AppId, DeploymentId, Name};
use operations::page::MAX_LIMIT;
use operations::{Error, Operation};
use store::apps::App;
use store::environments::Environment;
use store::{Session, Store, StoreError};

use crate::Control;
use crate::access::missing;
use crate::audit::{Write, commit};
use crate::caller::{Caller, Credential};
use crate::deployment::World;
use crate::error::store_error;

impl Control {
    /// Who holds this token.
    pub async fn authenticate(&self, token: &str) -> Result<Caller, Error> {
        crate::tokens::authenticate(self, token).await
    }

    /// Whether a caller who is still being answered would be let in again, to the same.
    ///
    /// # Errors
    /// `Unauthorized` when not. `Unavailable` when the roles have changed: the decision is to be made anew, so come back.
    pub async fn still_knows(&self, caller: &Caller) -> Result<(), Error> {
        let grants = match &caller.credential {
            Credential::Token(id) => Arc::new(crate::tokens::grants_by_now(self, id).await?),
            Credential::Signed { token, until } => {
                crate::tokens::not_over(*until)?;
                Arc::new(crate::tokens::grants_by_now(self, token).await?)
            }
            Credential::Session { id, .. } => self.session_grants_by_now(id).await?,
            Credential::Inside => return Ok(()),
        };
        match grants == caller.grants {
            true => Ok(()),
            false => Err(Error::unavailable("what you may see has changed").hint("come back: it is decided anew")),
        }
    }

    /// The answer that the caller's idempotency key has got already. `Conflict` when it was for another request.
    pub async fn replay<O: Operation>(&self, caller: &Caller) -> Result<Option<O::Response>, Error> {
        let Some(key) = &caller.key else { return Ok(None) };
        let found =
            store::idempotency::find(self.store(), caller.principal.id(), &key.key).await.map_err(store_error)?;
        let Some(answer) = found else { return Ok(None) };
        if answer.operation != O::NAME || answer.request_digest != self.digest(&key.request_digest) {
            return Err(Error::conflict("the idempotency key was used for another request")
                .hint("use a fresh key, such as a UUID, for each request"));
        }
        serde_json::from_value(answer.response).map(Some).map_err(|e| {
            tracing::error!(operation = O::NAME, "a kept answer can't be read back: {e}");
            Error::internal()
        })
    }

    /// A request may hold a short secret: its plain digest could be guessed from a copy of the database.
    pub(crate) fn digest(&self, request_digest: &str) -> String {
        self.inner.world.vault.keyed_digest(request_digest)
    }

    pub(crate) fn world(&self) -> &World {
        &self.inner.world
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.world.store
    }

    /// Whether the environment lives on this machine. What is kept of it on another one only servers of that one see.
    pub(crate) fn is_here(&self, environment: &Environment) -> bool {
        environment.host == self.inner.member.host
    }

    /// `Conflict` when the environment lives on another machine: what is to be done must be done there.
    fn refuse_elsewhere(&self, environment: &Environment) -> Result<(), Error> {
        if self.is_here(environment) {
            return Ok(());
        }
        let member = &self.inner.member;
        let there = member.servers().into_iter().find(|(server, _)| server.host == environment.host);
        let hint = match there {
            Some((server, _)) => format!("ask a server of that host, such as {}", server.url),
            None => format!("start a server on the host {}", environment.host),
        };
        let what = format!("{}/{}", environment.app, environment.name);
        Err(Error::conflict(format!(
            "{what} lives on the host {}, and this server is on {}",
            environment.host, member.host
        ))
        .hint(hint))
    }
}

pub(crate) async fn app_named(session: &impl Session, name: &Name) -> Result<App, Error> {
    store::apps::find(session, name).await.map_err(store_error)?.ok_or_else(|| missing::app(name))
}

/// The names of apps, by id; those that have gone are left out.
async fn app_names(session: &impl Session, ids: impl Iterator<Item = AppId>) -> Result<BTreeMap<AppId, Name>, Error> {
    let wanted: BTreeSet<AppId> = ids.collect();
    let mut names = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(names);
    }
    let sees = Sees::Only(wanted);
    let mut after: Option<Name> = None;
    loop {
        let page = store::apps::list_named(session, &sees, None, after.as_ref(), MAX_LIMIT.into()).await;
        let page = page.map_err(store_error)?;
        let more = page.len() == MAX_LIMIT as usize;
        after = page.last().map(|app| app.name.clone());
        names.extend(page.into_iter().map(|app| (app.id, app.name)));
        if !more {
            return Ok(names);
        }
    }
}

pub(crate) async fn environment_named(
    session: &impl Session,
    app: &Name,
    name: &Name,
) -> Result<(App, Environment), Error> {
    let owner = app_named(session, app).await?;
    let found = store::environments::find(session, app, name).await.map_err(store_error)?;
    let environment = found.ok_or_else(|| {
        Error::not_found(format!("the app `{app}` has no environment `{name}`"))
            .hint(format!("create it with `plimsoll envs create --app {app} {name}` or list them with `plimsoll envs list --app {app}`"))
    })?;
    Ok((owner, environment))
}

pub(crate) async fn deployment_with(
    session: &impl Session,
    id: &DeploymentId,
) -> Result<store::deployments::Record, Error> {
    match store::deployments::get(session, id).await {
        Err(StoreError::NotFound { .. }) => Err(missing::deployment(id)),
        other => other.map_err(store_error),
    }
}

/// The limit of a page, as a number of items.
pub(crate) fn page_limit(limit: u32) -> Result<u32, Error> {
    match limit {
        1..=MAX_LIMIT => Ok(limit),
        _ => Err(Error::invalid(format!("`limit` must be 1 to {MAX_LIMIT}, not {limit}"))),
    }
}

/// The cursor of a page, as what it was made from.
fn page_cursor<T: std::str::FromStr>(cursor: Option<&str>) -> Result<Option<T>, Error> {
    let parsed = cursor.map(str::parse).transpose();
    parsed.map_err(|_| {
        Error::unprocessable("`cursor` is not one of this list")
            .hint("use the `next` of the page before, or leave it out")
    })
}

/// An environment was named without its app.
fn environment_of_no_app() -> Error {
    Error::unprocessable("an environment belongs to an app, and none is named").hint("name the app too")
}

/// What is looked for: a line that is not endless.
fn check_word(name: &str, word: Option<&str>) -> Result<(), Error> {
    match word {
        Some(word) if word.is_empty() || word.chars().count() > 128 || word.chars().any(char::is_control) => {
            Err(Error::unprocessable(format!("`{name}` must be 1 to 128 characters, none of them a control character")))
        }
        _ => Ok(()),
    }
}

fn begins_wrong(c: char) -> bool {
    c == '-' || c.is_whitespace()
}

/// What can be known of a source without looking at it.
pub(crate) fn check_source(source: &Source) -> Result<(), Error> {
    match source {
        Source::Git { url, reference } => {
            if url.is_empty() || url.starts_with(begins_wrong) || url.chars().any(char::is_control) {
                return Err(Error::invalid("the URL of the git repository is empty or not a URL")
                    .hint("use a path, https://, ssh:// or user@host:path"));
            }
            reference.as_deref().map_or(Ok(()), check_reference)
        }
        Source::Directory { path } if !path.is_absolute() => {
            Err(Error::invalid(format!("the directory `{}` is not an absolute path", path.display()))
                .hint("directories are on the server's machine; name the whole path, beginning with `/`"))
        }
        Source::Directory { path } if path.as_os_str().as_encoded_bytes().contains(&0) => {
            Err(Error::invalid("the path of the directory holds a NUL"))
        }
        Source::Directory { .. } | Source::Archive { .. } => Ok(()),
    }
}

/// The same for what an app is to remember.
fn check_own_source(source: &Source) -> Result<(), Error> {
    match source {
        Source::Archive { .. } => Err(Error::unprocessable("an app can't have an uploaded archive as its source")
            .hint(
                "an upload is gone when it was deployed: give it with the deployment, `plimsoll deploy --archive FILE`",
            )),
        source => check_source(source),
    }
}

pub(crate) fn check_reference(reference: &str) -> Result<(), Error> {
    let why = match reference {
        "" => "it is empty",
        r if r.starts_with('-') => "it begins with `-`",
        r if r.chars().any(|c| c.is_control() || c.is_whitespace()) => "it holds white space or control characters",
        _ => return Ok(()),
    };
    Err(Error::invalid(format!("the reference can't be a branch, tag or commit: {why}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_cursors_are_checked() {
        assert_eq!(page_limit(1).unwrap(), 1);
        assert_eq!(page_limit(500).unwrap(), 500);
        assert!(page_limit(0).is_err() && page_limit(501).is_err());
        assert_eq!(page_cursor::<u32>(Some("7")).unwrap(), Some(7));
        assert_eq!(page_cursor::<u32>(None).unwrap(), None);
        assert_eq!(page_cursor::<u32>(Some("v7")).unwrap_err().status, 422);
    }

    #[test]
    fn sources_that_can_not_work_are_refused() {
        let git = |url: &str, reference: Option<&str>| Source::Git {
            url: url.to_owned(),
            reference: reference.map(str::to_owned),
        };
        assert!(check_source(&git("https://example.org/a.git", Some("main"))).is_ok());
        assert!(check_source(&git("../a", None)).is_ok());
        for bad in [git(" ", None), git("a", Some("")), git("a", Some("--upload-pack=x")), git("a", Some("a\nb"))] {
            assert!(check_source(&bad).is_err(), "{bad:?}");
        }
        assert!(check_source(&Source::Directory { path: "app".into() }).is_err());
        assert!(check_source(&Source::Directory { path: "/srv/app".into() }).is_ok());
    }
}
