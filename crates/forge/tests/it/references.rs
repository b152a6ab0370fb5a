use std::os::unix::ffi::OsStrExt;

use forge::GitError;
use tokio_util::sync::CancellationToken;

use crate::support::{World, git_in};

#[tokio::test]
async fn the_default_branch_a_branch_a_tag_and_a_commit() {
    let world = World::new();
    let first = world.run(&["rev-parse", "HEAD"]);
    world.run(&["tag", "light"]);
    world.commit("README", "two");
    world.run(&["tag", "-a", "v1.0", "-m", "a tag"]);
    let second = world.run(&["rev-parse", "HEAD"]);
    world.run(&["checkout", "--quiet", "-b", "feature/x"]);
    let third = world.commit("README", "three");
    world.run(&["checkout", "--quiet", "main"]);

    let cases: [(Option<&str>, &str, &str); 10] = [
        (None, &second, "two"),
        (Some("HEAD"), &second, "two"),
        (Some("main"), &second, "two"),
        (Some("feature/x"), &third, "three"),
        (Some("refs/heads/feature/x"), &third, "three"),
        (Some("light"), &first, "one"),
        (Some("v1.0"), &second, "two"),
        (Some(&third), &third, "three"),
        (Some(&first), &first, "one"),
        (Some(&first[..8]), &first, "one"),
    ];
    for (i, (reference, sha, content)) in cases.into_iter().enumerate() {
        let name = format!("c{i}");
        let commit = world.checkout(&name, reference).await.unwrap();
        assert_eq!((commit.sha.as_str(), world.read(&name, "README").as_str()), (sha, content), "{reference:?}");
        assert!(!world.dest(&name).join(".git").exists());
    }
    let commit = world.checkout("info", Some("v1.0")).await.unwrap();
    assert_eq!((commit.summary.as_str(), commit.author.as_str(), commit.time), ("write README", "Ada", 1_767_323_045));
}

#[tokio::test]
async fn what_a_name_means_is_told_without_a_checkout() {
    let world = World::new();
    let first = world.run(&["rev-parse", "HEAD"]);
    world.commit("README", "two");
    world.run(&["tag", "-a", "v1.0", "-m", "a tag"]);
    let second = world.run(&["rev-parse", "HEAD"]);
    let cancel = CancellationToken::new();
    for (reference, sha) in [
        (None, &second),
        (Some("main"), &second),
        (Some("v1.0"), &second),
        (Some(&*first), &first),
        (Some(&first[..8]), &first),
    ] {
        let found = world.git.resolve(&world.url(), reference, &cancel).await.unwrap();
        assert_eq!(found.sha, *sha, "{reference:?}");
    }
    let found = world.git.resolve(&world.url(), Some("v1.0"), &cancel).await.unwrap();
    assert_eq!((found.summary.as_str(), found.author.as_str()), ("write README", "Ada"));
    // The same checkout later is of the same commit, wherever the branch is by then.
    world.commit("README", "three");
    assert_eq!(world.checkout("pinned", Some(&found.sha)).await.unwrap().sha, second);
    for unknown in ["nowhere", "1234567890123456789012345678901234567890"] {
        let error = world.git.resolve(&world.url(), Some(unknown), &cancel).await.unwrap_err();
        assert!(matches!(&error, GitError::ReferenceNotFound { reference, .. } if reference == unknown), "{error}");
    }
}

#[tokio::test]
async fn a_commit_that_no_branch_points_at() {
    let world = World::new();
    let inner = world.commit("README", "two");
    world.commit("README", "three");
    assert_eq!(world.checkout("full", Some(&inner)).await.unwrap().sha, inner);
    assert_eq!(world.checkout("short", Some(&inner[..7])).await.unwrap().sha, inner);
    assert_eq!(world.read("short", "README"), "two");
    let unknown = "1234567890123456789012345678901234567890";
    for reference in [unknown, &unknown[..9]] {
        let error = world.checkout("unknown", Some(reference)).await.unwrap_err();
        assert!(matches!(&error, GitError::ReferenceNotFound { reference: r, .. } if r == reference), "{error}");
    }
}

