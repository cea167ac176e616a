//! Every node of a condition knows exactly which words are its own.

use super::*;
use crate::rules::sources::{SourceFile, Sources};
use crate::rules::yaml::{self, Value};

/// The words of every node, outer ones first.
fn words(condition: &str) -> Vec<String> {
    let text = format!("åäö:\nwhen: |\n  {condition}\n");
    let file = SourceFile { name: "a".into(), text: text.clone() };
    let sources = Sources { rules: vec![file.clone()], lists: vec![], reasons: file };
    let (id, _) = sources.files().next().expect("one file");
    let mut report = Vec::new();
    let root = yaml::parse(id, &text, &mut report).expect("YAML");
    let Value::Map(entries) = &root.is else { panic!("a map") };
    let source = Source::of_scalar(id, &text, &entries[1].1).expect("a scalar");
    let expr = parse(&source, &mut report).unwrap_or_else(|| panic!("{condition}: {report:?}"));
    let mut words = Vec::new();
    collect(&expr, &mut |at| {
        let span = source.span(at);
        words.push(text[span.start..span.end].to_owned());
    });
    words
}

fn collect(expr: &Expr, say: &mut impl FnMut(Place)) {
    say(expr.at);
    match &expr.is {
        Syntax::Literal(_) | Syntax::Null | Syntax::Name(_) | Syntax::LeftOut(_) => {}
        Syntax::Member(operand, word) => {
            collect(operand, say);
            say(word.at);
        }
        Syntax::Call(word, target, arguments) => {
            say(word.at);
            target.iter().for_each(|target| collect(target, say));
            arguments.iter().for_each(|argument| collect(argument, say));
        }
        Syntax::List(items) | Syntax::All(items) | Syntax::Any(items) => {
            items.iter().for_each(|item| collect(item, say));
        }
        Syntax::Not(operand) | Syntax::Negative(operand) => collect(operand, say),
        Syntax::If(parts) => parts.iter().for_each(|part| collect(part, say)),
        Syntax::In(pair) | Syntax::Index(pair) | Syntax::Compare(_, pair) | Syntax::Arithmetic(_, pair) => {
            pair.iter().for_each(|part| collect(part, say));
        }
    }
}

#[test]
fn places_reach_from_the_first_to_the_last_word_brackets_included() {
    let cases: &[(&str, &[&str])] = &[
        ("(a || b) && c", &["(a || b) && c", "a || b", "a", "b", "c"]),
        ("a && (b && c) && d", &["a && (b && c) && d", "a", "b", "c", "d"]),
        ("!(a)", &["!(a)", "a"]),
        ("x == -5", &["x == -5", "x", "-5"]),
        ("x - - 5 > -y", &["x - - 5 > -y", "x - - 5", "x", "- 5", "-y", "y"]),
        (
            "velocity([card, ip], \"1h\").count > 5",
            &[
                "velocity([card, ip], \"1h\").count > 5",
                "velocity([card, ip], \"1h\").count",
                "velocity([card, ip], \"1h\")",
                "velocity",
                "[card, ip]",
                "card",
                "ip",
                "\"1h\"",
                "count",
                "5",
            ],
        ),
        ("auth . method == 'å'", &["auth . method == 'å'", "auth . method", "'å'"]),
        (
            "'ö'.size () in [1,\n  2]",
            &["'ö'.size () in [1,\n  2]", "'ö'.size ()", "size", "'ö'", "[1,\n  2]", "1", "2"],
        ),
        ("a ? (b) : (c ? d : e)", &["a ? (b) : (c ? d : e)", "a", "b", "c ? d : e", "c", "d", "e"]),
        ("((a)) == ((b)) // ) c", &["((a)) == ((b))", "a", "b"]),
        (
            "a.size // x.size(\n  () == 1",
            &["a.size // x.size(\n  () == 1", "a.size // x.size(\n  ()", "size", "a", "1"],
        ),
    ];
    for (condition, expected) in cases {
        assert_eq!(words(condition), *expected, "{condition}");
    }
}
