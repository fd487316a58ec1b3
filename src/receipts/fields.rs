//! Header fields: of a message, and of the blocks inside a report, which are written alike.

/// More of them is no header any more.
const MOST_FIELDS: usize = 2_000;
const LONGEST_VALUE: usize = 16 << 10;

/// Fields in their order, names in lower case, values unfolded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads fields up to the end of the text; lines that are none are left out.
    pub(super) fn parse(text: &str) -> Fields {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in text.lines() {
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = fields.last_mut()
                    && value.len() < LONGEST_VALUE
                {
                    value.push(' ');
                    push_cut(value, line.trim());
                }
            } else if let Some((name, value)) = field(line) {
                if fields.len() >= MOST_FIELDS {
                    break;
                }
                let mut kept = String::new();
                push_cut(&mut kept, value.trim());
                fields.push((name.to_ascii_lowercase(), kept));
            }
        }
        Fields(fields)
    }

    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Name and value, if the line is a field.
pub(super) fn field(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let name = name.trim_end();
    let sound = !name.is_empty() && name.len() <= 80 && name.bytes().all(|b| b.is_ascii_graphic());
    sound.then_some((name, value))
}

fn push_cut(to: &mut String, text: &str) {
    let room = LONGEST_VALUE.saturating_sub(to.len());
    let cut = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= room).last();
    to.push_str(&text[..if text.len() <= room { text.len() } else { cut.unwrap_or(0) }]);
}
