//! What a client is asked when it connects: whether a person's number arrives as the person whom it names.
//!
//! A gateway takes numbers from forms, databases and other people's systems. One that keeps them as integers loses the leading
//! zero of somebody born in 2000, one that strips signs makes a child of somebody who is 113, one that knows no samordningsnummer
//! sends nothing; and then a flag is not found, and nobody hears of it. So the engine names numbers as people write them, the
//! gateway sends them the way it sends a customer's, and the engine says which of them arrived as somebody else.

use crate::codes::SubjectKind;
use crate::identity::{IdentityError, Subject};
use crate::time::Date;

/// Numbers as people write them; all of them published test numbers, or none at all. In the order in which they are answered.
pub const CHALLENGES: &[&str] = &[
    // As it is written on most documents.
    "19121212-1212",
    // The same person with ten digits: over a hundred years old, so a plus.
    "121212+1212",
    // A leading zero, or three.
    "000229-2399",
    // A samordningsnummer, and one whose day of birth is not known.
    "730288-9931",
    // Not a number: its check digit is wrong. Nobody may make it right.
    "19121212-1213",
];

/// What a text is: somebody, or nobody.
fn who(text: &str, today: Date) -> Result<Vec<u8>, IdentityError> {
    Subject::parse(text, SubjectKind::SePerson, None, today).map(|subject| subject.canonical().to_vec())
}

/// What is wrong with what a client sends for the challenges, a sentence for each; empty where everything is right. The answers
/// are not repeated. A hyphen says that the client would send nothing.
pub fn wrong<'a>(answers: impl IntoIterator<Item = &'a str>, today: Date) -> Vec<String> {
    let mut answers = answers.into_iter();
    let mut wrong = Vec::new();
    for challenge in CHALLENGES {
        let problem = match (who(challenge, today), answers.next().map(|answer| who(answer, today))) {
            (_, None) => "was not answered",
            (Ok(meant), Some(Ok(sent))) if meant == sent => continue,
            (Err(_), Some(Err(_))) => continue,
            (Ok(_), Some(Ok(_))) => "arrives as another person",
            (Ok(_), Some(Err(_))) => "arrives as no number",
            (Err(_), Some(Ok(_))) => "is no number, and arrives as a person",
        };
        wrong.push(format!("{challenge} {problem}"));
    }
    if answers.next().is_some() {
        wrong.push("there are more answers than numbers".to_owned());
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(client: impl Fn(&str) -> String) -> Vec<String> {
        let answers: Vec<String> = CHALLENGES.iter().map(|text| client(text)).collect();
        wrong(answers.iter().map(String::as_str), Date::new(2_026, 11, 23))
    }

    #[test]
    fn who_sends_numbers_as_they_are_is_right_and_each_way_to_spoil_them_is_found() {
        assert_eq!(told(str::to_owned), Vec::<String>::new());
        let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
        type Client<'a> = (&'a str, &'a dyn Fn(&str) -> String, &'a [&'a str]);
        let clients: [Client<'_>; 6] = [
            ("strips signs", &digits, &["121212+1212 arrives as another person"]),
            (
                "keeps integers",
                &|text| digits(text).parse::<u64>().unwrap_or_default().to_string(),
                &["121212+1212 arrives as another person", "000229-2399 arrives as no number"],
            ),
            (
                "sends nothing for a samordningsnummer",
                &|text| if text.starts_with("7302") { "-".to_owned() } else { text.to_owned() },
                &["730288-9931 arrives as no number"],
            ),
            (
                "puts check digits right",
                &|text| text.replace("1213", "1212"),
                &["19121212-1213 is no number, and arrives as a person"],
            ),
            (
                "adds a century",
                &|text| {
                    if digits(text).len() == 10 { format!("19{}", digits(text)) } else { text.to_owned() }
                },
                &["000229-2399 arrives as no number"],
            ),
            (
                "refuses what is none",
                &|text| if text.ends_with('3') { "-".to_owned() } else { text.to_owned() },
                &[],
            ),
        ];
        for (name, client, found) in clients {
            assert_eq!(told(client), found, "{name}");
        }
        let today = Date::new(2_026, 11, 23);
        assert_eq!(wrong([], today).len(), CHALLENGES.len());
        let more = CHALLENGES.iter().copied().chain(["19121212-1212"]);
        assert_eq!(wrong(more, today), ["there are more answers than numbers"]);
    }
}