#[tokio::test]
async fn a_whole_id_is_that_commit_whatever_a_branch_is_called() {
    let world = World::new();
    let wanted = world.run(&["rev-parse", "HEAD"]);
    let other = world.commit("README", "two");
    for shadow in ["refs/heads", "refs/tags", "refs"] {
        world.run(&["update-ref", &format!("{shadow}/{wanted}"), &other]);
    }
    assert_eq!(world.checkout("pinned", Some(&wanted)).await.unwrap().sha, wanted);
    assert_eq!(world.read("pinned", "README"), "one");
    assert_eq!(world.checkout("upper", Some(&wanted.to_ascii_uppercase())).await.unwrap().sha, wanted);
    assert_eq!(world.git.resolve(&world.url(), Some(&wanted), &CancellationToken::new()).await.unwrap().sha, wanted);
    // One that is wanted all the same is named in full.
    let branch = format!("refs/heads/{wanted}");
    assert_eq!(world.checkout("branch", Some(&branch)).await.unwrap().sha, other);
}

#[tokio::test]
async fn a_commit_at_the_end_of_a_tag_where_ids_are_not_given_out() {
    let world = World::new();
    let tagged = world.commit("README", "two");
    world.run(&["tag", "-a", "v1", "-m", "a tag"]);
    world.commit("README", "three");
    // As servers were before they gave out any commit.
    world.run(&["config", "uploadpack.allowAnySHA1InWant", "false"]);
    let old = world.git.clone().with_variable("GIT_CONFIG_COUNT", "1");
    let old = old.with_variable("GIT_CONFIG_KEY_0", "protocol.version").with_variable("GIT_CONFIG_VALUE_0", "0");
    let cancel = CancellationToken::new();
    for (name, id) in [("tagged", tagged.clone()), ("tip", world.run(&["rev-parse", "HEAD"]))] {
        let mut nobody = |_: &str| {};
        let found = old.checkout(&world.url(), Some(&id), &world.dest(name), &mut nobody, &cancel).await.unwrap();
        assert_eq!(found.sha, id);
    }
    assert_eq!(world.read("tagged", "README"), "two");
}

#[tokio::test]
async fn an_unknown_name_has_neighbours() {
    let world = World::new();
    world.run(&["branch", "release-2"]);
    world.run(&["branch", "another"]);
    world.run(&["tag", "v1"]);
    world.run(&["tag", "v2"]);
    let error = world.checkout("x", Some("relaese-2")).await.unwrap_err();
    let GitError::ReferenceNotFound { near, .. } = &error else { panic!("{error}") };
    assert_eq!(near, &["release-2"]);
}

#[tokio::test]
async fn a_branch_that_moves_and_one_that_is_rewritten() {
    let world = World::new();
    world.checkout("a", Some("main")).await.unwrap();
    let second = world.commit("README", "two");
    assert_eq!(world.checkout("b", Some("main")).await.unwrap().sha, second);
    world.run(&["commit", "--quiet", "--amend", "-m", "rewritten"]);
    let amended = world.run(&["rev-parse", "HEAD"]);
    assert_ne!(second, amended);
    assert_eq!(world.checkout("c", Some("main")).await.unwrap().sha, amended);
    world.run(&["reset", "--quiet", "--hard", "HEAD~1"]);
    world.checkout("d", Some("main")).await.unwrap();
    assert_eq!(world.read("d", "README"), "one");
    assert_eq!(world.read("b", "README"), "two");
}

#[tokio::test]
async fn two_at_once_from_one_address() {
    let world = World::new();
    world.run(&["branch", "other"]);
    let main = world.commit("README", "two");
    let (a, b, c, d) = tokio::join!(
        world.checkout("a", Some("main")),
        world.checkout("b", Some("other")),
        world.checkout("c", Some(&main)),
        world.checkout("d", Some(&main[..10])),
    );
    for (name, commit, content) in [("a", a, "two"), ("b", b, "one"), ("c", c, "two"), ("d", d, "two")] {
        commit.unwrap();
        assert_eq!(world.read(name, "README"), content);
    }
}

