//! What a machine may lack that a test is about.

/// Whether the test of `what` can be made. On somebody's own machine it is left out, and that is said.
///
/// # Panics
/// When it can't under `CI`, where a test that was left out would pass for one that was made.
#[track_caller]
pub fn can_test(there: bool, what: &str) -> bool {
    assert!(there || std::env::var_os("CI").is_none(), "this machine can't test {what}, and CI leaves nothing out");
    if !there {
        eprintln!("NOT TESTED: {what}");
    }
    there
}
