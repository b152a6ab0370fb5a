//! `plimsoll.toml`: what a repository says about itself.
