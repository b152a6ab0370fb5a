//! Procfiles.
