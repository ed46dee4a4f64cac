//! Colours, where they can be seen.

/// The sixteen colours' quiet half: legible on light and dark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Red,
    Green,
    Yellow,
    Blue,
    Magenta,
    Cyan,
    /// Not a colour, but it stands out.
    Bold,
    /// Not a colour, but it stands back.
    Dim,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    Plain,
    Coloured,
}

impl Paint {
    /// Colours are for terminals that know them, and for people who have not said no (<https://no-color.org>).
    pub fn choose(is_terminal: bool, no_color: Option<&str>, term: Option<&str>) -> Paint {
        let refused = no_color.is_some_and(|value| !value.is_empty()) || term == Some("dumb");
        if is_terminal && !refused { Paint::Coloured } else { Paint::Plain }
    }

    pub fn text(self, text: &str, colour: Option<Colour>) -> String {
        match (self, colour) {
            (Paint::Coloured, Some(colour)) if !text.is_empty() => format!("\x1b[{}m{text}\x1b[0m", code(colour)),
            _ => text.to_owned(),
        }
    }
}

fn code(colour: Colour) -> u8 {
    match colour {
        Colour::Bold => 1,
        Colour::Dim => 2,
        Colour::Red => 31,
        Colour::Green => 32,
        Colour::Yellow => 33,
        Colour::Blue => 34,
        Colour::Magenta => 35,
        Colour::Cyan => 36,
    }
}

/// The colour of a task's, a deployment's, an instance's or a container's state.
pub fn of_status(status: &str) -> Option<Colour> {
    match status {
        "RUNNING" | "ACTIVE" | "HEALTHY" | "COMPLETED" | "PRIMARY" => Some(Colour::Green),
        "STOPPED" | "UNHEALTHY" | "FAILED" | "INACTIVE" | "DISCONNECTED" => Some(Colour::Red),
        "" | "-" | "UNKNOWN" => None,
        // PROVISIONING, PENDING, ACTIVATING, DEACTIVATING, STOPPING, DRAINING ...: on the way.
        _ => Some(Colour::Yellow),
    }
}

/// A colour for a name, always the same one.
pub fn of_name(name: &str) -> Colour {
    const WHEEL: [Colour; 6] =
        [Colour::Cyan, Colour::Yellow, Colour::Green, Colour::Magenta, Colour::Blue, Colour::Red];
    let hash = name.bytes().fold(0u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    WHEEL[hash as usize % WHEEL.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals() {
        let choose = Paint::choose;
        assert_eq!(choose(true, None, Some("xterm")), Paint::Coloured);
        assert_eq!(choose(true, Some(""), None), Paint::Coloured);
        assert_eq!(choose(true, Some("1"), Some("xterm")), Paint::Plain);
        assert_eq!(choose(true, None, Some("dumb")), Paint::Plain);
        assert_eq!(choose(false, None, Some("xterm")), Paint::Plain);
    }

    #[test]
    fn paint_is_around_the_text_only() {
        assert_eq!(Paint::Coloured.text("RUNNING", of_status("RUNNING")), "\x1b[32mRUNNING\x1b[0m");
        assert_eq!(Paint::Coloured.text("STOPPED", of_status("STOPPED")), "\x1b[31mSTOPPED\x1b[0m");
        assert_eq!(Paint::Coloured.text("PENDING", of_status("PENDING")), "\x1b[33mPENDING\x1b[0m");
        assert_eq!(Paint::Coloured.text("-", of_status("-")), "-");
        assert_eq!(Paint::Coloured.text("", Some(Colour::Red)), "");
        assert_eq!(Paint::Plain.text("RUNNING", of_status("RUNNING")), "RUNNING");
    }
}
