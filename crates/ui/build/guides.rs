//! The documents of `docs/` as blocks of text, in the shape of `domain::guide`: what is shown holds no markup.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use serde_json::{Map, Value, json};

type Pages = BTreeMap<String, String>;

/// In this order; what is not named here follows, by name.
const FIRST: [&str; 4] = ["guide", "access", "runbook", "errors"];

/// All guides as JSON.
pub(super) fn read(docs: &Path) -> Result<String, Box<dyn Error>> {
    let mut pages = Pages::new();
    for entry in std::fs::read_dir(docs)? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).map(str::to_owned);
        if let (Some(name), Some("md")) = (name, path.extension().and_then(|end| end.to_str())) {
            pages.insert(name, std::fs::read_to_string(&path)?);
        }
    }
    let mut names: Vec<&String> = pages.keys().collect();
    names.sort_by_key(|name| FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len()));
    let guides: Vec<Value> = names.iter().map(|name| guide(name, &pages)).collect::<Result<_, _>>()?;
    Ok(Value::from(guides).to_string())
}

fn guide(page: &str, pages: &Pages) -> Result<Value, Box<dyn Error>> {
    let markdown = pages.get(page).ok_or("a page is gone")?;
    let mut reading = Reading {
        page,
        pages,
        sections: Vec::new(),
        ids: BTreeMap::new(),
        lists: Vec::new(),
        item: None,
        spans: Vec::new(),
        strong: 0,
        emphasis: 0,
        link: None,
        code: None,
        row: Vec::new(),
        rows: Vec::new(),
    };
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        reading.take(event).map_err(|e| format!("docs/{page}.md: {e}"))?;
    }
    let title = reading.sections.first().map(|section| section.title.clone()).ok_or("a page without a heading")?;
    let sections: Vec<Value> = reading.sections.into_iter().map(Section::json).collect();
    Ok(json!({ "page": page, "title": title, "sections": sections }))
}

struct Section {
    id: String,
    level: u8,
    title: String,
    blocks: Vec<Value>,
}

impl Section {
    fn json(self) -> Value {
        let Section { id, level, title, blocks } = self;
        json!({ "id": id, "level": level, "title": title, "blocks": blocks })
    }
}

/// What has been read of a page, and where in it one is.
struct Reading<'a> {
    page: &'a str,
    pages: &'a Pages,
    sections: Vec<Section>,
    /// How many headings came before that would have the same id.
    ids: BTreeMap<String, usize>,
    /// The number of the next item, for each list that is open.
    lists: Vec<Option<u64>>,
    /// An item that has begun and has no text yet, and its number.
    item: Option<Option<u64>>,
    spans: Vec<Value>,
    strong: usize,
    emphasis: usize,
    link: Option<String>,
    /// Language and lines of the code that is open.
    code: Option<(Option<String>, String)>,
    /// Cells of the row that is open, and rows of the table.
    row: Vec<Value>,
    rows: Vec<Value>,
}

