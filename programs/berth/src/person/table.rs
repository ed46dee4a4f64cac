//! Aligned columns: two spaces apart, no tabs, nothing after the last word of a line.

use std::borrow::Cow;

use super::paint::{Colour, Paint, of_status};

#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    colour: Option<Colour>,
}

impl Cell {
    /// An empty text shows as a dash, so that a row keeps its shape for `awk`. Ends of lines become spaces.
    pub fn new(text: impl Into<String>) -> Cell {
        let text: String = text.into();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Cell { text: if text.is_empty() { "-".to_owned() } else { text }, colour: None }
    }

    /// A state such as RUNNING, in the colour of that state.
    pub fn status(text: impl Into<String>) -> Cell {
        let cell = Cell::new(text);
        Cell { colour: of_status(&cell.text), ..cell }
    }

    pub fn in_colour(self, colour: Colour) -> Cell {
        Cell { colour: Some(colour), ..self }
    }

    pub fn coloured(text: impl Into<String>, colour: Colour) -> Cell {
        Cell::new(text).in_colour(colour)
    }
}

pub struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub fn new(heads: &[&'static str]) -> Table {
        Table { heads: heads.to_vec(), rows: Vec::new() }
    }

    /// A row of as many cells as there are heads.
    pub fn row(&mut self, cells: Vec<Cell>) {
        assert_eq!(cells.len(), self.heads.len(), "a row has a cell for each head");
        self.rows.push(cells);
    }

    pub fn render(&self, paint: Paint) -> String {
        self.render_within(usize::MAX, paint)
    }

    /// Cut on the right to what a line of the terminal holds.
    pub fn render_within(&self, columns: usize, paint: Paint) -> String {
        let heads = self.heads.iter().map(|head| Cell::coloured(*head, Colour::Bold)).collect();
        let rows: Vec<&Vec<Cell>> = std::iter::once(&heads).chain(&self.rows).collect();
        let widths: Vec<usize> =
            (0..self.heads.len()).map(|column| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0)).collect();
        rows.into_iter().map(|row| line(row, &widths, columns, paint)).collect()
    }
}

fn line(row: &[Cell], widths: &[usize], columns: usize, paint: Paint) -> String {
    let mut line = String::new();
    let mut left = columns;
    for (column, (cell, width_max)) in row.iter().zip(widths).enumerate() {
        line.push_str(&paint.text(&cut(&cell.text, left), cell.colour));
        left = left.saturating_sub(width(cell));
        if column + 1 < row.len() && left > 0 {
            let gap = (width_max - width(cell) + 2).min(left);
            line.push_str(&" ".repeat(gap));
            left -= gap;
        }
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

/// As much as there is room for.
pub fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    match text.char_indices().nth(columns) {
        None => Cow::Borrowed(text),
        Some(_) if columns == 0 => Cow::Borrowed(""),
        Some(_) => Cow::Owned(text.chars().take(columns - 1).chain(['…']).collect()),
    }
}

/// Of what is seen: colours take no room.
fn width(cell: &Cell) -> usize {
    cell.text.chars().count()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(rows: Vec<Vec<Cell>>, paint: Paint, expected: Expect) {
        let mut table = Table::new(&["TASK", "STATUS", "REASON"]);
        rows.into_iter().for_each(|row| table.row(row));
        expected.assert_eq(&table.render(paint).replace('\x1b', "^"));
    }

    #[test]
    fn columns_are_aligned_and_nothing_trails() {
        let rows = vec![
            vec![Cell::new("1"), Cell::status("RUNNING"), Cell::new("")],
            vec![Cell::new("größer"), Cell::status("STOPPED"), Cell::new("two\n lines\tand a tab")],
        ];
        check(
            rows.clone(),
            Paint::Plain,
            expect![[r#"
                TASK    STATUS   REASON
                1       RUNNING  -
                größer  STOPPED  two lines and a tab
            "#]],
        );
        check(
            rows,
            Paint::Coloured,
            expect![[r#"
                ^[1mTASK^[0m    ^[1mSTATUS^[0m   ^[1mREASON^[0m
                1       ^[32mRUNNING^[0m  -
                größer  ^[31mSTOPPED^[0m  two lines and a tab
            "#]],
        );
    }

    #[test]
    fn lines_are_cut_to_the_terminal() {
        let mut table = Table::new(&["TASK", "STATUS", "REASON"]);
        table.row(vec![Cell::new("1"), Cell::status("RUNNING"), Cell::new("all is well")]);
        let check = |columns, expected: Expect| expected.assert_eq(&table.render_within(columns, Paint::Plain));
        check(
            80,
            expect![[r#"
            TASK  STATUS   REASON
            1     RUNNING  all is well
        "#]],
        );
        check(
            20,
            expect![[r#"
            TASK  STATUS   REAS…
            1     RUNNING  all …
        "#]],
        );
        check(
            9,
            expect![[r#"
            TASK  ST…
            1     RU…
        "#]],
        );
        check(
            6,
            expect![[r#"
            TASK
            1
        "#]],
        );
        let coloured = table.render_within(9, Paint::Coloured);
        assert!(coloured.ends_with("1     \x1b[32mRU…\x1b[0m\n"), "{coloured:?}");
    }

    #[test]
    fn no_rows_is_a_head() {
        check(
            Vec::new(),
            Paint::Plain,
            expect![[r#"
            TASK  STATUS  REASON
        "#]],
        );
    }
}
