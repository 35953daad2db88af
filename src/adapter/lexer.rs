//! Just enough of jq's grammar to see which names a piece of code uses. Compiling it is the room `jq`'s work.

/// A piece of jq code that names something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A function or keyword: `to_native`.
    Name(String),
    /// A variable, without its `$`.
    Variable(String),
    /// A field, without its dot.
    Field(String),
    /// Text without interpolation.
    Text(String),
    /// Anything else that is no space.
    Sign(char),
}

/// The tokens of a filter, each with its line counted from 0.
pub(super) fn filter(code: &str) -> Vec<(usize, Token)> {
    Lexer::new(code).run(false)
}

/// The tokens of the `\( )` in a text template.
pub(super) fn template(text: &str) -> Vec<(usize, Token)> {
    Lexer::new(text).run(true)
}

struct Lexer<'c> {
    rest: std::iter::Peekable<std::str::Chars<'c>>,
    line: usize,
    tokens: Vec<(usize, Token)>,
}

impl<'c> Lexer<'c> {
    fn new(code: &'c str) -> Self {
        Self {
            rest: code.chars().peekable(),
            line: 0,
            tokens: Vec::new(),
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn word(&mut self, first: Option<char>) -> String {
        let mut word: String = first.into_iter().collect();
        while let Some(c) = self.rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
            word.push(c);
        }
        word
    }

    fn push(&mut self, token: Token) {
        self.tokens.push((self.line, token));
    }

    /// Open brackets of each interpolation that we are inside of.
    fn run(mut self, template: bool) -> Vec<(usize, Token)> {
        let mut depths: Vec<usize> = Vec::new();
        let mut in_text = template.then(String::new);
        loop {
            if let Some(text) = in_text.take() {
                // The end of a template closes no quote.
                let (text, opened) = self.text(text, template && depths.is_empty());
                if opened {
                    depths.push(0);
                } else if let Some(text) = text {
                    self.push(Token::Text(text));
                }
            }
            let Some(c) = self.next() else { return self.tokens };
            match c {
                '#' => while self.rest.next_if(|c| *c != '\n').is_some() {},
                '"' => in_text = Some(String::new()),
                '$' => {
                    let name = self.word(None);
                    self.push(Token::Variable(name));
                }
                '.' if self.rest.peek().is_some_and(|c| c.is_alphabetic() || *c == '_') => {
                    let name = self.word(None);
                    self.push(Token::Field(name));
                }
                '(' | ')' => {
                    self.push(Token::Sign(c));
                    match (depths.last_mut(), c) {
                        (Some(depth), '(') => *depth += 1,
                        (Some(0), _) => {
                            depths.pop();
                            in_text = Some(String::new());
                        }
                        (Some(depth), _) => *depth -= 1,
                        (None, _) => {}
                    }
                }
                c if c.is_alphabetic() || c == '_' || c == '@' => {
                    let name = self.word(Some(c));
                    self.push(Token::Name(name));
                }
                c if c.is_whitespace() => {}
                c => self.push(Token::Sign(c)),
            }
        }
    }

    /// Reads text up to its end (the text, no interpolation follows) or up to `\(` (an interpolation follows).
    fn text(&mut self, mut text: String, quotes_are_text: bool) -> (Option<String>, bool) {
        while let Some(c) = self.next() {
            match c {
                '"' if !quotes_are_text => return (Some(text), false),
                '\\' => match self.next() {
                    Some('(') => return (None, true),
                    Some(c) => text.push(c),
                    None => {}
                },
                c => text.push(c),
            }
        }
        (None, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(tokens: &[(usize, Token)]) -> Vec<&str> {
        tokens
            .iter()
            .filter_map(|(_, token)| {
                if let Token::Name(name) = token {
                    Some(name.as_str())
                } else {
                    None
                }
            })
            .collect()
    }

    #[test]
    fn names_in_comments_and_text_are_no_names() {
        let code = "# dossier\n{a: \"row\", b: clean} # row";
        assert_eq!(names(&filter(code)), ["a", "b", "clean"]);
    }

    #[test]
    fn names_inside_interpolations_are_names() {
        assert_eq!(
            names(&filter(r#""x \(clean("y \(lower) z") | fold) w" | nfc"#)),
            ["clean", "lower", "fold", "nfc"]
        );
        assert_eq!(
            names(&template(r#"/HoSo/"quoted"/\($dossier.code | lower)/row"#)),
            ["lower"]
        );
    }

    #[test]
    fn fields_and_variables_keep_their_lines() {
        let tokens = filter("$settings\n  .password");
        assert_eq!(
            tokens,
            [
                (0, Token::Variable("settings".into())),
                (1, Token::Field("password".into()))
            ]
        );
    }
}
