//! Node projects whose build makes a folder of files, and nothing that runs.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::node::Package;
use crate::error::DetectError;
use crate::folder::Folder;

/// Packages that answer requests: with one of them the app is a process, whatever else it builds.
const SERVERS: [&str; 16] = [
    "express",
    "fastify",
    "koa",
    "hono",
    "@hapi/hapi",
    "restify",
    "polka",
    "@nestjs/core",
    "@adonisjs/core",
    "@feathersjs/feathers",
    "@remix-run/serve",
    "@react-router/serve",
    "@hono/node-server",
    "h3",
    "micro",
    "ws",
];

/// Start scripts that are servers for development, which no deployment should run.
const DEVELOPMENT: [&str; 14] = [
    "react-scripts start",
    "vite",
    "vite preview",
    "vite dev",
    "astro dev",
    "astro preview",
    "ng serve",
    "vue-cli-service serve",
    "gatsby develop",
    "gatsby serve",
    "parcel",
    "webpack serve",
    "webpack-dev-server",
    "docusaurus start",
];

/// The folder that the build makes, and whether it is a single page; `None` for what is to be run.
pub(super) fn publish(folder: &Folder, package: &Package) -> Result<Option<(PathBuf, bool)>, DetectError> {
    let Some(build) = package.script("build").or_else(|| package.script("heroku-postbuild")) else { return Ok(None) };
    if SERVERS.iter().any(|s| package.needs_at_run_time(s)) || folder.has_file("Procfile") {
        return Ok(None);
    }
    if package.script("start").is_some_and(|start| !is_for_development(start)) {
        return exported_next(folder, package);
    }
    made_by(folder, package, build)
}

fn is_for_development(start: &str) -> bool {
    let start = start.trim();
    DEVELOPMENT.iter().any(|known| {
        let rest = start.strip_prefix("npx ").unwrap_or(start).strip_prefix(known);
        rest.is_some_and(|rest| {
            rest.is_empty() || rest.starts_with(" -") || rest.starts_with(" src") || rest.starts_with(" index")
        })
    })
}

fn made_by(folder: &Folder, package: &Package, build: &str) -> Result<Option<(PathBuf, bool)>, DetectError> {
    let one = |text: &str, single_page: bool| Ok(Some((PathBuf::from(text), single_page)));
    let uses = |name: &str| package.uses(name);
    if uses("next") {
        return exported_next(folder, package);
    }
    if uses("nuxt") {
        return if build.contains("generate") { one(".output/public", false) } else { Ok(None) };
    }
    if uses("@sveltejs/kit") {
        return if uses("@sveltejs/adapter-static") { one("build", false) } else { Ok(None) };
    }
    if uses("astro") {
        let config = read_first(folder, &["astro.config.mjs", "astro.config.ts", "astro.config.js"])?;
        let is_server = uses("@astrojs/node") || setting(&config, "output").is_some_and(|o| o == "server");
        let out = folder_setting(&config, "outDir").unwrap_or_else(|| "dist".into());
        return if is_server { Ok(None) } else { Ok(Some((out, false))) };
    }
    if uses("@angular/cli") || uses("@angular/build") {
        return Ok(angular(folder)?.map(|out| (out, true)));
    }
    if uses("react-scripts") {
        return one("build", true);
    }
    if uses("@vue/cli-service") {
        return one("dist", true);
    }
    for (package, out) in [
        ("gatsby", "public"),
        ("@docusaurus/core", "build"),
        ("@11ty/eleventy", "_site"),
        ("hexo", "public"),
        ("parcel", "dist"),
        ("@rsbuild/core", "dist"),
    ] {
        if uses(package) {
            return one(out, false);
        }
    }
    if uses("vitepress") {
        return one(if build.contains("docs") { "docs/.vitepress/dist" } else { ".vitepress/dist" }, false);
    }
    if uses("vite") || build.contains("vite build") {
        let config = read_first(folder, &["vite.config.js", "vite.config.ts", "vite.config.mjs", "vite.config.mts"])?;
        let named =
            option(build, "--outDir").and_then(|o| domain::config::Folder::new(&o)).map(|f| f.as_path().to_owned());
        let out = named.or_else(|| folder_setting(&config, "outDir")).unwrap_or_else(|| "dist".into());
        let views = ["react", "vue", "svelte", "preact", "solid-js", "lit", "@builder.io/qwik"];
        return Ok(Some((out, views.iter().any(|v| uses(v)))));
    }
    Ok(None)
}

