//! Figures as plots in SVG.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use plotters::prelude::*;
use plotters::style::FontTransform;

use super::{Figure, Sheet, Short};

/// One plot.
struct Plot {
    /// The file's name, without `.svg`.
    name: &'static str,
    /// What stands above it.
    title: &'static str,
    what: What,
}

enum What {
    /// A bar for each of those who were measured.
    Peers { id: &'static str },
    /// A bar for each figure: how many times a peer.
    Times { ids: &'static str, peer: &'static str },
    /// A line for each path: how many times a peer, against how much there is of something.
    Growth { of: &'static [&'static str], peer: &'static str },
}

const PLOTS: [Plot; 5] = [
    Plot {
        name: "open",
        title: "From the last knock to an accepted connection, ms",
        what: What::Peers { id: "open.latency" },
    },
    Plot { name: "flood", title: "CPU time per packet of a SYN flood, us", what: What::Peers { id: "flood.cpu" } },
    Plot {
        name: "cost",
        title: "Cost of a packet, in times of a bare XDP_PASS",
        what: What::Times { ids: "cost.", peer: "xdp_pass" },
    },
    Plot {
        name: "growth-grants",
        title: "Cost of a packet against grants, in times of a bare XDP_PASS",
        what: What::Growth { of: &["grants"], peer: "xdp_pass" },
    },
    Plot {
        name: "growth-rules",
        title: "Cost of a packet against doors, ports and attempts, in times of a bare XDP_PASS",
        what: What::Growth { of: &["doors", "ports", "attempts"], peer: "xdp_pass" },
    },
];

const SIZE: (u32, u32) = (860, 460);
const OURS: RGBColor = RGBColor(0x1b, 0x7f, 0x5c);
const THEIRS: RGBColor = RGBColor(0x8a, 0x94, 0xa3);

/// Draws every plot whose figures are there, as a file of the directory. Says which were drawn.
///
/// # Errors
///
/// If they cannot be written.
pub fn draw(sheet: &Sheet, dir: &Path) -> Result<Vec<&'static str>> {
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let mut drawn = Vec::new();
    for plot in PLOTS {
        if let Some(svg) = svg(sheet, &plot).map_err(|error| anyhow!("{}: {error:#}", plot.name))? {
            let file = dir.join(plot.name).with_extension("svg");
            fs::write(&file, svg).with_context(|| file.display().to_string())?;
            drawn.push(plot.name);
        }
    }
    Ok(drawn)
}

/// The plot, if its figures are there.
fn svg(sheet: &Sheet, plot: &Plot) -> Result<Option<String>> {
    match plot.what {
        What::Peers { id } => sheet.get(id).map(|figure| bars(plot.title, &peers(figure))).transpose(),
        What::Times { ids, peer } => {
            let figures = sheet.figures.iter().filter(|figure| figure.id.starts_with(ids));
            let bar = |figure: &Figure| Some((figure.id[ids.len()..].to_owned(), *figure.ratio.get(peer)?, OURS));
            let all: Vec<Bar> = figures.filter_map(bar).collect();
            if all.is_empty() { Ok(None) } else { bars(plot.title, &all).map(Some) }
        }
        What::Growth { of, peer } => {
            let all = series(&sheet.figures, of, peer);
            if all.is_empty() { Ok(None) } else { lines(plot.title, &all).map(Some) }
        }
    }
}

/// A name, a length, a colour.
type Bar = (String, f64, RGBColor);

/// A bar for the gate, and one for each peer, the shortest first.
fn peers(figure: &Figure) -> Vec<Bar> {
    let mut all: Vec<Bar> = figure.peers.iter().map(|(name, value)| (name.to_string(), *value, THEIRS)).collect();
    all.push(("knock".to_owned(), figure.value, OURS));
    all.sort_by(|(_, one, _), (_, other, _)| one.total_cmp(other));
    all
}

/// Horizontal bars, the first one on top.
fn bars(title: &str, all: &[Bar]) -> Result<String> {
    /// Of a bar, and of the gap below it.
    const STEP: i32 = 30;
    let (left, top) = (230, 56);
    let width = SIZE.0 as i32 - left - 90;
    let most = all.iter().map(|(_, value, _)| *value).fold(f64::MIN_POSITIVE, f64::max);
    let height = (top + STEP * all.len() as i32 + 16) as u32;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (SIZE.0, height)).into_drawing_area();
        let done = (|| {
            area.fill(&WHITE)?;
            area.draw(&Text::new(title, (20, 18), ("sans-serif", 18)))?;
            for (index, (name, value, colour)) in all.iter().enumerate() {
                let y = top + STEP * index as i32;
                let end = left + (f64::from(width) * value.max(0.0) / most).round() as i32;
                area.draw(&Text::new(name.as_str(), (20, y + 4), ("sans-serif", 14)))?;
                area.draw(&Rectangle::new([(left, y), (end.max(left + 1), y + STEP - 10)], colour.filled()))?;
                area.draw(&Text::new(Short(*value).to_string(), (end + 8, y + 4), ("sans-serif", 14)))?;
            }
            area.present()
        })();
        done.map_err(|error| anyhow!("{error}"))?;
    }
    Ok(svg)
}

