//! Command lines as `/bin/sh` reads them, as far as a knockd.conf needs it: one command after the other, each with
//! its text, so that those that are no firewall's can go on as they are. What the shell would work out by itself
//! (variables, substitutions, patterns) makes a command odd: then its words are not those that the program gets.

use std::iter::Peekable;
use std::str::CharIndices;

/// What stands between two commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Join {
    /// `;`, or the end.
    Then,
    /// `&`: the next one does not wait.
    Beside,
    /// `&&`
    And,
    /// `||`
    Or,
}

/// One command, or several with pipes between them, and what stands behind it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// As it is written, without white space at the ends.
    pub text: String,
    /// The words of each program, without quotes and redirections of what it says. Never empty, and none of them is.
    pub programs: Vec<Vec<String>>,
    /// Why the words are not all that there is to it, as the end of a sentence.
    pub odd: Option<String>,
    /// What joins it to the next.
    pub join: Join,
}

/// Words that make a program of the line, or change what comes behind them.
const KEYWORDS: [&str; 24] = [
    "if", "then", "elif", "else", "fi", "for", "while", "until", "do", "done", "case", "esac", "function", "{", "}",
    "!", "exit", "exec", "set", "trap", "return", "eval", "break", "continue",
];

/// Takes a command line apart. Commands in parentheses are taken for commands in a row.
///
/// # Errors
///
/// What the shell would do that this does not, as the end of a sentence.
pub fn parse(line: &str) -> Result<Vec<Command>, String> {
    let mut reader = Reader { line, rest: line.char_indices().peekable(), depth: 0, commands: Vec::new() };
    reader.line()?;
    Ok(reader.commands)
}

/// The words of a text, whatever stands between them.
pub fn words_in(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '%' | '@')))
        .filter(|word| !word.is_empty())
}

/// A command that is being read.
#[derive(Default)]
struct Begun {
    start: Option<usize>,
    programs: Vec<Vec<String>>,
    words: Vec<String>,
    odd: Option<String>,
}

impl Begun {
    fn is_odd(&mut self, why: impl Into<String>) {
        self.odd.get_or_insert_with(|| why.into());
    }
}

struct Reader<'a> {
    line: &'a str,
    rest: Peekable<CharIndices<'a>>,
    depth: usize,
    commands: Vec<Command>,
}

const EMPTY: &str = "an empty command";
const OPEN: &str = "a quote that does not end";

