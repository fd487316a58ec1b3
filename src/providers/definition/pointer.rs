//! JSON pointers with a place for lists: `/messages/*/status` is every element's status, `/messages/?/status` that of
//! one element, the same one throughout a rule.
//!
//! Some providers answer one request with several parts. A rule must be able to say "all parts were taken" and "one of
//! them was refused, for this reason" without counting them.

use serde_json::Value;

/// Elements of a list that are looked at; no message has more parts.
const LONGEST_LIST: usize = 1000;

/// What stands at the pointer, `?` being element `at`. Without a `*` at most one value.
pub fn found<'v>(json: &'v Value, pointer: &str, at: usize) -> Vec<&'v Value> {
    if !is_list(pointer) {
        return json.pointer(pointer).into_iter().collect();
    }
    let mut values = vec![json];
    for step in pointer.split('/').skip(1) {
        values = match step {
            "*" => values.into_iter().filter_map(Value::as_array).flatten().take(LONGEST_LIST).collect(),
            "?" => values.into_iter().filter_map(|value| value.as_array()?.get(at)).collect(),
            _ => values.into_iter().filter_map(|value| value.pointer(&format!("/{step}"))).collect(),
        };
    }
    values
}

/// How many elements the first `?` of the pointer can stand for; `None` where it has none.
pub fn choices(json: &Value, pointer: &str) -> Option<usize> {
    let (before, _) = pointer.split_once("/?")?;
    let list = found(json, before, 0).first().and_then(|value| value.as_array());
    Some(list.map_or(0, |list| list.len().min(LONGEST_LIST)))
}

/// True where the pointer reaches into a list by `*` or `?`.
pub fn is_list(pointer: &str) -> bool {
    pointer.split('/').any(|step| step == "*" || step == "?")
}

/// True where the pointer stands for every element of a list.
pub fn is_every(pointer: &str) -> bool {
    pointer.split('/').any(|step| step == "*")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_are_reached_by_every_or_by_one_element() {
        let json = json!({ "a": [{ "s": 0 }, { "s": 1 }, {}], "b": { "s": 7 }, "*": 1 });
        assert_eq!(found(&json, "/b/s", 0), [&json!(7)]);
        assert_eq!(found(&json, "/a/*/s", 0), [&json!(0), &json!(1)]);
        assert_eq!(found(&json, "/a/?/s", 1), [&json!(1)]);
        assert_eq!(found(&json, "", 0), [&json]);
        for nothing in ["/a/?/s", "/a/?", "/b/?/s", "/c/*", "/b/s/*"] {
            assert_eq!(found(&json, nothing, 9), Vec::<&Value>::new(), "{nothing}");
        }
        assert_eq!(
            (choices(&json, "/a/?/s"), choices(&json, "/b/?"), choices(&json, "/a/*/s")),
            (Some(3), Some(0), None)
        );
    }
}
