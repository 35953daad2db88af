//! From text to program: parse, find what is used, compile only that, say what is wrong and where.
//!
//! An expression, the filters and the definitions it uses become one program, because they see the same variables. What
//! it does not use stays out: a definition that needs `$token` does not disturb a mapping that has none.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use jaq_core::compile::Undefined;
use jaq_core::load::parse::{Def, Term};
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::native::Filter as Named;
use jaq_core::{Compiler, Native};

use super::allowed::{REFUSED, is_allowed};
use super::library::Sources;
use super::native::{self, Jq};
use super::source::{Defs, Source};
use super::tables::Tables;
use super::walk::Walk;
use crate::fault::Fault;

pub(super) type Program = jaq_core::Filter<Jq>;

/// Name under which the expression is compiled.
const EXPRESSION: &str = "__expression";

/// Compiles `main` with what it uses of the folder.
pub(super) fn program(
    sources: &Sources,
    tables: &Tables,
    main: &Source,
    variables: &[&str],
) -> Result<Program, Vec<Fault>> {
    let mut term = main.term()?;
    let walk = Walk::of(&mut term);
    let mut faults = walk.unknown_tables(main, tables);
    let mut calls = walk.calls;
    let mut filters = Vec::new();
    for (name, source) in &sources.filters {
        if calls.contains(&(name, 0)) {
            let mut body = source.term()?;
            calls.extend(
                Walk::of(&mut body)
                    .calls
                    .iter()
                    .filter(|(name, _)| !sources.filters.contains_key(*name)),
            );
            filters.push(Def {
                name: name.as_str(),
                args: Vec::new(),
                body,
            });
        }
    }
    let lib = sources.lib.defs()?;
    let mut prelude = reachable(lib, calls);
    prelude.extend(filters);
    prelude.push(expression(term));
    let all: Vec<&Source> = [main, &sources.lib]
        .into_iter()
        .chain(sources.filters.values())
        .collect();
    let program = link(prelude, variables, &all);
    if !faults.is_empty() {
        faults.extend(program.err().unwrap_or_default());
        return Err(faults);
    }
    program
}

/// Compiles all definitions of `lib.jq`.
pub(super) fn check_lib(sources: &Sources, tables: &Tables) -> Vec<Fault> {
    let mut lib = match sources.lib.defs() {
        Ok(lib) => lib,
        Err(faults) => return faults,
    };
    let mut faults = Vec::new();
    let mut walk = Walk::default();
    for def in &mut lib {
        let hidden = is_builtin(def.name, def.args.len());
        if hidden || sources.filters.contains_key(def.name) {
            let fault = sources.lib.fault(def.name, "filter-hides-builtin");
            let what = if hidden {
                "jq and the bus do not have"
            } else {
                "no file has"
            };
            faults.push(
                fault
                    .found(format!("the definition {}", def.name))
                    .expected(format!("a name that {what}")),
            );
        }
        walk.def(def);
    }
    faults.extend(walk.unknown_tables(&sources.lib, tables));
    let variables: Vec<&str> = walk.variables.iter().copied().collect();
    lib.push(expression(Term::Id));
    faults.extend(link(lib, &variables, &[&sources.lib]).err().unwrap_or_default());
    faults
}

