//! From XML to documents, with the schema in hand.

use quick_xml::Reader;
use quick_xml::events::Event;
use shape::{Document, Kind, Schema, WireError};

use super::rest_xml::{malformed, scalar};
use crate::limits::{DEPTH_MAX, XML_ELEMENTS_MAX};

/// An element: what is in it. Attributes and name spaces say nothing that an AWS shape has.
#[derive(Debug, Default)]
pub(super) struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// The root of a document.
    ///
    /// Errors: `MalformedXML`.
    pub fn parse(bytes: &[u8]) -> Result<Element, WireError> {
        let text = std::str::from_utf8(bytes).map_err(|_| malformed())?;
        let mut reader = Reader::from_str(text);
        let mut open: Vec<Element> = Vec::new();
        let mut count = 0;
        loop {
            match reader.read_event().map_err(|_| malformed())? {
                Event::Start(start) => {
                    count += 1;
                    if open.len() >= DEPTH_MAX || count > XML_ELEMENTS_MAX {
                        return Err(malformed());
                    }
                    open.push(Element::named(start.local_name().as_ref())?);
                }
                Event::Empty(start) => {
                    count += 1;
                    let element = Element::named(start.local_name().as_ref())?;
                    match open.last_mut() {
                        Some(parent) if count <= XML_ELEMENTS_MAX => parent.children.push(element),
                        Some(_) => return Err(malformed()),
                        None => return Ok(element),
                    }
                }
                Event::End(_) => {
                    let element = open.pop().ok_or_else(malformed)?;
                    match open.last_mut() {
                        Some(parent) => parent.children.push(element),
                        None => return Ok(element),
                    }
                }
                Event::Text(text) => append(&mut open, &text.xml10_content().map_err(|_| malformed())?),
                Event::CData(text) => append(&mut open, &text.xml10_content().map_err(|_| malformed())?),
                Event::GeneralRef(reference) => {
                    let character = match reference.resolve_char_ref().map_err(|_| malformed())? {
                        Some(character) => character,
                        // No others are declared, and a document type that could declare some is refused below.
                        None => match reference.decode().map_err(|_| malformed())?.as_ref() {
                            "amp" => '&',
                            "lt" => '<',
                            "gt" => '>',
                            "quot" => '"',
                            "apos" => '\'',
                            _ => return Err(malformed()),
                        },
                    };
                    append(&mut open, character.encode_utf8(&mut [0; 4]));
                }
                Event::DocType(_) | Event::Eof => return Err(malformed()),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
        }
    }

    fn named(name: &[u8]) -> Result<Element, WireError> {
        let name = std::str::from_utf8(name).map_err(|_| malformed())?.to_owned();
        Ok(Element { name, ..Element::default() })
    }

    /// The element as a shape. Children that the shape does not know are passed over.
    pub fn read(&self, schema: &'static Schema) -> Result<Document, WireError> {
        Ok(match schema.kind {
            Kind::Structure(members) => {
                let mut values = Vec::new();
                for member in members {
                    let found = match member.schema {
                        Schema { kind: Kind::List(item), flattened: true, .. } => {
                            let name = member.schema.element.unwrap_or(member.wire_name());
                            let items: Result<Vec<_>, _> =
                                self.named_children(name).map(|item_| item_.read(item)).collect();
                            Some(Document::List(items?)).filter(|_| self.named_children(name).next().is_some())
                        }
                        schema => self
                            .named_children(member.wire_name())
                            .next()
                            .map(|child| child.read(schema))
                            .transpose()?,
                    };
                    values.extend(found.map(|value| (member.name, value)));
                }
                Document::Structure(values)
            }
            Kind::List(item) => {
                let name = schema.element.unwrap_or("member");
                Document::List(self.named_children(name).map(|child| child.read(item)).collect::<Result<_, _>>()?)
            }
            Kind::Map { value, .. } => {
                let (key_name, value_name) = schema.entry.unwrap_or(("key", "value"));
                let mut entries = Vec::new();
                for entry in self.named_children("entry") {
                    let part = |name| entry.named_children(name).next();
                    if let (Some(key), Some(item)) = (part(key_name), part(value_name)) {
                        entries.push((key.text.clone(), item.read(value)?));
                    }
                }
                Document::Map(entries)
            }
            _ => scalar(schema, None, &self.text).ok_or_else(malformed)?,
        })
    }

    fn named_children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

/// Text outside of every element is blank, or nobody's.
fn append(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}
