//! XML as JSON, the same way in both directions, for systems that speak SOAP or carry XML inside a text.
//!
//! An element is the key of its parent's object, and its content the value: a text, null where it is empty, an object
//! where it has children (in their order, which SOAP sequences depend on) or attributes (`"@name"`, its text as
//! `"#text"`); elements of one name are a list. Prefixes are dropped on reading, since every sender chooses its own, and
//! so is what only serves the reading (`xmlns`, attributes of XML Schema instances); an element that says `xsi:nil` is
//! null. On writing, names stand as they are given, prefixes and all.
//!
//! Who has to know which namespace an element is in, as a stand-in has, reads with [`parse_in_namespaces`].

use std::fmt::Write as _;

use quick_xml::XmlVersion;
use quick_xml::escape::{escape, partial_escape, resolve_xml_entity};
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;
use serde_json::{Map, Value};

/// Deepest nesting. No system of the field comes near it; without a bound a small document costs the stack.
const DEPTH: usize = 64;

/// Namespace of attributes that tell a parser how to read an element (XML Schema part 1, 2.6).
const INSTANCE: Namespace<'_> = Namespace("http://www.w3.org/2001/XMLSchema-instance");

const TEXT: &str = "#text";

/// The value of a document: an object with its root element.
///
/// A DTD is refused: it is where entities that grow without bound come from.
///
/// # Errors
/// What is wrong with the text, without any of it.
pub fn parse(text: &str) -> Result<Value, String> {
    read(text, false)
}

/// The same, and an element that is in another namespace than its parent has its own as `"@xmlns"` (`""`: in none), whatever
/// prefix the sender chose: as if every namespace were declared where it begins.
///
/// # Errors
/// What is wrong with the text, without any of it.
pub fn parse_in_namespaces(text: &str) -> Result<Value, String> {
    read(text, true)
}

fn read(text: &str, in_namespaces: bool) -> Result<Value, String> {
    let mut reader = NsReader::from_str(text.trim_start_matches('\u{feff}'));
    let mut open = vec![Element::default()];
    let begin = |start: &BytesStart<'_>, reader: &NsReader<&[u8]>, parent: &Element| {
        let mut element = Element::begin(start, reader).map_err(|()| "an attribute that is none")?;
        if in_namespaces {
            element.enter_namespace(start, reader, &parent.namespace)?;
        }
        Ok(element)
    };
    loop {
        let position = reader.buffer_position();
        let wrong = |what: &str| format!("it is not XML: {what} before byte {position}");
        let event = reader
            .read_event()
            .map_err(|_| wrong("a mark that does not close"))?;
        match event {
            Event::Start(start) => {
                if open.len() > DEPTH {
                    return Err(wrong("elements nested too deeply"));
                }
                let element = begin(&start, &reader, innermost(&mut open)).map_err(wrong)?;
                open.push(element);
            }
            Event::Empty(start) => {
                let element = begin(&start, &reader, innermost(&mut open)).map_err(wrong)?;
                innermost(&mut open).take(element);
            }
            Event::End(_) => {
                let element = open.pop().unwrap_or_default();
                if open.is_empty() {
                    return Err(wrong("an end without a beginning"));
                }
                innermost(&mut open).take(element);
            }
            Event::Text(text) => innermost(&mut open).text.push_str(&text.xml10_content()),
            Event::CData(text) => innermost(&mut open).text.push_str(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let letter = reference
                    .resolve_char_ref()
                    .map_err(|_| wrong("a character that is none"))?;
                let name = reference.xml10_content();
                if let Some(letter) = letter {
                    innermost(&mut open).text.push(letter);
                } else {
                    let meant =
                        resolve_xml_entity(&name).ok_or_else(|| wrong("an entity that is not XML's own"))?;
                    innermost(&mut open).text.push_str(meant);
                }
            }
            Event::DocType(_) => return Err(wrong("a DTD, which is not read,")),
            Event::Eof => break,
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
        }
    }
    let document = open.pop().unwrap_or_default();
    let whole = open.is_empty() && document.children.len() == 1 && document.text.trim().is_empty();
    match document.children.values().next() {
        Some(root) if whole && !root.is_array() => Ok(Value::Object(document.children)),
        _ => Err("it is not XML: it has not one root element that is closed".to_owned()),
    }
}

