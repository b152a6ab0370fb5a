//! Go, built with the installed Go.

use super::{Guess, Known, Served, quoted, require};
use crate::error::DetectError;
use crate::folder::Folder;
use crate::toolchain::Toolchain;

pub(crate) fn guess(folder: &Folder, tools: &Toolchain, known: Known) -> Result<Guess, DetectError> {
    require(tools.go || known.build, "go", "a Go app", "install Go")?;
    let module = folder.read("go.mod")?.as_deref().and_then(module_name);
    let commands: Vec<String> =
        folder.folders("cmd").into_iter().filter(|c| folder.has_file(&format!("cmd/{c}/main.go"))).collect();
    if is_program(folder)? {
        let name = module.clone().unwrap_or_else(|| "app".to_owned());
        // Without a module there is no package to name, only the file.
        let what = if module.is_some() { "." } else { "main.go" };
        return Ok(built(&[(name.clone(), what.to_owned())], Served::Command(format!("./bin/{}", quoted(&name)))));
    }
    let programs: Vec<(String, String)> =
        commands.iter().map(|c| (c.clone(), format!("./cmd/{}", quoted(c)))).collect();
    let served = match commands.as_slice() {
        [only] => Served::Command(format!("./bin/{}", quoted(only))),
        several => match several.iter().find(|c| module.as_ref() == Some(c) || *c == "server" || *c == "web") {
            Some(main) => Served::Command(format!("./bin/{}", quoted(main))),
            None => Served::Unknown("a package main at the top, or one in cmd/".to_owned()),
        },
    };
    Ok(built(&programs, served))
}

fn built(programs: &[(String, String)], served: Served) -> Guess {
    let mut guess = Guess::new(served);
    guess.commands =
        programs.iter().map(|(name, package)| format!("go build -o bin/{} {package}", quoted(name))).collect();
    guess
}

/// Some file at the top is of `package main`.
fn is_program(folder: &Folder) -> Result<bool, DetectError> {
    for file in folder.files("").iter().filter(|f| f.ends_with(".go") && !f.ends_with("_test.go")) {
        let text = folder.read(file)?.unwrap_or_default();
        if text.lines().any(|line| line.split_whitespace().take(2).eq(["package", "main"])) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `example.org/shop/v2` is built as `shop`, like `go build` itself would name it.
fn module_name(go_mod: &str) -> Option<String> {
    let path = go_mod.lines().find_map(|line| line.trim().strip_prefix("module "))?.trim().trim_matches('"');
    let is_version = |part: &str| part.strip_prefix('v').is_some_and(|n| n.parse::<u32>().is_ok());
    let name = path.rsplit('/').find(|part| !is_version(part))?;
    let safe = !name.is_empty()
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    safe.then(|| name.to_owned())
}
