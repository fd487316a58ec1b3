//! The persons in a campaign's bundle, by the names that they have in the log.
//!
//! A line each: `NUMBER NAME HASH`. NUMBER is the person's number in the campaign, NAME the random one in the log, HASH that
//! of the leaf in the tree of recipients, or `-` where the list was never sealed. Numbers rise.

use super::super::super::decimal;
use super::super::super::merkle::Hash;

/// A person of the campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    pub number: u64,
    /// The name in the log, which leaves write in 32 small hexadecimal digits.
    pub name: [u8; 16],
    /// Of the leaf in the tree of recipients.
    pub leaf: Option<Hash>,
}

/// Writes a person's line.
pub fn write(out: &mut Vec<u8>, person: &Listed) {
    out.extend_from_slice(person.number.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(const_hex::encode(person.name).as_bytes());
    out.push(b' ');
    match person.leaf {
        Some(hash) => out.extend_from_slice(const_hex::encode(hash).as_bytes()),
        None => out.push(b'-'),
    }
    out.push(b'\n');
}

/// The persons of a part; what is none is an error with the number of its line, from 1.
pub fn read(part: &[u8]) -> Result<Vec<Listed>, usize> {
    let text = std::str::from_utf8(part).map_err(|_| 1usize)?;
    let mut persons: Vec<Listed> = Vec::new();
    for (line, number) in text.split_inclusive('\n').zip(1..) {
        let person = one(line).ok_or(number)?;
        if persons.last().is_some_and(|before| before.number >= person.number) {
            return Err(number);
        }
        persons.push(person);
    }
    Ok(persons)
}

fn one(line: &str) -> Option<Listed> {
    let mut words = line.strip_suffix('\n')?.split(' ');
    let (number, name, leaf) = (words.next()?, words.next()?, words.next()?);
    let small = |digits: &str| digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let name = Some(name).filter(|name| name.len() == 32 && small(name))?;
    let leaf = match leaf {
        "-" => None,
        digits => Some(const_hex::decode_to_array(Some(digits).filter(|d| d.len() == 64 && small(d))?).ok()?),
    };
    let person = Listed { number: decimal(number)?, name: const_hex::decode_to_array(name).ok()?, leaf };
    words.next().is_none().then_some(person)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn persons_have_one_form() {
        let all = [
            Listed { number: 1, name: [7; 16], leaf: Some([9; 32]) },
            Listed { number: 12, name: [8; 16], leaf: None },
        ];
        let mut out = Vec::new();
        all.iter().for_each(|person| write(&mut out, person));
        assert_eq!(read(&out).unwrap(), all);
        let good = String::from_utf8(out).unwrap();
        for (from, to, line) in [
            ("1 ", "01 ", 1),
            ("1 ", "13 ", 2),
            ("0707", "0A07", 1),
            ("0707", "07", 1),
            (" 0909", "  0909", 1),
            ("-\n", "-", 2),
            ("-\n", "\n", 2),
            ("-\n", "- -\n", 2),
        ] {
            assert_eq!(read(good.replacen(from, to, 1).as_bytes()), Err(line), "{from:?} {to:?}");
        }
    }
}
