//! Which route a request takes, and what the filters see of the request.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::fault::Fault;
use crate::xml;

/// Method and path of a route, with `{name}` parts.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    method: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Name(String),
}

impl Pattern {
    /// Reads `GET /HoSo/GetByMa/{code}`.
    pub(super) fn parse(on: &str) -> Result<Self, Fault> {
        let wrong = || {
            Fault::new("manifest-value")
                .file("sandbox.toml")
                .field("route.on")
                .found(on)
                .expected("a method and a path, as in GET /things/{code}")
        };
        let (method, path) = on.split_once(' ').ok_or_else(wrong)?;
        let path = path.strip_prefix('/').ok_or_else(wrong)?;
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(wrong());
        }
        let part = |text: &str| match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            Some(name) => Part::Name(name.to_owned()),
            None => Part::Text(text.to_owned()),
        };
        Ok(Self {
            method: method.to_owned(),
            parts: path.split('/').map(part).collect(),
        })
    }

    /// The named parts of a path that fits; `None` if it does not.
    pub(super) fn fits(&self, method: &str, path: &str) -> Option<BTreeMap<String, String>> {
        let given: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        if method != self.method || given.len() != self.parts.len() {
            return None;
        }
        let mut named = BTreeMap::new();
        for (part, given) in self.parts.iter().zip(given) {
            let given = percent_decoded(given)?;
            match part {
                Part::Text(text) if *text == given => {}
                Part::Text(_) => return None,
                Part::Name(name) => drop(named.insert(name.clone(), given)),
            }
        }
        Some(named)
    }
}

/// What the filters see as `.`; `params` are the named parts of the path.
pub(super) fn request(
    method: &str,
    path: &str,
    query: Option<&str>,
    headers: &Map<String, Value>,
    body: &[u8],
    params: &BTreeMap<String, String>,
) -> Value {
    json!({
        "method": method,
        "path": path,
        "query": pairs(query.unwrap_or_default()),
        "headers": headers,
        "params": params,
        "body": decoded(headers, body),
    })
}

/// A form as an object and XML as [`xml`] has it with its namespaces where the sender says that it is one, else JSON; null for what is none
/// of them.
fn decoded(headers: &Map<String, Value>, body: &[u8]) -> Value {
    let kind = headers
        .get("content-type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let Ok(text) = str::from_utf8(body) else {
        return Value::Null;
    };
    let is = |types: &[&str]| types.iter().any(|one| kind.starts_with(one));
    if is(&["application/x-www-form-urlencoded"]) {
        Value::Object(pairs(text))
    } else if is(&["text/xml", "application/xml", "application/soap+xml"]) {
        xml::parse_in_namespaces(text).unwrap_or_default()
    } else {
        serde_json::from_str(text).unwrap_or_default()
    }
}

/// Names and values of a query or a form; what is no text is left out.
fn pairs(text: &str) -> Map<String, Value> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter_map(|(name, value)| Some((form_decoded(name)?, Value::String(form_decoded(value)?))))
        .collect()
}

fn form_decoded(text: &str) -> Option<String> {
    percent_decoded(&text.replace('+', " "))
}

/// `None` if the bytes are no UTF-8 text.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let decoded = (*first == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|digits| {
                let mut byte = [0];
                hex::decode_to_slice(digits, &mut byte).ok()?;
                Some(byte[0])
            });
        if let Some(byte) = decoded {
            bytes.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_part_is_decoded() {
        let pattern = Pattern::parse("GET /HoSo/GetByMa/{code}").unwrap();
        let named = pattern.fits("GET", "/HoSo/GetByMa/H56.17%2D1%20%C4%91").unwrap();
        assert_eq!(named["code"], "H56.17-1 đ");
    }

    #[test]
    fn other_method_or_longer_path_does_not_fit() {
        let pattern = Pattern::parse("GET /HoSo/{code}").unwrap();
        assert!(pattern.fits("POST", "/HoSo/1").is_none());
        assert!(pattern.fits("GET", "/HoSo/1/2").is_none());
        assert!(pattern.fits("GET", "/HoSo").is_none());
    }

    #[test]
    fn pattern_without_path_is_refused() {
        for on in ["GET", "GET HoSo", "get /HoSo", " /HoSo"] {
            assert_eq!(Pattern::parse(on).unwrap_err().code, "manifest-value", "{on}");
        }
    }

    #[test]
    fn body_that_is_no_json_is_null() {
        let seen = request(
            "POST",
            "/x",
            Some("a=1%262&b=c+d&e"),
            &Map::new(),
            b"{",
            &BTreeMap::new(),
        );
        assert_eq!(seen["body"], Value::Null);
        assert_eq!(seen["query"], json!({"a": "1&2", "b": "c d", "e": ""}));
    }

    #[test]
    fn form_and_xml_are_read_where_the_sender_says_so() {
        let body = |kind: &str, body: &[u8]| {
            let headers = json!({"content-type": kind}).as_object().unwrap().clone();
            request("POST", "/x", None, &headers, body, &BTreeMap::new())["body"].clone()
        };
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        assert_eq!(
            body(form, b"grant_type=a%20b&x"),
            json!({"grant_type": "a b", "x": ""})
        );
        assert_eq!(body("application/json", b"grant_type=a"), Value::Null);
        assert_eq!(body(form, b"\xff"), Value::Null);
        assert_eq!(
            body("text/xml; charset=utf-8", b"<a><b>1</b></a>"),
            json!({"a": {"b": "1"}})
        );
        assert_eq!(body("text/xml", b"<a>"), Value::Null);
    }
}
