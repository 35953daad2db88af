//! What all calls of an adapter share: address, headers, forms, settings, and the rules that come after their own.

use super::request::{FORMATS, Format};
use super::rule::Rule;
use super::settings::Settings;
use super::site::Site;
use super::target::Headers;
use super::workshop::{Sight, Workshop};
use crate::jq::Filter;
use crate::read::{Table, Value};

/// The shared part of the calls.
#[derive(Clone)]
pub(super) struct Wire {
    /// Address without a slash at its end; may hold a secret.
    pub(super) url: String,
    pub(super) headers: Headers,
    pub(super) send: Format,
    pub(super) receive: Format,
    pub(super) rules: Vec<Rule>,
    pub(super) reason: Option<Filter>,
    /// Is there a login?
    pub(super) login: bool,
    pub(super) settings: Settings,
}

impl Wire {
    /// Reads the shared keys of `[connection]`, and `answer` of the manifest. After a fault the calls are still read, so
    /// that theirs are told too.
    pub(super) fn read(
        connection: Option<&Table<'_>>,
        answer: Option<&Value<'_>>,
        site: &Site,
        settings: &mut Settings,
        workshop: &Workshop<'_>,
    ) -> Self {
        let get = |key| connection.and_then(|table| table.get(key));
        let login = connection.is_some_and(|table| table.has("login"));
        let mut variables = vec!["settings", "system", "now"];
        variables.extend(login.then_some("token"));
        let headers = Headers::read(get("headers").as_ref(), workshop, &variables);
        variables.push("http");
        let rules = answer.map_or_else(Vec::new, |value| Rule::read_all(value, workshop, &variables));
        let reason = get("reason").and_then(|value| workshop.filter(&value, Sight::Call, &variables));
        let format = |key| get(key).and_then(|value: Value<'_>| value.word("unknown-word", FORMATS));
        let (send, receive) = (format("send"), format("receive"));
        let url = get("url").and_then(|value| address(&value, site, settings));
        Self {
            url: url.unwrap_or_default(),
            headers,
            send: send.unwrap_or(Format::Json),
            receive: receive.unwrap_or(Format::Json),
            rules,
            reason,
            login,
            settings: settings.clone(),
        }
    }

    /// The same for the login, which has no session yet: headers that need one are left out, and a refusal of the login
    /// itself is no reason to log in.
    pub(super) fn without_token(&self, connection: &Table<'_>) -> Self {
        let headers = Headers::without_variable(connection.get("headers").as_ref(), "token", &self.headers);
        Self {
            headers,
            login: false,
            ..self.clone()
        }
    }
}

/// The site's address, else the manifest's, without a slash at its end.
fn address(value: &Value<'_>, site: &Site, settings: &mut Settings) -> Option<String> {
    let written = value.text()?;
    let text = site.url.as_deref().unwrap_or(written);
    let fault = |code: &str| match &site.url {
        None => value.fault(code),
        Some(_) => site.fault(code, "url"),
    };
    let (address, is_secret) = match settings.reveal(text, site, &fault) {
        Ok(None) => (text.to_owned(), false),
        Ok(Some(secret)) => (secret, true),
        Err(fault) => {
            value.report(*fault);
            return None;
        }
    };
    // A secret that reads as its own name is no address, and need be none.
    let is_name = is_secret && site.is_sample();
    if !is_name && !is_address(&address) {
        let shown = if is_secret {
            format!("the content of {text}")
        } else {
            format!("{address:?}")
        };
        value.report(
            fault("bad-url")
                .found(shown)
                .expected("http:// or https:// with a host, without `?` and `#`")
                .remedy("correct the address; what follows the host belongs into `path` and `query`"),
        );
        return None;
    }
    Some(address.trim_end_matches('/').to_owned())
}

fn is_address(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
