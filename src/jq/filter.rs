//! A compiled filter and the values it is run with.

use std::fmt;
use std::sync::Arc;

use jaq_core::{Ctx, Exn, Vars};
use serde_json::Value;

use super::compile::Program;
use super::meter::{self, Bounds, Stop};
use super::native::{self, Jq, Run};
use super::tables::Tables;
use super::value::Val;
use super::{Error, Library, Place};
use crate::fault::Fault;

/// A compiled expression. Clones share it.
#[derive(Clone)]
pub struct Filter(Arc<Inner>);

struct Inner {
    program: Program,
    variables: Vec<String>,
    at: Place,
    tables: Arc<Tables>,
    bounds: Bounds,
}

/// The values of variables, by name without `$`. Clones share the values; a variable that a filter does not know does
/// no harm.
#[derive(Clone, Default)]
pub struct Scope(Vec<(Arc<str>, Val)>);

impl Scope {
    /// No variables.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with this variable, which replaces one of the same name.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl std::borrow::Borrow<Value>) -> Self {
        self.0.retain(|(known, _)| &**known != name);
        self.0.push((name.into(), Val::from(value.borrow())));
        self
    }

    fn get(&self, name: &str) -> Option<&Val> {
        self.0
            .iter()
            .find(|(known, _)| &**known == name)
            .map(|(_, value)| value)
    }
}

impl Filter {
    pub(super) fn new(program: Program, variables: &[&str], at: &Place, library: &Library) -> Self {
        Self(Arc::new(Inner {
            program,
            variables: variables
                .iter()
                .map(|name| name.trim_start_matches('$').to_owned())
                .collect(),
            at: at.clone(),
            tables: Arc::clone(&library.tables),
            bounds: library.bounds,
        }))
    }

    /// All outputs, in order.
    ///
    /// Runs on the caller's thread if that is one of the [`super::Workers`], else on one that it borrows and waits for.
    ///
    /// # Errors
    ///
    /// [`Error::Ignored`] if the filter calls `ignore`; else a fault: what a native or `error({code, …})` says, or
    /// `mapping-error` with the kind of error but no value, `mapping-too-long`, `mapping-too-big`.
    pub fn all(&self, input: &Value, scope: &Scope) -> Result<Vec<Value>, Error> {
        self.run(input, scope, usize::MAX)
    }

    /// The one output.
    ///
    /// # Errors
    ///
    /// As [`Filter::all`], and the faults `mapping-empty` and `mapping-many` if there is none or more than one.
    pub fn one(&self, input: &Value, scope: &Scope) -> Result<Value, Error> {
        self.at_most_one(input, scope)?.ok_or_else(|| {
            let fault = self
                .fault("mapping-empty")
                .found("no output")
                .expected("exactly one");
            fault
                .remedy("leave a record out by ignore(\"why\"); an empty inside an object empties all of it")
                .into()
        })
    }

    /// Whether the output is neither null nor false; no output (`select(…)`, `.list[]`) does not hold.
    ///
    /// # Errors
    ///
    /// As [`Filter::all`], and the fault `mapping-many` if there is more than one output.
    pub fn holds(&self, input: &Value, scope: &Scope) -> Result<bool, Error> {
        let output = self.at_most_one(input, scope)?;
        Ok(!matches!(output, None | Some(Value::Null | Value::Bool(false))))
    }

    fn at_most_one(&self, input: &Value, scope: &Scope) -> Result<Option<Value>, Error> {
        let mut outputs = self.run(input, scope, 2)?;
        if outputs.len() > 1 {
            let fault = self
                .fault("mapping-many")
                .found("several outputs")
                .expected("exactly one");
            return Err(fault.remedy("collect them in [ ] or take first( )").into());
        }
        Ok(outputs.pop())
    }

