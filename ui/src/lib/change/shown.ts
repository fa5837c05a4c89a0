// Text of strangers made fit to be shown: bounded, and without characters that hide or turn round what is read.

/** Most characters of one text that a page keeps: the beginning, and the end where a failure stands. */
export const MOST_KEPT = 16_000;
const KEPT_AT_THE_END = 6_000;
/** Characters that a line takes where it is not alone: more than that is several lines. */
const LINE_WIDTH = 160;

/** Control characters, but for line ends and tabs; marks of direction; what takes no room. */
const UNSEEN =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
/** Colours of a terminal say nothing here. */
// eslint-disable-next-line no-control-regex
const COLOURS = /\u001b\[[\d;]*m/g;

/** The text with what cannot be seen written out, and its middle left out where it is long. */
export function shown(text: string, most = MOST_KEPT): string {
  return cut(text, most)
    .replaceAll("\r\n", "\n")
    .replaceAll(COLOURS, "")
    .replaceAll(UNSEEN, (one) => `\\u{${one.charCodeAt(0).toString(16)}}`)
    .trimEnd();
}

function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  const end = Math.min(KEPT_AT_THE_END, Math.floor(most / 2));
  const left = text.length - most;
  return `${text.slice(0, most - end)}\n… ${left.toLocaleString("en-US")} characters left out …\n${text.slice(-end)}`;
}

/** The first line that says something, cut to a line's length. */
export function firstLine(text: string, most = 200): string {
  const line =
    shown(text.slice(0, 4 * most))
      .split("\n")
      .find((one) => one.trim() !== "")
      ?.trim() ?? "";
  return line.length > most ? `${line.slice(0, most)}…` : line;
}

/** The first lines of a text, at most so many of a width that fits; and whether that is all of it. */
export function preview(text: string, lines: number): { text: string; lines: number; isAll: boolean } {
  const all = text.split("\n");
  const some = all
    .slice(0, lines)
    .join("\n")
    .slice(0, lines * LINE_WIDTH);
  return { text: some, lines: all.length, isAll: some.length === text.length };
}