/// `output: "export"` makes Next write files in place of a server, even beside `next start`.
fn exported_next(folder: &Folder, package: &Package) -> Result<Option<(PathBuf, bool)>, DetectError> {
    if !package.uses("next") {
        return Ok(None);
    }
    let config = read_first(folder, &["next.config.js", "next.config.mjs", "next.config.ts"])?;
    let out = folder_setting(&config, "distDir").unwrap_or_else(|| "out".into());
    Ok(setting(&config, "output").is_some_and(|o| o == "export").then_some((out, false)))
}

/// `outputPath` of the first project in angular.json.
fn angular(folder: &Folder) -> Result<Option<PathBuf>, DetectError> {
    let text = folder.read("angular.json")?.unwrap_or_default();
    let Ok(workspace) = serde_json::from_str::<Value>(&text) else { return Ok(None) };
    let Some((name, project)) = workspace.get("projects").and_then(|p| p.as_object()).and_then(|p| p.iter().next())
    else {
        return Ok(None);
    };
    let build = project.get("architect").or(project.get("targets")).and_then(|a| a.get("build"));
    let path = build.and_then(|b| b.get("options")).and_then(|o| o.get("outputPath"));
    let path = path.and_then(|p| p.as_str().or(p.get("base").and_then(|b| b.as_str())));
    let path = path.map_or_else(|| format!("dist/{name}"), str::to_owned);
    let builder = build.and_then(|b| b.get("builder")).and_then(|b| b.as_str()).unwrap_or_default();
    // The newer builders keep a folder for the server beside it.
    let below = if builder.ends_with(":application") { "browser" } else { "" };
    Ok(domain::config::Folder::new(&path).map(|f| f.as_path().join(Path::new(below))))
}

fn read_first(folder: &Folder, names: &[&str]) -> Result<String, DetectError> {
    match folder.first_of(names) {
        Some(name) => Ok(folder.read(name)?.unwrap_or_default()),
        None => Ok(String::new()),
    }
}

fn folder_setting(config: &str, key: &str) -> Option<PathBuf> {
    setting(config, key).and_then(|v| domain::config::Folder::new(&v)).map(|f| f.as_path().to_owned())
}

/// The value of `key: 'value'` in a script; good for settings that people write out.
fn setting(config: &str, key: &str) -> Option<String> {
    config.lines().filter(|l| !l.trim_start().starts_with("//")).find_map(|line| {
        let (before, after) = line.split_once(key)?;
        let before = before.trim_end_matches(['"', '\'']);
        if before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.') {
            return None;
        }
        let value = after.trim_start_matches(['"', '\'']).trim_start().strip_prefix(':')?.trim_start();
        let quote = value.chars().next().filter(|c| "\"'`".contains(*c))?;
        Some(value[1..].split(quote).next()?.to_owned())
    })
}

/// The word after `--name` (or `--name=`) in a command.
fn option(command: &str, name: &str) -> Option<String> {
    let mut words = command.split_whitespace();
    words
        .find_map(|word| match word.strip_prefix(name)? {
            "" => None,
            rest => rest.strip_prefix('=').map(str::to_owned),
        })
        .or_else(|| {
            let mut words = command.split_whitespace().skip_while(|w| *w != name);
            words.nth(1).map(str::to_owned)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_options_are_found() {
        let config =
            "export default {\n  // output: 'server',\n  build: { outDir: '../x' },\n  \"output\": `export`,\n}";
        assert_eq!(setting(config, "output").as_deref(), Some("export"));
        assert_eq!(setting(config, "outDir").as_deref(), Some("../x"));
        assert_eq!(folder_setting(config, "outDir"), None);
        assert_eq!(setting("layoutDir: 'x'", "outDir"), None);
        assert_eq!(setting("myoutDir: 'x'", "outDir"), None);
        assert_eq!(option("vite build --outDir web -l", "--outDir").as_deref(), Some("web"));
        assert_eq!(option("vite build --outDir=web", "--outDir").as_deref(), Some("web"));
        assert_eq!(option("vite build", "--outDir"), None);
        assert!(is_for_development("vite --host") && is_for_development("npx parcel index.html"));
        assert!(!is_for_development("vite-node server.ts") && !is_for_development("node server.js"));
    }
}