/// The elements that are open are never none: the document itself is the first.
fn innermost(open: &mut [Element]) -> &mut Element {
    open.last_mut().expect("the document is open to the end")
}

/// An element while it is read.
#[derive(Default)]
struct Element {
    name: String,
    /// Empty: none, or nobody asks.
    namespace: String,
    is_nil: bool,
    /// Attributes first, then children.
    children: Map<String, Value>,
    text: String,
}

impl Element {
    fn begin(start: &BytesStart<'_>, reader: &NsReader<&[u8]>) -> Result<Self, ()> {
        let mut element = Self {
            name: start.local_name().as_ref().to_owned(),
            ..Self::default()
        };
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|_| ())?;
            if attribute.key.as_namespace_binding().is_some() {
                continue;
            }
            let value = attribute
                .normalized_value(XmlVersion::Explicit1_0)
                .map_err(|_| ())?;
            let (namespace, name) = reader.resolver().resolve_attribute(attribute.key);
            if namespace == ResolveResult::Bound(INSTANCE) {
                element.is_nil |= name.as_ref() == "nil" && matches!(value.trim(), "true" | "1");
                continue;
            }
            element
                .children
                .insert(format!("@{}", name.as_ref()), value.into());
        }
        Ok(element)
    }

    /// Notes its namespace where that is not its parent's.
    fn enter_namespace(
        &mut self,
        start: &BytesStart<'_>,
        reader: &NsReader<&[u8]>,
        parent: &str,
    ) -> Result<(), &'static str> {
        self.namespace = match reader.resolver().resolve_element(start.name()).0 {
            ResolveResult::Bound(Namespace(name)) => name.to_owned(),
            ResolveResult::Unbound => String::new(),
            ResolveResult::Unknown(_) => return Err("a prefix that stands for nothing"),
        };
        if self.namespace != parent {
            self.children
                .insert("@xmlns".to_owned(), self.namespace.clone().into());
        }
        Ok(())
    }

    /// A child is complete.
    fn take(&mut self, child: Self) {
        let (name, value) = child.value();
        match self.children.get_mut(&name) {
            None => drop(self.children.insert(name, value)),
            Some(Value::Array(all)) => all.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }

    fn value(mut self) -> (String, Value) {
        let value = if self.is_nil {
            Value::Null
        } else if self.children.is_empty() {
            if self.text.is_empty() {
                Value::Null
            } else {
                self.text.into()
            }
        } else {
            // Between children there is only layout.
            if !self.text.trim().is_empty() {
                self.children.insert(TEXT.to_owned(), self.text.into());
            }
            Value::Object(self.children)
        };
        (self.name, value)
    }
}

/// The document of an object with one key, the root element; without a declaration.
///
/// # Errors
/// What of the value XML cannot hold, with its place.
pub fn write(value: &Value) -> Result<String, String> {
    let root = value.as_object().filter(|root| root.len() == 1);
    let root = root.and_then(|root| root.iter().next());
    let Some((name, content)) = root.filter(|(_, content)| !content.is_array()) else {
        return Err("an object with one key, the root element".to_owned());
    };
    let mut text = String::new();
    element(&mut text, name, content, name)?;
    Ok(text)
}

