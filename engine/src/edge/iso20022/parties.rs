//! Who pays whom: accounts, national numbers, contacts.

use super::document::Node;
use super::request::Mapping;
use crate::edge::{Refusal, Refused, is_swedish, why};
use sparr_protocol::codes::SubjectKind;
use sparr_protocol::personal::Personal;
use sparr_protocol::place::Country;
use sparr_protocol::request::AuthorisationRequest;

impl<'m> Mapping<'m> {
    /// An account with its scheme. One that is written as an IBAN and is none is refused: a payment goes somewhere, and
    /// nobody knows where.
    pub(super) fn account(&mut self, party: &str, field: &'static str) -> Result<Option<Personal>, Refused> {
        let Some(account) = self.find(party)? else { return Ok(None) };
        if let Some(iban) = self.under(account, "Id/IBAN")? {
            let text = format!("iban:{}", *iban.text);
            if sparr_protocol::account::account(&text).is_none() {
                return Err(self.refuse(
                    Refusal::Value,
                    iban,
                    &format!("{party}/Id/IBAN"),
                    "an IBAN is expected",
                ));
            }
            self.note(iban, &format!("{party}/Id/IBAN"), field);
            return Ok(Some(text.into()));
        }
        let Some(other) = self.under(account, "Id/Othr")? else { return Ok(None) };
        let Some(id) = self.under(other, "Id")? else { return Ok(None) };
        let scheme = match self.under(other, "SchmeNm/Cd")? {
            Some(code) => Some(code),
            None => self.under(other, "SchmeNm/Prtry")?,
        };
        let known = scheme.and_then(|name| {
            self.tables
                .account_schemes
                .iter()
                .find(|(known, _)| *known == *name.text)
                .map(|(_, scheme)| scheme)
        });
        let Some(known) = known else {
            self.left.push((id, why::NO_SCHEME));
            return Ok(None);
        };
        let text = format!("{known}:{}", *id.text);
        if sparr_protocol::account::account(&text).is_none() {
            let expected = "an account of its scheme is expected";
            return Err(self.refuse(Refusal::Value, id, &format!("{party}/Id/Othr/Id"), expected));
        }
        self.note(id, &format!("{party}/Id/Othr/Id"), field);
        scheme.inspect(|scheme| scheme.used.set(true));
        Ok(Some(text.into()))
    }

    /// The payer's number, and how to reach them.
    pub(super) fn payer(&mut self, request: &mut AuthorisationRequest) -> Result<(), Refused> {
        let Some(debtor) = self.find("Dbtr")? else { return Ok(()) };
        let residence = self.country(debtor)?;
        if let Some(node) = self.under(debtor, "PstlAdr/Ctry")? {
            request.billing_country = self.take(node, "Dbtr/PstlAdr/Ctry", "billing_country", Country::parse);
        }
        if let Some((id, organisation)) = self.national_id(debtor)? {
            let swedish = is_swedish(&id.text, self.now);
            let (kind, country) = match residence {
                // Who has a Swedish number of twelve digits is that person, wherever they live.
                _ if swedish && id.text.len() >= 12 => (SubjectKind::SePerson, None),
                Some(country) if country != self.tables.home => (SubjectKind::Foreign, Some(country)),
                // At home, what does not parse is for the engine to refuse: never "not flagged".
                Some(_) => (SubjectKind::SePerson, None),
                None if swedish => (SubjectKind::SePerson, None),
                None => {
                    self.left.push((id, why::NO_COUNTRY));
                    return self.contact(debtor, request);
                }
            };
            let kind = if organisation && kind == SubjectKind::SePerson {
                SubjectKind::SeOrganisation
            } else {
                kind
            };
            request.subject = Some(id.text.as_str().into());
            request.subject_kind = Some(kind);
            request.subject_country = country;
            self.note(id, "Dbtr/Id", "subject");
        }
        self.contact(debtor, request)
    }

    fn contact(&mut self, party: &'m Node, request: &mut AuthorisationRequest) -> Result<(), Refused> {
        if let Some(email) = self.under(party, "CtctDtls/EmailAdr")? {
            request.email = self.take(email, "Dbtr/CtctDtls/EmailAdr", "email", |text| {
                sparr_protocol::contact::email(text).map(|email| email.as_str().into())
            });
        }
        if let Some(phone) = self.under(party, "CtctDtls/MobNb")? {
            // The standard writes +46-701234567.
            request.phone = self.take(phone, "Dbtr/CtctDtls/MobNb", "phone", |text| {
                let digits = text.replace('-', "");
                sparr_protocol::contact::phone(&digits).map(Into::into)
            });
        }
        Ok(())
    }

    pub(super) fn payee(&mut self, request: &mut AuthorisationRequest) -> Result<(), Refused> {
        let Some(creditor) = self.find("Cdtr")? else { return Ok(()) };
        let Some((id, _)) = self.national_id(creditor)? else { return Ok(()) };
        if is_swedish(&id.text, self.now) {
            request.payee_subject = Some(id.text.as_str().into());
            self.note(id, "Cdtr/Id", "payee_subject");
        } else {
            self.left.push((id, "a payee is known by a Swedish number"));
        }
        Ok(())
    }

    fn country(&self, party: &'m Node) -> Result<Option<Country>, Refused> {
        let node = match self.under(party, "CtryOfRes")? {
            Some(node) => Some(node),
            None => self.under(party, "PstlAdr/Ctry")?,
        };
        Ok(node.and_then(|node| Country::parse(&node.text)))
    }

    /// A national identity number (NIDN), or an organisation's number in its country (COID); and whether it is the latter.
    fn national_id(&mut self, party: &'m Node) -> Result<Option<(&'m Node, bool)>, Refused> {
        let mut found = None;
        for (path, code, organisation) in [("Id/PrvtId", "NIDN", false), ("Id/OrgId", "COID", true)] {
            let Some(ids) = self.under(party, path)? else { continue };
            for other in ids.all("Othr") {
                let scheme = self.under(other, "SchmeNm/Cd")?;
                let Some(id) = self.under(other, "Id")? else { continue };
                let national = scheme.filter(|scheme| *scheme.text == *code);
                match national {
                    Some(scheme) if found.is_none() => {
                        scheme.used.set(true);
                        found = Some((id, organisation));
                    }
                    Some(_) => {
                        return Err(self.refuse(Refusal::Duplicate, id, path, "one person has one number"));
                    }
                    None => self.left.push((id, why::OTHER_KIND_OF_ID)),
                }
            }
        }
        Ok(found)
    }
}
