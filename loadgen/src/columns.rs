//! A column map: which column of somebody's file is which field of a request.
//!
//! ```toml
//! [columns]
//! event_time = "TX_DATETIME"        # RFC 3339, a date and time in UTC, or milliseconds
//! amount = "TX_AMOUNT"              # in major units of the currency; or amount_minor
//! card_token = "CUSTOMER_ID"
//! customer_since_days = { days_from = "signup_time", to = "purchase_time" }
//!
//! [defaults]
//! kind = "card_payment"
//! currency = "EUR"
//! ```

use serde::Deserialize;
use sparr_protocol::codes::Kind;
use sparr_protocol::field::Field;
use sparr_protocol::ids::RequestId;
use sparr_protocol::money::Currency;
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::text::nearest;
use sparr_protocol::time::Timestamp;
use std::collections::BTreeMap;

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    columns: BTreeMap<String, WrittenColumn>,
    #[serde(default)]
    defaults: BTreeMap<String, toml::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum WrittenColumn {
    Name(String),
    Days { days_from: String, to: String },
}

/// How one field is made of a row.
#[derive(Debug)]
enum Source {
    /// The text of a column.
    Column(usize),
    /// Whole days between two columns' times.
    Days { from: usize, to: usize },
}

/// A map, resolved against a file's header.
#[derive(Debug)]
pub struct ColumnMap {
    fields: Vec<(Field, Source)>,
    /// Column of an amount in major units.
    amount: Option<usize>,
    /// Column that says whether it was fraud.
    label: Option<usize>,
    template: AuthorisationRequest,
}

/// Why a row is no request. The value is not repeated.
#[derive(Debug, thiserror::Error)]
#[error("line {line}, {column}: {problem}")]
pub struct RowError {
    line: u64,
    column: String,
    problem: String,
}

impl RowError {
    /// A line that is no row at all.
    pub fn of_line(line: u64, problem: String) -> Self {
        Self { line, column: "row".to_owned(), problem }
    }
}

/// Keys of a map that are no fields.
const AMOUNT: &str = "amount";
const LABEL: &str = "label";

impl ColumnMap {
    /// Reads a map and finds its columns in a header.
    pub fn parse(text: &str, header: &csv::StringRecord) -> Result<Self, String> {
        let written: Written = toml::from_str(text).map_err(|error| error.to_string())?;
        let column = |name: &str| {
            header.iter().position(|known| known == name).ok_or_else(|| {
                let near = nearest(name, header.iter());
                format!(
                    "the file has no column {name:?}{}",
                    near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"))
                )
            })
        };
        let template =
            AuthorisationRequest::new(RequestId([0; 16]), Kind::CardPayment, Timestamp::from_ms(0));
        let mut map = Self { fields: Vec::new(), amount: None, label: None, template };
        for (name, value) in written.defaults {
            let text = match value {
                toml::Value::String(text) => text,
                other => other.to_string(),
            };
            map.template.set(&name, &text).map_err(|error| format!("defaults: {error}"))?;
        }
        for (name, source) in written.columns {
            match (name.as_str(), source) {
                (AMOUNT, WrittenColumn::Name(name)) => map.amount = Some(column(&name)?),
                (LABEL, WrittenColumn::Name(name)) => map.label = Some(column(&name)?),
                (AMOUNT | LABEL, WrittenColumn::Days { .. }) => {
                    return Err(format!("columns: {name} is the name of a column"));
                }
                (_, source) => {
                    let field = Field::parse(&name).ok_or_else(|| unknown_field(&name))?;
                    let source = match source {
                        WrittenColumn::Name(name) => Source::Column(column(&name)?),
                        WrittenColumn::Days { days_from, to } => {
                            Source::Days { from: column(&days_from)?, to: column(&to)? }
                        }
                    };
                    map.fields.push((field, source));
                }
            }
        }
        if map.amount.is_some() && map.template.currency.is_none() && !map.has(Field::Currency) {
            return Err("amount is in major units, so a currency must be said: in a column or in [defaults]"
                .to_owned());
        }
        Ok(map)
    }

    /// Whether the map makes this field of a column.
    pub fn has(&self, field: Field) -> bool {
        self.fields.iter().any(|(known, _)| *known == field)
    }

    /// Whether the map names a column that says what was fraud.
    pub fn has_label(&self) -> bool {
        self.label.is_some()
    }

    /// Whether a row was fraud: `1` or `true`, `0` or `false`; an empty cell says that nobody knows.
    pub fn label(
        &self,
        row: &csv::StringRecord,
        line: u64,
        header: &csv::StringRecord,
    ) -> Result<Option<bool>, RowError> {
        let Some(column) = self.label else { return Ok(None) };
        match row.get(column).unwrap_or_default() {
            "" => Ok(None),
            "1" | "true" => Ok(Some(true)),
            "0" | "false" => Ok(Some(false)),
            _ => Err(RowError {
                line,
                column: header.get(column).unwrap_or_default().to_owned(),
                problem: "expected a label: 1 or 0, true or false, or nothing".to_owned(),
            }),
        }
    }

