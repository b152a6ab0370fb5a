//! `plimsoll channels`: who is told of what happens, by which way.

use std::io::Read;
use std::path::{Path, PathBuf};

use domain::channel::{ChannelKind, DeliveryState};
use domain::notice::Topic;
use domain::{ChannelId, Name};
use operations::Operation;
use operations::channels::{
    Channel, ChannelRequest, Create, CreateRequest, List, ListRequest, MailTarget, Remove, SlackTarget, Target, Test,
    Update, UpdateRequest, WebhookTarget,
};
use operations::deliveries::{self, Delivery, Resend, ResendRequest};
use operations::variables::Value as Secret;

use super::Context;
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::table::{Table, Tone};
use crate::text::{self, clean};

const EXAMPLES: &str = "\
Examples:
  plimsoll channels list
  plimsoll channels create slack \"on call\" --url-file slack-url
  plimsoll channels create webhook deploys --app shop --url https://ops.example.org/hook --topic deployment_failed
  plimsoll channels create mail team --to ann@example.org --to zoe@example.org --env production
  plimsoll channels test chn_01hf7yat00000000000000002a
  plimsoll channels deliveries chn_01hf7yat00000000000000002a
  plimsoll channels resend chn_01hf7yat00000000000000002a dlv_01hf7yat00000000000000002a
  plimsoll channels update chn_01hf7yat00000000000000002a --enable
  plimsoll channels remove chn_01hf7yat00000000000000002a --yes

Addresses and secrets are kept sealed and never shown again. An address that holds a token belongs into a file
(--url-file, `-` for stdin), as others see command lines. Mail needs a mail server: `plimsoll mail set`.";

/// Say who is told of what happens: Slack, mail, signed webhooks.
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
    #[command(about = Create::SUMMARY, after_help = EXAMPLES)]
    Create(Box<New>),
    #[command(about = Update::SUMMARY, after_help = EXAMPLES)]
    Update(Box<Change>),
    #[command(about = Remove::SUMMARY, after_help = EXAMPLES)]
    Remove(Gone),
    #[command(about = Test::SUMMARY, after_help = EXAMPLES)]
    Test(ChannelRequest),
    #[command(about = deliveries::List::SUMMARY, after_help = EXAMPLES)]
    Deliveries(deliveries::ListRequest),
    #[command(about = Resend::SUMMARY, after_help = EXAMPLES)]
    Resend(ResendRequest),
}

#[derive(Debug, clap::Args)]
struct New {
    /// slack, mail or webhook.
    #[arg(value_name = "KIND")]
    kind: ChannelKind,
    /// For people.
    #[arg(value_name = "NAME")]
    name: String,
    /// Of this app alone; without it of all apps, and of the server itself.
    #[arg(long, short)]
    app: Option<Name>,
    /// In environments of this name alone; may be repeated.
    #[arg(long = "env", short = 'e', value_name = "NAME")]
    environments: Vec<Name>,
    /// What to tell, such as deployment_failed; may be repeated. Without it, whatever somebody may have to look at.
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<Topic>,
    #[command(flatten)]
    to: To,
}

#[derive(Debug, clap::Args)]
struct To {
    /// Of a webhook: where it listens.
    #[arg(long, value_name = "URL", conflicts_with = "url_file")]
    url: Option<String>,
    /// File with the address of a webhook, or of Slack's incoming webhook; `-` for stdin.
    #[arg(long, value_name = "FILE")]
    url_file: Option<PathBuf>,
    /// File with the secret that webhooks are signed with (`whsec_…`); one is made and shown without it.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Of mail: a mailbox; may be repeated.
    #[arg(long = "to", value_name = "MAILBOX")]
    to: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct Change {
    /// Id of the channel (`chn_…`).
    #[arg(value_name = "CHANNEL")]
    channel: ChannelId,
    /// Another name.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Send to it (again).
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    /// Send nothing to it, and drop what waits.
    #[arg(long)]
    disable: bool,
    /// In environments of this name alone; may be repeated.
    #[arg(long = "env", short = 'e', value_name = "NAME", conflicts_with = "all_environments")]
    environments: Vec<Name>,
    /// In all environments.
    #[arg(long = "all-envs")]
    all_environments: bool,
    /// What to tell, in the place of what it was; may be repeated.
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<Topic>,
    #[command(flatten)]
    to: To,
}

#[derive(Debug, clap::Args)]
struct Gone {
    #[command(flatten)]
    request: ChannelRequest,
    /// Don't ask.
    #[arg(long, short)]
    yes: bool,
}

impl To {
    fn is_given(&self) -> bool {
        self.url.is_some() || self.url_file.is_some() || self.secret_file.is_some() || !self.to.is_empty()
    }