#[tokio::test]
async fn names_like_options_and_names_that_are_no_text() {
    let world = World::new();
    let tip = world.run(&["rev-parse", "HEAD"]);
    world.run(&["update-ref", "refs/heads/--upload-pack=x", &tip]);
    let error = world.checkout("x", Some("--upload-pack=x")).await.unwrap_err();
    assert!(matches!(error, GitError::InvalidReference { .. }), "{error}");
    assert_eq!(world.checkout("x", Some("refs/heads/--upload-pack=x")).await.unwrap().sha, tip);

    let name = std::ffi::OsStr::from_bytes(b"caf\xe9 \n-x");
    std::fs::write(world.origin().join(name), "latin").unwrap();
    git_in(&world.origin(), &["add", "--all"]);
    world.commit_all("a name of bytes");
    world.checkout("bytes", None).await.unwrap();
    assert_eq!(std::fs::read_to_string(world.dest("bytes").join(name)).unwrap(), "latin");
}

#[tokio::test]
async fn branches_win_over_tags_of_the_same_name() {
    let world = World::new();
    world.run(&["tag", "same"]);
    let second = world.commit("README", "two");
    world.run(&["branch", "same"]);
    assert_eq!(world.checkout("x", Some("same")).await.unwrap().sha, second);
}

#[tokio::test]
async fn other_refs_by_their_full_name() {
    let world = World::new();
    let tip = world.commit("README", "from a pull request");
    world.run(&["update-ref", "refs/pull/7/head", &tip]);
    world.run(&["reset", "--quiet", "--hard", "HEAD~1"]);
    assert_eq!(world.checkout("x", Some("refs/pull/7/head")).await.unwrap().sha, tip);
}

#[tokio::test]
async fn bare_shallow_and_sha256_repositories() {
    let world = World::new();
    world.commit("README", "two");
    let tip = world.commit("README", "three");
    let bare = world.dir.path().join("bare.git");
    let shallow = world.dir.path().join("shallow.git");
    let file = format!("file://{}", world.url());
    git_in(world.dir.path(), &["clone", "--quiet", "--bare", &file, bare.to_str().unwrap()]);
    git_in(world.dir.path(), &["clone", "--quiet", "--bare", "--depth=2", &file, shallow.to_str().unwrap()]);
    let none = CancellationToken::new();
    for (i, url) in [&bare, &shallow].into_iter().enumerate() {
        for (j, reference) in [None, Some(tip.as_str()), Some(&tip[..7])].into_iter().enumerate() {
            let (name, url) = (format!("{i}{j}"), url.display().to_string());
            let commit = world.checkout_from(&url, &name, reference, &none).await.unwrap();
            assert_eq!((commit.sha.as_str(), world.read(&name, "README").as_str()), (tip.as_str(), "three"));
        }
    }
    assert_eq!(world.checkout_from(&file, "file", None, &none).await.unwrap().sha, tip);

    let sha256 = world.dir.path().join("sha256");
    std::fs::create_dir(&sha256).unwrap();
    git_in(&sha256, &["init", "--quiet", "--object-format=sha256", "-b", "main"]);
    git_in(&sha256, &["commit", "--quiet", "--allow-empty", "-m", "long"]);
    let commit = world.checkout_from(sha256.to_str().unwrap(), "sha256", None, &none).await.unwrap();
    assert_eq!(commit.sha.len(), 64);
}

#[tokio::test]
async fn executables_and_line_ends_stay_as_they_are() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    crate::support::script(&world.origin().join("bin/run"), "#!/bin/sh\r\n");
    std::os::unix::fs::symlink("bin/run", world.origin().join("link")).unwrap();
    world.commit_all("an executable");
    world.checkout("x", None).await.unwrap();
    let meta = std::fs::metadata(world.dest("x").join("bin/run")).unwrap();
    assert_eq!(meta.permissions().mode() & 0o111, 0o111);
    assert_eq!(world.read("x", "bin/run"), "#!/bin/sh\r\n");
    assert_eq!(std::fs::read_link(world.dest("x").join("link")).unwrap(), std::path::Path::new("bin/run"));
}
