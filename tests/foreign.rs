//! Texts of other languages, for the test crates that include this file.

use std::path::{Path, PathBuf};

/// One letter of four, alphabets and scripts without letters, from left and from right, and marks on their own.
pub const FOREIGN: [&str; 12] = [
    "Příšerně žluťoučký kůň",
    "Zażółć gęślą jaźń",
    "Ľúbezný vŕšok, päť ďatľov",
    "Árvíztűrő tükörfúrógép",
    "Kızgın İstanbullu ırmak",
    "Доставили вовремя, спасибо",
    "الخدمة ممتازة، شكراً",
    "השירות היה מצוין!",
    "质量很好，下次还会再来。",
    "とても良い商品です",
    "อาหารอร่อยมาก",
    "नहीं 👨‍👩‍👧 e\u{301}",
];

/// The example files in Czech, Polish, Slovak and Hungarian.
pub fn examples() -> [PathBuf; 4] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/languages");
    ["czech.csv", "polish.csv", "slovak.csv", "hungarian.csv"].map(|name| folder.join(name))
}
