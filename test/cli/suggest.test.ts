import test from 'ava';
import { closest } from '../../cli/suggest.ts';

const names = ['ext4', 'ext2', 'e1000e', 'e1000', 'snd_hda_intel', 'snd_hda_codec', 'amdgpu', 'xt_set', 'nf_tables'];

test('a typing mistake finds its word', (t) => {
  t.is(closest('amdgup', names)[0], 'amdgpu');
  t.is(closest('snd_had_intel', names)[0], 'snd_hda_intel');
  t.deepEqual(closest('ext3', names), ['ext2', 'ext4']);
});

test('the beginning of a name finds it, the rest of a name too', (t) => {
  t.deepEqual(closest('snd_hda', names), ['snd_hda_codec', 'snd_hda_intel']);
  t.deepEqual(closest('e1000e_ng', names), ['e1000e', 'e1000']);
  t.deepEqual(closest('snd_hda_intell', ['snd', ...names]), ['snd_hda_intel']);
});

test('nothing near, nothing suggested; at most three', (t) => {
  t.deepEqual(closest('zfs', names), []);
  t.deepEqual(closest('', names), []);
  t.is(closest('aaa', ['aab', 'aac', 'aad', 'aae']).length, 3);
});
