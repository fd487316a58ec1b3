//! The page around the HTML part: simple, readable on a telephone and by a screen reader, in light and dark.
//!
//! No pictures, no scripts, nothing fetched from anywhere; no colours but the reader's own, so contrast is theirs too.

use super::markdown::code;
use super::write::escape_html;

/// Right to left, by the language's usual script.
fn direction(language: &str) -> &'static str {
    match language.split('-').next().unwrap_or_default() {
        "ar" | "dv" | "fa" | "he" | "ps" | "ur" | "yi" => "rtl",
        _ => "ltr",
    }
}

/// The whole page as a coded template, from the coded subject (already escaped for HTML) and body.
pub(super) fn page(language: &str, subject: &str, body: &str) -> String {
    let language = escape_html(language);
    let direction = direction(&language);
    let head = format!(
        "<!DOCTYPE html>\n<html lang=\"{language}\" dir=\"{direction}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"supported-color-schemes\" content=\"light dark\">\n\
         <meta name=\"format-detection\" content=\"date=no\">\n<title>"
    );
    let style = "</title>\n<style>\n:root { color-scheme: light dark; }\n\
         h1 { font-size: 1.5em; line-height: 1.25; margin: 0 0 1em; }\n\
         h2 { font-size: 1.2em; line-height: 1.3; margin: 1.75em 0 0.5em; }\n\
         h3 { font-size: 1em; margin: 1.5em 0 0.5em; }\n\
         p, ul, ol, blockquote { margin: 0 0 1em; }\n\
         ul, ol { padding-inline-start: 1.5em; }\nli { margin: 0 0 0.4em; }\n\
         pre { white-space: pre-wrap; }\n</style>\n</head>\n";
    let open = format!(
        "<body style=\"margin: 0; padding: 0;\">\n<div role=\"article\" lang=\"{language}\" dir=\"{direction}\" \
         style=\"box-sizing: border-box; max-width: 640px; margin: 0 auto; padding: 24px 16px; \
         font-family: system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Noto Sans', sans-serif; \
         font-size: 17px; line-height: 1.6; overflow-wrap: break-word;\">\n"
    );
    let end = code("</div>\n</body>\n</html>\n");
    // The style has braces and lines of its own, none of them beside a tag: it needs no coding.
    format!("{head}{subject}{style}{}{body}{end}", code(&open))
}
