//! From what a list or a person wrote to a telephone number in E.164, by the metadata of libphonenumber.
//!
//! Spreadsheets damage numbers in known ways; each is undone where the digits are still all there, and named where they
//! are not. An extension is dropped, and said: a message cannot dial one. Whether the line is in use is not asked.

use super::contact::{AddressProblem, is_invisible};
use super::personal::Personal;
use rlibphonenumber::enums::Region;
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat};
use std::borrow::Cow;

/// Nothing longer than this is a telephone number; it also bounds the work that a stranger's text can cause.
const LONGEST_RAW: usize = 250;

/// A number that can be dialled from anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telephone {
    pub number: Personal,
    /// The text also named an extension, which is not part of the number.
    pub extension_dropped: bool,
}

/// The number in `raw` as E.164. `country` is ISO 3166-1 alpha-2 or empty, and is used for numbers in national form.
pub fn parse_phone(raw: &str, country: &str) -> Result<Personal, AddressProblem> {
    parse_telephone(raw, country).map(|t| t.number)
}

/// As [`parse_phone`], and whether an extension was dropped.
pub fn parse_telephone(raw: &str, country: &str) -> Result<Telephone, AddressProblem> {
    let text = cleaned(raw);
    if text.is_empty() {
        return Err(AddressProblem::PhoneEmpty);
    }
    if text.len() > LONGEST_RAW {
        return Err(AddressProblem::PhoneInvalid);
    }
    let text = undo_float(&text)?;
    let region: Option<Region> = country.parse().ok();
    if let Some(found) = valid_number(&text, region) {
        return Ok(found);
    }
    // `0086...` is how most of the world writes the plus; libphonenumber reads it so only where 00 is the exit code.
    if let Some(found) = text.strip_prefix("00").and_then(|rest| valid_number(&format!("+{rest}"), None)) {
        return Ok(found);
    }
    let international = text.starts_with(['+', '＋']) || text.starts_with("00");
    Err(if region.is_none() && !international {
        AddressProblem::PhoneWithoutCountry
    } else {
        AddressProblem::PhoneInvalid
    })
}

fn valid_number(text: &str, region: Option<Region>) -> Option<Telephone> {
    let number = PHONE_NUMBER_UTIL.parse(text, region).ok()?;
    if !PHONE_NUMBER_UTIL.is_valid_number(&number) {
        return None;
    }
    let extension_dropped = number.extension.as_deref().is_some_and(|e| !e.is_empty());
    let number = Personal::new(PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164).into_owned());
    Some(Telephone { number, extension_dropped })
}

/// A number in E.164 as it is dialled within `country`, digits only; a number of another country without its plus.
pub fn dialled_within(number: &str, country: &str) -> String {
    let abroad = number.trim_start_matches('+');
    let region: Option<Region> = country.parse().ok();
    let parsed = PHONE_NUMBER_UTIL.parse(number, None).ok();
    let inside = parsed.filter(|parsed| region.is_some() && PHONE_NUMBER_UTIL.get_region_for_number(parsed) == region);
    inside.map_or_else(
        || abroad.to_owned(),
        |parsed| {
            let national = PHONE_NUMBER_UTIL.format(&parsed, PhoneNumberFormat::National);
            national.chars().filter(char::is_ascii_digit).collect()
        },
    )
}

/// Without surrounding space, invisible marks and the apostrophe by which a spreadsheet keeps a number as text.
fn cleaned(raw: &str) -> Cow<'_, str> {
    let text = raw.trim_matches(|c: char| c.is_whitespace() || is_invisible(c));
    let text = text.trim_start_matches(['\'', '’', '‘', '＇']).trim_start();
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    text.chars().filter(|c| !is_invisible(*c)).map(half_width).collect::<String>().into()
}

fn half_width(c: char) -> char {
    match c {
        '\u{3000}' => ' ',
        '\u{ff01}'..='\u{ff5e}' => u32::from(c).checked_sub(0xfee0).and_then(char::from_u32).unwrap_or(c),
        _ => c,
    }
}

