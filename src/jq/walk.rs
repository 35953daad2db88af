//! What a piece of jq mentions, found by walking over its terms.

use std::collections::BTreeSet;

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::path::Part;

use super::library::Sources;
use super::native;
use super::source::Source;
use super::tables::Tables;
use crate::fault::Fault;

/// What a term mentions that is not its own.
#[derive(Default)]
pub(super) struct Walk<'s> {
    /// Functions that are called, by name and number of arguments.
    pub(super) calls: BTreeSet<(&'s str, usize)>,
    /// Variables, bound ones included, without `$`.
    pub(super) variables: BTreeSet<&'s str>,
    /// Code tables that are named literally.
    tables: Vec<&'s str>,
    /// Functions defined around the place.
    local: Vec<(&'s str, usize)>,
    /// Whether definitions that take filters are made dear.
    pricing: bool,
}

impl<'s> Walk<'s> {
    /// A walk that makes definitions dear on its way. Once is enough.
    pub(super) fn pricing() -> Self {
        Self {
            pricing: true,
            ..Self::default()
        }
    }

    pub(super) fn of(term: &mut Term<&'s str>) -> Self {
        let mut walk = Self::default();
        walk.term(term);
        walk
    }

    /// The variables that a filter and the library mention; none if they cannot be parsed.
    pub(super) fn variables_of(sources: &Sources, filter: &Source) -> BTreeSet<String> {
        let mut walk = Walk::default();
        if let (Ok(mut term), Ok(mut lib)) = (filter.term(), sources.lib.defs()) {
            walk.term(&mut term);
            for def in &mut lib {
                walk.def(def);
            }
            return walk.variables.iter().map(|name| (*name).to_owned()).collect();
        }
        BTreeSet::new()
    }

    pub(super) fn unknown_tables(&self, source: &Source, tables: &Tables) -> Vec<Fault> {
        let missing = self.tables.iter().filter(|name| tables.get(name).is_none());
        let fault = |name: &&str| {
            let (at, missing) = (source.fault(name, "table-missing"), tables.missing_table(name));
            Fault {
                file: at.file,
                line: at.line,
                ..missing
            }
        };
        missing.map(fault).collect()
    }

    fn terms<'t>(&mut self, terms: impl IntoIterator<Item = &'t mut Term<&'s str>>)
    where
        's: 't,
    {
        terms.into_iter().for_each(|term| self.term(term));
    }

    fn term(&mut self, term: &mut Term<&'s str>) {
        match term {
            Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) => {}
            Term::Str(format, parts) => {
                if let Some(format) = format {
                    self.call(format, 0);
                }
                for part in parts {
                    if let StrPart::Term(term) = part {
                        self.term(term);
                    }
                }
            }
            Term::Arr(term) => self.terms(term.as_deref_mut()),
            Term::Obj(entries) => {
                for (key, value) in entries {
                    self.term(key);
                    self.terms(value);
                }
            }
            Term::Neg(term) | Term::Label(_, term) => self.term(term),
            Term::BinOp(left, operator, right) => {
                if let BinaryOp::Pipe(Some(pattern)) = operator {
                    self.pattern(pattern);
                }
                self.terms([&mut **left, &mut **right]);
            }
            Term::Fold(_, stream, pattern, args) => {
                self.pattern(pattern);
                self.term(stream);
                self.terms(args);
            }
            Term::TryCatch(attempt, catch) => {
                self.term(attempt);
                self.terms(catch.as_deref_mut());
            }
            Term::IfThenElse(branches, otherwise) => {
                for (condition, branch) in branches {
                    self.terms([condition, branch]);
                }
                self.terms(otherwise.as_deref_mut());
            }
            Term::Def(defs, term) => {
                let before = self.local.len();
                for def in defs {
                    self.def(def);
                    self.local.push((def.name, def.args.len()));
                }
                self.term(term);
                self.local.truncate(before);
            }
            Term::Call(name, args) => {
                self.call(name, args.len());
                if let ("to_native" | "to_canonical", [Term::Str(None, parts)]) = (*name, args.as_slice())
                    && let [StrPart::Str(table)] = parts.as_slice()
                {
                    self.tables.push(table);
                }
                self.terms(args);
            }
            Term::Var(name) => self.variable(name),
            Term::Path(term, path) => {
                self.term(term);
                for (part, _) in &mut path.0 {
                    match part {
                        Part::Index(index) => self.term(index),
                        Part::Range(from, to) => self.terms(from.iter_mut().chain(to)),
                    }
                }
            }
        }
    }

    pub(super) fn def(&mut self, def: &mut Def<&'s str>) {
        let before = self.local.len();
        self.local.push((def.name, def.args.len()));
        self.local.extend(def.args.iter().map(|arg| (*arg, 0)));
        self.term(&mut def.body);
        self.local.truncate(before);
        // A definition that takes filters can make a chain of them as long as it has steps (`def f(g): f(g | .)`), and
        // freeing such a chain takes stack: its calls are dear.
        if self.pricing && def.args.iter().any(|arg| !arg.starts_with('$')) {
            let body = Box::new(std::mem::take(&mut def.body));
            let call = Box::new(Term::Call(native::DEAR, Vec::new()));
            def.body = Term::BinOp(call, BinaryOp::Pipe(None), body);
        }
    }

    fn pattern(&mut self, pattern: &mut Pattern<&'s str>) {
        match pattern {
            Pattern::Var(name) => self.variable(name),
            Pattern::Arr(patterns) => patterns.iter_mut().for_each(|pattern| self.pattern(pattern)),
            Pattern::Obj(entries) => {
                for (key, pattern) in entries {
                    self.term(key);
                    self.pattern(pattern);
                }
            }
        }
    }

    fn call(&mut self, name: &'s str, arity: usize) {
        if !self.local.contains(&(name, arity)) {
            self.calls.insert((name, arity));
        }
    }

    fn variable(&mut self, name: &'s str) {
        self.variables.insert(name.trim_start_matches('$'));
    }
}
