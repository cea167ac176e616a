//! The one place that knows the `cel` crate: its parser's tree becomes ours, with places.
//!
//! The parser tells where a node's operator stands, not how far the node reaches; the reach is put together from the
//! children and from the brackets that the first look found. Its messages are a grammar's, so they are said again in
//! words.

use super::scan::{Looked, scan};
use super::{Expr, Literal, Operator, Place, Relation, Source, Syntax, Word};
use crate::limits::EXPRESSION_BYTES_MAX;
use crate::rules::diagnostic::{Code, Diagnostic};
use cel::common::ast::{CallExpr, Expr as Cel, IdedExpr, LiteralValue, SourceInfo, operators};
use cel::{Env, ParseError};

/// Reads a condition. What is wrong with it is reported.
pub(in crate::rules) fn parse(source: &Source, report: &mut Vec<Diagnostic>) -> Option<Expr> {
    let bytes = source.text.len();
    if bytes > EXPRESSION_BYTES_MAX {
        let message = format!("the condition has {bytes} bytes; at most {EXPRESSION_BYTES_MAX}");
        report.push(Diagnostic::new(Code::ExpressionBounds, source.whole(), message));
        return None;
    }
    let Looked { brackets, end } = scan(source, report)?;
    // An environment without macros: `has`, `exists` and `all` stay calls, which can be checked and named.
    match Env::default().parser().parse_with_source_info(&source.text) {
        Ok((root, info)) => Some(Reader { text: &source.text, info, brackets }.expr(&root)),
        Err(faults) => {
            // Only the first one is said: the others follow from it. What the grammar finds comes before what is
            // found on the tree that it mended.
            let grammar = faults.errors.iter().find(|fault| fault.msg.starts_with("Syntax error"));
            report.push(grammar.or_else(|| faults.errors.first()).map_or_else(
                || Diagnostic::new(Code::Unexpected, source.whole(), "this condition cannot be read"),
                |fault| say_again(source, fault, end),
            ));
            None
        }
    }
}

/// A parse error in words.
fn say_again(source: &Source, fault: &ParseError, end: usize) -> Diagnostic {
    let text = &source.text;
    let start = byte_of(text, fault.pos);
    let rest = &text[start..];
    let letters = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
    let width = match ["&&", "||", "==", "!=", "<=", ">="].iter().find(|sign| rest.starts_with(**sign)) {
        Some(sign) => sign.len(),
        None if letters == 0 => rest.chars().next().map_or(0, char::len_utf8),
        None => letters,
    };
    let at = source.span(Place { start, end: start + width });
    let word = &rest[..width];
    if fault.msg.contains("invalid int literal") {
        let message = "this number does not fit: whole numbers have at most 64 bits";
        return Diagnostic::new(Code::Unexpected, at, message);
    }
    if fault.msg.contains("invalid double literal") {
        return Diagnostic::new(Code::Unexpected, at, "this fraction is too large");
    }
    if fault.msg.starts_with("reserved identifier") {
        let message = format!("`{word}` is reserved in CEL and names nothing");
        return Diagnostic::new(Code::Unexpected, at, message);
    }
    if start >= end {
        let at = source.span(Place { start: end, end });
        return Diagnostic::new(Code::Unexpected, at, "the condition ends too early")
            .label("something is missing here");
    }
    let diagnostic = Diagnostic::new(Code::Unexpected, at, format!("`{word}` does not belong here"));
    match word {
        "contains" | "startsWith" | "endsWith" | "matches" | "exists" | "all" => {
            diagnostic.help(format!("write it behind a dot, with parentheses: x.{word}(…)"))
        }
        ")" | "]" | "}" | "," => diagnostic.label("something is missing before this"),
        "?" => diagnostic.help("a choice is written `condition ? one : other`"),
        _ if word.starts_with(char::is_alphanumeric) || word.starts_with(['"', '\'']) => {
            diagnostic.help("between two conditions stands `&&` or `||`")
        }
        _ => diagnostic,
    }
}

/// The byte at a line and a column in characters, both from 1.
fn byte_of(text: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line - 1).unwrap_or(0);
    let column = usize::try_from(column - 1).unwrap_or(0);
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let in_line = text[start..].char_indices().nth(column).map_or(text.len() - start, |(at, _)| at);
    start + in_line
}

