//! Node, installed and built with the package manager of its lock file.

use std::path::PathBuf;

use nodejs_semver::{Range, Version};
use serde_json::Value;

use super::{Guess, Known, Served, node_static, quoted, require};
use crate::error::DetectError;
use crate::folder::Folder;
use crate::toolchain::Toolchain;

pub(crate) fn guess(folder: &Folder, tools: &Toolchain, known: Known) -> Result<Guess, DetectError> {
    let package = Package::read(folder)?;
    require(tools.node.is_some() || known.build, "node", "a Node app", "install Node.js with npm")?;
    let manager = Manager::choose(folder, &package);
    let served = served(folder, &package, manager, tools)?;
    let mut guess = Guess::new(served);
    let only_files = matches!(guess.served, Served::Files { .. }) && build_script(&package).is_none();
    if !known.build && !only_files {
        guess.commands = commands(folder, &package, manager, tools)?;
    }
    guess.env.insert("NODE_ENV".to_owned(), "production".to_owned());
    if matches!(guess.served, Served::Files { .. }) {
        // Only the published files are served.
        guess.discard.push(PathBuf::from("node_modules"));
    }
    guess.notes.extend(version_note(folder, &package, tools)?);
    Ok(guess)
}

/// `package.json`, read leniently: npm doesn't mind what it doesn't know.
pub(super) struct Package(Value);

impl Package {
    fn read(folder: &Folder) -> Result<Self, DetectError> {
        let text = folder.read("package.json")?.unwrap_or_else(|| "{}".to_owned());
        let wrong = |message: String| DetectError::File {
            file: folder.relative.join("package.json").display().to_string(),
            message,
            hint: "it has to be a JSON object".to_owned(),
        };
        let value: Value =
            serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|e| wrong(e.to_string()))?;
        if value.is_object() { Ok(Self(value)) } else { Err(wrong("it holds no object".to_owned())) }
    }

    pub(super) fn script(&self, name: &str) -> Option<&str> {
        self.0.get("scripts")?.get(name)?.as_str()
    }

    /// In dependencies or devDependencies.
    pub(super) fn uses(&self, name: &str) -> bool {
        ["dependencies", "devDependencies"].iter().any(|list| self.lists(list, name))
    }

    pub(super) fn needs_at_run_time(&self, name: &str) -> bool {
        self.lists("dependencies", name)
    }

    fn lists(&self, list: &str, name: &str) -> bool {
        self.0.get(list).and_then(|l| l.get(name)).is_some()
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_str()
    }

    fn has_development_packages(&self) -> bool {
        self.0.get("devDependencies").and_then(|d| d.as_object()).is_some_and(|d| !d.is_empty())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manager {
    Npm { locked: bool },
    Yarn { modern: bool, locked: bool },
    Pnpm { locked: bool },
}

impl Manager {
    fn choose(folder: &Folder, package: &Package) -> Self {
        let modern = folder.has_file(".yarnrc.yml");
        if folder.first_of(&["package-lock.json", "npm-shrinkwrap.json"]).is_some() {
            return Self::Npm { locked: true };
        }
        if folder.has_file("pnpm-lock.yaml") {
            return Self::Pnpm { locked: true };
        }
        if folder.has_file("yarn.lock") {
            return Self::Yarn { modern, locked: true };
        }
        match package.text("packageManager").and_then(|m| m.split('@').next()) {
            Some("pnpm") => Self::Pnpm { locked: false },
            Some("yarn") => Self::Yarn { modern, locked: false },
            _ => Self::Npm { locked: false },
        }
    }

    /// The program to call, which may have to go through corepack.
    fn program(self, tools: &Toolchain) -> Result<&'static str, DetectError> {
        let hint = "install it, or install corepack, or build with npm (commit a package-lock.json)";
        match self {
            Self::Npm { .. } => {
                require(tools.npm, "npm", "a Node app", "install Node.js with npm")?;
                Ok("npm")
            }
            Self::Yarn { .. } if tools.yarn => Ok("yarn"),
            Self::Pnpm { .. } if tools.pnpm => Ok("pnpm"),
            Self::Yarn { .. } => {
                require(tools.corepack, "yarn", "this Node app (it has a yarn.lock)", hint)?;
                Ok("corepack yarn")
            }
            Self::Pnpm { .. } => {
                require(tools.corepack, "pnpm", "this Node app (it has a pnpm-lock.yaml)", hint)?;
                Ok("corepack pnpm")
            }
        }
    }
}

