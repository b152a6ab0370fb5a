//! `plimsoll`: one binary with all roles. This file only chooses the role.

mod app_name;
mod cli;
mod commands;
mod confirm;
mod connection;
mod credentials;
mod database;
mod doctor;
mod dotenv;
mod exit;
mod failure;
mod follow;
mod listen;
mod location;
mod logging;
mod notify;
mod output;
mod passphrase;
mod pidfile;
mod plan_text;
mod source;
mod table;
mod text;
mod upload;

use std::process::ExitCode;

fn main() -> ExitCode {
    // The supervisor forks, and lives as long as the app it looks after: it is
    // chosen before anything starts a thread or takes memory.
    let mut args = std::env::args_os();
    if args.nth(1).is_some_and(|role| role == "supervise") {
        return runtime::supervise(args);
    }
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(error) => return cli::refuse(&error),
    };
    commands::run(cli)
}
