//! Values of variables reach the app, and nothing else.

use std::io::Write;
use std::process::Stdio;

use plimsoll_tests::server::files_below;
use plimsoll_tests::{App, Repo, Server, processes};

const SECRET: &str = "hunter2-the-parrot-talks-0815";

#[tokio::test(flavor = "multi_thread")]
async fn values_are_in_no_file_no_output_no_event_and_no_argument() {
    let mut server = Server::start().await;
    let repo = Repo::new();
    let app = App::new("v1").build("echo building with $PARROT").release("echo releasing with $PARROT >&2");
    repo.commit(app.files(), "v1");
    server.create_app("hello", repo.source()).await;
    let mut set = server
        .command()
        .args(["env", "set", "PARROT", "--app", "hello"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    set.stdin.take().unwrap().write_all(format!("{SECRET}\n").as_bytes()).unwrap();
    let set = set.wait_with_output().unwrap();
    assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));

    let first = server.deploy_well("hello").await;
    server.assert_serves("hello", "/env/PARROT", SECRET).await;
    // A failure shows output, too.
    repo.commit(App::new("v2").release("echo parrot says $PARROT; exit 1").files(), "v2");
    let failed = server.deploy_to_end("hello").await;
    let failure = failed.failure.clone().unwrap();
    assert!(failure.output.iter().any(|line| line.contains("parrot says")), "{failure:#?}");
    // A restart writes and reads everything once more.
    server.kill9();
    server.restart().await;
    server.assert_serves("hello", "/env/PARROT", SECRET).await;

    let mut told = vec![("the failed deployment".to_owned(), format!("{failed:?}"))];
    for args in [
        &["env", "list", "--app", "hello", "--json"][..],
        &["status", "--json"],
        &["releases", "list", "--app", "hello", "--json"],
        &["apps", "show", "hello", "--json"],
        &["events", "--json"],
        &["deployments", "output", first.id.as_str()],
        &["deployments", "output", failed.id.as_str()],
        &["logs", "--app", "hello"],
    ] {
        let output = server.cli(args);
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(output.status.success(), "{args:?}: {text}");
        told.push((format!("{args:?}"), text));
    }
    assert!(told.iter().any(|(_, text)| text.contains("building with")), "the output is there: {told:#?}");
    assert!(told.iter().any(|(_, text)| text.contains("PARROT")), "the name is there");
    told.push(("the server's log".to_owned(), server.log()));
    let data = server.data();
    for path in files_below(&data) {
        let content = std::fs::read(&path).unwrap_or_default();
        told.push((path.display().to_string(), String::from_utf8_lossy(&content).into_owned()));
    }
    assert!(told.len() > 20, "the data folder has files");
    for process in processes::marked(&data.display().to_string()) {
        told.push((format!("arguments of {}", process.pid), process.command.clone()));
    }
    let leaks: Vec<&String> = told.iter().filter(|(_, text)| text.contains(SECRET)).map(|(place, _)| place).collect();
    assert!(leaks.is_empty(), "the value is in {leaks:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_folder_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start().await;
    let mode = |path: &str| std::fs::metadata(server.data().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    for file in ["master.key", "local.json"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    // The token of the first start is shown once, and kept nowhere.
    let log = server.log();
    let token = log
        .lines()
        .skip_while(|line| !line.contains("API token"))
        .nth(1)
        .unwrap_or_else(|| panic!("no token in {log}"))
        .trim()
        .to_owned();
    assert!(token.len() >= 20, "{token}");
    let used = server
        .command()
        .args(["apps", "list"])
        .env("PLIMSOLL_SERVER", format!("http://{}", server.api()))
        .env("PLIMSOLL_TOKEN", &token)
        .output()
        .unwrap();
    assert!(used.status.success(), "{}", String::from_utf8_lossy(&used.stderr));
    for path in files_below(&server.data()) {
        let content = std::fs::read(&path).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&content).contains(&token), "the token is in {}", path.display());
    }
}
