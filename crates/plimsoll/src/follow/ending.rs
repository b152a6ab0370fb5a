//! How a deployment ended, in words that help, and as an exit code.

use domain::deployment::{Deployment, DeploymentKind};
use domain::phase::Phase;

use crate::exit::Exit;
use crate::text::{self, Paint, clean, clean_lines};

/// The exit code; none if it is active.
pub(crate) fn exit(deployment: &Deployment) -> Option<Exit> {
    match deployment.phase {
        Phase::Active => None,
        Phase::Cancelled => Some(Exit::Cancelled),
        _ => Some(Exit::DeploymentFailed),
    }
}

/// What to say at the end. `serving` is the number of the release that serves now.
pub(crate) fn lines(deployment: &Deployment, serving: Option<u32>, paint: Paint) -> Vec<String> {
    let end = deployment.finished_at.unwrap_or(deployment.updated_at);
    let took = text::took(text::between(deployment.created_at, end));
    let version = deployment.release_number.map_or_else(|| "It".to_owned(), |n| format!("v{n}"));
    let (app, environment) = (&deployment.app, &deployment.environment);
    if deployment.phase == Phase::Active {
        let mut lines =
            vec![format!("{} {} of {app} is active in {environment} · {took}", paint.green("✓"), paint.bold(version))];
        lines.extend(deployment.metadata.urls.iter().map(|url| format!("  {}", paint.cyan(clean(url)))));
        lines.extend(stuck(deployment, paint));
        return lines;
    }
    let what = match deployment.kind {
        DeploymentKind::Deploy => "deployment",
        DeploymentKind::Rollback => "rollback",
        DeploymentKind::Promotion => "promotion",
    };
    let outcome = match (&deployment.stuck, deployment.phase) {
        (Some(_), _) => "is stuck",
        (None, Phase::Cancelled) => "was cancelled",
        (None, Phase::RolledBack) => "was taken back",
        (None, _) => "failed",
    };
    let mut lines = vec![format!("{} {what} of {app} to {environment} {outcome} · {took}", paint.red("✗"))];
    if let Some(failure) = &deployment.failure {
        lines.push(format!("  {} {}", paint.dim("phase"), text::phase(failure.phase)));
        lines.push(format!("  {} {}", paint.dim("cause"), tag(&failure.cause)));
        lines.push(indented(&clean_lines(&failure.message)));
        if !failure.output.is_empty() {
            lines.push(paint.dim("  last lines of its output:"));
            lines.extend(failure.output.iter().map(|line| paint.dim(format!("  │ {}", clean(line)))));
        }
        lines.push(format!("{} {}", paint.bold("  try:"), clean_lines(&failure.hint)));
    }
    lines.extend(stuck(deployment, paint));
    lines.push(match serving {
        Some(number) => format!("  v{number} serves as before"),
        None => format!("  nothing serves in {environment} yet"),
    });
    lines.push(paint.dim(format!("  all of it: plimsoll deployments show {}", deployment.id)));
    lines
}

/// Why it can't go on, and what helps; one that is active may be stuck in cleaning up.
fn stuck(deployment: &Deployment, paint: Paint) -> Vec<String> {
    let Deployment { id, stuck: Some(reason), .. } = deployment else { return Vec::new() };
    vec![
        indented(&clean_lines(reason)),
        format!("{} `plimsoll resume {id}` once that is put right", paint.bold("  try:")),
        format!("  or: `plimsoll abandon {id}` ends it as it is"),
    ]
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// A unit variant as it stands in JSON, for people.
pub(crate) fn tag(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text.replace('_', " "),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use domain::failure::{Cause, Failure};

    use super::super::story::tests::deployment;
    use super::*;

    fn told(deployment: &Deployment, serving: Option<u32>) -> String {
        lines(deployment, serving, Paint(false)).join("\n")
    }

    #[test]
    fn success_ends_with_the_address() {
        let deployment = deployment(Phase::Active);
        assert_eq!(
            told(&deployment, Some(3)),
            "✓ v3 of hello is active in production · 4.2 s\n  http://hello.localhost:8080"
        );
        assert_eq!(exit(&deployment), None);
    }

    #[test]
    fn failure_says_phase_cause_output_and_what_serves() {
        let failure = Failure {
            phase: Phase::Building,
            cause: Cause::Build,
            message: "`npm run build` ended with exit status 1".into(),
            output: vec!["src/index.js:3".into(), "SyntaxError".into()],
            hint: "Run it on your machine".into(),
            smoke_tests: Vec::new(),
        };
        let deployment = Deployment { failure: Some(failure), ..deployment(Phase::Failed) };
        let expected = "\
✗ deployment of hello to production failed · 4.2 s
  phase building
  cause build
  `npm run build` ended with exit status 1
  last lines of its output:
  │ src/index.js:3
  │ SyntaxError
  try: Run it on your machine
  v2 serves as before
  all of it: plimsoll deployments show dep_01hf7yat00000000000000002a";
        assert_eq!(told(&deployment, Some(2)), expected);
        assert_eq!(exit(&deployment), Some(Exit::DeploymentFailed));
    }

    #[test]
    fn each_end_has_its_exit_code() {
        let code = |phase| exit(&deployment(phase)).map(Exit::code);
        assert_eq!(
            [Phase::Active, Phase::Failed, Phase::RolledBack, Phase::Cancelled].map(code),
            [None, Some(6), Some(6), Some(7)]
        );
        let stuck = Deployment { stuck: Some("the disk is full".into()), ..deployment(Phase::UpdatingRoutes) };
        assert_eq!(exit(&stuck).map(Exit::code), Some(6));
        for command in ["plimsoll resume dep_", "plimsoll abandon dep_"] {
            assert!(told(&stuck, None).contains(command), "{}", told(&stuck, None));
        }
        let active = Deployment { stuck: Some("v2 does not stop".into()), ..deployment(Phase::Active) };
        for part in ["is active in production", "v2 does not stop", "plimsoll resume dep_", "plimsoll abandon dep_"] {
            assert!(told(&active, None).contains(part), "{}", told(&active, None));
        }
    }
}
