//! Compiles the jq of a manifest, and sees what it uses: filters and settings.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::lexer::{self, Token};
use crate::fault::Fault;
use crate::jq::{Escape, Filter, Library, Place, Tables, Text};
use crate::read::{Code, Reader, Value};

/// Whether a piece of jq sees the secrets among the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// A mapping: its result is stored, so it sees none.
    Mapping,
    /// A call, a rule, `verify`: their results are masked.
    Call,
}

/// What is needed to compile, and the names found so far.
#[derive(Debug)]
pub(super) struct Workshop<'a> {
    jq: Option<&'a Library>,
    tables: &'a Tables,
    files: BTreeMap<String, String>,
    secret_keys: Vec<String>,
    used: RefCell<BTreeSet<String>>,
}

impl<'a> Workshop<'a> {
    /// A workshop for the folder. Without a library nothing is compiled, but everything else is still judged.
    pub(super) fn new(
        folder: &Path,
        library: Option<&'a Library>,
        tables: &'a Tables,
        secret_keys: &[String],
    ) -> Self {
        Self {
            jq: library,
            tables,
            files: filters(folder),
            secret_keys: secret_keys.to_vec(),
            used: RefCell::default(),
        }
    }

    /// The canonical codes of a table; `None`: no such table.
    pub(super) fn canonical_codes(&self, table: &str) -> Option<Vec<String>> {
        let codes = self.tables.canonical(table)?;
        Some(codes.into_iter().map(str::to_owned).collect())
    }

    /// Compiles jq; `None` after a fault.
    pub(super) fn filter(&self, value: &Value<'_>, sight: Sight, variables: &[&str]) -> Option<Filter> {
        let code = value.code()?;
        self.look(value, &code, &lexer::filter(&code.text), sight);
        match self
            .jq?
            .compile(&code.text, variables, &place(value.reader, &code))
        {
            Ok(filter) => Some(filter),
            Err(faults) => report(value.reader, faults),
        }
    }

    /// Compiles a text template; `None` after a fault.
    pub(super) fn text(&self, value: &Value<'_>, variables: &[&str], escape: Escape) -> Option<Text> {
        let code = value.code()?;
        self.look(value, &code, &lexer::template(&code.text), Sight::Call);
        match self
            .jq?
            .text(&code.text, variables, &place(value.reader, &code), escape)
        {
            Ok(text) => Some(text),
            Err(faults) => report(value.reader, faults),
        }
    }

    /// Does this template use the variable?
    pub(super) fn mentions(value: &Value<'_>, variable: &str) -> bool {
        let used = |(_, token): &(usize, Token)| matches!(token, Token::Variable(name) if name == variable);
        value
            .code()
            .is_some_and(|code| lexer::template(&code.text).iter().any(used))
    }

    fn look(&self, value: &Value<'_>, code: &Code, tokens: &[(usize, Token)], sight: Sight) {
        let at = |line: usize| value.reader.fault("", code.line + line).field(&code.field);
        self.judge(value.reader, tokens, &at, sight);
        self.follow(tokens, |name, tokens| {
            let file = format!("{name}.jq");
            let at = |line: usize| Fault::new("").file(&file).line(line + 1);
            self.judge(value.reader, tokens, &at, sight);
        });
    }

    /// Takes note of the filters that code uses which is not read now: that of the adapter's other forms.
    pub(super) fn overlook(&self, texts: &[String]) {
        for text in texts {
            self.follow(&lexer::filter(text), |_, _| {});
            self.follow(&lexer::template(text), |_, _| {});
        }
    }

    /// Goes through the filters that these tokens use, and those that they use in turn, each once.
    fn follow(&self, tokens: &[(usize, Token)], mut see: impl FnMut(&str, &[(usize, Token)])) {
        let mut waiting: Vec<String> = self.filters_in(tokens);
        let mut seen = BTreeSet::new();
        while let Some(name) = waiting.pop() {
            let Some(text) = self.files.get(&name).filter(|_| seen.insert(name.clone())) else {
                continue;
            };
            let tokens = lexer::filter(text);
            see(&name, &tokens);
            waiting.extend(self.filters_in(&tokens));
        }
        self.used.borrow_mut().extend(seen);
    }

    fn filters_in(&self, tokens: &[(usize, Token)]) -> Vec<String> {
        let name = |(_, token): &(usize, Token)| match token {
            Token::Name(name) if self.files.contains_key(name) => Some(name.clone()),
            _ => None,
        };
        tokens.iter().filter_map(name).collect()
    }

    /// Secrets where there are none.
    fn judge(
        &self,
        reader: &Reader<'_>,
        tokens: &[(usize, Token)],
        at: &dyn Fn(usize) -> Fault,
        sight: Sight,
    ) {
        for pair in tokens.windows(2) {
            let [(line, Token::Variable(variable)), (_, Token::Field(key))] = pair else {
                continue;
            };
            if variable == "settings" && sight == Sight::Mapping && self.secret_keys.contains(key) {
                let fault = Fault {
                    code: "secret-in-mapping".to_owned(),
                    ..at(*line)
                };
                reader.report(
                    fault
                        .found(format!("$settings.{key}"))
                        .expected("no secret: what a mapping gives is stored")
                        .remedy("use it in `headers` or `body` of the call"),
                );
            }
        }
    }

    /// A fault for each filter that nothing uses; `lib.jq` holds definitions only.
    pub(super) fn unused(&self) -> Vec<Fault> {
        let used = self.used.borrow();
        let idle = self
            .files
            .keys()
            .filter(|name| *name != "lib" && !used.contains(*name));
        idle.map(|name| {
            Fault::new("filter-unused")
                .file(format!("{name}.jq"))
                .expected("a use in adapter.toml or in another filter")
                .remedy("use it or remove the file")
        })
        .collect()
    }
}

fn place(reader: &Reader<'_>, code: &Code) -> Place {
    let (file, line) = reader.place(code.line);
    Place {
        file: file.to_owned(),
        line,
        key: code.field.clone(),
    }
}

fn report<T>(reader: &Reader<'_>, faults: Vec<Fault>) -> Option<T> {
    reader.report_all(faults);
    None
}

/// The filters of the folder: name → code. What cannot be read is the library's to report.
fn filters(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let files = entries.filter(|path| path.extension().is_some_and(|found| found == "jq"));
    files
        .filter_map(|path| {
            let stem = path.file_stem()?.to_str()?.to_owned();
            Some((stem, std::fs::read_to_string(&path).unwrap_or_default()))
        })
        .collect()
}