impl Reader<'_> {
    fn next_is(&mut self, wanted: char) -> bool {
        self.rest.next_if(|&(_, c)| c == wanted).is_some()
    }

    fn peek(&mut self) -> Option<char> {
        self.rest.peek().map(|&(_, c)| c)
    }

    fn line(&mut self) -> Result<(), String> {
        let mut begun = Begun::default();
        while let Some(&(at, next)) = self.rest.peek() {
            match next {
                ' ' | '\t' => drop(self.rest.next()),
                // A remark, to the end.
                '#' => {
                    self.end(&mut begun, at, Join::Then)?;
                    return self.whole();
                }
                ';' | '&' => {
                    self.rest.next();
                    let twice = self.next_is(next);
                    let join = match (next, twice) {
                        (';', false) => Join::Then,
                        ('&', false) => Join::Beside,
                        ('&', true) => Join::And,
                        _ => return Err(EMPTY.to_owned()),
                    };
                    self.joined(&mut begun, at, join)?;
                }
                '|' => {
                    self.rest.next();
                    if self.next_is('|') {
                        self.joined(&mut begun, at, Join::Or)?;
                    } else if begun.words.is_empty() {
                        return Err(EMPTY.to_owned());
                    } else {
                        self.next_is('&');
                        begun.programs.push(std::mem::take(&mut begun.words));
                    }
                }
                '(' if begun.start.is_none() => {
                    self.rest.next();
                    self.depth += 1;
                }
                ')' if self.depth > 0 => {
                    self.rest.next();
                    self.depth -= 1;
                    if begun.start.is_some() {
                        self.end(&mut begun, at, Join::Then)?;
                    }
                    self.after_group()?;
                }
                '<' => {
                    self.rest.next();
                    begun.start.get_or_insert(at);
                    begun.is_odd("it reads from a file");
                }
                '>' => self.redirection(&mut begun, at)?,
                _ => {
                    begun.start.get_or_insert(at);
                    let word = self.word(&mut begun)?;
                    if let Some(word) = word {
                        if begun.words.is_empty() && KEYWORDS.contains(&word.as_str()) {
                            return Err(format!("it is a program of the shell's own: {word}"));
                        }
                        begun.words.push(word);
                    }
                }
            }
        }
        let end = self.line.len();
        self.end(&mut begun, end, Join::Then)?;
        self.whole()
    }

    /// A join where a command may have ended, or a group.
    fn joined(&mut self, begun: &mut Begun, at: usize, join: Join) -> Result<(), String> {
        if begun.start.is_none() {
            return Err(EMPTY.to_owned());
        }
        self.end(begun, at, join)
    }

    /// What stands behind a group joins its last command to the next.
    fn after_group(&mut self) -> Result<(), String> {
        while self.rest.next_if(|(_, c)| matches!(c, ' ' | '\t')).is_some() {}
        let join = match self.peek() {
            None | Some('#' | ')') => return Ok(()),
            Some(';') => Join::Then,
            Some('&') => Join::Beside,
            Some('|') => Join::Or,
            Some(_) => return Err("something behind its parentheses".to_owned()),
        };
        let first = self.rest.next().map(|(_, c)| c);
        let twice = first.is_some_and(|c| self.next_is(c));
        let join = match (join, twice) {
            (Join::Beside, true) => Join::And,
            (Join::Or, false) => return Err("a pipe behind its parentheses".to_owned()),
            (Join::Then, true) => return Err(EMPTY.to_owned()),
            (join, _) => join,
        };
        if matches!(join, Join::And | Join::Or) {
            return Err("it asks how what is in its parentheses has ended".to_owned());
        }
        if let Some(last) = self.commands.last_mut() {
            last.join = join;
        }
        Ok(())
    }

    fn end(&mut self, begun: &mut Begun, at: usize, join: Join) -> Result<(), String> {
        let Some(start) = begun.start else { return Ok(()) };
        let Begun { mut programs, words, odd, .. } = std::mem::take(begun);
        if words.is_empty() {
            return Err(EMPTY.to_owned());
        }
        programs.push(words);
        self.commands.push(Command { text: self.line[start..at].trim().to_owned(), programs, odd, join });
        Ok(())
    }

    fn whole(&self) -> Result<(), String> {
        if self.depth > 0 {
            return Err("a parenthesis that does not end".to_owned());
        }
        match self.commands.last() {
            Some(last) if matches!(last.join, Join::Then | Join::Beside) => Ok(()),
            _ => Err(EMPTY.to_owned()),
        }
    }

    fn redirection(&mut self, begun: &mut Begun, at: usize) -> Result<(), String> {
        self.rest.next();
        self.next_is('>');
        begun.start.get_or_insert(at);
        if self.next_is('&') {
            // >&2 and the like: it only says so elsewhere.
            if self.rest.next_if(|(_, c)| c.is_ascii_digit()).is_none() {
                begun.is_odd("a redirection that is not understood");
            }
            return Ok(());
        }
        while self.rest.next_if(|(_, c)| matches!(c, ' ' | '\t')).is_some() {}
        match self.peek() {
            None | Some(';' | '&' | '|' | '<' | '>' | '#') => return Err("a redirection without a file".to_owned()),
            Some(_) => {}
        }
        match self.word(begun)? {
            // What a program says changes nothing of what it does.
            Some(_) => {}
            None => return Err("a redirection without a file".to_owned()),
        }
        Ok(())
    }

    /// One word. `None` for the number of what is redirected: 2>/dev/null.
    fn word(&mut self, begun: &mut Begun) -> Result<Option<String>, String> {
        let (mut word, mut quoted) = (String::new(), false);
        while let Some(&(at, next)) = self.rest.peek() {
            match next {
                ' ' | '\t' | ';' | '&' | '|' | '<' | '>' => break,
                ')' if self.depth > 0 => break,
                '\'' => {
                    self.rest.next();
                    quoted = true;
                    loop {
                        match self.rest.next().ok_or(OPEN)? {
                            (_, '\'') => break,
                            (_, c) => word.push(c),
                        }
                    }
                }
                '"' => {
                    self.rest.next();
                    quoted = true;
                    self.double_quoted(begun, &mut word)?;
                }
                '\\' => {
                    self.rest.next();
                    quoted = true;
                    word.push(self.rest.next().ok_or("a backslash at the end")?.1);
                }
                '$' | '`' => self.worked_out(begun, &mut word)?,
                '(' | ')' | '*' | '?' | '[' | '~' | '\n' | '\r' => {
                    self.rest.next();
                    begun.is_odd(works_out(next));
                    word.push(next);
                    debug_assert!(self.line.is_char_boundary(at));
                }
                c => {
                    self.rest.next();
                    word.push(c);
                }
            }
        }
        let descriptor = !quoted && word.len() == 1 && word.chars().all(|c| c.is_ascii_digit());
        Ok(if descriptor && self.peek() == Some('>') { None } else { Some(word) })
    }

    fn double_quoted(&mut self, begun: &mut Begun, word: &mut String) -> Result<(), String> {
        loop {
            match self.rest.peek().ok_or(OPEN)?.1 {
                '"' => {
                    self.rest.next();
                    return Ok(());
                }
                '$' | '`' => self.worked_out(begun, word)?,
                '\\' => {
                    self.rest.next();
                    match self.rest.next().ok_or(OPEN)?.1 {
                        c @ ('"' | '\\' | '$' | '`') => word.push(c),
                        c => word.extend(['\\', c]),
                    }
                }
                c => {
                    self.rest.next();
                    word.push(c);
                }
            }
        }
    }

    /// A variable or a substitution: the word gets it as it is written.
    fn worked_out(&mut self, begun: &mut Begun, word: &mut String) -> Result<(), String> {
        let Some((start, mark)) = self.rest.next() else { return Ok(()) };
        begun.is_odd(works_out(mark));
        if mark == '`' {
            loop {
                match self.rest.next().ok_or(OPEN)?.1 {
                    '`' => break,
                    '\\' => drop(self.rest.next()),
                    _ => {}
                }
            }
        } else if self.next_is('(') {
            self.skip_parenthesis()?;
        }
        let end = self.rest.peek().map_or(self.line.len(), |&(at, _)| at);
        word.push_str(&self.line[start..end]);
        Ok(())
    }

    /// To the parenthesis that ends a substitution.
    fn skip_parenthesis(&mut self) -> Result<(), String> {
        let mut depth = 1;
        while depth > 0 {
            match self.rest.next().ok_or("a parenthesis that does not end")?.1 {
                '(' => depth += 1,
                ')' => depth -= 1,
                '\\' => drop(self.rest.next()),
                quote @ ('\'' | '"') => {
                    while let (_, c) = self.rest.next().ok_or(OPEN)?
                        && c != quote
                    {
                        if c == '\\' && quote == '"' {
                            self.rest.next();
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn works_out(mark: char) -> String {
    format!("the shell works something out of its {mark}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words in brackets, joins in between, and why a command is odd.
    fn read(line: &str) -> Result<String, String> {
        let word = |command: &Command| {
            let join = match command.join {
                Join::Then => ";",
                Join::Beside => "&",
                Join::And => "&&",
                Join::Or => "||",
            };
            let programs: Vec<String> = command
                .programs
                .iter()
                .map(|words| words.iter().map(|word| format!("[{word}]")).collect::<String>())
                .collect();
            let odd = command.odd.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
            format!("{}{odd}{join}", programs.join("|"))
        };
        Ok(parse(line)?.iter().map(word).collect())
    }

    #[test]
    fn words_are_taken_apart_as_the_shell_does() {
        for (line, words) in [
            ("iptables -I  INPUT\t1", "[iptables][-I][INPUT][1];"),
            ("a 'b  c' \"d e\" f\\ g", "[a][b  c][d e][f g];"),
            ("a --x=\"b c\"d ''", "[a][--x=b cd][];"),
            ("a \"\\\"b\\c\"", "[a][\"b\\c];"),
            ("a||b&&c;d", "[a]||[b]&&[c];[d];"),
            ("a & b ;", "[a]&[b];"),
            ("a 2>/dev/null || b >/dev/null 2>&1", "[a]||[b];"),
            ("a > /dev/null", "[a];"),
            ("a >>b 2>&1; c", "[a];[c];"),
            ("a 22 >/dev/null", "[a][22];"),
            ("a # b", "[a];"),
            ("a b#c", "[a][b#c];"),
            ("nft add element t s { %IP% }", "[nft][add][element][t][s][{][%IP%][}];"),
            ("a 'b|c' | d e; f", "[a][b|c]|[d][e];[f];"),
            ("a; (b 3; c) & d", "[a];[b][3];[c]&[d];"),
            ("(a)", "[a];"),
        ] {
            assert_eq!(read(line).as_deref(), Ok(words), "{line}");
        }
    }

    #[test]
    fn what_the_shell_works_out_is_odd_and_keeps_its_place() {
        for (line, words) in [
            ("a $b", "[a][$b] (the shell works something out of its $);"),
            ("a `b | c` d", "[a][`b | c`][d] (the shell works something out of its `);"),
            (
                "a $(b \"$(c ')' | d)\") e; f",
                "[a][$(b \"$(c ')' | d)\")][e] (the shell works something out of its $);[f];",
            ),
            ("a \"x $b\"", "[a][x $b] (the shell works something out of its $);"),
            ("a *", "[a][*] (the shell works something out of its *);"),
            ("a < b", "[a][b] (it reads from a file);"),
            ("a >&b", "[a][b] (a redirection that is not understood);"),
        ] {
            assert_eq!(read(line).as_deref(), Ok(words), "{line}");
        }
    }

    #[test]
    fn each_command_has_its_text() {
        let texts = |line: &str| parse(line).unwrap().into_iter().map(|command| command.text).collect::<Vec<_>>();
        assert_eq!(texts(" a 'b;c'  | d 2>&1 ;  e \"$f\" && g # h"), ["a 'b;c'  | d 2>&1", "e \"$f\"", "g"]);
        assert_eq!(texts("(sleep 5; b)&"), ["sleep 5", "b"]);
    }

    #[test]
    fn what_is_no_row_of_commands_is_not_understood() {
        for line in [
            "a 'b",
            "a \"b",
            "a \\",
            "a ;; b",
            "; a",
            "a ||",
            "|| a",
            "",
            "# a",
            "a >",
            "a $(b",
            "a `b",
            "(a",
            "a | ; b",
            "if a; then b; fi",
            "for x in 1; do a; done",
            "exit; a",
            "(a) | b",
            "(a) && b",
            "(a) b",
        ] {
            assert!(parse(line).is_err(), "{line}: {:?}", read(line));
        }
    }
}
