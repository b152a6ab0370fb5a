//! `plimsoll guides`: the documents that come with the server.

use domain::guide::{Block, Contents, Guide, Section, Span};
use operations::Operation;
use operations::guides::{FEW, Get, GetRequest, List, ListRequest, Search, SearchRequest};

use super::Context;
use crate::failure::Failure;
use crate::table::Table;
use crate::text::{clean, count};

const EXAMPLES: &str = "\
Examples:
  plimsoll guides list
  plimsoll guides show runbook
  plimsoll guides show guide#the-queue
  plimsoll guides search health checks";

/// List, read and search the guides: how Plimsoll is used and run.
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
    Show(Show),
    #[command(about = Search::SUMMARY, after_help = EXAMPLES)]
    Search(Words),
}

#[derive(Debug, clap::Args)]
struct Show {
    /// Name of the guide; with `#SECTION` only that section and those below it.
    #[arg(value_name = "GUIDE[#SECTION]")]
    of: String,
}

#[derive(Debug, clap::Args)]
struct Words {
    /// All of them must be there; the beginning of a word is enough.
    #[arg(required = true, value_name = "WORDS")]
    words: Vec<String>,
    /// So many sections at most.
    #[arg(long, default_value_t = FEW)]
    limit: u32,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let connection = context.connect()?;
    match args.command {
        Command::List(request) => {
            let guides = connection.call::<List>(&request).await?;
            match context.out.json {
                true => context.out.document(&guides),
                false => guides.iter().try_for_each(|guide| contents(context, guide)),
            }
        }
        Command::Show(Show { of }) => {
            let (page, section) = match of.split_once('#') {
                Some((page, section)) => (page.to_owned(), Some(section.to_owned())),
                None => (of, None),
            };
            let guide = connection.call::<Get>(&GetRequest { page, section }).await?;
            match context.out.json {
                true => context.out.document(&guide),
                false => read(context, &guide),
            }
        }
        Command::Search(Words { words, limit }) => {
            let request = SearchRequest { words: words.join(" "), limit };
            let hits = connection.call::<Search>(&request).await?;
            let out = &context.out;
            if out.json {
                return out.document(&hits);
            }
            if hits.is_empty() {
                out.remark("no section has all of these words");
                return Ok(());
            }
            for hit in &hits {
                let place = format!("{}#{}", clean(&hit.page), clean(&hit.section));
                out.line(format!("{}  {}", out.paint.bold(clean(&hit.title)), out.paint.cyan(place)))?;
                out.line(format!("  {}", clean(&hit.excerpt)))?;
            }
            out.remark("read one with `plimsoll guides show GUIDE#SECTION`");
            Ok(())
        }
    }
}

fn contents(context: &Context, guide: &Contents) -> Result<(), Failure> {
    let out = &context.out;
    let about = count(guide.sections.len(), "section");
    out.line(format!("{}  {}", out.paint.bold(clean(&guide.page)), out.paint.dim(about)))?;
    // The first one is the guide's own title.
    guide.sections.iter().skip(1).try_for_each(|section| {
        let indent = "  ".repeat(usize::from(section.level.saturating_sub(1)));
        let place = format!("{}#{}", clean(&guide.page), clean(&section.id));
        out.line(format!("{indent}{}  {}", clean(&section.title), out.paint.dim(place)))
    })
}

fn read(context: &Context, guide: &Guide) -> Result<(), Failure> {
    guide.sections.iter().enumerate().try_for_each(|(n, section)| {
        if n > 0 {
            context.out.line("")?;
        }
        told(context, section)
    })
}

fn told(context: &Context, section: &Section) -> Result<(), Failure> {
    let out = &context.out;
    let marks = "#".repeat(usize::from(section.level));
    out.line(out.paint.bold(format!("{marks} {}", clean(&section.title))))?;
    let mut in_list = false;
    for block in &section.blocks {
        let is_item = matches!(block, Block::Item { .. });
        // The items of a list stand together.
        if !(is_item && in_list) {
            out.line("")?;
        }
        in_list = is_item;
        match block {
            Block::Text { depth, spans } => out.line(format!("{}{}", indent(*depth), line(context, spans)))?,
            Block::Item { depth, number, spans } => {
                let mark = number.map_or("-".to_owned(), |number| format!("{number}."));
                out.line(format!("{}{mark} {}", indent(depth.saturating_sub(1)), line(context, spans)))?;
            }
            Block::Code { depth, text, .. } => {
                text.lines().try_for_each(|code| out.line(format!("{}    {}", indent(*depth), clean(code))))?;
            }
            Block::Table { head, rows } => {
                let plain = |cell: &Vec<Span>| cell.iter().map(|span| span.text.as_str()).collect::<String>();
                let head: Vec<String> = head.iter().map(plain).collect();
                let mut table = Table::new(out, &head.iter().map(String::as_str).collect::<Vec<_>>());
                rows.iter().for_each(|row| table.plain_row(row.iter().map(plain)));
                out.line(table.render())?;
            }
        }
    }
    Ok(())
}

