//! The jq files of a folder, and what is compiled from them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compile;
use super::filter::no_thread;
use super::meter::{self, Bounds};
use super::source::Source;
use super::tables::Tables;
use super::text::{Escape, Text};
use super::walk::Walk;
use super::{Filter, Place};
use crate::fault::Fault;

/// The filters of an adapter's (or its sandbox's) folder and the code tables that they use. Clones share both.
#[derive(Debug, Clone)]
pub struct Library {
    pub(super) sources: Arc<Sources>,
    pub(super) tables: Arc<Tables>,
    pub(super) bounds: Bounds,
}

/// What the folder holds, as text: an expression compiles the part of it that it uses, with its own variables.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// `lib.jq`: definitions only.
    pub(super) lib: Source,
    /// Every other `NAME.jq`, by name.
    pub(super) filters: BTreeMap<String, Source>,
}

/// Words of the language that cannot name a filter.
const KEYWORDS: &[&str] = &[
    "and", "as", "break", "catch", "def", "elif", "else", "end", "foreach", "if", "import", "include",
    "label", "module", "or", "reduce", "then", "try",
];

impl Library {
    /// Reads every `NAME.jq` of the folder (not of the folders in it), of which `lib.jq` is the one with definitions
    /// only. They are parsed and compiled once, so that what is wrong in them is known before anything uses them.
    ///
    /// # Errors
    ///
    /// All faults of all files: not readable, name that hides a function of jq or is no word, syntax, unknown function,
    /// unknown code table. Variables are judged where a filter is used.
    pub fn open(folder: &Path, tables: Arc<Tables>) -> Result<Self, Vec<Fault>> {
        match Self::open_what_is_sound(folder, tables) {
            (Some(library), faults) if faults.is_empty() => Ok(library),
            (_, faults) => Err(faults),
        }
    }

    /// The same, going on after a fault: a faulty filter is there and does nothing, so that expressions that use it can
    /// be judged too. `None` where `lib.jq` is faulty: without its definitions nothing else can be judged.
    #[must_use]
    pub fn open_what_is_sound(folder: &Path, tables: Arc<Tables>) -> (Option<Self>, Vec<Fault>) {
        let mut sources = Sources::default();
        let mut faults = Vec::new();
        for path in files(folder, "jq") {
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let file = format!("{name}.jq");
            match fs::read_to_string(&path) {
                Ok(code) => {
                    let code = code.strip_prefix('\u{feff}').unwrap_or(&code);
                    let source = Source {
                        file,
                        line: 1,
                        code: code.to_owned(),
                    };
                    if name == "lib" {
                        sources.lib = source;
                    } else if let Some(fault) = hidden(&name) {
                        faults.push(fault.file(source.file));
                    } else {
                        sources.filters.insert(name, source);
                    }
                }
                Err(_) => faults.push(
                    Fault::new("filter-unreadable")
                        .file(file)
                        .expected("a readable file in UTF-8")
                        .remedy("save the file as UTF-8, readable for this program"),
                ),
            }
        }
        let check = || check(&mut sources, &tables, &mut faults);
        let sound = meter::on_big_stack(check).unwrap_or_else(|_| {
            faults.push(no_thread());
            false
        });
        let library = sound.then(|| Self {
            sources: Arc::new(sources),
            tables,
            bounds: Bounds::default(),
        });
        (library, faults)
    }

    /// The same filters with other bounds.
    #[must_use]
    pub fn with_bounds(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }

    /// The names of the filters.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sources.filters.keys().map(String::as_str)
    }

    /// Compiles an expression. `variables` are those that exist at this place, without `$`.
    ///
    /// # Errors
    ///
    /// All faults, each with file and line: syntax, unknown or refused function, unknown variable (also in a `NAME.jq`
    /// or definition of `lib.jq` that the expression uses), code table that is not there.
    pub fn compile(&self, code: &str, variables: &[&str], at: &Place) -> Result<Filter, Vec<Fault>> {
        let main = Source {
            file: at.file.clone(),
            line: at.line,
            code: code.to_owned(),
        };
        let faults_here = |faults: Vec<Fault>| -> Vec<Fault> {
            let here = |fault: Fault| fault.file.as_ref() == Some(&at.file) && fault.field.is_none();
            let named = |fault: Fault| {
                if here(fault.clone()) && !at.key.is_empty() {
                    fault.field(&at.key)
                } else {
                    fault
                }
            };
            faults.into_iter().map(named).collect()
        };
        let compile = || compile::program(&self.sources, &self.tables, &main, variables);
        let program = meter::on_big_stack(compile).map_err(|_| vec![no_thread()])?;
        let program = program.map_err(faults_here)?;
        Ok(Filter::new(program, variables, at, self))
    }

    /// Compiles plain text with `\(expression)` in it. Each expression gives exactly one text, number or boolean.
    ///
    /// # Errors
    ///
    /// As [`Library::compile`], and for an interpolation without an end.
    pub fn text(
        &self,
        template: &str,
        variables: &[&str],
        at: &Place,
        escape: Escape,
    ) -> Result<Text, Vec<Fault>> {
        Text::compile(self, template, variables, at, escape)
    }
}

/// Compiles all that the folder holds, with whatever variables it mentions; a faulty filter is replaced by one that does
/// nothing. Whether the definitions that all share are sound.
fn check(sources: &mut Sources, tables: &Tables, faults: &mut Vec<Fault>) -> bool {
    let found = compile::check_lib(sources, tables);
    if !found.is_empty() {
        faults.extend(found);
        return false;
    }
    // Filters see lib.jq and not each other.
    let alone = Sources {
        lib: sources.lib.clone(),
        filters: BTreeMap::new(),
    };
    for filter in sources.filters.values_mut() {
        let variables = Walk::variables_of(&alone, filter);
        let variables: Vec<&str> = variables.iter().map(String::as_str).collect();
        if let Err(found) = compile::program(&alone, tables, filter, &variables) {
            faults.extend(found);
            ".".clone_into(&mut filter.code);
        }
    }
    true
}

/// Files of a folder with this ending, in order of name; none if there is no such folder.
pub(super) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut files: Vec<PathBuf> = paths
        .filter(|path| path.is_file() && path.extension().is_some_and(|found| found == ending))
        .collect();
    files.sort();
    files
}

/// Why a file cannot give its name to a filter.
fn hidden(name: &str) -> Option<Fault> {
    if compile::is_known(name) {
        return Some(
            Fault::new("filter-hides-builtin")
                .found(format!("a filter of the name {name}"))
                .expected("a name that jq and the bus do not have")
                .remedy("rename the file"),
        );
    }
    let word = name
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        && name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    (!word || KEYWORDS.contains(&name)).then(|| {
        Fault::new("filter-name")
            .found(format!("a filter of the name {name}"))
            .expected("a word of letters, digits and _ that is no keyword of jq")
            .remedy("rename the file")
    })
}
