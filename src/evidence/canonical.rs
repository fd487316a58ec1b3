//! JSON in the one form that its octets may have: what leaves and disclosures are written in.
//!
//! A part of RFC 8785 (JCS), so that any canonicaliser leaves it as it is, and small enough to be read strictly: objects,
//! arrays, strings, and whole numbers from 0 to 2^53 - 1. Keys are ASCII, sorted, and each there once; no white space, no
//! fractions, no `null`, `true` or `false`; in strings `"`, `\` and control characters are escaped, the latter by their
//! letter or as `\u00xx` in small digits, and nothing else is. A document has less than 64 KiB, since an entry bundle
//! has two octets for the length of a leaf.

/// The first length that a document must not have.
pub const TOO_LONG: usize = 1 << 16;

/// The first number that is too large: from here on not every whole number is one in JavaScript.
pub const TOO_LARGE: u64 = 1 << 53;

/// How deep arrays and objects may be nested.
const DEEPEST: usize = 16;

/// A value as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Number(u64),
    Text(String),
    List(Vec<Value>),
    Object(Object),
}

/// An object as it was read: its keys in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object(Vec<(String, Value)>);

/// Where octets are not in canonical form.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("not in canonical form at octet {at}: {problem}")]
pub struct NotCanonical {
    pub at: usize,
    pub problem: &'static str,
}

/// What a writer was given that has no canonical form. It is a fault of the program.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum CannotWrite {
    #[error("a key of a leaf is not plain ASCII, or not after the one before it")]
    KeyOrder,
    #[error("a number of a leaf is 2^53 or larger")]
    LargeNumber,
    #[error("a leaf has {length} octets; it must have fewer than 65,536")]
    TooLong { length: usize },
}

impl Object {
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.binary_search_by(|(own, _)| own.as_str().cmp(key)).ok().and_then(|at| self.0.get(at)).map(|(_, v)| v)
    }

    /// The text under a key, if it is one.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_text()
    }

    /// The number under a key, if it is one.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.as_number()
    }

    /// The object under a key, if it is one.
    pub fn object(&self, key: &str) -> Option<&Object> {
        self.get(key)?.as_object()
    }

    /// The list under a key, if it is one.
    pub fn list(&self, key: &str) -> Option<&[Value]> {
        self.get(key)?.as_list()
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }
}