    fn target(self, kind: ChannelKind) -> Result<Target, Failure> {
        let To { url, url_file, secret_file, to } = self;
        let wrong = |what: &str| Err(Failure::usage(format!("{what} is not for a channel of {kind}")));
        let url = match (url, url_file) {
            (Some(_), _) if kind == ChannelKind::Slack => {
                return Err(Failure::usage("the address of Slack is a secret, and others see command lines")
                    .hint("Put it into a file and name that: --url-file FILE, or `-` for stdin"));
            }
            (Some(url), _) => Some(Secret::from(url)),
            (None, Some(file)) => Some(secret_from(&file)?),
            (None, None) => None,
        };
        let needed = || Failure::usage(format!("where is the channel of {kind}?"));
        match kind {
            ChannelKind::Mail if url.is_some() || secret_file.is_some() => wrong("an address or a secret"),
            ChannelKind::Mail if to.is_empty() => Err(needed().hint("Name mailboxes: --to ann@example.org")),
            ChannelKind::Mail => Ok(Target::Mail(MailTarget { to })),
            _ if !to.is_empty() => wrong("a mailbox"),
            ChannelKind::Slack if secret_file.is_some() => wrong("a secret to sign with"),
            ChannelKind::Slack => {
                let url = url.ok_or_else(|| needed().hint("Name a file with Slack's address: --url-file FILE"))?;
                Ok(Target::Slack(SlackTarget { url }))
            }
            ChannelKind::Webhook => {
                let url = url.ok_or_else(|| needed().hint("Name its address: --url URL, or --url-file FILE"))?;
                let secret = secret_file.as_deref().map(secret_from).transpose()?;
                Ok(Target::Webhook(WebhookTarget { url, secret }))
            }
        }
    }
}

/// What a file holds, without the end of its line; `-` is stdin.
pub(super) fn secret_from(file: &Path) -> Result<Secret, Failure> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(|e| Failure::file("read", Path::new("stdin"), &e))?;
        text
    } else {
        std::fs::read_to_string(file).map_err(|e| Failure::file("read", file, &e))?
    };
    match text.trim() {
        "" => Err(Failure::usage(format!("{} is empty", file.display()))),
        text => Ok(Secret::from(text.to_owned())),
    }
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let (out, connection) = (&context.out, context.connect()?);
    match args.command {
        Command::List(request) => {
            let all = connection.call::<List>(&request).await?;
            if out.json {
                return out.document(&all);
            }
            if all.is_empty() {
                out.remark("there are no channels: nobody is told what happens");
                return Ok(());
            }
            out.line(table(context, &all))
        }
        Command::Create(new) => {
            let New { kind, name, app, environments, topics, to } = *new;
            let topics = (!topics.is_empty()).then_some(topics);
            let request = CreateRequest { app, name, target: to.target(kind)?, topics, environments };
            let made = connection.call::<Create>(&request).await?;
            if out.json {
                return out.document(&made);
            }
            let channel = &made.channel;
            out.line(format!("{} tells {} of {}", channel.id, clean(&channel.name), place(channel)))?;
            if let Some(secret) = &made.secret {
                out.remark("the receiver checks signatures with this secret; it is shown this once:");
                out.line(secret)?;
            }
            out.remark(format!("see whether it arrives: plimsoll channels test {}", channel.id));
            Ok(())
        }
        Command::Update(change) => {
            let Change { channel, name, enable, disable, environments, all_environments, topics, to } = *change;
            let mut request = UpdateRequest { name, ..UpdateRequest::of(channel.clone()) };
            request.enabled = enable.then_some(true).or(disable.then_some(false));
            request.topics = (!topics.is_empty()).then_some(topics);
            request.environments = (all_environments || !environments.is_empty()).then_some(environments);
            if to.is_given() {
                let all = connection.call::<List>(&ListRequest::default()).await?;
                let kind = all.iter().find(|known| known.id == channel).map(|known| known.kind);
                // One that is not there is told so by the server.
                let guess = if to.to.is_empty() { ChannelKind::Webhook } else { ChannelKind::Mail };
                request.target = Some(to.target(kind.unwrap_or(guess))?);
            }
            let changed = connection.call::<Update>(&request).await?;
            match out.json {
                true => out.document(&changed),
                false => out.line(format!("{} is changed: {}", changed.id, state(&changed).0)),
            }
        }
        Command::Remove(Gone { request, yes }) => {
            confirm(yes, &format!("Removing {}, with the record of what was sent", request.channel))?;
            let gone = connection.call::<Remove>(&request).await?;
            match out.json {
                true => out.document(&gone),
                false => out.line(format!("removed {}: {}", gone.id, clean(&gone.name))),
            }
        }
        Command::Test(request) => {
            let tested = connection.call::<Test>(&request).await?;
            if out.json {
                return out.document(&tested);
            }
            let status = tested.status.map(|status| format!(" ({status})")).unwrap_or_default();
            let word = if tested.arrived { "arrived" } else { "did not arrive" };
            out.line(format!("it {word}{status} after {} ms: {}", tested.took_ms, clean(&tested.said)))
        }
        Command::Deliveries(request) => {
            let page = connection.call::<deliveries::List>(&request).await?;
            if out.json {
                return out.document(&page);
            }
            if page.items.is_empty() {
                out.remark("nothing was sent to this channel");
                return Ok(());
            }
            out.line(sent(context, &page.items))?;
            if let Some(next) = page.next {
                out.remark(format!("more: --cursor {next}"));
            }
            Ok(())
        }
        Command::Resend(request) => {
            let again = connection.call::<Resend>(&request).await?;
            match out.json {
                true => out.document(&again),
                false => out.line(format!("{} is sent again", again.id)),
            }
        }
    }
}

