//! A document as a tree, read whole and within bounds: UTF-8, no document type, no entity but XML's own five.

use crate::edge::{Place, Refusal, Refused};
use crate::limits::{EDGE_XML_DEPTH_MAX, EDGE_XML_NODES_MAX, EDGE_XML_TEXT_BYTES_MAX};
use quick_xml::errors::Error as XmlError;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;
use std::cell::Cell;
use zeroize::Zeroizing;

/// An element of a document.
pub struct Node {
    /// Its name without a prefix.
    pub name: String,
    /// Its namespace; empty for none.
    pub namespace: String,
    /// Where its tag begins: bytes from the beginning.
    pub at: usize,
    /// Its own text, without that of the elements in it.
    pub text: Zeroizing<String>,
    /// The attribute `Ccy`, the only one that matters here.
    pub currency: Option<String>,
    /// The elements in it.
    pub children: Vec<Self>,
    /// Whether a request has taken it.
    pub used: Cell<bool>,
}

impl Node {
    /// All elements of a name in it.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// Whether nothing is in it but text.
    pub fn is_leaf(&self) -> bool {
        self.children.is_empty()
    }
}

/// Reads a document: its outermost element.
pub fn read(bytes: &[u8]) -> Result<Node, Refused> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Refused::new(Refusal::NotUtf8, Lines::of(bytes).place(error.valid_up_to()), "", "")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { text, xml: NsReader::from_str(text), open: Vec::new(), nodes: 0, root: None };
    reader.xml.config_mut().enable_all_checks(true);
    reader.run()
}

/// Where the lines of a document begin, so that ten thousand places do not read it ten thousand times.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    /// Of a text; of a byte order mark nothing is counted.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let newlines = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        Self(std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect())
    }

    /// The place of a byte.
    pub(super) fn place(&self, byte: usize) -> Place {
        let line = self.0.partition_point(|start| *start <= byte).max(1);
        Place::Line(line, byte - self.0[line - 1] + 1)
    }
}

struct Reader<'t> {
    text: &'t str,
    xml: NsReader<&'t [u8]>,
    open: Vec<Node>,
    nodes: usize,
    root: Option<Node>,
}

