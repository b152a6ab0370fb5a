use forge::local::describe;

use crate::support::{World, git_in};

#[test]
fn a_work_tree_is_described_from_any_folder_in_it() {
    let world = World::new();
    let tip = world.commit("src/main.rs", "fn main() {}");
    let local = describe(&world.origin().join("src")).unwrap();
    assert_eq!(local.root.canonicalize().unwrap(), world.origin().canonicalize().unwrap());
    assert_eq!((local.head.sha.as_str(), local.branch.as_deref(), local.dirty_files), (tip.as_str(), Some("main"), 0));
    assert_eq!(local.remote, None);

    world.run(&["remote", "add", "origin", "https://ada:s3cret@example.org/x.git"]);
    std::fs::write(world.origin().join("new"), "x").unwrap();
    std::fs::write(world.origin().join("README"), "changed").unwrap();
    world.run(&["checkout", "--quiet", "--detach"]);
    let local = describe(&world.origin()).unwrap();
    assert_eq!((local.branch, local.dirty_files), (None, 2));
    assert_eq!(local.remote.as_deref(), Some("https://example.org/x.git"));
}

#[test]
fn elsewhere_there_is_nothing_to_describe() {
    let world = World::empty();
    assert_eq!(describe(&world.origin()), None);
    assert_eq!(describe(world.dir.path()), None);
    assert_eq!(describe(&world.origin().join("nope")), None);
    git_in(&world.origin(), &["commit", "--quiet", "--allow-empty", "-m", "first"]);
    assert!(describe(&world.origin()).is_some());
}
