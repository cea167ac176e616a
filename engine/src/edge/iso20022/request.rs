//! The transactions of a document as authorisation requests.

use super::document::{self, Lines, Node};
use super::tables::Tables;
use super::which::{Places, Scopes, message, transactions};
use crate::edge::{
    EventTime, Item, Left, Mapped, Refusal, Refused, Used, checked, payment_id, request_id, why,
};
use sparr_protocol::codes::Kind;
use sparr_protocol::money::Currency;
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::time::Timestamp;

/// The payments of a document.
pub fn items(file: &[u8], tables: &Tables, time: EventTime, now: Timestamp) -> Vec<Item> {
    let refused = |message: &str, refused: Refused| {
        vec![Item { message: message.to_owned(), place: refused.place, mapped: Err(refused) }]
    };
    let root = match document::read(file) {
        Ok(root) => root,
        Err(error) => return refused("", error),
    };
    let places = Places(Lines::of(file));
    let (name, document) = match message(&root, tables, &places) {
        Ok(found) => found,
        Err((name, error)) => return refused(&name, error),
    };
    let transactions = match transactions(document, &name, &places) {
        Ok(transactions) => transactions,
        Err(error) => return refused(&name, error),
    };
    let all = transactions.into_iter().map(|scopes| {
        let place = places.of(scopes.transaction);
        let mapping = Mapping { scopes, places: &places, tables, now, used: Vec::new(), left: Vec::new() };
        Item { message: name.clone(), place, mapped: mapping.map(&name, time) }
    });
    all.collect()
}

/// A transaction on its way into a request.
pub(super) struct Mapping<'m> {
    scopes: Scopes<'m>,
    places: &'m Places,
    pub(super) tables: &'m Tables,
    pub(super) now: Timestamp,
    used: Vec<Used>,
    pub(super) left: Vec<(&'m Node, &'static str)>,
}

impl<'m> Mapping<'m> {
    fn map(mut self, name: &str, time: EventTime) -> Result<Mapped, Refused> {
        let transaction = self.scopes.transaction;
        let mut request = self.ids(name)?;
        request.kind = self.kind()?;
        self.amount(&mut request)?;
        request.payer_account = self.account("DbtrAcct", "payer_account")?;
        request.payee_account = self.account("CdtrAcct", "payee_account")?;
        self.payer(&mut request)?;
        self.payee(&mut request)?;
        if time == EventTime::Receipt {
            request.event_time = None;
        } else {
            let accepted = self.find("AccptncDtTm")?.or(self.header("CreDtTm")?);
            request.event_time = accepted.and_then(|node| {
                self.take(
                    node,
                    if node.name == "CreDtTm" { "GrpHdr/CreDtTm" } else { "AccptncDtTm" },
                    "event_time",
                    Timestamp::parse,
                )
            });
        }
        let place = self.places.of(transaction);
        let request = checked(request, place)?;
        let left = self.unused();
        let mut echo = vec![("original_message", name.to_owned())];
        for (path, said) in [("PmtId/EndToEndId", "original_end_to_end_id"), ("PmtId/UETR", "original_uetr")]
        {
            // Who asks may have put anything into an id that is theirs: one that could be a card's number is not given on.
            let id = self.find(path)?.filter(|id| payment_id(&id.text) == *id.text || path.ends_with("UETR"));
            echo.extend(id.map(|id| (said, id.text.to_string())));
        }
        Ok(Mapped { request, used: self.used, left, echo })
    }

    /// Every element that went nowhere, of the transaction and of what stands beside it in its payment.
    fn unused(&mut self) -> Vec<Left> {
        let known = std::mem::take(&mut self.left);
        let mut left = Vec::new();
        let mut each = |node: &Node, path: &str| {
            if !node.used.get() {
                let said = known.iter().find(|(one, _)| std::ptr::eq(*one, node)).map(|(_, why)| *why);
                let why = said.unwrap_or(if node.text.is_empty() { why::EMPTY } else { why::NO_FIELD });
                left.push(Left { element: path.to_owned(), why });
            }
        };
        walk(self.scopes.transaction, "", &mut each);
        for part in self.scopes.payment.into_iter().flat_map(|payment| &payment.children) {
            match part.name.as_str() {
                "CdtTrfTxInf" => {}
                _ if part.is_leaf() => each(part, &format!("PmtInf/{}", shown(&part.name))),
                name => walk(part, &format!("PmtInf/{}", shown(name)), &mut each),
            }
        }
        left
    }

    pub(super) fn refuse(&self, refusal: Refusal, node: &Node, element: &str, expected: &str) -> Refused {
        Refused::new(refusal, self.places.of(node), element, expected)
    }

