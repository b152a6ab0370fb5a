use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use forge::DirectoryError;
use forge::directory::{check_size, copy};
use tokio_util::sync::CancellationToken;

fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("app")).unwrap();
    for (name, content) in files {
        let path = dir.path().join("app").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    dir
}

fn names(root: &Path) -> BTreeSet<String> {
    let walk = ignore::WalkBuilder::new(root).standard_filters(false).build();
    walk.map(|e| e.unwrap())
        .filter(|e| !e.file_type().unwrap().is_dir())
        .map(|e| e.path().strip_prefix(root).unwrap().display().to_string())
        .collect()
}

fn only_these(dir: &tempfile::TempDir, expected: &[&str]) {
    let there: BTreeSet<String> =
        fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(there, expected.iter().map(|s| (*s).to_owned()).collect());
}

#[test]
fn ignored_files_stay_behind_and_hidden_ones_come() {
    let dir = tree(&[
        (".gitignore", "node_modules/\n*.log\n!keep.log\n"),
        (".plimsollignore", "secret.txt\n/docs\n"),
        (".env.example", "A=1"),
        (".git/HEAD", "ref"),
        ("sub/.git/HEAD", "ref"),
        ("sub/.gitignore", "local\n"),
        ("sub/local", "x"),
        ("sub/docs/a", "x"),
        ("docs/a", "x"),
        ("node_modules/a/index.js", "x"),
        ("a.log", "x"),
        ("keep.log", "x"),
        ("secret.txt", "x"),
        ("index.html", "hello"),
    ]);
    let (app, out) = (dir.path().join("app"), dir.path().join("out"));
    fs::set_permissions(app.join("index.html"), fs::Permissions::from_mode(0o4755)).unwrap();
    let copied = copy(&app, &out, &CancellationToken::new()).unwrap();
    let expected =
        [".env.example", ".gitignore", ".plimsollignore", "index.html", "keep.log", "sub/.gitignore", "sub/docs/a"];
    assert_eq!(names(&out), expected.iter().map(|s| (*s).to_owned()).collect());
    assert_eq!(copied.files, expected.len() as u64);
    assert_eq!(copied.bytes, expected.iter().map(|n| fs::metadata(app.join(n)).unwrap().len()).sum::<u64>());
    assert_eq!(fs::metadata(out.join("index.html")).unwrap().permissions().mode() & 0o7777, 0o755);
    only_these(&dir, &["app", "out"]);
}

#[test]
fn links_stay_links_and_inside() {
    let dir = tree(&[("a/file", "x")]);
    let (app, out) = (dir.path().join("app"), dir.path().join("out"));
    symlink("a/file", app.join("inside")).unwrap();
    symlink("a", app.join("folder")).unwrap();
    assert_eq!(copy(&app, &out, &CancellationToken::new()).unwrap().files, 3);
    assert_eq!(fs::read_link(out.join("folder")).unwrap(), Path::new("a"));

    symlink("folder/../../etc", app.join("outside")).unwrap();
    let error = copy(&app, &dir.path().join("two"), &CancellationToken::new()).unwrap_err();
    assert!(matches!(&error, DirectoryError::LinkOutside { file, .. } if file.ends_with("outside")), "{error}");
    only_these(&dir, &["app", "out"]);
    fs::write(app.join(".plimsollignore"), "outside").unwrap();
    copy(&app, &dir.path().join("two"), &CancellationToken::new()).unwrap();
}

#[test]
fn pipes_and_sockets_are_left_out_with_a_note() {
    let dir = tree(&[("file", "x")]);
    let (app, out) = (dir.path().join("app"), dir.path().join("out"));
    nix::unistd::mkfifo(&app.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(app.join("socket")).unwrap();
    let copied = copy(&app, &out, &CancellationToken::new()).unwrap();
    assert_eq!(names(&out).len(), 1);
    let mut notes = copied.notes;
    notes.sort();
    assert_eq!(notes, ["pipe was left out: it is a named pipe", "socket was left out: it is a socket"]);
}

#[test]
fn what_can_not_be_copied() {
    let dir = tree(&[("file", "x")]);
    let (app, out, none) = (dir.path().join("app"), dir.path().join("out"), CancellationToken::new());
    assert!(matches!(copy(&dir.path().join("nope"), &out, &none), Err(DirectoryError::NotFound(_))));
    assert!(matches!(copy(&app.join("file"), &out, &none), Err(DirectoryError::NotADirectory(_))));
    assert!(matches!(copy(&app, &app.join("copy"), &none), Err(DirectoryError::IntoItself { .. })));
    assert!(matches!(copy(dir.path(), &app.join("copy"), &none), Err(DirectoryError::IntoItself { .. })));
    fs::create_dir(&out).unwrap();
    assert!(matches!(copy(&app, &out, &none), Err(DirectoryError::Io { .. })));
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    assert_eq!(copy(&app, &dir.path().join("two"), &cancelled), Err(DirectoryError::Cancelled));
    only_these(&dir, &["app", "out"]);
    assert_eq!(names(&app).len(), 1);
}

#[test]
fn a_folder_is_counted_only_so_long() {
    let dir = tree(&[("a", "x"), ("b/c", "x")]);
    let app = dir.path().join("app");
    assert_eq!(check_size(&app, Duration::from_secs(60)), Ok(()));
    let error = check_size(&app, Duration::ZERO).unwrap_err();
    assert!(matches!(&error, DirectoryError::TooLong { path, .. } if *path == app), "{error}");
    // All of this machine, with what the kernel only pretends to have: thousands of folders, each of them slow.
    let (began, within) = (Instant::now(), Duration::from_millis(50));
    let error = check_size(Path::new("/"), within).unwrap_err();
    assert!(error.to_string().contains("name a smaller folder"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
