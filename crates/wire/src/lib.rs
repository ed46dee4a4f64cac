//! The AWS protocols, SigV4, and one port for all services.