/// `13800138000.0` and `1.3800138000E+10` back to digits; only when every digit is there.
fn undo_float(text: &str) -> Result<Cow<'_, str>, AddressProblem> {
    let (sign, unsigned) = match text.strip_prefix('+') {
        Some(rest) => ("+", rest),
        None => ("", text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => match exponent.strip_prefix('+').unwrap_or(exponent).parse::<usize>() {
            Ok(exponent) if exponent < 32 => (mantissa, Some(exponent)),
            _ => return Ok(Cow::Borrowed(text)),
        },
        None => (unsigned, None),
    };
    let Some((whole, fraction)) = mantissa.split_once(['.', ',']).or(exponent.map(|_| (mantissa, ""))) else {
        return Ok(Cow::Borrowed(text));
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return Ok(Cow::Borrowed(text));
    }
    match exponent {
        // A point with zeros behind a whole number is a float's; `202.5550100` stays a number written with points.
        None if whole.len() >= 7 && !fraction.is_empty() && fraction.bytes().all(|b| b == b'0') => {
            Ok(Cow::Owned(format!("{sign}{whole}")))
        }
        None => Ok(Cow::Borrowed(text)),
        Some(exponent) if fraction.len() < exponent => Err(AddressProblem::PhoneScientific),
        Some(exponent) => {
            let (kept, rest) = fraction.split_at(exponent);
            if rest.bytes().any(|b| b != b'0') {
                return Err(AddressProblem::PhoneScientific);
            }
            Ok(Cow::Owned(format!("{sign}{whole}{kept}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(raw: &str, country: &str) -> Result<String, AddressProblem> {
        parse_phone(raw, country).map(|a| a.reveal().to_owned())
    }

    #[test]
    fn usable_numbers_become_e164() {
        for (raw, country, want) in [
            ("+86 138 0013 8000", "", "+8613800138000"),
            ("138 0013 8000", "CN", "+8613800138000"),
            ("8613800138000", "CN", "+8613800138000"),
            ("0086 138 0013 8000", "CN", "+8613800138000"),
            ("0086 138 0013 8000", "US", "+8613800138000"),
            ("'+86 138 0013 8000", "CN", "+8613800138000"),
            ("＋８６ １３８ ００１３ ８０００", "CN", "+8613800138000"),
            ("\u{202d}+86 138 0013 8000\u{202c}", "", "+8613800138000"),
            ("tel:+86-138-0013-8000", "", "+8613800138000"),
            ("13800138000.0", "CN", "+8613800138000"),
            ("1.3800138000E+10", "CN", "+8613800138000"),
            ("(202) 555-0030", "US", "+12025550030"),
            ("202.555.0030", "US", "+12025550030"),
            ("0151 28159083", "DE", "+4915128159083"),
            ("07400 118609", "GB", "+447400118609"),
            ("011 81 90 1797 5432", "US", "+819017975432"),
            ("1-800-356-9377", "US", "+18003569377"),
        ] {
            assert_eq!(parsed(raw, country).as_deref(), Ok(want), "one of the forms for {country}");
        }
    }

    #[test]
    fn unusable_numbers_say_why() {
        use AddressProblem::*;
        for (raw, country, want) in [
            (" ", "CN", PhoneEmpty),
            ("'", "CN", PhoneEmpty),
            ("123", "CN", PhoneInvalid),
            ("+999 123", "CN", PhoneInvalid),
            ("0000", "DE", PhoneInvalid),
            ("unknown", "DE", PhoneInvalid),
            ("138 0013 8000", "", PhoneWithoutCountry),
            ("138 0013 8000", "??", PhoneWithoutCountry),
            ("1.38E+10", "CN", PhoneScientific),
            ("1.3800138E+10", "CN", PhoneScientific),
            ("1,38E+10", "DE", PhoneScientific),
            ("8.61E+12", "CN", PhoneScientific),
            ("+86 138 0013 8000\r\nX: y", "CN", PhoneInvalid),
        ] {
            assert_eq!(parsed(raw, country), Err(want), "the rule for {want:?}");
        }
        assert_eq!(parsed(&"1".repeat(100_000), "CN"), Err(PhoneInvalid));
    }

    #[test]
    fn an_extension_is_dropped_and_said() {
        let found = parse_telephone("+1 202 555 0030 ext. 12", "").expect("a number");
        assert_eq!((found.number.reveal(), found.extension_dropped), ("+12025550030", true));
    }

    #[test]
    fn a_number_is_dialled_as_its_country_does() {
        for (number, want) in [
            ("+8613900000000", "13900000000"),
            ("+8657188888888", "057188888888"),
            ("+14155552671", "14155552671"),
            ("+85251234567", "85251234567"),
        ] {
            assert_eq!(dialled_within(number, "CN"), want);
        }
        assert_eq!(dialled_within("+8613900000000", "XX"), "8613900000000");
    }
}
