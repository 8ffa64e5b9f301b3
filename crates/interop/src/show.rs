//! What a demo prints: numbered steps with their reason, quoted files, commands and their answers.

use std::cell::Cell;
use std::time::Instant;

/// Lines of a command's answer that are shown.
const LINES: usize = 40;

/// Characters of a line that are shown.
const COLUMNS: usize = 170;

/// The printer.
#[derive(Debug)]
pub struct Show {
    start: Instant,
    step: Cell<u32>,
    pause: bool,
}

impl Show {
    /// The clock starts now; `pause` waits for Enter after every step.
    #[must_use]
    pub fn new(pause: bool) -> Show {
        Show { start: Instant::now(), step: Cell::new(0), pause }
    }

    /// Waits for Enter, when that was asked for.
    pub fn pause(&self) {
        if self.pause {
            println!("   [Enter]");
            let _ = std::io::stdin().read_line(&mut String::new());
        }
    }

    /// A numbered heading, the time since the start, and why this is shown.
    pub fn step(&self, title: &str, why: &str) {
        if self.step.get() > 0 {
            self.pause();
        }
        self.step.set(self.step.get() + 1);
        println!("\n== {}. {title}  ({:.0} s)", self.step.get(), self.start.elapsed().as_secs_f64());
        self.say(why);
    }

    /// A sentence.
    pub fn say(&self, text: &str) {
        let mut line = String::new();
        for word in text.split_whitespace() {
            if line.len() + word.len() > 100 {
                println!("   {line}");
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        println!("   {line}");
    }

    /// A file.
    pub fn quote(&self, name: &str, text: &str) {
        self.command(name, text.trim());
    }

    /// A command and its answer.
    pub fn command(&self, command: &str, answer: &str) {
        self.excerpt(command, answer, LINES);
    }

    /// The same, with no more than so many lines of the answer.
    pub fn excerpt(&self, command: &str, answer: &str, limit: usize) {
        println!("\n   {command}");
        let lines: Vec<&str> = answer.lines().collect();
        for line in lines.iter().take(limit) {
            println!("   | {}", cut(line));
        }
        if lines.len() > limit {
            println!("   | … {} more lines", lines.len() - limit);
        }
        println!();
    }
}

/// A line that no list of addresses makes too long to read.
fn cut(line: &str) -> String {
    match line.char_indices().nth(COLUMNS) {
        Some((at, _)) => format!("{} …", line.get(..at).unwrap_or_default()),
        None => line.to_owned(),
    }
}
