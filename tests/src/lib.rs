//! Whole-system tests.

pub mod postgres;
