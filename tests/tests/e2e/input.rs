//! Bad input at every entry: a clear no, and nothing left behind.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use domain::failure::Cause;
use domain::phase::Phase;
use domain::source::Source;
use operations::deployments::{Deploy, DeployRequest};
use operations::error::ErrorKind;
use operations::{environments, releases, sources};
use plimsoll_tests::flow::refused;
use plimsoll_tests::server::free_address;
use plimsoll_tests::{App, Repo, Server};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::with_app;

/// A call as anybody could make it: status and body.
async fn raw(server: &Server, method: &str, path: &str, token: Option<&str>, body: &str) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client
        .request(method.parse().unwrap(), format!("http://{}{path}", server.api()))
        .header("Content-Type", "application/json")
        .body(body.to_owned());
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null))
}

/// The answer to a request of which only the head is sent: it must not wait for `length` bytes.
fn announced(server: &Server, token: &str, length: usize) -> String {
    let mut stream = TcpStream::connect(server.api()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let head = format!(
        "POST /api/v1/apps HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n",
        server.api()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_found() {
    let (server, _repo, _) = with_app("hello").await;
    assert_eq!(refused(server.try_deploy("nobody", None).await).code, ErrorKind::NotFound);
    assert_eq!(refused(server.rollback("nobody", None).await).code, ErrorKind::NotFound);
    assert_eq!(refused(server.rollback("hello", Some(7)).await).code, ErrorKind::NotFound);
    let request =
        environments::EnvironmentRequest { app: "hello".parse().unwrap(), environment: "moon".parse().unwrap() };
    assert_eq!(refused(server.client().call::<environments::Get>(&request).await).code, ErrorKind::NotFound);
    let request = releases::GetRequest { app: "hello".parse().unwrap(), number: 7 };
    assert_eq!(refused(server.client().call::<releases::Get>(&request).await).code, ErrorKind::NotFound);
    let unknown = "dep_01hf7yat00000000000000002a".parse().unwrap();
    assert_eq!(refused(server.cancel(&unknown).await).code, ErrorKind::NotFound);
    for args in [
        &["logs", "--app", "nobody"][..],
        &["releases", "list", "--app", "nobody"],
        &["rollback", "--app", "hello", "v9"],
    ] {
        let output = server.cli(args);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{args:?}: {told}");
        assert!(told.contains("nobody") || told.contains('9'), "{told}");
    }
    assert_eq!(server.get("nobody", "/").await.unwrap().0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_refuses_what_it_does_not_understand_and_whom_it_does_not_know() {
    let server = Server::start().await;
    let local = operations::local::read(&server.data()).unwrap();
    let token = Some(local.token.expose_secret());
    for (body, told) in [
        (r#"{"name":"Not_A_Name"}"#, "Not_A_Name"),
        (r#"{"name":""}"#, "name"),
        (r#"{"name":"../../etc"}"#, "name"),
        (r#"{"name":"hello","colour":"red"}"#, "colour"),
        (r#"{"name":"hello","source":{"kind":"floppy"}}"#, "`source.kind`: unknown variant"),
        (r#"{"name":7}"#, "name"),
        (r#"{}"#, "name"),
        ("[]", ""),
        ("not json", ""),
        ("", ""),
    ] {
        let (status, problem) = raw(&server, "POST", "/api/v1/apps", token, body).await;
        assert_eq!((status, &problem["code"]), (400, &json!("invalid")), "{body}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(told), "{body}: {problem}");
    }
    let answer = announced(&server, local.token.expose_secret(), 20 << 20);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(raw(&server, "GET", "/api/v1/nothing", token, "").await.0, 404);
    assert_eq!(raw(&server, "GET", "/api/v1/apps?limit=0", token, "").await.0, 400);
    assert_eq!(raw(&server, "GET", "/api/v1/apps?limit=many", token, "").await.0, 400);
    assert_eq!(raw(&server, "GET", "/api/v1/apps?cursor=%00", token, "").await.0, 422);

    for token in [None, Some("wrong"), Some("plm_0000000000000000")] {
        for path in ["/api/v1/apps", "/api/v1/events/stream", "/api/v1/server", "/api/v1/nothing"] {
            let (status, problem) = raw(&server, "GET", path, token, "").await;
            assert_eq!((status, &problem["code"]), (401, &json!("unauthorized")), "{path} {token:?}");
        }
    }
    let wrong = server.command().env("PLIMSOLL_TOKEN", "wrong").args(["apps", "list"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(5), "{}", String::from_utf8_lossy(&wrong.stderr));
    assert_eq!(server.cli_json(&["apps", "list", "--json"])["items"], json!([]), "nothing was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_there_once() {
    let (server, repo, _) = with_app("hello").await;
    let request = operations::apps::CreateRequest { name: "hello".parse().unwrap(), source: Some(repo.source()) };
    let again = server.client().call::<operations::apps::Create>(&request).await;
    assert_eq!(refused(again).code, ErrorKind::Conflict);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_can_not_be_had_fails_in_the_phase_of_pulling_it() {
    let (server, repo, _) = with_app("hello").await;
    let empty = Repo::new();
    let git = |url: &str, reference: Option<&str>| Source::Git {
        url: url.to_owned(),
        reference: reference.map(str::to_owned),
    };
    let here = repo.path().display().to_string();
    for (source, told) in [
        (git(&here, Some("no-such-branch")), "no-such-branch"),
        (git(&here, Some("0123456789012345678901234567890123456789")), "0123456"),
        (git("https://127.0.0.1:1/hello.git", None), "127.0.0.1"),
        (git("/no/such/repository", None), "/no/such/repository"),
        (git(&empty.path().display().to_string(), None), ""),
        (Source::Directory { path: "/no/such/folder".into() }, "/no/such/folder"),
    ] {
        let request = DeployRequest {
            app: "hello".parse().unwrap(),
            environment: "production".parse().unwrap(),
            source: Some(source.clone()),
            reference: None,
            plan: None,
            tags: Vec::new(),
            metadata: Default::default(),
            priority: Default::default(),
            not_before: None,
            bypass_window: None,
        };
        let started = server.client().call::<Deploy>(&request).await.unwrap_or_else(|e| panic!("{source:?}: {e:?}"));
        let failed = server.end(&started.id).await;
        let failure = failed.failure.clone().unwrap();
        assert_eq!(
            (failed.phase, failure.phase, failure.cause),
            (Phase::Failed, Phase::PullingSource, Cause::Source),
            "{source:?}: {failure:#?}"
        );
        let said = format!("{} {}", failure.message, failure.output.join(" "));
        assert!(said.contains(told) && !failure.hint.is_empty(), "{source:?}: {failure:#?}");
        server.assert_nothing_left("hello", &failed.id).await;
    }
    // What begins with `-` or names a helper program is never given to git.
    let trace = repo.path().join("was-here");
    let touch = format!("touch {}", trace.display());
    for url in [&*format!("--upload-pack={touch}"), &*format!("ext::sh -c {touch}"), "file://x\ny"] {
        let request = DeployRequest {
            app: "hello".parse().unwrap(),
            environment: "production".parse().unwrap(),
            source: Some(git(url, None)),
            reference: None,
            plan: None,
            tags: Vec::new(),
            metadata: Default::default(),
            priority: Default::default(),
            not_before: None,
            bypass_window: None,
        };
        match server.client().call::<Deploy>(&request).await {
            Ok(started) => assert_eq!(server.end(&started.id).await.phase, Phase::Failed, "{url}"),
            Err(error) => {
                assert!(matches!(error.kind(), Some(ErrorKind::Invalid | ErrorKind::Unprocessable)), "{url}: {error:?}")
            }
        }
    }
    assert!(!trace.exists(), "a command in a URL was run");
    server.assert_serves("hello", "/", "v1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_plimsoll_toml_is_shown_with_line_and_column() {
    let (server, repo, _) = with_app("hello").await;
    repo.commit([("plimsoll.toml", "[components.web]\nstrat = \"python3 serve.py\"\n")], "a slip");
    let failed = server.deploy_to_end("hello").await;
    let failure = failed.failure.clone().unwrap();
    assert_eq!((failed.phase, failure.cause), (Phase::Failed, Cause::Configuration), "{failure:#?}");
    let told = format!("{} {}", failure.message, failure.hint);
    for part in ["plimsoll.toml", "line 2", "column 1", "strat", "start"] {
        assert!(told.contains(part), "`{part}` is not in {told}");
    }
    server.assert_nothing_left("hello", &failed.id).await;
    server.assert_serves("hello", "/", "v1").await;

    let problem =
        refused(server.client().call::<sources::Detect>(&sources::DetectRequest { source: repo.source() }).await);
    let place = problem.location.clone().unwrap();
    assert_eq!(
        (problem.code, place.file.as_str(), place.line, place.column),
        (ErrorKind::Unprocessable, "plimsoll.toml", 2, 1),
        "{problem:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_deployable_is_said_so() {
    let server = Server::start().await;
    let repo = Repo::new();
    repo.commit([("README.md", "words alone\n")], "begin");
    server.create_app("words", repo.source()).await;
    let failed = server.deploy_to_end("words").await;
    assert_eq!(failed.failure.map(|f| f.cause), Some(Cause::Configuration));
    server.assert_nothing_left("words", &failed.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_folder_or_port_is_refused() {
    let (server, _repo, _) = with_app("hello").await;
    let (api, ingress) = (free_address().to_string(), free_address().to_string());
    let second = server.command().args(["server", "--listen", &api, "--ingress-listen", &ingress]).output().unwrap();
    let told = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(4), "{told}");
    assert!(told.contains("another server"), "{told}");
    let second = server.server_command().output().unwrap();
    let told = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(4), "{told}");
    assert!(told.contains("in use"), "{told}");
    // The first one is as well as ever.
    server.assert_serves("hello", "/", "v1").await;
    assert!(server.cli(&["status"]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_apps_can_not_have_one_route() {
    let (server, repo, _) = with_app("hello").await;
    let other = Repo::new();
    let mut files = App::new("thief").files();
    let config = files.iter_mut().find(|(path, _)| *path == "plimsoll.toml").unwrap();
    config.1 = config.1.replacen(
        "[components.web]\n",
        "[components.web]\nroutes = [{ host = \"hello.localhost\", path = \"/\" }]\n",
        1,
    );
    other.commit(files, "thief");
    server.create_app("thief", other.source()).await;
    let failed = server.deploy_to_end("thief").await;
    let failure = failed.failure.clone().unwrap();
    assert_eq!((failed.phase, failure.cause), (Phase::Failed, Cause::RouteConflict), "{failure:#?}");
    assert!(failure.message.contains("hello"), "{failure:#?}");
    server.assert_nothing_left("thief", &failed.id).await;
    server.assert_serves("hello", "/", "v1").await;
    drop(repo);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_is_not_called_like_a_page() {
    let server = Server::start().await;
    let repo = Repo::new();
    repo.commit([("index.html", "<h1>hello</h1>")], "begin");
    server.create_app("shop", repo.source()).await;
    for name in ["members", "releases"] {
        let refused = server.cli(&["--json", "envs", "create", "--app", "shop", name]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(9), "{said}");
        assert!(said.contains("`environment`") && said.contains(name) && said.contains("hint"), "{said}");
    }
    assert!(server.cli(&["envs", "create", "--app", "shop", "releases-1"]).status.success());
}
