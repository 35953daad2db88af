//! A request as it leaves, and the bodies it may have.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::fault::Fault;
use crate::xml;

/// A request. What it holds is personal and secret: `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// HTTP method.
    pub method: String,
    /// Whole address.
    pub url: String,
    /// Headers in the order in which they are sent.
    pub headers: Vec<(String, String)>,
    /// Body, if there is one.
    pub body: Option<Vec<u8>>,
    pub(super) secrets: Arc<[String]>,
}

impl Request {
    /// The text with every secret replaced, for what is stored or shown.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.as_str(), "***")
        })
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        // Interpolated codes lie behind the question mark or in the path: the path is enough to know the call by.
        let address = self.url.split('?').next().unwrap_or_default();
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.mask(address))
            .field("headers", &names)
            .field("body_bytes", &self.body.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

/// Form of a body, sent or received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json,
    /// `application/x-www-form-urlencoded`: one level of names and values.
    Form,
    /// Plain text.
    Text,
    /// XML, as [`crate::xml`] has it: the envelope of SOAP too.
    Xml,
}

/// The forms as they are written in a manifest.
pub(super) const FORMATS: crate::read::Words<Format> = &[
    ("json", Format::Json),
    ("form", Format::Form),
    ("text", Format::Text),
    ("xml", Format::Xml),
];

/// What a document begins with; without it some servers take UTF-8 for something else.
const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

impl Format {
    /// The `content-type` that goes with it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Form => "application/x-www-form-urlencoded",
            Self::Text => "text/plain; charset=utf-8",
            // SOAP 1.1, 3; a system of SOAP 1.2 has its own type among its headers.
            Self::Xml => "text/xml; charset=utf-8",
        }
    }

    /// Bytes of this value. Object keys keep their order.
    ///
    /// # Errors
    /// `bad-body`: a form that is no object of plain values, text that is no text, or what XML cannot hold.
    pub fn encode(self, body: &Json) -> Result<Vec<u8>, Fault> {
        match (self, body) {
            (Self::Json, body) => Ok(body.to_string().into_bytes()),
            (Self::Text, Json::String(text)) => Ok(text.clone().into_bytes()),
            (Self::Form, Json::Object(fields)) => {
                let mut form = String::new();
                for (name, value) in fields {
                    for value in value
                        .as_array()
                        .map_or(std::slice::from_ref(value), Vec::as_slice)
                    {
                        let Some(value) = plain(value) else {
                            return Err(Fault::new("bad-body")
                                .field(name)
                                .found("a list or an object")
                                .expected("plain values in a form"));
                        };
                        let separator = if form.is_empty() { "" } else { "&" };
                        let (name, value) = (percent(name), percent(&value));
                        write!(form, "{separator}{name}={value}").expect("writing to a String cannot fail");
                    }
                }
                Ok(form.into_bytes())
            }
            (Self::Form, _) => Err(Fault::new("bad-body").expected("an object of plain values for a form")),
            (Self::Text, _) => Err(Fault::new("bad-body").expected("text")),
            (Self::Xml, body) => match xml::write(body) {
                Ok(text) => Ok(format!("{DECLARATION}{text}").into_bytes()),
                Err(expected) => Err(Fault::new("bad-body").expected(expected)),
            },
        }
    }

    /// The value of these bytes; no bytes are null.
    ///
    /// # Errors
    /// What is wrong with them, without any of them.
    pub fn decode(self, bytes: &[u8]) -> Result<Json, String> {
        if bytes.is_empty() {
            return Ok(Json::Null);
        }
        let text = || std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned());
        match self {
            Self::Json => serde_json::from_slice(bytes).map_err(|error| {
                format!(
                    "it is not JSON (line {}, column {})",
                    error.line(),
                    error.column()
                )
            }),
            Self::Text => Ok(Json::String(text()?.to_owned())),
            Self::Xml => xml::parse(text()?),
            Self::Form => {
                let mut fields = serde_json::Map::new();
                for pair in text()?.split('&').filter(|pair| !pair.is_empty()) {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    let value = Json::String(plus_percent(value)?);
                    match fields.entry(plus_percent(name)?).or_insert(Json::Null) {
                        entry @ Json::Null => *entry = value,
                        Json::Array(values) => values.push(value),
                        entry => *entry = Json::Array(vec![entry.take(), value]),
                    }
                }
                Ok(Json::Object(fields))
            }
        }
    }
}

