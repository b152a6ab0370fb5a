//! The key file gets a new key while no server runs, and all that is secret is under it from then on.

use std::fs;
use std::time::Duration;

use plimsoll_tests::postgres::Postgres;
use plimsoll_tests::{App, Repo, Server, wait_for};
use reqwest::Method;
use serde_json::{Value, json};

use crate::second_factor::{code, step};
use crate::sign_in::{Browser, EMAIL, PASSWORD, owner};

const SECRET: &str = "the-parrot-of-the-shop-4711";
const ROTATE: [&str; 3] = ["keys", "rotate", "--json"];

fn key_file(server: &Server) -> String {
    fs::read_to_string(server.data().join("master.key")).unwrap()
}

/// Signs in with the password and this code besides.
async fn enter(server: &Server, address: &str, code: &str) -> u16 {
    let mut browser = Browser::at(server, address);
    let answer = browser.sign_in(EMAIL, PASSWORD).await;
    let said = json!({ "ticket": answer.body["ticket"], "code": code });
    browser.post("/api/v1/auth/second-factor", said).await.status
}

/// The next release gets the variable, and the log is whole; how many records of it could not be checked.
async fn works(server: &Server, repo: &Repo, version: &str) -> Value {
    repo.commit(App::new(version).files(), version);
    server.deploy_well("shop").await;
    server.assert_serves("shop", "/", version).await;
    server.assert_serves("shop", "/env/PARROT", SECRET).await;
    let verified = server.cli_json(&["audit", "verify", "--json"]);
    assert_eq!(verified["sound"], true, "{verified}");
    verified["unchecked"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_secret_is_under_the_new_key_and_apps_serve_on() {
    let (mut server, repo, _) = crate::with_app("shop").await;
    server.set_variables("shop", &[("PARROT", SECRET)]).await;
    let mut ann = owner(&server, "127.0.0.1").await;
    let begun = ann.post("/api/v1/me/totp", json!({})).await.body;
    let key = begun["setup"]["secret"].as_str().unwrap().to_owned();
    let on = json!({ "code": code(&key, step().await) });
    let on = ann.send(Method::PUT, "/api/v1/me/totp", Some(on)).await;
    assert_eq!(on.status, 200, "{}", on.body);
    let recovery: Vec<String> = serde_json::from_value(on.body["recovery_codes"].clone()).unwrap();
    assert_eq!(works(&server, &repo, "v2").await, json!(0));

    let before = key_file(&server);
    let refused = server.cli(&ROTATE);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(4) && said.contains("stop all servers first"), "{said}");
    assert_eq!(key_file(&server), before);

    server.stop();
    let rotated = server.cli_json(&ROTATE);
    assert_eq!((&rotated["resumed"], &rotated["data_keys"]), (&json!(false), &json!(1)), "{rotated}");
    assert_eq!((&rotated["secrets"], &rotated["keys"]), (&json!(1), &json!(2)), "{rotated}");
    assert!(key_file(&server).ends_with(&before));
    server.assert_serves("shop", "/env/PARROT", SECRET).await;
    server.restart().await;
    assert_eq!(ann.me().await.status, 200, "a session stays");
    assert_eq!(enter(&server, "127.0.0.2", &code(&key, step().await + 1)).await, 200);
    assert_eq!(enter(&server, "127.0.0.3", &recovery[0]).await, 200);
    assert_eq!(works(&server, &repo, "v3").await, json!(0));
    let told = server.cli_json(&["audit", "list", "--operation", "keys.rotate", "--json"]);
    assert_eq!(told["items"].as_array().unwrap().len(), 1, "{told}");

    // As kill -9 leaves it between the file and the database: no server starts, and the next call makes no further key.
    server.stop();
    let half = format!("plimsoll-key-1:{}\n{}", "5a".repeat(32), key_file(&server));
    fs::write(server.data().join("master.key"), &half).unwrap();
    let refused = server.server_command().output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("plimsoll keys rotate"), "{said}");
    let rotated = server.cli_json(&ROTATE);
    assert_eq!((&rotated["resumed"], &rotated["keys"]), (&json!(true), &json!(3)), "{rotated}");
    assert_eq!(key_file(&server), half);
    server.restart().await;
    assert_eq!(works(&server, &repo, "v4").await, json!(0));

    // Nothing is under the keys of before any more, but for what has been digested or signed with them.
    server.stop();
    let first = half.lines().next().unwrap();
    fs::write(server.data().join("master.key"), format!("{first}\n")).unwrap();
    server.restart().await;
    assert!(works(&server, &repo, "v5").await.as_u64().unwrap() > 0);
    assert_eq!(enter(&server, "127.0.0.4", &recovery[1]).await, 401, "its digest was made with a key of before");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_hosts_of_a_database_get_the_new_key() {
    let url = Postgres::shared().create_database();
    let env = [("PLIMSOLL_DATABASE_URL", url.as_str())];
    let mut first = Server::start_with(&["--host", "one", "--lease", "2s"], &env).await;
    let mut second = Server::stopped(&["--host", "two", "--lease", "2s"], &env);
    fs::create_dir_all(second.data()).unwrap();
    fs::copy(first.data().join("master.key"), second.data().join("master.key")).unwrap();
    second.restart().await;
    second.stop();
    let rotate = || second.command().args(ROTATE).env("PLIMSOLL_DATABASE_URL", &url).output().unwrap();
    let refused = rotate();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(4) && said.contains("stop all servers first"), "{said}");
    assert_eq!(key_file(&second).lines().count(), 1);

    // One that was killed is still in the database; its heart stands still.
    first.kill9();
    let rotated = wait_for("the keys to be rotated", Duration::from_secs(60), async || {
        let done = rotate();
        done.status.success().then(|| serde_json::from_slice::<Value>(&done.stdout).unwrap())
    })
    .await;
    assert_eq!((&rotated["hosts"], &rotated["keys"]), (&json!(["one"]), &json!(2)), "{rotated}");
    let refused = first.server_command().output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("master.key"), "{said}");
    fs::copy(second.data().join("master.key"), first.data().join("master.key")).unwrap();
    first.restart().await;
    second.restart().await;
    assert_eq!(second.cli_json(&["audit", "verify", "--json"])["sound"], true);
}
