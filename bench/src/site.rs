//! What is deployed: a repository whose app is [`upstream`](crate::upstream).

use std::fs;

use plimsoll_tests::Repo;

/// A repository with the program in it and no version yet.
pub(crate) fn repository() -> Repo {
    let repo = Repo::new();
    // A copy, as an app may read nothing of the machine but the system and its own release.
    fs::copy(std::env::current_exe().unwrap(), repo.path().join("serve")).unwrap();
    repo.commit(
        [
            ("Procfile", "web: ./serve upstream\n"),
            (
                "plimsoll.toml",
                "[components.web]\nkind = \"procfile\"\nstop_timeout = \"1s\"\n\
                 [components.web.health]\npath = \"/\"\ninterval = \"20ms\"\n",
            ),
        ],
        "an app",
    );
    repo
}

/// Commits the version that answers `v<n>`.
pub(crate) fn version(repo: &Repo, n: u32) {
    repo.commit([("VERSION", format!("v{n}"))], &format!("v{n}"));
}