fn plain(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Null => Some(String::new()),
        Json::Bool(_) | Json::Number(_) => Some(value.to_string()),
        Json::Array(_) | Json::Object(_) => None,
    }
}

/// The text with every byte encoded that is not unreserved (RFC 3986).
pub(crate) fn percent(text: &str) -> String {
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut encoded, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                encoded.push(char::from(byte));
            } else {
                write!(encoded, "%{byte:02X}").expect("writing to a String cannot fail");
            }
            encoded
        })
}

fn plus_percent(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let pair = digit(rest.next()).zip(digit(rest.next()));
                let value = pair.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
                value.ok_or("it has a `%` that begins no byte")?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_form_turns_round() {
        let form = json!({"grant_type": "client_credentials", "tên": "Lê & con", "n": ["1", "2"]});
        let bytes = Format::Form.encode(&form).unwrap();
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            "grant_type=client_credentials&t%C3%AAn=L%C3%AA%20%26%20con&n=1&n=2"
        );
        assert_eq!(Format::Form.decode(&bytes).unwrap(), form);
        assert_eq!(
            Format::Form.decode(b"a=1+2&b").unwrap(),
            json!({"a": "1 2", "b": ""})
        );
        assert!(Format::Form.decode(b"a=%zz").is_err());
    }

    #[test]
    fn a_body_of_the_wrong_form_is_refused() {
        assert!(Format::Form.encode(&json!({"a": {"b": 1}})).is_err());
        assert!(Format::Form.encode(&json!("a=b")).is_err());
        assert!(Format::Text.encode(&json!({})).is_err());
    }

    #[test]
    fn an_envelope_keeps_the_order_of_its_elements() {
        let body = json!({"s:Envelope": {"@xmlns:s": "http://schemas.xmlsoap.org/soap/envelope/", "s:Body": {"B": "1", "A": "Lê"}}});
        let bytes = Format::Xml.encode(&body).unwrap();
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            r#"<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">"#
                .to_owned()
                + "<s:Body><B>1</B><A>Lê</A></s:Body></s:Envelope>"
        );
        let read = Format::Xml.decode(&bytes).unwrap();
        assert_eq!(read, json!({"Envelope": {"Body": {"B": "1", "A": "Lê"}}}));
        assert!(Format::Xml.encode(&json!({})).is_err());
    }

    #[test]
    fn an_undecodable_body_is_described_without_its_content() {
        let problem = Format::Json
            .decode("<html>Lê Thị Sen</html>".as_bytes())
            .unwrap_err();
        assert_eq!(problem, "it is not JSON (line 1, column 1)");
        assert_eq!(Format::Json.decode(b"").unwrap(), Json::Null);
    }

    #[test]
    fn debug_shows_neither_secrets_nor_bodies() {
        let request = Request {
            method: "POST".to_owned(),
            url: "https://portal.example.vn/key/hunter2/x?so=001".to_owned(),
            headers: vec![("authorization".to_owned(), "Bearer hunter2".to_owned())],
            body: Some(b"Le Thi Sen".to_vec()),
            secrets: vec!["hunter2".to_owned()].into(),
        };
        assert_eq!(
            format!("{request:?}"),
            "Request { method: \"POST\", url: \"https://portal.example.vn/key/***/x\", headers: [\"authorization\"], \
             body_bytes: Some(10), .. }"
        );
    }
}