fn indent(depth: u8) -> String {
    "  ".repeat(usize::from(depth))
}

fn line(context: &Context, spans: &[Span]) -> String {
    let paint = context.out.paint;
    let shown = |span: &Span| {
        let text = clean(&span.text);
        match span {
            Span { code: true, .. } => paint.cyan(text),
            Span { strong: true, .. } => paint.bold(text),
            // Of what is in here one reads on with `show`; an address elsewhere must be seen.
            Span { link: Some(link), .. } if !link.starts_with('/') => format!("{text} ({})", clean(link)),
            _ => text,
        }
    };
    spans.iter().map(shown).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use domain::guide::{Library, ROOT};

    use super::*;

    fn library() -> Library {
        Library::new(serde_json::from_str(ui::GUIDES).unwrap())
    }

    #[test]
    fn every_link_leads_to_a_section_that_is_there() {
        let library = library();
        assert!(library.guides().len() >= 4);
        let places: BTreeSet<String> = library
            .guides()
            .iter()
            .flat_map(|guide| {
                let page = format!("{ROOT}{}", guide.page);
                let sections = guide.sections.iter().map(|section| format!("{ROOT}{}#{}", guide.page, section.id));
                std::iter::once(page).chain(sections).collect::<Vec<_>>()
            })
            .collect();
        let mut inside = 0;
        for section in library.guides().iter().flat_map(|guide| &guide.sections) {
            for link in section.links() {
                if link.starts_with(ROOT) {
                    inside += 1;
                    assert!(places.contains(link), "{}: {link} leads nowhere", section.title);
                } else {
                    assert!(link == "/openapi.json" || link.starts_with("https://"), "{}: {link}", section.title);
                }
            }
        }
        assert!(inside > 50, "only {inside} links");
    }

    #[test]
    fn each_section_is_found_by_its_heading_and_by_nothing_twice() {
        let library = library();
        for guide in library.guides() {
            let ids: BTreeSet<&str> = guide.sections.iter().map(|section| section.id.as_str()).collect();
            assert_eq!(ids.len(), guide.sections.len(), "{}: two sections have one id", guide.page);
            for section in &guide.sections {
                let hits = library.search(&section.title, 5);
                let own = |hit: &domain::guide::Hit| hit.page == guide.page && hit.section == section.id;
                assert!(hits.iter().any(own), "{}: {:?}", section.title, hits);
                assert!(hits[0].title.to_lowercase().contains(&section.title.to_lowercase()), "{hits:?}");
            }
        }
    }

    #[test]
    fn nothing_of_a_document_is_lost() {
        let library = library();
        let guide = library.guide("guide").unwrap();
        let text: String = guide.sections.iter().map(Section::text).collect();
        let source = include_str!("../../../../docs/guide.md");
        let words = |text: &str| {
            let letters = |c: char| !c.is_alphanumeric();
            text.split(letters).filter(|word| word.len() > 3).map(str::to_owned).collect::<BTreeSet<_>>()
        };
        let titles: String = guide.sections.iter().map(|section| format!("{}\n", section.title)).collect();
        let shown = words(&format!("{text}\n{titles}"));
        // Where links lead is said apart.
        let links: String = guide.sections.iter().flat_map(Section::links).map(|link| format!("{link}\n")).collect();
        let links = words(&links);
        let lost: Vec<String> = words(source).into_iter().filter(|word| !shown.contains(word)).collect();
        let lost: Vec<&String> = lost.iter().filter(|word| !links.contains(*word)).collect();
        // Files of the repository, which are not in the binary, and the languages of code.
        let files = ["CONTRIBUTING", "examples", "openapi", "plimsoll", "schema", "tools"];
        let known = [&files[..], &["json", "toml", "bash", "console", "http"]].concat();
        let lost: Vec<_> = lost.into_iter().filter(|word| !known.contains(&word.as_str())).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }

    #[test]
    fn lists_tables_and_code_are_there() {
        let library = library();
        let blocks: Vec<&Block> = library.guides().iter().flat_map(|g| &g.sections).flat_map(|s| &s.blocks).collect();
        let count = |what: fn(&Block) -> bool| blocks.iter().filter(|block| what(block)).count();
        assert!(
            count(
                |b| matches!(b, Block::Table { head, rows } if head.len() > 1 && rows.iter().all(|row| row.len() == head.len()))
            ) > 5
        );
        assert!(count(|b| matches!(b, Block::Item { depth: 1, .. })) > 20);
        assert!(count(|b| matches!(b, Block::Item { number: Some(_), .. })) > 3);
        assert!(count(|b| matches!(b, Block::Code { text, .. } if !text.is_empty())) > 20);
        let empty = |b: &Block| matches!(b, Block::Item { spans, .. } | Block::Text { spans, .. } if spans.is_empty());
        assert_eq!(count(empty), 0);
    }
}
