//! Archives: sent in pieces, deployed, refused.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use domain::event::EventKind;
use domain::failure::Cause;
use domain::phase::Phase;
use domain::source::Source;
use operations::ErrorKind;
use operations::deployments::{Deploy, DeployRequest};
use operations::events;
use operations::uploads::{Create, CreateRequest, Delete, Upload, UploadRequest};
use plimsoll_tests::archive::{checksum, gz, tar, write_tree, zip, zst};
use plimsoll_tests::flow::{active, refused};
use plimsoll_tests::{App, Repo, Server, wait_for};
use serde_json::Value;

/// A folder with an app, and a program that is executable.
fn folder(version: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write_tree(dir.path(), App::new(version).files());
    write_tree(dir.path(), [("bin/run.sh", "#!/bin/sh\n")]);
    dir
}

/// A tar of an app with `size` bytes beside it that can't be packed any tighter.
fn large(version: &str, size: usize) -> Vec<u8> {
    let dir = folder(version);
    let mut noise = vec![0; size];
    blake3::Hasher::new().update(version.as_bytes()).finalize_xof().fill(&mut noise);
    fs::write(dir.path().join("noise"), noise).unwrap();
    tar(dir.path())
}

async fn gone(server: &Server) {
    wait_for("the uploads to be gone", Duration::from_secs(20), async || {
        (server.uploads().await.is_empty() && server.upload_files().is_empty()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_format_deploys_and_the_same_tree_is_the_same_release() {
    let server = Server::start().await;
    let dir = folder("v1");
    let plain = tar(dir.path());
    let top = tempfile::tempdir().unwrap();
    fs::create_dir(top.path().join("hello-1.0")).unwrap();
    write_tree(&top.path().join("hello-1.0"), App::new("v1").files());
    write_tree(&top.path().join("hello-1.0"), [("bin/run.sh", "#!/bin/sh\n")]);
    let files = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        // Its name says nothing.
        ("app.zip", plain.clone()),
        ("app.tar.gz", gz(&plain)),
        ("app.tar.zst", zst(&plain)),
        ("app.bin", zip(dir.path())),
        ("top.tgz", gz(&tar(top.path()))),
    ] {
        let path = files.path().join(name);
        fs::write(&path, &bytes).unwrap();
        let deployment = server.cli_json(&["deploy", "hello", "--json", "--archive", path.to_str().unwrap()]);
        assert_eq!(deployment["phase"], "active", "{name}: {deployment:#}");
        assert_eq!(deployment["release_number"], 1, "{name}");
        let upload = deployment["source"]["upload"].as_str().unwrap();
        assert!(upload.starts_with("upl_") && deployment["metadata"]["upload"] == upload, "{name}: {deployment:#}");
        let recorded = server.cli_json(&["audit", "list", "--target", upload, "--json"]);
        let recorded = recorded["items"].as_array().unwrap().iter().map(|record| record["operation"].as_str().unwrap());
        assert_eq!(recorded.collect::<Vec<_>>(), ["uploads.send", "uploads.create"], "{name}");
        server.assert_serves("hello", "/", "v1").await;
        gone(&server).await;
    }
    // As a folder it is the same, too.
    let request = DeployRequest {
        app: "hello".parse().unwrap(),
        environment: "production".parse().unwrap(),
        source: Some(Source::Directory { path: dir.path().to_owned() }),
        reference: None,
        plan: None,
        tags: Vec::new(),
        metadata: Default::default(),
        priority: Default::default(),
        not_before: None,
        bypass_window: None,
    };
    let started = server.client().call::<Deploy>(&request).await.unwrap();
    assert_eq!(active(server.end(&started.id).await).release_number, Some(1));

    // Through a pipe.
    let second = folder("v2");
    let mut cli = server.command();
    cli.args(["deploy", "hello", "--archive", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut cli = cli.spawn().unwrap();
    cli.stdin.take().unwrap().write_all(&zst(&tar(second.path()))).unwrap();
    let output = cli.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    server.assert_serves("hello", "/", "v2").await;
    gone(&server).await;

    // The release is what counts: it can be gone back to when the archive is long gone.
    let back = server.rollback("hello", None).await.unwrap();
    active(server.end(&back.id).await);
    server.assert_serves("hello", "/", "v1").await;
    let releases = server.data().join("releases");
    let modes = plimsoll_tests::server::files_below(&releases);
    let run = modes.iter().find(|path| path.ends_with("bin/run.sh")).unwrap();
    // Executable and not to be written; who may read it is the release's affair.
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(run).unwrap().permissions());
    assert_eq!(mode & 0o322, 0o100, "{mode:o}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_upload_is_gone_on_with() {
    let mut server = Server::start().await;
    let bytes = large("v1", 40 << 20);
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), &bytes).unwrap();
    let path = file.path().to_str().unwrap();

    // The CLI is killed in the middle.
    let mut cli = server.command();
    cli.args(["deploy", "hello", "--archive", path]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut cli = cli.spawn().unwrap();
    let begun = wait_for("the upload to begin", Duration::from_secs(60), async || {
        server.uploads().await.into_iter().find(|upload| upload.received > 0)
    })
    .await;
    cli.kill().unwrap();
    cli.wait().unwrap();
    let seen = settled(&server, &begun).await;
    assert!(seen.received >= begun.received && !seen.complete && seen.received < seen.size, "{seen:?}");

    // The server is killed while more comes in.
    let at = seen.received as usize;
    let pieces: Vec<Vec<u8>> = bytes[at..].chunks(16 << 10).map(<[u8]>::to_vec).collect();
    let slow = futures::stream::unfold(pieces.into_iter(), |mut pieces| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        pieces.next().map(|piece| (Ok::<_, std::io::Error>(piece), pieces))
    });
    let sending = tokio::spawn(server.put(&begun.id, seen.received).body(reqwest::Body::wrap_stream(slow)).send());
    let more = wait_for("more to come in", Duration::from_secs(60), async || {
        let now = server.upload_state(&begun.id).await.unwrap();
        (now.received > seen.received).then_some(now)
    })
    .await;
    // Another one may not write meanwhile.
    let other = refused(server.client().send(&begun.id, more.received, 1, vec![0]).await);
    assert_eq!(other.code, ErrorKind::Conflict, "{other:?}");
    server.kill9();
    assert!(sending.await.unwrap().is_err(), "it was over before the server was killed");
    server.restart().await;
    let kept = server.upload_state(&begun.id).await.unwrap();
    assert!(kept.received >= more.received && kept.received < kept.size, "{kept:?}");

    // The same command again goes on by itself.
    let output = server.cli(&["deploy", "hello", "--archive", path]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    assert!(told.contains("from an earlier try"), "{told}");
    server.assert_serves("hello", "/", "v1").await;
    let all = events::ListRequest { app: None, environment: None, deployment: None, after: Some(0), limit: 500 };
    let all = server.client().call::<events::List>(&all).await.unwrap().items;
    let completed: Vec<_> = all
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::UploadCompleted { upload, size, .. } => Some((upload.clone(), *size)),
            _ => None,
        })
        .collect();
    assert_eq!(completed, [(begun.id, bytes.len() as u64)]);
    gone(&server).await;

    // A start finds what a crash has left: a file without a row, a complete row without its file.
    let upload = server.upload(&gz(&tar(folder("v3").path()))).await;
    server.kill9();
    fs::remove_file(server.data().join("uploads").join(upload.as_str())).unwrap();
    fs::write(server.data().join("uploads/upl_01jd0000000000000000000000"), "stray").unwrap();
    server.restart().await;
    gone(&server).await;
}

/// What has arrived of an upload once nobody sends any more.
async fn settled(server: &Server, upload: &Upload) -> Upload {
    let state = server.upload_state(&upload.id).await.unwrap();
    wait_for("the last bytes to be written", Duration::from_secs(20), async || {
        // No bytes are a request like any other: it is let in when no other writes.
        let now = server.upload_state(&upload.id).await.unwrap();
        let sent = server.client().send(&upload.id, now.received, 0, Vec::new()).await;
        sent.ok().filter(|sent| sent.received >= state.received)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_do_harm_is_refused_and_the_version_before_serves_on() {
    let server = with_app(&["--max-unpacked", "8MiB", "--max-unpacked-files", "200"]).await;
    let header = |kind: tar::EntryType, name: &str, link: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_cksum();
        let mut entry = header.as_bytes().to_vec();
        entry.extend_from_slice(content);
        entry.resize(entry.len().next_multiple_of(512), 0);
        entry
    };
    let file = tar::EntryType::Regular;
    let ended = |entries: Vec<Vec<u8>>| [entries.concat(), vec![0; 1024]].concat();
    let good = || header(file, "index.html", "", b"hello");
    let outside = server.data().join("victim");
    for (what, bytes, told) in [
        ("a bomb", gz(&ended(vec![header(file, "zeros", "", &vec![0; 20 << 20])])), "larger than 8MiB"),
        (
            "many files",
            zst(&ended((0..300).map(|n| header(file, &format!("f{n}"), "", b"")).collect())),
            "more than 200",
        ),
        ("a path out", ended(vec![good(), header(file, "../../../victim", "", b"x")]), "leads out"),
        ("an absolute path", ended(vec![good(), header(file, outside.to_str().unwrap(), "", b"x")]), "absolute"),
        ("a link out", ended(vec![good(), header(tar::EntryType::Symlink, "l", "../../../..", b"")]), "outside"),
        (
            "a file through a link",
            ended(vec![header(tar::EntryType::Symlink, "d", "../../..", b""), header(file, "d/victim", "", b"x")]),
            "outside",
        ),
        ("a device", ended(vec![good(), header(tar::EntryType::Char, "null", "", b"")]), "device"),
        ("half an archive", ended(vec![good(), header(file, "b", "", &[1; 9000])])[..5000].to_vec(), "in the middle"),
    ] {
        let upload = server.upload(&bytes).await;
        let started = server.deploy_upload("hello", &upload).await.unwrap();
        let failed = server.end(&started.id).await;
        let failure = failed.failure.clone().unwrap();
        assert_eq!(
            (failed.phase, failure.phase, failure.cause),
            (Phase::Failed, Phase::PullingSource, Cause::Source),
            "{what}: {failure:#?}"
        );
        assert!(failure.message.contains(told) && !failure.hint.is_empty(), "{what}: {failure:#?}");
        server.assert_nothing_left("hello", &failed.id).await;
        gone(&server).await;
        assert!(!outside.exists(), "{what}");
        server.assert_serves("hello", "/", "v1").await;
    }
    // The CLI tells it, too; what is no archive at all it does not even send.
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("bomb.tgz"), gz(&ended(vec![header(file, "zeros", "", &vec![0; 20 << 20])]))).unwrap();
    fs::write(path("words.tar"), "words alone").unwrap();
    fs::create_dir(path("folder")).unwrap();
    for (name, code, told) in [
        ("bomb.tgz", 6, "larger than 8MiB"),
        ("words.tar", 9, "not a tar"),
        ("folder", 9, "is a folder"),
        ("nothing.tar", 9, "nothing.tar"),
    ] {
        let output = server.cli(&["deploy", "hello", "--archive", &path(name)]);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{name}: {said}");
        assert!(said.contains(told), "{name}: {said}");
    }
    gone(&server).await;
    server.assert_serves("hello", "/", "v1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_of_uploads_is_strict() {
    let server = with_app(&["--max-upload", "4MiB"]).await;
    let client = server.client();
    let bytes = large("v2", 3 << 20);
    let length = bytes.len() as u64;

    // An upload that is announced twice with one key is one.
    let request = CreateRequest { name: "app.tar".into(), size: length, digest: checksum(&bytes) };
    let upload = client.call_with_key::<Create>(&request, Some("one")).await.unwrap();
    assert_eq!(client.call_with_key::<Create>(&request, Some("one")).await.unwrap().id, upload.id);
    for (request, status) in [
        (CreateRequest { size: 5 << 20, ..request.clone() }, 413),
        (CreateRequest { size: u64::MAX, ..request.clone() }, 413),
        (CreateRequest { size: 0, ..request.clone() }, 400),
        (CreateRequest { name: String::new(), ..request.clone() }, 400),
        (CreateRequest { name: "a\u{1b}[2J".into(), ..request.clone() }, 400),
        (CreateRequest { name: "x".repeat(256), ..request.clone() }, 400),
    ] {
        assert_eq!(refused(client.call::<Create>(&request).await).status, status, "{request:?}");
    }

    // Not complete: it can't be deployed, and looked at neither.
    assert_eq!(refused(server.deploy_upload("hello", &upload.id).await).code, ErrorKind::Conflict);
    let detect = operations::sources::DetectRequest { source: Source::Archive { upload: upload.id.clone() } };
    assert_eq!(refused(client.call::<operations::sources::Detect>(&detect).await).code, ErrorKind::Conflict);

    // Pieces: each in its place, none too long.
    let piece = |from: usize, to: usize| bytes[from..to].to_vec();
    assert_eq!(refused(client.send(&upload.id, 10, 5, piece(10, 15)).await).status, 409);
    assert_eq!(client.send(&upload.id, 0, 10, piece(0, 10)).await.unwrap().received, 10);
    let problem = refused(client.send(&upload.id, 0, 10, piece(0, 10)).await);
    assert!(problem.status == 409 && problem.hint.unwrap().contains("offset 10"));
    let long = [piece(10, bytes.len()), vec![0]].concat();
    assert_eq!(refused(client.send(&upload.id, 10, long.len() as u64, long.clone()).await).status, 413);
    // Without a length it is counted as it comes, and nothing of it is kept.
    let stream =
        futures::stream::iter(long.chunks(1000).map(|c| Ok::<_, std::io::Error>(c.to_vec())).collect::<Vec<_>>());
    let answer = server.put(&upload.id, 10).body(reqwest::Body::wrap_stream(stream)).send().await;
    if let Ok(answer) = answer {
        assert_eq!(answer.status().as_u16(), 413);
    }
    assert_eq!(server.upload_state(&upload.id).await.unwrap().received, 10);
    let answer = server.put(&upload.id, 10).header("content-type", "application/json").body("{}").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 415);
    let nobody = server.put(&upload.id, 10).header("authorization", "Bearer x").body("x").send().await.unwrap();
    assert!(matches!(nobody.status().as_u16(), 400 | 401));
    let problem: Value = nobody.json().await.unwrap();
    assert_eq!(problem["code"], "unauthorized");

    // Bytes that are not those that were announced are found out, and it begins anew.
    let mut wrong = piece(10, bytes.len());
    wrong[5000] ^= 1;
    let problem = refused(client.send(&upload.id, 10, wrong.len() as u64, wrong).await);
    assert_eq!((problem.code, problem.status), (ErrorKind::Unprocessable, 422), "{problem:?}");
    assert_eq!(server.upload_state(&upload.id).await.unwrap().received, 0);
    assert_eq!(client.send(&upload.id, 0, 1 << 20, piece(0, 1 << 20)).await.unwrap().received, 1 << 20);
    // More than other requests may have, at once.
    let rest = piece(1 << 20, bytes.len());
    let sent = client.send(&upload.id, 1 << 20, rest.len() as u64, rest).await.unwrap();
    assert!(sent.complete && sent.received == length, "{sent:?}");
    assert!(client.send(&upload.id, length, 0, Vec::new()).await.unwrap().complete, "an answer that was lost");
    assert_eq!(refused(client.send(&upload.id, length, 1, vec![0]).await).code, ErrorKind::Conflict);

    // An archive belongs to a deployment, and has no branches.
    let source = Source::Archive { upload: upload.id.clone() };
    let own = operations::apps::SetSourceRequest { app: "hello".parse().unwrap(), source: source.clone() };
    assert_eq!(refused(client.call::<operations::apps::SetSource>(&own).await).status, 422);
    let request = DeployRequest {
        app: "hello".parse().unwrap(),
        environment: "production".parse().unwrap(),
        source: Some(source),
        reference: Some("main".into()),
        plan: None,
        tags: Vec::new(),
        metadata: Default::default(),
        priority: Default::default(),
        not_before: None,
        bypass_window: None,
    };
    assert_eq!(refused(client.call::<Deploy>(&request).await).status, 422);
    let found = client.call::<operations::sources::Detect>(&detect).await.unwrap();
    assert_eq!(found.spec.components.len(), 1);

    // Deployed twice at once it stays for both; nobody may take it away meanwhile.
    let first = server.deploy_upload("hello", &upload.id).await.unwrap();
    let second = server.deploy_upload("hello", &upload.id).await.unwrap();
    let state = server.upload_state(&upload.id).await.unwrap();
    assert!(state.in_use.contains(&second.id), "{state:?}");
    let delete = UploadRequest { upload: upload.id.clone() };
    assert_eq!(refused(client.call::<Delete>(&delete).await).code, ErrorKind::Conflict);
    for deployment in [first, second] {
        assert!(matches!(server.end(&deployment.id).await.phase, Phase::Active | Phase::Failed));
    }
    server.assert_serves("hello", "/", "v2").await;
    gone(&server).await;
    assert_eq!(refused(server.deploy_upload("hello", &upload.id).await).code, ErrorKind::NotFound);
    assert_eq!(refused(client.send(&upload.id, 0, 1, vec![0]).await).code, ErrorKind::NotFound);

    // What is no archive is refused before there is a deployment; it can be removed.
    let words = server.upload(b"words alone").await;
    assert_eq!(refused(server.deploy_upload("hello", &words).await).code, ErrorKind::Unprocessable);
    let removed = server.cli_json(&["uploads", "remove", words.as_str(), "--yes", "--json"]);
    assert_eq!(removed["id"], words.as_str());
    assert_eq!(server.cli(&["uploads", "remove", words.as_str(), "--yes"]).status.code(), Some(3));
    gone(&server).await;

    // Eight of the largest and no more.
    for n in 0..8u8 {
        server.announce(&vec![n; 4 << 20]).await.unwrap();
    }
    assert_eq!(refused(server.announce(b"one too many").await).code, ErrorKind::Conflict);
}

/// A server on which version `v1` of an app serves, from a repository that is gone.
async fn with_app(args: &[&str]) -> Server {
    let server = Server::start_with(args, &[]).await;
    let repo = Repo::new();
    repo.commit(App::new("v1").files(), "v1");
    server.create_app("hello", repo.source()).await;
    server.deploy_well("hello").await;
    server
}
