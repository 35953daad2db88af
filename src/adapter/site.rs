//! What the site says about an adapter, in its `lienthong.toml`, and where its secrets come from.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

type Lookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The site's part of one adapter.
#[derive(Clone)]
pub struct Site {
    /// Name of the system at this site; what mappings see as `$system`.
    pub name: String,
    /// Settings that override those of the manifest.
    pub settings: Map<String, Value>,
    /// Address that overrides `connection.url`.
    pub url: Option<String>,
    /// Name of the variant that is laid over the manifest.
    pub variant: Option<String>,
    secrets: Secrets,
}

#[derive(Clone)]
enum Secrets {
    Sample,
    Demanded(Lookup),
}

impl Site {
    /// A site that runs the adapter: a secret `${NAME}` is looked up as `NAME`, else it is the content of the file that
    /// `NAME_FILE` names, without its last line break. One that is not set is a fault.
    #[must_use]
    pub fn new(name: &str, lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self {
            name: name.to_owned(),
            settings: Map::new(),
            url: None,
            variant: None,
            secrets: Secrets::Demanded(Arc::new(lookup)),
        }
    }

    /// A site for checks and contract tests: each secret `${NAME}` reads as its name in lower case.
    #[must_use]
    pub fn sample(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            settings: Map::new(),
            url: None,
            variant: None,
            secrets: Secrets::Sample,
        }
    }

    /// With these settings over those of the manifest.
    #[must_use]
    pub fn with_settings(mut self, settings: Map<String, Value>) -> Self {
        self.settings = settings;
        self
    }

    /// With this address in place of `connection.url`.
    #[must_use]
    pub fn with_url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// With this variant laid over the manifest, or with none.
    #[must_use]
    pub fn with_variant(mut self, variant: Option<String>) -> Self {
        self.variant = variant;
        self
    }

    /// Do secrets read as their names?
    pub(super) fn is_sample(&self) -> bool {
        matches!(self.secrets, Secrets::Sample)
    }

    /// The secret of this name, if it is set.
    pub(crate) fn secret(&self, name: &str) -> Option<String> {
        match &self.secrets {
            Secrets::Sample => Some(name.to_lowercase()),
            Secrets::Demanded(lookup) => lookup(name).or_else(|| {
                let file = lookup(&format!("{name}_FILE"))?;
                let secret = std::fs::read_to_string(file).ok()?;
                Some(secret.trim_end_matches(['\r', '\n']).to_owned())
            }),
        }
    }
}

/// The name in `${NAME}`; `None` for text that is no secret.
///
/// # Errors
/// Text that has `${` in it but is not wholly one name of capital letters, digits and `_`.
pub(super) fn secret_name(text: &str) -> Result<Option<&str>, ()> {
    if !text.contains("${") {
        return Ok(None);
    }
    let name = text
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
        .ok_or(())?;
    let good = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    if good { Ok(Some(name)) } else { Err(()) }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("name", &self.name)
            .field("url", &self.url)
            .field("variant", &self.variant)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_read_from_the_variable_else_from_the_named_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "from the file\n").unwrap();
        let file = file.to_str().unwrap().to_owned();
        let site = Site::new("one-stop", move |name| match name {
            "USER" => Some("plain".to_owned()),
            "PASSWORD_FILE" => Some(file.clone()),
            _ => None,
        });
        assert_eq!(site.secret("USER").as_deref(), Some("plain"));
        assert_eq!(site.secret("PASSWORD").as_deref(), Some("from the file"));
        assert_eq!(site.secret("OTHER"), None);
    }

    #[test]
    fn a_secret_is_a_whole_value() {
        assert_eq!(secret_name("plain"), Ok(None));
        assert_eq!(secret_name("${USER_2}"), Ok(Some("USER_2")));
        for bad in ["x${USER}", "${USER}x", "${user}", "${}", "${"] {
            assert_eq!(secret_name(bad), Err(()), "{bad}");
        }
    }
}
