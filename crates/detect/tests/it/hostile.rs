use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use detect::{DetectError, detect};
use proptest::prelude::*;

use crate::support::{found, tools, tree};

#[test]
fn huge_and_odd_files_are_errors() {
    for name in ["package.json", "plimsoll.toml", "Procfile", "pyproject.toml", "Cargo.toml"] {
        let dir = tree(&[]);
        // Sparse: a gigabyte that takes no room.
        fs::File::create(dir.path().join(name)).unwrap().set_len(1 << 30).unwrap();
        let started = Instant::now();
        let error = detect(dir.path(), &tools()).unwrap_err();
        assert!(matches!(&error, DetectError::File { file, .. } if file == name), "{error}");
        assert!(started.elapsed() < Duration::from_secs(5));

        fs::write(dir.path().join(name), b"\xff\xfe").unwrap();
        let error = detect(dir.path(), &tools()).unwrap_err();
        assert!(error.to_string().contains("UTF-8"), "{error}");
    }
    let deep = format!("{{\"a\":{}", "[".repeat(100_000));
    assert!(matches!(found(&[("package.json", &deep)]), Err(DetectError::File { .. })));
    let deep = format!("a = {}", "[".repeat(100_000));
    assert!(matches!(found(&[("Cargo.toml", &deep)]), Err(DetectError::File { .. })));
}

#[test]
fn large_scripts_do_not_get_read() {
    let dir = tree(&[("package.json", r#"{"scripts":{"start":"x"}}"#)]);
    fs::File::create(dir.path().join("bundle.js")).unwrap().set_len(4 << 30).unwrap();
    let started = Instant::now();
    detect(dir.path(), &tools()).unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_pipe_in_place_of_a_file_is_no_file() {
    let dir = tree(&[("index.html", "")]);
    for name in ["package.json", "plimsoll.toml", "Procfile"] {
        nix::unistd::mkfifo(&dir.path().join(name), nix::sys::stat::Mode::S_IRWXU).unwrap();
    }
    assert_eq!(detect(dir.path(), &tools()).unwrap().app.stacks(), "static");
}

#[test]
fn nothing_outside_is_read() {
    let outside = tree(&[("secret/package.json", r#"{"scripts":{"start":"secret"}}"#), ("Procfile", "web: secret")]);
    let dir = tree(&[("index.html", "")]);
    symlink(outside.path().join("Procfile"), dir.path().join("Procfile")).unwrap();
    symlink(outside.path().join("Procfile"), dir.path().join("plimsoll.toml")).unwrap();
    symlink(outside.path().join("secret"), dir.path().join("app")).unwrap();
    assert_eq!(detect(dir.path(), &tools()).unwrap().app.stacks(), "static");

    let dir = tree(&[("plimsoll.toml", "[components.web]\nroot = 'app'\nstart = 'x'")]);
    symlink(outside.path().join("secret"), dir.path().join("app")).unwrap();
    let error = detect(dir.path(), &tools()).unwrap_err();
    assert!(error.to_string().contains("there is no folder `app`"), "{error}");

    let dir = tree(&[]);
    symlink(outside.path().join("secret/package.json"), dir.path().join("package.json")).unwrap();
    assert!(!format!("{:?}", detect(dir.path(), &tools())).contains("secret"));
}

#[test]
fn a_source_that_is_no_folder() {
    let dir = tree(&[("file", "")]);
    for name in ["file", "nope"] {
        assert!(matches!(detect(&dir.path().join(name), &tools()), Err(DetectError::Unrecognised { .. })));
    }
}

#[test]
fn detection_changes_nothing() {
    let dir = tree(&[("package.json", r#"{"scripts":{"start":"x"}}"#), ("a/b.ts", ""), ("requirements.txt", "")]);
    let list = || {
        let walk = ignore::WalkBuilder::new(dir.path()).standard_filters(false).build();
        walk.map(|e| e.unwrap())
            .map(|e| (e.path().to_owned(), e.metadata().unwrap().modified().unwrap()))
            .collect::<Vec<_>>()
    };
    let before = list();
    detect(dir.path(), &tools()).unwrap();
    assert_eq!(before, list());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn never_panics(
        files in proptest::collection::btree_map(
            prop_oneof![
                Just("package.json"), Just("plimsoll.toml"), Just("Procfile"), Just("requirements.txt"), Just("pyproject.toml"),
                Just("Cargo.toml"), Just("go.mod"), Just("main.go"), Just("index.html"), Just(".nvmrc"), Just("Staticfile"),
                Just("runtime.txt"), Just("app.py"), Just("angular.json"), Just("vite.config.ts"),
            ],
            prop_oneof![
                any::<String>(),
                Just(r#"{"scripts":{"build":"vite build","start":7},"engines":{"node":"é"},"dependencies":[]}"#.to_owned()),
                Just("[package]\nname = 1\n[workspace]\nmembers=['*/*','é/*']\n".to_owned()),
                Just("[components.web]\nroot='.'\n".to_owned()),
                Just("web: é\nrelease: x\n".to_owned()),
                Just("output: 'é\nroot: é\n".to_owned()),
            ],
            0..5,
        )
    ) {
        let files: Vec<(&str, &str)> = files.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let _ = found(&files);
    }
}
