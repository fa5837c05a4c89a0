// Finds what somebody means by a few letters: for the command palette and the tree's search. Pure.

/** Higher is better; 0 is no match. Letters must come in order; whole words and beginnings count more. */
export function score(query: string, text: string): number {
  const [wanted, there] = [query.trim().toLowerCase(), text.toLowerCase()];
  if (wanted === "") return 1;
  const at = there.indexOf(wanted);
  if (at === 0) return 1000 - there.length;
  if (at > 0) return (/[\s\-_./:]/.test(there[at - 1] ?? "") ? 700 : 500) - there.length;
  return scattered(wanted, there);
}

function scattered(wanted: string, there: string): number {
  let [from, points] = [0, 0];
  for (const letter of wanted) {
    const at = there.indexOf(letter, from);
    if (at < 0) return 0;
    points += at === from ? 3 : /[\s\-_./:]/.test(there[at - 1] ?? "") ? 2 : 0;
    from = at + 1;
  }
  return Math.max(1, points + 100 - there.length);
}

/** The best `limit` of `items`, best first. */
export function best<T>(query: string, items: readonly T[], text: (item: T) => string, limit: number): T[] {
  return items
    .map((item, order) => ({ item, order, points: score(query, text(item)) }))
    .filter(({ points }) => points > 0)
    .sort((a, b) => b.points - a.points || a.order - b.order)
    .slice(0, limit)
    .map(({ item }) => item);
}
