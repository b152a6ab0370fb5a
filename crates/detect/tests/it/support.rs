//! Trees to look at, and a short way to write down what was found.

use std::fmt::Write as _;
use std::fs;

use detect::{DetectError, Detected, Toolchain, detect};
use domain::health::{HealthCheck, Probe};
use domain::spec::Serve;

pub(crate) fn tools() -> Toolchain {
    Toolchain {
        node: Some("20.20.2".into()),
        npm: true,
        yarn: false,
        pnpm: false,
        corepack: true,
        python3: Some(11),
        python_minors: [11, 12].into(),
        cargo: true,
        go: true,
    }
}

pub(crate) fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    dir
}

pub(crate) fn found(files: &[(&str, &str)]) -> Result<Detected, DetectError> {
    detect(tree(files).path(), &tools())
}

/// One case for a snapshot: its title and what was found.
pub(crate) fn case(report: &mut String, title: &str, files: &[(&str, &str)]) {
    writeln!(report, "## {title}").unwrap();
    match found(files) {
        Ok(detected) => report.push_str(&shown(&detected)),
        Err(error) => writeln!(report, "error: {error}").unwrap(),
    }
    report.push('\n');
}

pub(crate) fn shown(detected: &Detected) -> String {
    let mut out = String::new();
    for build in &detected.app.builds {
        writeln!(out, "build {:?} {} within {}", build.root, build.stack, build.timeout).unwrap();
        for command in &build.commands {
            let command = if command.contains("import pathlib") { "(make the environment movable)" } else { command };
            writeln!(out, "  $ {command}").unwrap();
        }
        if !build.discard.is_empty() {
            writeln!(out, "  without {:?}", build.discard).unwrap();
        }
    }
    for c in &detected.app.components {
        writeln!(out, "{} in {:?}", c.name, c.root).unwrap();
        match &c.serve {
            Serve::Process { command, instances, listens, stop_timeout } => {
                writeln!(out, "  run {instances} x `{command}` listens={listens} stop={stop_timeout}").unwrap();
            }
            Serve::Static { publish, single_page } => {
                writeln!(out, "  files {publish:?} single_page={single_page}").unwrap()
            }
        }
        if let Some(release) = &c.release_command {
            writeln!(out, "  release `{release}`").unwrap();
        }
        let default = HealthCheck::new(Probe::Running);
        let probe = serde_json::to_string(&c.health.probe).unwrap();
        if (HealthCheck { probe: Probe::Running, ..c.health.clone() }) == default {
            writeln!(out, "  health {probe}").unwrap();
        } else {
            writeln!(out, "  health {}", serde_json::to_string(&c.health).unwrap()).unwrap();
        }
        for route in &c.routes {
            writeln!(out, "  route {}{}", route.host.as_ref().map_or("*", |h| h.as_str()), route.path).unwrap();
        }
        if !c.depends_on.is_empty() {
            writeln!(out, "  after {:?}", c.depends_on.iter().map(|n| n.as_str()).collect::<Vec<_>>()).unwrap();
        }
        for (name, value) in &c.env {
            writeln!(out, "  env {name}={value}").unwrap();
        }
    }
    for note in &detected.notes {
        writeln!(out, "note: {note}").unwrap();
    }
    out
}
