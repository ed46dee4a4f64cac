//! Aligned columns: two spaces apart, no tabs, nothing after the last word of a line.

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

    pub fn coloured(text: impl Into<String>, colour: Colour) -> Cell {
        Cell { colour: Some(colour), ..Cell::new(text) }
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
        let heads = self.heads.iter().map(|head| Cell::coloured(*head, Colour::Bold)).collect();
        let rows: Vec<&Vec<Cell>> = std::iter::once(&heads).chain(&self.rows).collect();
        let widths: Vec<usize> =
            (0..self.heads.len()).map(|column| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0)).collect();
        rows.into_iter().map(|row| line(row, &widths, paint)).collect()
    }
}

fn line(row: &[Cell], widths: &[usize], paint: Paint) -> String {
    let mut line = String::new();
    for (column, (cell, width_max)) in row.iter().zip(widths).enumerate() {
        line.push_str(&paint.text(&cell.text, cell.colour));
        if column + 1 < row.len() {
            line.push_str(&" ".repeat(width_max - width(cell) + 2));
        }
    }
    line.push('\n');
    line
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