fn element(text: &mut String, name: &str, content: &Value, place: &str) -> Result<(), String> {
    if !is_name(name) {
        return Err(format!("{place}: a name of an element"));
    }
    if let Value::Array(all) = content {
        return all.iter().try_for_each(|one| match one {
            Value::Array(_) => Err(format!("{place}: no list in a list")),
            one => element(text, name, one, place),
        });
    }
    text.push('<');
    text.push_str(name);
    let fields = content.as_object().into_iter().flatten();
    for (key, value) in fields.clone() {
        let Some(attribute) = key.strip_prefix('@') else {
            continue;
        };
        let value = plain(value).filter(|_| is_name(attribute));
        let value = value.ok_or_else(|| format!("{place}.{key}: a plain value, and a name"))?;
        writable(&value, place)?;
        write!(text, " {attribute}=\"{}\"", escape(value.as_str())).expect("writing to a String cannot fail");
    }
    text.push('>');
    let began = text.len();
    if let Some(value) = plain(content) {
        writable(&value, place)?;
        text.push_str(&partial_escape(value.as_str()));
    }
    for (key, value) in fields.filter(|(key, _)| !key.starts_with('@')) {
        let place = format!("{place}.{key}");
        if key != TEXT {
            element(text, key, value, &place)?;
            continue;
        }
        let value = plain(value).ok_or_else(|| format!("{place}: a plain value"))?;
        writable(&value, &place)?;
        text.push_str(&partial_escape(value.as_str()));
    }
    if text.len() == began {
        text.pop();
        text.push_str("/>");
    } else {
        write!(text, "</{name}>").expect("writing to a String cannot fail");
    }
    Ok(())
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// XML has no way to write most control characters, escaped or not (XML 1.0, 2.2).
fn writable(text: &str, place: &str) -> Result<(), String> {
    let is_bad = |letter: char| {
        (letter < ' ' && !matches!(letter, '\t' | '\n' | '\r')) || matches!(letter, '\u{fffe}' | '\u{ffff}')
    };
    if text.contains(is_bad) {
        return Err(format!("{place}: a text without control characters"));
    }
    Ok(())
}

/// A name, with or without a prefix. Narrower than XML 1.0 allows: nobody's elements begin with anything else.
fn is_name(name: &str) -> bool {
    name.split(':').count() <= 2
        && name.split(':').all(|part| {
            part.starts_with(|first: char| first.is_alphabetic() || first == '_')
                && part
                    .chars()
                    .all(|letter| letter.is_alphanumeric() || "_-.".contains(letter))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn envelope_is_read_whatever_its_prefixes() {
        let answer = r#"<?xml version="1.0" encoding="utf-8"?>
            <S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
              <S:Header/>
              <S:Body>
                <ns2:CongdanCollection xmlns:ns2="http://dancuquocgia.bca" SoCongDan="2">
                  <ns2:CongDan><ns2:HoVaTen xsi:type="ns2:ten"><Ten>Lê &amp; Thị</Ten><Ho xsi:nil="true"/></ns2:HoVaTen></ns2:CongDan>
                  <ns2:CongDan><GhiChu><![CDATA[a < b]]>&#272;</GhiChu></ns2:CongDan>
                </ns2:CongdanCollection>
              </S:Body>
            </S:Envelope>"#;
        let expected = json!({"Envelope": {"Header": null, "Body": {"CongdanCollection": {
            "@SoCongDan": "2",
            "CongDan": [
                {"HoVaTen": {"Ten": "Lê & Thị", "Ho": null}},
                {"GhiChu": "a < bĐ"},
            ],
        }}}});
        assert_eq!(parse(answer).unwrap(), expected);
    }

    #[test]
    fn namespace_stands_where_it_begins_whatever_its_prefix() {
        let expected = json!({"Envelope": {"@xmlns": "urn:soap", "Header": null, "Body": {"TraCuu": {
            "@xmlns": "urn:dan", "@loai": "1", "So": "001", "Khac": {"@xmlns": "", "#text": "x"}, "Trong": {"@xmlns": "urn:soap"},
        }}}});
        let rows = [
            r#"<s:Envelope xmlns:s="urn:soap" xmlns:d="urn:dan"><s:Header/><s:Body><d:TraCuu loai="1"><d:So>001</d:So>
               <Khac>x</Khac><s:Trong/></d:TraCuu></s:Body></s:Envelope>"#,
            r#"<Envelope xmlns="urn:soap"><Header/><Body><TraCuu xmlns="urn:dan" xmlns:a="urn:soap" loai="1"><So>001</So>
               <Khac xmlns="">x</Khac><a:Trong/></TraCuu></Body></Envelope>"#,
        ];
        for text in rows {
            assert_eq!(parse_in_namespaces(text).unwrap(), expected);
        }
        let told = parse_in_namespaces("<a:b>Sen</a:b>").unwrap_err();
        assert_eq!(
            told,
            "it is not XML: a prefix that stands for nothing before byte 0"
        );
    }

    #[test]
    fn elements_are_written_in_the_order_of_their_keys() {
        let body = json!({"dan:TraCuu": {
            "@xmlns:dan": "http://dancuquocgia.bca",
            "dan:SoDinhDanh": "001", "dan:HoVaTen": "A & <B>", "dan:SoCMND": null,
            "dan:Nam": [1990, 1991], "dan:Ghi": {"@loai": "\"1\"", "#text": "x"},
        }});
        assert_eq!(
            write(&body).unwrap(),
            r#"<dan:TraCuu xmlns:dan="http://dancuquocgia.bca"><dan:SoDinhDanh>001</dan:SoDinhDanh>"#
                .to_owned()
                + "<dan:HoVaTen>A &amp; &lt;B&gt;</dan:HoVaTen><dan:SoCMND/><dan:Nam>1990</dan:Nam><dan:Nam>1991</dan:Nam>"
                + r#"<dan:Ghi loai="&quot;1&quot;">x</dan:Ghi></dan:TraCuu>"#
        );
    }

    #[test]
    fn text_that_is_no_sound_document_is_refused_without_its_content() {
        let deep = "<a>".repeat(DEPTH + 2);
        let rows = [
            ("an end without its beginning", "<a>Sen</b>"),
            ("cut off", "<a><b>Sen</b>"),
            ("two roots", "<a>Sen</a><a/>"),
            ("two roots of two names", "<a>Sen</a><b/>"),
            ("text beside the root", "Sen<a/>"),
            ("nothing", ""),
            ("another notation", "{\"Sen\": 1}"),
            ("a DTD", "<!DOCTYPE a [<!ENTITY b \"Sen\">]><a>&b;</a>"),
            ("an entity of its own", "<a>&sen;</a>"),
            ("an entity in an attribute", "<a b=\"&sen;\"/>"),
            ("an attribute twice", "<a b=\"Sen\" b=\"1\"/>"),
            ("too deep", &deep),
        ];
        for (name, text) in rows {
            let told = parse(text).expect_err(name);
            assert!(told.starts_with("it is not XML: "), "{name}: {told}");
            assert!(!told.to_lowercase().contains("sen"), "{name}: {told}");
        }
    }

    #[test]
    fn what_xml_cannot_hold_is_refused_with_its_place() {
        let rows = [
            (json!({"a": 1, "b": 2}), "an object with one key"),
            (json!({"a": [1]}), "an object with one key"),
            (json!("a"), "an object with one key"),
            (json!({"a": {"b c": 1}}), "a.b c: a name"),
            (json!({"a": {"b": [[1]]}}), "a.b: no list"),
            (json!({"a": {"@b": {}}}), "a.@b: a plain value"),
            (json!({"a": {"b": "x\u{1}"}}), "a.b: a text without"),
        ];
        for (value, told) in rows {
            let refused = write(&value).expect_err(told);
            assert!(refused.starts_with(told), "{refused}");
        }
    }

    fn content() -> impl Strategy<Value = Value> {
        let text =
            "[ -~àĐ\u{1ea5}\n]{0,12}".prop_filter("layout is not kept", |text| !text.trim().is_empty());
        let leaf = prop_oneof![Just(Value::Null), text.prop_map(Value::from)];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let child = prop_oneof![
                inner.clone(),
                // One alone is no list once it is read.
                prop::collection::vec(inner, 2..4).prop_map(Value::from),
            ];
            prop::collection::vec(("[a-e]", child), 1..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect()))
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(content in content()) {
            let document = json!({"goc": content});
            prop_assert_eq!(parse(&write(&document).unwrap()).unwrap(), document);
        }
    }
}
