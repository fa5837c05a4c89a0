import { compare } from './compare.js';
import { format, parse } from './parse.js';
import { newest } from './sort.js';

const TERM = /^(\^|~|>=|<=|>|<|=)?(.+)$/;

/** Whether a version fulfils all terms of a range. */
export function satisfies(version, range) {
  return terms(range).every(({ sign, bound }) => holds(sign, compare(version, bound)));
}

/** The newest version in a range, without pre-releases. */
export function newestIn(versions, range) {
  const stable = versions.filter((version) => parse(version).pre.length === 0);
  return newest(stable.filter((version) => satisfies(version, range)));
}

function terms(range) {
  return range.trim().split(/\s+/).flatMap((term) => {
    const [, sign = '=', version] = TERM.exec(term);
    return sign === '^' || sign === '~' ? between(sign, version) : [{ sign, bound: version }];
  });
}

function between(sign, version) {
  const from = parse(version);
  const wide = sign === '^' && from.major > 0;
  const end = wide
    ? { major: from.major + 1, minor: 0, patch: 0, pre: [] }
    : { major: from.major, minor: from.minor + 1, patch: 0, pre: [] };
  return [
    { sign: '>=', bound: version },
    { sign: '<', bound: format(end) },
  ];
}

function holds(sign, order) {
  switch (sign) {
    case '>':
      return order > 0;
    case '>=':
      return order >= 0;
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    default:
      return order === 0;
  }
}
