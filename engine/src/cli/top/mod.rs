//! `sparr top`: the essentials of a running engine, live in a terminal, readable over ssh at 80 × 24.
//!
//! It reads what the dashboard reads, `/api/now` and `/api/history`, and asks for nothing else.

mod draw;
mod view;

use super::{CannotRun, Ended, Outcome};
use crate::server::config::ADMIN;
use clap::Args;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::{DefaultTerminal, Terminal};
use serde_json::Value;
use std::io::IsTerminal as _;
use std::time::Duration;
use view::View;

/// Arguments of `sparr top`.
#[derive(Args)]
#[command(after_help = "Examples:
  sparr top                                  the engine on this machine
  sparr top --admin 10.0.0.7:7480
  sparr top --once | head -3                 one frame as text, for scripts

Space pauses, q ends. The line of blocks is the p99 of each second; counts are those of the span that it shows.")]
pub(crate) struct TopArgs {
    /// Address of the engine's admin port
    #[arg(long, value_name = "HOST:PORT", default_value = ADMIN, env = "SPARR_ADMIN")]
    admin: String,
    /// Print one frame of 80 × 24 as plain text and end
    #[arg(long)]
    once: bool,
}

/// Columns and rows of a frame in plain text.
const FRAME: (u16, u16) = (80, 24);
/// Seconds that are shown: one for each column between the borders.
const SPAN: usize = FRAME.0 as usize - 2;
/// How long the engine may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
const SECOND: Duration = Duration::from_secs(1);

/// Shows an engine until somebody has seen enough.
pub(crate) fn run(args: &TopArgs) -> Outcome {
    if args.once {
        let view = look(&args.admin)?;
        print!("{}", frame(&view)?);
        return Ok(Ended::Fine);
    }
    if !std::io::stdout().is_terminal() {
        return Err(CannotRun(
            "top draws on a terminal, and this is none; --once prints one frame as text".to_owned(),
        ));
    }
    // An engine that is not there is said before the screen is taken.
    let first = look(&args.admin)?;
    let mut terminal = ratatui::try_init()?;
    let ended = live(&mut terminal, &args.admin, first);
    ratatui::restore();
    ended
}

fn live(terminal: &mut DefaultTerminal, admin: &str, mut view: View) -> Outcome {
    loop {
        terminal.draw(|frame| draw::draw(frame, &view))?;
        if event::poll(SECOND)?
            && let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
        {
            let interrupts = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            if interrupts || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                return Ok(Ended::Fine);
            }
            if key.code == KeyCode::Char(' ') {
                view.is_paused = !view.is_paused;
            }
            continue;
        }
        if !view.is_paused {
            match look(admin) {
                Ok(new) => view = new,
                // What was seen last stays, with a line that says how old it is.
                Err(CannotRun(problem)) => view.problem = Some(problem),
            }
        }
    }
}

/// Asks an engine how it stands.
fn look(admin: &str) -> Result<View, CannotRun> {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().into();
    let ask = |path: &str| -> Result<Value, CannotRun> {
        let problem =
            |error: ureq::Error| CannotRun(format!("no answer from the admin port {admin}: {error}"));
        let mut answer = agent.get(format!("http://{admin}{path}")).call().map_err(problem)?;
        let text = answer.body_mut().read_to_string().map_err(problem)?;
        serde_json::from_str(&text)
            .map_err(|_| CannotRun(format!("{admin} answers, but not as an engine's admin port")))
    };
    let past = ask(&format!("/api/history?seconds={SPAN}&points={SPAN}"))?;
    Ok(View::read(admin, &ask("/api/now")?, &past))
}

/// One frame as lines of text.
fn frame(view: &View) -> std::io::Result<String> {
    let mut terminal = match Terminal::new(TestBackend::new(FRAME.0, FRAME.1)) {
        Ok(terminal) => terminal,
        Err(never) => match never {},
    };
    match terminal.draw(|frame| draw::draw(frame, view)) {
        Ok(_) => Ok(text(terminal.backend().buffer())),
        Err(never) => match never {},
    }
}

fn text(buffer: &Buffer) -> String {
    let rows = buffer.content().chunks(usize::from(buffer.area.width));
    rows.map(|row| {
        let line: String = row.iter().map(|cell| cell.symbol()).collect();
        format!("{}\n", line.trim_end())
    })
    .collect()
}

#[cfg(test)]
mod tests;
