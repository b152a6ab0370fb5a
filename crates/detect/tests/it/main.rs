//! Small trees of files, and what is made of them.
#![allow(clippy::unwrap_used)]

mod config;
mod examples;
mod hostile;
mod stacks;
mod support;
