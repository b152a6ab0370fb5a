//! Sources that reach into the server: its own disk, and what others have sent to it.

use domain::access::{At, Permission};
use domain::source::Source;
use operations::Error;
use store::Session;

use super::{Admitted, missing, place};
use crate::error::store_error;

/// Whether the caller may have this source used. What an app has as its own, whoever deploys it may deploy: somebody who
/// may has set it. `own` is that source.
///
/// # Errors
/// `Forbidden` for a folder or a repository on the server's disk: without the permission, whoever deploys could read all that
/// the server can. `NotFound` for somebody else's upload.
pub(crate) async fn check(
    who: &Admitted,
    session: &impl Session,
    source: &Source,
    own: Option<&Source>,
) -> Result<(), Error> {
    match source {
        Source::Archive { upload } => {
            let found = store::uploads::find(session, upload).await.map_err(store_error)?;
            match found.is_some_and(|found| who.uploads().is_some() && !place::owns(who, &found)) {
                true => Err(missing::upload(upload)),
                false => Ok(()),
            }
        }
        Source::Git { .. } | Source::Directory { .. } if own.is_some_and(|own| is_same_place(own, source)) => Ok(()),
        Source::Git { .. } | Source::Directory { .. } if !is_local(source) => Ok(()),
        Source::Git { .. } | Source::Directory { .. } => {
            who.must(Permission::Local, At::Server, "a source on the server's own disk")
        }
    }
}

/// On the disk of the server, or of the machine that it deploys to.
fn is_local(source: &Source) -> bool {
    match source {
        Source::Git { url, .. } => forge::git::is_local(url),
        Source::Directory { .. } => true,
        Source::Archive { .. } => false,
    }
}

/// The same, but perhaps for the branch.
fn is_same_place(one: &Source, other: &Source) -> bool {
    match (one, other) {
        (Source::Git { url: one, .. }, Source::Git { url: other, .. }) => one == other,
        (Source::Directory { path: one }, Source::Directory { path: other }) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(url: &str, reference: Option<&str>) -> Source {
        Source::Git { url: url.to_owned(), reference: reference.map(str::to_owned) }
    }

    #[test]
    fn what_is_on_the_disk_is_known_whatever_it_is_called() {
        for local in
            ["/srv/shop", "file:///srv/shop", "FILE:///srv/shop", "file://localhost/srv/shop", "/a:b", "/a@b:c"]
        {
            assert!(is_local(&git(local, None)), "{local}");
        }
        for remote in ["https://example.org/a.git", "ssh://git@example.org/a", "git@example.org:/srv/a", "host:a"] {
            assert!(!is_local(&git(remote, None)), "{remote}");
        }
        assert!(is_local(&Source::Directory { path: "/srv/shop".into() }));
    }

    #[test]
    fn another_branch_is_the_same_place_and_another_folder_is_not() {
        assert!(is_same_place(&git("/srv/shop", None), &git("/srv/shop", Some("main"))));
        assert!(!is_same_place(&git("/srv/shop", None), &git("/srv/shop/../../etc", None)));
        assert!(!is_same_place(&git("/srv/shop", None), &Source::Directory { path: "/srv/shop".into() }));
    }
}