/// Everything is installed for the build, whatever `NODE_ENV` says, and what only the build needed is taken away after it.
fn commands(
    folder: &Folder,
    package: &Package,
    manager: Manager,
    tools: &Toolchain,
) -> Result<Vec<String>, DetectError> {
    let program = manager.program(tools)?;
    let mut commands = Vec::new();
    // Heroku's own hooks; `heroku-postbuild` is run in place of `build`.
    if package.script("heroku-prebuild").is_some() {
        commands.push(format!("{program} run heroku-prebuild"));
    }
    commands.push(match manager {
        Manager::Npm { locked: true } => format!("{program} ci --include=dev --no-audit --no-fund"),
        Manager::Npm { locked: false } => format!("{program} install --include=dev --no-audit --no-fund"),
        Manager::Yarn { modern: true, locked: true } => format!("{program} install --immutable"),
        Manager::Yarn { modern: false, locked: true } => {
            format!("{program} install --frozen-lockfile --production=false --non-interactive")
        }
        Manager::Yarn { locked: false, .. } => format!("{program} install"),
        Manager::Pnpm { locked: true } => format!("{program} install --frozen-lockfile --prod=false"),
        Manager::Pnpm { locked: false } => format!("{program} install --prod=false"),
    });
    if let Some(script) = build_script(package) {
        commands.push(format!("{program} run {script}"));
    }
    let publishes = node_static::publish(folder, package)?.is_some();
    if package.has_development_packages() && !publishes {
        match manager {
            Manager::Npm { .. } => {
                commands.push("npm prune --omit=dev --ignore-scripts --no-audit --no-fund".to_owned())
            }
            Manager::Pnpm { .. } => commands.push(format!("{program} prune --prod --ignore-scripts")),
            Manager::Yarn { modern: false, .. } => {
                commands.push(format!(
                    "{program} install --production=true --ignore-scripts --prefer-offline --non-interactive"
                ));
            }
            // It has no command for that without a plugin.
            Manager::Yarn { modern: true, .. } => {}
        }
    }
    if package.script("heroku-cleanup").is_some() {
        commands.push(format!("{program} run heroku-cleanup"));
    }
    Ok(commands)
}

fn build_script(package: &Package) -> Option<&'static str> {
    ["heroku-postbuild", "build"].into_iter().find(|s| package.script(s).is_some())
}

fn served(folder: &Folder, package: &Package, manager: Manager, tools: &Toolchain) -> Result<Served, DetectError> {
    if let Some((publish, single_page)) = node_static::publish(folder, package)? {
        return Ok(Served::Files { publish, single_page });
    }
    if package.script("start").is_some() {
        // Plug'n'Play finds packages only through yarn.
        let starter = match manager {
            Manager::Yarn { modern: true, .. } if tools.yarn => "yarn",
            Manager::Yarn { modern: true, .. } => "corepack yarn",
            _ => "npm",
        };
        return Ok(Served::Command(format!("{starter} start")));
    }
    let main = package.text("main").filter(|m| folder.has_file(m) && !m.starts_with(['/', '-']));
    let main = main.or_else(|| folder.first_of(&["server.js", "index.js", "app.js", "server.mjs", "index.mjs"]));
    if let Some(main) = main {
        return Ok(Served::Command(format!("node {}", quoted(main))));
    }
    if package.script("build").is_none()
        && let Some((publish, single_page)) = super::static_site::publish_folder(folder)
    {
        return Ok(Served::Files { publish, single_page });
    }
    Ok(Served::Unknown("a `start` script in package.json, its `main`, server.js or index.js".to_owned()))
}

/// What to say when the installed Node is not the one that the app asks for.
fn version_note(folder: &Folder, package: &Package, tools: &Toolchain) -> Result<Option<String>, DetectError> {
    let Some(installed) = &tools.node else { return Ok(None) };
    let engines = package.0.get("engines").and_then(|e| e.get("node")).and_then(|n| n.as_str());
    let mut wanted = engines.map(|e| ("package.json", e.to_owned()));
    for file in [".nvmrc", ".node-version"] {
        if wanted.is_none() {
            let text = folder.read(file)?;
            let line =
                text.as_deref().and_then(|t| t.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with('#')));
            wanted = line.map(|l| (file, l.to_owned()));
        }
    }
    let Some((file, wanted)) = wanted else { return Ok(None) };
    // Names such as `lts/*` say nothing that could be compared.
    if wanted.len() > 200 || wanted.starts_with("lts") || wanted == "node" || wanted == "stable" {
        return Ok(None);
    }
    let (range, version) = (Range::parse(wanted.trim_start_matches('v')), Version::parse(installed));
    Ok(match (range, version) {
        (Ok(range), Ok(version)) if !version.satisfies(&range) => {
            Some(format!("{file} asks for Node `{wanted}`; Node {installed} is installed here and is used"))
        }
        (Err(_), _) => Some(format!(
            "{file} asks for Node `{}`, which is no version; Node {installed} is used",
            wanted.chars().filter(|c| !c.is_control()).take(40).collect::<String>()
        )),
        _ => None,
    })
}