    fn run(&self, input: &Value, scope: &Scope, most: usize) -> Result<Vec<Value>, Error> {
        let inner = &*self.0;
        let mut variables = Vec::new();
        let mut weight = 0;
        for name in &inner.variables {
            let Some(value) = scope.get(name) else {
                let fault = self.fault("mapping-error").found(format!("no value for ${name}"));
                return Err(fault.expected("a value for each declared variable").into());
            };
            weight += value.size().weight;
            variables.push(value.clone());
        }
        let input = Val::from(input);
        if weight + input.size().weight > inner.bounds.size {
            return Err(self.too_big("the input").into());
        }
        let evaluate = || {
            let run = Run {
                lut: &inner.program.lut,
                tables: &inner.tables,
            };
            let outputs = inner
                .program
                .id
                .run((Ctx::<Jq>::new(run, Vars::new(variables)), input));
            let mut results = Vec::new();
            let mut weight = 0;
            for output in outputs.take(most) {
                let output: Val = output.map_err(|error| self.error(error))?;
                weight += output.size().weight;
                meter::judge(weight, 0);
                results.push(Value::from(&output));
            }
            Ok::<_, Error>(results)
        };
        match meter::within(inner.bounds, evaluate) {
            Ok(result) => result,
            Err(Stop::Ignored(reason)) => Err(Error::Ignored(reason)),
            Err(Stop::Big) => Err(self.too_big("what the mapping builds").into()),
            Err(Stop::Long) => Err(self
                .fault("mapping-too-long")
                .found(format!(
                    "more than {} steps, or endless recursion",
                    inner.bounds.steps
                ))
                .expected("a mapping that comes to an end")
                .remedy("look for a recursion or loop without an end")
                .into()),
            Err(Stop::NoThread) => Err(no_thread().into()),
            Err(Stop::Broken) => Err(self
                .fault("mapping-error")
                .found("a failure inside the jq engine")
                .into()),
        }
    }

    /// An error of the engine as a fault. Its text is made of kinds of values (see [`Val`]'s `Display`), never values;
    /// a text that the mapping itself raised is withheld, since it could be made of anything.
    fn error(&self, error: Exn<'_, Val>) -> Error {
        let Ok(error) = error.get_err() else {
            return self
                .fault("mapping-error")
                .found("a break or halt outside of its place")
                .into();
        };
        let kind = error.to_string();
        if let Some(fault) = native::fault_of(&error.into_val()) {
            return self.placed(fault).into();
        }
        let fault = self.fault("mapping-error");
        if kind.starts_with("cannot ") {
            return fault.found(format!("\"{kind}\"")).into();
        }
        if kind.starts_with("invalid path") {
            return fault
                .found("an update or path of something that is no path")
                .into();
        }
        fault
            .found(format!("error with {kind}, which is withheld"))
            .remedy("raise error({code, field, expected, remedy}), of which nothing is withheld")
            .into()
    }

    fn too_big(&self, what: &str) -> Fault {
        let bounds = self.0.bounds;
        let (size, memory) = (bounds.size >> 20, bounds.memory >> 20);
        self.fault("mapping-too-big")
            .found(format!("{what}, beyond the bound"))
            .expected(format!("values of at most {size} MiB, {memory} MiB in all"))
            .remedy("look for a loop that grows a text or list; split the record")
    }

    pub(super) fn fault(&self, code: &str) -> Fault {
        self.placed(Fault::new(code))
    }

    /// Says where the mapping stands, as far as the fault does not name a better place.
    fn placed(&self, mut fault: Fault) -> Fault {
        let at = &self.0.at;
        if fault.file.is_none() {
            fault.file = Some(at.file.clone());
            fault.line = (at.line > 0).then_some(at.line);
        }
        if fault.field.is_none() && !at.key.is_empty() {
            fault.field = Some(at.key.clone());
        }
        fault
    }
}

/// What to say where the system has no thread for a filter.
pub(super) fn no_thread() -> Fault {
    Fault::new("no-thread")
        .found("a system that gives no thread")
        .expected(format!(
            "a thread with {} MiB of address space",
            meter::STACK >> 20
        ))
        .remedy("raise the limits of the service for threads and address space")
}

impl fmt::Debug for Scope {
    /// The names; the values are personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").field(&self.0.at).finish()
    }
}