    /// The element of a path under a node. Two of one name are refused: of two amounts, one would be screened and the
    /// other perhaps paid.
    pub(super) fn under(&self, node: &'m Node, path: &str) -> Result<Option<&'m Node>, Refused> {
        let mut at = node;
        for name in path.split('/') {
            let mut all = at.all(name);
            let Some(first) = all.next() else { return Ok(None) };
            if let Some(second) = all.next() {
                return Err(self.refuse(Refusal::Duplicate, second, path, ""));
            }
            at = first;
        }
        Ok(Some(at))
    }

    /// The element of a path in the transaction, or in what surrounds it.
    pub(super) fn find(&self, path: &str) -> Result<Option<&'m Node>, Refused> {
        if let Some(found) = self.under(self.scopes.transaction, path)? {
            return Ok(Some(found));
        }
        self.scopes.payment.map_or(Ok(None), |payment| self.under(payment, path))
    }

    fn header(&self, path: &str) -> Result<Option<&'m Node>, Refused> {
        self.scopes.header.map_or(Ok(None), |header| self.under(header, path))
    }

    pub(super) fn note(&mut self, node: &Node, element: &str, field: &'static str) {
        node.used.set(true);
        self.used.push(Used { element: element.to_owned(), field });
    }

    /// Takes a text into a field, or says that it is not in the field's form.
    pub(super) fn take<T>(
        &mut self,
        node: &'m Node,
        element: &str,
        field: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let parsed = parse(&node.text);
        match parsed {
            Some(_) => self.note(node, element, field),
            None => self.left.push((node, why::NOT_IN_FORM)),
        }
        parsed
    }

    /// The request's id: the same for a message that is sent again.
    fn ids(&mut self, name: &str) -> Result<AuthorisationRequest, Refused> {
        let paths = ["PmtId/UETR", "PmtId/TxId", "PmtId/InstrId", "PmtId/EndToEndId"];
        let mut ids = Vec::new();
        for path in paths {
            ids.push(self.under(self.scopes.transaction, path)?.filter(|id| !id.text.is_empty()));
        }
        let Some(named) = ids.iter().flatten().next().copied() else {
            return Err(self.refuse(
                Refusal::Missing,
                self.scopes.transaction,
                "PmtId",
                "nothing names this payment",
            ));
        };
        let message = self.header("MsgId")?.map_or("", |id| id.text.as_str());
        let batch = self.scopes.payment.map(|payment| self.under(payment, "PmtInfId")).transpose()?.flatten();
        let batch = batch.map_or("", |id| id.text.as_str());
        let parts = ids.iter().map(|id| id.map_or("", |id| id.text.as_str()));
        let id = request_id(name, [message, batch].into_iter().chain(parts));
        for (path, id) in paths.iter().zip(&ids) {
            if let Some(id) = id {
                self.note(id, path, if std::ptr::eq(*id, named) { "payment_id" } else { "request_id" });
            }
        }
        let mut request = AuthorisationRequest::new(id, Kind::Transfer, Timestamp::from_ms(0));
        request.event_time = None;
        let is_uetr = ids[0].is_some_and(|uetr| std::ptr::eq(uetr, named));
        let text = if is_uetr { named.text.replace('-', "") } else { named.text.to_string() };
        request.payment_id = Some(payment_id(&text));
        Ok(request)
    }

    fn kind(&mut self) -> Result<Kind, Refused> {
        let tables = self.tables;
        for (path, text, kind) in &tables.kinds {
            let found = match path.strip_prefix("GrpHdr/") {
                Some(path) => self.header(path)?,
                None => self.find(path)?,
            };
            if let Some(node) = found.filter(|node| *node.text == *text) {
                self.note(node, path, "kind");
                return Ok(*kind);
            }
        }
        Ok(Kind::Transfer)
    }

    fn amount(&mut self, request: &mut AuthorisationRequest) -> Result<(), Refused> {
        let mut found = None;
        for path in ["IntrBkSttlmAmt", "Amt/InstdAmt", "Amt/EqvtAmt/Amt"] {
            found = self.under(self.scopes.transaction, path)?.map(|node| (path, node));
            if found.is_some() {
                break;
            }
        }
        let Some((path, node)) = found else {
            return Err(self.refuse(Refusal::Missing, self.scopes.transaction, "IntrBkSttlmAmt", ""));
        };
        let currency = node.currency.as_deref().and_then(Currency::parse);
        let Some(currency) = currency else {
            return Err(self.refuse(Refusal::Value, node, path, "Ccy is a currency of ISO 4217"));
        };
        let minor = currency.minor_units(&node.text).filter(|minor| *minor >= 0);
        let Some(minor) = minor else {
            let expected = format!("an amount with at most {} decimals", currency.exponent());
            return Err(self.refuse(Refusal::Value, node, path, &expected));
        };
        (request.amount_minor, request.currency) = (Some(minor), Some(currency));
        self.note(node, path, "amount_minor");
        self.used.push(Used { element: format!("{path}@Ccy"), field: "currency" });
        Ok(())
    }
}

/// Calls for each element without elements in it, with its path.
fn walk(node: &Node, path: &str, each: &mut impl FnMut(&Node, &str)) {
    for child in &node.children {
        let name = shown(&child.name);
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        if child.is_leaf() {
            each(child, &path);
        } else {
            walk(child, &path, each);
        }
    }
}

/// A name that is none of the standard's is not repeated: anything could stand in it.
fn shown(name: &str) -> &str {
    let plain = name.len() <= 24 && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    if plain { name } else { "…" }
}
