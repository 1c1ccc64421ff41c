//! The items of a file, by name: functions, constants, types, impls, macros, modules.

use std::ops::Range;

use super::code::{Code, is_name};

/// What can stand before the keyword of an item.
const BEFORE: [&str; 12] = ["", ";", "{", "}", "]", ")", "pub", "unsafe", "const", "async", "extern", "default"];

/// An item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Its name behind those of the items around it: `Type::method`. An impl has the name of its type, a macro has a `!`.
    pub path: String,
    /// Its tokens, from its keyword on.
    pub tokens: Range<usize>,
    is_module: bool,
}

impl Item {
    /// True if this is its name, or the end of its path.
    pub fn is_called(&self, name: &str) -> bool {
        self.path.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with("::"))
    }
}

/// The items of a file in the order in which they begin, without tests; and what of the file is code of tests: what is
/// only built for them, and each module with tests in it.
pub fn items(code: &Code) -> (Vec<Item>, Vec<Range<usize>>) {
    let mut items = all(code);
    let tests = tests(code, &items);
    items.retain(|item| !tests.iter().any(|test| test.contains(&item.tokens.start)));
    (items, tests)
}

fn all(code: &Code) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut around: Vec<usize> = Vec::new();
    for index in 0..code.len() {
        let Some((name, end)) = item_at(code, index) else { continue };
        while around.last().is_some_and(|last| items[*last].tokens.end <= index) {
            around.pop();
        }
        let path = around.last().map_or_else(|| name.clone(), |last| format!("{}::{name}", items[*last].path));
        around.push(items.len());
        items.push(Item { path, tokens: index..end, is_module: code.word(index) == "mod" });
    }
    items
}

fn tests(code: &Code, items: &[Item]) -> Vec<Range<usize>> {
    let mut tests = Vec::new();
    for index in 0..code.len() {
        if code.reads(index, &["#", "[", "cfg", "(", "test", ")", "]"]) {
            let at = keyword(code, items, index + 7);
            tests.extend(items.iter().find(|item| item.tokens.start == at).map(|item| item.tokens.clone()));
        }
        if code.reads(index, &["#", "[", "test", "]"]) {
            let module = items.iter().rev().find(|item| item.is_module && item.tokens.contains(&index));
            tests.push(module.map_or(0..code.len(), |module| module.tokens.clone()));
        }
    }
    tests
}

/// The keyword before which an attribute ends: behind further attributes, `pub` and the like.
fn keyword(code: &Code, items: &[Item], from: usize) -> usize {
    let mut at = from;
    while !items.iter().any(|item| item.tokens.start == at) {
        at = match code.word(at) {
            "#" => closed(code, at + 1),
            "(" => closed(code, at),
            "pub" | "unsafe" | "const" | "async" => at + 1,
            _ => break,
        };
    }
    at
}

/// The name and the end of the item whose keyword is the token.
fn item_at(code: &Code, index: usize) -> Option<(String, usize)> {
    let name = code.word(index + 1);
    let before = if index == 0 { "" } else { code.word(index - 1) };
    match code.word(index) {
        "fn" | "struct" | "enum" | "trait" | "mod" if is_name(name) => Some((name.to_owned(), end(code, index + 2))),
        "const" if code.word(index + 2) == ":" && BEFORE.contains(&before) => {
            Some((name.to_owned(), stop(code, index)))
        }
        "static" if is_name(name) && code.word(index + 2) == ":" => Some((name.to_owned(), stop(code, index))),
        "macro_rules" if name == "!" => Some((format!("{}!", code.word(index + 2)), closed(code, index + 3))),
        "impl" if BEFORE.contains(&before) => Some((type_of(code, index + 1), end(code, index + 1))),
        _ => None,
    }
}

/// The end of an item with a head, from within the head on: behind its body or its semicolon.
fn end(code: &Code, from: usize) -> usize {
    let body = head(code, from);
    if code.word(body) == "{" { closed(code, body) } else { body + 1 }.min(code.len())
}

