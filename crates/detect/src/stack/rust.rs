//! Rust, built with the installed cargo.

use std::path::PathBuf;

use toml::Table;

use super::{Guess, Known, Served, quoted, require};
use crate::error::DetectError;
use crate::folder::Folder;
use crate::toolchain::Toolchain;

pub(crate) fn guess(folder: &Folder, tools: &Toolchain, known: Known) -> Result<Guess, DetectError> {
    require(tools.cargo || known.build, "cargo", "a Rust app", "install Rust (rustup)")?;
    let mut programs = Vec::new();
    let mut main = None;
    for member in members(folder)? {
        let found = programs_of(folder, &member)?;
        main = main.or(found.main);
        programs.extend(found.all);
    }
    programs.sort();
    programs.dedup();
    let main = main.or_else(|| (programs.len() == 1).then(|| programs[0].clone()));
    let served = match &main {
        Some(main) => Served::Command(format!("./target/release/{}", quoted(main))),
        None if programs.is_empty() => Served::Unknown("a program: src/main.rs or a [[bin]]".to_owned()),
        None => Served::Unknown(format!("one program, or `default-run`; there are {}", programs.join(", "))),
    };
    let mut guess = Guess::new(served);
    let locked = if folder.has_file("Cargo.lock") { " --locked" } else { "" };
    guess.commands.push(format!("cargo build --release{locked}"));
    if !programs.is_empty() {
        let built: Vec<String> =
            programs.iter().map(|p| format!("\"$CARGO_TARGET_DIR\"/release/{}", quoted(p))).collect();
        // The target folder may be a cache that many builds share; the release takes the programs alone.
        guess.commands.push(format!(
            "if [ -n \"${{CARGO_TARGET_DIR:-}}\" ]; then mkdir -p target/release && cp {} target/release/; fi",
            built.join(" ")
        ));
    }
    guess.discard = ["deps", "build", "incremental", ".fingerprint", "examples"]
        .map(|d| PathBuf::from("target/release").join(d))
        .to_vec();
    Ok(guess)
}

struct Programs {
    all: Vec<String>,
    /// The one to run when there are several.
    main: Option<String>,
}

/// The folders of the packages: the folder itself, and the members of its workspace.
fn members(folder: &Folder) -> Result<Vec<String>, DetectError> {
    let manifest = manifest(folder, "Cargo.toml")?;
    let mut members = Vec::new();
    if manifest.contains_key("package") {
        members.push(String::new());
        // `cargo build` at a package builds that package alone.
        return Ok(members);
    }
    let patterns = manifest.get("workspace").and_then(|w| w.get("members")).and_then(|m| m.as_array());
    for pattern in patterns.into_iter().flatten().filter_map(|p| p.as_str()) {
        match pattern.strip_suffix("/*") {
            Some(parent) => members.extend(folder.folders(parent).iter().map(|name| format!("{parent}/{name}/"))),
            None => members.push(format!("{}/", pattern.trim_end_matches('/'))),
        }
    }
    members.retain(|m| folder.has_file(&format!("{m}Cargo.toml")));
    Ok(members)
}

fn programs_of(folder: &Folder, member: &str) -> Result<Programs, DetectError> {
    let manifest = manifest(folder, &format!("{member}Cargo.toml"))?;
    let text = |table: Option<&toml::Value>, key: &str| {
        table.and_then(|t| t.get(key)).and_then(|v| v.as_str()).filter(|v| is_name(v)).map(str::to_owned)
    };
    let package = manifest.get("package");
    let name = text(package, "name");
    let mut all: Vec<String> = Vec::new();
    let bins = manifest.get("bin").and_then(|b| b.as_array());
    let bins: Vec<&toml::Value> = bins.into_iter().flatten().collect();
    all.extend(bins.iter().filter_map(|bin| text(Some(bin), "name")));
    let takes_main = bins.iter().any(|bin| bin.get("path").and_then(|p| p.as_str()) == Some("src/main.rs"));
    if folder.has_file(&format!("{member}src/main.rs")) && !takes_main {
        all.extend(name.clone());
    }
    for file in folder.files(&format!("{member}src/bin")) {
        all.extend(file.strip_suffix(".rs").filter(|n| is_name(n)).map(str::to_owned));
    }
    let main = text(package, "default-run").or_else(|| name.filter(|n| all.contains(n)));
    Ok(Programs { all, main })
}

fn manifest(folder: &Folder, name: &str) -> Result<Table, DetectError> {
    let text = folder.read(name)?.unwrap_or_default();
    text.parse::<Table>().map_err(|error| DetectError::File {
        file: folder.relative.join(name).display().to_string(),
        message: error.message().to_owned(),
        hint: "`cargo metadata` shows what cargo thinks of it".to_owned(),
    })
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
