// Short notices at the page's foot: what was done, what failed. Read aloud by screen readers.

export interface Toast {
  id: number;
  kind: "good" | "bad";
  text: string;
}

/** Errors stay until they are closed; good news may go. */
const GOOD_MS = 5000;

let next = 1;

export const toasts: { list: Toast[] } = $state({ list: [] });

export function toast(kind: Toast["kind"], text: string): void {
  const id = next++;
  toasts.list = [...toasts.list.slice(-3), { id, kind, text }];
  if (kind === "good") setTimeout(() => dismiss(id), GOOD_MS);
}

export function dismiss(id: number): void {
  toasts.list = toasts.list.filter((item) => item.id !== id);
}

/** Runs something that an operator asked for, and tells how it went. */
export async function attempt<T>(work: () => Promise<T>, done?: (value: T) => string): Promise<T | null> {
  try {
    const value = await work();
    if (done) toast("good", done(value));
    return value;
  } catch (error) {
    toast("bad", error instanceof Error ? error.message : String(error));
    return null;
  }
}
