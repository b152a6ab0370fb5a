//! Chores of the workspace, as `cargo xtask …`: checks that no tool brings along, and generated files.
// A program for the terminal: its output is its result.
#![allow(clippy::print_stdout)]

mod generate;
mod metadata;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the workspace")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check the conventions of the workspace.
    Tidy,
    /// Write openapi.json, docs/plimsoll.schema.json and docs/tools.md.
    Openapi {
        /// Only say whether they are up to date.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let root = root();
    let result = match Arguments::parse().chore {
        Chore::Tidy => tidy::run(&root),
        Chore::Openapi { check } => generate::run(&root, check),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace: this crate's parent.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}
