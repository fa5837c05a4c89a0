import assert from 'node:assert/strict';
import { test } from 'node:test';

import { compare, isNewer, newest, sorted } from '../src/index.js';

test('the numbers count from left to right', () => {
  assert.equal(compare('1.10.0', '1.9.9'), 1);
  assert.equal(compare('1.2.3', '2.0.0'), -1);
  assert.equal(compare('1.2.3', 'v1.2.3'), 0);
});

test('a release is newer than its pre-releases', () => {
  assert.ok(isNewer('1.0.0', '1.0.0-rc.1'));
  assert.ok(!isNewer('1.0.0-rc.1', '1.0.0'));
});

test('words of pre-releases go by the alphabet', () => {
  assert.deepEqual(sorted(['1.0.0-beta', '1.0.0-alpha']), ['1.0.0-alpha', '1.0.0-beta']);
});

test('numbers of pre-releases go by their value', () => {
  assert.equal(newest(['1.0.0-rc.9', '1.0.0-rc.10', '1.0.0-rc.2']), '1.0.0-rc.10');
});

test('more parts of a pre-release are newer', () => {
  assert.equal(compare('1.0.0-alpha', '1.0.0-alpha.1'), -1);
});

test('sorting leaves the list alone', () => {
  const list = ['2.0.0', '1.0.0'];
  assert.deepEqual(sorted(list), ['1.0.0', '2.0.0']);
  assert.deepEqual(list, ['2.0.0', '1.0.0']);
  assert.equal(newest([]), undefined);
});
