//! Cuts a shell line into its simple commands, far enough to name the programs.
//!
//! Failure policy: only an open quote is an error; anything else not understood becomes a word that is not
//! `literal`.

/// A word without quotes; `literal` when free of expansions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommandWord {
    pub(super) text: String,
    pub(super) literal: bool,
}

/// Words after which the next word begins a command.
const OPENERS: [&str; 11] = ["!", "{", "time", "if", "then", "else", "elif", "while", "until", "do", "exec"];

/// bash's built-in commands, and keywords in the place of a command.
const BUILTINS: [&str; 35] = [
    "cd", "pushd", "popd", "set", "export", "unset", "echo", "printf", "test", "[", "[[", "true", "false",
    ":", "exit", "return", "source", ".", "eval", "trap", "ulimit", "umask", "wait", "local", "declare",
    "readonly", "shopt", "for", "case", "esac", "fi", "done", "}", "function", "command",
];

pub(super) fn is_builtin(word: &str) -> bool {
    BUILTINS.contains(&word)
}

/// The simple commands of the line, assignments and openers left out. Err: the text from the open quote on.
pub(super) fn commands(script: &str) -> Result<Vec<Vec<CommandWord>>, String> {
    let mut reader = WordReader { rest: script, word: None, words: Vec::new(), commands: Vec::new() };
    reader.read()?;
    Ok(reader.commands)
}

/// The last program of a pipe at the end of the line, whose exit code is the line's.
pub(super) fn last_pipe_target(script: &str) -> Option<String> {
    let at = script.rfind('|')?;
    let piped = !script[..at].ends_with('|') && !script[at + 1..].contains([';', '&', '\'', '"', '\n']);
    let target = script[at + 1..].split_whitespace().next()?;
    let is_program = commands(script)
        .is_ok_and(|all| all.iter().any(|words| words.first().is_some_and(|word| word.text == target)));
    (piped && is_program).then(|| target.to_owned())
}

struct WordReader<'text> {
    rest: &'text str,
    word: Option<CommandWord>,
    words: Vec<CommandWord>,
    commands: Vec<Vec<CommandWord>>,
}

impl<'text> WordReader<'text> {
    fn read(&mut self) -> Result<(), String> {
        while let Some(letter) = self.rest.chars().next() {
            let here = self.rest;
            self.rest = &here[letter.len_utf8()..];
            match letter {
                '\'' => {
                    let end = self.rest.find('\'').ok_or_else(|| here.to_owned())?;
                    let inside = &here[1..=end];
                    self.rest = &here[end + 2..];
                    self.current().text.push_str(inside);
                }
                '"' => self.double_quoted(here)?,
                '\\' => self.escaped(),
                '#' if self.word.is_none() => {
                    self.rest = self.rest.find('\n').map_or("", |end| &self.rest[end..]);
                }
                ';' | '\n' | '|' | '(' | ')' => self.end_command(),
                // `2>&1` and `&>` are redirections and end no command.
                '&' if self.rest.starts_with('>')
                    || self.word.as_ref().is_some_and(|word| word.text.ends_with('>')) =>
                {
                    self.current().text.push('&');
                }
                '&' => self.end_command(),
                _ if letter.is_whitespace() => self.end_word(),
                _ => {
                    let word = self.current();
                    word.literal &= !matches!(letter, '$' | '`' | '*' | '?' | '<' | '>');
                    word.text.push(letter);
                }
            }
        }
        self.end_command();
        Ok(())
    }

    fn escaped(&mut self) {
        let Some(next) = self.rest.chars().next() else { return };
        self.rest = &self.rest[next.len_utf8()..];
        if next != '\n' {
            self.current().text.push(next);
        }
    }

    fn double_quoted(&mut self, here: &'text str) -> Result<(), String> {
        let mut letters = here.char_indices().skip(1);
        self.current();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.rest = &here[at + 1..];
                    return Ok(());
                }
                '\\' => {
                    if let Some((_, next)) = letters.next() {
                        self.current().text.push(next);
                    }
                }
                _ => {
                    let word = self.current();
                    word.literal &= !matches!(letter, '$' | '`');
                    word.text.push(letter);
                }
            }
        }
        Err(here.to_owned())
    }

    fn current(&mut self) -> &mut CommandWord {
        self.word.get_or_insert_with(|| CommandWord { text: String::new(), literal: true })
    }

    fn end_word(&mut self) {
        let Some(word) = self.word.take() else { return };
        let text = word.text.as_str();
        let opens =
            self.words.is_empty() && (OPENERS.contains(&text) || is_assignment(text) || text == "env");
        if !opens {
            self.words.push(word);
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        if !self.words.is_empty() {
            self.commands.push(std::mem::take(&mut self.words));
        }
    }
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && !name.starts_with(|letter: char| letter.is_ascii_digit())
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    })
}
