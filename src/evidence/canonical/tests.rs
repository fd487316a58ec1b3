//! What is canonical and what is not, held against another canonicaliser and the published examples.

use super::*;
use proptest::prelude::*;

fn written(value: &Value) -> String {
    let mut out = String::new();
    push_value(&mut out, value);
    out
}

/// What the canonicaliser of others makes of any JSON.
fn theirs(json: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(json).expect("JSON");
    serde_json_canonicalizer::to_string(&value).expect("it can be written")
}

#[test]
fn what_is_canonical_is_read_and_written_back() {
    for text in [
        "0",
        "9007199254740991",
        r#""""#,
        r#""/ü€😂דּ""#,
        "\"\u{7f}\u{80}\u{2028}\u{ffff}\"",
        r#""\b\t\n\f\r\"\\\u0000\u001f\u000b""#,
        "[]",
        "{}",
        "[[],{},0]",
        r#"{"":0,"A":1,"a":[],"a!":{"~":""}}"#,
    ] {
        let value = read(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(written(&value), text);
        assert_eq!(theirs(text), text);
    }
}

/// From the test data of RFC 8785, as far as it has only what leaves may have.
#[test]
fn the_published_examples() {
    for (text, canonical) in [
        (r#"{"Unnormalized Unicode":"ḍ̇"}"#, true),
        (r#"["€$\u000f\nA'B\"\\\\\"/"]"#, true),
        // The key of a line end is legal there, and none of ours.
        (r#"{"":"empty","1":{"\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{}],"A":{},"a":{}}"#, false),
        (r#"{"":"empty","1":{"f":{"F":5,"f":"hi"}},"10":{},"111":[{}],"A":{},"a":{}}"#, true),
        (r#"{"numbers":[1e+30,4.5,333333333.3333333,0.002,1e-27]}"#, false),
        (r#"{"literals":[null,true,false]}"#, false),
        (r#"{"1":"One","</script>":"Browser Challenge","ö":"Latin Small Letter O With Diaeresis"}"#, false),
    ] {
        assert_eq!(theirs(text), text, "their own rule");
        assert_eq!(read(text.as_bytes()).is_ok(), canonical, "{text}");
    }
}

#[test]
fn every_other_form_is_refused_with_its_place() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(read(deep(16).as_bytes()).is_ok());
    for (text, at) in [
        ("", 0),
        (" 0", 0),
        ("0 ", 1),
        ("0\n", 1),
        ("null", 0),
        ("true", 0),
        ("-1", 0),
        ("01", 2),
        ("1.0", 1),
        ("1e3", 1),
        ("9007199254740992", 16),
        ("99999999999999999999", 20),
        (r#""a"#, 2),
        ("\"a\nb\"", 2),
        ("\"a\tb\"", 2),
        (r#""\/""#, 1),
        (r#""\u0041""#, 1),
        (r#""\u00fc""#, 1),
        (r#""\u000A""#, 1),
        (r#""\u000a""#, 1),
        (r#""\u0008""#, 1),
        (r#""\u001F""#, 1),
        (r#""\ud83d\ude02""#, 1),
        (r#""\x41""#, 1),
        (r#""\"#, 1),
        ("'a'", 0),
        ("[1,]", 3),
        ("[1 ,2]", 2),
        ("[1, 2]", 3),
        ("[1", 2),
        ("{,}", 1),
        (r#"{"a":1,}"#, 7),
        (r#"{"a" :1}"#, 4),
        (r#"{"a":1,"a":1}"#, 10),
        (r#"{"b":1,"a":1}"#, 10),
        (r#"{"a":{"y":1,"x":1}}"#, 15),
        (r#"{"a":1 }"#, 6),
        (r#"{"ü":1}"#, 2),
        (r#"{"a\n":1}"#, 3),
        (r#"{a:1}"#, 1),
        (r#"{"a":1}{"#, 7),
        ("\u{feff}{}", 0),
        (&deep(17), 16),
    ] {
        let found = read(text.as_bytes()).map_err(|e| e.at);
        assert_eq!(found, Err(at), "{text:?}");
    }
    assert_eq!(read(b"\"\xff\"").unwrap_err().at, 1);
    assert_eq!(read(b"\"\xed\xa0\xbd\"").unwrap_err().at, 1, "half of a pair");
    assert_eq!(read_object(b"[]").unwrap_err().problem, "not an object");
    let long = |length: usize| read(format!("\"{}\"", "x".repeat(length - 2)).as_bytes()).is_ok();
    assert_eq!((long(65_535), long(65_536)), (true, false));
}

#[test]
fn what_was_read_is_found_by_its_key() {
    let leaf = read_object(br#"{"com":{"addr":"80ca"},"ev":"attempt","l":[1],"n":3}"#).unwrap();
    assert_eq!((leaf.text("ev"), leaf.number("n")), (Some("attempt"), Some(3)));
    assert_eq!(leaf.object("com").and_then(|com| com.text("addr")), Some("80ca"));
    assert_eq!(leaf.list("l"), Some(&[Value::Number(1)][..]));
    assert_eq!((leaf.text("n"), leaf.number("ev"), leaf.object("l"), leaf.list("com")), (None, None, None, None));
    assert_eq!(leaf.get("z"), None);
    assert_eq!(leaf.iter().map(|(key, _)| key).collect::<String>(), "comevln");
}

#[test]
fn a_leaf_is_written_with_everything_that_it_may_have() {
    let leaf = Writer::object(|leaf| {
        leaf.nested("com", |com| com.text("addr", "80ca"));
        leaf.text("ev", "a\"b");
        leaf.numbers("i", [1, 20, 9_007_199_254_740_991]);
        leaf.objects("l", ["x", "y"], |entry, text| entry.text("k", text));
        leaf.number("n", 1000);
        leaf.texts("t", ["a", "b"]);
        leaf.numbers("z", []);
    })
    .unwrap();
    let want = r#"{"com":{"addr":"80ca"},"ev":"a\"b","i":[1,20,9007199254740991],"l":[{"k":"x"},{"k":"y"}],"n":1000,"t":["a","b"],"z":[]}"#;
    assert_eq!(leaf, want);
    assert_eq!(theirs(&leaf), leaf);
    assert!(read_object(leaf.as_bytes()).is_ok());
    assert_eq!(Writer::object(|_| {}).unwrap(), "{}");
    let mut buffer = "before ".to_owned();
    Writer::object_into(&mut buffer, |leaf| leaf.number("n", 7)).unwrap();
    assert_eq!(buffer, r#"before {"n":7}"#);
}

#[test]
fn a_writer_says_what_it_cannot_write() {
    let order = Err(CannotWrite::KeyOrder);
    let two = |first: &str, second: &str| {
        Writer::object(|leaf| {
            leaf.number(first, 1);
            leaf.number(second, 2);
        })
    };
    assert_eq!(two("b", "a"), order);
    assert_eq!(two("a", "a"), order);
    assert_eq!(two("a", "ü"), order);
    assert_eq!(two("a", "b\"c"), order);
    assert!(two("", "a").is_ok());
    let inside = Writer::object(|leaf| {
        leaf.nested("a", |a| {
            a.number("y", 1);
            a.number("x", 1);
        });
    });
    assert_eq!(inside, order);
    assert_eq!(Writer::object(|leaf| leaf.number("n", 1 << 53)), Err(CannotWrite::LargeNumber));
    let long = |length: usize| Writer::object(|leaf| leaf.text("k", &"x".repeat(length - r#"{"k":""}"#.len())));
    assert_eq!(long(65_535).map(|leaf| leaf.len()), Ok(65_535));
    assert_eq!(long(65_536), Err(CannotWrite::TooLong { length: 65_536 }));
}

/// Any value that leaves may have.
fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![any::<String>(), "[\\x00-\\x7f]{0,12}", "[a-z\"\\\\/\\r\\n\\t]{0,8}"];
    let single = prop_oneof![(0..TOO_LARGE).prop_map(Value::Number), text.prop_map(Value::Text)];
    single.prop_recursive(4, 24, 5, |inner| {
        let key = "[ -!#-\\[\\]-~]{0,4}";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
            prop::collection::btree_map(key, inner, 0..5)
                .prop_map(|entries| Value::Object(Object(entries.into_iter().collect()))),
        ]
    })
}

proptest! {
    #[test]
    fn what_we_write_is_read_again_and_left_alone_by_others(value in any_value()) {
        let text = written(&value);
        prop_assert_eq!(&theirs(&text), &text);
        prop_assert_eq!(read(text.as_bytes()), Ok(value));
    }

    #[test]
    fn of_all_the_ways_to_write_a_value_one_is_accepted(json in "[\\[\\]{}:,\"a0 1\\\\nu]{0,16}", octets: Vec<u8>) {
        prop_assert!(read(&octets).is_err() || std::str::from_utf8(&octets).is_ok());
        if let Ok(value) = read(json.as_bytes()) {
            prop_assert_eq!(&written(&value), &json);
            prop_assert_eq!(theirs(&json), json);
        }
    }
}
