//! What cannot be together.

use super::*;

#[test]
fn one_sequence_cannot_open_and_close() {
    let close = "sequence = [7, 9, 8]\naction = \"close\"";
    assert_said(
        &with_doors(&["sequence = [7, 9, 8]", close]),
        &["k.toml:8:8: error: doors.d1.sequence: the same sequence as door d0: it would both open and close"],
    );
    assert_said(
        &with_doors(&["sequence = [7, 9, 8]\ntarget = \"192.0.2.1\"", &format!("{close}\ntarget = \"192.0.2.2\"")]),
        &[],
    );
    assert_said(
        &with_doors(&[
            "sequence = [7, 9, 8]\ntcpflags = [\"syn\", \"urg\"]",
            &format!("{close}\ntcpflags = [\"syn\", \"!urg\"]"),
        ]),
        &[],
    );
}

#[test]
fn prefix_lengths_of_a_service_are_counted() {
    let door = |index: u16, bits: u16| format!("sequence = [{}, 900, 800]\ngrant_prefix_v6 = {bits}", 100 + index);
    let doors = [door(0, 64), door(1, 56), door(2, 48), door(3, 48), door(4, 40)];
    let doors: Vec<&str> = doors.iter().map(String::as_str).collect();
    assert_said(&with_doors(&doors[..4]), &[]);
    assert_said(
        &with_doors(&doors),
        &[
            "k.toml:24:19: error: doors.d4.grant_prefix_v6: one prefix length too many for this service: at most 4, whole addresses among them",
        ],
    );
}

#[test]
fn doors_that_crowd_each_other_are_an_error() {
    let doors: Vec<String> = (0..9).map(|n| format!("sequence = [700, {}, 10]", 800 + n)).collect();
    assert_said(
        &with_doors(&doors.iter().map(String::as_str).collect::<Vec<_>>()),
        &[
            "k.toml:29:8: error: doors.d8.sequence: too many doors share their first knock with it (d0, d1, d2, d3, d4, d5, d6, d7): at most 8 can be under way at once",
        ],
    );
}

#[test]
fn tables_of_64_are_not_overfilled() {
    let doors: Vec<String> = (0..65).map(|n| format!("sequence = [{}, 2, 900]", 1000 + n)).collect();
    let doors: Vec<&str> = doors.iter().map(String::as_str).collect();
    assert_said(&with_doors(&doors[..64]), &[]);
    assert_said(&with_doors(&doors), &["k.toml:197:8: error: doors.d64: 65 doors, more than 64"]);
    let services: String = (0..65).map(|n| format!("[services.s{n}]\nports = [{}]\n", 1000 + n)).collect();
    assert_said(&format!("{OPTIONS}{services}"), &["k.toml:131:11: error: services.s64: 65 services, more than 64"]);
}

#[test]
fn names_with_one_tag_are_an_error() {
    // A collision of 32-bit FNV-1a, found by search.
    let text = format!("{OPTIONS}[services.costarring]\nports = [1]\n[services.liquid]\nports = [2]\n");
    assert_said(&text, &["k.toml:5:11: error: services.liquid: the name has the same tag as services.costarring"]);
}
