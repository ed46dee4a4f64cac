//! What a generated AWS shape is: its schema, its document form, its constraints.
