//! Cells come and go; both families; the size that was promised.

use super::*;

#[test]
fn cells_live_while_they_say_something() {
    let mut table = Table::new();
    for text in ["203.0.113.0/24", "203.0.113.0/25", "2001:db8::/32", "0.0.0.0/0", "::/0"] {
        let place = Place { table: 0, prefix: text.parse().unwrap() };
        assert_eq!(table.get(place), Cell::EMPTY);
        table.modify(place, |cell| cell.wanted = u32::from(place.prefix.len()));
        assert_eq!(table.get(place).wanted, u32::from(place.prefix.len()));
    }
    let mut seen = Vec::new();
    Family::ALL.into_iter().for_each(|f| table.for_each(f, |place, _| seen.push(place.prefix.to_string())));
    seen.sort();
    assert_eq!(seen, ["0.0.0.0/0", "2001:db8::/32", "203.0.113.0/24", "203.0.113.0/25", "::/0"]);
    let place = Place { table: 0, prefix: "203.0.113.0/24".parse().unwrap() };
    assert_eq!(table.get(Place { table: 1, ..place }), Cell::EMPTY, "another table");
    let (_, new) = table.modify(place, |cell| {
        cell.wanted = NONE;
        cell.set(state::REWRITE);
    });
    assert_eq!(new, Cell::EMPTY, "a flag alone keeps nothing alive");
    assert_eq!(table.tables[0].v4.rows.len(), 2);
}

#[test]
fn rows_are_as_small_as_promised() {
    assert_eq!((size_of::<Row<u32>>(), size_of::<Row<[u16; 8]>>()), (16, 28));
}
