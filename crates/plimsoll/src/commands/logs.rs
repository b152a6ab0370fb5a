//! `plimsoll logs`: what the instances of an environment print.

use operations::logs::{LogLine, Read, ReadRequest};
use operations::{Operation, stream};

use super::Context;
use crate::failure::Failure;
use crate::follow::parse;
use crate::listen::{Heard, listen};
use crate::text::{Paint, clean, clock};

const EXAMPLES: &str = "\
Examples:
  plimsoll logs                          the last 50 lines of this app
  plimsoll logs -f                       and what follows, until Ctrl-C
  plimsoll logs -n 200 --component web --env staging
  plimsoll logs --app shop --json";

#[derive(Debug, clap::Args)]
#[command(about = Read::SUMMARY, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) request: ReadRequest,
    /// Go on with what comes, until Ctrl-C.
    #[arg(long, short)]
    follow: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let connection = context.connect()?;
    let request = args.request;
    if !args.follow {
        let page = connection.call::<Read>(&request).await?;
        if page.lines.is_empty() {
            context.out.remark(format!("{} of {} has printed nothing", request.environment, request.app));
        }
        return page.lines.iter().try_for_each(|line| show(context, line));
    }
    let mut path = format!("{}?limit={}", stream::logs_path(&request.app, &request.environment), request.limit);
    if let Some(component) = &request.component {
        path.push_str(&format!("&component={component}"));
    }
    let mut heard = listen(connection, path, request.after);
    while let Some(heard) = heard.recv().await {
        match heard {
            Heard::Message(message) => {
                if let Some(line) = parse::<LogLine>(&message.data) {
                    show(context, &line)?;
                }
            }
            Heard::Away => context.out.remark("the server is away, reconnecting…"),
            Heard::Back => context.out.remark("the server is back"),
            Heard::End => break,
            Heard::Lost(error) => return Err(error.into()),
        }
    }
    Ok(())
}

pub(super) fn show(context: &Context, line: &LogLine) -> Result<(), Failure> {
    match context.out.json {
        true => context.out.record(line),
        false => context.out.line(render(line, context.out.paint)),
    }
}

fn render(line: &LogLine, paint: Paint) -> String {
    let source = clean(&line.source);
    let text = clean(&line.text);
    let text = match line.stream {
        operations::logs::Stream::Plimsoll => paint.dim(text),
        operations::logs::Stream::Stdout | operations::logs::Stream::Stderr => text,
    };
    format!("{} {} {text}", paint.dim(clock(line.at)), paint.tag(&source))
}
