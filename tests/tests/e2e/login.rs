//! Programs that a person lets in: `plimsoll login`, the code, the token, and back.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use operations::sign_in::{BeginDevice, CollectDevice, DEVICE, DEVICE_TOKEN, DeviceAnswer, DeviceBegun};
use operations::{Client, ErrorKind};
use plimsoll_tests::flow::refused;
use plimsoll_tests::server::{binary, files_below};
use plimsoll_tests::{Server, wait_for};
use reqwest::Method;
use serde_json::{Value, json};

use crate::people::{PASSWORD, Person, invited};

const LIMIT: Duration = Duration::from_secs(30);

/// Somebody's machine elsewhere: it knows nothing of the server but its address.
struct Laptop {
    home: tempfile::TempDir,
}

impl Laptop {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.env_clear().env("HOME", self.home.path()).env("NO_COLOR", "1").args(args).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// What it prints when it succeeds.
    fn said(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A login under way, with the code that it shows.
    fn login(&self, server: &str) -> (Child, String) {
        let mut child = self.command(&["login", server, "--json"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let out = child.stdout.as_mut().unwrap();
        // Whatever is read too early stays in this reader: the second line comes only after the answer.
        BufReader::with_capacity(1, out).read_line(&mut line).unwrap();
        let shown: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line}: {e}"));
        let code = shown["user_code"].as_str().unwrap().to_owned();
        assert_eq!(shown["address"], format!("{server}/device?code={code}"));
        (child, code)
    }

    fn file(&self) -> std::path::PathBuf {
        self.home.path().join(".config/plimsoll/credentials.toml")
    }
}

async fn end(child: &mut Child) -> i32 {
    wait_for("the login to end", LIMIT, async || child.try_wait().unwrap()).await.code().unwrap()
}

async fn answer(person: &Person, code: &str, verdict: &str) -> (u16, Value) {
    person.ask(Method::POST, &format!("devices/{code}"), json!({ "verdict": verdict })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_lets_the_cli_in_and_it_gives_its_token_back() {
    let server = Server::start().await;
    let url = format!("http://{}", server.api());
    let (zoe, laptop) = (invited(&server, "zoe@example.org", "viewer").await, Laptop::new());
    let (mut login, code) = laptop.login(&url);
    assert!(login.try_wait().unwrap().is_none(), "it waits for her");
    let (status, device) = zoe.get(&format!("devices/{}", code.to_lowercase())).await;
    assert_eq!(
        (status, &device["state"], &device["address"]),
        (200, &json!("waiting"), &json!("127.0.0.1")),
        "{device}"
    );
    assert!(device["name"].as_str().unwrap().starts_with("plimsoll"), "{device}");
    assert_eq!(zoe.get("devices/BBBB-BBBB").await.0, 404);
    assert_eq!(answer(&zoe, &code, "approve").await.1["state"], "approved");
    assert_eq!(answer(&zoe, &code, "refuse").await.0, 409, "one answer");
    assert_eq!(end(&mut login).await, 0);

    // What it has got is hers, for her alone to read, and works by the server's address.
    let mode = std::fs::metadata(laptop.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(laptop.file()).unwrap();
    let secret = text.split('"').find(|word| word.starts_with("plim_")).unwrap().to_owned();
    assert!(laptop.said(&["--server", &format!("{url}/"), "me"]).starts_with("zoe zoe@example.org (usr_"));
    let no = laptop.run(&["--server", &url, "apps", "create", "shop"]);
    assert_eq!(no.status.code(), Some(5), "she is a viewer: {}", String::from_utf8_lossy(&no.stderr));
    let mine = zoe.get("tokens").await.1;
    let row = mine.as_array().unwrap().iter().find(|row| row["name"] == device["name"]).unwrap();
    assert_eq!((&row["grants"], &row["state"]), (&json!([{ "role": "viewer" }]), &json!("valid")));
    assert!(row["expires_at"].is_string(), "{row}");
    // A token, hers too, lets no other program in.
    let anonymous = Client::anonymous(&url).unwrap();
    let other: DeviceBegun = anonymous.ask(DEVICE, &BeginDevice { name: "other".into() }).await.unwrap();
    let path = format!("{url}/api/v1/devices/{}", other.user_code);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let sent = http.post(path).bearer_auth(&secret).json(&json!({ "verdict": "approve" })).send().await.unwrap();
    assert_eq!(sent.status(), 403);

    // Nowhere but there.
    for path in files_below(&server.data()) {
        let bytes = std::fs::read(&path).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(&secret), "{}", path.display());
    }
    assert!(!server.log().contains(&secret));
    let audit = server.cli_json(&["audit", "list", "--json", "--limit", "50"]);
    let done: Vec<&str> =
        audit["items"].as_array().unwrap().iter().map(|row| row["operation"].as_str().unwrap()).collect();
    assert!(done.contains(&"devices.approve") && done.contains(&"auth.device"), "{done:?}");

    assert!(laptop.said(&["logout"]).contains("logged out"), "the only one there is");
    let mine = zoe.get("tokens").await.1;
    let row = mine.as_array().unwrap().iter().find(|row| row["name"] == device["name"]).unwrap();
    assert_eq!(row["state"], "revoked", "a viewer's token, too, can be given back");
    let out = laptop.run(&["--server", &url, "me"]);
    assert_eq!(out.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&out.stderr).contains("plimsoll login"), "{out:?}");
    assert_eq!(laptop.run(&["logout"]).status.code(), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_sent_away_gets_nothing_and_an_answer_is_given_once() {
    let server = Server::start().await;
    let url = format!("http://{}", server.api());
    let (zoe, laptop) = (invited(&server, "zoe@example.org", "owner").await, Laptop::new());
    let (mut login, code) = laptop.login(&url);
    assert_eq!(answer(&zoe, &code, "refuse").await.1["state"], "refused");
    assert_eq!(end(&mut login).await, 5);
    assert!(!laptop.file().exists());

    let anonymous = Client::anonymous(&url).unwrap();
    let begun: DeviceBegun = anonymous.ask(DEVICE, &BeginDevice { name: " build box ".into() }).await.unwrap();
    let collect = async |secret: &str| {
        anonymous.ask::<DeviceAnswer>(DEVICE_TOKEN, &CollectDevice { device_code: secret.to_owned().into() }).await
    };
    let secret = serde_json::to_value(&begun).unwrap()["device_code"].as_str().unwrap().to_owned();
    assert!(matches!(collect(&secret).await.unwrap(), DeviceAnswer::Waiting));
    assert_eq!(refused(collect(begun.user_code.as_str()).await).code, ErrorKind::NotFound, "the code is no secret");
    assert_eq!(answer(&zoe, begun.user_code.as_str(), "approve").await.0, 200);
    // At once from two sides: one of them gets it.
    let both = futures::future::join(collect(&secret), collect(&secret)).await;
    let got = [both.0, both.1].into_iter().filter(|one| matches!(one, Ok(DeviceAnswer::Approved(_)))).count();
    assert_eq!(got, 1);
    assert_eq!(refused(collect(&secret).await).code, ErrorKind::NotFound);

    // Who is kept out a moment after saying yes lets nobody in.
    let ann = invited(&server, "ann@example.org", "deployer").await;
    let begun: DeviceBegun = anonymous.ask(DEVICE, &BeginDevice { name: "box".into() }).await.unwrap();
    let secret = serde_json::to_value(&begun).unwrap()["device_code"].as_str().unwrap().to_owned();
    assert_eq!(answer(&ann, begun.user_code.as_str(), "approve").await.0, 200);
    assert!(server.cli(&["users", "disable", "ann@example.org", "--yes"]).status.success());
    assert!(matches!(collect(&secret).await.unwrap(), DeviceAnswer::Refused));

    // Nor does a word count that was given before the password was changed, or in a session that has ended since.
    let mia = invited(&server, "mia@example.org", "viewer").await;
    let password = json!({ "current": PASSWORD, "new": "thimble walnut harbour lantern" });
    for (method, path, body) in [(Method::PUT, "me/password", password), (Method::POST, "auth/sign-out", json!({}))] {
        let begun: DeviceBegun = anonymous.ask(DEVICE, &BeginDevice { name: "box".into() }).await.unwrap();
        let secret = serde_json::to_value(&begun).unwrap()["device_code"].as_str().unwrap().to_owned();
        assert_eq!(answer(&mia, begun.user_code.as_str(), "approve").await.0, 200);
        let (status, said) = mia.ask(method, path, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {said}");
        assert!(matches!(collect(&secret).await.unwrap(), DeviceAnswer::Refused), "{path}");
    }

    // Anybody can ask; so many wait at once.
    let mut asked = 0;
    let full = loop {
        match anonymous.ask::<DeviceBegun>(DEVICE, &BeginDevice { name: "flood".into() }).await {
            Ok(_) => asked += 1,
            other => break refused(other),
        }
        assert!(asked < 50, "there is no end to it");
    };
    assert_eq!(full.code, ErrorKind::RateLimited);
    for name in ["", "\u{1b}[2J", &"a".repeat(101)] {
        let no = anonymous.ask::<DeviceBegun>(DEVICE, &BeginDevice { name: name.into() }).await;
        assert_eq!(refused(no).code, ErrorKind::Invalid, "{name:?}");
    }
}
