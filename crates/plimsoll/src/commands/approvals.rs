//! `plimsoll approvals`: what waits for the yes of others, and saying it.

use domain::ApprovalId;
use domain::approval::{ApprovalState, Verdict};
use operations::Operation;
use operations::approvals::{Approval, ApprovalRequest, CastVote, Get, List, ListRequest, Vote, VoteRequest};

use super::Context;
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::table::{Table, Tone};
use crate::text::{self, clean};

const EXAMPLES: &str = "\
Examples:
  plimsoll approvals list --state pending
  plimsoll approvals list --mine
  plimsoll approvals show apr_01hf7yat00000000000000002a
  plimsoll approvals approve apr_01hf7yat00000000000000002a --comment \"looked at the diff\"
  plimsoll approvals refuse apr_01hf7yat00000000000000002a --comment \"not before the sale\" --yes
  plimsoll approval-policies set --app shop --env production --required 2 --role admin

A person votes, with a token of their own: `plimsoll tokens create laptop --for me`. What one asked for oneself, others approve of.";

/// Approve of deployments that others asked for, or refuse them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[command(about = List::SUMMARY, after_help = EXAMPLES)]
    List(ListRequest),
    #[command(about = Get::SUMMARY, after_help = EXAMPLES)]
    Show(ApprovalRequest),
    /// Say yes; enough of that, and the deployment may start.
    #[command(after_help = EXAMPLES)]
    Approve(Said),
    /// Say no, which ends the deployment.
    #[command(after_help = EXAMPLES)]
    Refuse(Said),
}

#[derive(Debug, clap::Args)]
struct Said {
    /// Id of the approval (`apr_…`).
    #[arg(value_name = "APPROVAL")]
    approval: ApprovalId,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Vote for exactly this, as `show` says it; for what is asked now without it.
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Don't ask.
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List(request) => list(context, &request).await,
        Command::Show(request) => {
            let found = context.connect()?.call::<Get>(&request).await?;
            match context.out.json {
                true => context.out.document(&found),
                false => context.out.line(lines(&found).join("\n")),
            }
        }
        Command::Approve(said) => vote(context, said, Verdict::Approve).await,
        Command::Refuse(said) => vote(context, said, Verdict::Refuse).await,
    }
}

async fn list(context: &Context, request: &ListRequest) -> Result<(), Failure> {
    let out = &context.out;
    let page = context.connect()?.call::<List>(request).await?;
    if out.json {
        return out.document(&page);
    }
    if page.items.is_empty() {
        out.remark(if request.mine { "nothing waits for your vote" } else { "nothing waits for approval" });
        return Ok(());
    }
    let mut table = Table::new(out, &["id", "for", "what", "by", "votes", "state", "until"]);
    for approval in &page.items {
        let plain = |text: String| (text, Tone::Plain);
        let tone = match approval.state {
            ApprovalState::Pending => Tone::Waiting,
            ApprovalState::Approved => Tone::Good,
            ApprovalState::Refused | ApprovalState::Expired => Tone::Bad,
            ApprovalState::Void => Tone::Plain,
        };
        table.row([
            plain(approval.id.to_string()),
            plain(format!("{}/{}", approval.app, approval.environment)),
            plain(clean(&approval.subject_note)),
            plain(clean(&approval.requested_by)),
            plain(format!("{} of {}", approval.got, approval.required)),
            (approval.state.to_string(), tone),
            plain(text::local(approval.expires_at)),
        ]);
    }
    table.keep_whole(0);
    out.line(table.render())?;
    if let Some(next) = page.next {
        out.remark(format!("more: --cursor {next}"));
    }
    Ok(())
}

/// What one sees is what the vote is for: it names its subject.
async fn vote(context: &Context, said: Said, verdict: Verdict) -> Result<(), Failure> {
    let (out, connection) = (&context.out, context.connect()?);
    let Said { approval, comment, subject, yes } = said;
    let subject = match subject {
        Some(subject) => subject,
        None => {
            let found = connection.call::<Get>(&ApprovalRequest { approval: approval.clone() }).await?;
            if !yes {
                lines(&found).into_iter().for_each(|line| out.remark(line));
            }
            found.subject
        }
    };
    let doing = match verdict {
        Verdict::Approve => "Approving of it",
        Verdict::Refuse => "Refusing it, which ends the deployment",
    };
    confirm(yes, doing)?;
    let now = connection.call::<Vote>(&VoteRequest { approval, subject, verdict, comment }).await?;
    if out.json {
        return out.document(&now);
    }
    out.line(match now.state {
        ApprovalState::Pending => format!("{} of {} have approved of it", now.got, now.required),
        ApprovalState::Approved => format!("approved: {} may start", now.deployment),
        state => format!("{state}: {} has ended", now.deployment),
    })
}

fn lines(approval: &Approval) -> Vec<String> {
    let mut lines = vec![
        format!("approval   {}", approval.id),
        format!("what       {}", clean(&approval.subject_note)),
        format!("to         {}/{}", approval.app, approval.environment),
        format!("deployment {}", approval.deployment),
        format!("asked by   {}, {}", clean(&approval.requested_by), text::local(approval.created_at)),
        format!(
            "needs      {} with the role {} or more, until {}",
            approval.required,
            approval.role,
            text::local(approval.expires_at)
        ),
        format!("subject    {}", clean(&approval.subject)),
        format!("state      {}, {} of {}", approval.state, approval.got, approval.required),
    ];
    lines.extend(approval.why.iter().map(|why| format!("why        {}", clean(why))));
    lines.extend(approval.votes.iter().map(said_by));
    lines.extend(approval.may_not.iter().map(|why| format!("your vote  {}", clean(why))));
    lines
}

fn said_by(vote: &CastVote) -> String {
    let verdict = match vote.verdict {
        Verdict::Approve => "yes",
        Verdict::Refuse => "no ",
    };
    let counts = if vote.counts { "" } else { ", which counts no more" };
    let comment = vote.comment.iter().map(|comment| format!(": {}", clean(comment))).collect::<String>();
    format!("{verdict}        {}, {}{counts}{comment}", clean(&vote.name), text::local(vote.at))
}
