import { parse } from './parse.js';

/** -1, 0 or 1, as the first version is older than, equal to or newer than the second. */
export function compare(left, right) {
  const [a, b] = [parse(left), parse(right)];
  for (const part of ['major', 'minor', 'patch']) {
    if (a[part] !== b[part]) {
      return a[part] < b[part] ? -1 : 1;
    }
  }
  return comparePre(a.pre, b.pre);
}

export function isNewer(left, right) {
  return compare(left, right) > 0;
}

/** A version without a pre-release part is newer than one with it. */
function comparePre(a, b) {
  if (a.length === 0 || b.length === 0) {
    return Math.sign(b.length - a.length);
  }
  const shared = Math.min(a.length, b.length);
  for (let at = 0; at < shared; at += 1) {
    const order = comparePart(a[at], b[at]);
    if (order !== 0) {
      return order;
    }
  }
  return Math.sign(a.length - b.length);
}

function comparePart(a, b) {
  if (a === b) {
    return 0;
  }
  return a < b ? -1 : 1;
}
