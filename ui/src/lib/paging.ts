// Lists of the daemon page by page: `limit` and `cursor` in, `total` and `next_cursor` out. Pure but for `read`.

/** Most items that one answer of the daemon carries. */
const MOST_A_PAGE = 1000;
/** Items that a list begins with, and that are added at a time. */
export const STEP = 100;

export interface ListPage<Item> {
  items: Item[];
  total: number;
  next_cursor: string | null;
}

export interface Listed<Item> {
  items: Item[];
  /** All that match, those that are not shown included. */
  total: number;
}

/** The first `wanted` items of a list. */
export async function firstOf<Item>(
  wanted: number,
  read: (page: { limit: number; cursor?: string }) => Promise<ListPage<Item>>,
): Promise<Listed<Item>> {
  const items: Item[] = [];
  let cursor: string | null = null;
  for (;;) {
    const limit = Math.min(wanted - items.length, MOST_A_PAGE);
    const page: ListPage<Item> = await read(cursor === null ? { limit } : { limit, cursor });
    items.push(...page.items);
    cursor = page.next_cursor;
    // An empty page that promises more would be asked for without end.
    if (cursor === null || page.items.length === 0 || items.length >= wanted)
      return { items, total: page.total };
  }
}
