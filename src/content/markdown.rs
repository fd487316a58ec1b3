//! Markdown with slots to two Handlebars templates that say the same: one of HTML, one of plain text.
//!
//! Runs when a set is compiled, never per person. Raw HTML and pictures become text, so nothing is loaded from
//! anywhere and nothing can track. Every block tag opens and closes among the same siblings, hence any choice of
//! branches gives well-formed HTML.
//!
//! The templates are *coded*: a line end, `{`, `\` and `}` of literal text are the control characters 1 to 4 (which no
//! source can hold), so that tags and text cannot be confused; [`uncode`] makes of them what Handlebars takes.

use super::resolve::{Resolved, SLOT, Slot};
use super::scan::Fault;
use pulldown_cmark::{Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd, TextMergeStream};

#[derive(Clone, Debug)]
pub(super) enum Block {
    /// `bare`: the text of a list item without blank lines between.
    Paragraph {
        inline: Vec<Inline>,
        bare: bool,
    },
    Heading(u8, Vec<Inline>),
    List {
        start: Option<u64>,
        items: Vec<Item>,
    },
    Quote(Vec<Block>),
    Code(Vec<Inline>),
    Rule,
    Mark(usize),
}

#[derive(Clone, Debug)]
pub(super) enum Item {
    Blocks(Vec<Block>),
    Mark(usize),
}

#[derive(Clone, Debug)]
pub(super) enum Inline {
    Text(String),
    Slot(usize),
    Soft,
    Hard,
    Node(Style, Vec<Inline>),
}

#[derive(Clone, Debug)]
pub(super) enum Style {
    Strong,
    Emphasis,
    Code,
    Link(String),
}

#[derive(Debug)]
pub(super) struct Document(pub(super) Vec<Block>);

/// Literal text as a coded template holds it.
pub(super) fn code(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' => '\u{1}',
            '{' => '\u{2}',
            '\\' => '\u{3}',
            '}' => '\u{4}',
            other => other,
        })
        .collect()
}

/// A coded template as Handlebars takes it: braces, and line ends beside a tag (which it would trim), become the helpers
/// `nl`, `nl2`, `lb`, `bs` and `rb`, which print them.
pub(super) fn uncode(coded: &str) -> String {
    let mut out = String::with_capacity(coded.len() + 64);
    let mut rest = coded;
    while let Some((before, code, after)) = next_code(rest) {
        out.push_str(before);
        let beside_tag =
            after.starts_with(['{', ' ', '\t', '\u{1}', '\u{2}', '\u{3}', '\u{4}']) || out.ends_with(['}', ' ', '\t']);
        out.push_str(match code {
            '\u{1}' if beside_tag => "{{nl}}",
            '\u{1}' => "\n",
            '\u{2}' => "{{lb}}",
            '\u{3}' => "{{bs}}",
            _ => "{{rb}}",
        });
        rest = after;
    }
    out.push_str(rest);
    // A paragraph's end is the usual case; one call is cheaper than two.
    out.replace("{{nl}}{{nl}}", "{{nl2}}")
}

/// What stands before the first code, the code, and what follows.
fn next_code(text: &str) -> Option<(&str, char, &str)> {
    let (before, from) = text.split_at(text.find(['\u{1}', '\u{2}', '\u{3}', '\u{4}'])?);
    let mut chars = from.chars();
    Some((before, chars.next()?, chars.as_str()))
}

/// Reads Markdown with slots, and checks that blocks close where they open.
pub(super) fn parse(resolved: &Resolved) -> Result<Document, Vec<Fault>> {
    let mut reader = Reader {
        slots: &resolved.slots,
        events: TextMergeStream::new(Parser::new_ext(&resolved.source, Options::empty())),
        faults: Vec::new(),
        depth: 0,
    };
    let blocks = reader.blocks();
    let mut faults = reader.faults;
    let document = Document(gather_lists(blocks, &resolved.slots));
    check_blocks(&document.0, &resolved.slots, &mut faults);
    if faults.is_empty() { Ok(document) } else { Err(faults) }
}

/// Cuts literal text at its slots.
pub(super) fn split(text: &str) -> Vec<Inline> {
    let mut out = Vec::new();
    for (at, part) in text.split(SLOT).enumerate() {
        let (number, literal) = if at == 0 { ("", part) } else { part.split_once('Q').unwrap_or(("", part)) };
        if let Ok(slot) = number.parse() {
            out.push(Inline::Slot(slot));
        }
        if !literal.is_empty() {
            out.push(Inline::Text(literal.to_owned()));
        }
    }
    out
}

struct Reader<'a> {
    slots: &'a [Slot],
    events: TextMergeStream<'a, Parser<'a>>,
    faults: Vec<Fault>,
    depth: usize,
}

/// Deeper than any notice is, and far from the end of the stack.
const DEEPEST: usize = 40;

