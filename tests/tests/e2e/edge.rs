//! The clients' side of the ingress: HTTPS with given certificates, and processes that take each other's place.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use plimsoll_tests::flow::host;
use plimsoll_tests::server::{binary, files_below, free_address};
use plimsoll_tests::{Repo, Server, processes, wait_for};
use rcgen::{CertificateParams, KeyPair};

use crate::{load, on};

/// A certificate and its key in files.
pub(crate) struct Pair {
    dir: tempfile::TempDir,
    pem: String,
    key: String,
}

impl Pair {
    pub(crate) fn new(names: &[&str], days: i64) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        let until = chrono::Utc::now() + chrono::TimeDelta::days(days);
        use chrono::Datelike;
        params.not_after = rcgen::date_time_ymd(until.year(), until.month() as u8, until.day() as u8);
        let pem = params.self_signed(&key).unwrap().pem();
        let pair = Self { dir: tempfile::tempdir().unwrap(), pem, key: key.serialize_pem() };
        std::fs::write(pair.path("certificate.pem"), &pair.pem).unwrap();
        std::fs::write(pair.path("key.pem"), &pair.key).unwrap();
        pair
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The command that adds it.
    pub(crate) fn add<'a>(&self, files: &'a mut [String; 2], more: &[&'a str]) -> Vec<&'a str> {
        *files = ["certificate.pem", "key.pem"].map(|name| self.path(name).display().to_string());
        [&["certificates", "add", "--certificate", files[0].as_str(), "--key", files[1].as_str()], more].concat()
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// A line of the private key.
    pub(crate) fn secret(&self) -> &str {
        self.key.lines().nth(1).unwrap()
    }
}

/// A GET of `/` that believes in this certificate alone.
async fn get(address: SocketAddr, name: &str, pair: &Pair) -> Result<(u16, String), String> {
    let root = reqwest::Certificate::from_pem(pair.pem.as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .no_proxy()
        .resolve(name, address)
        .tls_certs_only([root])
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    let url = format!("https://{name}:{}/", address.port());
    let response = client.get(url).send().await.map_err(|e| format!("{e:?}"))?;
    let status = response.status().as_u16();
    Ok((status, response.text().await.map_err(|e| e.to_string())?.trim_end().to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_given_once_and_served_without_a_server() {
    let https = free_address();
    let (mut server, _repo, _) =
        on(Server::start_with(&["--ingress-https-listen", &https.to_string()], &[]).await, "hello").await;
    let name = host("hello");
    let pair = Pair::new(&[&name, "other.localhost"], 90);
    let (mut files, mut others) = Default::default();

    // What can't be served is refused, and says why.
    let other = Pair::new(&["third.localhost"], 90);
    let key = other.path("key.pem").display().to_string();
    let certificate = pair.path("certificate.pem").display().to_string();
    for (certificate, key, says, code) in [
        (certificate.as_str(), key.as_str(), "belongs to another certificate", 9),
        (key.as_str(), certificate.as_str(), "holds no certificate", 9),
        ("/nonexistent", key.as_str(), "can't read /nonexistent", 9),
    ] {
        let refused = server.cli(&["certificates", "add", "--certificate", certificate, "--key", key]);
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(code) && told.contains(says), "{told}");
        assert!(!told.contains("PRIVATE KEY"), "{told}");
    }
    let expired = Pair::new(&["old.localhost"], -1);
    let refused = server.cli(&expired.add(&mut files, &[]));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("expired"), "{refused:?}");

    let added = server.cli_json(&[&pair.add(&mut files, &[])[..], &["--json"]].concat());
    assert_eq!((&added["state"], &added["names"][0]), (&"serving".into(), &name.as_str().into()), "{added}");
    assert_eq!(get(https, &name, &pair).await, Ok((200, "v1".into())));
    let again = server.cli(&pair.add(&mut files, &[]));
    assert_eq!(again.status.code(), Some(4), "{again:?}");
    assert!(server.environment("hello").await.urls[0].starts_with("https://"));
    let unknown = get(https, "unknown.localhost", &pair).await.unwrap_err();
    assert!(unknown.to_lowercase().contains("unrecognised"), "{unknown}");
    let soon = Pair::new(&["soon.localhost"], 5);
    server.cli_json(&[&soon.add(&mut others, &[])[..], &["--json"]].concat());
    let listed = server.cli(&["certificates", "list"]);
    let (out, told) = (String::from_utf8_lossy(&listed.stdout), String::from_utf8_lossy(&listed.stderr));
    assert!(out.contains("expiring") && told.contains("soon.localhost") && told.contains("expires in"), "{out}{told}");

    // The key is in the ingress's folder, readable by its user alone, and nowhere else in the open.
    let secret = pair.secret().as_bytes().to_vec();
    let holding = |dir: PathBuf| -> Vec<PathBuf> {
        let holds = |f: &PathBuf| std::fs::read(f).unwrap_or_default().windows(secret.len()).any(|w| w == secret);
        files_below(&dir).into_iter().filter(holds).collect()
    };
    let held = holding(server.data());
    assert!(held.len() == 1 && held[0].starts_with(server.data().join("ingress/certificates")), "{held:?}");
    assert_eq!(std::fs::metadata(&held[0]).unwrap().permissions().mode() & 0o777, 0o600);

    // Nobody but the ingress is needed.
    server.kill9();
    assert_eq!(get(https, &name, &pair).await.unwrap().1, "v1");
    // The disk has eaten it: that name fails alone, until a server comes and heals it.
    let mut content = std::fs::read(&held[0]).unwrap();
    content.truncate(200);
    std::fs::write(&held[0], content).unwrap();
    processes::kill9(server.ingress_pid());
    server.restart().await;
    assert_eq!(get(https, "soon.localhost", &soon).await.unwrap().0, 404);
    wait_for("the certificate to be healed", Duration::from_secs(20), async || {
        get(https, &name, &pair).await.ok().filter(|a| a.1 == "v1")
    })
    .await;

    // Renewed: the new one takes the place of the old one.
    let renewed = Pair::new(&[&name, "other.localhost"], 180);
    let told = server.cli_json(&[&renewed.add(&mut files, &[])[..], &["--json"]].concat());
    assert_eq!(told["replaced"][0], added["id"], "{told}");
    assert_eq!(get(https, &name, &renewed).await.unwrap().1, "v1");
    assert!(get(https, &name, &pair).await.is_err());
    let gone = server.cli(&["certificates", "remove", "other.localhost", "--yes"]);
    assert!(gone.status.success(), "{gone:?}");
    assert!(get(https, &name, &renewed).await.unwrap_err().to_lowercase().contains("unrecognised"));
    assert!(holding(server.data()).is_empty());
    assert_eq!(server.cli(&["certificates", "show", "other.localhost"]).status.code(), Some(3));
    assert_eq!(server.cli_json(&["certificates", "list", "--json"]).as_array().unwrap().len(), 1);
}

/// By hand under load: nothing is lost. By kill -9, with the server there to hold the sockets: nobody is refused.
#[tokio::test(flavor = "multi_thread")]
async fn the_ingress_is_restarted_under_load() {
    let (server, repo, _) = on(Server::start().await, "hello").await;
    let load = load(&server, "hello");
    let mut pids = vec![server.ingress_pid()];
    for n in 2..=4 {
        load.go_on(20).await;
        let told = server.cli_json(&["ingress", "restart", "--json"]);
        assert_eq!(told["before"].as_i64(), pids.last().map(|&p| p.into()), "{told}");
        pids.push(told["pid"].as_i64().unwrap() as i32);
        let version = format!("v{n}");
        repo.commit(plimsoll_tests::App::new(&version).files(), &version);
        server.deploy_well("hello").await;
    }
    load.go_on(20).await;
    let tally = load.stop();
    tally.assert_none_lost();
    assert_eq!(tally.distinct(), ["v1", "v2", "v3", "v4"]);
    let last = pids.pop().unwrap();
    wait_for("the old processes to end", Duration::from_secs(20), async || {
        (server.ingresses() == [last]).then_some(())
    })
    .await;

    let load = crate::load(&server, "hello");
    load.go_on(20).await;
    processes::kill9(last);
    // It may go on taking requests until the kernel has come round to it.
    wait_for("it to be gone", Duration::from_secs(10), async || (!processes::is_alive(last)).then_some(())).await;
    let killed = load.elapsed();
    load.go_on(40).await;
    let tally = load.stop();
    let refused: Vec<_> =
        tally.lost().into_iter().filter(|end| format!("{:?}", end.answer).to_lowercase().contains("refused")).collect();
    assert!(refused.is_empty(), "{refused:?}");
    let later: Vec<_> = tally.lost().into_iter().filter(|end| end.sent > killed).collect();
    assert!(later.is_empty(), "more than what was in flight at {killed:?}: {tally}");
}

/// A newer binary starts the server: the ingress is replaced by one of the same, the app isn't touched.
#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_replaces_the_ingress_and_loses_nothing() {
    let newer = tempfile::tempdir().unwrap();
    let (mut server, _repo, _) = on(Server::start().await, "hello").await;
    let (before, apps) = (server.ingress_pid(), server.apps());
    server.stop();
    server.restart().await;
    assert_eq!(server.ingress_pid(), before, "the same binary leaves it alone");
    let load = load(&server, "hello");
    load.go_on(10).await;
    let path = newer.path().join("plimsoll");
    std::fs::copy(binary(), &path).unwrap();
    server.stop();
    server.use_binary(path);
    server.restart().await;
    load.go_on(20).await;
    load.stop().assert_none_lost();
    wait_for("the new ingress alone", Duration::from_secs(30), async || {
        let running = server.ingresses();
        (running.len() == 1 && running[0] != before).then_some(())
    })
    .await;
    assert_eq!(server.apps(), apps);
    let status = std::fs::read_link(format!("/proc/{}/exe", server.ingress_pid())).unwrap();
    assert!(status.starts_with(newer.path()), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_requests_are_sent_to_https_when_that_is_wanted() {
    let https = free_address();
    let arguments = ["--ingress-https-listen", &https.to_string(), "--ingress-https-redirect"];
    let server = Server::start_with(&arguments, &[]).await;
    let site = Repo::new();
    site.commit([("index.html", "a site")], "one");
    server.create_app("site", site.source()).await;
    server.deploy_well("site").await;
    server.assert_serves("site", "/", "a site").await;
    let name = host("site");
    let pair = Pair::new(&[&name], 90);
    let mut files = Default::default();
    server.cli_json(&[&pair.add(&mut files, &[])[..], &["--json"]].concat());
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let plain = client.get(format!("http://{}/x?y", server.ingress())).header("Host", &name).send().await.unwrap();
    assert_eq!(plain.status(), 308);
    assert_eq!(plain.headers()["location"], format!("https://{name}:{}/x?y", https.port()));
    assert_eq!(get(https, &name, &pair).await.unwrap().1, "a site");
    // A deployment still sees who answers.
    site.commit([("index.html", "another site")], "two");
    server.deploy_well("site").await;
    assert_eq!(get(https, &name, &pair).await.unwrap().1, "another site");
}