/// Points by the name of their line.
type Series = BTreeMap<String, Vec<(f64, f64)>>;

/// `growth.PATH.OF_NUMBER`, and more behind another dot: the line of PATH at NUMBER.
fn series(figures: &[Figure], of: &[&str], peer: &str) -> Series {
    let mut all = Series::new();
    for figure in figures {
        let parts: Vec<&str> = figure.id.split('.').collect();
        let ["growth", path, at, more @ ..] = &parts[..] else { continue };
        let Some((what, number)) = at.rsplit_once('_') else { continue };
        let (Ok(number), Some(ratio)) = (number.parse::<f64>(), figure.ratio.get(peer)) else { continue };
        if of.contains(&what) {
            let mut name = if of.len() == 1 { (*path).to_owned() } else { format!("{path}, {what}") };
            more.iter().for_each(|more| name += &format!(", {more}"));
            // None lies where one does: the axis has no 0.
            all.entry(name).or_default().push((number.max(1.0), *ratio));
        }
    }
    all.values_mut().for_each(|points| points.sort_by(|one, other| one.0.total_cmp(&other.0)));
    all
}

/// Lines over an axis of powers of ten.
fn lines(title: &str, all: &Series) -> Result<String> {
    let points = || all.values().flatten();
    let right = points().map(|point| point.0).fold(10.0, f64::max);
    let above = points().map(|point| point.1).fold(1.0, f64::max) * 1.25;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let done = (|| {
            area.fill(&WHITE)?;
            let mut chart = ChartBuilder::on(&area)
                .caption(title, ("sans-serif", 18))
                .margin(16)
                .x_label_area_size(32)
                .y_label_area_size(40)
                .build_cartesian_2d((1.0..right).log_scale(), 0.0..above)?;
            chart
                .configure_mesh()
                .x_label_formatter(&|x| Short(*x).to_string())
                .y_label_style(("sans-serif", 13).into_font().transform(FontTransform::None))
                .draw()?;
            for (index, (name, points)) in all.iter().enumerate() {
                let colour = Palette99::pick(index).to_rgba();
                chart
                    .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3))?
                    .label(name.as_str())
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
            }
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::LowerRight)
                .background_style(WHITE.mix(0.8))
                .draw()?;
            area.present()
        })();
        done.map_err(|error| anyhow!("{error}"))?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Machine, Rounds};

    fn figure(id: &str, own: f64, peer: &'static str, theirs: f64) -> Figure {
        let mut rounds = Rounds::default();
        rounds.own(own);
        rounds.peer(peer, theirs);
        rounds.figure(id, "ms")
    }

    fn sheet(figures: Vec<Figure>) -> Sheet {
        let machine = Machine { cpu: "a CPU".into(), cpus: 2, memory_mib: 2048, kernel: "6.18".into(), load: 0.5 };
        Sheet { figures, ..Sheet::new(machine, false) }
    }

    #[test]
    fn bars_name_everybody_the_shortest_first() {
        let svg = svg(&sheet(vec![figure("open.latency", 0.5, "knockd", 40.0)]), &PLOTS[0]).unwrap().unwrap();
        let (ours, theirs) = (svg.find("knock\n").unwrap(), svg.find("knockd\n").unwrap());
        assert!(ours < theirs && svg.contains("0.500") && svg.contains("40.0"), "{svg}");
    }

    #[test]
    fn a_plot_without_figures_is_not_drawn() {
        assert!(svg(&sheet(Vec::new()), &PLOTS[0]).unwrap().is_none());
        assert!(svg(&sheet(Vec::new()), &PLOTS[3]).unwrap().is_none());
    }

    #[test]
    fn growth_is_a_line_for_each_path_in_the_order_of_numbers() {
        let figures = [
            figure("growth.granted.grants_65536", 6.0, "xdp_pass", 2.0),
            figure("growth.granted.grants_0", 4.0, "xdp_pass", 2.0),
            figure("growth.granted.grants_1000.many", 8.0, "xdp_pass", 2.0),
            figure("growth.unrelated.doors_64", 2.0, "xdp_pass", 2.0),
            figure("cost.granted.tcp4", 2.0, "xdp_pass", 2.0),
        ];
        let all = series(&figures, &["grants"], "xdp_pass");
        assert_eq!(all["granted"], [(1.0, 2.0), (65_536.0, 3.0)]);
        assert_eq!(all["granted, many"], [(1000.0, 4.0)]);
        assert_eq!(all.len(), 2);
        assert_eq!(series(&figures, &["doors", "ports"], "xdp_pass")["unrelated, doors"], [(64.0, 1.0)]);
        assert!(svg(&sheet(figures.into()), &PLOTS[3]).unwrap().unwrap().starts_with("<svg"));
    }
}