impl Reader<'_> {
    /// The blocks up to the end of what encloses them. Inline events without a paragraph belong to a tight item.
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is no block is inline, whatever the parser adds")]
    fn blocks(&mut self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut loose: Vec<Inline> = Vec::new();
        if self.is_too_deep() {
            return blocks;
        }
        self.depth += 1;
        while let Some(event) = self.events.next() {
            let block = match event {
                Event::Start(Tag::Paragraph) => {
                    let inline = self.inline();
                    match inline.as_slice() {
                        [Inline::Slot(n)] if self.is_block_tag(*n) => Block::Mark(*n),
                        _ => Block::Paragraph { inline, bare: false },
                    }
                }
                Event::Start(Tag::Heading { level, .. }) => Block::Heading(level_number(level), self.inline()),
                Event::Start(Tag::BlockQuote(_)) => Block::Quote(self.blocks()),
                Event::Start(Tag::CodeBlock(_) | Tag::HtmlBlock) => {
                    let mut inline = self.inline();
                    if let Some(Inline::Text(last)) = inline.last_mut() {
                        *last = last.trim_end().to_owned();
                    }
                    Block::Code(inline)
                }
                Event::Start(Tag::List(start)) => Block::List { start, items: self.items() },
                Event::Rule => Block::Rule,
                Event::End(_) => break,
                inline => {
                    self.one_inline(inline, &mut loose);
                    continue;
                }
            };
            if !loose.is_empty() {
                blocks.push(Block::Paragraph { inline: std::mem::take(&mut loose), bare: true });
            }
            blocks.push(block);
        }
        if !loose.is_empty() {
            blocks.push(Block::Paragraph { inline: loose, bare: true });
        }
        self.depth -= 1;
        blocks
    }

    fn items(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        while let Some(event) = self.events.next() {
            if matches!(event, Event::End(TagEnd::List(_))) {
                break;
            }
            if matches!(event, Event::Start(Tag::Item)) {
                items.push(Item::Blocks(self.blocks()));
            }
        }
        items
    }

    fn inline(&mut self) -> Vec<Inline> {
        let mut out = Vec::new();
        if self.is_too_deep() {
            return out;
        }
        self.depth += 1;
        while let Some(event) = self.events.next() {
            if matches!(event, Event::End(_)) {
                break;
            }
            self.one_inline(event, &mut out);
        }
        self.depth -= 1;
        out
    }

    /// Passes over what is nested too deeply to be read by recursion.
    #[expect(clippy::wildcard_enum_match_arm, reason = "only the nesting matters")]
    fn is_too_deep(&mut self) -> bool {
        if self.depth < DEEPEST {
            return false;
        }
        self.faults.push((0, "quotes, lists or emphasis are nested too deeply; make it simpler".to_owned()));
        let mut open = 0usize;
        for event in self.events.by_ref() {
            match event {
                Event::Start(_) => open += 1,
                Event::End(_) if open == 0 => break,
                Event::End(_) => open -= 1,
                _ => {}
            }
        }
        true
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "events of extensions that are switched off")]
    fn one_inline(&mut self, event: Event<'_>, out: &mut Vec<Inline>) {
        match event {
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => out.extend(split(&text)),
            Event::Code(text) => out.push(Inline::Node(Style::Code, split(&text))),
            Event::SoftBreak => out.push(Inline::Soft),
            Event::HardBreak => out.push(Inline::Hard),
            Event::Start(Tag::Strong) => out.push(Inline::Node(Style::Strong, self.inline())),
            Event::Start(Tag::Emphasis) => out.push(Inline::Node(Style::Emphasis, self.inline())),
            Event::Start(Tag::Link { link_type, dest_url, .. }) => {
                let inner = self.inline();
                let scheme = if link_type == LinkType::Email { "mailto:" } else { "" };
                let target = self.target(&format!("{scheme}{dest_url}"));
                out.push(Inline::Node(Style::Link(target), inner));
            }
            // A picture keeps its alternative text; nothing else starts inline with the extensions switched off.
            Event::Start(_) => out.extend(self.inline()),
            _ => {}
        }
    }

    /// The address of a link: fixed, and of a kind that is safe to press.
    fn target(&mut self, url: &str) -> String {
        let mut target = String::new();
        for part in split(url) {
            match part {
                Inline::Text(text) => target.push_str(&text),
                Inline::Slot(n) => match self.slots.get(n) {
                    Some(Slot::Fixed(text)) => target.push_str(text),
                    _ => self
                        .faults
                        .push((0, "a link's address has a person's value in it; write it in the text".to_owned())),
                },
                Inline::Soft | Inline::Hard | Inline::Node(..) => {}
            }
        }
        let lower = target.to_ascii_lowercase();
        if !["https://", "http://", "mailto:", "tel:"].iter().any(|scheme| lower.starts_with(scheme)) {
            let message = format!("the link to `{target}` must begin with https://, http://, mailto: or tel:");
            self.faults.push((0, message));
        }
        target
    }

    fn is_block_tag(&self, slot: usize) -> bool {
        matches!(self.slots.get(slot), Some(Slot::Open { .. } | Slot::Else { .. } | Slot::Close { .. }))
    }
}

