//! `pas tree`, once or redrawn twice a second.

use std::io::Write as _;
use std::time::Duration;

use console::{Key, Term};
use tokio::sync::mpsc;

use super::CommandContext;
use super::exit::{CommandExit, CommandFailure, CommandResult};
use super::render::{fit, tree};
use super::wire;

/// Fast enough to see a restart, slow enough to read.
const REDRAW: Duration = Duration::from_millis(500);

/// `pas tree`.
pub(super) async fn show(context: &CommandContext, watch: bool) -> CommandResult {
    let term = Term::stdout();
    if watch && !context.screen.json && term.is_term() {
        let shown = watch_until_asked(context, &term).await;
        // A hidden cursor would outlive the command.
        let _ = term.show_cursor();
        return shown;
    }
    let answer = context.client.get(&["tree"], &[]).await?;
    let width = context.screen.width();
    context.screen.show(&answer, |answer| Ok(tree::draw(&wire::read(answer)?, width)))?;
    Ok(CommandExit::Done)
}

async fn watch_until_asked(context: &CommandContext, term: &Term) -> CommandResult {
    let mut keys = keys(term.clone());
    let _ = term.hide_cursor();
    let _ = term.clear_screen();
    loop {
        let answer = context.client.get(&["tree"], &[]).await?;
        draw(term, &tree::draw(&wire::read(&answer)?, context.screen.width()))?;
        tokio::select! {
            () = tokio::time::sleep(REDRAW) => {}
            key = keys.recv() => if key.is_none_or(|key| is_end(&key)) { return Ok(CommandExit::Done) },
            _ = tokio::signal::ctrl_c() => return Ok(CommandExit::Done),
        }
    }
}

/// Overwrites line by line and clears the rest, which avoids flicker; lines that do not fit are dropped.
fn draw(mut term: &Term, text: &str) -> Result<(), CommandFailure> {
    let (rows, columns) = term.size();
    let room = usize::from(rows).saturating_sub(2);
    let lines: Vec<&str> = text.lines().collect();
    let mut frame = String::from("\u{1b}[H");
    for line in lines.iter().take(room) {
        frame.push_str(&fit(line, columns.into()));
        frame.push_str("\u{1b}[K\r\n");
    }
    let hidden = lines.len().saturating_sub(room);
    let more = if hidden > 0 { format!("{hidden} more lines below; ") } else { String::new() };
    frame.push_str(&fit(&format!("{more}q quits"), columns.into()));
    frame.push_str("\u{1b}[J");
    term.write_all(frame.as_bytes())
        .and_then(|()| term.flush())
        .map_err(|error| CommandFailure::failed(format!("cannot write to the terminal: {error}")))
}

/// Key presses. The thread blocks in a read and ends with the process.
fn keys(term: Term) -> mpsc::Receiver<Key> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        while let Ok(key) = term.read_key() {
            let ends = is_end(&key);
            if sender.blocking_send(key).is_err() || ends {
                break;
            }
        }
    });
    receiver
}

fn is_end(key: &Key) -> bool {
    matches!(key, Key::Char('q' | 'Q') | Key::Escape | Key::CtrlC)
}
