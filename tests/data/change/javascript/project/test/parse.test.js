import assert from 'node:assert/strict';
import { test } from 'node:test';

import { format, parse } from '../src/index.js';

test('a version survives being read and written', () => {
  for (const text of ['0.0.1', '10.20.30', '1.0.0-alpha.1']) {
    assert.equal(format(parse(text)), text);
  }
});

test('build metadata is dropped', () => {
  assert.equal(format(parse('1.0.0+build.5')), '1.0.0');
});

test('what is no version is refused with its text', () => {
  assert.throws(() => parse('1.2'), /no version: 1\.2/);
});