impl Reader<'_> {
    fn refuse(&self, refusal: Refusal, at: usize, expected: &str) -> Refused {
        Refused::new(refusal, Lines::of(self.text.as_bytes()).place(at), "", expected)
    }

    fn run(mut self) -> Result<Node, Refused> {
        loop {
            let at = self.at();
            let (namespace, event) = match self.xml.read_resolved_event() {
                Ok((resolved, event)) => (Self::namespace(&resolved), event),
                Err(error) => {
                    let at = usize::try_from(self.xml.error_position()).unwrap_or(at);
                    return Err(self.refuse(Refusal::NotXml, at, slip(&error)));
                }
            };
            match event {
                Event::Start(start) => {
                    let node = self.node(&start, namespace, at)?;
                    if self.open.len() >= EDGE_XML_DEPTH_MAX {
                        return Err(self.refuse(Refusal::TooLarge, at, "elements are nested too deeply"));
                    }
                    self.open.push(node);
                }
                Event::Empty(start) => {
                    let node = self.node(&start, namespace, at)?;
                    self.close(node, at)?;
                }
                Event::End(_) => match self.open.pop() {
                    Some(node) => self.close(node, at)?,
                    None => return Err(self.refuse(Refusal::NotXml, at, "a tag ends that was not opened")),
                },
                Event::Text(text) => self.add(&text, at)?,
                Event::CData(text) => self.add(&text, at)?,
                Event::GeneralRef(reference) => {
                    let known = reference.resolve_char_ref().ok().flatten().map(String::from);
                    let known = known.or_else(|| {
                        quick_xml::escape::resolve_predefined_entity(&reference).map(str::to_owned)
                    });
                    let Some(known) = known else {
                        return Err(self.refuse(Refusal::Entity, at, ""));
                    };
                    self.add(&known, at)?;
                }
                Event::DocType(_) => return Err(self.refuse(Refusal::DocumentType, at, "")),
                Event::Decl(declaration) => {
                    let encoding = declaration.encoding().and_then(Result::ok);
                    if encoding.is_some_and(|name| !name.eq_ignore_ascii_case("utf-8")) {
                        return Err(self.refuse(
                            Refusal::NotUtf8,
                            at,
                            "it says that it is written otherwise",
                        ));
                    }
                }
                Event::Comment(_) | Event::PI(_) => {}
                Event::Eof if self.open.is_empty() => {
                    let empty = self.refuse(Refusal::NotXml, self.text.len(), "there is no element in it");
                    return self.root.take().ok_or(empty);
                }
                Event::Eof => {
                    return Err(self.refuse(Refusal::Truncated, self.text.len(), "elements are not closed"));
                }
            }
        }
    }

    fn at(&self) -> usize {
        usize::try_from(self.xml.buffer_position()).unwrap_or(usize::MAX)
    }

    fn namespace(resolved: &ResolveResult<'_>) -> String {
        match resolved {
            ResolveResult::Bound(namespace) => namespace.as_ref().to_owned(),
            ResolveResult::Unbound | ResolveResult::Unknown(_) => String::new(),
        }
    }

    fn node(&mut self, start: &BytesStart<'_>, namespace: String, at: usize) -> Result<Node, Refused> {
        self.nodes += 1;
        if self.nodes > EDGE_XML_NODES_MAX {
            return Err(self.refuse(Refusal::TooLarge, at, "it has too many elements"));
        }
        let mut currency = None;
        for attribute in start.attributes() {
            let refused = || self.refuse(Refusal::NotXml, at, "its attributes cannot be read");
            let attribute = attribute.map_err(|_| refused())?;
            if attribute.key.as_ref() == "Ccy" {
                currency = Some(attribute.value.as_ref().to_owned());
            }
        }
        Ok(Node {
            name: start.local_name().as_ref().to_owned(),
            namespace,
            at,
            text: Zeroizing::default(),
            currency,
            children: Vec::new(),
            used: Cell::new(false),
        })
    }

    /// Text beside the outermost element is none of it, but for the spaces there.
    fn add(&mut self, text: &str, at: usize) -> Result<(), Refused> {
        let Some(node) = self.open.last_mut() else {
            return if text.trim().is_empty() {
                Ok(())
            } else {
                Err(self.refuse(Refusal::NotXml, at, "text stands outside of all elements"))
            };
        };
        if node.text.len() + text.len() > EDGE_XML_TEXT_BYTES_MAX {
            return Err(self.refuse(Refusal::TooLarge, at, "a text is too long"));
        }
        node.text.push_str(text);
        Ok(())
    }

    fn close(&mut self, mut node: Node, at: usize) -> Result<(), Refused> {
        let trimmed = node.text.trim();
        if trimmed.len() != node.text.len() {
            node.text = Zeroizing::new(trimmed.to_owned());
        }
        match self.open.last_mut() {
            Some(parent) => parent.children.push(node),
            None if self.root.is_none() => self.root = Some(node),
            None => return Err(self.refuse(Refusal::NotXml, at, "two elements are outermost")),
        }
        Ok(())
    }
}

/// What is wrong, in words that repeat nothing of the document: the library's own name the tags.
fn slip(error: &XmlError) -> &'static str {
    match error {
        XmlError::Syntax(_) => "a tag, comment or declaration is not closed",
        XmlError::IllFormed(_) => "a tag closes another one than it opened, or a reference does not end",
        XmlError::InvalidAttr(_) => "an attribute is not written as one",
        XmlError::Escape(_) => "a reference names no character",
        XmlError::Namespace(_) => "a prefix is bound to no namespace",
        _ => "it cannot be read as XML",
    }
}
