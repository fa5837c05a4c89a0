import assert from 'node:assert/strict';
import { test } from 'node:test';

import { newestIn, satisfies } from '../src/index.js';

test('a caret allows what does not break', () => {
  assert.ok(satisfies('1.9.0', '^1.2.0'));
  assert.ok(!satisfies('2.0.0', '^1.2.0'));
  assert.ok(!satisfies('1.1.9', '^1.2.0'));
});

test('a caret below 1.0.0 allows patches only', () => {
  assert.ok(satisfies('0.3.4', '^0.3.1'));
  assert.ok(!satisfies('0.4.0', '^0.3.1'));
});

test('a tilde allows patches only', () => {
  assert.ok(satisfies('1.2.9', '~1.2.3'));
  assert.ok(!satisfies('1.3.0', '~1.2.3'));
});

test('all terms must hold', () => {
  assert.ok(satisfies('1.5.0', '>=1.0.0 <2.0.0'));
  assert.ok(!satisfies('2.0.0', '>=1.0.0 <2.0.0'));
});

test('the newest in a range is no pre-release', () => {
  const all = ['1.2.0', '1.4.0', '1.5.0-rc.1', '2.0.0'];
  assert.equal(newestIn(all, '^1.2.0'), '1.4.0');
});