fn place(channel: &Channel) -> String {
    match &channel.app {
        Some(app) => app.to_string(),
        None => "all apps".to_owned(),
    }
}

fn state(channel: &Channel) -> (String, Tone) {
    match (channel.enabled, channel.failing_since) {
        (false, _) => ("disabled".to_owned(), Tone::Plain),
        (true, None) => ("enabled".to_owned(), Tone::Good),
        (true, Some(since)) => (format!("failing since {}", text::local(since)), Tone::Bad),
    }
}

fn table(context: &Context, all: &[Channel]) -> String {
    let mut table = Table::new(&context.out, &["id", "name", "kind", "of", "to", "topics", "state"]);
    for channel in all {
        let to = channel.address.clone().unwrap_or_else(|| channel.to.join(", "));
        let topics: Vec<&str> = channel.topics.iter().map(|topic| topic.as_str()).collect();
        let plain = |text: String| (text, Tone::Plain);
        table.row([
            plain(channel.id.to_string()),
            plain(clean(&channel.name)),
            plain(channel.kind.to_string()),
            plain(place(channel)),
            plain(clean(&to)),
            plain(topics.join(" ")),
            state(channel),
        ]);
    }
    table.keep_whole(0);
    table.render()
}

fn sent(context: &Context, all: &[Delivery]) -> String {
    let mut table = Table::new(&context.out, &["id", "when", "what", "state", "tried", "answer"]);
    for delivery in all {
        let tone = match delivery.state {
            DeliveryState::Waiting => Tone::Waiting,
            DeliveryState::Sent => Tone::Good,
            DeliveryState::Failed => Tone::Bad,
            DeliveryState::Dropped => Tone::Plain,
        };
        let state = match delivery.due_at {
            Some(due) => format!("{} until {}", delivery.state, text::local(due)),
            None => delivery.state.to_string(),
        };
        let status = delivery.status.map(|status| status.to_string());
        let plain = |text: String| (text, Tone::Plain);
        table.row([
            plain(delivery.id.to_string()),
            plain(text::local(delivery.created_at)),
            plain(clean(&delivery.title)),
            (state, tone),
            plain(delivery.attempts.to_string()),
            plain(delivery.error.as_deref().map(clean).or(status).unwrap_or_default()),
        ]);
    }
    table.keep_whole(0);
    table.render()
}
