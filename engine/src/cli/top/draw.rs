//! How it is laid out. Nothing is said by a colour alone.

use super::view::{View, micros, short};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Sparkline};

/// Draws everything; what has no room is cut.
pub(super) fn draw(frame: &mut Frame<'_>, view: &View) {
    let [head, figures, plot, middle, events, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Min(6),
        Constraint::Length(7),
        Constraint::Length(7),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    header(frame, head, view);
    percentiles(frame, figures, view);
    sparkline(frame, plot, view);
    let [answers, state, engines] =
        Layout::horizontal([Constraint::Length(28), Constraint::Length(26), Constraint::Min(20)])
            .areas(middle);
    let lines = view.answers.iter().map(|(name, per_second, all)| {
        Line::raw(format!("{name:<12}{:>6}/s{:>6}", short(*per_second), short(*all as f64)))
    });
    block(frame, answers, "answers · /s · in span", lines.collect());
    let lines = view.state.iter().map(|(name, value)| Line::raw(format!("{name:<8}{value}")));
    block(frame, state, "state", lines.collect());
    block(
        frame,
        engines,
        "other engines",
        view.engines.iter().map(|line| Line::raw(line.as_str())).collect(),
    );
    let lines = view.events.iter().map(|line| Line::raw(line.as_str()));
    block(frame, events, "last events, UTC", lines.collect());
    let line = match (&view.problem, view.alerts.as_slice()) {
        (Some(problem), _) => Line::raw(format!("! OLD: {problem}")).bold().red(),
        (None, []) => Line::raw("q ends, space pauses").dim(),
        (None, [only]) => Line::raw(format!("! {only}")).bold().yellow(),
        (None, [first, rest @ ..]) => Line::raw(format!("! {} more; {first}", rest.len())).bold().yellow(),
    };
    frame.render_widget(Paragraph::new(line), foot);
}

fn header(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let stands = if view.is_paused {
        " PAUSED ".reversed()
    } else if view.missing.is_empty() {
        " SCREENING ".bold().green()
    } else {
        format!(" NOT READY: {} ", view.missing.join(", ")).bold().red()
    };
    let line = Line::from(vec!["sparr ".bold(), Span::raw(view.title.as_str()), stands]);
    frame.render_widget(Paragraph::new(line), area);
}

fn percentiles(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let times = match view.times {
        None => "no requests in the last second".to_owned(),
        Some([p50, p90, p99, p999, max]) => format!(
            "p50 {}  p90 {}  p99 {}  p99.9 {}  max {}",
            micros(p50),
            micros(p90),
            micros(p99),
            micros(p999),
            micros(max)
        ),
    };
    let judged = match view.times {
        Some([_, _, p99, ..]) if p99 > view.budget_us => "OVER the budget".bold().red(),
        Some(_) => "within the budget".green(),
        None => Span::raw("the budget is"),
    };
    let lines = vec![
        Line::raw(format!("{} requests/s   {times}", short(view.rate))),
        Line::from(vec![judged, Span::raw(format!(" of {}", micros(view.budget_us)))]),
    ];
    frame.render_widget(Paragraph::new(lines), area);
    let below = Rect { y: area.bottom().saturating_sub(1), height: area.height.min(1), ..area };
    frame.render_widget(Paragraph::new(Line::raw(view.at.as_str()).right_aligned()), below);
}

fn sparkline(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let longest = view.p99_us.iter().copied().fold(0.0, f64::max);
    let title = format!(" p99 of each second, the highest {} ", micros(longest));
    let block = Block::bordered().title(title);
    let wide = usize::from(block.inner(area).width);
    // The newest is at the right edge.
    let newest = &view.p99_us[view.p99_us.len().saturating_sub(wide)..];
    let empty = std::iter::repeat_n(0, wide - newest.len());
    let data: Vec<u64> = empty.chain(newest.iter().map(|us| us.ceil() as u64)).collect();
    frame.render_widget(Sparkline::default().block(block).style(Style::new().cyan()).data(data), area);
}

fn block(frame: &mut Frame<'_>, area: Rect, title: &str, lines: Vec<Line<'_>>) {
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(format!(" {title} "))), area);
}
