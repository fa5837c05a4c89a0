const FORM = /^v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/;

/** Reads a version; what is none throws a RangeError. Build metadata is dropped, as it has no rank. */
export function parse(text) {
  const found = FORM.exec(text.trim());
  if (!found) {
    throw new RangeError(`no version: ${text}`);
  }
  const [, major, minor, patch, pre] = found;
  return {
    major: Number(major),
    minor: Number(minor),
    patch: Number(patch),
    pre: pre ? pre.split('.') : [],
  };
}

export function format({ major, minor, patch, pre }) {
  const tail = pre.length > 0 ? `-${pre.join('.')}` : '';
  return `${major}.${minor}.${patch}${tail}`;
}
