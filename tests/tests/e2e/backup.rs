//! Everything is lost but a backup, and comes back from it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::phase::Phase;
use plimsoll_tests::{App, Repo, Server, http, processes, wait_for};

use crate::load;

const SECRET: &str = "the-parrot-of-the-shop-4711";
const PASSPHRASE: &str = "four random words here";

/// A folder for backups, with the passphrase in it.
fn shelf() -> (tempfile::TempDir, PathBuf, String) {
    let dir = tempfile::tempdir().unwrap();
    let passphrase = dir.path().join("passphrase");
    fs::write(&passphrase, format!("{PASSPHRASE}\n")).unwrap();
    let file = dir.path().join("backup.tar.zst");
    let passphrase = passphrase.display().to_string();
    (dir, file, passphrase)
}

fn run(server: &Server, args: &[&str]) -> String {
    let output = server.cli(args);
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "plimsoll {args:?}: {text}");
    text
}

fn refuse(server: &Server, args: &[&str]) -> String {
    let output = server.cli(args);
    assert!(!output.status.success(), "plimsoll {args:?} went well");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn backup(server: &Server, file: &Path, passphrase: &str) {
    let file = file.display().to_string();
    run(server, &["backup", "create", "--output", &file, "--passphrase-file", passphrase]);
}

/// As when the machine burns down.
fn destroy(server: &mut Server) {
    server.kill9();
    processes::kill_marked(&server.data().display().to_string());
    fs::remove_dir_all(server.data()).unwrap();
}

async fn two_apps(server: &Server) -> (Repo, Repo) {
    let repos = (Repo::new(), Repo::new());
    for (name, repo) in [("shop", &repos.0), ("blog", &repos.1)] {
        repo.commit(App::new(&format!("{name} v1")).files(), "v1");
        server.create_app(name, repo.source()).await;
    }
    server.set_variables("shop", &[("PARROT", SECRET)]).await;
    tokio::join!(server.deploy_well("shop"), server.deploy_well("blog"));
    repos
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_loss_of_everything_a_backup_brings_it_all_back() {
    let mut server = Server::start().await;
    let (shop, blog) = two_apps(&server).await;
    let (_dir, file, passphrase) = shelf();

    // One deployment builds and one starts its instances while the backup is written, and visitors come.
    shop.commit(App::new("shop v2").build("sleep 120").files(), "v2");
    blog.commit(App::new("blog v2").env("START_DELAY", "5").grace("60s").files(), "v2");
    let (building, starting) = (server.deploy("shop").await, server.deploy("blog").await);
    server.reach(&building.id, Phase::Building).await;
    server.reach(&starting.id, Phase::HealthCheck).await;
    let visitors = load(&server, "shop");
    backup(&server, &file, &passphrase);
    visitors.stop().assert_none_lost();
    let before = server.cli_json(&["deployments", "list", "--json"]);

    destroy(&mut server);
    let data = server.data().display().to_string();
    let shown = file.display().to_string();
    let wrong = server.data().parent().unwrap().join("wrong");
    fs::write(&wrong, "not the passphrase").unwrap();
    let error = refuse(&server, &["restore", &shown, "--passphrase-file", &wrong.display().to_string()]);
    assert!(error.contains("passphrase") && !Path::new(&data).exists(), "{error}");
    run(&server, &["restore", &shown, "--passphrase-file", &passphrase]);
    let error = refuse(&server, &["restore", &shown, "--passphrase-file", &passphrase]);
    assert!(error.contains("not empty"), "{error}");
    server.restart().await;

    // The same addresses answer with what served before, while one deployment still goes on.
    let answers = async |app: &str, path: &str| http::get(server.ingress(), &format!("{app}.localhost"), path).await;
    for app in ["shop", "blog"] {
        let served = wait_for("an app to be back", Duration::from_secs(60), async || {
            answers(app, "/").await.ok().filter(|(status, _)| *status == 200)
        })
        .await;
        assert!(served.1.starts_with(&format!("{app} v")), "{served:?}");
    }
    server.assert_serves("shop", "/", "shop v1").await;
    server.assert_serves("shop", "/env/PARROT", SECRET).await;

    // What was in flight ends as it is: the one had only a workspace, which is gone, the other had its release.
    let lost = server.end(&building.id).await;
    assert_ne!(lost.phase, Phase::Active, "{lost:#?}");
    assert!(lost.failure.is_some(), "{lost:#?}");
    let went_on = server.end(&starting.id).await;
    assert_eq!(went_on.phase, Phase::Active, "{went_on:#?}");
    server.assert_serves("blog", "/", "blog v2").await;

    // History is there, and goes on.
    let after = server.cli_json(&["deployments", "list", "--json"]);
    let ids = |list: &serde_json::Value| -> Vec<String> {
        list["items"].as_array().unwrap().iter().map(|d| d["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&before), ids(&after));
    assert!(run(&server, &["events", "--limit", "500"]).contains("restored from a backup"));
    assert!(run(&server, &["deployments", "output", building.id.as_str()]).contains("sleep 120"));
    shop.commit(App::new("shop v3").files(), "v3");
    server.deploy_well("shop").await;
    server.assert_serves("shop", "/", "shop v3").await;
    server.settle("shop").await;
    server.settle("blog").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_in_a_backup_or_a_restore_leaves_nothing_that_passes_for_one() {
    let mut server = Server::start().await;
    let (_shop, _blog) = two_apps(&server).await;
    // Some MiB that don't shrink, so that there is a middle.
    let release = fs::read_dir(server.data().join("releases")).unwrap().next().unwrap().unwrap().path();
    let release = fs::read_dir(release).unwrap().next().unwrap().unwrap().path();
    let mut noise = vec![0; 24 << 20];
    std::io::Read::read_exact(&mut fs::File::open("/dev/urandom").unwrap(), &mut noise).unwrap();
    fs::write(release.join("noise"), noise).unwrap();
    let (dir, file, passphrase) = shelf();
    let shown = file.display().to_string();

    let create = ["backup", "create", "--output", &shown, "--passphrase-file", &passphrase];
    let mut child = server.command().args(create).spawn().unwrap();
    wait_for("the backup to be half written", Duration::from_secs(60), async || {
        let partial = dir.path().join(".backup.tar.zst.partial");
        fs::metadata(partial).ok().filter(|meta| meta.len() > 1 << 20).map(drop)
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!file.exists());
    run(&server, &create);
    run(&server, &["backup", "verify", &shown, "--passphrase-file", &passphrase]);
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");

    destroy(&mut server);
    let restore = ["restore", &shown, "--passphrase-file", &passphrase];
    let mut child = server.command().args(restore).spawn().unwrap();
    wait_for("the folder to be half filled", Duration::from_secs(60), async || {
        server.data().join("releases").exists().then_some(())
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    let refused = server.server_command().output().unwrap();
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && error.contains("did not end"), "{error}");
    run(&server, &restore);
    server.restart().await;
    for app in ["shop", "blog"] {
        wait_for("an app to be back", Duration::from_secs(60), async || {
            server.get(app, "/").await.ok().filter(|(status, body)| *status == 200 && *body == format!("{app} v1"))
        })
        .await;
    }
}

/// From the file to PostgreSQL, with another path of the data folder.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_moves_from_sqlite_to_postgres() {
    let mut server = Server::start().await;
    let (_shop, _blog) = two_apps(&server).await;
    let (_dir, file, passphrase) = shelf();
    backup(&server, &file, &passphrase);
    destroy(&mut server);

    let url = plimsoll_tests::postgres::Postgres::shared().create_database();
    let mut moved = Server::stopped(&[], &[("PLIMSOLL_DATABASE_URL", &url)]);
    let restored = moved
        .command()
        .args(["restore", &file.display().to_string(), "--passphrase-file", &passphrase])
        .env("PLIMSOLL_DATABASE_URL", &url)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&restored.stderr).into_owned();
    assert!(restored.status.success() && text.contains("Python environments"), "{text}");
    moved.restart().await;
    assert_eq!(moved.cli_json(&["version", "--json"])["server"]["database"], "postgres");
    wait_for("the shop to be back", Duration::from_secs(60), async || {
        moved.get("shop", "/env/PARROT").await.ok().filter(|(status, body)| *status == 200 && body == SECRET)
    })
    .await;
    // A backup of a server with PostgreSQL wants its address.
    let error = refuse(&moved, &["backup", "create", "--without-keys", "--output", "/tmp/never-written"]);
    assert!(error.contains("--database-url-file"), "{error}");
    server.restart().await;
}
