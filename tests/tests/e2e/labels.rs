//! Tags and metadata of releases: set with a deployment, found again, and gone back to.

use domain::labels::Tag;
use plimsoll_tests::App;

use crate::with_app;

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_found_by_the_tags_of_its_deployments() {
    let (server, repo, first) = with_app("hello").await;
    let deploy = |args: &[&str]| {
        let args = [&["deploy", "hello", "--json"], args].concat();
        let done = server.cli(&args);
        (done.status.success(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let one = first.release_number.unwrap();
    assert!(deploy(&["--tag", "v1.0", "--tag", "good", "--meta", "ticket=SHOP-1"]).0);
    assert!(deploy(&["--tag", "v1.0", "--tag", "v1.0.1", "--meta", "ticket=SHOP-2", "--meta", "by=Zoë"]).0);
    let release = server.releases("hello").await.remove(0).release;
    assert_eq!(release.number, one, "it was made of the same inputs, so it is the same release");
    assert_eq!(release.tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["v1.0", "good", "v1.0.1"]);
    let metadata: Vec<_> = release.metadata.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(metadata, [("by", "Zoë"), ("ticket", "SHOP-2")]);

    // A failed deployment leaves no label on a release that was there before.
    repo.commit(App::new("v2").files(), "v2");
    assert!(deploy(&["--tag", "v2"]).0);
    repo.commit(App::new("v2").env("UNHEALTHY", "1").grace("1s").files(), "v3");
    assert!(!deploy(&["--tag", "v2", "--tag", "v3"]).0);
    let tags: Vec<_> = server.releases("hello").await.into_iter().flat_map(|r| r.release.tags).collect();
    assert!(!tags.contains(&"v3".parse().unwrap()), "{tags:?}");

    let list = server.cli(&["releases", "list", "--app", "hello"]);
    assert!(String::from_utf8_lossy(&list.stdout).contains("v1.0 good v1.0.1"), "{list:?}");
    let show = server.cli(&["releases", "show", "--app", "hello", "v1"]);
    assert!(String::from_utf8_lossy(&show.stdout).contains("ticket=SHOP-2"), "{show:?}");

    server.assert_serves("hello", "/", "v2").await;
    assert!(server.cli(&["rollback", "--app", "hello", "--to", "good"]).status.success());
    server.assert_serves("hello", "/", "v1").await;
    // What serves is no place to go back to.
    let nowhere = server.cli(&["rollback", "--app", "hello", "--to", "v1.0", "--json"]);
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("no release with the tag `v1.0`"), "{nowhere:?}");

    for (wrong, why) in [
        (vec!["--tag", "a b"], "can't be a tag"),
        (vec!["--tag=-v"], "can't be a tag"),
        (vec!["--meta", "ticket"], "expected KEY=VALUE"),
        (vec!["--meta", "a=b\nc"], "can't be a value of metadata"),
    ] {
        let (done, said) = deploy(&wrong);
        assert!(!done && said.contains(why), "{wrong:?}: {said}");
    }
    let many: Vec<String> = (0..17).map(|n| format!("--tag=t{n}")).collect();
    let (done, said) = deploy(&many.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(!done && said.contains("at most 16"), "{said}");
}