fn level_number(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

/// One list out of `{{#each}}` around a list, and out of lists some of which stand in a block: a screen reader then
/// announces it once, with all its items. Lists that all depend on a choice stay apart, or an empty one could remain.
fn gather_lists(blocks: Vec<Block>, slots: &[Slot]) -> Vec<Block> {
    let mut out: Vec<Block> = Vec::new();
    let mut rest = blocks.as_slice();
    while let Some((first, after)) = rest.split_first() {
        let (mut items, mut certain, mut left) = (Vec::new(), false, rest);
        while let Some(run) = list_run(left, slots) {
            items.extend(run.items);
            certain |= run.certain;
            left = run.after;
        }
        if certain {
            out.push(Block::List { start: None, items: gather_items(items, slots) });
            rest = left;
            continue;
        }
        out.push(match first {
            Block::Quote(inner) => Block::Quote(gather_lists(inner.clone(), slots)),
            Block::List { start, items } => Block::List { start: *start, items: gather_items(items.clone(), slots) },
            Block::Paragraph { .. } | Block::Heading(..) | Block::Code(_) | Block::Rule | Block::Mark(_) => {
                first.clone()
            }
        });
        rest = after;
    }
    out
}

fn gather_items(items: Vec<Item>, slots: &[Slot]) -> Vec<Item> {
    items
        .into_iter()
        .map(|item| match item {
            Item::Blocks(blocks) => Item::Blocks(gather_lists(blocks, slots)),
            mark => mark,
        })
        .collect()
}

struct ListRun<'b> {
    items: Vec<Item>,
    /// It has an item for everybody.
    certain: bool,
    after: &'b [Block],
}

/// One unordered list, or one block whose branches hold nothing but such lists.
fn list_run<'b>(blocks: &'b [Block], slots: &[Slot]) -> Option<ListRun<'b>> {
    let mut items = Vec::new();
    let mut depth = 0usize;
    let mut lists = 0;
    let mut certain = false;
    for (at, block) in blocks.iter().enumerate() {
        if let Block::List { start: None, items: inner } = block {
            lists += 1;
            certain |= depth == 0;
            items.extend(inner.iter().cloned());
        } else if let Block::Mark(n) = block {
            match slots.get(*n)? {
                Slot::Open { each, .. } => {
                    certain |= depth == 0 && *each;
                    depth += 1;
                }
                Slot::Close { .. } => depth = depth.checked_sub(1)?,
                Slot::Else { .. } if depth > 0 => {}
                Slot::Else { .. } | Slot::Fixed(_) | Slot::Coded(_) | Slot::Value(_) => return None,
            }
            items.push(Item::Mark(*n));
        } else {
            return None;
        }
        if depth == 0 {
            return (lists > 0).then(|| ListRun { items, certain, after: blocks.split_at(at + 1).1 });
        }
    }
    None
}

/// Every block tag closes among its siblings.
fn check_blocks(blocks: &[Block], slots: &[Slot], faults: &mut Vec<Fault>) {
    let marks = blocks.iter().filter_map(|b| if let Block::Mark(n) = b { Some(*n) } else { None });
    check_marks(marks, slots, faults);
    for block in blocks {
        match block {
            Block::Paragraph { inline, .. } | Block::Heading(_, inline) | Block::Code(inline) => {
                check_inline(inline, slots, faults);
            }
            Block::Quote(inner) => check_blocks(inner, slots, faults),
            Block::List { items, .. } => {
                let marks = items.iter().filter_map(|i| if let Item::Mark(n) = i { Some(*n) } else { None });
                check_marks(marks, slots, faults);
                for item in items {
                    if let Item::Blocks(inner) = item {
                        check_blocks(inner, slots, faults);
                    }
                }
            }
            Block::Rule | Block::Mark(_) => {}
        }
    }
}

fn check_inline(inline: &[Inline], slots: &[Slot], faults: &mut Vec<Fault>) {
    let marks = inline.iter().filter_map(|i| if let Inline::Slot(n) = i { Some(*n) } else { None });
    check_marks(marks, slots, faults);
    for part in inline {
        if let Inline::Node(_, inner) = part {
            check_inline(inner, slots, faults);
        }
    }
}

fn check_marks(marks: impl Iterator<Item = usize>, slots: &[Slot], faults: &mut Vec<Fault>) {
    let message = "this block must open and close in the same paragraph, or stand with each tag alone on a line around \
                   whole paragraphs or list items (indented by fewer than four blanks)";
    let mut open = Vec::new();
    for mark in marks {
        match slots.get(mark) {
            Some(Slot::Open { line, .. }) => open.push(*line),
            Some(Slot::Else { line, .. }) if open.is_empty() => faults.push((*line, message.to_owned())),
            Some(Slot::Close { line, .. }) if open.pop().is_none() => faults.push((*line, message.to_owned())),
            _ => {}
        }
    }
    faults.extend(open.into_iter().map(|line| (line, message.to_owned())));
}
