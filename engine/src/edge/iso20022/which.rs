//! Which message a document is, and which transactions are in it.

use super::document::{Lines, Node};
use super::tables::{READ, Tables};
use crate::edge::{Place, Refusal, Refused};

/// What the standard's namespaces begin with.
const STANDARD: &str = "urn:iso:std:iso:20022:tech:xsd:";

/// Versions of pacs.008 and pain.001 in which everything that is read here stands where it is looked for.
const VERSIONS: [(&str, std::ops::RangeInclusive<u32>); 2] = [("pacs.008", 8..=12), ("pain.001", 3..=12)];

/// Places in a document.
pub(super) struct Places(pub(super) Lines);

impl Places {
    /// Where an element begins.
    pub(super) fn of(&self, node: &Node) -> Place {
        self.0.place(node.at)
    }
}

/// Which message a document is, by the namespace of its element `Document`; an envelope may be around it.
pub(super) fn message<'n>(
    root: &'n Node,
    tables: &Tables,
    places: &Places,
) -> Result<(String, &'n Node), (String, Refused)> {
    let found = std::iter::once(root).chain(&root.children).find(|node| node.name == "Document");
    let refuse = |node: &Node, name: &str, refusal: Refusal, expected: &str| {
        Err((name.to_owned(), Refused::new(refusal, places.of(node), "", expected)))
    };
    let Some(document) = found else {
        return refuse(root, "", Refusal::Unsupported, "there is no element Document");
    };
    let namespace = document.namespace.as_str();
    if let Some((_, name)) = tables.namespaces.iter().find(|(known, _)| known == namespace) {
        return Ok((name.clone(), document));
    }
    let standard = namespace.strip_prefix(STANDARD).and_then(|name| {
        // pacs.008.001.08: area and message, variant, version.
        let parts: Vec<&str> = name.split('.').collect();
        let [area, message, _, version] = parts[..] else { return None };
        Some((format!("{area}.{message}"), version.parse::<u32>().ok()?))
    });
    let Some((name, version)) = standard else {
        return refuse(document, "", Refusal::Namespace, "[namespace] of the table can name national ones");
    };
    let refusal = match name.as_str() {
        "pacs.008" | "pain.001" => {
            let known =
                VERSIONS.iter().any(|(known, versions)| *known == name && versions.contains(&version));
            if known {
                return Ok((name, document));
            }
            return refuse(
                document,
                &name,
                Refusal::Version,
                "pacs.008.001.08 to .12, pain.001.001.03 to .12",
            );
        }
        "pacs.002" | "pain.002" | "pacs.028" | "camt.029" | "admi.002" => Refusal::Response,
        "camt.052" | "camt.053" | "camt.054" => Refusal::AccountReport,
        "camt.055" | "camt.056" => Refusal::Cancellation,
        "pacs.004" | "pacs.007" | "pain.007" => Refusal::PaymentReturn,
        "pacs.003" | "pain.008" => Refusal::DirectDebit,
        _ => Refusal::Unsupported,
    };
    // The name is the standard's own where it is known here; any other is not repeated.
    let shown = if refusal == Refusal::Unsupported { "" } else { name.as_str() };
    refuse(document, shown, refusal, "")
}

/// A transaction, and what surrounds it: elements that stand there once for several transactions.
#[derive(Clone, Copy)]
pub(super) struct Scopes<'n> {
    pub(super) transaction: &'n Node,
    /// `PmtInf` of a pain.001.
    pub(super) payment: Option<&'n Node>,
    pub(super) header: Option<&'n Node>,
}

/// The transactions of a document, all of them or none.
pub(super) fn transactions<'n>(
    document: &'n Node,
    name: &str,
    places: &Places,
) -> Result<Vec<Scopes<'n>>, Refused> {
    let outer = if name == READ[0] { "FIToFICstmrCdtTrf" } else { "CstmrCdtTrfInitn" };
    let missing = |node: &Node, element: &str| Refused::new(Refusal::Missing, places.of(node), element, "");
    let Some(body) = document.all(outer).next() else { return Err(missing(document, outer)) };
    let header = body.all("GrpHdr").next();
    let found: Vec<Scopes<'_>> = if name == READ[0] {
        body.all("CdtTrfTxInf").map(|transaction| Scopes { transaction, payment: None, header }).collect()
    } else {
        let payments = body.all("PmtInf").flat_map(|payment| {
            let inner = payment.all("CdtTrfTxInf");
            inner.map(move |transaction| Scopes { transaction, payment: Some(payment), header })
        });
        payments.collect()
    };
    if found.is_empty() {
        return Err(missing(body, "CdtTrfTxInf"));
    }
    // A document that lost some of its transactions on the way is not screened in part.
    let said = header.and_then(|header| header.all("NbOfTxs").next());
    if let Some(said) = said.filter(|said| said.text.parse() != Ok(found.len())) {
        let expected = format!("{} are in it", found.len());
        return Err(Refused::new(Refusal::Count, places.of(said), "NbOfTxs", &expected));
    }
    Ok(found)
}