/// Where a head ends: the body, or a semicolon. What stands in any brackets belongs to the head.
fn head(code: &Code, from: usize) -> usize {
    let (mut at, mut angles) = (from, 0);
    while at < code.len() {
        match code.word(at) {
            "{" | ";" if angles == 0 => break,
            "{" | "(" | "[" => {
                at = closed(code, at);
                continue;
            }
            word => angles += angle(word),
        }
        at += 1;
    }
    at
}

/// How many angle brackets a token opens.
fn angle(word: &str) -> i32 {
    match word {
        "<" => 1,
        ">" => -1,
        ">>" => -2,
        _ => 0,
    }
}

/// The end of a constant: behind the semicolon that stands in no brackets.
fn stop(code: &Code, from: usize) -> usize {
    let mut at = from;
    while at < code.len() {
        match code.word(at) {
            ";" => return at + 1,
            "{" | "(" | "[" => at = closed(code, at),
            _ => at += 1,
        }
    }
    at
}

/// Behind the bracket that closes the one there.
fn closed(code: &Code, from: usize) -> usize {
    let mut depth = 0;
    for at in from..code.len() {
        match code.word(at) {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// The type that an impl is of: the last name before its generics, behind `for` if it is of a trait.
fn type_of(code: &Code, from: usize) -> String {
    let (mut name, mut angles) = ("", 0);
    for at in from..head(code, from) {
        match code.word(at) {
            "where" if angles == 0 => break,
            "for" if angles == 0 && code.word(at + 1) != "<" => name = "",
            word if angles == 0 && is_name(word) => name = word,
            word => angles += angle(word),
        }
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        items(&Code::new(text)).0.into_iter().map(|item| item.path).collect()
    }

    #[test]
    fn methods_stand_in_their_types_and_functions_in_those_around_them() {
        let text = "impl<F: Frame<{ N }> + ?Sized> World for Kernel<'_, F> where F: Copy { const A: u8 = 1; fn a() { fn b() {} } }
            impl Other { pub const fn c(self) -> [u8; 2] { d } }
            fn e<const N: usize>(x: impl Fn(u8)) {}";
        assert_eq!(paths(text), ["Kernel", "Kernel::A", "Kernel::a", "Kernel::a::b", "Other", "Other::c", "e"]);
    }

    #[test]
    fn an_item_ends_with_its_body_or_its_semicolon() {
        let code = Code::new(
            "const A: [u8; 2] = [{ 1; 2 }; 2]; struct B(u8); fn c() -> V<{ D }> { e; } macro_rules! f { () => {} }",
        );
        let shown: Vec<_> = items(&code).0.iter().map(|item| code.shown(&item.tokens)).collect();
        assert_eq!(
            shown,
            [
                "const A: [u8; 2] = [{ 1; 2 }; 2];",
                "struct B(u8);",
                "fn c() -> V<{ D }> { e; }",
                "macro_rules! f { () => {} }"
            ]
        );
    }

    #[test]
    fn tests_are_left_out_and_so_is_a_file_of_them() {
        assert_eq!(paths("fn a() {} #[cfg(test)] #[expect(b)] mod tests { fn c() {} } fn d() {}"), ["a", "d"]);
        assert_eq!(paths("fn a() {} mod cases { fn b() {} #[test] fn c() {} }"), ["a"]);
        assert_eq!(paths("fn a() {} #[test] fn b() {}"), [""; 0]);
        assert_eq!(paths("#[cfg(test)] use a::b; fn c() {}"), ["c"]);
    }

    #[test]
    fn an_item_is_called_by_its_name_or_by_more_of_its_path() {
        let item = &items(&Code::new("impl Attempt { fn is_live() {} }")).0[1];
        assert!(item.is_called("is_live") && item.is_called("Attempt::is_live"));
        assert!(!item.is_called("live") && !item.is_called("Attempt"));
    }
}
