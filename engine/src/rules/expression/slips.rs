//! What people bring along from other languages, and what to say of it.

/// Words of other languages, and what stands for them here.
pub(super) const FOREIGN_WORDS: &[(&str, &str)] = &[
    ("and", "`and` is written `&&`"),
    ("AND", "`and` is written `&&`"),
    ("And", "`and` is written `&&`"),
    ("or", "`or` is written `||`"),
    ("OR", "`or` is written `||`"),
    ("Or", "`or` is written `||`"),
    ("not", "`not` is written `!`; \"not in\" is written `!(x in y)`"),
    ("NOT", "`not` is written `!`; \"not in\" is written `!(x in y)`"),
    ("Not", "`not` is written `!`; \"not in\" is written `!(x in y)`"),
    ("IN", "`in` is written in lower case"),
    ("In", "`in` is written in lower case"),
    ("is", "`is` is written `==`"),
    ("IS", "`is` is written `==`"),
    ("LIKE", "`like` is written `x.contains(\"…\")`, `x.startsWith(\"…\")` or `x.matches(\"…\")`"),
    ("like", "`like` is written `x.contains(\"…\")`, `x.startsWith(\"…\")` or `x.matches(\"…\")`"),
    ("BETWEEN", "`between` is written `low <= x && x <= high`"),
    ("between", "`between` is written `low <= x && x <= high`"),
    ("TRUE", "`true` is written in lower case"),
    ("True", "`true` is written in lower case"),
    ("FALSE", "`false` is written in lower case"),
    ("False", "`false` is written in lower case"),
    ("NULL", "an absent field is asked for with `has(x)`"),
    ("nil", "an absent field is asked for with `has(x)`"),
    ("None", "an absent field is asked for with `has(x)`"),
];

/// Signs, longest first; those without a sentence are CEL's own.
pub(super) const SIGNS: &[(&str, Option<&str>)] = &[
    ("===", Some("equality is written `==`")),
    ("!==", Some("inequality is written `!=`")),
    ("==", None),
    ("!=", None),
    ("<=", None),
    (">=", None),
    ("&&", None),
    ("||", None),
    ("=>", Some("\"at least\" is written `>=`")),
    ("=<", Some("\"at most\" is written `<=`")),
    ("<>", Some("inequality is written `!=`")),
    ("=~", Some("a pattern is written `x.matches(r\"…\")`")),
    ("/*", Some("a comment runs from `//` to the end of its line")),
    ("=", Some("equality is written `==`; a single `=` is no comparison")),
    ("&", Some("\"and\" is written `&&`")),
    ("|", Some("\"or\" is written `||`")),
    ("#", Some("inside a condition a comment begins with `//`")),
    (";", Some("a condition is one expression, without `;`")),
    ("^", Some("there is no operator `^`")),
    ("~", Some("there is no operator `~`")),
    ("@", Some("fields are written as plain names, without `@`")),
    ("$", Some("fields are written as plain names, without `$`")),
    ("`", Some("fields are written as plain names, without backticks")),
    ("\\", Some("a backslash stands only inside quotes")),
    ("≥", Some("\"at least\" is written `>=`")),
    ("≤", Some("\"at most\" is written `<=`")),
    ("≠", Some("inequality is written `!=`")),
];

/// Quotes as word processors and chat programs make them.
pub(super) const CURLY_QUOTES: [char; 10] = ['“', '”', '„', '‟', '‘', '’', '‚', '‛', '«', '»'];

/// Letters that may stand behind a backslash in a text.
pub(super) const ESCAPES: &str = "abfnrtv\\'\"`?xXuU0123";
