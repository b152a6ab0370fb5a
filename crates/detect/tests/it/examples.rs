use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use detect::detect;

use crate::support::{found, shown, tools, tree};

#[test]
fn the_examples_are_understood() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut report = String::new();
    for name in ["static-site", "python-procfile", "node-build", "two-components"] {
        writeln!(report, "## {name}\n{}", shown(&detect(&examples.join(name), &tools()).unwrap())).unwrap();
    }
    insta::assert_snapshot!(report);
}

/// The commands are run by the real shell with the real Python, and the result is moved, like a release is.
#[test]
fn a_python_environment_can_be_moved() {
    let detected = found(&[("main.py", ""), (".python-version", "")]).unwrap();
    let dir = tree(&[("build/main.py", "")]);
    for command in &detected.app.builds[0].commands {
        let output = Command::new("sh").args(["-c", command]).current_dir(dir.path().join("build")).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
    std::fs::rename(dir.path().join("build"), dir.path().join("release")).unwrap();
    let pip = Command::new(dir.path().join("release/.venv/bin/pip")).arg("--version").output().unwrap();
    let said = String::from_utf8_lossy(&pip.stdout);
    assert!(
        pip.status.success() && said.contains("/release/.venv/"),
        "{said} {}",
        String::from_utf8_lossy(&pip.stderr)
    );
}
