//! The functions that the bus adds to jq. None of them uses a regular expression, all of them are pure.
//!
//! Each takes null as "nothing there" and, unless it says otherwise, gives null for it. A refusal is an error whose
//! value is a fault (`{code, field, …}`): it parks or refuses the record unless the mapping catches it on purpose
//! (`try … catch`). It never holds the value, save for codes of code lists.

mod code;
mod hash;
mod list;
mod structure;
mod text;
mod time;

use jaq_core::box_iter::box_once;
use jaq_core::data::HasLut;
use jaq_core::native::{Filter as Named, bome, unary, v};
use jaq_core::{Cv, DataT, Error, Native, RunPtr, ValXs};

use super::meter::{self, Stop};
use super::tables::Tables;
use super::value::{Object, Text, Val};
use crate::fault::Fault;

/// The engine, set up for our values.
pub(super) struct Jq;

impl DataT for Jq {
    type V<'a> = Val;
    type Data<'a> = Run<'a>;
}

type Lut = jaq_core::Lut<Jq>;

/// What natives see of a run.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) lut: &'a Lut,
    pub(super) tables: &'a Tables,
}

impl<'a> HasLut<'a, Jq> for Run<'a> {
    /// The engine comes here for every term that it evaluates, which makes it the place to count them.
    fn lut(&self) -> &'a Lut {
        meter::term();
        self.lut
    }
}

type Outcome = Result<Val, Error<Val>>;

/// All of them, by family.
pub(super) fn all() -> impl Iterator<Item = Named<Native<Jq>>> {
    let natives: Box<[Named<RunPtr<Jq>>]> = Box::new([
        // code tables
        ("to_native", v(1), |cv| table(cv, code::to_native)),
        ("to_canonical", v(1), |cv| table(cv, code::to_canonical)),
        // times
        ("parse_time", v(1), |cv| {
            unary(cv, |x, f| time::parse_time(&x, &f))
        }),
        ("format_time", v(1), |cv| {
            unary(cv, |x, f| time::format_time(&x, &f))
        }),
        ("parse_date", v(1), |cv| {
            unary(cv, |x, f| time::parse_date(&x, &f))
        }),
        ("format_date", v(1), |cv| {
            unary(cv, |x, f| time::format_date(&x, &f))
        }),
        ("epoch_ms", v(0), |cv| bome(time::epoch_ms(&cv.1))),
        // texts
        ("nfc", v(0), |cv| bome(text::nfc(&cv.1))),
        ("clean", v(0), |cv| bome(text::clean(&cv.1))),
        ("lower", v(0), |cv| bome(text::lower(&cv.1))),
        ("upper", v(0), |cv| bome(text::upper(&cv.1))),
        ("fold", v(0), |cv| bome(text::fold(&cv.1))),
        ("says", v(1), |cv| unary(cv, |x, y| text::says(&x, &y))),
        ("alike", v(1), |cv| unary(cv, |x, y| text::alike(&x, &y))),
        ("cut", v(1), |cv| unary(cv, |x, n| text::cut(&x, &n))),
        ("split_name", v(0), |cv| bome(text::split_name(&cv.1))),
        ("join_name", v(0), |cv| bome(text::join_name(&cv.1))),
        ("join", v(1), |cv| unary(cv, |x, y| text::join(&x, &y))),
        ("encode_uri", v(0), |cv| bome(text::percent_encode(&cv.1))),
        ("regex_work", v(1), |cv| unary(cv, text::regex_work)),
        // lists, objects, presence
        ("given", v(0), |cv| bome(list::given(cv.1))),
        ("need", v(1), |cv| unary(cv, list::need)),
        ("ignore", v(1), |cv| unary(cv, |_, reason| ignore(&reason))),
        // hashes
        ("sha256", v(0), |cv| bome(hash::sha256(&cv.1))),
        ("hmac_sha256", v(1), |cv| {
            unary(cv, |x, key| hash::hmac_sha256(&x, &key))
        }),
        ("same", v(1), |cv| {
            unary(cv, |x, y| Ok(Val::Bool(hash::same(&x, &y))))
        }),
        // jq's own, for our values
        ("tojson", v(0), |cv| bome(Ok(Val::text(cv.1.to_json())))),
        ("fromjson", v(0), |cv| bome(structure::fromjson(&cv.1))),
        ("from_xml", v(0), |cv| bome(structure::from_xml(&cv.1))),
        ("to_xml", v(0), |cv| bome(structure::to_xml(&cv.1))),
        ("tonumber", v(0), |cv| bome(structure::tonumber(cv.1))),
        ("length", v(0), |cv| bome(structure::length(cv.1))),
        ("has", v(1), |cv| unary(cv, |x, key| structure::has(x, &key))),
        ("contains", v(1), |cv| {
            unary(cv, |x, y| Ok(Val::Bool(structure::contains(&x, &y))))
        }),
        ("indices", v(1), |cv| unary(cv, |x, y| structure::indices(x, &y))),
    ]);
    natives
        .into_vec()
        .into_iter()
        .map(|native| jaq_core::native::run::<Jq>(native))
}

/// Name of [`dear`]; no mapping can write it.
pub(super) const DEAR: &str = "!dear";

/// Passes its input on, at the price of many steps.
pub(super) fn dear() -> Named<Native<Jq>> {
    let run: RunPtr<Jq> = |cv| {
        meter::work(64 * 64);
        box_once(Ok(cv.1))
    };
    let native = Native::<Jq>::new(run)
        .with_paths(|cv| box_once(Ok(cv.1)))
        .with_update(|cv, update| update(cv.1));
    (DEAR, v(0), native)
}

fn table(mut cv: Cv<'_, Jq>, convert: fn(&Tables, &Val, &Val) -> Outcome) -> ValXs<'_, Val> {
    let name = cv.0.pop_var();
    bome(convert(cv.0.data().tables, &name, &cv.1))
}

/// Leaves the record out on purpose; nothing in the mapping can catch it.
fn ignore(reason: &Val) -> Outcome {
    match reason.as_text() {
        Some(reason) if !reason.trim().is_empty() => meter::stop(Stop::Ignored(reason.to_owned())),
        _ => refuse(
            Fault::new("ignore-without-reason")
                .expected("ignore(\"why the record is left out\")")
                .remedy("state the reason"),
        ),
    }
}

/// A fault as the error of a filter.
fn refuse<T>(fault: Fault) -> Result<T, Error<Val>> {
    let mut object = Object::default();
    let parts = [
        ("code", Some(fault.code)),
        ("file", fault.file),
        ("field", fault.field),
        ("found", fault.found),
        ("expected", fault.expected),
        ("remedy", fault.remedy),
    ];
    for (key, part) in parts {
        if let Some(part) = part {
            object.insert(Text::from(key), Val::text(part));
        }
    }
    Err(Error::new(Val::object(object)))
}

/// The fault that the error of a filter is, if it is one: also what `error({code, …})` in a mapping makes.
pub(super) fn fault_of(error: &Val) -> Option<Fault> {
    let mut fault = Fault::new(error.text_at("code")?);
    let part = |key| error.text_at(key).map(str::to_owned);
    fault.file = part("file");
    fault.field = part("field");
    fault.found = part("found");
    fault.expected = part("expected");
    fault.remedy = part("remedy");
    Some(fault)
}
