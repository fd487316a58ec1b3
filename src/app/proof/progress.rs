//! Pictures of a campaign's progress, as SVG that stands in a page: no scripts, nothing that is loaded.

use crate::evidence::bundle::campaign::summary::{Bucket, Counts, Progress};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// The picture's size, and the room of its axes at the left, right, top and bottom.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 96.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 34.0;
/// Inks that differ in brightness, so that a copy in black and white shows which is which.
const INKS: [&str; 3] = ["#0b3c7c", "#b3541e", "#2f7d32"];
const DASHED: &str = "5 3";

/// A line: its label, ink, dashes, and how many by the end of each bucket.
struct Line {
    label: String,
    ink: &'static str,
    dashed: bool,
    sums: Vec<u64>,
}

/// The picture: for each channel how many notices were accepted, and of how many a report of delivery came, added up.
/// `label` gives the words for a channel. Empty where there was nothing.
pub(super) fn picture(progress: &Progress, title: &str, label: impl Fn(&str) -> String) -> String {
    let times: Vec<i64> =
        progress.buckets.iter().filter_map(|b| b.from.parse::<Timestamp>().ok()).map(Timestamp::as_second).collect();
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return String::new() };
    if times.len() != progress.buckets.len() {
        return String::new();
    }
    let width = i64::try_from(progress.minutes * 60).unwrap_or(60).max(60);
    let (from, until) = (*first, last + width);
    let lines = lines(&progress.buckets, &label);
    let most = lines.iter().filter_map(|line| line.sums.last()).max().copied().unwrap_or(1).max(1);
    let x = |second: i64| LEFT + (second - from) as f64 / (until - from) as f64 * (WIDTH - LEFT - RIGHT);
    let y = |n: u64| HEIGHT - BOTTOM - n as f64 / most as f64 * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\" font-size=\"11\">",
        escaped(title)
    );
    let marks: std::collections::BTreeSet<u64> = (0..=4).map(|part| most * part / 4).collect();
    for n in marks {
        let at = y(n);
        svg.push_str(&format!(
            "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>",
            WIDTH - RIGHT
        ));
        svg.push_str(&format!("<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{n}</text>", LEFT - 6.0, at + 4.0));
    }
    for (second, anchor) in [(from, "start"), ((from + until) / 2, "middle"), (until, "end")] {
        let time = Timestamp::from_second(second).map(|t| t.strftime("%Y-%m-%d %H:%M").to_string()).unwrap_or_default();
        let place = (x(second), HEIGHT - BOTTOM + 18.0);
        svg.push_str(&format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{time}</text>",
            place.0, place.1
        ));
    }
    let mut below: Vec<f64> = Vec::new();
    for line in &lines {
        draw(&mut svg, line, &times, width, (&x, &y), (from, until), &mut below);
    }
    svg.push_str("</svg>");
    svg
}

fn lines(buckets: &[Bucket], label: &impl Fn(&str) -> String) -> Vec<Line> {
    let mut channels: BTreeMap<&str, ()> = BTreeMap::new();
    for bucket in buckets {
        channels.extend(bucket.accepted.keys().chain(bucket.confirmed.keys()).map(|channel| (channel.as_str(), ())));
    }
    let mut lines = Vec::new();
    for (channel, ink) in channels.keys().zip(INKS.into_iter().cycle()) {
        let mut add = |dashed, counts: fn(&Bucket) -> &Counts| {
            let each = buckets.iter().map(|bucket| counts(bucket).get(*channel).copied().unwrap_or(0));
            let sums: Vec<u64> = each
                .scan(0, |sum, n| {
                    *sum += n;
                    Some(*sum)
                })
                .collect();
            if sums.last().is_some_and(|all| *all > 0) {
                lines.push(Line { label: label(channel), ink, dashed, sums });
            }
        };
        add(false, |bucket| &bucket.accepted);
        add(true, |bucket| &bucket.confirmed);
    }
    lines
}

/// A line from zero, level where nothing happened, with its sum at the end.
fn draw(
    svg: &mut String,
    line: &Line,
    times: &[i64],
    width: i64,
    (x, y): (&impl Fn(i64) -> f64, &impl Fn(u64) -> f64),
    (from, until): (i64, i64),
    below: &mut Vec<f64>,
) {
    let mut points = format!("{:.1},{:.1}", x(from), y(0));
    let mut before = 0;
    for (time, sum) in times.iter().zip(&line.sums) {
        points.push_str(&format!(" {:.1},{:.1} {:.1},{:.1}", x(*time), y(before), x(time + width), y(*sum)));
        before = *sum;
    }
    let dashes = if line.dashed { format!(" stroke-dasharray=\"{DASHED}\"") } else { String::new() };
    let ink = line.ink;
    svg.push_str(&format!(
        "<polyline points=\"{points}\" fill=\"none\" stroke=\"{ink}\" stroke-width=\"1.8\"{dashes}/>"
    ));
    // Labels that would lie over each other move down.
    let mut at = y(before) + 4.0;
    while below.iter().any(|taken| (taken - at).abs() < 12.0) {
        at += 12.0;
    }
    below.push(at);
    let text = escaped(&format!("{} {before}", line.label));
    svg.push_str(&format!("<text x=\"{:.1}\" y=\"{at:.1}\" fill=\"{ink}\">{text}</text>", x(until) + 6.0));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(from: &str, accepted: &[(&str, u64)], confirmed: &[(&str, u64)]) -> Bucket {
        let counts = |all: &[(&str, u64)]| all.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        Bucket { accepted: counts(accepted), confirmed: counts(confirmed), from: from.to_owned() }
    }

    #[test]
    fn it_adds_up_and_is_nothing_where_nothing_was() {
        assert_eq!(picture(&Progress::default(), "t", str::to_owned), "");
        let buckets = vec![
            bucket("2026-11-25T10:00:00Z", &[("email", 5)], &[]),
            bucket("2026-11-25T10:20:00Z", &[("email", 7), ("sms", 2)], &[("email", 3)]),
        ];
        let svg = picture(&Progress { buckets, minutes: 1 }, "a <b> & \"c\"", |channel| format!("<{channel}>"));
        assert!(svg.contains("a &lt;b&gt; &amp; &quot;c&quot;") && !svg.contains("<b>"), "{svg}");
        for end in ["&lt;email&gt; 12", "&lt;email&gt; 3", "&lt;sms&gt; 2"] {
            assert!(svg.contains(end), "{end}: {svg}");
        }
        assert_eq!(svg.matches("<polyline").count(), 3);
        assert_eq!(svg.matches("stroke-dasharray").count(), 1);
        assert!(!svg.contains("NaN"));
    }
}
