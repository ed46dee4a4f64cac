//! What the AWS model says about a shape, as constant data.

/// A shape of the model: its kind, its constraints and its protocol traits.
///
/// Schemas are `static`s that point at each other, so a recursive shape is simply a cycle.
#[derive(Debug)]
pub struct Schema {
    pub name: &'static str,
    pub kind: Kind,
    /// Length of a string (characters), blob (bytes), list or map (elements); value of a number.
    pub min: Option<i64>,
    pub max: Option<i64>,
    /// A regular expression that the whole string must match.
    pub pattern: Option<&'static str>,
    /// What an enum may be; empty when the shape is no enum.
    pub values: &'static [&'static str],
    pub sensitive: bool,
    /// The events of an answer that goes on: a structure of which one member is sent at a time.
    pub event_stream: bool,
    /// An event that is an error and the last.
    pub exception: bool,
    /// Lists and maps of the XML and query protocols without a wrapping element.
    pub flattened: bool,
    /// What XML and query call an element of a list; `member` by default.
    pub element: Option<&'static str>,
    /// What XML and query call the key and the value of a map entry; `key` and `value` by default.
    pub entry: Option<(&'static str, &'static str)>,
    pub timestamp_format: Option<TimestampFormat>,
}

#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Boolean,
    /// 32 bits.
    Integer,
    /// 64 bits.
    Long,
    Float,
    Double,
    String,
    Blob,
    Timestamp,
    /// Any JSON.
    Document,
    List(&'static Schema),
    Map {
        key: &'static Schema,
        value: &'static Schema,
    },
    Structure(&'static [Member]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampFormat {
    /// `2026-11-23T13:15:34.120Z`
    Iso8601,
    /// `Mon, 23 Nov 2026 13:15:34 GMT`
    Rfc822,
    /// `1795439734.12`
    UnixSeconds,
}

/// A member of a structure.
#[derive(Debug)]
pub struct Member {
    /// The name in the model, which is also the key in a [`crate::Document::Structure`].
    pub name: &'static str,
    pub schema: &'static Schema,
    pub required: bool,
    /// `locationName`: the name on the wire where it differs.
    pub location_name: Option<&'static str>,
    /// `queryName`: the name in an EC2 query where it differs from everything else.
    pub query_name: Option<&'static str>,
    pub location: Location,
    pub timestamp_format: Option<TimestampFormat>,
    pub streaming: bool,
}

/// Where a REST protocol puts a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    Body,
    /// The member is the whole body.
    Payload,
    Header,
    /// A map of headers with a common prefix.
    Headers,
    Uri,
    QueryString,
    StatusCode,
}

impl Schema {
    pub const fn new(name: &'static str, kind: Kind) -> Schema {
        Schema {
            name,
            kind,
            min: None,
            max: None,
            pattern: None,
            values: &[],
            sensitive: false,
            event_stream: false,
            exception: false,
            flattened: false,
            element: None,
            entry: None,
            timestamp_format: None,
        }
    }

    pub const fn structure(name: &'static str, members: &'static [Member]) -> Schema {
        Schema::new(name, Kind::Structure(members))
    }

    pub const fn list(name: &'static str, member: &'static Schema) -> Schema {
        Schema::new(name, Kind::List(member))
    }

    pub const fn map(name: &'static str, key: &'static Schema, value: &'static Schema) -> Schema {
        Schema::new(name, Kind::Map { key, value })
    }

    pub const fn enumeration(name: &'static str, values: &'static [&'static str]) -> Schema {
        Schema { values, ..Schema::new(name, Kind::String) }
    }

    pub const fn min(mut self, min: i64) -> Schema {
        self.min = Some(min);
        self
    }

    pub const fn max(mut self, max: i64) -> Schema {
        self.max = Some(max);
        self
    }

    pub const fn pattern(mut self, pattern: &'static str) -> Schema {
        self.pattern = Some(pattern);
        self
    }

    pub const fn sensitive(mut self) -> Schema {
        self.sensitive = true;
        self
    }

    pub const fn event_stream(mut self) -> Schema {
        self.event_stream = true;
        self
    }

    pub const fn exception(mut self) -> Schema {
        self.exception = true;
        self
    }

    pub const fn flattened(mut self) -> Schema {
        self.flattened = true;
        self
    }

    pub const fn element(mut self, name: &'static str) -> Schema {
        self.element = Some(name);
        self
    }

    pub const fn entry(mut self, key: &'static str, value: &'static str) -> Schema {
        self.entry = Some((key, value));
        self
    }

    pub const fn timestamp_format(mut self, format: TimestampFormat) -> Schema {
        self.timestamp_format = Some(format);
        self
    }

    /// The members of a structure; none for any other kind.
    pub const fn members(&self) -> &'static [Member] {
        match self.kind {
            Kind::Structure(members) => members,
            _ => &[],
        }
    }

    /// True for the schema of an operation that takes or gives nothing at all.
    pub fn is_unit(&self) -> bool {
        std::ptr::eq(self, &UNIT)
    }
}

impl Member {
    pub const fn new(name: &'static str, schema: &'static Schema) -> Member {
        Member {
            name,
            schema,
            required: false,
            location_name: None,
            query_name: None,
            location: Location::Body,
            timestamp_format: None,
            streaming: false,
        }
    }

    pub const fn required(mut self) -> Member {
        self.required = true;
        self
    }

    pub const fn location_name(mut self, name: &'static str) -> Member {
        self.location_name = Some(name);
        self
    }

    pub const fn query_name(mut self, name: &'static str) -> Member {
        self.query_name = Some(name);
        self
    }

    pub const fn location(mut self, location: Location) -> Member {
        self.location = location;
        self
    }

    pub const fn timestamp_format(mut self, format: TimestampFormat) -> Member {
        self.timestamp_format = Some(format);
        self
    }

    pub const fn streaming(mut self) -> Member {
        self.streaming = true;
        self
    }

    /// The name in JSON, XML and queries.
    pub fn wire_name(&self) -> &'static str {
        self.location_name.unwrap_or(self.name)
    }
}

/// Shapes without traits are the same everywhere, so the generated crates share these.
pub static BOOLEAN: Schema = Schema::new("Boolean", Kind::Boolean);
pub static INTEGER: Schema = Schema::new("Integer", Kind::Integer);
pub static LONG: Schema = Schema::new("Long", Kind::Long);
pub static FLOAT: Schema = Schema::new("Float", Kind::Float);
pub static DOUBLE: Schema = Schema::new("Double", Kind::Double);
pub static STRING: Schema = Schema::new("String", Kind::String);
pub static BLOB: Schema = Schema::new("Blob", Kind::Blob);
pub static TIMESTAMP: Schema = Schema::new("Timestamp", Kind::Timestamp);
pub static DOCUMENT: Schema = Schema::new("Document", Kind::Document);
/// What an operation without input or output takes or gives.
pub static UNIT: Schema = Schema::structure("Unit", &[]);
