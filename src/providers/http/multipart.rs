//! `multipart/form-data` (RFC 7578): names and file names are the definition's, contents stand between boundaries that
//! occur in none of them.

use super::super::definition::Part;
use super::values::Values;

/// The body, and its boundary.
pub fn encode(parts: &[Part], values: &Values<'_>) -> (String, String) {
    let contents: Vec<(&Part, String)> = parts
        .iter()
        .filter(|part| !values.leaves_out(&part.field))
        .map(|part| (part, values.field(&part.field)))
        .collect();
    let mut boundary = String::new();
    while boundary.is_empty() || contents.iter().any(|(_, content)| content.contains(&boundary)) {
        boundary = format!("forewarn-{:032x}", rand::random::<u128>());
    }
    let mut body = String::new();
    for (part, content) in &contents {
        body.push_str(&format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", part.field.name));
        if let Some((name, kind)) = &part.file {
            body.push_str(&format!("; filename=\"{name}\"\r\nContent-Type: {kind}"));
        }
        body.push_str("\r\n\r\n");
        body.push_str(content);
        body.push_str("\r\n");
    }
    body.push_str(&format!("--{boundary}--\r\n"));
    (body, boundary)
}
