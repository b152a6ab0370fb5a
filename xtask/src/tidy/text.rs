//! What must not stand in a file: too much, leftovers, and things that are true on one machine only.

use super::{Finding, Source};

/// Longest file of Rust, in lines.
const MAX_LINES: usize = 600;

/// Words of unfinished work. Written in halves, so that this file does not find itself.
const LEFTOVERS: [&str; 8] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
    concat!("to", "do!"),
    concat!("unimpl", "emented!"),
    concat!("db", "g!"),
    concat!("#[ign", "ore"),
];

/// Folders that exist where it was written and nowhere else.
const PLACES: [&str; 2] = [concat!("/wo", "rk/"), concat!("../sha", "red")];

/// Hosts of package registries: whoever builds this may use mirrors of their own.
const HOSTS: [&str; 6] = [
    concat!("index.crates", ".io"),
    concat!("static.crates", ".io"),
    concat!("registry.npm", "js.org"),
    concat!("pypi", ".org"),
    concat!("files.python", "hosted.org"),
    concat!("proxy.go", "lang.org"),
];

/// Settings that tie a checkout to one registry.
const SETTINGS: [&str; 5] = [
    concat!("index-", "url"),
    concat!("extra-index", "-url"),
    concat!("replace-", "with"),
    concat!("npm_config_", "registry"),
    concat!("GOPRO", "XY="),
];

/// Writes of handlers are begun and committed by `control::audit`, which asks for a record of each.
const HANDLERS: &str = "crates/control/src/handlers/";
const UNRECORDED: [&str; 3] = ["store().write(", "store.write(", ".commit()"];

/// The line that is right.
const INDEX: &str = concat!("source = \"registry+https://github.com/rust-lang/crates.io", "-index\"");

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lock = matches!(name(&source.path), "Cargo.lock" | "package-lock.json");
    let lines = source.text.lines().count();
    if source.path.ends_with(".rs") && lines > MAX_LINES {
        findings.push(Finding::new(
            &source.path,
            MAX_LINES + 1,
            format!("the file has {lines} lines"),
            format!("Split it by noun or operation: {MAX_LINES} lines at most"),
        ));
    }
    for (n, line) in source.text.lines().enumerate() {
        let mut find = |what: String, remedy: &str| findings.push(Finding::new(&source.path, n + 1, what, remedy));
        if !lock && let Some(word) = LEFTOVERS.iter().find(|word| contains_word(line, word)) {
            find(format!("`{word}` was left over"), "Finish it, or open an issue and take it out");
        }
        if let Some(place) = PLACES.iter().find(|place| names_place(line, place)) {
            find(
                format!("names `{place}`, a folder of one machine"),
                "Find it at run time, or use a path relative to the file",
            );
        }
        if let Some(host) = HOSTS.iter().find(|host| line.contains(*host)) {
            find(format!("names the registry host {host}"), "Leave it to the package manager's own settings");
        }
        if let Some(setting) = SETTINGS.iter().find(|setting| line.contains(*setting)) {
            find(format!("sets `{setting}`"), "Leave registries to the settings of the machine");
        }
        if source.path.starts_with(HANDLERS) && UNRECORDED.iter().any(|call| line.contains(call)) {
            find(
                "a write of a handler goes past the audit log".to_owned(),
                "Begin it with `self.write()`, and commit it with what `self.conclude()` returns",
            );
        }
        lock_line(&source.path, line, &mut find);
    }
    findings
}

/// Lock files must not say where packages were fetched from. Cargo's own index is named in each
/// Cargo.lock by nature, as an identifier that mirrors share.
fn lock_line(path: &str, line: &str, find: &mut impl FnMut(String, &str)) {
    let line = line.trim();
    match name(path) {
        "Cargo.lock" if line.starts_with("source = ") && line != INDEX => {
            find(format!("`{line}` is not the public index"), "Depend on a published version");
        }
        "package-lock.json" if line.starts_with("\"resolved\": \"http") => {
            find(
                "the lock file names the host a package came from".to_owned(),
                "Write it with `npm install --omit-lockfile-registry-resolved`",
            );
        }
        ".npmrc" if line.trim_start().starts_with("registry") || line.contains(":registry") => {
            find("sets a registry".to_owned(), "Leave registries to the settings of the machine");
        }
        _ => {}
    }
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A word of its own, not a part of a longer one.
fn contains_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(part);
        let after = line[at + word.len()..].chars().next().is_some_and(part);
        !before && (!after || !word.ends_with(part))
    })
}

