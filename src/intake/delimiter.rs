//! Finds the delimiter of a list from its first lines.

use csv_core::{ReadRecordResult, ReaderBuilder};

const CANDIDATES: [u8; 4] = [b',', b';', b'\t', b'|'];
/// How many records are looked at.
const RECORDS: usize = 20;

/// What the first lines say about how the file is cut up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) delimiter: u8,
    /// The first line is Excel's `sep=;` and not the heading.
    pub(super) has_separator_line: bool,
}

/// The layout of the text; `given` is the delimiter of the incident file, which wins.
pub(super) fn layout<F>(head: &str, given: Option<u8>, field_of: impl Fn(&str) -> Option<F>) -> Layout {
    let first_line = head.lines().next().unwrap_or("").trim_end();
    let named = first_line.trim_matches('"').strip_prefix("sep=").map(str::as_bytes);
    let has_separator_line = matches!(named, Some([_]));
    let delimiter = match (given, named) {
        (Some(given), _) => given,
        (None, Some(&[named])) => named,
        (None, _) => best(head, field_of),
    };
    Layout { delimiter, has_separator_line }
}

/// How many cells of the first line are known headings, under the delimiter that makes the most of them.
pub(super) fn recognised_headings<F>(head: &str, field_of: impl Fn(&str) -> Option<F>) -> usize {
    let layout = layout(head, None, &field_of);
    let skip = usize::from(layout.has_separator_line);
    records(head, layout.delimiter).get(skip).map_or(0, |h| h.iter().filter(|c| field_of(c).is_some()).count())
}

fn best<F>(head: &str, field_of: impl Fn(&str) -> Option<F>) -> u8 {
    let mut best = (b',', (0, 0, 0));
    for candidate in CANDIDATES {
        let found = records(head, candidate);
        let Some((heading, rows)) = found.split_first() else { continue };
        if heading.len() < 2 {
            continue;
        }
        let known = heading.iter().filter(|cell| field_of(cell).is_some()).count();
        let agreeing = rows.iter().filter(|row| row.len() == heading.len()).count();
        let score = (known, agreeing, heading.len());
        if score > best.1 {
            best = (candidate, score);
        }
    }
    best.0
}

/// The first records of the text. The last may be cut where the sample ends, which does no harm among twenty.
fn records(head: &str, delimiter: u8) -> Vec<Vec<String>> {
    let mut parser = ReaderBuilder::new().delimiter(delimiter).build();
    let closed = format!("{head}\n");
    let mut input = closed.as_bytes();
    let (mut bytes, mut ends) = (vec![0; closed.len()], vec![0; 1024]);
    let mut found = Vec::new();
    while found.len() <= RECORDS {
        let (result, read, _, count) = parser.read_record(input, &mut bytes, &mut ends);
        input = &input[read..];
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let cell =
            |(start, end): (usize, usize)| String::from_utf8_lossy(bytes.get(start..end).unwrap_or(&[])).into_owned();
        let cells = starts.zip(ends.iter().copied().take(count)).map(cell).collect();
        if result != ReadRecordResult::Record {
            break;
        }
        found.push(cells);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(heading: &str) -> Option<()> {
        ["name", "email", "phone"].contains(&heading).then_some(())
    }

    #[test]
    fn the_delimiter_is_found_by_headings_and_by_records_that_agree() {
        for (text, want) in [
            ("name,email\nx,y\n", b','),
            ("name;email\n\"a,b,c\";d\n", b';'),
            ("name\temail\tphone", b'\t'),
            ("name|email\n1,2|3,4\n", b'|'),
            ("x;y\n1,5;2,5\n3,5;4,5\n", b';'),
            ("a, b;c;d\n1;2;3\n", b';'),
            ("email\na@example.org\n", b','),
            ("sep=;\r\na,b;c\n", b';'),
            ("", b','),
        ] {
            assert_eq!(layout(text, None, known).delimiter, want, "in {text:?}");
        }
        assert_eq!(layout("name,email", Some(b'#'), known).delimiter, b'#');
        assert!(layout("sep=,\nname,email", None, known).has_separator_line);
    }
}
