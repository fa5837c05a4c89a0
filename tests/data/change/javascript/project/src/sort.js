import { compare } from './compare.js';

/** Oldest first; the list itself stays as it is. */
export function sorted(versions) {
  return [...versions].sort(compare);
}

/** The newest of a list; undefined when there is none. */
export function newest(versions) {
  return sorted(versions).at(-1);
}
