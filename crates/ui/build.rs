//! Puts the files of `web/dist` into the crate, as `web/scripts/compress.mjs` lists them.
//!
//! Without them (nobody called `make web`) the crate holds one page that says so: building Plimsoll never needs Node.
//! The guides of `docs/` go in as well.

#[path = "build/guides.rs"]
mod guides;

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let dist = root.join("../../web/dist");
    // The folder is always there: cargo would run this anew each time if it looked for a file that is not.
    println!("cargo::rerun-if-changed={}", dist.display());
    println!("cargo::rerun-if-changed=src/missing.html");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    let docs = root.join("../../docs");
    println!("cargo::rerun-if-changed={}", docs.display());
    let manifest = dist.join("manifest.plimsoll.json");
    let table = if manifest.is_file() {
        table(&dist, &serde_json::from_str(&std::fs::read_to_string(&manifest)?)?)?
    } else {
        println!(
            "cargo::warning=the web interface is not built: this binary serves a page that says so; `make web` builds it"
        );
        missing(&root)?
    };
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("files.rs"), table)?;
    std::fs::write(out.join("guides.json"), guides::read(&docs)?)?;
    Ok(())
}

/// The table as Rust, in the order of paths: they are searched for.
fn table(dist: &Path, manifest: &Value) -> Result<String, Box<dyn Error>> {
    let mut files = manifest["files"].as_array().ok_or("the manifest has no files")?.clone();
    files.sort_by(|a, b| a["path"].as_str().cmp(&b["path"].as_str()));
    let mut rust = String::from("&[\n");
    for file in &files {
        let text = |name: &str| file[name].as_str().ok_or(format!("a file of the manifest has no {name}"));
        let (path, kind, digest) = (text("path")?, text("type")?, text("sha256")?);
        let raw = dist.join("files").join(path).canonicalize()?;
        let brotli = match file["brotli"].as_str() {
            Some(name) => format!("Some(include_bytes!({:?}))", dist.join("files").join(name).canonicalize()?),
            None => "None".to_owned(),
        };
        let etag = digest.get(..32).ok_or("a digest is too short")?;
        writeln!(
            rust,
            "File {{ path: {path:?}, kind: {kind:?}, etag: {etag:?}, bytes: include_bytes!({raw:?}), brotli: {brotli} }},"
        )?;
    }
    rust.push(']');
    Ok(rust)
}

fn missing(root: &Path) -> Result<String, Box<dyn Error>> {
    let page = root.join("src/missing.html").canonicalize()?;
    Ok(format!(
        "&[File {{ path: \"index.html\", kind: \"text/html; charset=utf-8\", etag: \"missing\", bytes: include_bytes!({page:?}), brotli: None }}]"
    ))
}
