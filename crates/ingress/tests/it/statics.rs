//! Files of a release.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use ingress::Target;

use crate::support::*;

fn site(dir: &Path, text: &str) {
    fs::create_dir_all(dir.join("docs")).unwrap();
    fs::create_dir_all(dir.join(".git")).unwrap();
    for (name, content) in [
        ("index.html", text),
        ("app.js", "0123456789"),
        ("docs/index.html", "docs"),
        (".env", "SECRET"),
        (".git/config", "SECRET"),
    ] {
        fs::write(dir.join(name), content).unwrap();
    }
}

fn serving(generation: u64, root: &Path, single_page: bool) -> ingress::EnvironmentRoutes {
    targeting(generation, Target::Static { root: root.to_owned(), single_page })
}

#[tokio::test]
async fn files_are_served_with_what_browsers_need() {
    let (ingress, temp) = (Ingress::start().await, tempfile::tempdir().unwrap());
    site(&temp.path().join("r1"), "one");
    ingress.client.cutover(serving(1, &temp.path().join("r1"), false)).await.unwrap();
    let mut client = ingress.raw().await;

    let index = client.get("/").await;
    assert_eq!(
        (index.status, index.text().as_str(), index.header("content-type")),
        (200, "one", Some("text/html; charset=utf-8"))
    );
    assert!(index.header("last-modified").is_some());
    let script = client.get("/app.js").await;
    assert_eq!((script.status, script.header("content-type")), (200, Some("text/javascript; charset=utf-8")));
    let tag = script.header("etag").unwrap().to_owned();
    let ask = |method: &str, path: &str, header: &str| {
        format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n{header}\r\n\r\n")
    };
    client.send(ask("GET", "/app.js", &format!("If-None-Match: {tag}"))).await;
    let unchanged = client.answer().await.unwrap();
    assert_eq!((unchanged.status, unchanged.header("etag")), (304, Some(tag.as_str())));
    let modified = script.header("last-modified").unwrap();
    client.send(ask("GET", "/app.js", &format!("If-Modified-Since: {modified}"))).await;
    assert_eq!(client.answer().await.unwrap().status, 304);
    client.send(ask("GET", "/app.js", "Range: bytes=2-4")).await;
    let part = client.answer().await.unwrap();
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    client.send(ask("GET", "/app.js", "Range: bytes=2-4\r\nIf-Range: \"other\"")).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    client.send(ask("HEAD", "/app.js", "X: 1")).await;
    let head = client.read(true).await.unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, Some("10")));
    client.send(ask("POST", "/app.js", "Content-Length: 0")).await;
    assert_eq!(client.answer().await.unwrap().status, 405);
    let folder = client.get("/docs?x=1").await;
    assert_eq!((folder.status, folder.header("location")), (308, Some("/docs/?x=1")));
    assert_eq!(client.get("//docs").await.header("location"), Some("/docs/"));
    assert_eq!(client.get("/docs/").await.text(), "docs");
    assert_eq!(client.get("/missing").await.status, 404);
    let verified = ingress.client.verify(&HOST.parse().unwrap(), &"/".parse().unwrap()).await.unwrap();
    assert_eq!((verified.status, verified.release), (200, release(1)));
}

#[tokio::test]
async fn nothing_outside_the_release_is_served() {
    let (ingress, temp) = (Ingress::start().await, tempfile::tempdir().unwrap());
    let root = temp.path().join("r1");
    site(&root, "one");
    fs::write(temp.path().join("secret.txt"), "SECRET").unwrap();
    symlink("/etc/passwd", root.join("passwd")).unwrap();
    symlink(temp.path(), root.join("up")).unwrap();
    symlink(".env", root.join("env.txt")).unwrap();
    for single_page in [false, true] {
        ingress.client.cutover(serving(1 + u64::from(single_page), &root, single_page)).await.unwrap();
        let mut client = ingress.raw().await;
        for path in [
            "/.env",
            "/%2eenv",
            "/.git/config",
            "/%2Egit/config",
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/..%2fsecret.txt",
            "/docs/../../secret.txt",
            "/docs/%2e%2e%2f%2e%2e%2fsecret.txt",
            "/%252e%252e/secret.txt",
            "/..%5csecret.txt",
            "/up/secret.txt",
            "/passwd",
            "/env.txt",
            "/app.js%00.html",
            "/%c0%ae%c0%ae/secret.txt",
            "//etc/passwd",
        ] {
            let answer = client.get(path).await;
            let text = answer.text();
            assert!(!text.contains("SECRET") && !text.contains("root:"), "{path}: {text}");
            // A single-page app answers paths that exist nowhere with its own page.
            assert!(answer.status == 404 || (single_page && text == "one"), "{path}: {}", answer.status);
        }
        assert_eq!(client.get("/.env").await.status, 404);
    }
}

#[tokio::test]
async fn unknown_paths_get_the_apps_own_page() {
    let (ingress, temp) = (Ingress::start().await, tempfile::tempdir().unwrap());
    let root = temp.path().join("r1");
    site(&root, "one");
    ingress.client.cutover(serving(1, &root, true)).await.unwrap();
    let deep = ingress.get("/users/7").await;
    assert_eq!((deep.status, deep.text().as_str()), (200, "one"));
    ingress.client.cutover(serving(2, &root, false)).await.unwrap();
    fs::write(root.join("404.html"), "own page").unwrap();
    let missing = ingress.get("/users/7").await;
    assert_eq!((missing.status, missing.text().as_str()), (404, "own page"));
}

/// Below a path the files are found without it; a cutover and not a link decides what is served.
#[tokio::test]
async fn releases_are_switched_whole() {
    let (ingress, temp) = (Ingress::start().await, tempfile::tempdir().unwrap());
    let link = temp.path().join("current");
    for (release, text) in [("r1", "one"), ("r2", "two")] {
        site(&temp.path().join(release), text);
    }
    symlink("r1", &link).unwrap();
    let at = |generation| {
        let mut routes = serving(generation, &link, false);
        routes.routes[0].path = "/app".parse().unwrap();
        routes
    };
    ingress.client.cutover(at(1)).await.unwrap();
    let mut client = ingress.raw().await;
    assert_eq!(client.get("/app").await.header("location"), None);
    assert_eq!(client.get("/app/").await.text(), "one");
    let tag = client.get("/app/").await.header("etag").unwrap().to_owned();
    fs::remove_file(&link).unwrap();
    symlink("r2", &link).unwrap();
    assert_eq!(client.get("/app/").await.text(), "one");
    ingress.client.cutover(at(2)).await.unwrap();
    client.send(format!("GET /app/ HTTP/1.1\r\nHost: {HOST}\r\nIf-None-Match: {tag}\r\n\r\n")).await;
    let fresh = client.answer().await.unwrap();
    assert_eq!((fresh.status, fresh.text().as_str()), (200, "two"));
    let gone = ingress.client.cutover(serving(3, &temp.path().join("r9"), false)).await.unwrap_err();
    assert!(gone.to_string().contains("r9"), "{gone}");
}