impl Reading<'_> {
    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => match &mut self.code {
                Some((_, lines)) => {
                    lines.push_str(&text);
                    Ok(())
                }
                None => {
                    self.say(&text, false);
                    Ok(())
                }
            },
            Event::Code(text) => {
                self.say(&text, true);
                Ok(())
            }
            Event::SoftBreak | Event::HardBreak => {
                self.say(" ", false);
                Ok(())
            }
            Event::Rule => Ok(()),
            other => Err(format!("there is no block for {other:?}")),
        }
    }

    fn start(&mut self, tag: Tag<'_>) -> Result<(), String> {
        match tag {
            Tag::Heading { .. } | Tag::Paragraph | Tag::BlockQuote(_) | Tag::HtmlBlock => self.flush()?,
            Tag::CodeBlock(kind) => {
                self.flush()?;
                let language = match kind {
                    CodeBlockKind::Fenced(language) if !language.is_empty() => Some(language.to_string()),
                    CodeBlockKind::Fenced(_) | CodeBlockKind::Indented => None,
                };
                self.code = Some((language, String::new()));
            }
            Tag::List(first) => {
                self.flush()?;
                self.lists.push(first);
            }
            Tag::Item => {
                self.flush()?;
                let next = self.lists.last_mut().ok_or("an item without a list")?;
                self.item = Some(*next);
                *next = next.map(|number| number + 1);
            }
            Tag::Table(_) => {
                self.flush()?;
                if !self.lists.is_empty() {
                    return Err("a table in a list".to_owned());
                }
                self.rows.clear();
            }
            Tag::TableHead | Tag::TableRow => self.row.clear(),
            Tag::TableCell => self.spans.clear(),
            Tag::Emphasis => self.emphasis += 1,
            Tag::Strong => self.strong += 1,
            Tag::Link { dest_url, .. } => self.link = self.resolve(&dest_url),
            // Its words in its place.
            Tag::Image { .. } => {}
            other => return Err(format!("there is no block for {other:?}")),
        }
        Ok(())
    }

    fn end(&mut self, tag: TagEnd) -> Result<(), String> {
        match tag {
            TagEnd::Heading(level) => {
                let title: String =
                    self.spans.drain(..).filter_map(|s| s["text"].as_str().map(str::to_owned)).collect();
                let id = self.id(&title);
                self.sections.push(Section { id, level: level as u8, title, blocks: Vec::new() });
            }
            TagEnd::Paragraph | TagEnd::BlockQuote(_) | TagEnd::HtmlBlock => self.flush()?,
            TagEnd::CodeBlock => {
                let (language, text) = self.code.take().ok_or("code ends that did not begin")?;
                self.begin_item()?;
                let mut block = json!({ "kind": "code", "depth": self.lists.len(), "text": text.trim_end() });
                if let (Some(language), Some(block)) = (language, block.as_object_mut()) {
                    block.insert("language".to_owned(), language.into());
                }
                self.push(block)?;
            }
            TagEnd::List(_) => {
                self.flush()?;
                self.lists.pop();
            }
            TagEnd::Item => {
                self.flush()?;
                self.begin_item()?;
            }
            TagEnd::TableCell => self.row.push(std::mem::take(&mut self.spans).into()),
            TagEnd::TableHead | TagEnd::TableRow => self.rows.push(std::mem::take(&mut self.row).into()),
            TagEnd::Table => {
                let mut rows = std::mem::take(&mut self.rows);
                let head = rows.remove(0);
                self.push(json!({ "kind": "table", "head": head, "rows": rows }))?;
            }
            TagEnd::Emphasis => self.emphasis -= 1,
            TagEnd::Strong => self.strong -= 1,
            TagEnd::Link => self.link = None,
            _ => {}
        }
        Ok(())
    }

    /// Adds to the text that is open, to its last span if that looks the same.
    fn say(&mut self, text: &str, code: bool) {
        let mut look = Map::new();
        for (name, so) in [("code", code), ("strong", self.strong > 0), ("emphasis", self.emphasis > 0)] {
            if so {
                look.insert(name.to_owned(), true.into());
            }
        }
        if let Some(link) = &self.link {
            look.insert("link".to_owned(), link.clone().into());
        }
        if let Some(Value::Object(last)) = self.spans.last_mut() {
            let before = last.remove("text");
            let joined = format!("{}{text}", before.as_ref().and_then(Value::as_str).unwrap_or_default());
            if *last == look {
                last.insert("text".to_owned(), joined.into());
                return;
            }
            last.extend(before.map(|before| ("text".to_owned(), before)));
        }
        look.insert("text".to_owned(), text.into());
        self.spans.push(look.into());
    }

    /// What was said so far is a block.
    fn flush(&mut self) -> Result<(), String> {
        if self.spans.is_empty() {
            return Ok(());
        }
        let spans = std::mem::take(&mut self.spans);
        match self.item.take() {
            Some(number) => self.push_item(number, spans),
            None => self.push(json!({ "kind": "text", "depth": self.lists.len(), "spans": spans })),
        }
    }

    /// An item that begins with something else than text is one all the same.
    fn begin_item(&mut self) -> Result<(), String> {
        match self.item.take() {
            Some(number) => self.push_item(number, Vec::new()),
            None => Ok(()),
        }
    }

    fn push_item(&mut self, number: Option<u64>, spans: Vec<Value>) -> Result<(), String> {
        let mut block = json!({ "kind": "item", "depth": self.lists.len(), "spans": spans });
        if let (Some(number), Some(block)) = (number, block.as_object_mut()) {
            block.insert("number".to_owned(), number.into());
        }
        self.push(block)
    }

    fn push(&mut self, block: Value) -> Result<(), String> {
        let section = self.sections.last_mut().ok_or("something stands before the first heading")?;
        section.blocks.push(block);
        Ok(())
    }

    /// As forges make them of headings, so that links hold here and there.
    fn id(&mut self, title: &str) -> String {
        let word = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let id = title.to_lowercase().chars().filter(word).collect::<String>().replace(' ', "-");
        let times = self.ids.entry(id.clone()).or_default();
        *times += 1;
        if *times == 1 { id } else { format!("{id}-{}", *times - 1) }
    }

    /// Where a link leads; nowhere when that is a file of the repository, which is not in the binary.
    fn resolve(&self, to: &str) -> Option<String> {
        if to.starts_with("https://") || to.starts_with("http://") {
            return Some(to.to_owned());
        }
        if to == "../openapi.json" {
            return Some("/openapi.json".to_owned());
        }
        let (file, section) = to.split_once('#').map_or((to, None), |(file, section)| (file, Some(section)));
        let page = if file.is_empty() { self.page } else { file.strip_suffix(".md")? };
        self.pages.contains_key(page).then(|| match section {
            Some(section) => format!("/guides/{page}#{section}"),
            None => format!("/guides/{page}"),
        })
    }
}