    /// The request of one row. An empty cell is an absent field.
    pub fn request(
        &self,
        row: &csv::StringRecord,
        line: u64,
        header: &csv::StringRecord,
    ) -> Result<AuthorisationRequest, RowError> {
        let mut request = self.template.clone();
        let at = |column: usize| row.get(column).unwrap_or_default();
        let failed = |column: usize, problem: String| RowError {
            line,
            column: header.get(column).unwrap_or_default().to_owned(),
            problem,
        };
        for (field, source) in &self.fields {
            match source {
                Source::Column(column) if at(*column).is_empty() => {}
                Source::Column(column) if is_time(*field) => {
                    let time = time(at(*column)).ok_or_else(|| failed(*column, EXPECTED_TIME.to_owned()))?;
                    match field {
                        Field::EventTime => request.event_time = Some(time),
                        _ => request.auth_time = Some(time),
                    }
                }
                Source::Column(column) => {
                    let set = request.set(field.name(), at(*column));
                    set.map_err(|error| failed(*column, error.to_string()))?;
                }
                Source::Days { from, to } => {
                    let start = time(at(*from)).ok_or_else(|| failed(*from, EXPECTED_TIME.to_owned()))?;
                    let end = time(at(*to)).ok_or_else(|| failed(*to, EXPECTED_TIME.to_owned()))?;
                    let days = end.ms_since(start).max(0) / 86_400_000;
                    let set = request.set(field.name(), &days.to_string());
                    set.map_err(|error| failed(*to, error.to_string()))?;
                }
            }
        }
        if let Some(column) = self.amount.filter(|column| !at(*column).is_empty()) {
            let currency = request.currency.unwrap_or(Currency::SEK);
            let minor = currency.minor_units(at(column));
            let problem = || failed(column, format!("expected an amount in {currency}, such as 57.16"));
            request.amount_minor = Some(minor.ok_or_else(problem)?);
        }
        Ok(request)
    }
}

const EXPECTED_TIME: &str = "expected a time such as 2018-04-01T00:00:31";

fn unknown_field(name: &str) -> String {
    let known = Field::OPTIONAL.iter().chain(Field::ALWAYS).map(|field| field.name()).chain([AMOUNT, LABEL]);
    let near = nearest(name, known).map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
    format!("columns: no field is called {name:?}{near}")
}

const fn is_time(field: Field) -> bool {
    matches!(field, Field::EventTime | Field::AuthTime)
}

/// RFC 3339, milliseconds, or a civil date and time, which is taken as UTC.
fn time(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).or_else(|| {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(Timestamp::from_ms(zoned.timestamp().as_millisecond()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "[columns]\nevent_time = \"when\"\namount = \"sum\"\ncard_token = \"card\"\nip = \"ip\"\n\
        customer_since_days = { days_from = \"since\", to = \"when\" }\nlabel = \"bad\"\n\
        [defaults]\nkind = \"card_payment\"\ncurrency = \"EUR\"\nmcc = 5732\n";

    fn header() -> csv::StringRecord {
        csv::StringRecord::from(vec!["when", "sum", "card", "ip", "since", "bad"])
    }

    #[test]
    fn a_row_becomes_a_request() {
        let map = ColumnMap::parse(MAP, &header()).expect("legal");
        let row = csv::StringRecord::from(vec![
            "2018-04-03T00:00:31",
            "57.16",
            "596",
            "",
            "2018-04-01T10:00:00",
            "1",
        ]);
        let request = map.request(&row, 2, &header()).expect("legal");
        assert_eq!((request.amount_minor, request.currency), (Some(5_716), Some(Currency::EUR)));
        assert_eq!(
            request.event_time.map(|time| time.to_string()).as_deref(),
            Some("2018-04-03T00:00:31.000Z")
        );
        assert_eq!((request.customer_since_days, request.ip), (Some(1), None));
        assert_eq!(request.card_token.as_ref().map(|token| token.expose()), Some("596"));
    }

    #[test]
    fn a_bad_map_or_row_is_named_and_no_value_is_repeated() {
        let said = |text: &str| ColumnMap::parse(text, &header()).expect_err("refused");
        assert_eq!(said("[columns]\nip = \"ipp\"\n"), "the file has no column \"ipp\"; did you mean \"ip\"?");
        assert_eq!(
            said("[columns]\namuont = \"sum\"\n"),
            "columns: no field is called \"amuont\"; did you mean \"amount\"?"
        );
        assert_eq!(
            said("[columns]\namount = \"sum\"\n"),
            "amount is in major units, so a currency must be said: in a column or in [defaults]"
        );
        assert!(
            said("[columns]\n[defaults]\nkind = \"cheque\"\n").starts_with("defaults: kind: expected a kind")
        );
        let map = ColumnMap::parse(MAP, &header()).expect("legal");
        for (column, value, expected) in [
            (0, "yesterday", "line 7, when: expected a time such as 2018-04-01T00:00:31"),
            (1, "57,16", "line 7, sum: expected an amount in EUR, such as 57.16"),
            (3, "secret", "line 7, ip: ip: expected an IPv4 or IPv6 address"),
        ] {
            let mut row = vec!["2018-04-03T00:00:31", "57.16", "596", "", "2018-04-01T10:00:00", "1"];
            row[column] = value;
            let error = map.request(&csv::StringRecord::from(row), 7, &header()).expect_err("refused");
            assert_eq!(error.to_string(), expected);
        }
    }
}
