//! The nouns of Berth's services: their ids, units and states.