/// The definitions that are called, directly or by others, in their order.
fn reachable<'s>(lib: Defs<'s>, mut calls: BTreeSet<(&'s str, usize)>) -> Defs<'s> {
    let mut kept = Vec::new();
    // A definition sees those before it: from the last to the first, every caller has been seen before what it calls.
    for mut def in lib.into_iter().rev() {
        if calls.contains(&(def.name, def.args.len())) {
            let mut walk = Walk::default();
            walk.def(&mut def);
            calls.extend(walk.calls);
            kept.push(def);
        }
    }
    kept.reverse();
    kept
}

/// The expression itself, as a definition: so that it goes the same way as the others.
fn expression(body: Term<&str>) -> Def<&str> {
    Def {
        name: EXPRESSION,
        args: Vec::new(),
        body,
    }
}

/// Compiles definitions, of which the last is the expression.
fn link<'s>(
    mut definitions: Defs<'s>,
    variables: &[&'s str],
    sources: &[&Source],
) -> Result<Program, Vec<Fault>> {
    let arena = Arena::default();
    let variables: Vec<String> = variables
        .iter()
        .map(|name| format!("${}", name.trim_start_matches('$')))
        .collect();
    let mut walk = Walk::pricing();
    for definition in &mut definitions {
        walk.def(definition);
    }
    let base = reachable(base().to_vec(), walk.calls);
    let loader = Loader::new(base.into_iter().chain(definitions));
    let file = File {
        code: EXPRESSION,
        path: (),
    };
    let modules = loader.load(&arena, file);
    let modules = modules.map_err(|_| vec![Fault::new("jq-syntax")])?;
    let compiler = Compiler::default()
        .with_funs(functions())
        .with_global_vars(variables.iter().map(String::as_str));
    compiler.compile(modules).map_err(|errors| {
        let errors = errors.into_iter().flat_map(|(_, errors)| errors);
        let mut faults: Vec<Fault> = errors
            .map(|(part, kind)| undefined(part, &kind, &variables, sources))
            .collect();
        faults.dedup();
        faults
    })
}

/// The engine's functions that may be called, and ours.
fn functions() -> impl Iterator<Item = Named<Native<Jq>>> {
    let engine = jaq_core::funs::<Jq>().chain(jaq_std::funs::<Jq>());
    let engine = engine
        .filter(|(name, args, _)| is_allowed(name, args.len()))
        .map(|(name, args, native)| (unguarded(name), args, native));
    native::all().chain([native::dear()]).chain(engine)
}

/// The definitions that every program sees: the engine's that may be called, and ours.
fn base() -> &'static [Def<&'static str>] {
    static BASE: OnceLock<Vec<Def<&'static str>>> = OnceLock::new();
    BASE.get_or_init(|| {
        let ours =
            |code| load::parse(code, |parser| parser.defs()).expect("our own definitions can be parsed");
        let natives: BTreeSet<&str> = native::all().map(|(name, ..)| name).collect();
        let engine = jaq_core::defs().chain(jaq_std::defs());
        let engine = engine.filter(|def| is_allowed(def.name, def.args.len()) && !natives.contains(def.name));
        let mut guards = ours(include_str!("guards.jq"));
        for guard in &mut guards {
            if let Term::BinOp(_, _, call) = &mut guard.body
                && let Term::Call(name, _) = &mut **call
            {
                *name = unguarded(name);
            }
        }
        let own = ours(include_str!("prelude.jq"));
        guards.into_iter().chain(engine).chain(own).collect()
    })
}

/// Name of the engine's own functions of regular expressions, which no mapping can write.
fn unguarded(name: &'static str) -> &'static str {
    match name {
        "matches" => "!matches",
        "split_matches" => "!split_matches",
        "split_" => "!split_",
        other => other,
    }
}

/// Whether jq or the bus has this function.
pub(super) fn is_builtin(name: &str, arity: usize) -> bool {
    signatures().any(|signature| signature == (name, arity))
}

/// Whether jq or the bus has a function of this name, though mappings may not call it.
pub(super) fn is_known(name: &str) -> bool {
    signatures().any(|(known, _)| known == name) || REFUSED.iter().any(|(known, _)| *known == name)
}

fn signatures() -> impl Iterator<Item = (&'static str, usize)> {
    let functions = functions().map(|(name, args, _)| (name, args.len()));
    functions.chain(base().iter().map(|def| (def.name, def.args.len())))
}

/// What to say of a name that is not there.
fn undefined(part: &str, kind: &Undefined, variables: &[String], sources: &[&Source]) -> Fault {
    let at = |code: &str| {
        let source = sources.iter().find(|source| source.contains(part));
        source.map_or_else(|| Fault::new(code), |source| source.fault(part, code))
    };
    if let Some((name, remedy)) = REFUSED.iter().find(|(name, _)| *name == part) {
        return at("function-refused")
            .found(*name)
            .expected("a function that depends on its input only")
            .remedy(*remedy);
    }
    let part: &str = &part.chars().take(40).collect::<String>();
    match kind {
        Undefined::Var => {
            let known = if variables.is_empty() {
                "no variable".to_owned()
            } else {
                variables.join(" ")
            };
            at("unknown-variable")
                .found(part)
                .expected(format!("one of those that mean something here: {known}"))
                .remedy("correct the name, or bind it with `as`")
        }
        Undefined::Filter(arity) => {
            let fault = at("unknown-function").found(format!("{part}/{arity}"));
            let fault =
                fault.expected("a function of jq or the bus, a NAME.jq (in a NAME.jq: not another), a def");
            match nearest(part) {
                Some(near) => fault.remedy(format!("did you mean {near}?")),
                None => fault.remedy("correct the name, or define it in lib.jq"),
            }
        }
        other => at("unknown-name")
            .found(part)
            .expected(format!("a known {}", other.as_str()))
            .remedy("correct the name"),
    }
}

/// The known function whose name is most like this one.
fn nearest(name: &str) -> Option<String> {
    let likeness =
        signatures().map(|(known, arity)| (strsim::damerau_levenshtein(known, name), known, arity));
    let (distance, known, arity) = likeness.min()?;
    (distance <= (name.len() / 3).min(2)).then(|| format!("{known}/{arity}"))
}
