// A tool call as a person reads it: what it is about in a line, and its arguments without the marks of JSON.

import { firstLine, shown } from "./shown";

/** Arguments that say what a call is about, the most telling first. */
const TELLING = ["command", "path", "pattern", "operation", "statement", "question", "task", "summary"];

export type CallFields = [name: string, text: string][];

/** What a call is about in one line. */
export function briefOf(args: string): string {
  const given = objectOf(args);
  if (!given) return firstLine(args);
  const told = TELLING.filter((name) => typeof given[name] === "string").slice(0, 2);
  const names = told.length > 0 ? told : Object.keys(given).slice(0, 1);
  const words = names.map((name) => firstLine(textOf(given[name])));
  return words.filter(Boolean).join("  ");
}

/** The arguments by name, texts as they are. Arguments that are no object are one text. */
export function fieldsOf(args: string): CallFields {
  const given = objectOf(args);
  if (!given) return [["", shown(args)]];
  return Object.entries(given).map(([name, value]) => [shown(name, 80), shown(textOf(value))]);
}

/** What a report claims, where it can be read as the daemon reads it. */
export function claimOf(args: string): { outcome: string; summary: string } | null {
  const given = objectOf(args) ?? {};
  const [outcome, summary] = [given["outcome"], given["summary"]].map((value) =>
    typeof value === "string" ? value.trim() : "",
  );
  if (!outcome || !summary || !["done", "partial", "impossible", "failed"].includes(outcome)) return null;
  return { outcome, summary };
}

export function objectOf(json: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(json);
    return value !== null && typeof value === "object" && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (Array.isArray(value) && value.every((one) => typeof one === "string")) return value.join("\n");
  return JSON.stringify(value, null, 2) ?? "";
}
