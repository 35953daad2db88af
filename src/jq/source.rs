//! A piece of jq as people wrote it: parsing, and the line of whatever is wrong in it.

use jaq_core::load;
use jaq_core::load::lex::{Lexer, StrPart, Tok, Token};
use jaq_core::load::parse::{Def, Parser, Term};

use super::allowed::REFUSED;
use crate::fault::Fault;

/// A text with jq in it and where it stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Source {
    pub(super) file: String,
    /// Line of the file on which `code` begins; 0 if not known.
    pub(super) line: usize,
    pub(super) code: String,
}

pub(super) type Defs<'s> = Vec<Def<&'s str>>;

/// Longest piece of code.
const CODE: usize = 256 << 10;

/// Deepest nesting of brackets: parser and compiler are recursive and must fit their stack.
const NESTING: i32 = 200;

/// Most tokens from the outermost to the innermost bracket, which bounds all other recursion (`- - - 1`).
const CHAIN: usize = 20_000;

/// The code from the bracket on that is one too deep; brackets in strings count too.
fn too_deep(code: &str) -> Option<&str> {
    let mut depth = 0;
    let (at, _) = code.char_indices().find(|(_, letter)| {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = 0.max(depth - 1),
            _ => {}
        }
        depth > NESTING
    })?;
    code.get(at..)
}

fn chain(tokens: &[Token<&str>]) -> usize {
    let within = |Token(_, kind): &Token<&str>| match kind {
        Tok::Block(tokens) => chain(tokens),
        Tok::Str(parts) => {
            let terms = parts.iter().filter_map(|part| match part {
                StrPart::Term(token) => Some(chain(std::slice::from_ref(token))),
                _ => None,
            });
            terms.max().unwrap_or(0)
        }
        _ => 0,
    };
    tokens.len() + tokens.iter().map(within).max().unwrap_or(0)
}

impl Source {
    /// A fault at this part of the code, which may also be of another source.
    pub(super) fn fault(&self, part: &str, code: &str) -> Fault {
        let fault = Fault::new(code).file(&self.file);
        let span = load::span(&self.code, part);
        let before = self.code.get(..span.start).unwrap_or_default();
        let lines = before.matches('\n').count();
        if self.line == 0 {
            fault
        } else {
            fault.line(self.line + lines)
        }
    }

    pub(super) fn contains(&self, part: &str) -> bool {
        let code = self.code.as_bytes().as_ptr_range();
        part.as_ptr() >= code.start && part.as_ptr() <= code.end
    }

    fn parse<'s, T: Default>(
        &'s self,
        rule: impl for<'t> FnOnce(&mut Parser<'s, 't>) -> load::parse::Result<'s, 't, T>,
    ) -> Result<T, Vec<Fault>> {
        if self.code.len() > CODE {
            return Err(vec![
                self.fault(&self.code, "jq-syntax")
                    .expected("at most 256 KiB of jq")
                    .remedy("split it into several filters"),
            ]);
        }
        if let Some(deep) = too_deep(&self.code) {
            let fault = self
                .fault(deep, "jq-syntax")
                .expected(format!("brackets at most {NESTING} deep"))
                .remedy("split it into definitions in lib.jq");
            return Err(vec![fault]);
        }
        let fault = |part: &str, expected: &str| {
            let token = part
                .lines()
                .next()
                .unwrap_or_default()
                .split_whitespace()
                .next()
                .unwrap_or("the end");
            let token: String = token.chars().take(40).collect();
            let remedy = REFUSED
                .iter()
                .find(|(name, _)| *name == token)
                .map(|(_, remedy)| *remedy);
            let fault = self.fault(part, "jq-syntax").found(token).expected(expected);
            if let Some(remedy) = remedy {
                fault.remedy(remedy)
            } else {
                fault.remedy("correct the jq at this place")
            }
        };
        let tokens = Lexer::new(&self.code).lex().map_err(|errors| -> Vec<Fault> {
            errors
                .into_iter()
                .map(|(expected, part)| fault(part, expected.as_str()))
                .collect()
        })?;
        if chain(&tokens) > CHAIN {
            let fault = self
                .fault(&self.code, "jq-syntax")
                .found("a single piece of very long code");
            return Err(vec![fault.remedy("split it into definitions in lib.jq")]);
        }
        Parser::new(&tokens).parse(rule).map_err(|errors| {
            let part = |token| Token::opt_as_str(token, &self.code);
            errors
                .into_iter()
                .map(|(expected, found)| fault(part(found), expected.as_str()))
                .collect()
        })
    }

    pub(super) fn term(&self) -> Result<Term<&str>, Vec<Fault>> {
        self.parse(|parser| parser.term())
    }

    pub(super) fn defs(&self) -> Result<Defs<'_>, Vec<Fault>> {
        self.parse(|parser| parser.defs())
    }
}
