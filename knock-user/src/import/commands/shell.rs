//! Command lines as `/bin/sh` reads them, as far as a knockd.conf needs it. Whatever the shell
//! would work out by itself (variables, substitutions, patterns) is not understood, and said so.

/// What stands between two commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Join {
    /// `;` or `&`, or the end.
    Then,
    /// `&&`
    And,
    /// `||`
    Or,
}

/// One simple command, and what stands behind it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Simple {
    /// Its words, without quotes and redirections to nowhere.
    pub words: Vec<String>,
    /// What joins it to the next.
    pub join: Join,
}

/// A piece of a command line.
enum Token {
    Word(String),
    Join(Join),
    /// `>`, `>>`, `2>` and the like: the next word is a file.
    Redirect,
}

/// Takes a command line apart.
///
/// # Errors
///
/// What the shell would do that this does not.
pub fn parse(line: &str) -> Result<Vec<Simple>, String> {
    let mut commands = Vec::new();
    let mut words = Vec::new();
    let mut tokens = tokens(line)?.into_iter();
    while let Some(token) = tokens.next() {
        match token {
            Token::Word(word) => words.push(word),
            Token::Redirect => match tokens.next() {
                Some(Token::Word(file)) if file == "/dev/null" => {}
                Some(Token::Word(file)) => return Err(format!("it writes to {file}")),
                _ => return Err("a redirection without a file".to_owned()),
            },
            Token::Join(_) if words.is_empty() => return Err("an empty command".to_owned()),
            Token::Join(join) => commands.push(Simple { words: std::mem::take(&mut words), join }),
        }
    }
    if !words.is_empty() {
        commands.push(Simple { words, join: Join::Then });
    } else if commands.last().is_none_or(|last| last.join != Join::Then) {
        return Err("an empty command".to_owned());
    }
    Ok(commands)
}

fn tokens(line: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = line.chars().peekable();
    while let Some(&next) = rest.peek() {
        match next {
            ' ' | '\t' => drop(rest.next()),
            // A comment, to the end.
            '#' => break,
            ';' | '&' | '|' => {
                rest.next();
                let twice = rest.next_if_eq(&next).is_some();
                tokens.push(Token::Join(match (next, twice) {
                    (';' | '&', false) => Join::Then,
                    ('&', true) => Join::And,
                    ('|', true) => Join::Or,
                    _ => return Err("a pipe, or something like it".to_owned()),
                }));
            }
            '<' => return Err("it reads from a file".to_owned()),
            '>' => {
                rest.next();
                rest.next_if_eq(&'>');
                if rest.next_if_eq(&'&').is_some() {
                    // >&2 and the like: it only says so elsewhere.
                    if rest.next_if(char::is_ascii_digit).is_none() {
                        return Err("a redirection that is not understood".to_owned());
                    }
                } else {
                    tokens.push(Token::Redirect);
                }
            }
            _ => {
                let (word, quoted) = word(&mut rest)?;
                // The number of what is redirected: 2>/dev/null.
                let descriptor = !quoted && word.len() == 1 && word.chars().all(|c| c.is_ascii_digit());
                if !(descriptor && rest.peek() == Some(&'>')) {
                    tokens.push(Token::Word(word));
                }
            }
        }
    }
    Ok(tokens)
}

/// One word, and whether any of it was quoted.
fn word(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<(String, bool), String> {
    let (mut word, mut quoted) = (String::new(), false);
    let open = || "a quote that does not end".to_owned();
    let works_out = |c: char| format!("the shell works something out of its {c}");
    while let Some(&next) = rest.peek() {
        match next {
            ' ' | '\t' | ';' | '&' | '|' | '<' | '>' => break,
            '\'' => {
                rest.next();
                quoted = true;
                loop {
                    match rest.next().ok_or_else(open)? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                rest.next();
                quoted = true;
                loop {
                    match rest.next().ok_or_else(open)? {
                        '"' => break,
                        c @ ('$' | '`') => return Err(works_out(c)),
                        '\\' => match rest.next().ok_or_else(open)? {
                            c @ ('"' | '\\' | '$' | '`') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => {
                rest.next();
                quoted = true;
                word.push(rest.next().ok_or("a backslash at the end")?);
            }
            '$' | '`' | '(' | ')' | '*' | '?' | '[' | '~' | '\n' | '\r' => return Err(works_out(next)),
            c => {
                rest.next();
                word.push(c);
            }
        }
    }
    Ok((word, quoted))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words in brackets, joins in between.
    fn read(line: &str) -> Result<String, String> {
        let word = |simple: &Simple| {
            let join = match simple.join {
                Join::Then => ";",
                Join::And => "&&",
                Join::Or => "||",
            };
            format!("{}{join}", simple.words.iter().map(|word| format!("[{word}]")).collect::<String>())
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
            ("a & b ;", "[a];[b];"),
            ("a 2>/dev/null || b >/dev/null 2>&1", "[a]||[b];"),
            ("a > /dev/null", "[a];"),
            ("a 22 >/dev/null", "[a][22];"),
            ("a # b", "[a];"),
            ("a b#c", "[a][b#c];"),
            ("nft add element t s { %IP% }", "[nft][add][element][t][s][{][%IP%][}];"),
        ] {
            assert_eq!(read(line).as_deref(), Ok(words), "{line}");
        }
    }

    #[test]
    fn what_the_shell_works_out_is_not_understood() {
        for line in [
            "a $b", "a `b`", "a \"$b\"", "(a)", "a *", "a | b", "a > b", "a < b", "a 'b", "a \"b", "a \\", "a >&b",
            "a ;; b", "; a", "a ||", "|| a", "", "# a", "a >",
        ] {
            assert!(parse(line).is_err(), "{line}: {:?}", read(line));
        }
    }
}