/// An absolute path that begins there, not one that has a folder of that name in the middle.
fn names_place(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        !line[..at]
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '}' | ')' | '/' | '>' | '*'))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<(usize, String)> {
        let source = Source { path: path.to_owned(), text: text.to_owned() };
        check(&source).into_iter().map(|finding| (finding.line, finding.what)).collect()
    }

    fn one(path: &str, text: &str) -> String {
        let mut all = found(path, text);
        assert_eq!(all.len(), 1, "{path}: {text}: {all:?}");
        all.remove(0).1
    }

    #[test]
    fn handlers_write_nothing_without_a_record() {
        let handler = "crates/control/src/handlers/apps.rs";
        for bad in ["let tx = self.store().write().await?;", "world.store.write().await", "tx.commit().await?;"] {
            assert_eq!(one(handler, bad), "a write of a handler goes past the audit log");
            assert_eq!(found("crates/control/src/tick.rs", bad), []);
        }
        assert_eq!(found(handler, "let tx = self.write().await?;\ncommit(tx, recorded).await?;"), []);
    }

    #[test]
    fn every_leftover_is_found_and_no_part_of_a_word() {
        for word in LEFTOVERS {
            assert_eq!(
                found("a.rs", &format!("fine\n    // {word} later\n")),
                [(2, format!("`{word}` was left over"))]
            );
            assert_eq!(found("Cargo.lock", &format!("name = \"{word}\"")), []);
        }
        assert_eq!(found("a.rs", concat!("let dbg = 1; \"XX", "XX\"; HA", "CKATHON; METHO", "DO; ignored")), []);
        assert_eq!(one("a.rs", concat!("#[ign", "ore = \"slow\"]")), concat!("`#[ign", "ore` was left over"));
    }

    #[test]
    fn long_files_are_found() {
        assert_eq!(found("a.rs", &"x\n".repeat(MAX_LINES)), []);
        assert_eq!(found("a.rs", &"x\n".repeat(MAX_LINES + 1))[0].0, MAX_LINES + 1);
        assert_eq!(found("openapi.json", &"x\n".repeat(MAX_LINES + 1)), []);
    }

    #[test]
    fn places_of_one_machine_are_found() {
        for place in PLACES {
            assert!(one("a.md", &format!("see `{place}x`")).contains("one machine"));
            assert!(one("a.sh", &format!("cd {place}")).contains("one machine"));
        }
        assert_eq!(found("a.rs", concat!("data/wo", "rk/x ${root}/ro", "ot/ target/wo", "rk/")), []);
    }

    #[test]
    fn registries_are_found() {
        for host in HOSTS {
            assert!(one("a.md", &format!("from https://{host}/x")).contains("registry host"));
        }
        for setting in SETTINGS {
            assert!(one("pip.conf", &format!("{setting} x")).contains("sets"));
        }
        assert!(one(".npmrc", "registry=http://x").contains("sets a registry"));
        assert!(one("a/.npmrc", "@ours:registry=http://x").contains("sets a registry"));
        assert_eq!(found(".npmrc", "omit-lockfile-registry-resolved=true"), []);
    }

    #[test]
    fn lock_files_name_no_mirror() {
        assert_eq!(found("Cargo.lock", INDEX), []);
        assert!(one("Cargo.lock", "source = \"registry+http://mirror/\"").contains("not the public index"));
        assert!(one("Cargo.lock", "source = \"git+https://x/y\"").contains("not the public index"));
        assert!(one("examples/a/package-lock.json", "  \"resolved\": \"http://mirror/a.tgz\",").contains("host"));
        assert_eq!(found("package-lock.json", "  \"resolved\": \"packages/a\","), []);
    }
}
