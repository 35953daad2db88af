//! What the site says about an adapter, in its `lienthong.toml`, and where its secrets come from.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::read::secret;

/// How a fault names the site's own file, which nobody knows here.
pub const SITE: &str = "lienthong.toml";

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
    /// `NAME_FILE` names. One that is not set is a fault.
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

    /// A fault of this kind in what the site says about the adapter under this key.
    pub(super) fn fault(&self, code: &str, key: &str) -> Fault {
        Fault::new(code)
            .file(SITE)
            .field(format!("adapter.{}.{key}", self.name))
    }

    /// Do secrets read as their names?
    pub(super) fn is_sample(&self) -> bool {
        matches!(self.secrets, Secrets::Sample)
    }

    /// The secret of this name, if it is set.
    pub(crate) fn secret(&self, name: &str) -> Option<String> {
        match &self.secrets {
            Secrets::Sample => Some(name.to_lowercase()),
            Secrets::Demanded(lookup) => secret::look_up(name, &**lookup),
        }
    }
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
