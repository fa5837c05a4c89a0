export { compare, isNewer } from './compare.js';
export { format, parse } from './parse.js';
export { newestIn, satisfies } from './range.js';
export { newest, sorted } from './sort.js';
