//! A typed client of the AWS protocols, made of the same generated shapes.
