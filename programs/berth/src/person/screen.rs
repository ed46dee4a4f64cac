//! The terminal while something lives on it: its second screen, drawn over line by line so that nothing flickers.

use super::output::{Output, OutputError};
use super::paint::Paint;

/// The second screen, and no cursor.
const OPEN: &str = "\x1b[?1049h\x1b[?25l";
const CLOSE: &str = "\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// Whatever happens, the terminal gets its first screen back.
pub struct Screen {
    /// Nothing once the first screen is back.
    output: Option<Output>,
}

impl Screen {
    pub fn open(mut output: Output) -> Result<Screen, OutputError> {
        output.write(OPEN)?;
        Ok(Screen { output: Some(output) })
    }

    /// Draws what fits into the window as it is now.
    pub fn draw(&mut self, text: impl FnOnce(usize, Paint) -> String) -> Result<(), OutputError> {
        let Some(output) = &mut self.output else { return Ok(()) };
        let size = output.size();
        let text = text(size.columns, output.paint);
        output.write(&painted(&text, size.rows))
    }

    /// The first screen again, to write on.
    pub fn close(mut self) -> Result<Output, OutputError> {
        let mut output = self.output.take().expect("only the end of a screen takes its output");
        output.write(CLOSE)?;
        Ok(output)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some(output) = &mut self.output {
            // Nobody is left to tell when it fails.
            let _ = output.write(CLOSE);
        }
    }
}

/// A line feed behind the last row would scroll the screen.
fn painted(text: &str, rows: usize) -> String {
    let lines: Vec<&str> = text.lines().take(rows).collect();
    format!("{HOME}{}{CLEAR_LINE}{CLEAR_BELOW}", lines.join(&format!("{CLEAR_LINE}\r\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_the_last_picture_is_cleared() {
        assert_eq!(painted("a\nb\n", 24), "\x1b[Ha\x1b[K\r\nb\x1b[K\x1b[J");
        assert_eq!(painted("a\nb\nc\n", 2), "\x1b[Ha\x1b[K\r\nb\x1b[K\x1b[J", "no more than fits");
        assert_eq!(painted("", 24), "\x1b[H\x1b[K\x1b[J");
    }
}