struct Reader<'a> {
    text: &'a str,
    info: SourceInfo,
    brackets: Vec<(usize, usize)>,
}

impl Reader<'_> {
    /// Recursion is as deep as the first look found the text to nest.
    fn expr(&self, node: &IdedExpr) -> Expr {
        let token = self.token(node.id);
        match &node.expr {
            Cel::Literal(literal) => self.literal(literal, token),
            Cel::Ident(name) => Expr { at: token, is: Syntax::Name(name.clone()) },
            Cel::Select(select) => {
                let operand = self.expr(&select.operand);
                let field = self.word_after(token.end, &select.field);
                let at = Place { start: operand.at.start, end: field.at.end };
                match operand.is {
                    Syntax::Name(group) => Expr { at, is: Syntax::Name(format!("{group}.{}", select.field)) },
                    _ => Expr { at, is: Syntax::Member(Box::new(operand), field) },
                }
            }
            Cel::Call(call) => self.call(call, token),
            Cel::List(list) => {
                let items = list.elements.iter().map(|item| self.expr(item)).collect();
                Expr { at: self.closed(token), is: Syntax::List(items) }
            }
            Cel::Map(_) => left_out(self.closed(token), "maps"),
            Cel::Struct(_) => left_out(self.closed(token), "messages"),
            Cel::Comprehension(_) | Cel::Unspecified => left_out(token, "this"),
        }
    }

    fn literal(&self, literal: &LiteralValue, mut at: Place) -> Expr {
        let literal = match literal {
            LiteralValue::Boolean(value) => Literal::Bool(*value.inner()),
            LiteralValue::Int(value) => Literal::Int(*value.inner()),
            LiteralValue::Double(value) => Literal::Double(*value.inner()),
            LiteralValue::String(value) => Literal::Text(value.inner().to_owned()),
            LiteralValue::UInt(_) => return left_out(at, "unsigned numbers"),
            LiteralValue::Bytes(_) => return left_out(at, "bytes"),
            LiteralValue::Null => return Expr { at, is: Syntax::Null },
        };
        // The parser folds a minus into the number but gives the place of the digits.
        let negative = match literal {
            Literal::Int(value) => value < 0,
            Literal::Double(value) => value.is_sign_negative(),
            Literal::Bool(_) | Literal::Text(_) => false,
        };
        let before = self.text[..at.start].trim_end();
        if negative && before.ends_with('-') {
            at.start = before.len() - 1;
        }
        Expr { at, is: Syntax::Literal(literal) }
    }

    fn call(&self, call: &CallExpr, token: Place) -> Expr {
        if let Some(relation) = relation(&call.func_name) {
            return self.binary(call, |pair| Syntax::Compare(relation, pair));
        }
        if let Some(operator) = operator(&call.func_name) {
            return self.binary(call, |pair| Syntax::Arithmetic(operator, pair));
        }
        match (call.func_name.as_str(), &call.args[..]) {
            (operators::LOGICAL_AND, _) => self.chain(call, Syntax::All),
            (operators::LOGICAL_OR, _) => self.chain(call, Syntax::Any),
            (operators::IN, _) => self.binary(call, Syntax::In),
            (operators::LOGICAL_NOT, [operand]) => self.unary(operand, token, Syntax::Not),
            (operators::NEGATE, [operand]) => self.unary(operand, token, Syntax::Negative),
            (operators::CONDITIONAL, [test, one, other]) => {
                let parts = [self.expr(test), self.expr(one), self.expr(other)];
                let at = self.around(parts[0].at.start, parts[2].at.end);
                Expr { at, is: Syntax::If(Box::new(parts)) }
            }
            (operators::INDEX, [list, place]) => {
                let pair = [self.expr(list), self.expr(place)];
                let at = self.around(pair[0].at.start, self.closed(token).end);
                Expr { at, is: Syntax::Index(Box::new(pair)) }
            }
            (operators::OPT_INDEX | operators::OPT_SELECT, _) => {
                left_out(self.closed(token), "optional values")
            }
            (name, arguments) => {
                let target = call.target.as_ref().map(|target| Box::new(self.expr(target)));
                let arguments = arguments.iter().map(|argument| self.expr(argument)).collect();
                let word = self.word_before(token.start, name);
                let start = target.as_ref().map_or(word.at.start, |target| target.at.start);
                let at = self.around(start, self.closed(token).end);
                Expr { at, is: Syntax::Call(word, target, arguments) }
            }
        }
    }

    fn binary(&self, call: &CallExpr, make: impl FnOnce(Box<[Expr; 2]>) -> Syntax) -> Expr {
        let [left, right] = &call.args[..] else { return left_out(Place::default(), "this") };
        let pair = [self.expr(left), self.expr(right)];
        let at = self.around(pair[0].at.start, pair[1].at.end);
        Expr { at, is: make(Box::new(pair)) }
    }

    fn unary(&self, operand: &IdedExpr, token: Place, make: impl FnOnce(Box<Expr>) -> Syntax) -> Expr {
        let operand = self.expr(operand);
        let at = self.around(token.start, operand.at.end);
        Expr { at, is: make(Box::new(operand)) }
    }

    /// `a && b && c` as one node: the parser balances such chains, in the order of the text.
    fn chain(&self, call: &CallExpr, make: impl FnOnce(Vec<Expr>) -> Syntax) -> Expr {
        let mut terms = Vec::new();
        self.terms(call, &mut terms);
        let start = terms.first().map_or(0, |term: &Expr| term.at.start);
        let end = terms.last().map_or(0, |term| term.at.end);
        Expr { at: self.around(start, end), is: make(terms) }
    }

    fn terms(&self, call: &CallExpr, terms: &mut Vec<Expr>) {
        for term in &call.args {
            match &term.expr {
                Cel::Call(inner) if inner.func_name == call.func_name => self.terms(inner, terms),
                _ => terms.push(self.expr(term)),
            }
        }
    }

    /// The token that the parser names for a node.
    fn token(&self, id: u64) -> Place {
        let (start, last) = self.info.offset_for(id).unwrap_or_default();
        let start = (start as usize).min(self.text.len());
        Place { start, end: (last as usize + 1).clamp(start, self.text.len()) }
    }

    /// From an opening bracket to behind the closing one.
    fn closed(&self, opening: Place) -> Place {
        let pair = self.brackets.iter().find(|(open, _)| *open == opening.start);
        Place { start: opening.start, end: pair.map_or(opening.end, |(_, close)| close + 1) }
    }

    /// A stretch that takes in the other half of every bracket pair of which it holds one half.
    fn around(&self, start: usize, end: usize) -> Place {
        let mut place = Place { start, end };
        // Pairs are sorted by their opening, so going backwards meets the inner ones first.
        for (open, close) in self.brackets.iter().rev() {
            let holds_open = (place.start..place.end).contains(open);
            let holds_close = (place.start..place.end).contains(close);
            if holds_open != holds_close {
                place = Place { start: place.start.min(*open), end: place.end.max(close + 1) };
            }
        }
        place
    }

    /// The name in front of an opening bracket.
    fn word_before(&self, bracket: usize, name: &str) -> Word {
        let start = self.text[..bracket].rfind(name).unwrap_or(bracket);
        Word { at: Place { start, end: (start + name.len()).min(bracket) }, text: name.to_owned() }
    }

    /// The name behind a dot.
    fn word_after(&self, dot: usize, name: &str) -> Word {
        let found = self.text[dot..].find(name);
        let start = found.map_or(dot, |at| dot + at);
        Word {
            at: Place { start, end: found.map_or(dot, |at| dot + at + name.len()) },
            text: name.to_owned(),
        }
    }
}

fn left_out(at: Place, what: &'static str) -> Expr {
    Expr { at, is: Syntax::LeftOut(what) }
}

fn relation(name: &str) -> Option<Relation> {
    match name {
        operators::EQUALS => Some(Relation::Equal),
        operators::NOT_EQUALS => Some(Relation::Unequal),
        operators::LESS => Some(Relation::Less),
        operators::LESS_EQUALS => Some(Relation::AtMost),
        operators::GREATER => Some(Relation::Greater),
        operators::GREATER_EQUALS => Some(Relation::AtLeast),
        _ => None,
    }
}

fn operator(name: &str) -> Option<Operator> {
    match name {
        operators::ADD => Some(Operator::Add),
        operators::SUBSTRACT => Some(Operator::Subtract),
        operators::MULTIPLY => Some(Operator::Multiply),
        operators::DIVIDE => Some(Operator::Divide),
        operators::MODULO => Some(Operator::Remainder),
        _ => None,
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