impl Value {
    pub fn as_text(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    pub fn as_number(&self) -> Option<u64> {
        if let Value::Number(number) = self { Some(*number) } else { None }
    }

    pub fn as_object(&self) -> Option<&Object> {
        if let Value::Object(object) = self { Some(object) } else { None }
    }

    pub fn as_list(&self) -> Option<&[Value]> {
        if let Value::List(list) = self { Some(list) } else { None }
    }
}

/// Reads an object, as every leaf is one. What this accepts is the one way to write what it returns.
pub fn read_object(octets: &[u8]) -> Result<Object, NotCanonical> {
    match read(octets)? {
        Value::Object(object) => Ok(object),
        Value::Number(_) | Value::Text(_) | Value::List(_) => Err(NotCanonical { at: 0, problem: "not an object" }),
    }
}

/// Reads any value.
pub fn read(octets: &[u8]) -> Result<Value, NotCanonical> {
    if octets.len() >= TOO_LONG {
        return Err(NotCanonical { at: TOO_LONG, problem: "longer than 65,535 octets" });
    }
    let text =
        std::str::from_utf8(octets).map_err(|error| NotCanonical { at: error.valid_up_to(), problem: "not UTF-8" })?;
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(DEEPEST)?;
    if reader.at < text.len() { reader.fail("something follows the value") } else { Ok(value) }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn fail<T>(&self, problem: &'static str) -> Result<T, NotCanonical> {
        Err(NotCanonical { at: self.at, problem })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over the octet if it is the next one.
    fn next_is(&mut self, octet: u8) -> bool {
        let is = self.peek() == Some(octet);
        self.at += usize::from(is);
        is
    }

    fn value(&mut self, depth: usize) -> Result<Value, NotCanonical> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'0'..=b'9') => self.number().map(Value::Number),
            Some(b'[' | b'{') if depth == 0 => self.fail("nested too deep"),
            Some(b'[') => self.list(depth - 1).map(Value::List),
            Some(b'{') => self.object(depth - 1).map(Value::Object),
            _ => self.fail("here should be an object, an array, a string or a whole number"),
        }
    }

    fn number(&mut self) -> Result<u64, NotCanonical> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        let number = super::decimal(&self.text[start..self.at]).filter(|number| *number < TOO_LARGE);
        number.map_or_else(|| self.fail("a number has a leading zero, or is 2^53 or larger"), Ok)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Value>, NotCanonical> {
        let mut list = Vec::new();
        self.at += 1;
        if self.next_is(b']') {
            return Ok(list);
        }
        loop {
            list.push(self.value(depth)?);
            if self.next_is(b']') {
                return Ok(list);
            }
            if !self.next_is(b',') {
                return self.fail("here should be a comma or the end of the array");
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Object, NotCanonical> {
        let mut entries: Vec<(String, Value)> = Vec::new();
        self.at += 1;
        if self.next_is(b'}') {
            return Ok(Object(entries));
        }
        loop {
            let key = self.key()?;
            if entries.last().is_some_and(|(before, _)| *before >= key) {
                return self.fail("the key before this is there twice, or not in its place");
            }
            if !self.next_is(b':') {
                return self.fail("here should be a colon");
            }
            entries.push((key, self.value(depth)?));
            if self.next_is(b'}') {
                return Ok(Object(entries));
            }
            if !self.next_is(b',') {
                return self.fail("here should be a comma or the end of the object");
            }
        }
    }

    fn key(&mut self) -> Result<String, NotCanonical> {
        let start = self.at;
        if !self.next_is(b'"') {
            return self.fail("here should be a key");
        }
        while self.peek().is_some_and(is_plain) {
            self.at += 1;
        }
        if self.next_is(b'"') {
            return Ok(self.text[start + 1..self.at - 1].to_owned());
        }
        self.fail("a key may have printable ASCII only, and nothing to escape")
    }

    fn string(&mut self) -> Result<String, NotCanonical> {
        let mut string = String::new();
        self.at += 1;
        loop {
            let start = self.at;
            while self.peek().is_some_and(|octet| octet >= b' ' && octet != b'"' && octet != b'\\') {
                self.at += 1;
            }
            string.push_str(&self.text[start..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => string.push(self.escape()?),
                Some(_) => return self.fail("a control character is not escaped"),
                None => return self.fail("a string has no end"),
            }
        }
    }

    /// The character that an escape stands for, if that is how this character is written.
    fn escape(&mut self) -> Result<char, NotCanonical> {
        let rest = &self.text[self.at..];
        let found = (0..b' ').chain([b'"', b'\\']).find_map(|octet| {
            let written = escaped(octet)?;
            rest.starts_with(written).then_some((char::from(octet), written.len()))
        });
        let Some((sign, length)) = found else { return self.fail("no such escape, or not the way to write this") };
        self.at += length;
        Ok(sign)
    }
}

/// Printable ASCII that is written as it is.
pub(super) fn is_plain(octet: u8) -> bool {
    matches!(octet, b' '..=b'~') && octet != b'"' && octet != b'\\'
}

/// How an octet of a string is written where it is not written as it is.
fn escaped(octet: u8) -> Option<&'static str> {
    const CONTROL: [&str; 32] = [
        "\\u0000", "\\u0001", "\\u0002", "\\u0003", "\\u0004", "\\u0005", "\\u0006", "\\u0007", "\\b", "\\t", "\\n",
        "\\u000b", "\\f", "\\r", "\\u000e", "\\u000f", "\\u0010", "\\u0011", "\\u0012", "\\u0013", "\\u0014",
        "\\u0015", "\\u0016", "\\u0017", "\\u0018", "\\u0019", "\\u001a", "\\u001b", "\\u001c", "\\u001d", "\\u001e",
        "\\u001f",
    ];
    match octet {
        b'"' => Some("\\\""),
        b'\\' => Some("\\\\"),
        control => CONTROL.get(usize::from(control)).copied(),
    }
}

/// Writes a string with its quotation marks.
pub fn push_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    // What is escaped is ASCII, so that the text may be cut before and after it.
    while let Some(at) = rest.bytes().position(|octet| octet < b' ' || octet == b'"' || octet == b'\\') {
        out.push_str(&rest[..at]);
        out.push_str(rest.as_bytes().get(at).copied().and_then(escaped).unwrap_or_default());
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

/// Writes a value that was read; for what is made anew, [`Writer`] is the way.
pub fn push_value(out: &mut String, value: &Value) {
    match value {
        Value::Number(number) => push_number(out, *number),
        Value::Text(text) => push_text(out, text),
        Value::List(list) => {
            let mut sign = '[';
            for value in list {
                out.push(std::mem::replace(&mut sign, ','));
                push_value(out, value);
            }
            out.push_str(if sign == '[' { "[]" } else { "]" });
        }
        Value::Object(object) => {
            let mut sign = '{';
            for (key, value) in object.iter() {
                out.push(std::mem::replace(&mut sign, ','));
                push_text(out, key);
                out.push(':');
                push_value(out, value);
            }
            out.push_str(if sign == '{' { "{}" } else { "}" });
        }
    }
}

fn push_number(out: &mut String, number: u64) {
    if number >= 10 {
        push_number(out, number / 10);
    }
    out.push(char::from(b'0' + (number % 10) as u8));
}

/// Writes an object, key by key in their order, into one buffer. What has no canonical form is said at the end.
///
/// ```
/// use forewarn::evidence::canonical::Writer;
/// let leaf = Writer::object(|leaf| {
///     leaf.nested("com", |com| com.text("addr", "80ca"));
///     leaf.text("ev", "attempt");
///     leaf.number("n", 1);
/// });
/// assert_eq!(leaf.unwrap(), r#"{"com":{"addr":"80ca"},"ev":"attempt","n":1}"#);
/// ```
#[derive(Debug)]
pub struct Writer<'b> {
    out: &'b mut String,
    wrong: &'b mut Option<CannotWrite>,
    /// Where the last key stands in the buffer.
    last: Option<(usize, usize)>,
}

impl Writer<'_> {
    /// The object whose entries `fill` writes.
    pub fn object(fill: impl FnOnce(&mut Writer<'_>)) -> Result<String, CannotWrite> {
        let mut out = String::with_capacity(768);
        Writer::object_into(&mut out, fill)?;
        Ok(out)
    }

    /// The same, behind what is in the buffer already.
    pub fn object_into(out: &mut String, fill: impl FnOnce(&mut Writer<'_>)) -> Result<(), CannotWrite> {
        let start = out.len();
        let mut wrong = None;
        nest(out, &mut wrong, fill);
        let length = out.len() - start;
        match wrong {
            Some(wrong) => Err(wrong),
            None if length >= TOO_LONG => Err(CannotWrite::TooLong { length }),
            None => Ok(()),
        }
    }

    pub fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        push_text(self.out, text);
    }

    pub fn number(&mut self, key: &str, number: u64) {
        self.key(key);
        self.push(number);
    }

    pub fn texts<'t>(&mut self, key: &str, texts: impl IntoIterator<Item = &'t str>) {
        self.list(key, texts, |own, text| push_text(own.out, text));
    }

    pub fn numbers(&mut self, key: &str, numbers: impl IntoIterator<Item = u64>) {
        self.list(key, numbers, Self::push);
    }

    /// An object within this one. (`object` begins a document.)
    pub fn nested(&mut self, key: &str, fill: impl FnOnce(&mut Writer<'_>)) {
        self.key(key);
        nest(self.out, self.wrong, fill);
    }

    /// A list of objects, each written by `fill` from its item.
    pub fn objects<T>(&mut self, key: &str, items: impl IntoIterator<Item = T>, fill: impl Fn(&mut Writer<'_>, T)) {
        self.list(key, items, |own, item| nest(own.out, own.wrong, |writer| fill(writer, item)));
    }

    fn list<T>(&mut self, key: &str, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        self.key(key);
        self.out.push('[');
        for (number, item) in items.into_iter().enumerate() {
            if number > 0 {
                self.out.push(',');
            }
            write(self, item);
        }
        self.out.push(']');
    }

    fn push(&mut self, number: u64) {
        if number >= TOO_LARGE {
            *self.wrong = Some(CannotWrite::LargeNumber);
        }
        push_number(self.out, number);
    }

    fn key(&mut self, key: &str) {
        let before = self.last.and_then(|(start, end)| self.out.get(start..end));
        if before.is_some_and(|before| before >= key) || !key.bytes().all(is_plain) {
            *self.wrong = Some(CannotWrite::KeyOrder);
        }
        if self.last.is_some() {
            self.out.push(',');
        }
        self.out.push('"');
        let start = self.out.len();
        self.out.push_str(key);
        self.last = Some((start, self.out.len()));
        self.out.push_str("\":");
    }
}

fn nest(out: &mut String, wrong: &mut Option<CannotWrite>, fill: impl FnOnce(&mut Writer<'_>)) {
    out.push('{');
    fill(&mut Writer { out, wrong, last: None });
    out.push('}');
}

#[cfg(test)]
mod tests;
