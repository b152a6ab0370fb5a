use std::os::unix::fs::symlink;

use domain::limits::Size;
use forge::GitError;
use forge::archive::Limits;

use crate::support::{World, git_in, script};

#[tokio::test]
async fn links_out_of_the_repository_are_refused() {
    for (target, file) in [("/etc/passwd", "a"), ("../../x", "a"), ("../..", "dir/a")] {
        let world = World::new();
        std::fs::create_dir(world.origin().join("dir")).unwrap();
        symlink(target, world.origin().join(file)).unwrap();
        world.commit_all("a link");
        let error = world.checkout("x", None).await.unwrap_err();
        assert!(matches!(&error, GitError::UnsafeFile { file: f, .. } if f == file), "{error}");
        assert!(error.to_string().contains(target), "{error}");
    }
}

#[tokio::test]
async fn hooks_and_filters_of_the_repository_do_not_run() {
    let world = World::new();
    let mark = world.dir.path().join("ran");
    let touch = format!("#!/bin/sh\ntouch {}\n", mark.display());
    for hook in ["post-checkout", "pre-receive", "post-index-change", "reference-transaction", "fsmonitor-watchman"] {
        script(&world.origin().join(".git/hooks").join(hook), &touch);
    }
    script(&world.origin().join("run"), &touch);
    let run = world.origin().join("run").display().to_string();
    world.run(&["config", "uploadpack.packObjectsHook", &run]);
    world.run(&["config", "core.fsmonitor", &run]);
    world.run(&["config", "filter.evil.smudge", &run]);
    std::fs::write(world.origin().join(".gitattributes"), "* filter=evil\n").unwrap();
    // The same commands as `commit_all`, without what was set above.
    git_in(
        &world.origin(),
        &["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "filter.evil.smudge=", "add", "--all"],
    );
    git_in(
        &world.origin(),
        &[
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "core.fsmonitor=false",
            "-c",
            "filter.evil.smudge=",
            "commit",
            "--quiet",
            "-m",
            "evil",
        ],
    );
    world.checkout("x", None).await.unwrap();
    assert!(!mark.exists(), "something of the repository was run");
}

#[tokio::test]
async fn submodules_come_along() {
    let world = World::new();
    let root = world.dir.path();
    for name in ["lib", "inner"] {
        std::fs::create_dir(root.join(name)).unwrap();
        git_in(&root.join(name), &["init", "--quiet", "-b", "main"]);
        std::fs::write(root.join(name).join("file"), name).unwrap();
        git_in(&root.join(name), &["add", "--all"]);
        git_in(&root.join(name), &["commit", "--quiet", "-m", name]);
    }
    git_in(&root.join("lib"), &["submodule", "--quiet", "add", root.join("inner").to_str().unwrap(), "deep/inner"]);
    git_in(&root.join("lib"), &["commit", "--quiet", "-m", "inner"]);
    world.run(&["submodule", "--quiet", "add", "../lib", "vendor/lib"]);
    world.commit_all("lib");
    // The submodule has moved on; what the repository names counts.
    std::fs::write(root.join("lib/file"), "newer").unwrap();
    git_in(&root.join("lib"), &["commit", "--quiet", "-am", "newer"]);

    world.checkout("x", None).await.unwrap();
    assert_eq!(world.read("x", "vendor/lib/file"), "lib");
    assert_eq!(world.read("x", "vendor/lib/deep/inner/file"), "inner");
    assert!(!world.dest("x").join("vendor/lib/.git").exists());
}

#[tokio::test]
async fn what_would_become_too_large_is_not_written() {
    let mut world = World::empty();
    let blob = "0".repeat(64 << 10);
    for n in 0..40 {
        std::fs::write(world.origin().join(format!("copy-{n}")), &blob).unwrap();
    }
    let commit = world.commit_all("one blob under forty names");
    let limits = |bytes, entries| Limits { bytes, entries, ..Limits::default() };
    for (limits, becomes) in [
        (limits(1 << 20, 40), "2.50MiB, where 1MiB are allowed"),
        (limits((40 << 16) - 1, 40), "where 2.50MiB are allowed"),
        (limits(40 << 16, 39), "40 files and folders, where 39 are allowed"),
        (Limits { names: 0, ..limits(40 << 16, 1) }, "more than the 1 files and folders"),
    ] {
        world.git = world.git.clone().with_size(limits);
        let error = world.checkout("x", None).await.unwrap_err();
        assert!(matches!(&error, GitError::TooLarge { place, .. } if *place == world.url()), "{error}");
        let told = error.to_string();
        assert!(told.contains(becomes) && told.contains(&commit[..7]), "{told}");
    }
    world.git = world.git.clone().with_size(limits(40 << 16, 40));
    world.checkout("x", None).await.unwrap();
    assert_eq!(std::fs::read_dir(world.dest("x")).unwrap().count(), 40);
}

#[tokio::test]
async fn folders_and_submodules_count_as_well() {
    let mut world = World::new();
    let lib = world.dir.path().join("lib");
    std::fs::create_dir_all(lib.join("a/b")).unwrap();
    git_in(&lib, &["init", "--quiet", "-b", "main"]);
    std::fs::write(lib.join("a/b/file"), "0".repeat(1000)).unwrap();
    git_in(&lib, &["add", "--all"]);
    git_in(&lib, &["commit", "--quiet", "-m", "lib"]);
    for name in ["one", "two"] {
        world.run(&["submodule", "--quiet", "add", "../lib", &format!("vendor/{name}")]);
    }
    let modules = std::fs::read(world.origin().join(".gitmodules")).unwrap().len() as u64;
    world.commit_all("the same twice");
    let limits = |bytes, entries| Limits { bytes, entries, ..Limits::default() };
    // `README`, `.gitmodules`, `vendor` and two submodules; in each of those two folders and a file.
    let (bytes, entries) = (3 + modules + 2000, 5 + 2 * 3);
    for (limits, becomes) in [
        (limits(bytes - 1, entries), format!("where {} are allowed", Size(bytes - 1))),
        (limits(bytes, entries - 1), "11 files and folders, where 10 are allowed".to_owned()),
    ] {
        world.git = world.git.clone().with_size(limits);
        let error = world.checkout("x", None).await.unwrap_err();
        assert!(error.to_string().contains(&becomes), "{error}");
        assert!(matches!(&error, GitError::TooLarge { place, .. } if place.ends_with("/lib")), "{error}");
    }
    world.git = world.git.clone().with_size(limits(bytes, entries));
    world.checkout("x", None).await.unwrap();
    assert_eq!(world.read("x", "vendor/two/a/b/file").len(), 1000);
}

#[tokio::test]
async fn a_submodule_with_a_bad_address_is_an_error() {
    for (address, says) in [("ext::sh -c 'touch x'", "helper"), ("-x", "option"), ("/nowhere/at/all", "not found")] {
        let world = World::new();
        let tip = world.run(&["rev-parse", "HEAD"]);
        world.run(&["update-index", "--add", "--cacheinfo", &format!("160000,{tip},sub")]);
        std::fs::write(
            world.origin().join(".gitmodules"),
            format!("[submodule \"sub\"]\n\tpath = sub\n\turl = \"{address}\"\n"),
        )
        .unwrap();
        world.run(&["add", ".gitmodules"]);
        world.run(&["commit", "--quiet", "-m", "a submodule"]);
        let error = world.checkout("x", None).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_submodule_without_an_address_is_an_error() {
    let world = World::new();
    let tip = world.run(&["rev-parse", "HEAD"]);
    world.run(&["update-index", "--add", "--cacheinfo", &format!("160000,{tip},sub")]);
    world.run(&["commit", "--quiet", "-m", "a submodule"]);
    let error = world.checkout("x", None).await.unwrap_err();
    assert!(matches!(error, GitError::UnsafeFile { .. }), "{error}");
}

#[tokio::test]
async fn lfs_pointers_are_told() {
    let world = World::new();
    std::fs::write(world.origin().join(".gitattributes"), "*.bin filter=lfs\n").unwrap();
    world.commit("a.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n");
    world.checkout("x", None).await.unwrap();
    assert!(world.said().contains("Git LFS") && world.said().contains("a.bin"), "{}", world.said());
}
